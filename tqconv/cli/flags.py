"""Every flag of every command, in the spellings of tqconv, TOCO and tflite_convert.

One row per meaning. Refused rows are flags of those tools whose effect tqconv does not have: using
one is an error that says what to do instead. Nothing is ignored without a word.
"""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import (
    ARRAYS,
    FED,
    HYBRID,
    INTEGERS,
    MODEL,
    PICTURES,
    QUANTIZATION,
    QUANTIZED,
    TOCO,
    TOCO_ONLY,
    Flag,
    accepted,
    fixed,
    flag,
    refused,
    switch,
)
from tqconv.cli.values import BORDER_TYPES, SOURCE_TYPES, Choice, ListOf

FORMATS = {
    "TENSORFLOW_GRAPHDEF": "graphdef",
    "GRAPHDEF": "graphdef",
    "SAVED_MODEL": "saved_model",
    "KERAS": "keras",
    "ONNX": "onnx",
    "TFLITE": "tflite",
}
MODES = ("float16", "dynamic", "int8", "int16x8", "uint8")
INFERENCE_TYPES = {
    "FLOAT": "float",
    "FLOAT32": "float",
    "QUANTIZED_UINT8": "uint8",
    "UINT8": "uint8",
    "INT8": "int8",
    "QUANTIZED_INT8": "int8",
}
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

_MODEL = (
    flag(
        "input_file graph_def_file saved_model_dir savedmodel_directory keras_model_file",
        "the model; also the bare argument",
        MODEL, "source", metavar="PATH",
    ),
    flag("output_file output o", "the file to write", MODEL, "target", metavar="PATH"),
    flag(
        "input_format", "the model's format where its content does not tell",
        MODEL, "load.format", read=Choice(FORMATS), metavar="|".join(FORMATS),
    ),
    flag(
        "output_format", "TFLITE, or a picture of the result",
        MODEL, "target_format", metavar="TFLITE|GRAPHVIZ_DOT",
        read=Choice({"TFLITE": "tflite", "GRAPHVIZ_DOT": "dot", "TENSORFLOW_GRAPHDEF": "graphdef"}),
    ),
    flag(
        "saved_model_tag_set savedmodel_tagset saved_model_tags",
        "the MetaGraph of a SavedModel, by its tags", MODEL, "load.tags",
        read=values.names, metavar="TAG,TAG",
    ),
    flag(
        "saved_model_signature_key signature", "the signature of a SavedModel",
        MODEL, "load.signature", metavar="KEY",
    ),
    flag(
        "checkpoint", "where the variables of an unfrozen graph are",
        MODEL, "load.checkpoint", metavar="PREFIX",
    ),
    switch(
        "allow_custom_ops", "keep operators that TFLite does not have", MODEL,
        "load.allow_custom_ops",
    ),
)  # fmt: skip

_ARRAYS = (
    flag(
        "input_arrays input_array", "tensors that the result is fed with; the graph is cut there",
        ARRAYS, "load.inputs", read=values.names, metavar="NAME,NAME",
    ),
    flag(
        "output_arrays output_array", "tensors that the result computes, in this order",
        ARRAYS, "load.outputs", read=values.names, metavar="NAME,NAME",
    ),
    flag(
        "input_shapes input_shape",
        "one shape per input, `?` for an unknown size; or name=1,2;name=3,4",
        ARRAYS, "shapes", read=str, metavar="1,224,224,3:1,10",
    ),
    flag(
        "dim", "the size of a dimension that an ONNX model names", ARRAYS, "dims",
        read=values.dimension, metavar="NAME=SIZE", many=True,
    ),
    flag(
        "input_data_types input_data_type", "types of the inputs in the source model",
        ARRAYS, "load.dtypes", read=ListOf(Choice(SOURCE_TYPES)), metavar="TYPE,TYPE",
    ),
    flag(
        "set_input", "put a constant in the place of an input", ARRAYS, "values",
        read=values.assignment, metavar="NAME=VALUE", many=True,
    ),
    switch(
        "allow_nonexistent_arrays", "leave out named tensors that the graph lacks",
        ARRAYS, "load.allow_nonexistent_arrays",
    ),
    flag(
        "rnn_states", "recurrent edges: {state_array:A,back_edge_source_array:B,size:N}",
        ARRAYS, "rnn_states", read=values.states, metavar="MAPS", many=True,
    ),
)  # fmt: skip

