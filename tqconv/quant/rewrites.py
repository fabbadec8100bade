"""Exact rewrites of operators that have no integer kernel into operators that have one.

They run before calibration and planning, and only where the scheme needs them. Tensors that they
add are called `<output>/<what>`; where a ranges file does not know them, intervals do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.unroll import MOST_ROUNDS, write_out
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import ACTIVATION, has_activation, made_by, one_and_exponential, with_constant
from tqconv.ir.types import Quant, Range, type_name
from tqconv.ops.emit import Operand, emit
from tqconv.ops.table import spec
from tqconv.quant.finite import questions
from tqconv.quant.forms import better_form
from tqconv.quant.schemes import INT8, INT16, UINT8, Scheme
from tqconv.quant.select import bound_of, operand_name, reals, rule_of

Rewrite = Callable[[Graph, Op], "Tensor | None"]
SATURATED = 6.0
"""Where TANH is 1 to half a step of 16 bits."""
FARTHEST = 8.0
"""How far its operand is followed."""
LEAST_DIVISOR = 1 / 100
"""Part of the largest divisor that is two or more steps of 8 bits, so that it is not zero."""


def prepare(graph: Graph, scheme: Scheme, *, islands: bool = False, strict: bool = False) -> int:
    """Rewrite what the scheme's kernels lack, in place; return how many operators changed.

    `islands`: some operators will have int16 activations although the scheme has not; `strict`:
    none may stay float where integers lose its values.
    """
    count = _write_out_loops(graph) if strict else 0
    wide = islands or scheme.activation == INT16
    kinds = {type_name(t) for t in (scheme.activation, INT16 if wide else None) if t is not None}
    asked = questions(graph) if wide and not strict else set()
    for op in list(graph.ops):
        if op.outputs and op.outputs[0].dtype == np.float32:
            count += _unpack(graph, op) or _read_bytes(graph, op) or _add_bias(graph, op, kinds)
            count += _rewrite(graph, op, scheme) or better_form(graph, op, scheme)
            count += wide and op not in asked and _guard_root(graph, op)
            count += strict and _exponential(graph, op, scheme)
            count += (wide or strict) and (_soften(graph, op) or _saturate(graph, op))
    if count:
        graph.prune()
        graph.sort()
    return count


def _write_out_loops(graph: Graph) -> int:
    """Write out the loops whose rounds are known, in place: a body would stay float."""
    loops = [op for op in graph.ops if op.type == "WHILE"]
    count = sum(graph.attempt(lambda g, loop: write_out(g, loop, MOST_ROUNDS), op) for op in loops)
    if count:
        graph.prune()
        graph.sort()
    return count


def unpack_halves(graph: Graph) -> None:
    """Turn all float16 constants behind DEQUANTIZE back into float32 ones, in place."""
    if sum([_unpack(graph, op) for op in list(graph.ops)]):
        graph.prune()


def guard_divisors(graph: Graph, found: Mapping[Tensor, Range]) -> int:
    """Keep divisors from being stored as zero, at which the integer kernel stops, in place.

    y = DIV(a, b), b in [0.1, 5]   ->   y = DIV(a, MAXIMUM(b, 0.1))          (negative: MINIMUM)

    Exact over the range that is known, if zero is not one of its ends: then a divisor is kept two
    steps from it, where quotients are largest. One of both signs stays as it is.
    """
    count = 0
    for op in list(graph.ops):
        rule = rule_of(op)
        for index, divisor in reals(op):
            known = found.get(divisor)
            if rule is None or operand_name(op, index) not in rule.nonzero or known is None:
                continue
            if bound_of(divisor) is not None or known.low * known.high < 0:
                continue
            if known.low == known.high == 0:
                continue
            if known.low >= 0:
                kind, bound = "MAXIMUM", max(known.low, known.high * LEAST_DIVISOR)
            else:
                kind, bound = "MINIMUM", min(known.high, known.low * LEAST_DIVISOR)
            guard = _emit(graph, op, kind, divisor, _scalar(bound), name="divisor")
            ends = (bound, known.high) if kind == "MAXIMUM" else (known.low, bound)
            guard.range = replace(known, low=ends[0], high=ends[1], exact=False)
            graph.set_input(op, index, guard)
            count += 1
    if count:
        graph.sort()
    return count


def _rewrite(graph: Graph, op: Op, scheme: Scheme) -> bool:
    rewrite = REWRITES.get(op.type)
    if rewrite is None or scheme.activation is None:
        return False
    rule = rule_of(op)
    if rule is not None and type_name(scheme.activation) in rule.types:
        return False
    made = rewrite(graph, op)
    if made is None:
        return False
    graph.replace(op.output, made)
    return True


def _unpack(graph: Graph, op: Op) -> bool:
    """Turn a float16 constant behind DEQUANTIZE back into the float32 one that it came from."""
    if op.type != "DEQUANTIZE" or op.input(0).data is None or op.input(0).dtype != np.float16:
        return False
    stored = op.input(0).data
    assert stored is not None
    wide = graph.constant(f"{op.output.name}/wide", stored.astype(np.float32))
    graph.replace(op.output, wide)
    return True


def _read_bytes(graph: Graph, op: Op) -> bool:
    """Read 8-bit input as reals with scale 1 and zero point 0 instead of casting it; exact."""
    x = op.input(0) if op.type == "CAST" else op.output
    if x not in graph.inputs or x.dtype not in (INT8, UINT8) or x.quant is not None:
        return False
    if x in graph.outputs or any(use.op.type != "CAST" for use in x.uses):
        return False
    x.quant = Quant.per_tensor(1.0, 0)
    ends = np.iinfo(x.dtype)
    made = Tensor(graph.unique(f"{op.output.name}/reals"), x.shape, np.dtype(np.float32))
    made.range = Range(float(ends.min), float(ends.max), "input_stats", "integers as they are")
    graph.add(Op("DEQUANTIZE", (x,), (made,), source=op.source))
    graph.replace(op.output, made)
    return True


def _add_bias(graph: Graph, op: Op, kinds: Collection[str]) -> bool:
    """Give an operator whose integer kernel needs a bias, in one of these types, one of zeros."""
    rule = rule_of(op)
    if rule is None or rule.needs_bias.isdisjoint(kinds):
        return False
    operands = spec(op.type).operands
    index, weights = operands.index("b"), op.input(operands.index("w"))
    if index < len(op.inputs) and op.inputs[index] is not None:
        return False
    axis = rule.weight["w"]
    channels = None if axis is None else weights.shape[axis]
    if channels is None:
        return False
    zeros = graph.constant(f"{op.output.name}/bias", np.zeros(channels, np.float32))
    graph.set_input(op, index, zeros)
    return True


def _soften(graph: Graph, op: Op) -> bool:
    """LOG(1 + EXP(x)) = RELU(x) - LOG(LOGISTIC(|x|)): no step is wide beside another's."""
    total = made_by(op.inputs[0], "ADD") if op.type == "LOG" and op in graph.ops else None
    exponential = one_and_exponential(total) if total is not None else None
    if exponential is None:
        return False
    x = exponential.input(0)
    size = _emit(graph, op, "ABS", x, name="size")
    rest = _emit(graph, op, "LOG", _emit(graph, op, "LOGISTIC", size, name="near"), name="rest")
    ramp = _emit(graph, op, "RELU", x, name="ramp")
    graph.replace(op.output, _emit(graph, op, "SUB", ramp, rest, name="sum"))
    return True


