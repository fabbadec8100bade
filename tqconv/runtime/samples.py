"""Sample data for calibration and comparison: arrays, folders of images or tensors, or random."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UsageError, absent, counted, shaped, suggestion
from tqconv.ir.graph import Tensor
from tqconv.ops.finite import is_asked
from tqconv.records import dataclass
from tqconv.runtime.arrays import outlines, read_arrays
from tqconv.runtime.images import SUFFIXES, Scaling, read_image
from tqconv.untrusted import Mapped

Array = NDArray[Any]
Feed = dict[str, Array]
RAW = (".bin", ".raw")
ARRAYS = (".npy", ".npz")
SEED = 1
"""Random samples are the same in every run."""
SHOWN = 4
"""Names of files that a note lists."""
T = TypeVar("T")


@dataclass(frozen=True)
class SampleOptions:
    """How to read samples. `limit`: at most so many; `scaling`: how pixels become reals."""

    limit: int | None = None
    scaling: Scaling | None = None


def reading_notes(path: Path, inputs: Sequence[Tensor]) -> list[str]:
    """Return what people may not expect of samples: files left out, integers for reals."""
    if path.is_dir():
        used = set(files_below(path))
        others = sorted(f for f in path.rglob("*") if f.is_file() and f not in used)
        if not others:
            return []
        names = ", ".join(f.name for f in others[:SHOWN])
        more = f", … {len(others) - SHOWN} more" if len(others) > SHOWN else ""
        return [f"{counted(len(others), 'file')} of {path} left out: {names}{more}"]
    if path.suffix not in ARRAYS:
        return []
    arrays = _arrays(outlines(path), path, inputs)
    bytes_for_reals = [
        t.name
        for t in inputs
        if t.dtype.kind == "f" and arrays[t.name].dtype in (np.uint8, np.int8)
    ]
    return [
        f"{path} holds {arrays[name].dtype} for input '{name}', which takes {np.dtype(np.float32)}:"
        " fed as these numbers, without scaling"
        for name in bytes_for_reals
    ]


def count_samples(path: Path, inputs: Sequence[Tensor], limit: int | None) -> int | None:
    """Return how many samples there will be; None where only reading them tells."""
    if path.is_dir():
        files = list(files_below(path))
        if any(f.suffix in ARRAYS or f.suffix in RAW for f in files):
            return None
        found = len(files)
    elif path.suffix in ARRAYS:
        arrays = _arrays(outlines(path), path, inputs)
        found = min(len(_batches(arrays[t.name], t, path)) for t in inputs)
    else:
        return None
    return found if limit is None else min(found, limit)


def read_samples(path: Path, inputs: Sequence[Tensor], options: SampleOptions) -> Iterator[Feed]:
    """Yield one feed per sample of a file or folder, in the order of the names.

    Arrays may have a leading sample axis, which is split into batches of the model's size. Errors
    name the file and the input that is empty, of the wrong shape or type, or not finite although
    the model never asks about that.
    """
    if not path.exists():
        raise absent(path)
    if not inputs:
        raise UsageError("the model has no inputs to feed")
    feeds = _folder(path, inputs, options) if path.is_dir() else _file(path, inputs, options)
    count = 0
    for feed in feeds:
        if options.limit is not None and count >= options.limit:
            return
        count += 1
        yield feed
    if not count:
        raise UsageError(
            f"{path} holds no samples",
            hint=f"files of samples end in {', '.join((*ARRAYS, *RAW, *SUFFIXES))}",
        )


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder, and in those inside, that are samples, in the order of names."""
    known = {*ARRAYS, *RAW, *SUFFIXES}
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in known and f.is_file())
    return iter(files)


def holds_images(path: Path) -> bool:
    """Whether a file is an image, or a folder has one in it."""
    files = path.rglob("*") if path.is_dir() else [path]
    return any(file.suffix.lower() in SUFFIXES for file in files)


MOST_RANDOM = 2**28
"""Elements of a random sample, which is made in float64: 2 GiB."""


