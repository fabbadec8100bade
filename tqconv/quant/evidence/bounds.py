"""Between which numbers values lie of which nobody tells, for models in which nothing may be float.

A trained network says how it rounds some of its values, and computes the others with reals. Where
integers have to do, these have room for all that arithmetic lets them be, in 16 bits where a
kernel has them, for often only a part of it occurs. A function of one value is followed along that
value, so that x * LOGISTIC(x) is found to end at -0.28; other operators are known by their ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, is_scalar, is_zero, made_by
from tqconv.ir.types import Range
from tqconv.ops.facts import CLAMPS
from tqconv.ops.rules import axes_of
from tqconv.ops.table import known, spec
from tqconv.quant.evidence.intervals import FREE, KEEP, Ends, ends_of, input_ends
from tqconv.records import dataclass

Rule = Callable[[Op, Mapping[Tensor, Range]], Ends | None]
POINTS = 1025
"""At which a function is looked at: four to a step of 8 bits."""
MOST_VALUES = 1 << 22
"""Points of a function by channels, beyond which its ends have to do."""
MOST_SPREAD, MOST_SPREAD_OF_EIGHT = 64.0, 8.0
"""How far ends may lie beyond what occurs: 16 bits have ten left then, 8 bits five."""
STEPS = 255
"""Of 8 bits: deviations within one of these are what rounding makes."""


@dataclass(frozen=True)
class Curve:
    """What a value is at each point of the range of another: [points, *sizes that broadcast]."""

    source: Tensor
    values: NDArray[Any]


class Bounds:
    """What arithmetic says of all values, in one walk from inputs to outputs.

    `ranges`: how wide each value is stored, where evidence about it counts alone; `ends`: between
    which numbers it lies, which may be less than the range of all that its type can store.
    """

    def __init__(self, graph: Graph, found: Mapping[Tensor, Range]) -> None:
        """Follow the values of a graph from those of which there is evidence."""
        self.ranges = dict(found)
        self.ends = dict(found)
        self.curves: dict[Tensor, Curve] = {}
        for op in graph.ops:
            if known(op.type) and not op.graphs:
                for tensor in op.outputs:
                    self._visit(op, tensor)

    def _visit(self, op: Op, tensor: Tensor) -> None:
        curve, ends = None, _first(STATISTICS, op, self.ends)
        if ends is None and (curve := self._curve(op)) is not None:
            ends = _extremes(curve.values)
        if curve is not None and tensor not in self.ranges:  # else rounding makes it anew
            self.curves[tensor] = curve
        if tensor.dtype.kind == "f":
            self._note(op, tensor, _first(RULES, op, self.ends) if ends is None else ends)

    def _note(self, op: Op, tensor: Tensor, ends: Ends | None) -> None:
        if ends is None or not all(map(math.isfinite, ends)):
            return
        told = self.ranges.get(tensor)
        if told is not None:
            low, high = max(told.low, ends[0]), min(told.high, ends[1])
            self.ends[tensor] = replace(told, low=low, high=high) if low < high else told
            return
        read = [self.ranges[t].kind for t in op.inputs if t is not None and t in self.ranges]
        kind = "propagated" if op.type in KEEP and "bounded" not in read else "bounded"
        self.ranges[tensor] = self.ends[tensor] = Range(*ends, kind, f"through {op!r}")

    def _curve(self, op: Op) -> Curve | None:
        """Return the result as a function of one value, if it is one."""
        row, fed = spec(op.type), [t for t in op.inputs if t is None or t.data is None]
        if len(op.outputs) != 1 or not fed:
            return None
        read = [None if t is None else self._begun(t) for t in fed]
        first = read[0]
        if first is None or any(c is None or c.source is not first.source for c in read):
            return None
        if row.copies in ("order", "permuted", "chosen") and len(read) == 1:
            moved = _as_rank(first.values, op.output.rank)
            return None if moved is None else Curve(first.source, moved)
        if row.layout.kind != "elementwise" or row.fold is None:
            return None
        made = self._folded(op)
        return None if made is None else Curve(first.source, made)

    def _begun(self, tensor: Tensor) -> Curve | None:
        """Return the curve of a value; one whose ends alone are known begins its own."""
        if tensor not in self.curves and tensor in self.ends:
            low, high = self.ends[tensor].low, self.ends[tensor].high
            points = np.linspace(low, high, POINTS)
            points = np.append(points, 0.0) if low < 0 < high else points
            values = points.astype(np.float32).reshape(-1, *(1 for _ in tensor.shape))
            self.curves[tensor] = Curve(tensor, values)
        return self.curves.get(tensor)

    def _folded(self, op: Op) -> NDArray[Any] | None:
        """Compute an operator at all points; None where a result is no number, or they are many."""
        rank, fold, operands, shapes = op.output.rank, spec(op.type).fold, [], []
        assert fold is not None
        for tensor in op.inputs:
            assert tensor is not None
            data = tensor.data[None] if tensor.data is not None else self.curves[tensor].values
            sizes = (*data.shape[:1], *(1 for _ in range(rank + 1 - data.ndim)), *data.shape[1:])
            operands.append(Tensor(tensor.name, sizes, tensor.dtype, data.reshape(sizes)))
            shapes.append(sizes)
        if math.prod(np.broadcast_shapes(*shapes)) > MOST_VALUES:
            return None
        with np.errstate(all="ignore"):
            made = fold(Op(op.type, tuple(operands), op.outputs, op.options))
        whole = np.asarray(made) if made is not None else None
        return whole if whole is not None and np.isfinite(whole).all() else None


def _first(rules: Iterable[Rule], op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """Return what the first of the rules says that says something."""
    return next((ends for rule in rules if (ends := rule(op, ranges)) is not None), None)


def _extremes(values: NDArray[Any]) -> Ends:
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


def _as_rank(values: NDArray[Any], rank: int) -> NDArray[Any] | None:
    """Return a curve that is the same for all elements, of a tensor of another rank."""
    if values.size != values.shape[0]:
        return None
    return values.reshape(-1, *(1 for _ in range(rank)))


def _fused(op: Op, ends: Ends) -> Ends:
    least, most = CLAMPS.get(op.options.get("fused_activation_function", "NONE"), FREE)
    return min(max(ends[0], least), most), min(max(ends[1], least), most)


def spread(op: Op) -> float:
    """Return how far beyond what occurs the ends of sums of products lie.

    Of n products of like size the sum can be n times, but is about the root of n times as large.
    """
    linear = spec(op.type).linear
    w = op.inputs[linear.w] if linear is not None else None
    if linear is None or w is None or w.data is None or not w.size:
        return 1.0
    others = tuple(i for i in range(w.rank) if i != linear.out_axis % w.rank)
    sizes = np.abs(w.data.astype(np.float64))
    roots = np.sqrt(np.square(sizes).sum(others))
    return float((sizes.sum(others) / np.maximum(roots, np.finfo(np.float32).tiny)).max())


def loose(graph: Graph, found: Mapping[Tensor, Range]) -> set[Tensor]:
    """Return the values that 8 bits would spoil: their ends lie several bits beyond what occurs."""
    spoiled: set[Tensor] = set()
    for op in graph.ops:
        bounded = [t for t in op.outputs if t in found and found[t].kind == "bounded"]
        passed = op.type in KEEP and any(t in spoiled for t in op.inputs)
        if bounded and (passed or spread(op) > MOST_SPREAD_OF_EIGHT):
            spoiled.update(bounded)
    return spoiled


def _linear(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """Return the ends of y = x * w + b, by channels; padding makes some of x zero."""
    linear = spec(op.type).linear
    if linear is None:
        return None
    x, w = op.inputs[linear.x], op.inputs[linear.w]
    b = op.inputs[linear.b] if linear.b < len(op.inputs) else None
    if x not in ranges or w is None or w.data is None or (b is not None and b.data is None):
        return None
    assert x is not None
    low, high = min(ranges[x].low, 0.0), max(ranges[x].high, 0.0)
    others = tuple(i for i in range(w.rank) if i != linear.out_axis % w.rank)
    weights = w.data.astype(np.float64)
    if spread(op) > MOST_SPREAD:
        return None
    positive, negative = np.maximum(weights, 0).sum(others), np.minimum(weights, 0).sum(others)
    bias = 0.0 if b is None or b.data is None else b.data.reshape(-1)
    least, most = positive * low + negative * high + bias, positive * high + negative * low + bias
    return _fused(op, (float(least.min()), float(most.max()))) if least.size else None


def _matrix(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """Return the ends of a product of two matrices: as many products are added as it is deep."""
    if op.type != "BATCH_MATMUL":
        return None
    a, b = (input_ends(op.input(i), ranges) for i in (0, 1))
    depth = op.input(0).shape[-2 if op.options.get("adj_x", False) else -1]
    if a is None or b is None or depth is None:
        return None
    corners = [x * y * depth for x in a for y in b]
    return min(corners), max(corners)


def _unclamped(tensor: Tensor, *more: str) -> Tensor:
    """Return what a value was before it was clamped, or, with ADD, before a constant was added."""
    while (op := made_by(tensor, "RELU", "MAXIMUM", "MINIMUM", *more)) is not None:
        if op.type != "RELU" and op.input(1).data is None:
            break
        tensor = op.input(0)
    return tensor


def _averaged(tensor: Tensor) -> tuple[Tensor, int] | None:
    """Return of what a value is the mean, or the mean of means, and of how many."""
    count, taken = 1, tensor
    while (op := made_by(_unclamped(taken), "MEAN")) is not None and op.input(1).data is not None:
        sizes = [op.input(0).shape[axis] for axis in axes_of(op, 1)]
        if any(size is None for size in sizes):
            return None
        count *= math.prod(size for size in sizes if size is not None)
        taken = op.input(0)
    return None if taken is tensor else (_unclamped(taken), count)


def _deviation(mean: Tensor) -> tuple[Tensor, int] | None:
    """Return d, where a value is the mean of d * d, and of how many."""
    averaged = _averaged(mean)
    squares = made_by(averaged[0], "MUL", "SQUARE") if averaged is not None else None
    if averaged is None or squares is None:
        return None
    d, other = _unclamped(squares.input(0)), squares.inputs[-1]
    return (d, averaged[1]) if other is not None and d is _unclamped(other) else None


def _root(tensor: Tensor, kind: str) -> tuple[Tensor, int, float] | None:
    """Return d, where a value is the root of the mean of d * d, of how many, and how often."""
    most = 1.0
    while (op := made_by(_unclamped(tensor), "MUL", "DEPTHWISE_CONV_2D")) is not None:
        factor, bias = op.input(1).data, op.inputs[-1] if len(op.inputs) > 2 else None
        scales = op.type == "MUL" or op.input(1).shape[:3] == (1, 1, 1)
        if factor is None or not scales or (bias is not None and not is_zero(bias)):
            return None
        tensor, most = op.input(0), most * float(np.abs(factor).max(initial=0.0))
    root = made_by(_unclamped(tensor), kind)
    found = _deviation(_unclamped(root.input(0), "ADD")) if root is not None else None
    return None if found is None else (*found, most)


def _normalized(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """d / SQRT(MEAN(d * d)) is at most the root of how many are averaged: all others are zero."""
    pairs = {"MUL": [(0, 1, "RSQRT"), (1, 0, "RSQRT")], "DIV": [(0, 1, "SQRT")]}.get(op.type, [])
    for index, other, kind in pairs:
        found = _root(op.input(other), kind)
        aligned = op.input(other).rank == op.input(index).rank  # a mean that kept its axes
        if found is not None and aligned and _unclamped(op.input(index)) is found[0]:
            most = math.sqrt(found[1]) * found[2]
            return _fused(op, (-most, most)) if kind == "RSQRT" or found[2] == 1 else None
    return None


def _variance(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """The variance of values of one range is at most a quarter of its square (Popoviciu)."""
    found = _deviation(op.output) if op.type == "MEAN" else None
    middle = made_by(found[0], "SUB") if found is not None else None
    averaged = _averaged(middle.input(1)) if middle is not None else None
    if middle is None or averaged is None or averaged[0] is not _unclamped(middle.input(0)):
        return None
    ends = input_ends(middle.input(0), ranges)
    return None if ends is None else (0.0, (ends[1] - ends[0]) ** 2 / 4)


def _inverse_deviation(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """Where values vary by less than a step of 8 bits, how much is not known: nor its inverse."""
    if op.type != "RSQRT":
        return None
    ends, found = input_ends(op.input(0), ranges), _deviation(_unclamped(op.input(0), "ADD"))
    deviations = input_ends(found[0], ranges) if found is not None else None
    if ends is None or deviations is None or deviations[0] == deviations[1]:
        return None
    least = ((deviations[1] - deviations[0]) / STEPS) ** 2 / 12
    return 1 / math.sqrt(max(ends[1], least)), 1 / math.sqrt(max(ends[0], 0.0) + least)


def _sum(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """As many are added as there are along the axes."""
    if op.type != "SUM" or op.input(1).data is None:
        return None
    ends = input_ends(op.input(0), ranges)
    sizes = [op.input(0).shape[axis] for axis in axes_of(op, 1)]
    count = math.prod(size for size in sizes if size is not None)
    return None if ends is None or None in sizes else (ends[0] * count, ends[1] * count)


def _within(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    return spec(op.type).within


def _mixed(op: Op, ranges: Mapping[Tensor, Range]) -> Ends | None:
    """z * a + (1 - z) * b lies between a and b, for a share z."""
    terms = [made_by(t, "MUL") for t in op.inputs] if op.type == "ADD" else [None]
    for one, other in () if None in terms else (terms, terms[::-1]):
        for rest, b in _ways(other):
            least = made_by(rest, "SUB")
            if least is None or not is_scalar(least.inputs[0], 1.0):
                continue
            if one is None or other is None or any(map(has_activation, (one, other, least))):
                continue
            share = _unclamped(least.input(1))
            ends = input_ends(share, ranges)
            if ends is None or ends[0] < 0 or ends[1] > 1:
                continue
            for z, a in _ways(one):
                both = [input_ends(t, ranges) for t in (a, b)]
                if _unclamped(z) is share and both[0] is not None and both[1] is not None:
                    low, high = min(both[0][0], both[1][0]), max(both[0][1], both[1][1])
                    return _fused(op, (low, high))
    return None


def _ways(op: Op | None) -> list[tuple[Tensor, Tensor]]:
    """Return the operands of a product in both orders."""
    if op is None:
        return []
    a, b = op.input(0), op.input(1)
    return [(a, b), (b, a)]


STATISTICS: tuple[Rule, ...] = (_normalized, _inverse_deviation, _variance, _mixed)
"""Ends of results that depend on values together; they are narrower than others."""
RULES: tuple[Rule, ...] = (_within, _matrix, _linear, _sum, ends_of)
"""From an operator and the ranges of what it reads to the ends of its results."""
