"""From TOCO's options to a plan: ranges of inputs, of their neighbours, defaults, then types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError, UsageError, suggestion
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Range, type_name
from tqconv.quant import toco_ranges
from tqconv.quant.params import activation, limits
from tqconv.quant.plan import MissingRangesError, Plan, plan
from tqconv.quant.ranges import Ranges, evidence
from tqconv.quant.schemes import INT16, SCHEMES
from tqconv.quant.select import Choice, is_real, rule_of
from tqconv.quant.static import borders
from tqconv.quant.toco import Rules, plan_like_toco

SHOWN = 4
"""Tensors that an error names."""


def plan_for(
    model: Model, options: QuantizeOptions, toco: TocoOptions, ranges: Ranges | None
) -> Plan:
    """Plan the main graph, which TOCO's stages have prepared; ranges are set on its tensors.

    Raises MissingRangesError for all tensors that are read and have none.
    """
    assert toco.inference_type is not None
    graph, chosen = model.main, SCHEMES[toco.inference_type]
    assert chosen.activation is not None
    if toco.inference_type == "uint8" and (options.keep_float or options.int16):
        raise UsageError(
            "uint8 is for whole models: --keep_float and --int16 do not go with it",
            hint="use --quantize int8 for models that are partly float or int16",
        )
    _check_widths(graph, toco)
    change = bool(toco.change_concat_input_ranges)
    for tensor, known in _said_of_inputs(graph, options, chosen.activation).items():
        tensor.range = known
    _take_evidence(graph, ranges, passed_on=False)
    toco_ranges.propagate(graph, change_concat=change)
    _take_evidence(graph, ranges, passed_on=True)
    default = toco.default_ranges
    if default is not None:
        default = float(np.float32(default[0])), float(np.float32(default[1]))
    toco_ranges.propagate(graph, change_concat=change, default=default)
    toco_ranges.complete(graph, change_concat=change)
    missing = toco_ranges.lacking(graph)
    if missing:
        raise _missing(missing)
    if toco.inference_type != "uint8":
        return _plan_int8(graph, options)
    nudge = toco.allow_nudging_weights or default is not None
    made = plan_like_toco(graph, Rules(chosen, change, nudge))
    _set_borders(graph, options, made)
    return made


def _missing(tensors: list[Tensor]) -> MissingRangesError:
    error = MissingRangesError(tensors)
    if any(t.producer is None for t in tensors):
        error.hint = f"{error.hint}; for an input also `--mean_values` and `--std_dev_values`"
    return error


def _check_widths(graph: Graph, toco: TocoOptions) -> None:
    """Raise where activations are wanted in 16 bits: TOCO set uint8 weights beside them."""
    wide = [
        tensor
        for tensor in graph.tensors()
        if tensor.range is not None
        and not tensor.is_constant
        and tensor.range.bits > 8
        and (tensor.range.kind == "user" or toco.propagate_fake_quant_num_bits)
    ]
    if wide:
        names = ", ".join(f"'{t.name}'" for t in wide[:SHOWN])
        more = f", … {len(wide) - SHOWN} more" if len(wide) > SHOWN else ""
        raise QuantizationError(
            f"{len(wide)} tensors are to have 16 bits beside {toco.inference_type}: {names}{more}; "
            "no kernel computes that",
            hint="use --quantize int16x8, or --quantize int8 with --int16 for some nodes",
        )


def _plan_int8(graph: Graph, options: QuantizeOptions) -> Plan:
    """Plan int8, which TOCO never had: its ranges, with the scales that int8 kernels need."""
    found = {t: t.range for t in graph.tensors() if t.range is not None and not t.is_constant}
    choice = Choice(
        options.keep_float, options.int16, options.per_channel, options.per_channel_dense, True
    )
    return plan(graph, SCHEMES["int8"], found, choice, borders(replace(options, integer_only=True)))


def _take_evidence(graph: Graph, ranges: Ranges | None, *, passed_on: bool) -> None:
    """Set the ranges of a ranges file on tensors, where nothing stronger is known.

    Those measured behind operators that pass codes on count only after those of their operands
    (`passed_on`): a scale of its own would have to be requantized.
    """
    if ranges is None:
        return
    for tensor in graph.tensors():
        if not is_real(tensor) or tensor.is_constant:
            continue
        rule = None if tensor.producer is None else rule_of(tensor.producer)
        if passed_on and tensor.range is not None:
            continue
        if passed_on or rule is None or not rule.same:
            known = evidence(tensor, ranges, wide=False)
            if known is not None and known is not tensor.range:
                known = replace(known, low=min(known.low, 0.0), high=max(known.high, 0.0))
            tensor.range = known


def _said_of_inputs(graph: Graph, options: QuantizeOptions, dtype: np.dtype) -> dict[Tensor, Range]:
    """Return what mean and standard deviation, or an explicit range, say about graph inputs.

    The division is in float32, as in TOCO's ResolveModelFlags.
    """
    inputs = {t.name.removesuffix(":0"): t for t in graph.inputs}
    stats: Mapping[str, tuple[float, float]] = options.named_stats
    if options.input_stats is not None:
        if len(options.input_stats) != len(inputs):
            raise UsageError(
                f"{len(options.input_stats)} pairs of mean and std for {len(inputs)} inputs"
            )
        stats = {**dict(zip(inputs, options.input_stats, strict=True)), **stats}
    said: dict[Tensor, Range] = {}
    for name, (mean, std) in stats.items():
        low, high = (
            float((np.float32(end) - np.float32(mean)) / np.float32(std)) for end in limits(dtype)
        )
        if not low <= 0 <= high:
            raise UsageError(
                f"mean {mean:g} of input '{name}' is not a value of {type_name(dtype).lower()}",
                hint="real = (stored - mean) / std; for int8 the mean is 128 less than for uint8",
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
    """Plan the types of graph inputs and outputs where the user wants others than inside."""
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
