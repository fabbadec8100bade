"""How to quantize, and from which evidence."""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import FED, HYBRID, INTEGERS, QUANTIZATION, QUANTIZED, Flag, flag, switch
from tqconv.cli.values import BORDER_TYPES, Choice, ListOf
from tqconv.config import BLOCKS, FOUR_BITS

MODES = ("float16", "weights", "dynamic", "int8", "int16x8", "uint8")
METHODS = {name: name for name in ("minmax", "percentile", "mse", "entropy")}
ACTIVATIONS_INT16 = "EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8"
OP_SETS = {
    "TFLITE_BUILTINS": "float",
    "TFLITE_BUILTINS_INT8": "int8",
    ACTIVATIONS_INT16: "int16x8",
    "SELECT_TF_OPS": "select",
    "DEFAULT": "float",
    "TOCO_EXTENDED": "select",
    "TOCO_EXTENDED_ALL": "select",
}
"""OpsSet names of tflite_convert, and those of --converter_mode in TensorFlow 1.12."""

ROWS: tuple[Flag, ...] = (
    flag(
        "quantize", "how to quantize", QUANTIZATION, "quantize",
        read=Choice({"none": "float", **{mode: mode for mode in MODES}}), metavar="|".join(MODES),
    ),
    switch(
        "post_training_quantize quantize_weights", "the same as --quantize dynamic",
        QUANTIZATION, "weights",
    ),
    switch("quantize_to_float16", "the same as --quantize float16", QUANTIZATION, "float16"),
    flag(
        "supported_ops target_ops converter_mode",
        "TFLITE_BUILTINS_INT8 is --quantize int8 --integer_only", QUANTIZATION, "op_sets",
        read=ListOf(Choice(OP_SETS)), metavar="SET,SET",
    ),
    switch(
        "integer_only", "no float tensor may remain", QUANTIZATION, "quantize.integer_only",
        modes=INTEGERS,
    ),
    flag(
        "inference_input_type input_type input_types", "type of the result's inputs",
        QUANTIZATION, "input_types", read=ListOf(Choice(BORDER_TYPES)), metavar="TYPE",
    ),
    flag(
        "inference_output_type", "type of the result's outputs",
        QUANTIZATION, "quantize.output_type", read=Choice(BORDER_TYPES), metavar="TYPE",
    ),
    flag(
        "calibration_data", "samples to measure ranges on: .npz, .npy, a folder of images",
        QUANTIZATION, "quantize.calibration_data", metavar="PATH", modes=INTEGERS,
    ),
    flag(
        "calibration_samples samples", "use at most so many samples",
        QUANTIZATION, "quantize.samples", read=values.positive, metavar="N",
        modes=INTEGERS, also=("verify",),
    ),
    flag(
        "calibration_random random", "calibrate on so many random samples (for trials only)",
        QUANTIZATION, "quantize.random", read=values.positive, metavar="N", modes=INTEGERS,
    ),
    flag(
        "calibration_method method", "how values become a range", QUANTIZATION, "quantize.method",
        read=Choice(METHODS), metavar="|".join(METHODS), modes=INTEGERS,
    ),
    flag(
        "mean", "mean of the pixels of calibration images", QUANTIZATION, "quantize.mean",
        read=values.reals, metavar="X[,X,X]", modes=INTEGERS, also=("verify",),
    ),
    flag(
        "std", "standard deviation of the pixels of calibration images", QUANTIZATION,
        "quantize.std",
        read=values.deviations, metavar="X[,X,X]", modes=INTEGERS, also=("verify",),
    ),
    flag(
        "ranges", "a file that `tqconv calibrate` wrote", QUANTIZATION, "quantize.ranges",
        metavar="FILE", modes=INTEGERS,
    ),
    flag(
        "write_ranges_template", "write the tensors that lack a range to this file",
        QUANTIZATION, "quantize.ranges_template", metavar="FILE", modes=INTEGERS,
    ),
    flag(
        "quantized_input_stats", "mean and standard deviation of an input: real = (q - mean) / std",
        QUANTIZATION, "named_stats", read=values.named_stats, metavar="NAME:MEAN,STD", many=True,
        modes=INTEGERS, noted=True, also=FED,
    ),
    flag(
        "input_range", "the smallest and largest real that an input is fed with", QUANTIZATION,
        "input_ranges",
        read=values.named_range, metavar="NAME:MIN,MAX", many=True, modes=INTEGERS, also=FED,
    ),
    flag(
        "keep_float", "source nodes that stay float", QUANTIZATION, "keep_float",
        read=values.pattern, metavar="REGEX", many=True, modes=QUANTIZED,
    ),
    flag(
        "int16", "source nodes whose activations become int16", QUANTIZATION, "int16",
        read=values.pattern, metavar="REGEX", many=True, modes=("int8",),
    ),
    switch(
        "no_per_channel", "one scale per weight tensor", QUANTIZATION, "no_per_channel",
        modes=HYBRID,
    ),
    switch(
        "no_per_channel_dense", "one scale per weight tensor of dense layers",
        QUANTIZATION, "no_per_channel_dense", modes=HYBRID,
    ),
    switch(
        "no_improve", "take ranges and weights as measured, without fitting them to the samples",
        QUANTIZATION, "no_improve", modes=INTEGERS,
    ),
    flag(
        "weight_bits", "4: weights of 4 bits where a kernel takes them, int8 elsewhere",
        QUANTIZATION, "quantize.weight_bits", read=Choice({"4": 4, "8": 8}), metavar="4|8",
        modes=FOUR_BITS,
    ),
    flag(
        "weight_block",
        "so many weights of 4 bits in a row share a scale in dense layers, not all of a channel",
        QUANTIZATION, "quantize.weight_block", read=Choice({str(n): n for n in BLOCKS}),
        metavar="|".join(map(str, BLOCKS)), modes=("dynamic",),
    ),
    flag(
        "min_weight_elements", "smaller weights stay float",
        QUANTIZATION, "quantize.min_weight_elements", read=values.integer, metavar="N",
        modes=("weights", "dynamic"),
    ),
    flag(
        "verify", "compare the float and the quantized model on these samples",
        QUANTIZATION, "verify", metavar="DATA", modes=QUANTIZED,
    ),
    flag("min_sqnr", "signal-to-noise ratio that each output must keep, or nothing is written; "
         "for it int8 stores the few worst tensors in 16 bits, or float, and lists them",
         QUANTIZATION, "min_sqnr", read=values.real, metavar="DB", modes=QUANTIZED),
    flag("min_agreement", "share of samples on which the largest element must be the float model's",
         QUANTIZATION, "min_agreement", read=values.share, metavar="SHARE", modes=QUANTIZED),
)  # fmt: skip
