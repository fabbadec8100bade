"""What LiteRT's kernels load of operators that stand in a file already.

`emit` makes what the rows call right; files of other converters hold more than that, and LiteRT
runs it. What it does not load is damaged, or made for another runtime, and is not written again.
The answers come from the columns `types`, `takes` and `quant` of a row, and from two tables of what
nothing here makes; `tests/test_kernels.py` asks LiteRT 2.3.0 about each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.types import STRING, numpy_name, type_name
from tqconv.ops.operands import named, takes
from tqconv.ops.rules import ACTIVATIONS
from tqconv.ops.scales import check_scales, has_own_type
from tqconv.ops.spec import OpSpec, Typed

LAST_VERSIONS = """
2 COS DEPTH_TO_SPACE DIV EXP FAKE_QUANT FLOOR_MOD GREATER L2_NORMALIZATION LEAKY_RELU LESS_EQUAL LOG
2 LOG_SOFTMAX RANGE REDUCE_PROD SELECT_V2 SIGN SIN SPACE_TO_DEPTH SQRT SQUARED_DIFFERENCE SQUEEZE
2 SUM WHERE
3 ARG_MAX ARG_MIN AVERAGE_POOL_2D BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN FLOOR_DIV
3 GELU GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D MEAN MIRROR_PAD REDUCE_MAX REDUCE_MIN RELU RELU6 RNN
3 RSQRT SPARSE_TO_DENSE SPLIT_V TANH TILE TOPK_V2 UNIDIRECTIONAL_SEQUENCE_RNN
4 BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_TO LSTM MAXIMUM MINIMUM NOT_EQUAL RESIZE_BILINEAR
4 RESIZE_NEAREST_NEIGHBOR REVERSE_V2 SELECT SOFTMAX SPACE_TO_BATCH_ND SVDF
4 UNIDIRECTIONAL_SEQUENCE_LSTM
5 ABS EMBEDDING_LOOKUP EQUAL FILL PACK SPLIT SUB TRANSPOSE_CONV
6 ADD DYNAMIC_UPDATE_SLICE GATHER_ND PAD PADV2 QUANTIZE UNPACK
7 CONCATENATION DEPTHWISE_CONV_2D
8 CONV_2D GATHER MUL SLICE STRIDED_SLICE
9 CAST DEQUANTIZE TRANSPOSE
14 FULLY_CONNECTED
0 CALL CONCAT_EMBEDDINGS DELEGATE PLACEHOLDER_FOR_GREATER_OP_CODES STABLEHLO_ABS
0 STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CBRT STABLEHLO_CLAMP STABLEHLO_COMPARE STABLEHLO_CONCATENATE
0 STABLEHLO_CONVERT STABLEHLO_CONVOLUTION STABLEHLO_COSINE STABLEHLO_CUSTOM_CALL STABLEHLO_DIVIDE
0 STABLEHLO_DOT_GENERAL STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_EXPONENTIAL
0 STABLEHLO_FLOOR STABLEHLO_IOTA STABLEHLO_LOG STABLEHLO_LOGISTIC STABLEHLO_NEGATE STABLEHLO_OR
0 STABLEHLO_POWER STABLEHLO_REDUCE STABLEHLO_REMAINDER STABLEHLO_RESHAPE STABLEHLO_RSQRT
0 STABLEHLO_SELECT STABLEHLO_SLICE STABLEHLO_SORT STABLEHLO_SUBTRACT STABLEHLO_TANH
0 STABLEHLO_TRANSPOSE STABLEHLO_WHILE
"""
"""The last version that LiteRT 2.3.0 has a kernel for; 0: it has none. All others have version 1.
The first is 1 but for BROADCAST_TO, which began as a custom operator."""

FIRST_VERSIONS = {"BROADCAST_TO": 2}

LOADED = """
bool MATRIX_DIAG MATRIX_SET_DIAG
complex64 MATRIX_DIAG MATRIX_SET_DIAG
float16 ADD ATAN2 CONCATENATION COS EQUAL FILL FLOOR GATHER GATHER_ND GELU GREATER
float16 GREATER_EQUAL LESS LESS_EQUAL LOGISTIC MATRIX_DIAG MATRIX_SET_DIAG MAXIMUM MINIMUM MUL NEG
float16 NOT_EQUAL PAD PADV2 RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND SIN SOFTMAX TANH UNPACK
float64 ATAN2 BUCKETIZE FILL MATRIX_DIAG MATRIX_SET_DIAG SIGN
int4 BROADCAST_TO CAST CONCATENATION DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EXPAND_DIMS GATHER
int4 MATRIX_DIAG MATRIX_SET_DIAG RESHAPE SHAPE SQUEEZE TRANSPOSE
int8 LSTM SVDF UNIDIRECTIONAL_SEQUENCE_LSTM
int16 EMBEDDING_LOOKUP NOT_EQUAL REDUCE_PROD
object EQUAL NOT_EQUAL
uint8 LSTM MATRIX_DIAG SCATTER_ND
uint16 BITWISE_XOR FILL MATRIX_DIAG MATRIX_SET_DIAG RESIZE_NEAREST_NEIGHBOR RIGHT_SHIFT
uint64 FILL MATRIX_DIAG MATRIX_SET_DIAG
"""
"""Element types of data that a kernel loads beside those of the rows: slow or wrong in places, or
younger than what a row was measured for."""

SETS_TYPE = """
ADD ADD_N ARG_MAX ARG_MIN BITWISE_XOR BUCKETIZE CEIL DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE EQUAL
EXP EXPAND_DIMS FAKE_QUANT FILL FLOOR FLOOR_DIV FLOOR_MOD GATHER GATHER_ND GREATER GREATER_EQUAL
LESS LESS_EQUAL LOGICAL_AND LOGICAL_OR MATRIX_DIAG MATRIX_SET_DIAG MAXIMUM MINIMUM NEG
NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 NOT_EQUAL ONE_HOT POW PRELU RESIZE_BILINEAR
RESIZE_NEAREST_NEIGHBOR RFFT2D RIGHT_SHIFT ROUND SCATTER_ND SELECT SELECT_V2 SHAPE
SPARSE_TO_DENSE SPLIT SPLIT_V SQUARED_DIFFERENCE SUB ZEROS_LIKE
"""
"""Kernels that give their results a type, whatever the file says; the others refuse another, or
write beside their memory."""

MOST_RANK = 8
"""Dimensions that kernels of several operands hold; LiteRT aborts the process above (measured)."""

WITHOUT_ACTIVATION = frozenset({"CONCATENATION", "L2_NORMALIZATION"})
"""Their options have a fused activation, and their kernels none."""

LARGEST_STEP = 2**15 - 1
"""Convolutions keep strides and dilations in 16 bits."""
LARGEST_WINDOW = 2**16
"""Pools keep half of what they pad in 16 bits."""

MOST_RANKS = {"BATCH_MATMUL": 5, "REVERSE_V2": 8, "SQUEEZE": 8}
"""Dimensions that other kernels load; there is no other way to compute with more."""

PLAIN = frozenset(
    {"float16", "float32", "float64", "complex64", "bool"}
    | {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
)
"""What kernels load that look at no element: each type of whole bytes."""

PACKED = frozenset({"uint8", "int8", "int4", "int2"})
"""Element types of weights beside activations of another type."""

BIASES = frozenset({"float32", "int32", "int64"})


@cache
def _last_versions() -> dict[str, int]:
    lines = (line.split() for line in LAST_VERSIONS.strip().splitlines())
    return {name: int(version) for version, *names in lines for name in names}


def versions(type: str) -> range:
    """Return the versions of a builtin operator for which LiteRT has a kernel, maybe none."""
    return range(FIRST_VERSIONS.get(type, 1), _last_versions().get(type, 1) + 1)


def check_version(type: str, version: int) -> None:
    """Raise UnsupportedError where LiteRT has no kernel for this version of a builtin operator."""
    known = versions(type)
    if version in known:
        return
    if not known:
        raise UnsupportedError(f"LiteRT has no kernel for {type}")
    several = f"versions {known[0]} to {known[-1]}" if len(known) > 1 else f"version {known[0]}"
    raise UnsupportedError(
        f"version {version} of {type}, LiteRT knows {several}",
        hint="a newer tqconv may know it; or is the file damaged?",
    )


@cache
def _loaded() -> dict[str, frozenset[str]]:
    lines = [line.split() for line in LOADED.strip().splitlines()]
    names = {name for _, *found in lines for name in found}
    return {n: frozenset(type for type, *found in lines if n in found) for n in names}


def loadable(row: OpSpec, *, scaled: bool) -> frozenset[str]:
    """Return numpy's names of the element types of data that the kernel of a row loads.

    scaled: integers with a scale. Those without one are numbers, which a kernel for reals may run,
    and makes nothing of them. Strings are `object`.
    """
    rule, loaded = row.quant, _loaded().get(row.name, frozenset())
    if not scaled and rule is not None and not rule.types:
        loaded -= {"int8", "uint8"}
    reals = rule.types if scaled and rule is not None else ()
    strings = {STRING.name} if row.strings else set()
    plain = PLAIN if row.types is None else row.types
    return plain.union(map(str.lower, reals), loaded, strings)


def check_loads(row: OpSpec, op: Op) -> None:
    """Raise UnsupportedError where LiteRT's kernel does not load an operator as it stands."""
    _check_options(row, op)
    _check_types(row, op)
    _check_ranks(row, op)
    check_scales(row, op)