def _saturate(graph: Graph, op: Op) -> bool:
    """Clamp x in TANH(x * p(x * x)) where the result is 1: powers beyond leave no steps for others.

    The error function is such a polynomial, increasing all the way.
    """
    product = made_by(op.inputs[0], "MUL") if op.type == "TANH" and op in graph.ops else None
    if product is None:
        return False
    for index in (0, 1):
        x, p = _unshaped(product.input(index)), product.input(1 - index)
        factors = _polynomial(x, p)
        if factors is None or bound_of(x) is not None:
            continue
        beyond = np.linspace(0, FARTHEST, 1000)
        made = beyond * np.polyval(factors, beyond**2)
        if made[-1] < SATURATED or np.any(np.diff(made) < 0):
            return False
        most = float(beyond[np.argmax(made >= SATURATED)])
        least = _emit(graph, op, "MAXIMUM", x, _scalar(-most), name="least")
        near = _emit(graph, op, "MINIMUM", least, _scalar(most), name="most")
        for use in [u for u in x.uses if u.op in _made_of(op, x)]:
            graph.set_input(use.op, use.index, near)
        return True
    return False


def _polynomial(x: Tensor, p: Tensor) -> list[float] | None:
    """Return the factors of p, a polynomial in x * x as Horner's rule computes it, or None."""
    factors: list[float] = []
    while (added := made_by(p, "ADD")) is not None and (split := with_constant(added)) is not None:
        scaled = made_by(split.x, "MUL")
        if split.constant.size != 1 or scaled is None or has_activation(added):
            return None
        factors.append(float(split.constant.reshape(-1)[0]))
        square = next((t for t in scaled.inputs if t is not None and _is_square(t, x)), None)
        others = [t for t in scaled.inputs if t is not square]
        if square is None or len(others) != 1 or others[0] is None:
            return None
        p = others[0]
    if p.data is None or p.size != 1 or not factors:
        return None
    return [float(p.data.reshape(-1)[0]), *reversed(factors)]


