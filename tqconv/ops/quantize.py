"""Changes of the element type: quantization, casts, and the unpacking of sparse constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ir.types import dtype_of, numpy_name
from tqconv.ops.rules import FLOAT32, declared, same, same_as, values
from tqconv.ops.spec import ELEMENTWISE, Takes, Typed, op

CASTABLE = frozenset(
    {"float16", "float32", "float64", "complex64", "bool"}
    | {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"}
)
"""Types that LiteRT's CAST reads and writes; uint64 is not one."""


def _retyped(op: Op) -> Sequence[Typed]:
    """The shape of the input with the type that the output declares (no option names it)."""
    return [(op.input(0).shape, declared(op)[0][1])]


QUANTIZED = {
    "float32": frozenset({"int16", "int4", "int8", "uint8"}),
    "int16": frozenset({"int16", "int32", "int8"}),
    "int32": frozenset({"int16", "int8"}),
    "int8": frozenset({"int16", "int8", "uint8"}),
    "uint8": frozenset({"int16", "int8", "uint8"}),
}
"""Type that LiteRT's QUANTIZE reads -> types that it makes of it."""


def _quantized(op: Op) -> Sequence[Typed]:
    made = _retyped(op)
    if numpy_name(made[0][1]) not in QUANTIZED.get(numpy_name(op.input(0).dtype), ()):
        raise UnsupportedError(f"no QUANTIZE from {op.input(0).dtype} to {made[0][1]}")
    return made


def _bitcast(op: Op) -> Sequence[Typed]:
    """A change of width adds a last dimension, or takes it away."""
    x, dtype = op.input(0), declared(op)[0][1]
    if x.dtype.itemsize == dtype.itemsize:
        return [(x.shape, dtype)]
    if x.dtype.itemsize > dtype.itemsize:
        return [((*x.shape, x.dtype.itemsize // dtype.itemsize), dtype)]
    ratio = dtype.itemsize // x.dtype.itemsize
    if x.rank == 0 or x.shape[-1] not in (ratio, None):
        raise UnsupportedError(f"the last dimension of '{x.name}' is not {ratio}")
    return [(x.shape[:-1], dtype)]


def _cast_shape(op: Op) -> Sequence[Typed]:
    """Kernels read the type of the result; the option that says the same is left out in files."""
    if not op.outputs:
        return [(op.input(0).shape, dtype_of(op.options.get("out_data_type", "FLOAT32")))]
    made = _retyped(op)
    pair = {numpy_name(op.input(0).dtype), numpy_name(made[0][1])}
    if not pair <= CASTABLE and pair != {"float32", "int4"}:
        raise UnsupportedError(f"no CAST from {op.input(0).dtype} to {made[0][1]}")
    return made


def _cast(op: Op) -> NDArray[Any]:
    x, dtype = values(op, 0), _cast_shape(op)[0][1]
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = x.real
    if x.dtype.kind == "f" and dtype.kind in "iu":
        return _saturated(x, dtype)
    return x.astype(dtype)


def _saturated(x: NDArray[Any], dtype: np.dtype) -> NDArray[Any]:
    """Truncate toward zero and stay in range; not-a-number is the largest: kernels/cast.cc."""
    limits, whole = np.iinfo(dtype), np.trunc(x.astype(np.float64))
    low, high = whole <= limits.min, ~(whole < limits.max)
    result = np.where(low | high, 0.0, whole).astype(dtype)
    result[low], result[high] = limits.min, limits.max
    return result


def _cast_version(op: Op) -> int:
    """Return the minimum version: LiteRT tools/versioning/op_version.cc."""
    names = {str(op.input(0).dtype), str(_cast_shape(op)[0][1])}
    newest = {"bfloat16": 7, "int4": 6, "float64": 5, "float16": 5, "uint16": 4, "int8": 3}
    versions = [newest.get(name, 2 if name == "uint32" else 1) for name in names]
    return max(versions)


def _wide(op: Op) -> NDArray[Any] | None:
    """float16 constants only: integers need their scale."""
    x = values(op, 0)
    return x.astype(np.float32) if x.dtype == np.float16 else None


def _fake_quant(op: Op) -> NDArray[Any]:
    """Clamp and round to the nudged grid, in float32: internal/reference/fake_quant.h."""
    options = {"num_bits": 0, "min": 0.0, "max": 0.0, "narrow_range": False, **op.options}
    first, last = int(options["narrow_range"]), 2 ** options["num_bits"] - 1
    low, high = np.float32(options["min"]), np.float32(options["max"])
    scale = np.float32((high - low) / np.float32(last - first))
    zero = np.clip(np.floor(first - low / scale + np.float32(0.5)), first, last)
    low, high = np.float32((first - zero) * scale), np.float32((last - zero) * scale)
    steps = (np.clip(values(op, 0), low, high) - low) * np.float32(1 / scale)
    return np.asarray(np.floor(steps + np.float32(0.5)) * scale + low, np.float32)


def _dequantize_version(op: Op) -> int:
    x = op.input(0)
    name = str(x.dtype)
    if name == "int8" and x.quant is not None and not x.quant.is_per_tensor:
        return 5
    return {"int2": 7, "int4": 6, "int16": 3, "float16": 3, "int8": 2}.get(name, 1)


def _quantize_version(op: Op) -> int:
    x, (_, dtype) = op.input(0), _retyped(op)[0]
    if "int4" in (str(x.dtype), str(dtype)):
        return 4
    quant = op.outputs[0].quant if op.outputs else None
    if quant is not None and not quant.is_per_tensor:
        return 3
    return 2 if dtype == np.int16 else 1


op(
    "QUANTIZE",
    "x -> y",
    shape=_quantized,
    layout=ELEMENTWISE,
    version=_quantize_version,
    converts=True,
    category="quantize",
)
op(
    "DEQUANTIZE",
    "x -> y",
    shape=same_as(FLOAT32),
    fold=_wide,
    layout=ELEMENTWISE,
    version=_dequantize_version,
    converts=True,
    category="quantize",
    takes={"x": Takes(frozenset({"float16", "int16", "int8", "uint8", "int4", "int2"}))},
)
op(
    "FAKE_QUANT",
    "x -> y",
    shape=same,
    fold=_fake_quant,
    layout=ELEMENTWISE,
    version=lambda op: 2 if op.options.get("narrow_range", False) else 1,
    category="quantize",
    types=frozenset({"float32"}),
)
op("DENSIFY", "x -> y", shape=same, category="quantize")
op(
    "CAST",
    "x -> y",
    shape=_cast_shape,
    fold=_cast,
    layout=ELEMENTWISE,
    version=_cast_version,
    polynomial=True,
    category="cast",
    types=CASTABLE,
)
op("BITCAST", "x -> y", shape=_bitcast, category="cast")
