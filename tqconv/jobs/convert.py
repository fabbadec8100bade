"""From a file of any format to a written model: read, optimize, quantize, check, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import ConvertOptions, Count, LoadOptions
from tqconv.errors import FormatError, VerificationError
from tqconv.ir.graph import Model
from tqconv.jobs.files import load, picture, save, snapshot, write_summary
from tqconv.jobs.look import is_graphdef, outline_of
from tqconv.jobs.pictures import Pictures
from tqconv.jobs.requests import check_files, check_types
from tqconv.passes import cleanup, fake_quant, order
from tqconv.passes.pipeline import FLOAT_STAGES, STAGES, Observer, Pass, Stage
from tqconv.passes.pipeline import optimize as run_stages
from tqconv.passes.recognize import patterns
from tqconv.passes.toco import stages as toco_stages

if TYPE_CHECKING:
    from tqconv.runtime.compare import Difference


@dataclass
class Report:
    """What a conversion did, for the person who asked for it."""

    model: Model
    size: int
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    """How far the result is from the float model, where `verify` asked for it."""


def convert(
    source: str | Path,
    target: str | Path,
    options: ConvertOptions | None = None,
    *,
    observe: Observer | None = None,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Read a model, optimize it, write it; see `ConvertOptions`.

    `observe(pass name, graph)` is called after each pass that changed a graph, `progress` with the
    number of calibration samples done. Nothing is written, and an existing target stays as it is,
    when an error is raised.
    """
    options = ConvertOptions() if options is None else options
    source, target = Path(source), Path(target)
    check_files(source, target, options)
    check_types(options)
    dump = Pictures(options.dump_dir, options.dump_steps, observe)
    model = load(source, _load_options(options))
    model.notes += _unknown_arrays(source, model, options)
    if not model.main.outputs:
        raise FormatError(f"{source} has no outputs")
    names = _names(model)
    dump.write(model, "AT_IMPORT")
    for stage in _stages(source, options):
        dump.run(model, stage)
    differences = _quantize(model, options, names, progress)
    if options.quantize.mode is not None:
        dump.run(model, Stage("quantization", (cleanup.share_constants,)))
    if options.toco.inference_type is None:
        run_stages(model, (Stage("order", (order.read_before_reuse,)),))
    dump.write(model, "AFTER_TRANSFORMATIONS")
    check_counts(model, options.checks)
    write = picture if options.target_format == "dot" else save
    report = Report(model, write(model, target), model.notes, differences)
    if options.summary_dir is not None:
        write_summary(model, Path(options.summary_dir))
    return report


def _unknown_arrays(source: Path, model: Model, options: ConvertOptions) -> list[str]:
    """Return a note about the entries of --arrays_extra_info_file that no array matches."""
    said = _load_options(options).array_ranges
    if not said:
        return []
    from tqconv.quant.evidence import extra_info

    if is_graphdef(source, options.load):
        names = [node.name for node in outline_of(source, "").nodes]
    else:
        names = [tensor.name for tensor in model.main.tensors()]
    return extra_info.unknown_notes(said, names)


def _load_options(options: ConvertOptions) -> LoadOptions:
    """Return how to read: FakeQuant nodes are evidence where activations become integers."""
    toco = options.toco
    integers = options.quantize.mode not in (None, "float16", "dynamic")
    said = options.load.array_ranges
    if integers and toco.arrays_extra_info_file is not None:
        from tqconv.quant.evidence import extra_info

        said = (*said, *extra_info.read(Path(toco.arrays_extra_info_file)))
    quantizing = integers or toco.drop_fake_quant
    stored_grid = toco.inference_type is not None
    return replace(options.load, quantizing=quantizing, stored_grid=stored_grid, array_ranges=said)


def _stages(source: Path, options: ConvertOptions) -> tuple[Stage, ...]:
    """Return the stages before quantization; FakeQuant nodes leave their ranges and go."""
    toco = options.toco
    if toco.inference_type is not None:
        from tqconv.importers.detect import kind_of

        crosses = toco.drop_fake_quant or toco.reorder_across_fake_quant
        return toco_stages.stages(
            cross_fake_quant=crosses,
            spread_fake_quant=toco.propagate_fake_quant_num_bits,
            channels_first=kind_of(source, options.load.format) == "onnx",
        )
    if not _load_options(options).quantizing:
        return FLOAT_STAGES
    if toco.drop_fake_quant:
        passes: tuple[Pass, ...] = (fake_quant.read_fake_quant, fake_quant.drop_fake_quant)
    else:
        passes = (fake_quant.clamp_fake_quant,)
    # In 8 bits the squares of a spelled-out norm lose far more than its epsilon is worth.
    norms = Stage("norms", (patterns.recognize_loose_l2_normalization,))
    return (Stage("evidence", passes), norms, *STAGES)


def _quantize(
    model: Model,
    options: ConvertOptions,
    names: set[str],
    progress: Callable[[int], None] | None,
) -> list[Difference]:
    """Quantize in place; with `verify`, return how far the result is from the float model.

    `names`: those of the tensors before anything was fused.
    """
    asked = options.quantize
    if asked.mode is None and asked.input_type is None and not options.toco.wants_float:
        return []
    from tqconv.quant import no_effect
    from tqconv.quant.evidence import inputs

    no_effect.check_float(model, asked, wants_float=options.toco.wants_float)
    inputs.tell(model, asked)
    reference = snapshot(model) if options.verify is not None else None
    before = no_effect.constants(model)
    if asked.mode is not None:
        _carry_out(model, options, names, progress)
    if asked.mode is not None and inputs.computes_reals(asked):
        note = no_effect.unchanged_note(before, model, asked)
        model.notes += [] if note is None else [note]
    inputs.dequantize_inputs(model, asked)
    return [] if reference is None else _verify(reference, model, options)


def _names(model: Model) -> set[str]:
    return {tensor.name for tensor in model.main.tensors()}


def _carry_out(
    model: Model,
    options: ConvertOptions,
    names: set[str],
    progress: Callable[[int], None] | None,
) -> None:
    """Quantize in place, and note the entries of a ranges file that name no tensor."""
    from tqconv.jobs import quantize
    from tqconv.quant.evidence import ranges as evidence

    asked, known = options.quantize, None
    fused = _names(model)
    if asked.ranges is not None:
        known = evidence.load(Path(asked.ranges))
        asked = replace(asked, ranges=None)
    quantize.quantize(model, asked, known, toco=options.toco, progress=progress)
    if known is not None:
        fused |= _names(model)
        model.notes += evidence.unknown_notes(known, fused, names, str(options.quantize.ranges))


def _verify(reference: Model, model: Model, options: ConvertOptions) -> list[Difference]:
    from tqconv.jobs import verify

    found = verify.verify(reference, model, str(options.verify), options.quantize)
    model.notes += verify.verify_notes(found)
    return found


def check_counts(model: Model, checks: Sequence[Count]) -> None:
    """Raise VerificationError, naming all of them, where `checks` do not hold."""
    from tqconv.exporters.report import count_of

    wrong = []
    for check in checks:
        found = count_of(model, check.type)
        if found < check.least or (check.most is not None and found > check.most):
            most = "any number" if check.most is None else check.most
            wrong.append(f"{found} of {check.type}, expected {check.least} to {most}")
    if wrong:
        raise VerificationError("the result does not pass --model_checks: " + "; ".join(wrong))
