"""From TOCO's options to a plan: ranges of the inputs, of their neighbours, defaults, then the types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import UsageError, suggestion
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Range
from tqconv.quant import toco_ranges
from tqconv.quant.params import activation, limits
from tqconv.quant.plan import MissingRanges, Plan, plan
from tqconv.quant.ranges import Ranges, evidence
from tqconv.quant.schemes import INT16, SCHEMES
from tqconv.quant.select import Choice, is_real
from tqconv.quant.static import borders
from tqconv.quant.toco import Rules, plan_like_toco


def plan_for(
    model: Model, options: QuantizeOptions, toco: TocoOptions, ranges: Ranges | None
) -> Plan:
    """Plan the main graph, which TOCO's stages have prepared; ranges are set on its tensors.

    Raises MissingRanges for all tensors that are read and have none.
    """
    assert toco.inference_type is not None
    graph, chosen = model.main, SCHEMES[toco.inference_type]
    assert chosen.activation is not None
    _take_evidence(graph, options, ranges, chosen.activation)
    wanted: dict[Tensor, np.dtype] = {}
    by_type = {
        dtype: (float(np.float32(low)), float(np.float32(high)))
        for dtype, ends in (
            (chosen.activation, toco.default_ranges),
            (INT16, toco.default_int16_ranges),
        )
        if ends is not None
        for low, high in (ends,)
    }
    change = bool(toco.change_concat_input_ranges)
    defaults = toco_ranges.Defaults(by_type, wanted, chosen.activation)
    toco_ranges.propagate(graph, change_concat=change, defaults=defaults)
    missing = toco_ranges.lacking(graph)
    if missing:
        raise MissingRanges(missing)
    if toco.inference_type != "uint8":
        return _plan_int8(graph, options)
    nudge = toco.allow_nudging_weights or toco.default_ranges is not None
    made = plan_like_toco(graph, Rules(chosen, wanted, change, nudge))
    _set_borders(graph, options, made)
    return made


def _plan_int8(graph: Graph, options: QuantizeOptions) -> Plan:
    """Plan int8, which TOCO never had: its ranges, with the scales that int8 kernels need."""
    found = {t: t.range for t in graph.tensors() if t.range is not None and not t.is_constant}
    choice = Choice(
        options.keep_float, options.int16, options.per_channel, options.per_channel_dense, True
    )
    from dataclasses import replace

    return plan(graph, SCHEMES["int8"], found, choice, borders(replace(options, integer_only=True)))


def _take_evidence(
    graph: Graph, options: QuantizeOptions, ranges: Ranges | None, dtype: np.dtype
) -> None:
    """Set the ranges of inputs as the user said them, and those of a ranges file, on tensors."""
    for tensor in graph.tensors():
        if is_real(tensor) and not tensor.is_constant:
            tensor.range = evidence(tensor, ranges, wide=False)
    for tensor, known in _said_of_inputs(graph, options, dtype).items():
        tensor.range = known


def _said_of_inputs(
    graph: Graph, options: QuantizeOptions, dtype: np.dtype
) -> dict[Tensor, Range]:
    """Return what mean and standard deviation, or an explicit range, say about graph inputs.

    The division is in float32, as in TOCO's ResolveModelFlags.
    """
    inputs = {t.name.removesuffix(":0"): t for t in graph.inputs}
    stats: Mapping[str, tuple[float, float]] = options.named_stats
    if options.input_stats is not None:
        if len(options.input_stats) != len(inputs):
            raise UsageError(f"{len(options.input_stats)} pairs of mean and std for {len(inputs)} inputs")
        stats = {**dict(zip(inputs, options.input_stats, strict=True)), **stats}
    said: dict[Tensor, Range] = {}
    for name, (mean, std) in stats.items():
        low, high = (
            float((np.float32(end) - np.float32(mean)) / np.float32(std)) for end in limits(dtype)
        )
        said[_input(inputs, name)] = Range(low, high, "input_stats", f"mean {mean:g} std {std:g}")
    for name, (low, high) in options.input_ranges.items():
        said[_input(inputs, name)] = Range(low, high, "user", "--input_range")
    return said


def _input(inputs: Mapping[str, Tensor], name: str) -> Tensor:
    tensor = inputs.get(name.removesuffix(":0"))
    if tensor is None:
        raise UsageError(
            f"`{name}` is not an input of the model{suggestion(name, inputs)}",
            hint=f"the inputs are {', '.join(inputs)}",
        )
    return tensor


def _set_borders(graph: Graph, options: QuantizeOptions, made: Plan) -> None:
    """Plan the types of graph inputs and outputs that the user wants to differ from those inside."""
    asked = ((options.input_type, graph.inputs), (options.output_type, graph.outputs))
    for name, tensors in asked:
        for tensor in tensors:
            inner = made.borders.get(tensor) or made.tensors.get(tensor)
            if name is None or inner is None or np.dtype(name) == inner.dtype:
                continue
            if name == "float32":
                made.borders[tensor] = None
                continue
            dtype = np.dtype(name)
            low, high = inner.covers()
            made.borders[tensor] = activation(low, high, dtype, symmetric=dtype == INT16)