def _is_square(tensor: Tensor, x: Tensor) -> bool:
    op = made_by(tensor, "MUL", "SQUARE")
    return op is not None and all(t is not None and _unshaped(t) is x for t in op.inputs)


def _unshaped(tensor: Tensor) -> Tensor:
    while (op := made_by(tensor, "RESHAPE")) is not None:
        tensor = op.input(0)
    return tensor


def _made_of(op: Op, x: Tensor) -> set[Op]:
    """Return the operators between a value and one that is computed from it, this included."""
    found, waiting = {op}, [op]
    while waiting:
        for tensor in waiting.pop().inputs:
            if tensor is not None and tensor is not x and tensor.producer is not None:
                waiting += {tensor.producer} - found
                found.add(tensor.producer)
    return found


def _exponential(graph: Graph, op: Op, scheme: Scheme) -> bool:
    """ELU(x) = RELU(x) + (EXP(x - RELU(x)) - 1), for 16 bits, of which it has no kernel."""
    if op.type != "ELU" or scheme.activation != INT16:
        return False
    ramp = _emit(graph, op, "RELU", op.input(0), name="ramp")
    below = _emit(graph, op, "SUB", op.input(0), ramp, name="below")
    power = _emit(graph, op, "EXP", below, name="power")
    tail = _emit(graph, op, "ADD", power, _scalar(-1), name="tail")
    graph.replace(op.output, _emit(graph, op, "ADD", ramp, tail, name="sum"))
    return True


def _guard_root(graph: Graph, op: Op) -> bool:
    """Put RELU before a root: the int16 kernels stop at a negative input, even a rounding error."""
    if op.type not in ("SQRT", "RSQRT") or op not in graph.ops:
        return False
    before = op.input(0).producer
    if before is not None and before.type == "RELU":
        return False
    graph.set_input(op, 0, _emit(graph, op, "RELU", op.input(0), name="positive"))
    return True


def _emit(
    graph: Graph, op: Op, type: str, *operands: Operand, name: str, **options: object
) -> Tensor:
    """Add an operator that does a part of the work of `op`, and return its output."""
    made = emit(
        graph,
        type,
        *operands,
        name=f"{op.output.name}/{name}",
        source=op.source,
        **options,
    )
    assert isinstance(made, Tensor)
    return made


