"""Which table holds an operator's options: by name, with the exceptions listed."""

from functools import cache

from tqconv.schema.layout import tflite

SHARED = {
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONV_3D_TRANSPOSE": "Conv3DOptions",
    "L2_NORMALIZATION": "L2NormOptions",
    "L2_POOL_2D": "Pool2DOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MULTINOMIAL": "RandomOptions",
    "RANDOM_STANDARD_NORMAL": "RandomOptions",
    "RANDOM_UNIFORM": "RandomOptions",
    "REDUCE_ALL": "ReducerOptions",
    "REDUCE_ANY": "ReducerOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "SUM": "ReducerOptions",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNNOptions",
}


def options_table(op: str) -> str | None:
    """The options table of a builtin operator, None if it has none.

    The rest follow one rule: `PADV2` has `PadV2Options`, compared without case and underscores.
    """
    return SHARED.get(op) or _tables().get(_folded(op))


@cache
def _tables() -> dict[str, str]:
    unions = tflite().unions
    names = (*unions["BuiltinOptions"], *unions["BuiltinOptions2"])
    return {_folded(name.removesuffix("Options")): name for name in names if name != "NONE"}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
