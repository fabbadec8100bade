"""Which values share a scale: kernels that move or compare integers tie their operands together.

A group holds the values that must be stored alike. The outputs and constants of a `same` operator
are one group from the start; an input joins it, or is requantized where joining would hurt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field

import numpy as np

from tqconv.errors import counted
from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.types import Range, type_name
from tqconv.ops.spec import QuantRule
from tqconv.quant.params import Params, activation, limits, whole_steps, with_zero
from tqconv.quant.schemes import INT16
from tqconv.quant.select import (
    State,
    in_group,
    is_real,
    is_same,
    operand_name,
    reals,
    rule_of,
    states,
)
from tqconv.records import dataclass

ROUNDING = 1.000001
"""Keeps a widened scale from being rounded below its bound."""
STEP = 1.001
"""One step, whatever float32 makes of the ends of ranges: 255 steps of 1/255 are 1.00000006."""
COARSER = 1.25
"""Values are requantized rather than let the steps of others grow by more than this."""
LEAST = 1e-30
"""Keeps the ratio of two widths finite."""
FINEST = 1 << 14
"""QUANTIZE multiplies 16-bit integers in 32 bits: steps that are finer by more would wrap around
(measured; LiteRT 2.3.0)."""


@dataclass(eq=False)
class Group:
    """Values of one integer type that are stored with one scale and zero point."""

    dtype: np.dtype
    tensors: list[Tensor] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)
    pin: Params | None = None
    centered: bool = False
    through: list[Op] = field(default_factory=list)
    least: float = 0.0
    """The smallest scale that kernels which make a member can compute."""
    joined: Group | None = None
    """The group that this one became part of."""

    def __setattr__(self, name: str, value: object) -> None:
        """Forget the parameters that followed from what is changed (`+=` comes by here, too)."""
        vars(self)[name] = value
        vars(self).pop("_made", None)

    def whole(self) -> Group:
        """Return the group that everything here is part of now."""
        found = self
        while found.joined is not None:
            found = found.joined
        return found

    def absorb(self, other: Group) -> Group:
        """Take everything of another group in and return what both are now."""
        into, other = self.whole(), other.whole()
        if into is other:
            return into
        known = set(into.tensors)
        into.tensors += [t for t in other.tensors if t not in known]
        into.ranges += other.ranges
        into.through += other.through
        into.pin = into.pin or other.pin
        into.centered |= other.centered
        into.least = max(into.least, other.least)
        other.joined = into
        return into

    @property
    def ends(self) -> tuple[float, float] | None:
        """The range of all members, None while nothing is known.

        A user's word counts alone. What leaves an exact range by less than a step adds nothing.
        """
        told = [r for r in self.ranges if r.kind == "user"] or self.ranges
        exact = [r for r in told if r.exact]
        if exact:
            low, high = min(r.low for r in exact), max(r.high for r in exact)
            step = (high - low) / 255
            told = [r for r in told if r.low < low - step or r.high > high + step] + exact
        return (min(r.low for r in told), max(r.high for r in told)) if told else None

    @property
    def is_exact(self) -> bool:
        """Whether the source itself stores a member in integers of this size."""
        return any(known.exact and known.bits == 8 * self.dtype.itemsize for known in self.ranges)

    @property
    def is_bounded(self) -> bool:
        """Whether a bound, of which only a part may occur, makes the range as wide as it is."""
        firm = [r for r in self.ranges if r.kind != "bounded"]
        if len(firm) == len(self.ranges):
            return False
        return Group(self.dtype, ranges=firm).ends != self.ends

    def params(self) -> Params | None:
        """Return how the members are stored; None when no range is known."""
        if "_made" not in vars(self):
            vars(self)["_made"] = self._params()
        found: Params | None = vars(self)["_made"]
        return found

    def _params(self) -> Params | None:
        if self.pin is not None:
            return self.pin
        if self.ends is None:
            return None
        symmetric = self.centered or self.dtype == INT16
        narrow = all(r.narrow for r in self.ranges if r.kind != "fixed")
        narrow &= any(r.narrow for r in self.ranges)
        low, high = self.ends
        why = self._why()
        if self.is_exact and symmetric:
            high = max(high, low / limits(self.dtype)[0] * limits(self.dtype)[1])
            low = -high  # the lowest integer has no counterpart, and stands for a real of its own
        made = activation(low, high, self.dtype, symmetric=symmetric, narrow=narrow, why=why)
        if made.scale[0] >= self.least:
            return made
        wider = self.least / float(made.scale[0]) * ROUNDING
        why = f"{made.why}; widened to the least scale that the kernel computes"
        low, high = (end * wider for end in with_zero(low, high))
        return activation(low, high, self.dtype, symmetric=symmetric, why=why)

    def known(self) -> Params:
        """Return how the members are stored, when missing ranges have been ruled out."""
        found = self.params()
        assert found is not None, "missing ranges are reported before"
        return found

    def _why(self) -> str:
        low, high = self.ends or (0.0, 0.0)
        told = [r for r in self.ranges if r.kind == "user"] or self.ranges
        kinds = dict.fromkeys(f"{r.kind} {r.detail}".strip() for r in told)
        text = f"[{low:.6g}, {high:.6g}] {' + '.join(list(kinds)[:3])}"
        if len(self.tensors) > 1 and self.through:
            text += (
                f"; shared by {counted(len(self.tensors), 'tensor')} through {self.through[0]!r}"
            )
            text += f" and {len(self.through) - 1} more" if len(self.through) > 1 else ""
        return text


@dataclass
class Grouping:
    """The group of each value in each type it is stored in, and of inputs that are requantized."""

    homes: dict[tuple[Tensor, np.dtype], Group] = field(default_factory=dict)
    constants: dict[Use, Group] = field(default_factory=dict)
    requantized: dict[Use, tuple[Group, str]] = field(default_factory=dict)

    def home(self, tensor: Tensor, dtype: np.dtype) -> Group:
        """Return the group in which `tensor` is stored as `dtype`."""
        return self.homes[(tensor, dtype)].whole()

    def read(self, use: Use, tensor: Tensor, dtype: np.dtype) -> Group:
        """Return the group as which an operator of this type reads a tensor."""
        if use in self.requantized:
            return self.requantized[use][0].whole()
        return self.constants[use].whole() if use in self.constants else self.home(tensor, dtype)

    def groups(self) -> list[Group]:
        """Return every group once."""
        everything = [*self.homes.values(), *self.constants.values()]
        everything += [group for group, _ in self.requantized.values()]
        return list(dict.fromkeys(g.whole() for g in everything))


def group(
    graph: Graph,
    types: Mapping[Op, np.dtype],
    found: Mapping[Tensor, Range],
    wide: Mapping[Tensor, Range] | None = None,
    *,
    real_inputs: bool = True,
) -> Grouping:
    """Group the values of the operators that run on integers.

    `types`: their activation types; `wide`: evidence about values of 16 bits, where it is not the
    same; `real_inputs`: graph inputs are fed as reals.
    """
    builder = _Builder(graph, found, wide or {})
    if real_inputs:
        builder.reals.update(graph.inputs)
    builder.reals.update(t for op in graph.ops if op not in types for t in op.outputs)
    chosen = [op for op in graph.ops if op in types]
    for op in chosen:
        builder.place(op, types[op])
    for op in chosen:
        rule = rule_of(op)
        if rule is not None and is_same(rule, types[op]):
            for index, tensor in reals(op):
                if in_group(op, index, rule) and not tensor.is_constant:
                    builder.link(op, index, tensor, types[op])
    return builder.result


class _Builder:
    def __init__(
        self, graph: Graph, found: Mapping[Tensor, Range], wide: Mapping[Tensor, Range]
    ) -> None:
        self.outputs = set(graph.outputs)
        self.found = found
        self.wide = {**found, **wide}
        self.reals: set[Tensor] = set()
        self.result = Grouping()
        self.shared: dict[Op, Group] = {}

    def place(self, op: Op, dtype: np.dtype) -> None:
        """Give the values around an operator groups of their own, those of `same` outputs one."""
        rule = rule_of(op)
        assert rule is not None
        made = [self._home(t, dtype) for t in op.outputs if is_real(t)]
        for index, tensor in reals(op):
            name = operand_name(op, index)
            if (name in rule.weight and tensor.is_constant) or name in rule.bias:
                continue
            if tensor.is_constant:
                apart = not is_same(rule, dtype) or not in_group(op, index, rule)
                apart &= name not in rule.centered
                made_for_constant = self._constant(op, index, tensor, dtype, apart=apart)
                made_for_constant.centered = name in rule.centered
                if in_group(op, index, rule):
                    made.append(made_for_constant)
            else:
                self._home(tensor, dtype)
        for state in states(op):
            if state.like is not None:
                self._begin(state, self._home(state.like, dtype))
        if type_name(dtype) in rule.fixed:
            self._pin(op, dtype, rule)
        if is_same(rule, dtype):
            self._unite(op, made, dtype, rule)

    def _unite(self, op: Op, made: list[Group], dtype: np.dtype, rule: QuantRule) -> None:
        whole = made[0] if made else Group(dtype)
        for other in made[1:]:
            whole = whole.absorb(other)
        whole.through += [op]
        whole.centered |= bool(rule.centered)
        self.shared[op] = whole

    def _home(self, tensor: Tensor, dtype: np.dtype) -> Group:
        homes = self.result.homes
        if (tensor, dtype) not in homes:
            known = self.wide if dtype == INT16 else self.found
            told = [known[tensor]] if tensor in known else []
            homes[(tensor, dtype)] = Group(dtype, [tensor], told)
        return homes[(tensor, dtype)].whole()

    def _constant(
        self, op: Op, index: int, tensor: Tensor, dtype: np.dtype, *, apart: bool
    ) -> Group:
        """Return the group of a constant; one that nothing is tied to keeps steps of its own."""
        data = tensor.data
        assert data is not None
        ends = (float(data.min()), float(data.max())) if data.size else (0.0, 0.0)
        if apart and dtype.itemsize == 1:
            ends = whole_steps(data) or ends
        made = Group(dtype, [tensor], [tensor.range or Range(*ends, "fixed", "constant")])
        if np.isneginf(ends).all():  # the lowest integer stands for it, whatever the range
            made.ranges = []
        self.result.constants[Use(op, index)] = made
        return made

    def _begin(self, state: State, whole: Group) -> None:
        """Let a result's group hold what its state begins with."""
        first = state.first
        if first.data is not None and first.data.size:
            ends = float(first.data.min()), float(first.data.max())
            whole.ranges += [Range(*ends, "fixed", "constant")] if any(ends) else []
        elif first in self.found:
            whole.ranges += [self.found[first]]

    def _pin(self, op: Op, dtype: np.dtype, rule: QuantRule) -> None:
        scale, zero_point = rule.fixed[type_name(dtype)]
        why = f"built into the kernel of {op.type}"
        self._home(op.output, dtype).pin = Params.of(scale, zero_point, dtype, why)

    def link(self, op: Op, index: int, tensor: Tensor, dtype: np.dtype) -> None:
        """Let an input join the group of its operator, or have it requantized."""
        mine, whole = self.result.home(tensor, dtype), self.shared[op].whole()
        if mine is whole:
            return
        sole = self._only_reader(tensor, op)
        reason = _conflict(mine, whole, sole)
        if reason is None and not sole and tensor in self.reals:
            reason = _finer(mine, whole)
        if reason is None and len(list(reals(op))) > 1 and mine.tensors != [tensor]:
            reason = _coarsens(mine, whole)
        rule = rule_of(op)
        if reason is not None:
            self.result.requantized[Use(op, index)] = (whole, reason)
            if rule is not None and rule.averages and mine.pin is None:
                whole.ranges += mine.ranges  # an element beyond them would count for less
            return
        saturates = sole and rule is not None and not rule.averages and whole.ends is not None
        # What a comparison makes is no real: its group is the other operand, which bounds nothing.
        saturates &= any(map(is_real, op.outputs))
        saturates &= not _is_kept(tensor)
        if saturates and mine.pin is None and mine.tensors == [tensor]:
            # What lies outside the output's range never reaches the output.
            mine.ranges = [r for r in mine.ranges if r.kind == "user"]
        whole.absorb(mine)

    def _only_reader(self, tensor: Tensor, op: Op) -> bool:
        return tensor not in self.outputs and all(use.op is op for use in tensor.uses)