def _scalar(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def _negate(graph: Graph, op: Op) -> Tensor:
    """NEG(x) = MUL(x, -1): -1 is exact, and 0 - x would need a scale for 0."""
    return _emit(graph, op, "MUL", op.input(0), _scalar(-1), name="negated")


def _square(graph: Graph, op: Op) -> Tensor:
    return _emit(graph, op, "MUL", op.input(0), op.input(0), name="squared")


def _add_n(graph: Graph, op: Op) -> Tensor:
    total = op.input(0)
    for index in range(1, len(op.inputs)):
        total = _emit(graph, op, "ADD", total, op.input(index), name=f"sum{index}")
    return total


def _power(graph: Graph, op: Op) -> Tensor | None:
    """POW(x, c) for the exponents that have an operator; None for others."""
    exponent = op.input(1).data
    if exponent is None or exponent.size == 0 or np.any(exponent != exponent.flat[0]):
        return None
    if op.input(0).shape != op.output.shape:
        return None
    x, power = op.input(0), float(exponent.flat[0])
    if power == 2:
        return _square(graph, op)
    if power == 3:
        return _emit(graph, op, "MUL", _square(graph, op), x, name="cubed")
    roots = {0.5: "SQRT", -0.5: "RSQRT"}
    return _emit(graph, op, roots[power], x, name="root") if power in roots else None


def _squared_difference(graph: Graph, op: Op) -> Tensor:
    difference = _emit(graph, op, "SUB", op.input(0), op.input(1), name="difference")
    return _emit(graph, op, "MUL", difference, difference, name="squared")


def _l2_pool(graph: Graph, op: Op) -> Tensor | None:
    if op.options.get(ACTIVATION, "NONE") != "NONE":
        return None
    squared = _square(graph, op)
    mean = _emit(graph, op, "AVERAGE_POOL_2D", squared, name="mean", **op.options)
    return _emit(graph, op, "SQRT", mean, name="root")


def _hard_swish(graph: Graph, op: Op) -> Tensor:
    """HARD_SWISH(x) = x / 6 * min(max(x + 3, 0), 6)."""
    x = op.input(0)
    gate = _emit(graph, op, "ADD", x, _scalar(3), name="gate", **{ACTIVATION: "RELU6"})
    sixth = _emit(graph, op, "MUL", x, _scalar(1 / 6), name="sixth")
    return _emit(graph, op, "MUL", sixth, gate, name="gated")


def _clamp(low: float, high: float) -> Rewrite:
    def rewrite(graph: Graph, op: Op) -> Tensor:
        above = _emit(graph, op, "MAXIMUM", op.input(0), _scalar(low), name="above")
        return _emit(graph, op, "MINIMUM", above, _scalar(high), name="between")

    return rewrite


def _space_to_depth(graph: Graph, op: Op) -> Tensor | None:
    """[n, h, w, c] with blocks b: rows [n*h/b, b, w/b, b*c] with the middle axes swapped."""
    n, h, w, c = op.input(0).shape
    block = int(op.options.get("block_size", 0))
    if n is None or h is None or w is None or c is None or block < 1:
        return None
    split = (n * h // block, block, w // block, block * c)
    return _swap_middle(graph, op, split)


def _depth_to_space(graph: Graph, op: Op) -> Tensor | None:
    """[n, h, w, c] with blocks b: rows [n*h, w, b, c/b] with the middle axes swapped."""
    n, h, w, c = op.input(0).shape
    block = int(op.options.get("block_size", 0))
    if n is None or h is None or w is None or c is None or block < 1:
        return None
    return _swap_middle(graph, op, (n * h, w, block, c // block))


def _swap_middle(graph: Graph, op: Op, split: tuple[int, ...]) -> Tensor | None:
    if not op.output.is_static:
        return None
    rows = _emit(graph, op, "RESHAPE", op.input(0), np.array(split, np.int32), name="split")
    order = np.array([0, 2, 1, 3], np.int32)
    swapped = _emit(graph, op, "TRANSPOSE", rows, order, name="swapped")
    shape = np.array(op.output.shape, np.int32)
    return _emit(graph, op, "RESHAPE", swapped, shape, name="joined")


REWRITES: dict[str, Rewrite] = {
    "NEG": _negate,
    "ZEROS_LIKE": _clamp(0.0, 0.0),
    "SQUARE": _square,
    "ADD_N": _add_n,
    "POW": _power,
    "SQUARED_DIFFERENCE": _squared_difference,
    "L2_POOL_2D": _l2_pool,
    "HARD_SWISH": _hard_swish,
    "RELU_N1_TO_1": _clamp(-1.0, 1.0),
    "RELU_0_TO_1": _clamp(0.0, 1.0),
    "SPACE_TO_DEPTH": _space_to_depth,
    "DEPTH_TO_SPACE": _depth_to_space,
}
"""What replaces an operator where the scheme's activation type has no kernel for it."""
