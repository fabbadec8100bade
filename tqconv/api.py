"""The public functions: load, optimize, save; `convert` composes them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tqconv.config import ConvertOptions, LoadOptions
from tqconv.errors import FormatError, UsageError
from tqconv.ir.graph import Model


@dataclass
class Report:
    """What a conversion did, for the person who asked for it."""

    model: Model
    size: int
    notes: list[str] = field(default_factory=list)


def load(path: str | Path, options: LoadOptions | None = None) -> Model:
    """Read a model of any supported format, which is found by content."""
    from tqconv.importers.detect import importer_of

    options = LoadOptions() if options is None else options
    source = Path(path)
    if not source.exists():
        raise UsageError(f"{source} does not exist")
    return importer_of(source, options.format)(source, options)


def optimize(model: Model) -> Model:
    """Run the default passes on a model, in place, and return it."""
    from tqconv.passes.pipeline import STAGES
    from tqconv.passes.pipeline import optimize as run

    run(model, STAGES)
    return model


def save(model: Model, path: str | Path) -> int:
    """Write a model as .tflite, through a temporary file beside it, and return its size in bytes."""
    from tqconv.exporters.tflite import serialize

    return write_atomically(Path(path), serialize(model))


def write_atomically(path: Path, content: bytes | memoryview) -> int:
    """Replace `path` by `content` in one step: a failure leaves an existing file untouched."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent or Path())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return len(content)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def convert(
    source: str | Path, target: str | Path, options: ConvertOptions | None = None
) -> Report:
    """Read a model, optimize it, write it; see `ConvertOptions`."""
    options = ConvertOptions() if options is None else options
    model = load(source, options.load)
    if not model.main.outputs:
        raise FormatError(f"{source} has no outputs")
    optimize(model)
    size = save(model, target)
    return Report(model, size, model.notes)
