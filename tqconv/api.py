"""The public functions: load, optimize, save; `convert` composes them."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import ConvertOptions, Count, LoadOptions
from tqconv.errors import FormatError, UsageError, VerificationError
from tqconv.ir.graph import Graph, Model
from tqconv.passes.pipeline import STAGES, Observer, Stage
from tqconv.passes.pipeline import optimize as run_stages

if TYPE_CHECKING:
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.tf.outline import Outline


@dataclass
class Report:
    """What a conversion did, for the person who asked for it."""

    model: Model
    size: int
    notes: list[str] = field(default_factory=list)


def load(path: str | Path, options: LoadOptions | None = None) -> Model:
    """Read a model of any supported format, which is found by content.

    Raises UsageError where the file or a name is missing, FormatError where the file is damaged or
    of no
    known format, UnsupportedError where it holds something without a translation.
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
    """Write a model as .tflite, through a temporary file beside it, and return its size in bytes."""
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

    `nodes`: for a GraphDef, its nodes as they are; so too where it has no translation. Raises what `load`
    raises, but for GraphDefs only where the file is damaged.
    """
    from tqconv.exporters.report import describe
    from tqconv.importers.detect import kind_of

    options = LoadOptions() if options is None else options
    source = Path(path)
    is_graphdef = kind_of(source, options.format) == "graphdef"
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
) -> Report:
    """Read a model, optimize it, write it; see `ConvertOptions`.

    `observe(pass name, graph)` is called after each pass that changed a graph. Nothing is written,
    and an
    existing target stays as it is, when an error is raised.
    """
    options = ConvertOptions() if options is None else options
    check_target(Path(source), Path(target))
    dump = _Dump(options.dump_dir, options.dump_steps, observe)
    model = load(source, options.load)
    if not model.main.outputs:
        raise FormatError(f"{source} has no outputs")
    dump.write(model, "AT_IMPORT")
    for stage in STAGES:
        dump.run(model, stage)
    if options.quantize.mode is not None:
        _quantize(model, options)
        dump.write(model, "AFTER_QUANTIZATION")
    dump.write(model, "AFTER_TRANSFORMATIONS")
    check_counts(model, options.checks)
    write = picture if options.target_format == "dot" else save
    return Report(model, write(model, target), model.notes)


def _quantize(model: Model, options: ConvertOptions) -> None:
    """Quantize in place; with `verify`, note how far the result is from the float model."""
    from tqconv import quantization

    reference = copy.deepcopy(model) if options.verify is not None else None
    quantization.quantize(model, options.quantize, toco=options.toco)
    if reference is not None and options.verify is not None:
        found = quantization.verify(reference, model, options.verify, options.quantize)
        model.notes += quantization.verify_notes(found)


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
        if self.folder is not None and not self.folder.is_dir():
            raise UsageError(f"the folder {folder} for the pictures does not exist")

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
