"""What Python users have in their hands: models as bytes, samples as arrays, options by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from tqconv.config import ConvertOptions, Progress, parse_names
from tqconv.errors import TqconvError, UsageError, suggestion
from tqconv.jobs.convert import Report
from tqconv.jobs.convert import convert as convert_file
from tqconv.jobs.phases import calibration_only
from tqconv.passes.driver import Observer

Item = NDArray[Any] | Mapping[str, Any] | Sequence[Any]
Samples = (
    str | Path | NDArray[Any] | Mapping[str, Any] | Iterable[Item] | Callable[[], Iterable[Item]]
)
"""A file or folder; an array with a leading sample axis, or one for each input by name; samples one
by one: arrays, lists of one array for each input, or dicts by name; a function that yields those.
"""

PARTS = ("load", "quantize", "toco")
"""Groups of `ConvertOptions` whose options can be named without the group."""
SPELLED: Mapping[str, str] = {
    "quantize": "quantize.mode",
    "samples": "quantize.calibration_data",
    "representative_dataset": "quantize.calibration_data",
    "calibration_samples": "quantize.samples",
}
"""Names of their own: `quantize="int8"`, `samples=…`."""
NAMES = frozenset({"load.inputs", "load.outputs", "load.tags", "quantize.keep_float"})
"""Options that hold several names, which may be given as one text with commas."""


@overload
def convert(
    source: str | Path | bytes | bytearray | memoryview,
    target: None = None,
    options: ConvertOptions | None = None,
    *,
    observe: Observer | None = None,
    progress: Progress | None = None,
    **named: Any,
) -> bytes: ...


@overload
def convert(
    source: str | Path | bytes | bytearray | memoryview,
    target: str | Path,
    options: ConvertOptions | None = None,
    *,
    observe: Observer | None = None,
    progress: Progress | None = None,
    **named: Any,
) -> Report: ...


def convert(
    source: str | Path | bytes | bytearray | memoryview,
    target: str | Path | None = None,
    options: ConvertOptions | None = None,
    *,
    observe: Observer | None = None,
    progress: Progress | None = None,
    **named: Any,
) -> Report | bytes:
    """Convert a model: a path, or the bytes of a file. Without a target, return the result's bytes.

    Options are those of `options`, changed by what is named: any field of `LoadOptions`,
    `QuantizeOptions`, `TocoOptions` and `ConvertOptions`, and

        tqconv.convert("m.pb", "m.tflite", quantize="int8", samples=representative_dataset)

    samples: see `Samples`. `observe(pass name, graph)` is called after each pass that changed a
    graph, `progress` with the number of calibration samples done, and of all where that is known.
    Raises a `TqconvError`; nothing is written then, and an existing target stays as it is.
    """
    with TemporaryDirectory(prefix="tqconv-") as scratch:
        folder = Path(scratch)
        asked = _named(ConvertOptions() if options is None else options, named, folder)
        path = _as_file(source, folder / "model")
        place = folder / "result.tflite" if target is None else Path(target)
        with _without(folder):
            watch = calibration_only(progress)
            report = convert_file(path, place, asked, observe=observe, watch=watch)
        return place.read_bytes() if target is None else report


@contextmanager
def _without(folder: Path) -> Iterator[None]:
    """Let errors speak of what the user gave, not of the files that it went through."""
    try:
        yield
    except TqconvError as error:
        error.message = error.message.replace(f"{folder}/samples.npz", "`samples`")
        error.message = error.message.replace(f"{folder}/verify.npz", "`verify`")
        error.message = error.message.replace(f"{folder}/", "the bytes of the ")
        error.args = (error.message,)
        raise


def _as_file(source: str | Path | bytes | bytearray | memoryview, path: Path) -> Path:
    if isinstance(source, str | Path):
        return Path(source)
    if not isinstance(source, bytes | bytearray | memoryview):
        raise UsageError(
            f"a model is a path or the bytes of a file, not {type(source).__name__}",
            hint="save a model that is in memory first: Keras's `model.save`, `torch.onnx.export`",
        )
    path.write_bytes(source)
    return path


def _named(options: ConvertOptions, named: Mapping[str, Any], folder: Path) -> ConvertOptions:
    """Return the options with the named ones set; UsageError for a name that there is not."""
    places = _places()
    for name, value in named.items():
        place = places.get(name)
        if place is None:
            raise UsageError(f"there is no option `{name}`{suggestion(name, places)}")
        group, _, own = place.rpartition(".")
        if place in NAMES and isinstance(value, str):
            value = parse_names(value)
        if place in ("quantize.calibration_data", "verify"):
            stem = "verify" if place == "verify" else "samples"
            value = _samples_file(value, folder / f"{stem}.npz")
        if isinstance(value, Path):
            value = str(value)
        if group:
            part = replace(getattr(options, group), **{own: value})
            options = replace(options, **{group: part})
        else:
            options = replace(options, **{own: value})
    return options


def _places() -> dict[str, str]:
    """Return where each option stands, by its name."""
    whole = ConvertOptions()
    found = {f.name: f.name for f in fields(whole) if f.name not in PARTS}
    for part in PARTS:
        found |= {f.name: f"{part}.{f.name}" for f in fields(getattr(whole, part))}
    return {**found, **SPELLED}


def _samples_file(samples: Samples | None, path: Path) -> str | None:
    """Return the name of a file with the samples; UsageError for what are none."""
    if samples is None or isinstance(samples, str | Path):
        return None if samples is None else str(samples)
    if callable(samples):
        samples = samples()
    if isinstance(samples, np.ndarray):
        _save(path, {"samples": samples})
    elif isinstance(samples, Mapping):
        _save(path, {str(name): np.asarray(a) for name, a in samples.items()})
    elif isinstance(samples, Iterable):
        _save_items(list(samples), path)
    else:
        raise UsageError(f"samples are arrays, not {type(samples).__name__}")
    return str(path)


def _save_items(items: Sequence[Item], path: Path) -> None:
    """Save samples that come one by one, each input's behind each other."""
    if not items:
        raise UsageError("there are no samples")
    first = items[0]
    if isinstance(first, Mapping):
        named = {str(n): _stacked([i[n] for i in items if isinstance(i, Mapping)]) for n in first}
        _save(path, named)
        return
    rows = [list(i) if isinstance(i, list | tuple) else [i] for i in items]
    if any(len(row) != len(rows[0]) for row in rows):
        raise UsageError("the samples have different numbers of inputs")
    columns = list(zip(*rows, strict=True))
    places = [f"array {i} of {len(columns)}" for i in range(1, len(columns) + 1)]
    # Not input_0, …: Keras calls inputs so, and arrays are found by name before they are by order.
    _save(path, {place: _stacked(c) for place, c in zip(places, columns, strict=True)})


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as .npz; any name will do, where numpy's own function has parameters."""
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _stacked(arrays: Sequence[Any]) -> NDArray[Any]:
    found = [np.asarray(array) for array in arrays]
    shapes = sorted({a.shape for a in found})
    if len(shapes) > 1:
        raise UsageError(
            f"the samples of one input have different shapes: {list(shapes[0])}, {list(shapes[1])}",
            hint="bring them to one shape, or write them as files of a folder",
        )
    return np.stack(found)
