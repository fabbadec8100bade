"""Which operators run on integers, and why the others do not."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set

import numpy as np

from tqconv.errors import UsageError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import made_by, with_constant
from tqconv.ir.types import dtype_of, type_name
from tqconv.ops.finite import HANDS_ON
from tqconv.ops.spec import QuantRule
from tqconv.ops.table import known, spec, those
from tqconv.patterns import searched
from tqconv.quant.schemes import INT16, Scheme
from tqconv.records import dataclass

CONVERSIONS = those(lambda row: row.converts)
FALLBACK_TYPES = ("INT8", "INT16")
"""Types that stand in for a missing kernel where float is not allowed, cheapest first."""
DENSE = those(lambda row: row.dense)
MOVES = those(lambda row: row.copies in ("order", "permuted"))
MOVED = "shares values with none but float operators"


@dataclass(frozen=True)
class Choice:
    """What the user asked for beyond the scheme; the patterns match source node names.

    `wide`, `real`: operators that have 16 bits, and that stay float, to reach an accuracy.
    """

    keep_float: tuple[str, ...] = ()
    int16: tuple[str, ...] = ()
    per_channel: bool = True
    per_channel_dense: bool = True
    integer_only: bool = False
    weight_bits: int = 8
    weight_block: int = 0
    wide: frozenset[Op] = frozenset()
    real: frozenset[Op] = frozenset()


@dataclass
class Selection:
    """Activation type of each operator that runs on integers; the reason of each that does not."""

    types: dict[Op, np.dtype]
    floats: dict[Op, str]

    def keep_float(self, graph: Graph, reasons: Mapping[Op, str]) -> None:
        """Let more operators be float, and the moves that only they would have made worthwhile."""
        for op, reason in reasons.items():
            self.floats[op] = reason
            del self.types[op]
        _leave_idle_moves(graph, self)


def is_real(tensor: Tensor | None) -> bool:
    """Whether a tensor holds reals that can be quantized."""
    return tensor is not None and tensor.dtype == np.float32 and not tensor.variable


def takes_integers(op: Op) -> bool:
    """Whether a custom operator was declared to read quantized operands."""
    return op.type == "CUSTOM" and bool(op.options.get("takes_integers"))


def makes_reals(op: Op | None) -> bool:
    """Whether a custom operator makes reals, from whatever it reads."""
    if op is None or op.type != "CUSTOM":
        return False
    return bool(op.options.get("makes_reals")) or not takes_integers(op)


def rule_of(op: Op) -> QuantRule | None:
    """Return the quantization column of an operator's row, None where it has none."""
    return spec(op.type).quant if known(op.type) else None


def operand_name(op: Op, index: int) -> str:
    """Return the row's name of an input."""
    return spec(op.type).operands.name(index)


def reals(op: Op) -> Iterator[tuple[int, Tensor]]:
    """Yield position and tensor of the inputs that hold reals."""
    for index, tensor in enumerate(op.inputs):
        if tensor is not None and is_real(tensor):
            yield index, tensor


@dataclass(frozen=True)
class State:
    """A variable that an operator starts from: what it is filled with in every run.

    `like`: the result whose parameters it shares, None for cells, which have 16 bits.
    """

    index: int
    variable: Tensor
    first: Tensor
    like: Tensor | None


def states(op: Op) -> list[State]:
    """Return the states that an integer kernel keeps, as far as each run fills them anew."""
    rule = rule_of(op)
    found = []
    for name, like in (rule.states if rule is not None else {}).items():
        index = spec(op.type).operands.index(name)
        tensor = op.inputs[index] if index < len(op.inputs) else None
        maker = tensor.producer if tensor is not None else None
        if tensor is not None and tensor.variable and maker is not None and fills_states(maker):
            found.append(State(index, tensor, maker.input(0), op.output if like else None))
    return found


def fills_states(op: Op) -> bool:
    """Whether an operator does nothing but copy the first states of another into its variables."""
    copies = len(op.inputs) > 0 and all(t is op.inputs[0] for t in op.inputs)
    return copies and len(op.outputs) == 1 and op.outputs[0].variable


def begins_integers(op: Op, types: Mapping[Op, np.dtype]) -> bool:
    """Whether an operator only fills states that operators on integers keep."""
    return fills_states(op) and all(use.op in types for use in op.output.uses)


def in_group(op: Op, index: int, rule: QuantRule) -> bool:
    """Whether an input shares the scale of a `same` operator."""
    return not rule.same_over or operand_name(op, index) in rule.same_over


def is_same(rule: QuantRule, dtype: np.dtype) -> bool:
    """Whether the operator's reals must share their parameters in this activation type."""
    return rule.same and type_name(dtype) not in rule.same_except


