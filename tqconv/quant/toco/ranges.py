"""Ranges as TOCO found them: from neighbours by its rules, then the defaults.

Its graph transformations ran over the operators forwards and backwards in turn until nothing
changed, and a rule may overwrite what another one set; so the order is part of the result, and
kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace

import numpy as np

from tqconv.errors import counted
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Range
from tqconv.ops.facts import CLAMPS
from tqconv.quant.evidence.intervals import SHOWN
from tqconv.quant.select import makes_reals

Rule = Callable[[Op], bool]
SWEEPS = 1000
"""More than any graph needs; two rules that overwrite each other would need more."""

FROM_FIRST = frozenset(
    {"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "STRIDED_SLICE", "SQUEEZE"}
    | {"EXPAND_DIMS", "PAD", "GATHER", "TRANSPOSE", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "SUM"}
)
"""Operators whose result has the range of their first operand: hardcode_min_max.cc."""
POOLS = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D"})
SOFT = (0.0, 255.0 / 256.0)
UNIT = (-127.0 / 128.0, 1.0)
FIXED = {"LOGISTIC": SOFT, "SOFTMAX": SOFT, "TANH": UNIT}
"""Ranges of outputs that have fixed scales: hardcode_min_max.cc."""


def propagate(
    graph: Graph,
    *,
    change_concat: bool,
    default: tuple[float, float] | None = None,
    own: Set[Tensor] = frozenset(),
) -> None:
    """Give tensors the ranges that follow from their neighbours', then the default, in place.

    `change_concat`: operands of a CONCATENATION get the union of all their ranges; `own`: tensors
    that take no range from behind, for evidence about themselves is at hand.
    """
    rules = _rules(change_concat, own)
    _settle(graph, [rules])
    if default is not None:
        _settle(graph, [_everywhere(graph, _defaulted(default)), rules])


def complete(graph: Graph, *, change_concat: bool) -> None:
    """Give tensors the ranges that follow where TOCO stopped for want of one, in place."""
    _settle(graph, [BEYOND, _rules(change_concat)])


def cut_off(graph: Graph) -> list[str]:
    """Return a note about what has the range behind a clamp, although not only that reads it."""
    cut = []
    for op in graph.ops:
        if op.type in CLAMPS and _is_cut(op, graph):
            cut.append(f"'{op.input(0).name}' (that of '{op.output.name}')")
    if not cut:
        return []
    more = f", … {len(cut) - SHOWN} more" if len(cut) > SHOWN else ""
    return [
        f"the range behind a clamp cuts off {counted(len(cut), 'tensor')} for other readers, too, "
        f"as TOCO did: {', '.join(cut[:SHOWN])}{more}; a FAKE_QUANT of its own, or --ranges, tells "
        "how far it reaches"
    ]


def _is_cut(clamp: Op, graph: Graph) -> bool:
    x, y = clamp.input(0), clamp.output
    if x.range is None or y.range is None or x.range not in (y.range, _copied(y.range, clamp)):
        return False
    ends = CLAMPS[clamp.type]
    return x in graph.outputs or any(CLAMPS.get(use.op.type) != ends for use in x.uses)


def lacking(graph: Graph) -> list[Tensor]:
    """Return the real tensors without a range that no other one would give them, in order."""
    reals = (t for t in graph.tensors() if t.dtype == np.float32 and not t.is_constant)
    unknown = (t for t in reals if t.range is None and not makes_reals(t.producer))
    return [t for t in unknown if not _inherits(t)]


def _inherits(tensor: Tensor) -> bool:
    op = tensor.producer
    if op is None or op.type not in FROM_FIRST | POOLS | BEYOND.keys() | {"RESHAPE"}:
        return False
    return op.input(0).range is None and not op.input(0).is_constant


def _settle(graph: Graph, rules: Sequence[Mapping[str, Rule]]) -> None:
    """Apply the rules to each operator until they rest, forwards, backwards, and so on."""
    for sweep in range(SWEEPS):
        changed = False
        for op in graph.ops if sweep % 2 == 0 else reversed(graph.ops):
            found = [rule for table in rules if (rule := table.get(op.type)) is not None]
            while any(rule(op) for rule in found):
                changed = True
        if not changed:
            return


def _everywhere(graph: Graph, rule: Rule) -> Mapping[str, Rule]:
    return dict.fromkeys({op.type for op in graph.ops}, rule)


def _defaulted(default: tuple[float, float]) -> Rule:
    def rule(op: Op) -> bool:
        changed = False
        for tensor in (*op.inputs, *op.outputs):
            if tensor is None or tensor.range is not None or tensor.is_constant:
                continue
            if tensor.dtype == np.float32:
                tensor.range = Range(*default, "default", "--default_ranges")
                changed = True
        return changed

    return rule


def _derived(range: Range, low: float, high: float, op: Op) -> Range:
    return Range(low, high, "propagated", f"through {op!r}, {range.kind}")


def _copied(range: Range, op: Op) -> Range:
    return _derived(range, range.low, range.high, op)


def _from_first(op: Op) -> bool:
    x, y = op.input(0), op.output
    if y.range is not None or x.range is None:
        return False
    y.range = _copied(x.range, op)
    return True


def _to_first(op: Op) -> bool:
    """TOCO takes the range behind RELU before it, too, and spends no bit on what is cut off."""
    x, y = op.input(0), op.output
    if x.range is not None or y.range is None:
        return False
    x.range = _copied(y.range, op)
    return True


def _unless(own: Set[Tensor], rule: Rule) -> Rule:
    return lambda op: op.input(0) not in own and rule(op)


def _with_zero(op: Op) -> bool:
    x, y = op.input(0), op.output
    if y.range is not None or x.range is None:
        return False
    y.range = _derived(x.range, min(x.range.low, 0.0), max(x.range.high, 0.0), op)
    return True


def _fixed(low: float, high: float) -> Rule:
    def rule(op: Op) -> bool:
        x, y = op.input(0), op.output
        if y.range is not None or x.range is None:
            return False
        y.range = Range(low, high, "fixed", f"{op.type} has a fixed scale")
        return True

    return rule


def _always(low: float, high: float) -> Rule:
    def rule(op: Op) -> bool:
        if op.output.range is not None:
            return False
        op.output.range = Range(low, high, "fixed", f"{op.type} has a fixed scale")
        return True

    return rule


def _normalized(op: Op) -> bool:
    x, y = op.input(0), op.output
    if y.range is not None or x.range is None:
        return False
    low, high = (0.0 if x.range.low >= 0 else -1.0), (0.0 if x.range.high <= 0 else 1.0)
    y.range = Range(low, high, "fixed", f"{op.type} has a fixed scale")
    return True


def _split(op: Op) -> bool:
    """All parts have the range of the whole, whatever else was known of them."""
    whole = op.input(1).range
    if whole is None:
        return False
    parts = [y for y in op.outputs if not _is_equal(y.range, whole)]
    for part in parts:
        part.range = _copied(whole, op)
    return bool(parts)


def _packed(op: Op) -> bool:
    """Only parts that all have one range give it to the whole."""
    ranges = [x.range for x in op.inputs if x is not None]
    if op.output.range is not None or ranges[0] is None:
        return False
    if not all(_is_equal(ranges[0], r) for r in ranges):
        return False
    op.output.range = _copied(ranges[0], op)
    return True


def _selected(op: Op) -> bool:
    """Both operands must have one range; a constant one without takes the other's."""
    a, b, y = op.input(1), op.input(2), op.output
    for constant, other in ((a, b), (b, a)):
        if constant.is_constant and constant.range is None and other.range is not None:
            constant.range = _copied(other.range, op)
    if y.range is not None or a.range is None or not _is_equal(a.range, b.range):
        return False
    y.range = _copied(a.range, op)
    return True