def _is_kept(tensor: Tensor) -> bool:
    """Whether the operator that makes a value goes on from it: all of its range matters."""
    maker = tensor.producer
    return maker is not None and any(state.like is tensor for state in states(maker))


def _conflict(mine: Group, whole: Group, sole: bool) -> str | None:
    """Return why an input must not join its operator's group, None when it may."""
    if mine.pin is not None and whole.pin is not None:
        return None if mine.pin.equals(whole.pin) else f"{mine.pin.why}, other than its neighbours"
    if mine.pin is not None:
        fits = _within(whole.ends, mine.pin)
        return None if fits else f"{mine.pin.why}, its neighbours go further"
    if whole.pin is not None:
        return None if _within(mine.ends, whole.pin) else f"its neighbours are {whole.pin.why}"
    if mine.is_exact and whole.is_exact and mine.ends != whole.ends:
        return "the source gives both steps of their own"
    if sole or mine.ends is None or whole.ends is None:
        return None
    if whole.centered and not mine.centered:
        return "its neighbours need zero point 0"
    ratio = _joint(mine.ends, whole.ends) / max(mine.ends[1] - mine.ends[0], LEAST)
    if (mine.ends[1] - mine.ends[0]) / max(whole.ends[1] - whole.ends[0], LEAST) > FINEST:
        return None
    return f"shared steps would be {ratio:.3g} times as coarse" if ratio > COARSER else None