def random_samples(inputs: Sequence[Tensor], count: int) -> Iterator[Feed]:
    """Yield random samples: reals in the input's known range or in [0, 1), integers 0 or 1."""
    generator = np.random.default_rng(SEED)
    for _ in range(count):
        yield {t.name: _random(t, generator) for t in inputs}


def _random(tensor: Tensor, generator: np.random.Generator) -> Array:
    shape = tuple(1 if d is None else d for d in tensor.shape)
    if tensor.size > MOST_RANDOM:
        raise UsageError(
            f"input `{tensor.name}` of shape {shaped(shape)} is too large for random samples",
            hint="give the size that it has in use with --input_shapes",
        )
    if tensor.dtype.kind != "f":
        return generator.integers(0, 2, shape).astype(tensor.dtype)
    low, high = (tensor.range.low, tensor.range.high) if tensor.range else (0.0, 1.0)
    return generator.uniform(low, high, shape).astype(tensor.dtype)


def _file(path: Path, inputs: Sequence[Tensor], options: SampleOptions) -> Iterator[Feed]:
    if path.suffix in ARRAYS:
        content = Mapped(path)
        for feed in _split(path, _arrays(read_arrays(path, content), path, inputs), inputs):
            content.look_at(sum(array.nbytes for array in feed.values()))
            yield feed
    elif path.suffix in RAW:
        yield {_only(inputs, path).name: _raw(path, _only(inputs, path))}
    elif path.suffix.lower() in SUFFIXES:
        tensor = _only(inputs, path)
        yield {tensor.name: read_image(path, tensor, options.scaling)}
    else:
        raise UsageError(
            f"{path} is of no known kind",
            hint=f"samples come as {', '.join((*ARRAYS, *RAW))}, or folders of those or of images",
        )


def _folder(path: Path, inputs: Sequence[Tensor], options: SampleOptions) -> Iterator[Feed]:
    """Files are samples one by one; subfolders named like the inputs hold one input each."""
    folders = {t.name: path / t.name.removesuffix(":0") for t in inputs}
    if len(inputs) > 1 and all(folder.is_dir() for folder in folders.values()):
        parts = [_folder(folders[t.name], [t], options) for t in inputs]
        for feeds in _in_step(parts, path):
            yield {name: array for feed in feeds for name, array in feed.items()}
        return
    for file in files_below(path):
        yield from _file(file, inputs, options)


def _in_step(parts: Sequence[Iterator[T]], path: Path) -> Iterator[list[T]]:
    for items in iter(lambda: [next(part, None) for part in parts], [None] * len(parts)):
        present = [item for item in items if item is not None]
        if len(present) < len(items):
            raise UsageError(f"the folders in {path} hold different numbers of samples")
        yield present


def _only(inputs: Sequence[Tensor], path: Path) -> Tensor:
    if len(inputs) > 1:
        names = ", ".join(t.name for t in inputs)
        raise UsageError(
            f"{path} holds one tensor, the model has {counted(len(inputs), 'input')}",
            hint=f"use a .npz file with {names}, or a folder for each of them",
        )
    return inputs[0]


def _raw(path: Path, tensor: Tensor) -> Array:
    data = np.fromfile(path, tensor.dtype)
    known = int(np.prod([1 if d is None else d for d in tensor.shape], dtype=np.int64))
    if data.size == 0 or data.size % max(known, 1):
        raise UsageError(
            f"{path} holds {data.size} values of type {tensor.dtype}, input '{tensor.name}' "
            f"takes {known}"
        )
    if data.size != known and tensor.shape.count(None) != 1:
        raise UsageError(f"{path} holds {data.size} values, input '{tensor.name}' takes {known}")
    return _checked(data.reshape([-1 if d is None else d for d in tensor.shape]), tensor, path)


def _arrays(
    content: Array | dict[str, Array], path: Path, inputs: Sequence[Tensor]
) -> dict[str, Array]:
    """Return an array per input: by name, or by order where no name is known."""
    if isinstance(content, np.ndarray):
        return {_only(inputs, path).name: content}
    return _by_name(path, content, inputs)


