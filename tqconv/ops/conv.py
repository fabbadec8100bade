"""Convolutions and matrix products: the operators that multiply by weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.rules import (
    ACTIVATIONS,
    broadcast_shapes,
    elements,
    has_shape,
    not_negative,
    same_size,
    values,
    window_size,
)
from tqconv.ops.spec import (
    ALL_TYPES,
    Linear,
    QuantRule,
    ShapeRule,
    Typed,
    VersionRule,
    by_type,
    op,
)

FLOAT = frozenset({"float32"})


def _ranked(tensor: Tensor, rank: int) -> Shape:
    """Return the shape of a tensor that must have this rank."""
    if tensor.rank != rank:
        raise UnsupportedError(f"'{tensor.name}' has rank {tensor.rank}, the kernel takes {rank}")
    return tensor.shape


def _window(op: Op, sizes: Shape, kernel: Shape, axes: str) -> Shape:
    """Return the output sizes of a window over the axes, named as in the options ("dhw")."""
    padding = op.options.get("padding", "SAME")
    result: list[int | None] = []
    for axis, size, reach in zip(axes, sizes, kernel, strict=True):
        stride = op.options.get(f"stride_{axis}", 0)
        dilation = op.options.get(f"dilation_{axis}_factor", 1)
        if stride < 1 or dilation < 1:
            raise UnsupportedError(f"stride {stride} or dilation {dilation} is not positive")
        if reach is None and padding == "VALID":
            result.append(None)
        else:
            result.append(window_size(size, reach or 1, stride, dilation, padding))
    return tuple(result)


def _conv_2d(op: Op) -> Sequence[Typed]:
    """x: [n, h, w, c]; w: [o, kh, kw, c / groups]."""
    x, w = _ranked(op.input(0), 4), _ranked(op.input(1), 4)
    if x[3] is not None and w[3] is not None and (w[3] == 0 or x[3] % w[3] != 0):
        raise UnsupportedError(f"{x[3]} channels do not split into groups of {w[3]}")
    if w[0] is not None and _groups(op) > 1 and w[0] % _groups(op) != 0:
        raise UnsupportedError(f"{w[0]} filters do not split into {_groups(op)} groups")
    _has_weights(op, x[3], w[0])
    return [((x[0], *_window(op, x[1:3], w[1:3], "hw"), w[0]), op.input(0).dtype)]


def _has_weights(op: Op, channels: int | None, outputs: int | None) -> None:
    """Raise where there is nothing to multiply, or another bias than one for each output."""
    if 0 in op.input(1).shape or channels == 0:
        raise UnsupportedError(f"the filter '{op.input(1).name}' has no elements")
    place = 3 if op.type.endswith(("TRANSPOSE", "TRANSPOSE_CONV")) else 2
    has_shape(op.inputs[place] if len(op.inputs) > place else None, (outputs,))


def _depthwise(op: Op) -> Sequence[Typed]:
    """x: [n, h, w, c]; w: [1, kh, kw, c * multiplier]."""
    x, w = _ranked(op.input(0), 4), _ranked(op.input(1), 4)
    if x[3] is not None and w[3] is not None and (x[3] == 0 or w[3] % x[3] != 0):
        raise UnsupportedError(f"{w[3]} filters are not a multiple of {x[3]} channels")
    same_size(w[0], 1)
    multiplier = op.options.get("depth_multiplier", 0)
    if multiplier and x[3] is not None:
        same_size(w[3], x[3] * multiplier)
    _has_weights(op, x[3], w[3])
    return [((x[0], *_window(op, x[1:3], w[1:3], "hw"), w[3]), op.input(0).dtype)]


def _conv_3d(op: Op) -> Sequence[Typed]:
    """x: [n, d, h, w, c]; w: [kd, kh, kw, c, o]."""
    x, w = _ranked(op.input(0), 5), _ranked(op.input(1), 5)
    same_size(x[4], w[3])
    _has_weights(op, x[4], w[4])
    return [((x[0], *_window(op, x[1:4], w[:3], "dhw"), w[4]), op.input(0).dtype)]


def _transposed(rank: int, outputs: int) -> ShapeRule:
    """Return the rule of a transposed convolution; `outputs`: the filter's output channels."""

    def rule(op: Op) -> Sequence[Typed]:
        w, x = _ranked(op.input(1), rank), _ranked(op.input(2), rank)
        known = elements(op.input(0)) or (None,) * rank
        if len(known) != rank:
            raise UnsupportedError(f"the output shape has {len(known)} elements, not {rank}")
        channels = same_size(known[-1], w[outputs])
        batch = same_size(known[0], x[0])
        not_negative(known, "an output")
        _has_weights(op, same_size(x[-1], w[-1]), w[outputs])
        if 0 in x[1:-1] and 0 not in known:
            raise UnsupportedError(f"a transposed convolution of {list(x)}, which has no elements")
        return [((batch, *known[1:-1], channels), op.input(2).dtype)]

    return rule


