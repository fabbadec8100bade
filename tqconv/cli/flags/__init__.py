"""Every flag of every command, in the spellings of tqconv, TOCO and tflite_convert.

One row per meaning. Refused rows are flags of those tools whose effect tqconv does not have: using
one is an error that says what to do instead. Nothing is ignored without a word.
"""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import PICTURES, QUANTIZATION, Flag, flag, switch
from tqconv.cli.flags import arrays, dot, model, others, pictures, quantization, toco

CONVERT: tuple[Flag, ...] = (
    *model.ROWS,
    *arrays.ROWS,
    *quantization.ROWS,
    *toco.ROWS,
    *pictures.ROWS,
    *others.ROWS,
)
"""The table."""


def _of(*keys: str) -> tuple[Flag, ...]:
    return tuple(row for row in CONVERT if row.key in keys)


_READING = (
    *_of("load.format", "load.inputs", "load.outputs", "shapes", "dims", "load.dtypes", "values"),
    *_of("load.allow_custom_ops", "load.tags", "load.signature", "load.checkpoint"),
    *_of("load.keras_config"),
)
_BASIC = (*_of("source"), *_READING)

INSPECT: tuple[Flag, ...] = (
    *_BASIC,
    flag(
        "verbose v verbosity", "list every operator and tensor, too", PICTURES, "verbosity",
        read=values.integer, metavar="",
    ),
    switch("ops", "print a table of the operators instead", PICTURES, "ops"),
    switch("tensors", "print a table of the tensors instead", PICTURES, "tensors"),
    switch("quant", "print a table of scales and real ranges instead", PICTURES, "quant"),
    flag(
        "where", "only rows of these tables that fulfil this: dtype=float32, bytes>1M, name=conv*",
        PICTURES, "where", metavar="CONDITION", many=True,
    ),
    flag(
        "data", "run both models on these samples: tqconv inspect MODEL OTHER --data DATA; with "
        "--report, the model and its float one",
        QUANTIZATION, "quantize.calibration_data", metavar="DATA",
    ),
    flag(
        "reference", "the float model for --data; without it, the model itself without rounding",
        QUANTIZATION, "reference", metavar="FILE",
    ),
    *_of("quantize.samples", "quantize.mean", "quantize.std"),
    switch("nodes", "show a GraphDef node by node, as the file has it", PICTURES, "nodes"),
    flag(
        "target", "say what runs of it on this device, and what mends the rest: tflm, edgetpu, …",
        PICTURES, "device", metavar="NAME",
    ),
    switch("supported_ops", "print the table of operators instead", PICTURES, "supported_ops"),
    *_of("report", "quiet", "json", "debug"),
)  # fmt: skip

DOT: tuple[Flag, ...] = (
    *_BASIC,
    *_of("target"),
    *dot.ROWS,
    *_of("quiet", "debug"),
)

CALIBRATE: tuple[Flag, ...] = (
    *_BASIC,
    *_of("target"),
    flag(
        "data calibration_data", "the samples: .npz, .npy, a folder of images or of raw tensors",
        QUANTIZATION, "quantize.calibration_data", metavar="PATH",
    ),
    *_of("quantize.samples", "quantize.random", "quantize.method", "quantize.mean", "quantize.std"),
    *_of("input_ranges"),
    flag("update", "merge with the ranges in this file", QUANTIZATION, "update", metavar="FILE"),
    *_of("report", "quiet", "debug"),
)  # fmt: skip
