"""The public functions: load, optimize, save; `convert` composes them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import CalibrateOptions, ConvertOptions, Count, LoadOptions
from tqconv.errors import FormatError, UnsupportedError, UsageError, VerificationError
from tqconv.ir.graph import Graph, Model
from tqconv.passes import cleanup, fake_quant, patterns
from tqconv.passes import toco as toco_stages
from tqconv.passes.pipeline import FLOAT_STAGES, STAGES, Observer, Stage
from tqconv.passes.pipeline import optimize as run_stages

if TYPE_CHECKING:
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.tf.outline import Outline
    from tqconv.quant.ranges import Ranges


@dataclass
class Report:
    """What a conversion did, for the person who asked for it."""

    model: Model
    size: int
    notes: list[str] = field(default_factory=list)


@dataclass
class Calibration:
    """What `calibrate` measured."""

    ranges: Ranges
    notes: list[str] = field(default_factory=list)


def load(path: str | Path, options: LoadOptions | None = None) -> Model:
    """Read a model of any supported format, which is found by content.

    Raises UsageError where the file or a name is missing, FormatError where the file is damaged
    or of no known format, UnsupportedError where it holds something without a translation.
    """
    from tqconv.importers.detect import importer_of

    options = LoadOptions() if options is None else options
    source = Path(path)
    return importer_of(source, options)(source, options)


def optimize(model: Model) -> Model:
    """Run the default passes on a model, in place, and return it."""
    run_stages(model, STAGES)
    return model


def save(model: Model, path: str | Path) -> int:
    """Write a model as .tflite, through a temporary file beside it; return its size in bytes."""
    from tqconv.exporters.tflite import serialize

    return write_atomically(Path(path), serialize(model))


def picture(model: Model, path: str | Path) -> int:
    """Write a model as Graphviz text, through a temporary file, and return its size in bytes."""
    from tqconv.exporters.dot import dot_text

    return write_atomically(Path(path), dot_text(model).encode())


def inspect(
    path: str | Path, options: LoadOptions | None = None, *, nodes: bool = False
) -> ModelFacts | Outline:
    """Return what a model is made of, before any optimization.

    `nodes`: for a GraphDef, its nodes as they are; so too where it has no translation. Raises what
    `load` raises, but for GraphDefs only where the file is damaged.
    """
    from tqconv.exporters.report import describe
    from tqconv.importers.detect import kind_of

    options = LoadOptions() if options is None else options
    source = Path(path)
    is_graphdef = kind_of(source, options.format) in ("graphdef", "meta_graph")
    try:
        if not (nodes and is_graphdef):
            return describe(load(source, options))
        reason = ""
    except (UnsupportedError, UsageError) as error:
        if not is_graphdef or options.inputs is not None or options.outputs is not None:
            raise
        reason = str(error)
    from tqconv.importers.tf.outline import outline

    return outline(source, reason)


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
    check_target(Path(source), Path(target))
    check_folder(options.summary_dir, "the summary")
    dump = _Dump(options.dump_dir, options.dump_steps, observe)
    model = load(source, _load_options(options))
    if not model.main.outputs:
        raise FormatError(f"{source} has no outputs")
    dump.write(model, "AT_IMPORT")
    for stage in _stages(Path(source), options):
        dump.run(model, stage)
    if options.quantize.mode is not None:
        _quantize(model, options, progress)
        dump.run(model, Stage("quantization", (cleanup.share_constants,)))
    dump.write(model, "AFTER_TRANSFORMATIONS")
    check_counts(model, options.checks)
    write = picture if options.target_format == "dot" else save
    report = Report(model, write(model, target), model.notes)
    if options.summary_dir is not None:
        write_summary(model, Path(options.summary_dir))
    return report


def _load_options(options: ConvertOptions) -> LoadOptions:
    """Return how to read: FakeQuant nodes are evidence where activations become integers."""
    toco = options.toco
    integers = options.quantize.mode not in (None, "float16", "dynamic")
    said = options.load.array_ranges
    if integers and toco.arrays_extra_info_file is not None:
        from tqconv.quant import extra_info

        said = (*said, *extra_info.read(Path(toco.arrays_extra_info_file)))
    quantizing = integers or toco.drop_fake_quant
    return replace(options.load, quantizing=quantizing, array_ranges=said)


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
    passes = (fake_quant.read_fake_quant, fake_quant.drop_fake_quant)
    # In 8 bits the squares of a spelled-out norm lose far more than its epsilon is worth.
    norms = Stage("norms", (patterns.recognize_loose_l2_normalization,))
    return (Stage("evidence", passes), norms, *STAGES)


def write_summary(model: Model, folder: Path) -> None:
    """Write `conversion_summary.json`, the facts that `inspect --json` prints, into a folder."""
    from tqconv.exporters.report import describe

    content = json.dumps(describe(model).as_dict(), indent=1)
    write_atomically(folder / "conversion_summary.json", content.encode())


def calibrate(
    source: str | Path,
    target: str | Path,
    options: CalibrateOptions,
    *,
    progress: Callable[[int], None] | None = None,
) -> Calibration:
    """Measure the ranges of a model's activations on samples and write them as JSON.

    `progress` is called with the number of samples done. Raises UsageError where there are no
    samples.
    """
    from tqconv import quantization
    from tqconv.quant import ranges as evidence

    check_target(Path(source), Path(target))
    if options.quantize.calibration_data is None and options.quantize.random is None:
        raise UsageError("there are no samples", hint="add --data PATH (or --random N for trials)")
    model = optimize(load(source, options.load))
    samples = quantization.samples_of(model, options.quantize)
    method = options.quantize.method
    found = quantization.calibrate(model, samples, method=method, progress=progress)
    if options.update is not None:
        found = evidence.load(Path(options.update)).merged(found)
    write_atomically(Path(target), evidence.dump(found).encode())
    return Calibration(found, list(model.notes))


def _quantize(
    model: Model, options: ConvertOptions, progress: Callable[[int], None] | None
) -> None:
    """Quantize in place; with `verify`, note how far the result is from the float model."""
    from tqconv import quantization

    reference = snapshot(model) if options.verify is not None else None
    quantization.quantize(model, options.quantize, toco=options.toco, progress=progress)
    if reference is not None and options.verify is not None:
        found = quantization.verify(reference, model, options.verify, options.quantize)
        model.notes += quantization.verify_notes(found)


def snapshot(model: Model) -> Model:
    """Return a copy that later edits of the model do not reach."""
    from tqconv.exporters.tflite import serialize
    from tqconv.importers.tflite import parse

    return parse(bytes(serialize(model)), model.origin)


def check_target(source: Path, target: Path) -> None:
    """Raise UsageError, before any work, where the result could not be written."""
    folder = target.parent
    if not folder.is_dir():
        raise UsageError(f"{target} cannot be written: the folder {folder} does not exist")
    if target.is_dir():
        raise UsageError(f"{target} cannot be written: it is a folder")
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise UsageError(
            f"{target} is the model itself", hint="give the result another name with --output_file"
        )


def check_folder(folder: str | None, use: str) -> None:
    """Raise UsageError where a folder is named that does not exist."""
    if folder is not None and not Path(folder).is_dir():
        raise UsageError(f"the folder {folder} for {use} does not exist")


def write_atomically(path: Path, content: bytes | memoryview) -> int:
    """Replace `path` by `content` in one step: a failure leaves an existing file untouched."""
    try:
        path = path.resolve()
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)  # a device or a pipe cannot be replaced
        else:
            _replace(path, content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return len(content)


def _replace(path: Path, content: bytes | memoryview) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:200]}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        temporary.chmod(path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class _Dump:
    """Pictures of a conversion: after each stage, and after each pass when `steps` is set."""

    def __init__(self, folder: str | None, steps: bool, observe: Observer | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.steps = steps
        self.observe = observe
        self.count = 0
        check_folder(folder, "the pictures")

    def run(self, model: Model, stage: Stage) -> None:
        """Run one stage, with a picture of the result."""

        def seen(name: str, graph: Graph) -> None:
            if self.observe is not None:
                self.observe(name, graph)
            if self.steps:
                self.count += 1
                self.write(model, f"AT_STEP_{self.count:04d}_{name}")

        run_stages(model, (stage,), observe=seen)
        self.write(model, f"AFTER_{stage.name.upper()}")

    def write(self, model: Model, moment: str) -> None:
        """Write `toco_<moment>.dot`, the names that TOCO gave such files."""
        if self.folder is not None:
            picture(model, self.folder / f"toco_{moment}.dot")


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
