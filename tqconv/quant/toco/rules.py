"""TOCO's quantization: one scale per tensor, from trained ranges or defaults, on every operator.

The plan has TOCO's scales, zero points and integers to the bit. Where TOCO's result would be
computed wrongly, because a kernel passes codes on (MAX_POOL_2D, PAD, MINIMUM, …) and TOCO gave its
operands and its result different scales, the values are requantized instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import counted
from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.grid import Grid, extremes, grid
from tqconv.ir.match import ACTIVATION
from tqconv.ir.types import type_name
from tqconv.ops.facts import CLAMPS
from tqconv.quant.evidence.intervals import clamp_of
from tqconv.quant.evidence.ranges import hollow, unfit
from tqconv.quant.plan import Plan
from tqconv.quant.refusals import float_report
from tqconv.quant.schemes import INT32, Scheme
from tqconv.quant.select import is_real, makes_reals, reals, rule_of, takes_integers
from tqconv.quant.toco.repair import params_of, repair
from tqconv.records import dataclass

LINEAR = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""Operator -> place of its bias."""
COPIES = {"SPLIT": 1} | dict.fromkeys(
    ("RESHAPE", "RELU", "RELU6", "RELU_N1_TO_1", "PRELU", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH"), 0
)
"""Operator -> the operand whose parameters its results have, whatever their range: quantize.cc."""
FINEST = 255 * float(np.finfo(np.float32).tiny)
"""A range of 8 bits whose steps are the least that XNNPACK takes for a scale."""
NEARBY = 16
"""Weights of 0 closer than this stop TOCO: ensure_uint8_weights_safe_for_fast_int8_kernels.cc."""


@dataclass(frozen=True)
class Rules:
    """What the user told TOCO.

    change_concat: results of CONCATENATION have their operands' parameters; nudge: weights of 0
    near another become 1.
    """

    scheme: Scheme
    change_concat: bool = False
    nudge: bool = False

    @property
    def dtype(self) -> np.dtype:
        """The type of activations."""
        assert self.scheme.activation is not None
        return self.scheme.activation


def plan_like_toco(graph: Graph, rules: Rules) -> Plan:
    """Decide how every tensor is stored, after every tensor that is read got its range.

    Clamps that the integers of their operand cannot leave are taken out of the graph. Raises
    QuantizationError for all operators without an integer kernel, and for all ranges and constants
    that no integers can stand for.
    """
    _check_kernels(graph, rules)
    _check_ranges(graph)
    return _Planner(graph, rules).run()


def _check_kernels(graph: Graph, rules: Rules) -> None:
    floats = {}
    for op in graph.ops:
        touches = any(True for _ in reals(op)) or any(is_real(t) for t in op.outputs)
        rule, name = rule_of(op), type_name(rules.dtype)
        if takes_integers(op):
            continue
        if op.type == "CUSTOM" and touches:
            floats[op] = "reads reals; a node whose kernel reads integers has `_output_quantized`"
        elif touches and (rule is None or name not in rule.types or op.graphs):
            floats[op] = f"has no {name.lower()} kernel that computes right"
    if floats:
        raise float_report(floats)


def _check_ranges(graph: Graph) -> None:
    """Raise QuantizationError for ranges without integers; what was always zero gets one."""
    for tensor in graph.tensors():
        found = tensor.range
        if found is not None and found.kind != "fake_quant" and found.low == found.high == 0:
            tensor.range = replace(found, low=-1.0, high=1.0)  # XNNPACK refuses steps far finer
    reasons = {t: reason for t in graph.tensors() if is_real(t) and (reason := _unfit(t))}
    if reasons:
        raise unfit(reasons)


def _unfit(tensor: Tensor) -> str:
    """Return why no integers can stand for a tensor, or nothing."""
    found = tensor.range
    if tensor.data is not None and not np.all(np.isfinite(tensor.data)):
        return "a constant that is not finite"
    if found is None:
        return ""
    if reason := hollow(found):
        return reason
    if not found.low <= 0 <= found.high:
        return f"the range [{found.low:g}, {found.high:g}] does not hold 0"
    if found.high - found.low < FINEST:
        return f"the range [{found.low:g}, {found.high:g}] is finer than float32 has numbers"
    return ""


class _Planner:
    """Goes through the operators once, as TOCO's Quantize did from the inputs to the outputs."""

    def __init__(self, graph: Graph, rules: Rules) -> None:
        self.graph = graph
        self.rules = rules
        self.grids: dict[Tensor, Grid] = {}
        self.why: dict[Tensor, str] = {}
        self.plan = Plan(rules.scheme)

    def run(self) -> Plan:
        for tensor in self.graph.inputs:
            if is_real(tensor):
                self._store(tensor, self._from_range(tensor))
        for op in self.graph.ops:
            self._quantize(op)
        repair(self.graph, self.plan, self.grids, self.why)
        self._drop_trivial()
        for tensor in self.graph.outputs:
            if tensor.is_constant and is_real(tensor):
                self.plan.borders[tensor] = params_of(*self._of_constant(tensor))
        for tensor, chosen in self.grids.items():
            if not tensor.is_constant:
                self.plan.tensors[tensor] = params_of(chosen, self.why[tensor])
        return self.plan

    def _quantize(self, op: Op) -> None:
        if any(True for _ in reals(op)) or any(is_real(t) for t in op.outputs):
            self.plan.types[op] = self.rules.dtype
        for index, tensor in reals(op):
            if tensor.is_constant:
                self._store_constant(op, index, tensor)
        for tensor in op.outputs:
            if is_real(tensor) and not makes_reals(op):
                self._store(tensor, self._of_output(op, tensor))

    def _store(self, tensor: Tensor, chosen: tuple[Grid, str]) -> None:
        self.grids[tensor], self.why[tensor] = chosen

    def _from_range(self, tensor: Tensor) -> tuple[Grid, str]:
        found = tensor.range
        assert found is not None, "missing ranges are reported before"
        chosen = grid(found.low, found.high, self.rules.dtype, narrow=found.narrow)
        return chosen, f"range [{found.low:g}, {found.high:g}] {found.kind} {found.detail}".strip()

    def _of_output(self, op: Op, tensor: Tensor) -> tuple[Grid, str]:
        rule = rule_of(op)
        dtype = self.rules.dtype
        fixed = rule.fixed.get(type_name(dtype)) if rule is not None else None
        if fixed is not None:
            bounds = np.iinfo(dtype)
            made = Grid(fixed[0], fixed[1], dtype, int(bounds.min), int(bounds.max))
            return made, f"fixed by the kernel of {op.type}"
        source = COPIES.get(op.type)
        if (op.type == "CONCATENATION" and self.rules.change_concat) or self._is_trivial(op):
            source = 0
        if source is not None and op.input(source) in self.grids:
            return self.grids[op.input(source)], f"that of the operand of {op!r}"
        return self._from_range(tensor)

    def _store_constant(self, op: Op, index: int, tensor: Tensor) -> None:
        """Plan a constant operand; TOCO quantizes one that several operators read only once."""
        if LINEAR.get(op.type) == index:
            self._store_bias(op, index, tensor)
            return
        if tensor not in self.grids:
            self._store(tensor, self._of_constant(tensor))
        assert tensor.data is not None
        codes = self.grids[tensor].encode(tensor.data)
        if index == 1 and op.type in ("CONV_2D", "FULLY_CONNECTED") and codes.dtype == np.uint8:
            codes = self._without_near_zeros(codes, tensor)
        self._plan_constant(Use(op, index), codes, tensor)

    def _of_constant(self, tensor: Tensor) -> tuple[Grid, str]:
        assert tensor.data is not None
        dtype, narrow, why = self.rules.dtype, False, "constant, from its extremes"
        low, high = extremes(tensor.data)
        if tensor.range is not None:
            low, high, narrow = tensor.range.low, tensor.range.high, tensor.range.narrow
            why = f"constant, range {tensor.range.kind} {tensor.range.detail}".strip()
        return grid(low, high, dtype, narrow=narrow), why

    def _store_bias(self, op: Op, index: int, tensor: Tensor) -> None:
        assert tensor.data is not None
        x = self.grids[op.input(2 if op.type == "TRANSPOSE_CONV" else 0)]
        scale = x.scale * self.grids[op.input(1)].scale
        bounds = np.iinfo(INT32)
        chosen = Grid(scale, 0, INT32, int(bounds.min), int(bounds.max))
        self._store(tensor, (chosen, "bias, at the product of the scales of input and weights"))
        self._plan_constant(Use(op, index), chosen.encode(tensor.data), tensor)

    def _plan_constant(self, use: Use, codes: NDArray[Any], tensor: Tensor) -> None:
        self.plan.codes[use] = codes
        self.plan.edges[use] = params_of(self.grids[tensor], self.why[tensor])

    def _without_near_zeros(self, codes: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
        """Return weights whose zeros are at least `NEARBY` apart, for an old ARM kernel."""
        flat, last = codes.reshape(-1).copy(), -NEARBY
        near = []
        for place in np.flatnonzero(flat == 0):
            if place - last < NEARBY:
                near.append(place)
            else:
                last = int(place)
        if not near:
            return codes
        if not self.rules.nudge:
            self.plan.notes.append(
                f"'{tensor.name}' has {counted(len(near), 'weight')} of 0 near another, where "
                "kernels of TensorFlow 1 on ARM are wrong; "
                "--allow_nudging_weights_to_use_fast_gemm_kernel makes them 1"
            )
            return codes
        flat[near] = 1
        return flat.reshape(codes.shape)

    def _drop_trivial(self) -> None:
        """Take out clamps that change nothing, now that it is known how each tensor is stored."""
        for op in list(self.graph.ops):
            clamp = CLAMPS.get(op.options.get(ACTIVATION, "NONE"))
            chosen = self.grids.get(op.outputs[0]) if op.outputs else None
            if clamp is not None and chosen is not None and _within(chosen, clamp):
                del op.options[ACTIVATION]
            if self._is_trivial(op) and Use(op, 0) not in self.plan.edges:
                self._remove(op)

    def _is_trivial(self, op: Op) -> bool:
        """Whether a clamp changes nothing that the integers of its operand can say.

        One between two borders stays in any case.
        """
        ends = clamp_of(op)
        if ends is None or op.input(0).shape != op.output.shape:
            return False
        x, y = op.input(0), op.output
        if y in self.graph.outputs and (x in self.graph.outputs or x in self.graph.inputs):
            return False
        return x in self.grids and _within(self.grids[x], ends)

    def _remove(self, op: Op) -> None:
        y = op.output
        self.graph.replace(y, op.input(0), keep_name=y in self.graph.outputs)
        self.graph.remove(op)
        del self.grids[y], self.plan.types[op]
        for index in range(len(op.inputs)):
            self.plan.edges.pop(Use(op, index), None)
            self.plan.codes.pop(Use(op, index), None)


def _within(grid: Grid, ends: tuple[float, float]) -> bool:
    return ends[0] <= grid.low and grid.high <= ends[1]
