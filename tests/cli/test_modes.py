"""Which flags go with which quantization: what has no effect is refused, or noted for old flags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tqconv.cli.arguments import read
from tqconv.cli.flags import CALIBRATE, CONVERT
from tqconv.cli.modes import listed
from tqconv.cli.options import calibrate_options, convert_options
from tqconv.errors import UsageError

if TYPE_CHECKING:
    from .conftest import Tqconv

MODES = {
    None: ["--inference_type=FLOAT"],
    "float16": ["--quantize", "float16"],
    "dynamic": ["--quantize", "dynamic"],
    "int8": ["--quantize", "int8"],
    "int16x8": ["--quantize", "int16x8"],
    "uint8": ["--quantize", "uint8"],
}
VALUES = {
    "quantize.integer_only": [],
    "quantize.calibration_data": ["x"],
    "quantize.samples": ["3", "--calibration_data=x"],
    "quantize.random": ["3"],
    "quantize.method": ["mse", "--calibration_random=2"],
    "quantize.mean": ["1", "--calibration_data=x"],
    "quantize.std": ["1", "--calibration_data=x"],
    "quantize.ranges": ["x"],
    "quantize.ranges_template": ["x"],
    "input_ranges": ["a:0,1"],
    "keep_float": ["a"],
    "int16": ["a"],
    "no_per_channel": [],
    "no_per_channel_dense": [],
    "no_improve": [],
    "quantize.min_weight_elements": ["5"],
    "quantize.weight_bits": ["4"],
    "quantize.weight_block": ["32", "--weight_bits=4"],
    "verify": ["x"],
    "min_sqnr": ["20", "--verify=x"],
    "min_agreement": ["0.9", "--verify=x"],
}
"""Key -> the words behind the flag of each row that is an error where it has no effect."""
NOTED = {
    "named_stats": ["a:1,2"],
    "means": ["1"],
    "stds": ["1"],
    "default_min": ["0", "--default_ranges_max=6"],
    "default_max": ["6", "--default_ranges_min=0"],
    "int16_min": ["0", "--default_int16_ranges_max=6"],
    "int16_max": ["6", "--default_int16_ranges_min=0"],
    "toco.arrays_extra_info_file": ["x"],
    "toco.reorder_across_fake_quant": [],
    "toco.change_concat_input_ranges": [],
    "toco.propagate_fake_quant_num_bits": [],
    "toco.allow_nudging_weights": [],
}
"""The same for flags that old command lines give in any mode."""
ROWS = {flag.key: flag for flag in CONVERT if flag.modes}


def notes(*words: str) -> list[str]:
    return convert_options(read(words, CONVERT))[1]


def test_every_flag_of_some_modes_is_tested() -> None:
    assert {key for key, row in ROWS.items() if not row.noted} == VALUES.keys()
    assert {key for key, row in ROWS.items() if row.noted} == NOTED.keys()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", VALUES)
def test_a_flag_without_effect_is_refused(key: str, mode: str | None) -> None:
    row = ROWS[key]
    words = [*MODES[mode], f"--{row.name}", *VALUES[key]]
    if mode in row.modes:
        assert notes(*words) == []
        return
    with pytest.raises(UsageError) as caught:
        convert_options(read(words, CONVERT))
    first = caught.value.message.partition(" ")[0]
    assert first in (f"--{row.name}", words[-1].partition("=")[0])
    assert "needs a quantization" in caught.value.message or mode is not None
    assert caught.value.hint


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", NOTED)
def test_an_old_flag_without_effect_is_noted(key: str, mode: str | None) -> None:
    row = ROWS[key]
    found = notes(*MODES[mode], f"--{row.name}", *NOTED[key])
    works = mode in row.modes or ("toco" in row.modes and mode == "uint8")
    where = "a float model" if mode is None else f"mode {mode}"
    assert (f"--{row.name} has no effect on {where}" in found) is not works


def test_switches_that_are_off_ask_for_nothing() -> None:
    words = ["--integer_only=false", "--change_concat_input_ranges=false"]
    assert notes(*words) == []


def test_integer_inputs_of_a_float_model_need_mean_and_std() -> None:
    words = ["--inference_type=FLOAT", "--mean_values=128", "--std_values=127"]
    assert notes(*words, "--inference_input_type=QUANTIZED_UINT8") == []
    assert len(notes(*words, "--inference_input_type=FLOAT")) == 2


def test_images_to_verify_on_are_scaled_in_every_mode() -> None:
    assert notes("--quantize=dynamic", "--verify=x", "--mean=1", "--std=2") == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quantize=int8", "--calibration_method=mse", "--ranges=x"],
         "--calibration_method has no effect without --calibration_data or --calibration_random"),
        (["--quantize=int8", "--calibration_data=x", "--calibration_random=2"],
         "--calibration_data and --calibration_random say the same thing"),
        (["--quantize=int8", "--mean_values=1", "--std_values=1", "--input_range=a:0,1"],
         "--mean_values and --input_range say the same thing"),
        (["--quantize=int8", "--quantized_input_stats=a:0,1", "--std_values=1"],
         "--std_values and --quantized_input_stats say the same thing"),
        (["--quantize=int8", "--quantized_input_stats=a:0,1", "--input_range=a:0,1"],
         "--quantized_input_stats and --input_range say the same thing about `a`"),
        (["--quantize=int8", "--input_range=a:0,1", "--input_range=a:0:0,2"],
         "--input_range says two things about `a:0`"),
        (["--set_input=a=1", "--set_input=a=2"], "--set_input says two things about `a`"),
        (["--input_shapes=a=1;a=2"], "--input_shapes: the shape of `a` is given twice"),
        (["--output_arrays=a,b,a"], "--output_arrays names `a` twice"),
        (["--input_arrays=a,b", "--output_arrays=b"], "`b` is an input and an output"),
        (["--quantize=int8", "--inference_type=FLOAT"],
         "--inference_type and --quantize ask for different types"),
        (["--inference_type=QUANTIZED_INT8", "--quantize=uint8"],
         "--inference_type and --quantize ask for different types"),
        (["--quantize=int8", "--calibration_data=x", "--mean=1", "--std=1,0"],
         "--std: `1,0`: a standard deviation is above zero"),
    ],
)  # fmt: skip
def test_contradictions(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        convert_options(read(words, CONVERT))
    assert caught.value.message == message


def test_calibrate_takes_its_samples_from_one_place() -> None:
    with pytest.raises(UsageError, match="--data and --random say the same thing"):
        calibrate_options(read(["--data=x", "--random=3"], CALIBRATE))


def test_modes_are_listed_as_people_write_them() -> None:
    assert listed(("a", "b", "c")) == "a, b or c"
    assert listed(("a",)) == "a"


@pytest.mark.parametrize(
    ("given", "toco_type", "kept"),
    [
        ("QUANTIZED_UINT8", "QUANTIZED_UINT8", None),
        ("QUANTIZED_UINT8", "INT8", "uint8"),
        ("UINT8", "QUANTIZED_UINT8", "uint8"),
        ("FLOAT", "QUANTIZED_UINT8", "float32"),
    ],
)
def test_a_quantized_input_type_is_that_of_the_result(
    given: str, toco_type: str, kept: str | None
) -> None:
    words = [f"--input_data_type={given}", f"--inference_type={toco_type}"]
    assert convert_options(read(words, CONVERT))[0].load.dtypes == (kept,)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--quantize", "dynamic", "--min_weight_elements", "100000"],
         "the largest weights, 'logits/MatMul/transpose', have 3840 elements; "
         "--min_weight_elements 3840 includes them"),
        (["--quantize", "dynamic", "--keep_float", ".*"],
         "no operator's weights can all be int8 that --keep_float does not match"),
        (["--quantize", "float16", "--keep_float", ".*"],
         "the model has no float constants that --keep_float does not match"),
    ],
)  # fmt: skip
def test_a_mode_that_changes_nothing_says_so(
    tqconv: Tqconv, digits: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    result = tqconv("convert", digits, "-o", tmp_path / "m.tflite", *words)
    assert result.code == 0
    assert f"note: --quantize {words[1]} changed nothing: {says}\n" in result.err
