"""Examples of activations, convolutions, pooling, resizing, casts, recurrence and control flow."""

from __future__ import annotations

from typing import Any

import numpy as np
from arrays import ints
from numpy.typing import NDArray
from op_example import Example, example

Array = NDArray[Any]
RNG = np.random.default_rng(7)


def real(*shape: int, scale: float = 1.0) -> Array:
    """Return normally distributed float32 numbers."""
    return np.asarray(RNG.normal(0, scale, shape), np.float32)


IMAGE = real(2, 7, 9, 4)
ACTIVATIONS: list[Example] = [
    *(
        example(name, real(2, 5, 3, 4, scale=4))
        for name in ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "HARD_SWISH")
    ),
    *(example(name, real(1, 64, scale=3)) for name in ("ELU", "TANH", "LOGISTIC")),
    # The kernels approximate the exponential in their own ways, to a few float32 steps.
    example("LEAKY_RELU", real(3, 20), alpha=0.1),
    example("LEAKY_RELU", real(3, 20), label="default"),
    example("PRELU", real(2, 3, 4, 5), real(5), const=[1], label="channels"),
    example("PRELU", real(2, 3, 4, 5), real(1, 1, 5), const=[1], label="shared"),
    example("PRELU", real(2, 3, 4, 5), real(3, 4, 5), const=[1], label="full"),
    example("GELU", real(4, 50, scale=2), label="exact"),
    example("GELU", real(4, 50, scale=2), approximate=True, label="tanh"),
    example("SOFTMAX", real(3, 10), beta=1.0),
    example("SOFTMAX", real(2, 3, 2, 10), beta=0.5, label="beta"),
    example("LOG_SOFTMAX", real(3, 10, scale=3)),
    example("L2_NORMALIZATION", real(2, 3, 3, 8)),
    example("L2_NORMALIZATION", real(3, 8, scale=1e-4), label="floor"),
    example(
        "LOCAL_RESPONSE_NORMALIZATION", real(1, 2, 3, 9), radius=2, bias=1.5, alpha=0.3, beta=0.7
    ),
]

CONVOLUTIONS: list[Example] = [
    example("CONV_2D", IMAGE, real(5, 3, 3, 4), real(5), const=[1, 2], stride_h=1, stride_w=1),
    example(
        "CONV_2D",
        IMAGE,
        real(5, 3, 2, 4),
        real(5),
        const=[1, 2],
        label="valid",
        padding="VALID",
        stride_h=2,
        stride_w=3,
        fused_activation_function="RELU",
    ),
    example(
        "CONV_2D",
        IMAGE,
        real(5, 3, 3, 4),
        real(5),
        const=[1, 2],
        label="dilated",
        padding="VALID",
        stride_h=1,
        stride_w=1,
        dilation_h_factor=2,
        dilation_w_factor=3,
    ),
    example(
        "CONV_2D",
        IMAGE,
        real(6, 3, 3, 2),
        real(6),
        const=[1, 2],
        label="grouped",
        stride_h=2,
        stride_w=2,
    ),
    example(
        "DEPTHWISE_CONV_2D",
        IMAGE,
        real(1, 3, 3, 8),
        real(8),
        const=[1, 2],
        stride_h=2,
        stride_w=2,
        depth_multiplier=2,
        fused_activation_function="RELU6",
    ),
    example(
        "DEPTHWISE_CONV_2D",
        IMAGE,
        real(1, 3, 3, 4),
        real(4),
        const=[1, 2],
        label="dilated",
        padding="VALID",
        stride_h=1,
        stride_w=1,
        depth_multiplier=1,
        dilation_h_factor=2,
        dilation_w_factor=2,
    ),
    example(
        "TRANSPOSE_CONV",
        ints(2, 14, 18, 3),
        real(3, 3, 3, 4),
        IMAGE,
        const=[0, 1],
        stride_h=2,
        stride_w=2,
    ),
    example(
        "TRANSPOSE_CONV",
        ints(2, 15, 19, 3),
        real(3, 3, 3, 4),
        IMAGE,
        real(3),
        const=[0, 1, 3],
        label="valid",
        padding="VALID",
        stride_h=2,
        stride_w=2,
        fused_activation_function="RELU",
    ),
    example("FULLY_CONNECTED", real(3, 8), real(5, 8), real(5), const=[1, 2]),
    example("FULLY_CONNECTED", real(2, 3, 8), real(5, 8), const=[1], label="flattened"),
    example("FULLY_CONNECTED", real(2, 2, 4), real(5, 8), const=[1], label="regrouped"),
    example("FULLY_CONNECTED", real(8), real(5, 8), const=[1], label="vector"),
    example(
        "FULLY_CONNECTED",
        real(2, 3, 8),
        real(5, 8),
        real(5),
        const=[1, 2],
        label="kept",
        keep_num_dims=True,
        fused_activation_function="RELU",
    ),
    example("FULLY_CONNECTED", real(3, 8), real(5, 8), label="two_inputs"),
    example("BATCH_MATMUL", real(2, 3, 4), real(2, 4, 5)),
    example("BATCH_MATMUL", real(3, 1, 3, 4), real(2, 5, 4), adj_y=True, label="broadcast"),
    example("BATCH_MATMUL", real(2, 4, 3), real(4, 5), const=[1], adj_x=True, label="adjoint"),
    example(
        "CONV_3D",
        real(1, 4, 5, 6, 3),
        real(2, 3, 2, 3, 4),
        real(4),
        const=[1, 2],
        stride_d=1,
        stride_h=2,
        stride_w=2,
    ),
    example(
        "CONV_3D",
        real(1, 4, 5, 6, 3),
        real(2, 3, 2, 3, 4),
        const=[1],
        label="valid",
        padding="VALID",
        stride_d=2,
        stride_h=1,
        stride_w=1,
        fused_activation_function="RELU",
    ),
    example(
        "CONV_3D_TRANSPOSE",
        ints(1, 4, 8, 10, 2),
        real(2, 3, 3, 2, 3),
        real(1, 2, 4, 5, 3),
        const=[0, 1],
        stride_d=2,
        stride_h=2,
        stride_w=2,
    ),
    example("EMBEDDING_LOOKUP", ints(3, 0, 5), real(6, 4), const=[1]),
    example("EMBEDDING_LOOKUP", ints(3, 0, 5), real(6, 4, 2), const=[1], label="deep"),
]

