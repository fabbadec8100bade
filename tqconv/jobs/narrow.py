"""The quantization that a conversion asks for, and how far its result is from the float model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import ConvertOptions, Watch
from tqconv.ir.graph import Model
from tqconv.jobs.files import snapshot
from tqconv.jobs.record import Record

if TYPE_CHECKING:
    from tqconv.runtime.compare import Difference

FLOAT_ACTIVATIONS = (None, "float16", "weights", "dynamic")
"""Modes that need no samples."""


def names_of(model: Model) -> set[str]:
    """Return the names of a model's tensors."""
    return {tensor.name for tensor in model.main.tensors()}


def narrow(
    model: Model,
    options: ConvertOptions,
    names: set[str],
    watch: Watch,
    record: Record,
) -> list[Difference]:
    """Quantize in place; where it was asked for, return how far that is from the float model.

    `names`: those of the tensors before anything was fused.
    """
    asked = options.quantize
    borders = asked.input_type is not None or asked.output_type is not None
    if asked.mode is None and not borders and not options.toco.wants_float:
        return []
    from tqconv.quant import no_effect
    from tqconv.quant.evidence import inputs
    from tqconv.quant.recast import recast
    from tqconv.quant.reread import read_as_reals

    if asked.mode == "int8" and no_effect.is_of_bytes(model):
        read_as_reals(model)
    no_effect.check_float(model, asked, wants_float=options.toco.wants_float)
    if asked.mode is None and not inputs.stated(asked):
        if no_effect.is_quantized(model):
            recast(model, asked)
            return []
        inputs.check(asked)
    inputs.tell(model, asked)
    reference = snapshot(model) if _is_compared(options) else None
    before = no_effect.constants(model)
    if asked.mode is not None:
        _carry_out(model, options, names, watch, record)
    if asked.mode is not None and inputs.computes_reals(asked):
        note = no_effect.unchanged_note(before, model, asked)
        model.notes += [] if note is None else [note]
    inputs.dequantize_inputs(model, asked)
    if reference is None and (record.memory is None or asked.calibration_data is None):
        return []
    from tqconv.jobs import verify

    if reference is not None:
        return verify.judge(reference, model, options, watch)
    if record.memory is not None:
        model.notes += verify.glance(record.memory, model, watch)
    return []


def _is_compared(options: ConvertOptions) -> bool:
    """Whether the result is compared with the float model beyond what calibration saw of that."""
    asked = options.quantize
    if options.verify is not None or asked.mode is None or asked.calibration_data is None:
        return options.verify is not None
    gated = options.min_sqnr is not None or options.min_agreement is not None
    return gated or options.report is not None or asked.mode in FLOAT_ACTIVATIONS


def _carry_out(
    model: Model,
    options: ConvertOptions,
    names: set[str],
    watch: Watch,
    record: Record,
) -> None:
    """Quantize in place, and note the entries of a ranges file that name no tensor."""
    from tqconv.jobs import quantize
    from tqconv.quant.evidence import ranges as evidence

    asked, known = options.quantize, None
    fused = names_of(model)
    if asked.ranges is not None:
        known = evidence.load(Path(asked.ranges))
        asked = replace(asked, ranges=None)
    quantize.quantize(
        model,
        asked,
        known,
        toco=options.toco,
        least=options.min_sqnr,
        watch=watch,
        record=record,
    )
    if asked.ranges_template is not None:
        model.notes.append(f"no tensor lacks a range: {asked.ranges_template} is not written")
    if known is not None:
        fused |= names_of(model)
        model.notes += evidence.unknown_notes(known, fused, names, str(options.quantize.ranges))
