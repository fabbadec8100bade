"""Carry out a plan: the only place that writes integers into a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.types import NOWHERE
from tqconv.ops.table import spec
from tqconv.quant.evidence.intervals import clamp_of
from tqconv.quant.params import Params, activation, encode
from tqconv.quant.plan import Plan
from tqconv.quant.schemes import INT8, INT16, UINT8
from tqconv.quant.select import State, rule_of, states

APART = (INT16, UINT8)
"""From the first to the second LiteRT has no QUANTIZE (back it has); int8 lies between."""

SLACK = 1.5
"""Steps beyond a clamp that integers may reach without it: one, and the rounding of its ends."""

Key = tuple[Tensor, tuple[object, ...]]


def apply(graph: Graph, plan: Plan) -> None:
    """Quantize the graph in place as the plan says.

    Graph inputs and outputs keep name, order and count; the integer value inside is called
    `<name>/quantized` where it is another tensor.
    """
    writer = _Writer(graph, plan)
    for op in list(graph.ops):
        writer.drop_clamp(op)
    for tensor in list(graph.inputs):
        writer.border_input(tensor)
    graph.inputs[:] = [writer.outer.get(t, t) for t in graph.inputs]
    for op in [op for op in graph.ops if op not in writer.made]:
        writer.rewrite(op)
    for tensor in list(dict.fromkeys(graph.outputs)):
        writer.border_output(tensor)
    graph.outputs[:] = [writer.shown.get(t, t) for t in graph.outputs]
    for tensor, params in plan.tensors.items():
        tensor.dtype, tensor.quant = params.dtype, params.quant
    graph.prune()
    graph.sort()


class _Writer:
    def __init__(self, graph: Graph, plan: Plan) -> None:
        self.graph = graph
        self.plan = plan
        self.made: set[Op] = set()
        self.converted: dict[Key, Tensor] = {}
        self.outer: dict[Tensor, Tensor] = {}
        """Inputs as the graph has them inside, and as it takes them."""
        self.shown: dict[Tensor, Tensor] = {}
        """The same of outputs."""
        self.stored: set[Tensor] = set()

    def drop_clamp(self, op: Op) -> None:
        """Leave out a clamp that the integers which it reads stay within anyway.

        Where they are converted for it, the conversion saturates. One integer more than a narrow
        range has does no harm.
        """
        ends = clamp_of(op) if op in self.plan.types else None
        if ends is None:
            return
        x, y = op.input(0), op.output
        read, have = self.plan.read_as(Use(op, 0)), self.plan.tensors.get(x)
        if read is None or not read.equals(self.plan.tensors.get(y)):
            return
        (low, high), slack = read.covers(), float(read.scale[0]) * SLACK
        if x.shape != y.shape or low < ends[0] - slack or high > ends[1] + slack:
            return
        bordered = x in self.graph.inputs or x in self.graph.outputs
        if read.equals(have) and bordered and y in self.graph.outputs:
            return
        new = x if read.equals(have) else self._read(x, have, read)
        self.plan.tensors[new] = read
        if y in self.plan.borders:
            self.plan.borders[new] = self.plan.borders[y]
        y.dtype, y.quant = new.dtype, new.quant
        if new in self.graph.inputs and new not in self.plan.rounded:
            self._keep_rounded(y, new, read)
        self.graph.replace(y, new)
        self.graph.remove(op)

    def _keep_rounded(self, y: Tensor, x: Tensor, stored: Params) -> None:
        """Let operators that read y as reals read what is left of x in integers.

        What reads x itself reads it as it is fed.
        """
        if y.range is None or not y.range.exact:
            return
        for use in list(y.uses):
            if self.plan.read_as(use) is None:
                key = (x, ("rounded",))
                if key not in self.converted:
                    self.converted[key] = self._convert(x, stored, None)
                self.graph.set_input(use.op, use.index, self.converted[key])

    def rewrite(self, op: Op) -> None:
        """Give an operator its inputs as the plan wants them read."""
        for index, tensor in enumerate(op.inputs):
            if tensor is None:
                continue
            wanted = self.plan.read_as(Use(op, index))
            if tensor.variable:
                continue
            if tensor.is_constant:
                if wanted is not None:
                    self.graph.set_input(op, index, self._constant(tensor, Use(op, index), wanted))
                continue
            have = self.plan.tensors.get(tensor)
            if have is wanted is None and tensor in self.plan.rounded:
                self.graph.set_input(op, index, self._rounded(tensor))
            elif wanted is not have and not (wanted is not None and wanted.equals(have)):
                self.graph.set_input(op, index, self._read(tensor, have, wanted))
        for state in states(op):
            self._fill(op, state)
        rule = rule_of(op)
        if rule is not None and rule.scratch and op in self.plan.types:
            op.intermediates = self._scratch(op, rule.scratch)
            # Compilers for accelerators count the operands, also those that are left out.
            op.inputs = (
                *op.inputs,
                *(None,) * (len(spec(op.type).operands.names) - len(op.inputs)),
            )
        if self.plan.types.get(op) == INT16 and rule is not None:
            op.options.update(rule.int16_options)

    def _fill(self, op: Op, state: State) -> None:
        """Keep a state in integers, filled in every run with what the real one was filled with."""
        wanted = self.plan.read_as(Use(op, state.index))
        if wanted is None:
            return
        first = state.first
        if first.is_constant:
            use = Use(state.variable.producer or op, 0)
            stored = self._constant(first, use, wanted)
        else:
            have = self.plan.tensors.get(first)
            stored = first if wanted.equals(have) else self._read(first, have, wanted)
        name = self.graph.unique(f"{state.variable.name}/stored")
        variable = Tensor(name, state.variable.shape, wanted.dtype, variable=True)
        variable.quant = wanted.quant
        self.made.add(self.graph.add(Op("MAXIMUM", (stored, stored), (variable,), {}, op.source)))
        self.graph.set_input(op, state.index, variable)

    def _scratch(self, op: Op, count: int) -> tuple[Tensor, ...]:
        """Return the tensors that the kernel of an LSTM wants: it reads the scale of the last."""
        made = []
        for i in range(count):
            name = self.graph.unique(f"{op.output.name}/intermediate{i}")
            made.append(Tensor(name, (0,), np.dtype(np.float32)))
        params = self.plan.tensors[op.output]
        made[-1].dtype, made[-1].quant = params.dtype, params.quant
        return tuple(made)

    def _constant(self, tensor: Tensor, use: Use, wanted: Params) -> Tensor:
        """Return a constant stored as wanted; the first such takes the name of the float one."""
        codes = self.plan.codes.get(use)
        key = (tensor, (*_key(wanted), codes.tobytes()) if codes is not None else _key(wanted))
        if key in self.converted:
            return self.converted[key]
        assert tensor.data is not None
        name = tensor.name
        if tensor not in self.stored:
            self.stored.add(tensor)
            self.graph.release(name)
            tensor.name = self.graph.unique(f"{name}/float")
        else:
            name = name.removesuffix("/float")
        made = self.graph.constant(
            name, self._nearest(tensor.data, wanted) if codes is None else codes
        )
        made.quant = wanted.quant
        self.converted[key] = made
        return made

    def _nearest(self, data: NDArray[Any], wanted: Params) -> NDArray[Any]:
        request = self.plan.request
        return encode(data, wanted) if request is None else request.stored.nearest(data, wanted)

    def _read(self, tensor: Tensor, have: Params | None, wanted: Params | None) -> Tensor:
        key = (tensor, _key(wanted))
        if key not in self.converted:
            real = self.outer.get(tensor)
            stored = _stored(tensor) if have is None else None
            if real is not None and real.quant is None and tensor not in self.plan.rounded:
                # Fed as reals: rounding them once loses less than requantizing.
                self.converted[key] = self._convert(real, None, wanted)
            elif stored is not None and wanted is not None:
                self.converted[key] = self._convert(*stored, wanted)
            else:
                self.converted[key] = self._convert(tensor, have, wanted)
        return self.converted[key]

    def _rounded(self, tensor: Tensor) -> Tensor:
        """Return the reals that are left of a tensor where the source stores it in integers."""
        wanted = self.plan.rounded[tensor]
        return self._read(self._read(tensor, None, wanted), wanted, None)

    def _convert(self, tensor: Tensor, have: Params | None, wanted: Params | None) -> Tensor:
        """Return a tensor with the same reals, stored as wanted."""
        if have is not None and wanted is not None and (have.dtype, wanted.dtype) == APART:
            between = activation(*wanted.covers(), INT8, why=wanted.why)
            tensor, have = self._convert(tensor, have, between), between
        what = "dequantized" if wanted is None else "requantized" if have else "quantized"
        made = Tensor(self.graph.unique(f"{tensor.name}/{what}"), tensor.shape, tensor.dtype)
        self._connect(tensor, made, wanted)
        return made

    def _connect(self, source: Tensor, target: Tensor, wanted: Params | None) -> None:
        """Let `target` be `source` stored as wanted."""
        target.dtype = np.dtype(np.float32) if wanted is None else wanted.dtype
        target.quant = None if wanted is None else wanted.quant
        made_by = source.producer.source if source.producer is not None else NOWHERE
        kind = "DEQUANTIZE" if wanted is None else "QUANTIZE"
        self.made.add(self.graph.add(Op(kind, (source,), (target,), source=made_by)))

    def border_input(self, tensor: Tensor) -> None:
        """Put a tensor of the wanted type, under the input's name, before the one inside."""
        if tensor not in self.plan.borders:
            return
        inner, wanted = self.plan.tensors.get(tensor), self.plan.borders[tensor]
        if wanted is inner or (wanted is not None and wanted.equals(inner)):
            return
        outer = Tensor(self._take_name(tensor), tensor.shape, np.dtype(np.float32))
        outer.elements, outer.range = tensor.elements, tensor.range
        if wanted is not None:
            outer.dtype, outer.quant = wanted.dtype, wanted.quant
        self.outer[tensor] = outer
        if wanted is None and tensor not in self.plan.rounded:
            self.converted[(tensor, _key(None))] = outer
        source = outer
        if inner is not None and wanted is not None and (wanted.dtype, inner.dtype) == APART:
            between = activation(*inner.covers(), INT8)
            source = self._convert(outer, wanted, between)
        self._connect(source, tensor, inner)

    def border_output(self, tensor: Tensor) -> None:
        """Put a tensor of the wanted type, under the output's name, behind the one inside."""
        if tensor not in self.plan.borders:
            return
        inner, wanted = self.plan.tensors.get(tensor), self.plan.borders[tensor]
        if tensor in self.outer:
            self.shown[tensor] = self.outer[tensor]
            return
        if wanted is inner or (wanted is not None and wanted.equals(inner)):
            return
        if tensor.data is not None and wanted is not None:
            made = self.graph.constant(f"{tensor.name}/stored", encode(tensor.data, wanted))
            made.quant = wanted.quant
        else:
            made = self._read(tensor, inner, wanted)
        name = self._take_name(tensor)
        self.graph.release(name)
        self.graph.rename(made, name)
        self.shown[tensor] = made

    def _take_name(self, tensor: Tensor) -> str:
        """Rename a tensor to `<name>/quantized` and return the name it had."""
        name = tensor.name
        self.graph.release(name)
        tensor.name = self.graph.unique(f"{name}/quantized")
        return self.graph.unique(name)


def _stored(tensor: Tensor) -> tuple[Tensor, Params] | None:
    """Return the integers that a tensor is made of by DEQUANTIZE, and how they are stored."""
    op = tensor.producer
    if op is None or op.type != "DEQUANTIZE" or op.input(0).quant is None:
        return None
    x = op.input(0)
    assert x.quant is not None
    if not x.quant.is_per_tensor or x.is_constant:
        return None
    scale, zero = float(x.quant.scale[0]), int(x.quant.zero_point[0])
    return x, Params.of(scale, zero, x.dtype, "as it came")


def _key(params: Params | None) -> tuple[object, ...]:
    """Return what tells two ways of storing a tensor apart."""
    return () if params is None else params.key()