WINDOW: dict[str, Any] = {"filter_height": 3, "filter_width": 2, "stride_h": 2, "stride_w": 2}
POOLS: list[Example] = [
    example(name, np.abs(IMAGE), label=padding.lower(), padding=padding, **WINDOW)
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D")
    for padding in ("SAME", "VALID")
]

CORNERS: dict[str, dict[str, Any]] = {
    "default": {},
    "align": {"align_corners": True},
    "half": {"half_pixel_centers": True},
}
RESIZES: list[Example] = [
    *(
        example(name, IMAGE, ints(*size), const=[1], label=f"{mode}-{size[0]}x{size[1]}", **options)
        for name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")
        for mode, options in CORNERS.items()
        for size in ((14, 18), (5, 4), (11, 1))
    ),
    example("SPACE_TO_DEPTH", real(2, 4, 6, 3), block_size=2),
    example("DEPTH_TO_SPACE", real(2, 3, 2, 18), block_size=3),
    example(
        "SPACE_TO_BATCH_ND",
        real(2, 5, 6, 3),
        ints(2, 3),
        np.array([[1, 0], [2, 1]], np.int32),
        const=[1, 2],
    ),
    example(
        "SPACE_TO_BATCH_ND",
        real(2, 6, 3),
        ints(2),
        np.array([[0, 2]], np.int32),
        const=[1, 2],
        label="rank3",
    ),
    example(
        "BATCH_TO_SPACE_ND",
        real(12, 3, 2, 3),
        ints(2, 3),
        np.array([[1, 0], [2, 1]], np.int32),
        const=[1, 2],
    ),
    example(
        "BATCH_TO_SPACE_ND",
        real(4, 3, 3),
        ints(2),
        np.array([[0, 2]], np.int32),
        const=[1, 2],
        label="rank3",
    ),
]

NUMBERS = np.array([-300.7, -2.5, -1.0, -0.4, 0.0, 0.6, 1.0, 2.5, 3.99, 100.2], np.float32)

BEYOND = np.array([-3e9, -1.0, 300.2, 7e4, 5e9, 1e19, np.nan, np.inf, -np.inf], np.float32)
"""Numbers that small integers do not hold: the kernel saturates."""


def cast(x: Array, target: str, label: str) -> Example:
    """Return an example of a CAST to a schema type."""
    return example("CAST", x, out_data_type=target, label=label)


CASTS: list[Example] = [
    *(
        cast(NUMBERS, target, f"float32-{target.lower()}")
        for target in ("INT32", "INT64", "INT16", "BOOL", "FLOAT16", "FLOAT32", "FLOAT64")
    ),
    *(
        cast(np.array([-3, 0, 1, 70], source), target, f"{source}-{target.lower()}")
        for source in ("int8", "int16", "int32", "int64")
        for target in ("FLOAT32", "INT8", "INT32", "INT64", "BOOL")
    ),
    *(
        cast(np.array([3, 0, 1, 200], source), target, f"{source}-{target.lower()}")
        for source in ("uint8", "uint32", "uint16")
        for target in ("FLOAT32", "UINT8", "INT32", "INT64")
    ),
    *(
        cast(np.array([True, False]), target, f"bool-{target.lower()}")
        for target in ("FLOAT32", "UINT8", "INT32", "INT64", "INT8")
    ),
    *(
        cast(BEYOND.astype(source), target, f"{source}-beyond-{target.lower()}")
        for source in ("float32", "float64")
        for target in ("INT8", "UINT8", "INT16", "UINT16", "INT32", "UINT32", "INT64", "BOOL")
    ),
    cast(np.array([1.5 - 2j, -3.25 + 1j], np.complex64), "FLOAT32", "complex64"),
    cast(NUMBERS.astype(np.float16), "FLOAT32", "float16"),
    cast(NUMBERS.astype(np.float64), "FLOAT32", "float64"),
    example("DEQUANTIZE", NUMBERS.astype(np.float16), label="float16"),
    example("FAKE_QUANT", real(50), num_bits=8, min=-1.3, max=2.1),
    example("FAKE_QUANT", real(50), num_bits=4, min=0.0, max=6.0, label="nibble"),
]

EXAMPLES = [*ACTIVATIONS, *CONVOLUTIONS, *POOLS, *RESIZES, *CASTS]
