"""What only TOCO has a word for."""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import FED, INTEGERS, TOCO, TOCO_ONLY, Flag, flag, switch
from tqconv.cli.values import Choice

INFERENCE_TYPES = {
    "FLOAT": "float",
    "FLOAT32": "float",
    "QUANTIZED_UINT8": "uint8",
    "UINT8": "uint8",
    "INT8": "int8",
    "QUANTIZED_INT8": "int8",
}

ROWS: tuple[Flag, ...] = (
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