_QUANTIZATION = (
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
        "input_range", "the same fact as the smallest and largest real", QUANTIZATION,
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
        "min_weight_elements", "smaller weights stay float",
        QUANTIZATION, "quantize.min_weight_elements", read=values.integer, metavar="N",
        modes=("dynamic",),
    ),
    flag(
        "verify", "compare the float and the quantized model on these samples",
        QUANTIZATION, "verify", metavar="DATA", modes=QUANTIZED,
    ),
    flag("min_sqnr", "signal-to-noise ratio that each output must keep, or nothing is written",
         QUANTIZATION, "min_sqnr", read=values.real, metavar="DB", modes=QUANTIZED),
    flag("min_agreement", "share of samples on which the largest element must be the float model's",
         QUANTIZATION, "min_agreement", read=values.share, metavar="SHARE", modes=QUANTIZED),
)  # fmt: skip

_TOCO = (
    flag(
        "inference_type",
        "QUANTIZED_UINT8: one uint8 scale per tensor, from FakeQuant nodes or defaults",
        TOCO, "inference_type", read=Choice({**INFERENCE_TYPES, "QUANTIZED_INT16": "int16"}),
        metavar="FLOAT|QUANTIZED_UINT8|INT8",
    ),
    flag(
        "mean_values mean_value", "zero points of the inputs in order: real = (q - mean) / std",
        TOCO, "means", read=values.reals, metavar="X,X", modes=INTEGERS, noted=True, also=FED,
    ),
    flag(
        "std_dev_values std_values std_value std_dev_value", "1 / scale of the inputs in order",
        TOCO, "stds", read=values.reals, metavar="X,X", modes=INTEGERS, noted=True, also=FED,
    ),
    flag(
        "default_ranges_min", "range of tensors without one", TOCO, "default_min",
        read=values.real, metavar="X", modes=INTEGERS, noted=True,
    ),
    flag(
        "default_ranges_max", "range of tensors without one", TOCO, "default_max",
        read=values.real, metavar="X", modes=INTEGERS, noted=True,
    ),
    flag(
        "default_int16_ranges_min", "the same for int16 tensors", TOCO, "int16_min",
        read=values.real, metavar="X", modes=("int16x8",), noted=True,
    ),
    flag(
        "default_int16_ranges_max", "the same for int16 tensors", TOCO, "int16_max",
        read=values.real, metavar="X", modes=("int16x8",), noted=True,
    ),
    flag(
        "arrays_extra_info_file", "ArraysExtraInfo message with ranges and types by name or regexp",
        TOCO, "toco.arrays_extra_info_file", metavar="FILE", modes=INTEGERS, noted=True,
    ),
    switch(
        "drop_fake_quant", "leave FakeQuant nodes out: a float model of a trained-for-uint8 graph",
        TOCO, "toco.drop_fake_quant",
    ),
    switch(
        "reorder_across_fake_quant", "fuse across FakeQuant nodes",
        TOCO, "toco.reorder_across_fake_quant", modes=TOCO_ONLY, noted=True,
    ),
    switch(
        "change_concat_input_ranges", "one range for all inputs of a concatenation",
        TOCO, "toco.change_concat_input_ranges", modes=TOCO_ONLY, noted=True,
    ),
    switch(
        "propagate_fake_quant_num_bits", "FakeQuant's num_bits choose uint8 or int16",
        TOCO, "toco.propagate_fake_quant_num_bits", modes=TOCO_ONLY, noted=True,
    ),
    switch(
        "allow_nudging_weights_to_use_fast_gemm_kernel",
        "change weights that an old ARM kernel cannot take",
        TOCO, "toco.allow_nudging_weights", modes=TOCO_ONLY, noted=True,
    ),
    flag(
        "dedupe_array_min_size_bytes", "has no effect: equal constants are always shared",
        TOCO, "dedupe", read=values.integer, metavar="N",
    ),
)  # fmt: skip