def _joined(change_inputs: bool) -> Rule:
    """The whole has the union of the parts' ranges, and the parts, too, where they may change.

    Constant parts count with what they hold. TOCO overlooked them, and cut them off at the others'.
    """

    def rule(op: Op) -> bool:
        tensors = [*(t for t in op.inputs if t is not None), op.output]
        known = [t.range for t in tensors if t.range is not None]
        if not known:
            return False
        low, high = min(r.low for r in known), max(r.high for r in known)
        for data in (t.data for t in op.inputs if t is not None and t.range is None):
            if data is not None and data.dtype.kind == "f" and data.size:
                low, high = min(low, float(data.min())), max(high, float(data.max()))
        targets = tensors if change_inputs else [op.output] if op.output.range is None else []
        changed = False
        for tensor in targets:
            if tensor.range is None or (tensor.range.low, tensor.range.high) != (low, high):
                narrow = tensor.range is not None and tensor.range.narrow
                tensor.range = replace(_derived(known[0], low, high, op), narrow=narrow)
                changed = True
        return changed

    return rule


def _is_equal(a: Range | None, b: Range | None) -> bool:
    return a is not None and b is not None and (a.low, a.high) == (b.low, b.high)


def _rules(change_concat: bool, own: Set[Tensor] = frozenset()) -> dict[str, Rule]:
    """Return what HardcodeMinMax does for each operator; others neither give nor take."""
    to_first = _unless(own, _to_first)
    return {
        **dict.fromkeys(FROM_FIRST, _from_first),
        **{name: _fixed(*ends) for name, ends in FIXED.items()},
        "RELU": to_first,
        "RESHAPE": lambda op: _from_first(op) or to_first(op),
        **dict.fromkeys(POOLS, _with_zero),
        "L2_NORMALIZATION": _normalized,
        "SPLIT": _split,
        "PACK": _packed,
        "SELECT": _selected,
        "CONCATENATION": _joined(change_concat),
    }


def _all_from_first(op: Op) -> bool:
    x = op.input(0).range
    lacking = [y for y in op.outputs if y.range is None]
    for y in lacking if x is not None else ():
        assert x is not None
        y.range = _copied(x, op)
    return bool(lacking) and x is not None


BEYOND: dict[str, Rule] = {
    **dict.fromkeys(
        {"RELU", "RELU6", "RELU_N1_TO_1", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "SPLIT_V", "UNPACK"}
        | {"BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TILE", "REVERSE_V2", "MIRROR_PAD"},
        _all_from_first,
    ),
    **{name: _always(*ends) for name, ends in FIXED.items()},
    "L2_NORMALIZATION": _always(-1.0, 1.0),
    "LOG_SOFTMAX": _always(-255.0 / 16.0, 0.0),
}
"""Rules that TOCO lacked."""