def select(graph: Graph, scheme: Scheme, choice: Choice) -> Selection:
    """Decide for each operator of the graph that touches reals."""
    check_patterns(graph.ops, choice)
    chosen = Selection({}, {})
    endless = _endless(graph)
    for op in graph.ops:
        touches = any(True for _ in reals(op)) or any(is_real(t) for t in op.outputs)
        if not touches or op.type in CONVERSIONS or fills_states(op):
            continue
        reason = _refusal(op, scheme, choice) or _end_refusal(op, endless)
        if reason is None:
            chosen.types[op] = _type_of(op, scheme, choice)
        else:
            chosen.floats[op] = reason
    if not choice.integer_only:
        _leave_idle_moves(graph, chosen)
    return chosen


def _type_of(op: Op, scheme: Scheme, choice: Choice) -> np.dtype:
    rule = rule_of(op)
    assert rule is not None
    assert scheme.activation is not None
    if _is_wide(op, choice) and "INT16" in rule.types:
        return INT16
    if type_name(scheme.activation) in rule.types:
        return scheme.activation
    return next(dtype_of(name) for name in FALLBACK_TYPES if name in rule.types)


def _refusal(op: Op, scheme: Scheme, choice: Choice) -> str | None:
    """Return why an operator cannot run on integers, None when it can."""
    assert scheme.activation is not None
    wanted = type_name(scheme.activation)
    if is_kept_float(op, choice):
        return "kept float by --keep_float"
    if op in choice.real:
        return "kept float to reach --min_sqnr"
    if op.type == "CUSTOM":
        return "is a custom operator, which reads and makes reals"
    if op.graphs:
        return "bodies of control flow stay float"
    rule = rule_of(op)
    owned = {state.index for state in states(op)}
    if any(t is not None and t.variable and i not in owned for i, t in enumerate(op.inputs)):
        return "its state stays float"
    if rule is None or not rule.types:
        return "has no integer kernel that computes right"
    allowed = {wanted} | set(FALLBACK_TYPES if choice.integer_only else ())
    allowed |= {"INT16"} if _is_wide(op, choice) else set()
    if not allowed & rule.types:
        return f"has no {wanted.lower()} kernel that computes right"
    reason = None if rule.refuses is None else rule.refuses(op)
    return reason or _operand_refusal(op, rule, type_name(_type_of(op, scheme, choice)))


def _operand_refusal(op: Op, rule: QuantRule, kind: str) -> str | None:
    for index, tensor in reals(op):
        name = operand_name(op, index)
        if _is_endless(tensor) and not _is_below_all(op, tensor):
            return NOT_FINITE.format(tensor.name)
        if name in rule.weight and not tensor.is_constant and kind not in rule.free_weights:
            return f"its weights '{tensor.name}' are computed at run time"
        if name in rule.bias and not tensor.is_constant:
            return f"its bias '{tensor.name}' is computed at run time"
        if name in rule.nonzero and _may_be_zero(tensor):
            return f"stops where '{tensor.name}' is stored as zero"
    return None


NOT_FINITE = "reads '{}', which holds values that are not finite"


def _is_endless(tensor: Tensor) -> bool:
    return tensor.data is not None and not np.isfinite(tensor.data).all()


def _is_below_all(op: Op, tensor: Tensor) -> bool:
    """Whether a constant is -inf around an image of which maxima are taken: any least will do.

    Rounded from reals it would not: kernels make the highest integer of -inf where the zero point
    is negative.
    """
    if op.type != "PADV2" or tensor.data is None or not np.isneginf(tensor.data).all():
        return False
    readers = [use.op for use in op.outputs[0].uses]
    for reader in readers:
        if reader.type in MOVES:
            readers += [use.op for use in reader.outputs[0].uses]
    return all(reader.type == "MAX_POOL_2D" or reader.type in MOVES for reader in readers)


def _endless(graph: Graph) -> Set[Tensor]:
    """Return the computed values into which infinities of constants go: scores that are masked."""
    found: set[Tensor] = set()
    for op in graph.ops:
        ends = [t for _, t in reals(op) if t in found or _is_endless(t)]
        if op.type in HANDS_ON and not all(_is_below_all(op, t) for t in ends):
            found.update(filter(is_real, op.outputs))
    return found


def _end_refusal(op: Op, endless: Set[Tensor]) -> str | None:
    """Return why an operator must see infinities; those that choose may see the end of a range."""
    rule = rule_of(op)
    if rule is None or (rule.same and op.type not in HANDS_ON):
        return None
    return next((NOT_FINITE.format(t.name) for _, t in reals(op) if t in endless), None)


