"""From a file of any format to a written model: read, optimize, quantize, check, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import ConvertOptions, Count, LoadOptions, Watch, type_by_toco
from tqconv.errors import FormatError, UsageError, VerificationError
from tqconv.importers.source import SourceFile, source_of
from tqconv.ir.graph import Model
from tqconv.jobs import footprint
from tqconv.jobs.files import picture, save, write_summary
from tqconv.jobs.images import turn_images
from tqconv.jobs.logits import Logits
from tqconv.jobs.narrow import FLOAT_ACTIVATIONS, names_of, narrow
from tqconv.jobs.phases import unwatched
from tqconv.jobs.pictures import Pictures
from tqconv.jobs.record import Record
from tqconv.jobs.requests import check_device, check_gate, check_picture, check_types
from tqconv.output import bytes_of, write_atomically
from tqconv.passes.driver import Observer, run_stages
from tqconv.passes.pipeline import LAST, QUANTIZED, stages_before
from tqconv.records import dataclass

if TYPE_CHECKING:
    from tqconv.runtime.compare import Difference


@dataclass(repr=False)
class Report:
    """What a conversion did, for the person who asked for it."""

    model: Model
    size: int
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    """How far the result is from the float model, where `verify` or a gate asked for it."""
    files: list[Path] = field(default_factory=list)
    """What was written beside the result: pictures in order, the report, the summary."""

    def __repr__(self) -> str:
        """Say what was made, in a line."""
        notes = f"{len(self.notes)} note" + ("" if len(self.notes) == 1 else "s")
        return f"<Report: {self.model!r}, {self.size} bytes, {notes}>"


def convert(
    source: str | Path,
    target: str | Path,
    options: ConvertOptions | None = None,
    *,
    observe: Observer | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Read a model, optimize it, write it; see `ConvertOptions`.

    `observe(pass name, graph)` is called after each pass that changed a graph; `watch`: see there.
    Nothing is written, and an existing target stays as it is, when an error is raised.
    """
    options = _as_toco(ConvertOptions() if options is None else options)
    target = Path(target)
    file = source_of(Path(source), options.load)
    _check_request(file, target, options)
    dump = Pictures(options.dump_dir, options.dump_steps, observe)
    reading = _load_options(options)
    watch(f"reading {file.path.name}", "")
    model = file.load(reading)
    model.notes += _unknown_arrays(file, model, reading)
    if not model.main.outputs:
        raise FormatError(f"{source} has no outputs")
    names = names_of(model)
    dump.write(model, "AT_IMPORT")
    watch("optimizing", "")
    _optimize(model, options, reading, file, dump)
    _fit(model, options, observe)
    record = Record(histograms=options.report is not None)
    with dump.of_failure(model):
        record.differences = narrow(model, options, names, watch, record)
    watch("writing", "")
    if options.quantize.mode is not None:
        dump.run(model, QUANTIZED)
        _fit(model, options, observe)
    if options.toco.inference_type is None:
        run_stages(model, (LAST,))
    dump.write(model, "AFTER_TRANSFORMATIONS", record.floats)
    _check_result(model, options)
    size, files = _write(file, target, model, options, record)
    return Report(model, size, model.notes, record.differences, dump.files + files)


def _optimize(
    model: Model, options: ConvertOptions, reading: LoadOptions, file: SourceFile, dump: Pictures
) -> None:
    """Run the stages before a quantization, or writing, on a model with the ends asked for."""
    logits = Logits(wanted=options.logits)
    turn_images(model, reading)
    logits.cut(model)
    for stage in stages_before(
        options.toco,
        quantizing=reading.quantizing,
        channels_first=file.format.channels_first,
        measures_cells=_measures_cells(options),
    ):
        dump.run(model, stage)
    logits.cut(model)
    model.notes += logits.notes()


def _measures_cells(options: ConvertOptions) -> bool:
    """Whether an LSTM may become one operator of integers again, whose single steps nobody names.

    A ranges file knows the steps: its calibration does not know the mode.
    """
    asked = options.quantize
    samples = asked.calibration_data is not None or asked.random is not None
    names = asked.ranges is not None or asked.keep_float or asked.int16
    return asked.mode == "int8" and samples and not names and options.min_sqnr is None