def _check_options(row: OpSpec, op: Op) -> None:
    activation = op.options.get("fused_activation_function", "NONE")
    lacking = op.type in WITHOUT_ACTIVATION or (row.dense and activation not in ACTIVATIONS)
    if activation != "NONE" and lacking:
        raise UnsupportedError(f"{op.type} cannot compute {activation}")
    pads = op.options.get("padding", "SAME") == "SAME"
    for name, value in op.options.items():
        steps = row.category == "conv" and name.startswith(("stride_", "dilation_"))
        window = pads and name.startswith("filter_")
        if (steps and value > LARGEST_STEP) or (window and value > LARGEST_WINDOW):
            raise UnsupportedError(f"`{name}` of {op.type} is {value}")


def _check_types(row: OpSpec, op: Op) -> None:
    data: list[tuple[str, Tensor]] = []
    for name, tensor in named(row, op):
        wanted = takes(row, name)
        if wanted.data:
            data.append((name, tensor))
        else:
            _check_type(op, name, tensor, wanted.types)
    if not data:
        return
    first = next((pair for pair in data if not has_own_type(row, pair[0])), data[0])
    name, tensor = first
    allowed = loadable(row, scaled=tensor.quant is not None)
    if numpy_name(tensor.dtype) in loadable(row, scaled=True) - allowed:
        raise UnsupportedError(f"{op.type} computes with '{tensor.name}', which has no scale")
    _check_type(op, name, tensor, allowed)
    rule = row.quant
    if rule is not None and rule.hybrid_all and first[1].dtype == np.float32:
        weights = {type_name(t.dtype) for n, t in data if n in rule.hybrid}
        if len(weights) > 1:
            raise UnsupportedError(f"{op.type} has weights of {' and '.join(sorted(weights))}")
    for name, tensor in data:
        if tensor.dtype != first[1].dtype and not _may_differ(row, name, tensor, first[1]):
            raise UnsupportedError(
                f"{op.type} of {type_name(first[1].dtype)} reads "
                f"`{name}` ('{tensor.name}'), which is {type_name(tensor.dtype)}"
            )


