"""Reals that an ONNX graph stores as integers: real = (integer - zero point) x scale.

Where a quantizer follows, the conversions stay QUANTIZE and DEQUANTIZE, which it reads as ranges.
Otherwise they become float arithmetic, which rounds halves to even as ONNX does: the kernel of
QUANTIZE does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.emit import finish
from tqconv.ops.operands import data_operand, is_data
from tqconv.ops.table import known, spec
from tqconv.records import dataclass

F = np.float32
INT32, INT64, UINT16 = np.dtype(np.int32), np.dtype(np.int64), np.dtype(np.uint16)
KERNELS = frozenset(map(np.dtype, (np.int8, np.uint8, np.int16)))
"""Types that LiteRT's QUANTIZE and DEQUANTIZE have."""
HALF_BYTES: dict[int, tuple[int, int]] = {
    onnx.TensorProto.INT4: (-8, 7),
    onnx.TensorProto.UINT4: (0, 15),
}
"""Types that a whole byte stores here, and their limits."""


@dataclass(frozen=True)
class Params:
    """What integers mean. `zero`: None is 0; `axis`: of a scale with one dimension.

    block: how many elements along the axis share a scale that has the rank of the tensor; 0: none.
    """

    scale: Tensor
    zero: Tensor | None
    axis: int = 1
    block: int = 0

    def means(self, other: Params) -> bool:
        """Whether both map the same integers to the same reals, as far as that is known."""
        places = (self.axis, self.block) == (other.axis, other.block) or self.scale.size == 1
        return places and _alike(self.scale, other.scale) and _zeros_alike(self.zero, other.zero)


@dataclass(frozen=True)
class Reals:
    """The reals behind integers that this import made."""

    tensor: Tensor
    params: Params


def _alike(x: Tensor, y: Tensor) -> bool:
    if x is y:
        return True
    both = x.data is not None and y.data is not None and x.data.size == y.data.size
    return both and np.array_equal(np.ravel(x.data), np.ravel(y.data))  # type: ignore[arg-type]


def _zeros_alike(x: Tensor | None, y: Tensor | None) -> bool:
    if x is None or y is None:
        other = x or y
        return other is None or (other.data is not None and not other.data.any())
    return _alike(x, y)


def limits_of(b: ONNXBuilder, dtype: np.dtype, index: int, kind: int = 0) -> tuple[int, int]:
    """Return the ends of integers of a type (a TensorProto.DataType, or 0).

    Without it, the one of input `index` counts, which is their zero point.
    """
    name = b.node.inputs[index] if index < len(b.node.inputs) else ""
    kind = kind or _declared_type(b, name)
    ends = np.iinfo(dtype)
    return HALF_BYTES.get(kind, (int(ends.min), int(ends.max)))


def _declared_type(b: ONNXBuilder, name: str) -> int:
    body = b.shared.network.body
    if name in body.constants:
        return int(body.constants[name].data_type)
    info = body.fed.get(name)
    if info is not None:
        return info.dtype
    node = body.makers.get(name)
    values = [] if node is None or node.op != "Constant" else list(node.message.attribute)
    return next((int(a.t.data_type) for a in values if a.name == "value"), 0)


def spread(b: ONNXBuilder, value: Tensor, x: Tensor, params: Params) -> Tensor:
    """Return a scale or zero point in a shape that broadcasts over `x`."""
    axis = params.axis + x.rank if params.axis < 0 else params.axis
    if value.size == 1:
        return b.reshape(value, ())
    if params.block:
        return _by_blocks(b, value, x, axis, params.block)
    if value.rank > 1:
        return value
    if not 0 <= axis < x.rank:
        raise UnsupportedError(f"scales along axis {params.axis} of a tensor of rank {x.rank}")
    if x.shape[axis] not in (None, value.shape[0]):
        raise UnsupportedError(f"{value.shape[0]} scales for {x.shape[axis]} slices")
    return b.reshape(value, [-1 if i == axis else 1 for i in range(x.rank)])


