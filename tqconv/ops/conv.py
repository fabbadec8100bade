"""Convolutions and matrix products: the operators that multiply by weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError, counted
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import Shape, numpy_name
from tqconv.ops import stops
from tqconv.ops.fineness import before_products
from tqconv.ops.rules import (
    ACTIVATIONS,
    elements_or_unknown,
    has_shape,
    is_sub_byte,
    not_negative,
    ranked,
    same_size,
    values,
    window_size,
)
from tqconv.ops.spec import (
    ALL_TYPES,
    DELEGATED,
    Linear,
    QuantRule,
    ShapeRule,
    Typed,
    VersionRule,
    by_type,
    op,
)

FLOAT = frozenset({"float32"})


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
    x, w = ranked(op.input(0), 4), ranked(op.input(1), 4)
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
    x, w = ranked(op.input(0), 4), ranked(op.input(1), 4)
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
    x, w = ranked(op.input(0), 5), ranked(op.input(1), 5)
    same_size(x[4], w[3])
    _has_weights(op, x[4], w[4])
    return [((x[0], *_window(op, x[1:4], w[:3], "dhw"), w[4]), op.input(0).dtype)]


def _transposed(rank: int, outputs: int) -> ShapeRule:
    """Return the rule of a transposed convolution; `outputs`: the filter's output channels."""
    kernel = slice(1, 3) if rank == 4 else slice(0, 3)

    def rule(op: Op) -> Sequence[Typed]:
        w, x = ranked(op.input(1), rank), ranked(op.input(2), rank)
        known = elements_or_unknown(op.input(0), rank)
        if len(known) != rank:
            raise UnsupportedError(
                f"the output shape has {counted(len(known), 'element')}, not {rank}"
            )
        channels = same_size(known[-1], w[outputs])
        batch = same_size(known[0], x[0])
        not_negative(known, "an output")
        _has_weights(op, same_size(x[-1], w[-1]), w[outputs])
        if 0 in x[1:-1] and 0 not in known:
            raise UnsupportedError(f"a transposed convolution of {list(x)}, which has no elements")
        windows = _window(op, tuple(known[1:-1]), w[kernel], "hw" if rank == 4 else "dhw")
        for size, taken in zip(windows, x[1:-1], strict=True):
            same_size(size, taken)
        return [((batch, *known[1:-1], channels), op.input(2).dtype)]

    return rule


def _fully_connected(op: Op) -> Sequence[Typed]:
    """x: [..., i]; w: [o, i]; y: [..., o], or [n, o] without `keep_num_dims`."""
    x, w = op.input(0), ranked(op.input(1), 2)
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


def _dense_of_nothing(op: Op) -> NDArray[Any] | None:
    """Fold over a depth of zero, which adds nothing to the bias.

    Other products stay: recurrent cells are known by them, also where the first state is constant.
    """
    return None if values(op, 1).shape[1] else _product(op)


def _product(op: Op) -> NDArray[Any] | None:
    x, w = values(op, 0), values(op, 1)
    activation = ACTIVATIONS.get(op.options.get("fused_activation_function", "NONE"))
    if x.dtype != np.float32 or w.dtype != np.float32 or activation is None:
        return None
    sizes = [d or 0 for d in _fully_connected(op)[0][0]]
    y = np.zeros(sizes)
    if w.shape[1]:
        y += (x.reshape(-1, w.shape[1]).astype(np.float64) @ w.T.astype(np.float64)).reshape(sizes)
    if len(op.inputs) > 2 and op.inputs[2] is not None:
        y += values(op, 2)
    return activation(y.astype(np.float32))


def _groups(op: Op) -> int:
    channels, each = op.input(0).shape[3], op.input(1).shape[3]
    return 1 if channels is None or not each else channels // each


def _per_channel(tensor: Tensor) -> bool:
    return tensor.quant is not None and not tensor.quant.is_per_tensor


def _types(op: Op, x: int = 0, w: int = 1) -> tuple[str, str]:
    return numpy_name(op.input(x).dtype), numpy_name(op.input(w).dtype)


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
        types, 7 if is_sub_byte(op.input(1)) else 1
    )


def _depthwise_version(op: Op) -> int:
    types = _types(op)
    if types == ("float32", "int8"):
        return 6 if _per_channel(op.input(1)) else 4
    dilated = any(op.options.get(f"dilation_{axis}_factor", 1) != 1 for axis in "hw")
    known = {("int16", "int8"): 5, ("int8", "int8"): 3}
    return known.get(types, 7 if is_sub_byte(op.input(1)) else 1 + dilated)


def _fully_connected_version(op: Op) -> int:
    types, w = _types(op), op.input(1)
    if w.quant is not None and w.quant.block:
        return 13
    if types == ("float32", "int8") and _per_channel(w):
        return 12
    if types == ("int16", "int8") and "quantized_bias_type" in op.options:
        return 11
    if is_sub_byte(w):
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


_BIAS = {"b": ("x", "w")}
_MATRIX = QuantRule(
    weight={"w": 0},
    bias=_BIAS,
    hybrid={"w": 0},
    free_weights=frozenset({"INT8", "UINT8"}),
)
# Without a bias its int16 kernel adds up in 32 bits; one of int64 says that 64 are wanted.
_NIBBLES = frozenset({"FLOAT32", "INT8"})
_DENSE = replace(
    _MATRIX, needs_bias=frozenset({"INT16"}), skewed=True, nibbles=_NIBBLES, blocks=True
)
_FILTER = QuantRule(
    weight={"w": 0},
    bias=_BIAS,
    hybrid={"w": 0},
    needs_bias=ALL_TYPES,
    sliced=lambda op: _groups(op) > 1,
    nibbles=_NIBBLES,
)
# DEPTHWISE_CONV_2D beside float activations reads one scale for each channel, also where there is
# only one; a grouped CONV_2D refuses a single one.
_DEPTH_FILTER = QuantRule(
    weight={"w": 3},
    bias=_BIAS,
    hybrid={"w": 3},
    needs_bias=ALL_TYPES,
    sliced=lambda op: True,
    nibbles=frozenset({"INT8"}),
)

_LINEAR = {
    "CONV_2D": Linear(0, 1, 2, 0),
    "DEPTHWISE_CONV_2D": Linear(0, 1, 2, 3),
    "FULLY_CONNECTED": Linear(0, 1, 2, 0),
    "TRANSPOSE_CONV": Linear(2, 1, 3, 0),
}
_ROWS: dict[str, tuple[str, ShapeRule, QuantRule | None, VersionRule, Callable[[Op], int]]] = {
    "CONV_2D": (
        "x w b -> y",  # no kernel takes it without a bias
        _conv_2d,
        _FILTER,
        _conv_2d_version,
        _filter_macs,
    ),
    "DEPTHWISE_CONV_2D": (
        "x w b -> y",  # the builtin kernel ends the process without a bias
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
        carries=partial(before_products, _LINEAR[_name]) if _name in _LINEAR else None,
        dense=_name == "FULLY_CONNECTED",
        max_rank=DELEGATED if _name == "FULLY_CONNECTED" else None,
        late_fold=_product if _name == "FULLY_CONNECTED" else None,
        fold=_dense_of_nothing if _name == "FULLY_CONNECTED" else None,
        stops=stops.long_steps if _name == "TRANSPOSE_CONV" else stops.none,
    )

op(
    "CONV_3D_TRANSPOSE",
    "shape w x b? -> y",
    shape=_transposed(5, 3),
    category="conv",
    macs=_transposed_macs,
    types=FLOAT,
)