def _check_type(op: Op, name: str, tensor: Tensor, allowed: frozenset[str] | None) -> None:
    if allowed is not None and numpy_name(tensor.dtype) not in allowed:
        raise UnsupportedError(
            f"{op.type} has no kernel for {type_name(tensor.dtype)} as `{name}` ('{tensor.name}')"
        )


def _may_differ(row: OpSpec, name: str, tensor: Tensor, first: Tensor) -> bool:
    """Whether a kernel loads an operand of another element type than the data."""
    rule, own = row.quant, numpy_name(tensor.dtype)
    if rule is None:
        return False
    if row.category == "recurrent" and first.dtype != np.float32:  # each operand has its own type
        return True
    packed, wide = own in PACKED, own in BIASES
    return has_own_type(row, name) and (name in rule.raw or (wide if name in rule.bias else packed))


def _check_ranks(row: OpSpec, op: Op) -> None:
    """Operands that count or point have ranks and sizes of the row, but where they are `flat`.

    Of data only integers that stand for reals: `passes/legal` takes other dimensions together.
    """
    for name, tensor in named(row, op):
        wanted = takes(row, name)
        if wanted.flat:
            continue
        odd_rank = wanted.ranks is not None and tensor.rank not in wanted.ranks
        odd_size = wanted.size is not None and tensor.is_static and tensor.size != wanted.size
        if odd_rank or odd_size:
            shape = list(tensor.shape)
            raise UnsupportedError(f"{op.type} reads `{name}` ('{tensor.name}') of shape {shape}")
    data = [t for name, t in named(row, op) if takes(row, name).data]
    rank = max((t.rank for t in data), default=0)
    together = row.layout.kind == "elementwise" and len(data) > 1
    scaled = any(t is not None and t.quant is not None for t in op.inputs)
    most = MOST_RANKS.get(op.type, MOST_RANK if together and scaled else None)
    if most is not None and rank > most:
        raise UnsupportedError(f"{op.type} takes at most {most} dimensions, not {rank}")


def true_types(op: Op, made: Sequence[Typed]) -> list[np.dtype]:
    """Return the element types of results, of which a file may be wrong where kernels set them.

    Raises UnsupportedError where they do not, and where integers stand for reals: scales are of the
    type that is stated.
    """
    types = [dtype for _, dtype in made]
    for tensor, dtype in zip(op.outputs, types, strict=False):
        if tensor.dtype == dtype:
            continue
        scaled = any(t is not None and t.quant is not None for t in (*op.inputs, tensor))
        if scaled or op.type not in SETS_TYPE.split():
            raise UnsupportedError(
                f"{op.type} makes {type_name(dtype)}, not {type_name(tensor.dtype)} "
                f"as '{tensor.name}' is"
            )
    return types
