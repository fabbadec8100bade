"""The public functions: load, optimize, save; `convert` composes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import CalibrateOptions, ConvertOptions, Count, LoadOptions
from tqconv.errors import FormatError, UnsupportedError, UsageError, VerificationError
from tqconv.ir.graph import Graph, Model
from tqconv.output import check_folder, check_target, write_atomically
from tqconv.passes import cleanup, fake_quant, order
from tqconv.passes.pipeline import FLOAT_STAGES, STAGES, Observer, Pass, Stage
from tqconv.passes.pipeline import optimize as run_stages
from tqconv.passes.recognize import patterns
from tqconv.passes.toco import stages as toco_stages
from tqconv.requests import check_files, check_scaling, check_types

if TYPE_CHECKING:
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.tf.outline import Outline
    from tqconv.quant.evidence.ranges import Ranges
    from tqconv.runtime.compare import Difference


@dataclass
class Report:
    """What a conversion did, for the person who asked for it."""

    model: Model
    size: int
    notes: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    """How far the result is from the float model, where `verify` asked for it."""


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

    options = LoadOptions() if options is None else options
    if nodes and _is_graphdef(Path(path), options):
        return _outline(path, "")
    try:
        return describe(load(path, options))
    except (UnsupportedError, UsageError) as error:
        if not _shows_nodes(Path(path), options):
            raise
        return _outline(path, str(error))


def draw(
    path: str | Path, options: LoadOptions | None = None, *, optimized: bool = False
) -> tuple[str, list[str]]:
    """Return a model as Graphviz text, and notes; a GraphDef without translation node by node.

    `optimized`: as `convert` would write it. Raises what `load` raises where nodes do not help.
    """
    from tqconv.exporters.dot import dot_text

    options = LoadOptions() if options is None else options
    try:
        model = load(path, options)
    except (UnsupportedError, UsageError) as error:
        if optimized or not _shows_nodes(Path(path), options):
            raise
        from tqconv.exporters.dot_nodes import nodes_text

        found = _outline(path, str(error))
        return nodes_text(found.origin, found.nodes, found.untranslated), [str(error)]
    return dot_text(optimize(model) if optimized else model), list(model.notes)


def _is_graphdef(path: Path, options: LoadOptions) -> bool:
    from tqconv.importers.detect import kind_of

    return kind_of(path, options.format) in ("graphdef", "meta_graph")


def _shows_nodes(path: Path, options: LoadOptions) -> bool:
    """Whether the nodes are shown where an import fails; not for what the user named wrongly."""
    named = options.inputs is not None or options.outputs is not None
    return not named and _is_graphdef(path, options)


def _outline(path: str | Path, reason: str) -> Outline:
    from tqconv.importers.tf.outline import outline

    return outline(Path(path), reason)


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
    dump = _Dump(options.dump_dir, options.dump_steps, observe)
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

    if _is_graphdef(source, options.load):
        names = [node.name for node in _outline(source, "").nodes]
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
    if toco.drop_fake_quant:
        passes: tuple[Pass, ...] = (fake_quant.read_fake_quant, fake_quant.drop_fake_quant)
    else:
        passes = (fake_quant.clamp_fake_quant,)
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
    from tqconv.quant.evidence import inputs
    from tqconv.quant.evidence import ranges as evidence

    asked = options.quantize
    check_target(
        Path(target), {"the model itself": source, "what --data reads": asked.calibration_data}
    )
    if asked.calibration_data is None and asked.random is None:
        raise UsageError("there are no samples", hint="add --data PATH (or --random N for trials)")
    check_scaling(asked)
    before = None if options.update is None else evidence.load(Path(options.update))
    model = optimize(load(source, options.load))
    inputs.tell(model, asked)
    samples = quantization.samples_of(model, asked)
    found = quantization.calibrate(model, samples, method=asked.method, progress=progress)
    if before is not None:
        found = before.merged(found)
    write_atomically(Path(target), evidence.dump(found).encode())
    return Calibration(found, list(model.notes))


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
    from tqconv import quantization
    from tqconv.quant.evidence import ranges as evidence

    asked, known = options.quantize, None
    fused = _names(model)
    if asked.ranges is not None:
        known = evidence.load(Path(asked.ranges))
        asked = replace(asked, ranges=None)
    quantization.quantize(model, asked, known, toco=options.toco, progress=progress)
    if known is not None:
        fused |= _names(model)
        model.notes += evidence.unknown_notes(known, fused, names, str(options.quantize.ranges))


def _verify(reference: Model, model: Model, options: ConvertOptions) -> list[Difference]:
    from tqconv import quantization

    found = quantization.verify(reference, model, str(options.verify), options.quantize)
    model.notes += quantization.verify_notes(found)
    return found


def snapshot(model: Model) -> Model:
    """Return a copy that later edits of the model do not reach."""
    from tqconv.exporters.tflite import serialize
    from tqconv.importers.tflite import parse

    copy = parse(bytes(serialize(model)), model.origin)
    for mine, theirs in zip(copy.main.inputs, model.main.inputs, strict=True):
        mine.range = theirs.range  # a file has no place for it, and images are scaled to it
    return copy


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
