"""From TOCO's options to a plan: ranges of inputs, of their neighbours, defaults, then types."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from tqconv.config import QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError, UsageError, counted
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Range, type_name
from tqconv.quant.evidence.inputs import said_of_inputs
from tqconv.quant.evidence.ranges import Ranges, evidence, names_of
from tqconv.quant.integer_mode import borders
from tqconv.quant.params import activation
from tqconv.quant.plan import Plan, plan
from tqconv.quant.refusals import MissingRangesError
from tqconv.quant.schemes import INT16, SCHEMES, UINT8
from tqconv.quant.select import Choice, is_real, rule_of
from tqconv.quant.toco import ranges as toco_ranges
from tqconv.quant.toco.rules import Rules, plan_like_toco

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
    for tensor, known in said_of_inputs(graph, options, chosen.activation).items():
        _check_holds_zero(tensor, known, chosen.activation)
        tensor.range = known
    _take_evidence(graph, ranges, passed_on=False)
    toco_ranges.propagate(graph, change_concat=change, own=_measured_for_several(graph, ranges))
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
    cut = toco_ranges.cut_off(graph)
    nudge = toco.allow_nudging_weights or default is not None
    made = plan_like_toco(graph, Rules(chosen, change, nudge))
    _set_borders(graph, options, made)
    made.notes += cut
    return made


def read_bytes(model: Model) -> None:
    """Let 8-bit inputs that are only cast to reals be reals of scale 1 and zero point 0, in place.

    The border type is then the one that they had. TOCO had no kernel for the cast.
    """
    graph = model.main
    for x in list(graph.inputs):
        casts = [use.op for use in x.uses]
        reals = all(op.type == "CAST" and is_real(op.output) for op in casts)
        if x.dtype != UINT8 or x.quant is not None or not casts or not reals or x in graph.outputs:
            continue
        x.dtype = np.dtype(np.float32)
        x.range = Range(0.0, 255.0, "input_stats", "integers as they are")
        for op in casts:
            graph.replace(op.output, x, keep_name=False)
        graph.prune()


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
            f"16 bits are asked for {counted(len(wide), 'tensor')} beside {toco.inference_type}: "
            f"{names}{more}; "
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


def _measured_for_several(graph: Graph, ranges: Ranges | None) -> set[Tensor]:
    """Return what several read that a ranges file knows: what one of them clamps says less."""
    if ranges is None:
        return set()
    readers = Counter({t: len(t.uses) for t in graph.tensors()}) + Counter(graph.outputs)
    return {t for t, count in readers.items() if count > 1 and ranges.find(names_of(t))}


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


def _check_holds_zero(tensor: Tensor, said: Range, dtype: np.dtype) -> None:
    if not said.low <= 0 <= said.high:
        raise UsageError(
            f"{said.detail} of input '{tensor.name}': 0 is not a value of "
            f"{type_name(dtype).lower()}",
            hint="real = (stored - mean) / std; for int8 the mean is 128 less than for uint8",
        )


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
