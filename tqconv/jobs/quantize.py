"""Quantization as users call it: samples become ranges, ranges a plan, the plan integers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tqconv.config import BLOCKS, FOUR_BITS, Progress, QuantizeOptions, TocoOptions, Watch
from tqconv.errors import QuantizationError, UsageError, counted
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model, Op
from tqconv.ir.tally import Counting
from tqconv.jobs.improve import improved
from tqconv.jobs.memory import Memory
from tqconv.jobs.phases import CALIBRATING, unwatched
from tqconv.jobs.record import Record
from tqconv.jobs.widen import loudest, reaching
from tqconv.output import write_atomically
from tqconv.quant import features, integer_mode, weights
from tqconv.quant.evidence import ranges as evidence
from tqconv.quant.evidence.inputs import outside_notes
from tqconv.quant.evidence.ranges import Ranges
from tqconv.quant.plan import Plan, Stored
from tqconv.quant.refusals import MissingRangesError
from tqconv.quant.schemes import scheme
from tqconv.quant.toco import mode as toco_mode
from tqconv.runtime import calibrate as measure
from tqconv.runtime import samples as data
from tqconv.runtime.images import Scaling
from tqconv.runtime.litert import Feed

FEW, ENOUGH = 8, 100
"""Samples of which it is said that they are few: one more is beyond all of them as often as once in
nine times; and how many tutorials of quantization take."""


def calibrate(
    model: Model,
    samples: Iterable[Feed],
    *,
    method: str = "minmax",
    progress: Progress | None = None,
    total: int | None = None,
    counting: Counting = Counting.ALL,
    listener: measure.Listener | None = None,
) -> Ranges:
    """Run samples through an optimized float model and return the ranges of its activations.

    total: how many samples there are, for `progress`; counting: whose values are counted, by which
    the ranges may be merged with others, or taken by other methods, later on.
    """
    seen = measure.calibrate(
        model,
        samples,
        serialize,
        progress,
        total,
        counting=counting if method == "minmax" else Counting.ALL,
        listener=listener,
    )
    return Ranges.of(seen, method)


def sample_count(model: Model, options: QuantizeOptions) -> int | None:
    """Return how many samples the options name; None where only reading them tells."""
    if options.calibration_data is None:
        return options.random
    path = Path(options.calibration_data)
    found = path.exists() and model.main.inputs
    return data.count_samples(path, model.main.inputs, options.samples) if found else None


def quantize(
    model: Model,
    options: QuantizeOptions,
    ranges: Ranges | None = None,
    *,
    toco: TocoOptions | None = None,
    least: float | None = None,
    watch: Watch = unwatched,
    record: Record | None = None,
) -> Plan | None:
    """Quantize an optimized float model in place, and return the plan where activations have one.

    `ranges` are added to what `options` names; `least`: dB that each output shall keep, for which
    a few operators may have more bits; `record` is told what was known and done. Raises
    QuantizationError where ranges are missing or the mode cannot be reached.
    """
    before = _types(model)
    plan = _quantized(model, options, ranges, toco=toco, least=least, watch=watch, record=record)
    for op, types in _types(model).items():
        if before.get(op) != types:
            op.version = None  # what a file states of one type says nothing of another
    return plan


def _types(model: Model) -> dict[Op, tuple[np.dtype | None, ...]]:
    """Return the types of what each operator reads and makes."""
    return {
        op: tuple(None if t is None else t.dtype for t in (*op.inputs, *op.outputs))
        for graph in model.all_graphs()
        for op in graph.ops
    }


def _quantized(
    model: Model,
    options: QuantizeOptions,
    ranges: Ranges | None,
    *,
    toco: TocoOptions | None,
    least: float | None,
    watch: Watch,
    record: Record | None,
) -> Plan | None:
    """Quantize in place; return the plan of a mode of integer activations."""
    if options.mode is None:
        raise UsageError("no quantization was chosen", hint="set `mode`")
    _check_bits(options)
    if scheme(options.mode).activation is None:
        weights.quantize(model, options)
        return None
    _check_one_graph(model)
    toco = TocoOptions() if toco is None else toco
    like_toco = toco.inference_type is not None
    if like_toco:
        toco_mode.read_bytes(model)
    else:
        _level(model, options)
        integer_mode.rewrite_for(model, options, islands=least is not None)
    improve = options.improve and not like_toco
    memory = Memory(model, sample_count(model, options), teaches=improve)
    wanted = record is not None and record.histograms
    known = _gather(model, options, ranges, memory, watch, histograms=wanted)
    if known is not None:
        model.notes += outside_notes(model.main, options, known)
    plan = _plan(model, options, toco, known)
    before = plan.notes
    if improve and known is not None:
        others = _other_plans(model, options, toco, known, plan)
        plan = improved(model, plan, memory, others, watch=watch)
    if memory.kept and plan.request is not None and least is not None:
        wide = integer_mode.known_ranges(model.main, options, known, wide=True)
        plan = replace(plan, request=replace(plan.request, wide=wide))
        plan = reaching(model, plan, memory.kept, least, memory.floats, watch=watch)
    elif memory.kept and plan.request is not None and options.improve:
        model.notes += loudest(model, plan, memory.kept, memory.floats, watch=watch)
    if record is not None:
        record.ranges, record.memory = known, memory
        record.tell(plan, before)
    integer_mode.carry_out(model, plan, memory.outputs_seen())
    return plan


def _level(model: Model, options: QuantizeOptions) -> None:
    """Bring features of unlike sizes to one where the samples show such; notes say so.

    The samples are read for that alone: what is measured on them is measured on the other model.
    """
    if options.mode != "int8" or options.calibration_data is None:
        return
    tables, inputs = features.tables(model.main), model.main.inputs
    path = Path(options.calibration_data)
    samples = data.read_samples(path, inputs, sample_options(options)) if tables else ()
    for _ in features.watched(samples, tables):
        pass
    said = {*options.named_stats, *options.input_ranges}
    stored = options.integer_only or integer_mode.borders(options).inputs is not None
    for table in features.unlike(tables):
        model.notes.append(features.told(table, stored))
        if not stored and options.input_stats is None and table.tensor.name not in said:
            features.level(model.main, table)


def _check_bits(options: QuantizeOptions) -> None:
    """Raise UsageError where weights are asked for in a size that no kernel of the mode takes."""
    if options.weight_bits not in (4, 8):
        raise UsageError(f"weight_bits is 4 or 8, not {options.weight_bits}")
    if options.weight_bits == 4 and options.mode not in FOUR_BITS:
        raise UsageError(
            f"weights of 4 bits do not go with {options.mode}",
            hint=f"they have an effect in the modes {', '.join(FOUR_BITS)}",
        )
    if options.weight_block and options.weight_block not in BLOCKS:
        sizes = ", ".join(map(str, BLOCKS))
        raise UsageError(f"weight_block is one of {sizes}, not {options.weight_block}")
    if options.weight_block and (options.mode, options.weight_bits) != ("dynamic", 4):
        raise UsageError(
            "a scale for each block of weights needs weights of 4 bits beside float activations",
            hint="--quantize dynamic --weight_bits 4",
        )


def _check_one_graph(model: Model) -> None:
    """Raise QuantizationError where samples for one entry point would leave others float."""
    if len(model.graphs) > 1:
        keys = ", ".join(signature.key for signature in model.signatures)
        raise QuantizationError(
            f"the model has {counted(len(model.graphs), 'signature')} ({keys}), "
            "and samples fit one",
            hint="convert one at a time with --saved_model_signature_key KEY, or use "
            "--quantize dynamic",
        )


def _plan(
    model: Model,
    options: QuantizeOptions,
    toco: TocoOptions,
    known: Ranges | None,
    stored: Stored | None = None,
) -> Plan:
    """Plan by TOCO's rules or our own; missing ranges also go into the template.

    `stored`: what an earlier plan by the same options worked out of constants.
    """
    try:
        if toco.inference_type is not None:
            return toco_mode.plan_for(model, options, toco, known)
        return integer_mode.plan_for(
            model,
            options,
            known,
            default=toco.default_ranges,
            default_int16=toco.default_int16_ranges,
            stored=stored,
        )
    except MissingRangesError as error:
        if options.ranges_template is not None:
            content = evidence.template(error.tensors).encode()
            write_atomically(Path(options.ranges_template), content)
            error.hint = f"fill in {options.ranges_template}, and give it with `--ranges`"
        raise


def _other_plans(
    model: Model, options: QuantizeOptions, toco: TocoOptions, known: Ranges, plan: Plan
) -> list[tuple[str, Callable[[], Plan]]]:
    """Return how to plan with least-squares ranges, which need histograms."""
    if options.method != "minmax" or not _gains_by_clipping(options):
        return []
    stored = None if plan.request is None else plan.request.stored
    return [("mse ranges", lambda: _plan(model, options, toco, known.with_method("mse"), stored))]


def _gains_by_clipping(options: QuantizeOptions) -> bool:
    """Whether narrower ranges may do better; 16 bits leave room for everything observed."""
    return options.mode != "int16x8"


def _gather(
    model: Model,
    options: QuantizeOptions,
    ranges: Ranges | None,
    memory: Memory,
    watch: Watch,
    *,
    histograms: bool,
) -> Ranges | None:
    """Return given ranges, those of the file, and those measured now, the later ones added."""
    known = ranges
    if options.ranges is not None:
        read = evidence.load(Path(options.ranges))
        known = read if known is None else known.merged(read)
    if options.calibration_data is not None or options.random is not None:
        samples = memory.watch(samples_of(model, options))
        progress = watch(CALIBRATING, "samples")
        total = None if progress is None else sample_count(model, options)
        some = histograms or (options.improve and _gains_by_clipping(options))
        fewest = Counting.SOME if some else Counting.NONE
        fresh = calibrate(
            model,
            samples,
            method=options.method,
            progress=progress,
            total=total,
            counting=fewest if known is None else Counting.ALL,
            listener=memory,
        )
        known = fresh if known is None else known.merged(fresh)
        if options.random is None and 0 < known.samples < FEW:
            model.notes.append(
                f"ranges are measured on {counted(known.samples, 'sample')}: what lies beyond them "
                f"is cut off; {ENOUGH} are usual"
            )
    return known


def samples_of(model: Model, options: QuantizeOptions) -> Iterator[Mapping[str, data.Array]]:
    """Return the samples that the options name, none without any; random ones leave a note."""
    inputs = model.main.inputs
    if options.calibration_data is None and options.random is None:
        return iter(())
    if options.calibration_data is None:
        count = options.random or 0
        model.notes.append(f"ranges are measured on {count} random samples: for trials only")
        return data.random_samples(inputs, count)
    path = Path(options.calibration_data)
    if path.exists() and inputs:
        model.notes += data.reading_notes(path, inputs)
    return data.read_samples(path, inputs, sample_options(options))


def sample_options(options: QuantizeOptions) -> data.SampleOptions:
    """Return how to read samples."""
    if (options.mean is None) != (options.std is None):
        raise UsageError("`--mean` and `--std` go together")
    scaling = None
    if options.mean is not None and options.std is not None:
        scaling = Scaling(options.mean, options.std)
    return data.SampleOptions(options.samples, scaling)
