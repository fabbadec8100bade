"""The table of flags: complete, free of contradictions, and tied to the options."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tqconv
from tqconv.cli.flags import CALIBRATE, CONVERT, DOT, INSPECT
from tqconv.config import CalibrateOptions, ConvertOptions


def words(text: str) -> list[str]:
    return text.split()


TOCO = words(
    """
    input_file output_file input_format output_format savedmodel_directory savedmodel_tagset
    inference_type inference_input_type input_type input_types default_ranges_min
    default_ranges_max default_int16_ranges_min default_int16_ranges_max drop_fake_quant
    reorder_across_fake_quant change_concat_input_ranges propagate_fake_quant_num_bits
    allow_nudging_weights_to_use_fast_gemm_kernel quantize_weights post_training_quantize
    quantize_to_float16 allow_custom_ops custom_opdefs enable_select_tf_ops
    force_select_tf_ops drop_control_dependency debug_disable_recurrent_cell_fusion
    split_tflite_lstm_inputs dedupe_array_min_size_bytes unfold_batchmatmul
    allow_dynamic_tensors allow_bfloat16 accumulation_type logtostderr v input_array
    input_arrays output_array output_arrays input_shape input_shapes input_data_type
    input_data_types mean_value mean_values std_value std_values batch_size variable_batch
    rnn_states model_checks dump_graphviz dump_graphviz_video conversion_summary_dir
    allow_nonexistent_arrays allow_nonascii_arrays arrays_extra_info_file model_flags_file
    """
)
TFLITE_CONVERT = words(
    """
    output_file graph_def_file saved_model_dir keras_model_file output_format inference_type
    inference_input_type input_arrays output_arrays input_shapes mean_values std_dev_values
    default_ranges_min default_ranges_max post_training_quantize quantize_weights
    quantize_to_float16 drop_control_dependency reorder_across_fake_quant
    change_concat_input_ranges allow_custom_ops custom_opdefs target_ops converter_mode
    experimental_select_user_tf_ops saved_model_tag_set saved_model_signature_key
    dump_graphviz_dir dump_graphviz_video conversion_summary_dir experimental_new_converter
    experimental_new_quantizer enable_v1_converter
    """
)


@pytest.mark.parametrize("name", sorted({*TOCO, *TFLITE_CONVERT}))
def test_every_flag_of_the_old_tools_has_a_row(name: str) -> None:
    rows = [flag for flag in CONVERT if name in flag.names]
    assert len(rows) == 1


@pytest.mark.parametrize("table", [CONVERT, INSPECT, DOT, CALIBRATE])
def test_no_spelling_means_two_things(table: Any) -> None:
    counts = Counter(name for flag in table for name in flag.names)
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_row_has_one_effect() -> None:
    for flag in CONVERT:
        effects = [bool(flag.key), flag.only is not None, bool(flag.refuse and flag.only is None)]
        assert sum(effects) <= 1, flag.name
        assert flag.help


PARSED = {
    "load.shapes": "shapes",
    "load.named_shapes": "shapes",
    "load.values": "values",
    "load.dims": "dims",
    "load.rnn_states": "rnn_states",
    "quantize.mode": "quantize",
    "quantize.input_type": "input_types",
    "quantize.input_stats": "means",
    "quantize.named_stats": "named_stats",
    "quantize.input_ranges": "input_ranges",
    "quantize.keep_float": "keep_float",
    "quantize.int16": "int16",
    "quantize.per_channel": "no_per_channel",
    "quantize.improve": "no_improve",
    "quantize.per_channel_dense": "no_per_channel_dense",
    "toco.inference_type": "inference_type",
    "toco.wants_float": "inference_type",
    "toco.default_ranges": "default_min",
    "toco.default_int16_ranges": "int16_min",
}
"""Fields that are made from the value of a flag with another key."""


DERIVED = {
    *(
        f"load.{n}"
        for n in ("array_ranges", "quantizing", "rounds_products", "shown", "stored_grid")
    ),
    "command",
}
"""Fields that `convert` or the command line sets itself."""


def fields(options: Any, prefix: str = "") -> list[str]:
    """Return the dotted names of all fields of nested options."""
    found = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        name = f"{prefix}{field.name}"
        found += fields(value, f"{name}.") if dataclasses.is_dataclass(value) else [name]
    return found


@pytest.mark.parametrize("field", sorted({*fields(ConvertOptions())} - DERIVED))
def test_every_option_has_a_flag(field: str) -> None:
    assert PARSED.get(field, field) in {flag.key for flag in CONVERT}


def test_the_option_of_calibrate_has_a_flag() -> None:
    assert set(fields(CalibrateOptions())) - set(fields(ConvertOptions())) == {"update"}
    assert "update" in {flag.key for flag in CALIBRATE}


def test_the_reference_is_up_to_date() -> None:
    """`make docs` writes it."""
    root = Path(__file__).parents[2]
    generator = [sys.executable, str(root / "docs" / "generate_flags.py")]
    page = subprocess.run(generator, capture_output=True, text=True, check=True).stdout
    assert page == (root / "docs" / "flags.md").read_text()


def sources_outside_cli() -> str:
    package = Path(tqconv.__file__).parent
    files = [p for p in package.rglob("*.py") if "cli" not in p.parts and p.name != "config.py"]
    return "\n".join(p.read_text() for p in files)


def test_every_option_is_read_by_somebody() -> None:
    text = sources_outside_cli()
    unread = {
        PARSED.get(field, field)
        for field in fields(ConvertOptions())
        if not re.search(rf"\b\w+\.{field.rpartition('.')[2]}\b", text)
    }
    assert not unread
