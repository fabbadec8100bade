"""Tensors of an ONNX file as arrays, also those whose bytes lie in a file beside it."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from tqconv.errors import FormatError, UnsupportedError, first_line, shaped
from tqconv.importers.borders import COMPUTED
from tqconv.ir.arrays import narrowed
from tqconv.ir.types import STRING
from tqconv.records import dataclass
from tqconv.untrusted import whole

FLOAT32 = np.dtype(np.float32)
NARROW: dict[int, np.dtype] = {
    onnx.TensorProto.INT4: np.dtype(np.int8),
    onnx.TensorProto.UINT4: np.dtype(np.uint8),
    onnx.TensorProto.BFLOAT16: FLOAT32,
}
"""Types that are stored in fewer bits than the result has."""
EIGHT_BITS = frozenset(
    getattr(onnx.TensorProto, name)
    for name in ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
)
"""Reals that constants alone may have: LiteRT has no such type, and each is a float32."""


KNOWN = frozenset(
    f"{kind}{bits}" for kind in ("float", "int", "uint") for bits in (8, 16, 32, 64)
) | {"bool", "complex64", "complex128"}
"""numpy's own types: those of other libraries, such as the floats of 8 bits, are not LiteRT's."""


def dtype_of(number: int) -> np.dtype:
    """Return the numpy type of a TensorProto.DataType; UnsupportedError where LiteRT has none."""
    if number in NARROW:
        return NARROW[number]
    if number == onnx.TensorProto.STRING:
        return STRING
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    except (KeyError, TypeError) as error:
        raise UnsupportedError(f"data type {number} is not supported") from error
    if dtype.name not in KNOWN:
        raise UnsupportedError(
            f"data type {onnx.TensorProto.DataType.Name(number)} is not supported"
        )
    return dtype


def computed(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in the type that the converted model computes with."""
    return narrowed(array, COMPUTED[array.dtype]) if array.dtype in COMPUTED else array


INSIDE = "\0"
"""Begins the location of a tensor in the model's own file; no file has such a name."""


@dataclass
class Files:
    """The files beside a model that hold its large tensors; never outside of its folder."""

    folder: Path
    inside: Sequence[memoryview] = ()
    """Content of tensors in the model's own file, by the numbers in their locations."""
    _mapped: dict[Path, memoryview] = field(default_factory=dict)

    def bytes_of(self, tensor: Any) -> memoryview:
        """Return the bytes of a tensor with external data; FormatError where they do not exist."""
        place = {entry.key: entry.value for entry in tensor.external_data}
        location = place.get("location", "")
        number = whole(location.removeprefix(INSIDE)) if location.startswith(INSIDE) else None
        if number is not None and number < len(self.inside):
            return self.inside[number]
        data = self._map(self._inside(location, tensor.name))
        try:
            offset = int(place.get("offset", 0))
            length = int(place.get("length", len(data) - offset))
        except ValueError as error:
            raise FormatError(
                f"tensor '{tensor.name}' has no readable place in its file"
            ) from error
        if offset < 0 or length < 0 or offset + length > len(data):
            raise FormatError(
                f"tensor '{tensor.name}' lies outside of {place['location']}, which has "
                f"{len(data)} bytes",
                hint="copy or download the file again",
            )
        return data[offset : offset + length]

    def _inside(self, location: str, name: str) -> Path:
        folder = self.folder.resolve()
        try:
            path = (folder / location).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise FormatError(f"`{location}` of tensor '{name}' is not a file name") from error
        if not location or folder not in path.parents:
            raise FormatError(
                f"tensor '{name}' lies in `{location}`, outside of the model's folder"
            )
        if not path.is_file():
            raise FormatError(
                f"tensor '{name}' lies in {location}, which is not there",
                hint="copy it to the folder of the model",
            )
        return path

    def _map(self, path: Path) -> memoryview:
        if path not in self._mapped:
            with path.open("rb") as file:
                empty = path.stat().st_size == 0
                content = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._mapped[path] = memoryview(content)
        return self._mapped[path]


def array_of(tensor: Any, files: Files) -> NDArray[Any]:
    """Return a TensorProto as an array, in the file's bytes where that is possible.

    Raises FormatError where its content does not fill its shape, UnsupportedError for a type that
    LiteRT lacks.
    """
    dtype = FLOAT32 if tensor.data_type in EIGHT_BITS else dtype_of(tensor.data_type)
    shape = tuple(tensor.dims)
    if any(d < 0 for d in shape):
        raise FormatError(f"tensor '{tensor.name}' has the shape {shaped(shape)}")
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    raw = files.bytes_of(tensor) if external else memoryview(tensor.raw_data)
    plain = tensor.data_type not in (*NARROW, *EIGHT_BITS) and dtype != STRING
    if plain and (external or tensor.HasField("raw_data")):
        if len(raw) != math.prod(shape) * dtype.itemsize:
            raise FormatError(
                f"tensor '{tensor.name}' of shape {shaped(shape)} has {len(raw)} bytes of {dtype}"
            )
        return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
    if external:
        inner = onnx.TensorProto(data_type=tensor.data_type, dims=shape, raw_data=bytes(raw))
        inner.name = tensor.name
        tensor = inner
    return _decoded(tensor, dtype, shape)


def dense_of(sparse: Any, files: Files) -> NDArray[Any]:
    """Return a SparseTensorProto as an array; raises what `array_of` does.

    Its places are numbers of elements, or rows of coordinates.
    """
    values, places = array_of(sparse.values, files), array_of(sparse.indices, files)
    shape = tuple(sparse.dims)
    size = math.prod(shape)
    if any(d < 0 for d in shape) or size > SPREAD * max(values.size, SPREAD):
        raise FormatError(f"{values.size} elements for a sparse constant of {shaped(shape)}")
    try:
        if places.ndim == 2:
            places = np.ravel_multi_index(tuple(places.T), shape)
        made = np.zeros(size, values.dtype)
        made[places] = values
    except (ValueError, IndexError, TypeError) as error:
        raise FormatError(f"a sparse constant is damaged: {first_line(error)}") from error
    return made.reshape(shape)


SPREAD = 1024
"""So many times as many elements as are stored may a sparse constant have, and so many at least
squared: what a file stores decides what it costs."""


def _decoded(tensor: Any, dtype: np.dtype, shape: tuple[int, ...]) -> NDArray[Any]:
    stored = max(len(tensor.raw_data), tensor.ByteSize())
    if math.prod(shape) > 8 * max(stored, 1):
        raise FormatError(f"tensor '{tensor.name}' of shape {shaped(shape)} has {stored} bytes")
    try:
        array = np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"tensor '{tensor.name}' is damaged: {first_line(error)}") from error
    if dtype == STRING:
        flat = [v if isinstance(v, bytes) else str(v).encode() for v in array.reshape(-1).tolist()]
        result = np.empty(len(flat), object)
        result[:] = flat
        return result.reshape(shape)
    return array.astype(dtype)