def _fully_connected(op: Op) -> Sequence[Typed]:
    """x: [..., i]; w: [o, i]; y: [..., o], or [n, o] without `keep_num_dims`."""
    x, w = op.input(0), _ranked(op.input(1), 2)
    has_shape(op.inputs[2] if len(op.inputs) > 2 else None, (w[0],))
    if op.options.get("keep_num_dims", False):
        same_size(x.shape[-1] if x.rank else 1, w[1])
        return [((*x.shape[:-1], w[0]), x.dtype)]
    if x.is_static and w[1]:
        if x.size % w[1] != 0:
            raise UnsupportedError(f"{x.size} elements do not make rows of {w[1]}")
        return [((x.size // w[1], w[0]), x.dtype)]
    rows = x.shape[:-1] if x.rank and x.shape[-1] == w[1] else (None,)
    known = None if None in rows else int(np.prod([d or 0 for d in rows], dtype=np.int64))
    return [((known, w[0]), x.dtype)]


def _matrix(shape: Shape, adjoint: bool) -> Shape:
    return (shape[-1], shape[-2]) if adjoint else (shape[-2], shape[-1])


def _batch_matmul(op: Op) -> Sequence[Typed]:
    """a: [..., m, k]; b: [..., k, n]; the leading dimensions broadcast."""
    a, b = op.input(0), op.input(1)
    if a.rank < 2 or b.rank < 2:
        raise UnsupportedError(f"a matrix product of ranks {a.rank} and {b.rank}")
    rows, depth = _matrix(a.shape, op.options.get("adj_x", False))
    other, columns = _matrix(b.shape, op.options.get("adj_y", False))
    same_size(depth, other)
    return [((*broadcast_shapes([a.shape[:-2], b.shape[:-2]]), rows, columns), a.dtype)]


def _dense_of_nothing(op: Op) -> NDArray[Any] | None:
    """Fold over a depth of zero, which adds nothing to the bias.

    Other products stay: recurrent cells are known by them, also where the first state is constant.
    """
    x, w = values(op, 0), values(op, 1)
    if w.shape[1] or x.dtype != np.float32:
        return None
    activation = ACTIVATIONS.get(op.options.get("fused_activation_function", "NONE"))
    y = np.zeros([d or 0 for d in _fully_connected(op)[0][0]], np.float32)
    if len(op.inputs) > 2 and op.inputs[2] is not None:
        y = y + values(op, 2)
    return None if activation is None else activation(y)


def _multiply(op: Op) -> NDArray[Any]:
    a, b = values(op, 0), values(op, 1)
    if op.options.get("adj_x", False):
        a = a.swapaxes(-1, -2)
    if op.options.get("adj_y", False):
        b = b.swapaxes(-1, -2)
    return np.asarray(np.matmul(a, b), a.dtype)


def _embedding(op: Op) -> Sequence[Typed]:
    """ids: [n]; table: [rows, ...]; y: [n, ...]."""
    ids, table = _ranked(op.input(0), 1), op.input(1)
    if table.rank < 2:
        raise UnsupportedError(f"an embedding table of rank {table.rank}")
    return [((*ids, *table.shape[1:]), table.dtype)]


def _rows(op: Op) -> NDArray[Any]:
    ids, table = values(op, 0), values(op, 1)
    if ids.size and (ids.min() < 0 or ids.max() >= table.shape[0]):
        raise UnsupportedError(f"an id is outside the {table.shape[0]} rows of the table")
    return np.asarray(table[ids])


def _groups(op: Op) -> int:
    channels, each = op.input(0).shape[3], op.input(1).shape[3]
    return 1 if channels is None or not each else channels // each


def _per_channel(tensor: Tensor) -> bool:
    return tensor.quant is not None and not tensor.quant.is_per_tensor


def _types(op: Op, x: int = 0, w: int = 1) -> tuple[str, str]:
    return str(op.input(x).dtype), str(op.input(w).dtype)


# Minimum versions: LiteRT tools/versioning/op_version.cc. Its int16 rules ask for int16 weights and
# never fire; the versions they name are right for the int8 weights that the kernels take.
def _conv_2d_version(op: Op) -> int:
    types = _types(op)
    if types == ("int16", "int8") and "quantized_bias_type" in op.options:
        return 8
    if _groups(op) > 1:
        return 6
    if types == ("float32", "int8"):
        return 5 if _per_channel(op.input(1)) else 2
    return {("int16", "int8"): 4, ("int8", "int8"): 3}.get(
        types, 7 if _sub_byte(op.input(1)) else 1
    )


def _depthwise_version(op: Op) -> int:
    types = _types(op)
    if types == ("float32", "int8"):
        return 6 if _per_channel(op.input(1)) else 4
    dilated = any(op.options.get(f"dilation_{axis}_factor", 1) != 1 for axis in "hw")
    known = {("int16", "int8"): 5, ("int8", "int8"): 3}
    return known.get(types, 7 if _sub_byte(op.input(1)) else 1 + dilated)


def _sub_byte(tensor: Tensor) -> bool:
    return str(tensor.dtype) in ("int4", "int2")


def _fully_connected_version(op: Op) -> int:
    types, w = _types(op), op.input(1)
    if w.quant is not None and w.quant.details is not None:
        return 13
    if types == ("float32", "int8") and _per_channel(w):
        return 12
    if types == ("int16", "int8") and "quantized_bias_type" in op.options:
        return 11
    if _sub_byte(w):
        return {"int2": 14}.get(types[1], 13 if types[0] == "int16" else 10)
    if w.sparsity is not None:
        return 8
    if types[0] == "int16":
        return 7
    if len(op.inputs) == 2:
        return 6
    if op.options.get("keep_num_dims", False):
        return 5
    if types == ("float32", "int8"):
        return 9 if op.options.get("asymmetric_quantize_inputs", False) else 3
    if types == ("int8", "int8"):
        return 4
    return 2 if op.options.get("weights_format", "DEFAULT") != "DEFAULT" else 1


def _transpose_conv_version(op: Op) -> int:
    if _types(op, 2) == ("int16", "int8") and "quantized_bias_type" in op.options:
        return 5
    if op.options.get("fused_activation_function", "NONE") != "NONE":
        return 4
    if len(op.inputs) == 4:
        return 3
    return 2 if op.input(1).dtype == np.int8 else 1


def _batch_matmul_version(op: Op) -> int:
    hybrid = _types(op) == ("float32", "int8")
    if hybrid and op.options.get("asymmetric_quantize_inputs", False):
        return 4
    return {"int16": 3, "int8": 2}.get(str(op.input(0).dtype), 1)


def _embedding_version(op: Op) -> int:
    table = op.input(1)
    if table.dtype.name == "int2":
        return 5
    return 4 if _sub_byte(table) or _per_channel(table) else 1


def _size(shape: Shape) -> int:
    return int(np.prod([1 if d is None else d for d in shape], dtype=np.int64))


def _filter_macs(op: Op) -> int:
    """Each output element reads one filter: all of `w` but its output channels."""
    w = op.input(1).shape
    return op.output.size * _size(w[1:])


def _depthwise_macs(op: Op) -> int:
    return op.output.size * _size(op.input(1).shape[1:3])


def _conv_3d_macs(op: Op) -> int:
    return op.output.size * _size(op.input(1).shape[:4])


def _transposed_macs(op: Op) -> int:
    """Each input element meets every tap of every filter that reads its channel."""
    x, w = op.input(2), op.input(1)
    return x.size * w.size // max(1, x.shape[-1] or 1)


def _batch_matmul_macs(op: Op) -> int:
    depth = _matrix(op.input(0).shape, op.options.get("adj_x", False))[1]
    return op.output.size * (depth or 1)


_BIAS = {"b": ("x", "w")}
_MATRIX = QuantRule(
    weight={"w": 0},
    bias=_BIAS,
    hybrid={"w": 0},
    free_weights=frozenset({"INT8", "UINT8"}),
)
# Without a bias its int16 kernel adds up in 32 bits; one of int64 says that 64 are wanted.
_DENSE = replace(_MATRIX, needs_bias=frozenset({"INT16"}), skewed=True)
_FILTER = QuantRule(weight={"w": 0}, bias=_BIAS, hybrid={"w": 0}, needs_bias=ALL_TYPES)
# DEPTHWISE_CONV_2D beside float activations reads one scale for each channel, also where there is
# only one; a grouped CONV_2D refuses a single one.
_DEPTH_FILTER = QuantRule(weight={"w": 3}, bias=_BIAS, hybrid={"w": 3}, needs_bias=ALL_TYPES)

_LINEAR = {
    "CONV_2D": Linear(0, 1, 2, 0),
    "DEPTHWISE_CONV_2D": Linear(0, 1, 2, 3),
    "FULLY_CONNECTED": Linear(0, 1, 2, 0),
    "TRANSPOSE_CONV": Linear(2, 1, 3, 0),
}
_ROWS: dict[str, tuple[str, ShapeRule, QuantRule | None, VersionRule, Callable[[Op], int]]] = {
    "CONV_2D": ("x w b? -> y", _conv_2d, _FILTER, _conv_2d_version, _filter_macs),
    "DEPTHWISE_CONV_2D": (
        "x w b? -> y",
        _depthwise,
        _DEPTH_FILTER,
        _depthwise_version,
        _depthwise_macs,
    ),
    "FULLY_CONNECTED": (
        "x w b? -> y",
        _fully_connected,
        _DENSE,
        _fully_connected_version,
        _filter_macs,
    ),
    "TRANSPOSE_CONV": (
        "shape w x b? -> y",
        _transposed(4, 0),
        _MATRIX,
        _transpose_conv_version,
        _transposed_macs,
    ),
    "CONV_3D": ("x w b? -> y", _conv_3d, None, by_type(), _conv_3d_macs),
}
for _name, (_operands, _shape, _quant, _version, _macs) in _ROWS.items():
    op(
        _name,
        _operands,
        shape=_shape,
        quant=_quant,
        version=_version,
        fuses_activation=True,
        category="conv",
        macs=_macs,
        types=FLOAT,
        linear=_LINEAR.get(_name),
        dense=_name == "FULLY_CONNECTED",
        fold=_dense_of_nothing if _name == "FULLY_CONNECTED" else None,
    )

op(
    "CONV_3D_TRANSPOSE",
    "shape w x b? -> y",
    shape=_transposed(5, 3),
    category="conv",
    macs=_transposed_macs,
    types=FLOAT,
)
op(
    "BATCH_MATMUL",
    "a b -> y",
    shape=_batch_matmul,
    fold=_multiply,
    # XNNPACK takes over only products with a symmetric constant.
    quant=QuantRule(
        types=frozenset({"INT8", "INT16"}), centered=("b",), hybrid={"b": None}, skewed=True
    ),
    version=_batch_matmul_version,
    dense=True,
    strict=True,
    category="conv",
    macs=_batch_matmul_macs,
    types=FLOAT,
    max_rank=5,
)
op(
    "EMBEDDING_LOOKUP",
    "ids table -> y",
    shape=_embedding,
    fold=_rows,
    quant=QuantRule(
        same=True,
        same_over=("table",),
        types=frozenset({"INT8", "UINT8"}),
        hybrid={"table": 0},
    ),
    version=_embedding_version,
    category="gather",
)
