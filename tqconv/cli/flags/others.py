"""Flags of the older tools that change nothing, or that are refused with the reason."""

from __future__ import annotations

from tqconv.cli.flag import Flag, accepted, fixed, refused

ROWS: tuple[Flag, ...] = (
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