def _joint(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the width of the range that covers both."""
    return max(one[1], other[1]) - min(one[0], other[0])


def _finer(mine: Group, whole: Group) -> str | None:
    """Return why a value that exists as reals is better quantized apart for this reader."""
    if mine.ends is None or whole.ends is None or mine.pin is not None or whole.pin is not None:
        return None
    ratio = (mine.ends[1] - mine.ends[0]) / max(whole.ends[1] - whole.ends[0], LEAST)
    if ratio <= COARSER or ratio > FINEST:
        return None
    return f"quantized from the reals again, with steps {ratio:.3g} times as fine"


def _coarsens(mine: Group, whole: Group) -> str | None:
    """Return why a member of another group would spoil the other inputs of this operator."""
    if mine.ends is None or whole.ends is None or mine.pin is not None or whole.pin is not None:
        return None
    ratio = _joint(mine.ends, whole.ends) / max(whole.ends[1] - whole.ends[0], LEAST)
    coarse = COARSER < ratio <= FINEST
    return f"its group's steps are {ratio:.3g} times as coarse" if coarse else None


def _within(ends: tuple[float, float] | None, pin: Params) -> bool:
    """Whether a range fits what pinned parameters store, give or take one step."""
    if ends is None:
        return True
    low, high = pin.covers()
    step = float(pin.scale[0]) * STEP
    return ends[0] >= low - step and ends[1] <= high + step


def members(groups: Iterable[Group]) -> list[Tensor]:
    """Return the tensors of the groups, each once."""
    return list(dict.fromkeys(t for g in groups for t in g.tensors))