def _by_name(path: Path, arrays: dict[str, Array], inputs: Sequence[Tensor]) -> dict[str, Array]:
    plain = {name.removesuffix(":0"): array for name, array in arrays.items()}
    names = [t.name.removesuffix(":0") for t in inputs]
    if all(name in plain for name in names):
        return {t.name: plain[n] for t, n in zip(inputs, names, strict=True)}
    missing = [name for name in names if name not in plain]
    if len(missing) == len(names) == len(arrays):
        return {t.name: a for t, a in zip(inputs, arrays.values(), strict=True)}
    raise UsageError(
        f"{path} has no array for input '{missing[0]}'{suggestion(missing[0], plain)}",
        hint=f"it holds {', '.join(arrays)}; the model reads {', '.join(names)}",
    )


def _split(path: Path, arrays: dict[str, Array], inputs: Sequence[Tensor]) -> Iterator[Feed]:
    """Yield the samples of arrays that have a leading sample axis.

    Inputs of unknown first sizes whose arrays differ there get one sample: the arrays as they are.
    """
    columns = {t.name: _batches(arrays[t.name], t, path) for t in inputs}
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        columns = {t.name: _whole(arrays[t.name], t) or columns[t.name] for t in inputs}
    if len({len(column) for column in columns.values()}) > 1:
        raise UsageError(f"{path} holds different numbers of samples: {counts}")
    for position in range(len(next(iter(columns.values())))):
        yield {t.name: _checked(columns[t.name](position), t, path) for t in inputs}


@dataclass(frozen=True)
class _Column:
    """The samples of one input; taken one by one, so that a mapped file is not read at once."""

    count: int
    take: Callable[[int], Array]

    def __len__(self) -> int:
        return self.count

    def __call__(self, position: int) -> Array:
        return self.take(position)


def _whole(array: Array, tensor: Tensor) -> _Column | None:
    """Return the whole array as one sample, where it can be that as well as several."""
    dynamic = tensor.rank > 0 and tensor.shape[0] is None
    return _Column(1, lambda _: array) if dynamic and array.ndim == tensor.rank else None


def _batches(array: Array, tensor: Tensor, path: Path) -> _Column:
    """Cut an array along its first axis into pieces of the input's shape."""
    if array.size == 0:
        raise UsageError(f"{path} holds no values for input '{tensor.name}'")
    if array.ndim == tensor.rank == 0:
        return _Column(1, lambda _: array)
    if array.ndim == tensor.rank + 1 and _fits(array.shape[1:], tensor):
        return _Column(array.shape[0], lambda i: array[i])
    batch = (tensor.shape[0] or 1) if tensor.rank else 0
    whole = array.ndim == tensor.rank and batch and array.shape[0] % batch == 0
    if whole and _fits((batch, *array.shape[1:]), tensor):
        return _Column(array.shape[0] // batch, lambda i: array[i * batch : (i + 1) * batch])
    raise UsageError(
        f"{path} holds {shaped(array.shape)} for input '{tensor.name}', which takes "
        f"{shaped(tensor.shape)}",
        hint=f"rows lie along the first axis: a hundred are {shaped((100, *tensor.shape[1:]))}",
    )


def _fits(shape: Sequence[int], tensor: Tensor) -> bool:
    pairs = zip(shape, tensor.shape, strict=True)
    return all(want is None or want == have for have, want in pairs)


def _checked(array: Array, tensor: Tensor, path: Path) -> Array:
    """Return the array in the input's type; UsageError where a value would change its meaning."""
    if not np.can_cast(array.dtype, tensor.dtype, "same_kind"):
        whole = array.dtype.kind in "iu" and tensor.dtype.kind in "iuf"
        if not whole or not np.array_equal(array.astype(tensor.dtype), array):
            raise UsageError(
                f"{path} holds {array.dtype} for input '{tensor.name}', which takes {tensor.dtype}"
            )
    if array.dtype.kind == "f" and not np.isfinite(array).all() and not is_asked(tensor):
        raise UsageError(f"{path} holds values that are not finite for input '{tensor.name}'")
    return np.ascontiguousarray(array, tensor.dtype).reshape(array.shape)
