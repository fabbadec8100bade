"""The plan: how every tensor will be stored, where values are converted, and why.

Planning reads the graph and changes nothing; `apply` carries a plan out; `report` prints it.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import QuantizationError
from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.grid import extremes
from tqconv.ir.types import Range, type_name
from tqconv.quant import features, finite, places, whole
from tqconv.quant import params as arithmetic
from tqconv.quant.ends import coarse_ends, coarse_kernels, decided_ends, fine_ends
from tqconv.quant.groups import Grouping, group, members
from tqconv.quant.islands import islands
from tqconv.quant.losses import blurred, bounded_wider, lost, seen_wider, stopped, uneven_ends
from tqconv.quant.params import Params
from tqconv.quant.refusals import WITH_FLOATS, MissingRangesError, float_report
from tqconv.quant.rounded import other_steps, rounded
from tqconv.quant.saturation import without_tails
from tqconv.quant.scale_limits import LEAST_RESCALE, MOST_RESCALE, raise_scales
from tqconv.quant.schemes import BY_ACTIVATION, INT16, UINT8, Scheme
from tqconv.quant.select import (
    DENSE,
    Choice,
    Selection,
    begins_integers,
    is_real,
    makes_reals,
    operand_name,
    reals,
    rule_of,
    select,
    states,
    weight_type,
)
from tqconv.quant.untold import untold
from tqconv.records import dataclass


@dataclass(frozen=True)
class Stored:
    """How constants are stored, as far as it was worked out; plans of the same wishes share it.

    `weights`: by the kind of operator that reads them and its activation type; `codes`: the nearest
    integers, by the array and its parameters. Both hold what they are about.
    """

    weights: dict[tuple[Tensor, str, np.dtype], Params] = field(default_factory=dict)
    codes: dict[tuple[object, ...], tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=dict)

    def nearest(self, data: NDArray[Any], params: Params) -> NDArray[Any]:
        """Return the integers that stand for an array that nobody changes."""
        key = (id(data), params.narrow, *params.key())
        if key not in self.codes:
            self.codes[key] = data, arithmetic.encode(data, params)
        return self.codes[key][1]


@dataclass
class Plan:
    """How tensors are stored, and what each reader wants where that differs.

    `tensors`: parameters of values that are made (or fed) as integers; `edges`: what an operator
    reads instead of the tensor as it is made, None for reals; `borders`: parameters of graph inputs
    and outputs that the user wants as integers, None for float ones; `codes`: integers of constants
    that an improver chose, else they are the nearest; `rounded`: how the source stores values that
    operators then read as reals; `floats`: operators that stay float, and why;
    `request`: what was planned for, so that it can be planned again with other wishes.
    """

    scheme: Scheme
    tensors: dict[Tensor, Params] = field(default_factory=dict)
    edges: dict[Use, Params | None] = field(default_factory=dict)
    borders: dict[Tensor, Params | None] = field(default_factory=dict)
    codes: dict[Use, NDArray[Any]] = field(default_factory=dict)
    rounded: dict[Tensor, Params] = field(default_factory=dict)
    floats: dict[Op, str] = field(default_factory=dict)
    types: dict[Op, np.dtype] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    request: Request | None = None

    def read_as(self, use: Use) -> Params | None:
        """Return how an operator reads an input: as an edge says, else as the tensor is made."""
        if use in self.edges:
            return self.edges[use]
        tensor = use.op.inputs[use.index]
        return None if tensor is None else self.tensors.get(tensor)


@dataclass(frozen=True)
class Request:
    """The evidence and the wishes that a plan follows.

    `wide`: evidence about values of 16 bits, which have room for all that was observed; `stored`:
    what is known of constants.
    """

    found: Mapping[Tensor, Range]
    choice: Choice
    borders: Borders
    wide: Mapping[Tensor, Range] | None = None
    stored: Stored = field(default_factory=Stored)


@dataclass(frozen=True)
class Borders:
    """Types of graph inputs and outputs: None stands for float.

    `custom`: so are outputs of custom operators, which may be numbers of classes.
    """

    inputs: np.dtype | None = None
    outputs: np.dtype | None = None
    custom: bool = False

    def of_output(self, tensor: Tensor) -> np.dtype | None:
        """Return the type of a graph output."""
        return None if makes_reals(tensor.producer) and not self.custom else self.outputs


def plan(
    graph: Graph,
    scheme: Scheme,
    found: Mapping[Tensor, Range],
    choice: Choice,
    borders: Borders,
    wide: Mapping[Tensor, Range] | None = None,
    stored: Stored | None = None,
) -> Plan:
    """Decide how every tensor of the graph is stored.

    `found`, `wide`: evidence about activations, and about those of 16 bits where that differs;
    `stored`: what an earlier plan of the same graph worked out, by the same `choice`.
    Raises QuantizationError for all tensors without a range (but see `_ranged`), or for all
    operators that have to stay float although `choice.integer_only`: builtin ones, for what custom
    ones read is up to them.
    """
    selection = select(graph, scheme, choice)
    _leave_exact(graph, choice, borders, selection)
    fine = {t for t in graph.outputs if borders.of_output(t) == INT16}
    selection.types.update(fine_ends(graph, selection.types, fine))
    if not choice.integer_only:
        real = {t for t in graph.outputs if borders.of_output(t) is None}
        selection.keep_float(graph, coarse_ends(graph, selection.types, real))
        selection.keep_float(graph, coarse_kernels(selection.types, found))
        selection.keep_float(graph, decided_ends(graph, selection.types, real))
        selection.keep_float(graph, uneven_ends(graph, selection.types, found, real))
        selection.keep_float(graph, other_steps(graph, selection.types, found))
    floats = {op: why for op, why in selection.floats.items() if op.type != "CUSTOM"}
    if choice.integer_only and floats:
        raise float_report(floats, WITH_FLOATS)
    needed = without_tails(graph, found, selection.types)
    request = Request(needed, choice, borders, wide, stored or Stored())
    groups = _ranged(graph, selection, request)
    types = selection.types
    raise_scales(graph, groups, types, lambda use: _weights(use, types[use.op], request))
    result = Plan(scheme, floats=selection.floats, types=selection.types)
    result.request = replace(request, found=found)  # with other types, other tails are needed
    _plan_tensors(graph, groups, selection, result)
    result.rounded = rounded(graph, found, scheme.activation, result.tensors)
    for op in graph.ops:
        if op in selection.types:
            _plan_operands(op, groups, request, result)
        elif not begins_integers(op, selection.types):
            _read_reals(op, result)
    _plan_borders(graph, found, borders, result)
    return result


def _leave_exact(graph: Graph, choice: Choice, borders: Borders, selection: Selection) -> None:
    """Keep what no step may change float: questions, positions, whole numbers, unlike features."""
    fed = set(graph.inputs) if borders.inputs is None and not choice.integer_only else set()
    reasons = {
        **dict.fromkeys(features.levelling(graph, fed), features.REASON),
        **({} if choice.integer_only else dict.fromkeys(finite.questions(graph), finite.REASON)),
        **dict.fromkeys(places.positions(graph), places.REASON),
        **dict.fromkeys(whole.cast_back(graph), whole.REASON),
    }
    reasons = {op: why for op, why in reasons.items() if op in selection.types}
    if reasons:
        selection.keep_float(graph, reasons)


def _ranged(graph: Graph, selection: Selection, request: Request) -> Grouping:
    """Group the values, of which all have a range.

    Where conversions to integers and back say exact ranges, the model was trained with reals
    wherever they say none: what has no range stays float.
    """
    pairs = any(known.exact for known in request.found.values())
    while True:
        groups = _grouped(graph, selection, request)
        missing = _missing(graph, groups, request, selection)
        if not missing:
            return groups
        reasons = _without_range(selection, set(missing)) if pairs else {}
        if request.choice.integer_only or not reasons:
            raise MissingRangesError(missing, pairs=pairs)
        selection.keep_float(graph, reasons)


def _without_range(selection: Selection, missing: Set[Tensor]) -> dict[Op, str]:
    """Return the integer operators that read or make a value without a range."""
    reasons = {}
    for op in selection.types:
        touched = [*op.outputs, *(t for _, t in reals(op)), *(s.variable for s in states(op))]
        unknown = next((t for t in touched if t in missing), None)
        if unknown is not None:
            reasons[op] = f"no range is known of '{unknown.name}'"
    return reasons


def _grouped(graph: Graph, selection: Selection, request: Request) -> Grouping:
    """Group the values; where float is allowed, take out the operators that would lose theirs."""
    found, choice = request.found, request.choice
    while True:
        real_inputs = request.borders.inputs is None
        groups = group(graph, selection.types, found, request.wide, real_inputs=real_inputs)
        reasons = {**blurred(groups, selection.types), **stopped(groups, selection.types, found)}
        if choice.integer_only and (wider := bounded_wider(groups, selection.types)):
            selection.types.update(wider)
            continue
        if not choice.integer_only:
            reasons = {**lost(graph, groups, selection.types, found), **reasons}
            reasons = reasons or islands(selection, choice)
        if not reasons:
            return groups
        if not choice.integer_only:
            selection.keep_float(graph, reasons)
        elif wider := seen_wider(reasons, selection.types):
            selection.types.update(wider)
        else:
            raise float_report(reasons, WITH_FLOATS)


def _missing(
    graph: Graph, groups: Grouping, request: Request, selection: Selection
) -> list[Tensor]:
    """Return the tensors whose group knows no range, in the order of the graph."""
    found, borders = request.found, request.borders
    unknown = {t for t in members(g for g in groups.groups() if g.params() is None)}
    unknown |= untold(graph, groups, selection.types, found, bounded=request.choice.integer_only)
    cells = {s.variable for op in selection.types for s in states(op) if s.like is None}
    unknown |= cells - found.keys()
    stored = {t for t, _ in groups.homes}
    ends = [(t, borders.inputs) for t in graph.inputs]
    ends += [(t, borders.of_output(t)) for t in graph.outputs]
    for tensor, dtype in ends:
        told = tensor in found or tensor in stored or tensor.is_constant
        if dtype is not None and is_real(tensor) and not told:
            unknown.add(tensor)
    return [t for t in graph.tensors() if t in unknown]


def _plan_tensors(graph: Graph, groups: Grouping, selection: Selection, result: Plan) -> None:
    """Give the values that integer operators make their parameters; fed ones those of a reader."""
    for op in graph.ops:
        if op not in selection.types:
            continue
        for tensor in op.outputs:
            if is_real(tensor):
                result.tensors[tensor] = groups.home(tensor, selection.types[op]).known()
    for tensor in graph.inputs:
        types = [selection.types[u.op] for u in tensor.uses if u.op in selection.types]
        if is_real(tensor) and types:
            result.tensors[tensor] = groups.home(tensor, types[0]).known()


def _read_reals(op: Op, result: Plan) -> None:
    for index, tensor in reals(op):
        if tensor in result.tensors:
            result.edges[Use(op, index)] = None


def _plan_operands(op: Op, groups: Grouping, request: Request, result: Plan) -> None:
    """Record what an integer operator reads: activations, constants, weights, then the bias."""
    rule, dtype = rule_of(op), result.types[op]
    assert rule is not None
    for index, tensor in reals(op):
        name, use = operand_name(op, index), Use(op, index)
        if (weights := _weights(use, dtype, request)) is not None:
            result.edges[use] = weights
        elif name in rule.bias:
            continue
        elif use in groups.requantized:
            whole, reason = groups.requantized[use]
            why = f"requantized for {op!r}: {reason}"
            result.edges[use] = replace(whole.whole().known(), why=why)
        elif use in groups.constants:
            result.edges[use] = groups.constants[use].whole().known()
        else:
            wanted = groups.home(tensor, dtype).known()
            if not wanted.equals(result.tensors.get(tensor)):
                result.edges[use] = wanted
    for name, (x, w) in rule.bias.items():
        _plan_bias(op, name, x, w, result)
    for state in states(op):
        like = None if state.like is None else result.tensors[state.like]
        result.edges[Use(op, state.index)] = like or arithmetic.cells(request.found[state.variable])


def _weights(use: Use, dtype: np.dtype, request: Request) -> Params | None:
    """Return the parameters of an operand that is constant weights, else None."""
    tensor, rule = use.op.input(use.index), rule_of(use.op)
    name = operand_name(use.op, use.index)
    if not tensor.is_constant or rule is None or name not in rule.weight:
        return None
    stored, key = request.stored.weights, (tensor, use.op.type, dtype)
    if key not in stored:
        stored[key] = _slices(use.op, tensor, rule.weight[name], dtype, request.choice)
    return stored[key]


def _slices(op: Op, tensor: Tensor, axis: int | None, dtype: np.dtype, choice: Choice) -> Params:
    """Return the parameters of weights, per channel where scheme, kernel and user agree."""
    assert tensor.data is not None
    scheme = BY_ACTIVATION[dtype]
    if scheme.weight == UINT8:
        return arithmetic.legacy_weights(tensor.data, UINT8, why="weights, one asymmetric scale")
    split = scheme.per_channel and choice.per_channel
    split &= choice.per_channel_dense or op.type not in DENSE
    axis = axis if split else None
    size = "one scale" if axis is None else f"a scale for each slice of axis {axis}"
    stored = weight_type(op, type_name(dtype), choice, scheme.weight)
    return arithmetic.weights(tensor.data, axis, stored, why=f"weights, {size}")


def _plan_bias(op: Op, name: str, x: str, w: str, result: Plan) -> None:
    """Plan a bias; where it does not fit, or the rescale would vanish, enlarge the weight scale."""
    row = rule_of(op)
    assert row is not None
    uses = {n: Use(op, i) for i, n in ((i, operand_name(op, i)) for i in range(len(op.inputs)))}
    from_x, from_w = result.read_as(uses[x]), result.read_as(uses[w])
    if from_x is None or from_w is None:
        return
    scheme = BY_ACTIVATION[result.types[op]]
    weights = op.inputs[uses[w].index]
    bias = op.inputs[uses[name].index] if name in uses else None
    if weights is not None and weights.is_constant:
        data = bias.data if bias is not None else None
        from_w = result.edges[uses[w]] = _fitting(from_w, from_x, result.tensors[op.output], data)
    ratio = float(np.max(from_x.scale * from_w.scale) / result.tensors[op.output].scale[0])
    if ratio >= MOST_RESCALE:
        raise QuantizationError(
            f"{op!r} would rescale by {ratio:.3g}, kernels take less than {MOST_RESCALE:g}",
            where=op.source,
            hint="its output range is far narrower than its inputs'; use --keep_float",
        )
    if bias is not None:
        kind = type_name(scheme.bias).lower()
        why = f"bias, {kind} at the product of the scales of '{x}' and '{w}'"
        result.edges[uses[name]] = arithmetic.bias(from_x, from_w, scheme.bias, why)


def _fitting(w: Params, x: Params, y: Params, bias: NDArray[Any] | None) -> Params:
    floor = np.full(w.scale.size, LEAST_RESCALE * y.scale[0] / x.scale[0])
    w = arithmetic.at_least(w, floor)
    return w if bias is None else arithmetic.room_for_bias(w, x, bias, BY_ACTIVATION[x.dtype].bias)


def _plan_borders(
    graph: Graph, found: Mapping[Tensor, Range], borders: Borders, result: Plan
) -> None:
    ends = [(t, borders.inputs) for t in graph.inputs]
    ends += [(t, borders.of_output(t)) for t in graph.outputs]
    for tensor, dtype in ends:
        if is_real(tensor):
            result.borders[tensor] = _border(tensor, dtype, found, result)


def _border(
    tensor: Tensor, dtype: np.dtype | None, found: Mapping[Tensor, Range], result: Plan
) -> Params | None:
    """Return how a graph input or output is stored towards the user."""
    inner = result.tensors.get(tensor)
    if dtype is None or (inner is not None and inner.dtype == dtype):
        return None if dtype is None else inner
    why = f"{type_name(dtype)} asked for at the border"
    if inner is not None and inner.dtype.itemsize == dtype.itemsize == 1:
        shift = arithmetic.limits(dtype)[0] - arithmetic.limits(inner.dtype)[0]
        return Params.of(float(inner.scale[0]), int(inner.zero_point[0]) + shift, dtype, why)
    wider = inner is not None and inner.dtype.itemsize > dtype.itemsize
    if inner is not None and not (wider and tensor in found):
        low, high = inner.covers()
    elif tensor.data is not None:
        low, high = extremes(tensor.data)
    else:
        low, high = found[tensor].low, found[tensor].high
    symmetric = dtype.itemsize > 1
    return arithmetic.activation(low, high, dtype, symmetric=symmetric, why=why)