def bound_of(tensor: Tensor) -> float | None:
    """Return the number that keeps a tensor away from zero, by MAXIMUM or MINIMUM, or None."""
    op = made_by(tensor, "MAXIMUM", "MINIMUM")
    operands = with_constant(op) if op is not None else None
    if op is None or operands is None or operands.constant.size == 0:
        return None
    nearest = float(operands.constant.min() if op.type == "MAXIMUM" else operands.constant.max())
    return nearest if nearest * (1 if op.type == "MAXIMUM" else -1) > 0 else None


def _may_be_zero(tensor: Tensor) -> bool:
    """Whether some element could be stored as zero in 8 bits (or in 16, which is finer)."""
    if bound_of(tensor) is not None:
        return False  # the plan, which knows the scale, has the last word
    if tensor.data is None or not tensor.size:
        return True
    magnitudes = np.abs(tensor.data)
    spread = max(float(tensor.data.max()), 0.0) - min(float(tensor.data.min()), 0.0)
    return bool(magnitudes.min() <= spread / 255)


def _is_wide(op: Op, choice: Choice) -> bool:
    return op in choice.wide or _matches(choice.int16, op)


def can_be_wide(op: Op) -> bool:
    """Whether an operator has a kernel of 16 bits that takes its operands."""
    rule = rule_of(op)
    if rule is None or "INT16" not in rule.types:
        return False
    return _operand_refusal(op, rule, "INT16") is None


def weight_type(op: Op, activation: str, choice: Choice, usual: np.dtype) -> np.dtype:
    """Return the type of an operator's weights beside activations of a type (FLOAT32: hybrid)."""
    rule = rule_of(op)
    if choice.weight_bits == 4 and rule is not None and activation in rule.nibbles:
        return dtype_of("INT4")
    return usual


def is_kept_float(op: Op, choice: Choice) -> bool:
    """Whether the user wants an operator to stay float."""
    return _matches(choice.keep_float, op)


def _matches(patterns: tuple[str, ...], op: Op) -> bool:
    names = [op.source.node, *(s.node for s in op.source.also), *(t.name for t in op.outputs)]
    return any(re.search(pattern, name) for pattern in patterns for name in names)


def check_patterns(ops: Sequence[Op], choice: Choice) -> None:
    """Raise UsageError where a pattern is no regular expression or matches no operator."""
    for flag, patterns in (("keep_float", choice.keep_float), ("int16", choice.int16)):
        for pattern in patterns:
            searched(pattern, f"--{flag} ")
            if not any(_matches((pattern,), op) for op in ops):
                raise UsageError(
                    f"--{flag} `{pattern}` matches no node",
                    hint="patterns match names of source nodes, anywhere in the name",
                )


def _leave_idle_moves(graph: Graph, chosen: Selection) -> None:
    """Keep moves float that no computing integer operator reaches through other moves.

    One whose result the source rounds has a meaning of its own, if anything computes with it.
    """
    moves = {op for op in chosen.types if (rule := rule_of(op)) is not None and rule.same}
    reached = set(chosen.types) - moves
    reached |= {op for op in moves if _is_rounded(op) and _is_used(op, moves)}
    for op in moves.difference(spread(reached, moves)):
        chosen.floats[op] = MOVED
        del chosen.types[op]
    order: Mapping[Op, int] = {op: i for i, op in enumerate(graph.ops)}
    chosen.floats = dict(sorted(chosen.floats.items(), key=lambda item: order[item[0]]))


def _is_rounded(op: Op) -> bool:
    return op.outputs[0].range is not None and op.outputs[0].range.exact


def _is_used(op: Op, moves: Set[Op]) -> bool:
    """Whether an operator that is no move reads the result, or what moves make of it."""
    seen, frontier = {op}, [op]
    while frontier:
        readers = {use.op for tensor in frontier.pop().outputs for use in tensor.uses}
        if not readers <= moves:
            return True
        frontier += readers - seen
        seen |= readers
    return False


def spread(starts: Iterable[Op], among: Collection[Op]) -> list[Op]:
    """Return operators and all of these that they share values with, also through others."""
    found = dict.fromkeys(starts)
    frontier = list(found)
    while frontier:
        fresh = [op for op in neighbours(frontier.pop()) if op in among and op not in found]
        found |= dict.fromkeys(fresh)
        frontier += fresh
    return list(found)


def neighbours(op: Op) -> Iterator[Op]:
    """Yield what makes the reals that an operator reads, and what reads those that it makes."""
    for _, tensor in reals(op):
        if tensor.producer is not None:
            yield tensor.producer
    for tensor in op.outputs:
        if is_real(tensor):
            yield from (use.op for use in tensor.uses)