def _by_blocks(b: ONNXBuilder, value: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    if value.rank != x.rank or None in value.shape or x.shape[axis] is None:
        raise UnsupportedError("scales of blocks in a tensor of unknown shape")
    sizes = [d or 0 for d in value.shape]
    apart = b.reshape(value, (*sizes[: axis + 1], 1, *sizes[axis + 1 :]))
    counts = np.ones(x.rank + 1, np.int32)
    counts[axis + 1] = block
    sizes[axis] *= block
    whole = b.reshape(b("TILE", apart, counts), sizes)
    if sizes[axis] == x.shape[axis]:
        return whole
    sizes[axis] = x.shape[axis] or 0
    return b("SLICE", whole, np.zeros(x.rank, np.int32), np.array(sizes, np.int32))


def encoded(
    b: ONNXBuilder, x: Tensor, params: Params, dtype: np.dtype, ends: tuple[int, int] | None = None
) -> Tensor:
    """Return round(x / scale) + zero point, within the limits of its type."""
    x = b.cast(x, F)
    limits = np.iinfo(dtype)
    ends = ends or (int(limits.min), int(limits.max))
    quant = _constant(params, x.rank) if ends == (limits.min, limits.max) else None
    quantizes = b.shared.quantizing and x.data is None and quant is not None
    if quantizes and quant is not None and dtype in KERNELS:
        integers = _quantized(b, x, dtype, quant)
        reals = b("DEQUANTIZE", integers)
    else:
        scale = spread(b, params.scale, x, params)
        steps = _within(b, b("ROUND", b("DIV", x, scale)), x, params, ends)
        reals = b("MUL", steps, scale)
        integers = steps if params.zero is None else b("ADD", steps, _zero(b, x, params))
        integers = b.cast(b.cast(integers, INT32), dtype)
    if quantizes and quant is not None and dtype == UINT16:
        signed = replace(quant, zero_point=quant.zero_point - 2**15)
        reals = b("DEQUANTIZE", _quantized(b, x, np.dtype(np.int16), signed))
    b.shared.reals[integers] = Reals(reals, params)
    return integers


def _zero(b: ONNXBuilder, x: Tensor, params: Params) -> Tensor:
    """Return the zero point as reals that broadcast over `x`."""
    assert params.zero is not None
    zero = params.zero
    wide = zero if zero.dtype == F else b.cast(b.cast(zero, INT32), F)
    return spread(b, wide, x, params)


def _within(
    b: ONNXBuilder, steps: Tensor, x: Tensor, params: Params, ends: tuple[int, int]
) -> Tensor:
    """Clamp steps, which count from the zero point."""
    low, high = (b.const(end, F, "end") for end in ends)
    if params.zero is not None:
        zero = _zero(b, x, params)
        low, high = b("SUB", low, zero), b("SUB", high, zero)
    return b("MINIMUM", b("MAXIMUM", steps, low), high)


def _constant(params: Params, rank: int) -> Quant | None:
    """Return what a TFLite tensor says of these parameters, where it can."""
    scale, zero = params.scale.data, None if params.zero is None else params.zero.data
    if scale is None or (params.zero is not None and zero is None) or params.block:
        return None
    if scale.size != 1 and scale.ndim != 1:
        return None
    zeros = np.zeros(scale.size) if zero is None else np.ravel(zero)
    if zeros.size != scale.size or not (np.isfinite(scale) & (scale > 0)).all():
        return None
    axis = params.axis + rank if params.axis < 0 else params.axis
    return Quant(np.ravel(scale).astype(np.float64), zeros.astype(np.int64), axis)


def _quantized(b: ONNXBuilder, x: Tensor, dtype: np.dtype, quant: Quant) -> Tensor:
    declared = Tensor("", x.shape, dtype, quant=quant)
    op = Op("QUANTIZE", (x,), (declared,), {}, b.source)
    made: Tensor = finish(b.graph, spec("QUANTIZE"), op, [(x.shape, dtype)], f"{b.name}/quantize")
    made.quant = quant
    return made


def decoded(b: ONNXBuilder, x: Tensor, params: Params) -> Tensor:
    """Return (x - zero point) x scale."""
    if x.dtype == F:
        raise UnsupportedError("reals where integers stand for reals")
    known = behind(b, x)
    if known is not None and known.params.means(params):
        return known.tensor
    quant = _constant(params, x.rank)
    if b.shared.quantizing and x.data is None and quant is not None and x.dtype in KERNELS:
        if (moved := _moved_constant(b, x, params)) is not None:
            return moved
        x.quant = x.quant if x.quant is not None and not x.quant.equals(quant) else quant
        if x.quant is quant:
            return b("DEQUANTIZE", x)
    return b("MUL", steps_of(b, x, params), spread(b, params.scale, x, params))


def _moved_constant(b: ONNXBuilder, x: Tensor, params: Params) -> Tensor | None:
    """Return what is taken from a constant (a row of an embedding) of the reals in its place."""
    op = x.producer
    if op is None or not known(op.type) or spec(op.type).copies not in ("order", "chosen"):
        return None
    index = data_operand(spec(op.type))
    source = op.input(index)
    if params.scale.size != 1 or (source.data is None and source.producer is None):
        return None
    made = _moved_constant(b, source, params) if source.data is None else decoded(b, source, params)
    if made is None or len(op.outputs) != 1:
        return None
    operands = [made if i == index else t for i, t in enumerate(op.inputs)]
    moved: Tensor = b(op.type, *operands, **op.options)
    return moved


def steps_of(b: ONNXBuilder, x: Tensor, params: Params) -> Tensor:
    """Return x - zero point, as reals."""
    reals = b.cast(x if x.dtype == INT32 else b.cast(x, INT32), F)
    if params.zero is None or (params.zero.data is not None and not params.zero.data.any()):
        return reals
    if x.dtype == INT32 and params.zero.dtype == INT32:  # more digits than reals have
        zero = spread(b, b.cast(params.zero, INT64), x, params)
        return b.cast(b("SUB", b.cast(x, INT64), zero), F)
    return b("SUB", reals, _zero(b, x, params))


def behind(b: ONNXBuilder, x: Tensor) -> Reals | None:
    """Return the reals behind integers; what only moves integers, or chooses, moves reals alike."""
    if x in b.shared.reals:
        return b.shared.reals[x]
    op = x.producer
    if op is None or op.graphs:
        return None
    row = spec(op.type)
    rule = row.quant
    pads = op.type in ("PAD", "PADV2")
    if rule is None or not rule.same or rule.averages or (row.copies == "filled" and not pads):
        return None
    moved: list[Any] = list(op.inputs)
    params, constants = None, []
    for index, own in enumerate(op.inputs):
        if own is None or not is_data(row, index) or own.dtype != x.dtype:
            continue
        if own.data is not None and own not in b.shared.reals:
            constants.append((index, own.data))
            continue
        found = behind(b, own)
        if found is None or (params is not None and not found.params.means(params)):
            return None
        moved[index], params = found.tensor, found.params
    if params is None or params.scale.size != 1:
        return None
    kind = op.type
    if kind == "PAD":
        moved.append(None)
        constants.append((2, np.zeros((), x.dtype)))
        kind = "PADV2"
    for index, codes in constants:
        if (number := _real(codes, params)) is None:
            return None
        moved[index] = number
    if kind == "PADV2" and isinstance(moved[2], np.ndarray) and not moved[2].any():
        kind, moved = "PAD", moved[:2]
    made: Any = b(kind, *moved, **op.options)
    outputs: Sequence[Tensor] = made if isinstance(made, tuple) else (made,)
    for integers, reals in zip(op.outputs, outputs, strict=True):
        if integers.dtype != x.dtype:
            continue
        b.shared.reals[integers] = Reals(reals, params)
    return b.shared.reals[x]


def _real(codes: NDArray[Any], params: Params) -> NDArray[np.float32] | None:
    """Return what constant integers stand for, where the parameters are constants, too."""
    scale, zero = params.scale.data, np.zeros(()) if params.zero is None else params.zero.data
    if scale is None or zero is None:
        return None
    steps = codes.astype(np.float32) - zero.astype(np.float32).reshape(())
    return np.asarray(steps * scale.reshape(()), np.float32)


def blocks(x: Tensor, block: int, axis: int, scale: Tensor) -> int:
    """Return how many elements share a scale; 0 where the scale has one dimension or none."""
    if scale.rank < 2 or scale.size == 1:
        return 0
    size, count = x.shape[axis], scale.shape[axis]
    if not block and size is not None and count:
        block = math.ceil(size / count)
    return block