def _fit(model: Model, options: ConvertOptions, observe: Observer | None) -> None:
    """Choose forms that the target takes, where there is one."""
    if options.device is not None:
        from tqconv.jobs import placement

        placement.fit(model, options.device, observe)


def _check_request(file: SourceFile, target: Path, options: ConvertOptions) -> None:
    """Raise UsageError for what cannot be fulfilled whatever the model holds."""
    footprint.of_conversion(file, target, options).check()
    check_types(options, may_hold_integers=file.kind == "tflite")
    check_gate(options)
    check_device(options)
    check_picture(options, target)


def _write(
    file: SourceFile, target: Path, model: Model, options: ConvertOptions, record: Record
) -> tuple[int, list[Path]]:
    """Write the result and what is said about it; return its size, and the other files."""
    asked = options.report is not None
    report = _reported(file, target, model, options, record) if asked else b""
    size = (picture if options.target_format == "dot" else save)(model, target)
    files = []
    if options.report is not None:
        files.append(Path(options.report))
        write_atomically(files[-1], report)
    if options.summary_dir is not None:
        files.append(Path(options.summary_dir) / footprint.SUMMARY)
        write_summary(model, files[-1])
    return size, files


def _reported(
    file: SourceFile, target: Path, model: Model, options: ConvertOptions, record: Record
) -> bytes:
    """Return the report of a conversion."""
    from tqconv.exporters.drawing.words import readable
    from tqconv.exporters.tflite import serialize
    from tqconv.jobs.page import identity_of, page_of

    content = serialize(model)
    mode = options.quantize.mode or "float"
    before, after = bytes_of(file.path), len(content)
    sizes = f"{readable(before)} → {readable(after)}, {after / max(1, before):.2f} of it"
    return page_of(
        model,
        record,
        title=target.name,
        done=f"{mode}, from {file.path.name}: {sizes}",
        identity=[
            *identity_of(target, content),
            *((f"source {key}", text) for key, text in identity_of(file.path)),
        ],
        command=options.command,
    )


def _unknown_arrays(file: SourceFile, model: Model, reading: LoadOptions) -> list[str]:
    """Return a note about the entries of --arrays_extra_info_file that no array matches."""
    if not reading.array_ranges:
        return []
    from tqconv.quant.evidence import extra_info

    outline = file.outline(reading)
    arrays = model.main.tensors() if outline is None else outline.nodes
    return extra_info.unknown_notes(reading.array_ranges, [array.name for array in arrays])


def _as_toco(options: ConvertOptions) -> ConvertOptions:
    """Return options that name the type of TOCO's own quantization where there is one."""
    mode = options.quantize.mode
    made = type_by_toco(mode, options.toco.inference_type)
    if made not in (None, mode):
        raise UsageError(
            f"TOCO's inference_type {made} does not go with {mode or 'a float model'}",
            hint=f"ask for quantize={made!r}, too",
        )
    return replace(options, toco=replace(options.toco, inference_type=made))


def _load_options(options: ConvertOptions) -> LoadOptions:
    """Return how to read: FakeQuant nodes are evidence where activations become integers."""
    toco = options.toco
    integers = options.quantize.mode not in FLOAT_ACTIVATIONS
    said = options.load.array_ranges
    if integers and toco.arrays_extra_info_file is not None:
        from tqconv.quant.evidence import extra_info

        said = (*said, *extra_info.read(Path(toco.arrays_extra_info_file)))
    quantizing = integers or toco.drop_fake_quant
    stored_grid = toco.inference_type is not None
    return replace(
        options.load,
        quantizing=quantizing,
        rounds_products=integers or options.quantize.mode in ("weights", "dynamic"),
        stored_grid=stored_grid,
        array_ranges=said,
    )


def _check_result(model: Model, options: ConvertOptions) -> None:
    """Raise VerificationError where the result is not what was asked for."""
    check_counts(model, options.checks)
    if options.device is None:
        return
    from tqconv.jobs import placement

    model.notes += placement.require(model, options.device, allow_fallback=options.allow_fallback)


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