_PICTURES = (
    flag(
        "dump_graphviz_dir dump_graphviz", "write a picture after each stage into this folder",
        PICTURES, "dump_dir", metavar="DIR",
    ),
    switch("dump_graphviz_video", "write a picture after each pass, too", PICTURES, "dump_steps"),
    flag(
        "conversion_summary_dir", "write a description of the result as JSON into this folder",
        PICTURES, "summary_dir", metavar="DIR",
    ),
    flag(
        "model_checks",
        "fail where the result has other operators: {count_type:X,count_min:N,count_max:M}",
        PICTURES, "checks", read=values.counts, metavar="MAPS", many=True,
    ),
    flag(
        "verbosity verbose v", "1: name the passes that changed something (or -v)", PICTURES,
        "verbosity",
        read=values.integer, metavar="N",
    ),
    switch("quiet q", "say nothing but errors", PICTURES, "quiet"),
    switch("json", "print the result, or the error, as JSON", PICTURES, "json"),
    switch("debug", "show the Python traceback of an error", PICTURES, "debug"),
)  # fmt: skip

_OTHERS = (
    accepted("logtostderr alsologtostderr", "tqconv always logs to stderr"),
    accepted("stderrthreshold minloglevel vmodule", "tqconv has one log, see -v"),
    accepted("allow_nonascii_arrays", "names may hold any character"),
    accepted("experimental_new_converter", "tqconv is one converter"),
    accepted("experimental_new_quantizer", "tqconv has one quantizer"),
    accepted("enable_v1_converter", "flags of both versions are accepted"),
    fixed("drop_control_dependency", True, "control inputs never become data inputs; leave it out"),
    fixed("allow_dynamic_tensors", True, "give every input a shape with --input_shapes instead"),
    fixed("split_tflite_lstm_inputs", True, "TFLite's LSTM has split inputs; leave it out"),
    fixed("unfold_batchmatmul", False, "TFLite has BATCH_MATMUL; leave it out"),
    fixed("variable_batch", False, "write `?` for the batch size: --input_shapes ?,224,224,3"),
    fixed("allow_bfloat16", False, "use --quantize float16"),
    fixed(
        "debug_disable_recurrent_cell_fusion", False,
        "cells stay as the importer translates them",
    ),
    fixed(
        "enable_select_tf_ops", False,
        "models need no TensorFlow; keep single operators with --allow_custom_ops",
    ),
    fixed("force_select_tf_ops", False, "tqconv writes models that need no TensorFlow"),
    refused(
        "experimental_select_user_tf_ops",
        "tqconv writes models that need no TensorFlow; use --allow_custom_ops",
    ),
    refused("custom_opdefs", "operators need no definition; use --allow_custom_ops"),
    refused("accumulation_type", "LiteRT's kernels choose it"),
    refused("batch_size", "give whole shapes: --input_shapes 1,224,224,3"),
    refused("model_flags_file", "give its content as flags: --input_arrays, --input_shapes, …"),
)  # fmt: skip

CONVERT: tuple[Flag, ...] = (*_MODEL, *_ARRAYS, *_QUANTIZATION, *_TOCO, *_PICTURES, *_OTHERS)
"""The table."""


def _of(*keys: str) -> tuple[Flag, ...]:
    return tuple(row for row in CONVERT if row.key in keys)


_READING = (
    *_of("load.format", "load.inputs", "load.outputs", "shapes", "dims", "load.dtypes", "values"),
    *_of("load.allow_custom_ops", "load.tags", "load.signature", "load.checkpoint"),
)
_BASIC = (*_of("source"), *_READING)

INSPECT: tuple[Flag, ...] = (
    *_BASIC,
    flag(
        "verbose v verbosity", "list every operator and tensor, too", PICTURES, "verbosity",
        read=values.integer, metavar="",
    ),
    switch("nodes", "show a GraphDef node by node, as the file has it", PICTURES, "nodes"),
    switch("supported_ops", "print the table of operators instead", PICTURES, "supported_ops"),
    *_of("quiet", "json", "debug"),
)  # fmt: skip

DOT: tuple[Flag, ...] = (
    *_BASIC,
    *_of("target"),
    switch("optimize", "draw the model as `convert` would write it", PICTURES, "optimize"),
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
    *_of("quiet", "debug"),
)  # fmt: skip
