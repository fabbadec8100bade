"""How words become flags and values."""

from __future__ import annotations

import pytest

from tqconv.cli.arguments import read
from tqconv.cli.flags import CONVERT
from tqconv.errors import UsageError


@pytest.mark.parametrize(
    "words",
    [
        ["--input_arrays=a,b"],
        ["--input_arrays", "a,b"],
        ["--input-arrays", "a, b"],
        ["--input_array", "a,b"],
        ["--input-array='a','b'"],
    ],
)
def test_spellings_of_one_flag_are_alike(words: list[str]) -> None:
    assert read(words, CONVERT).values == {"load.inputs": ("a", "b")}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--allow_custom_ops"], True),
        (["--allow_custom_ops=true"], True),
        (["--allow_custom_ops", "TRUE"], True),
        (["--allow-custom-ops=false"], False),
        (["--allow_custom_ops", "0"], False),
    ],
)
def test_a_switch_stands_alone_or_with_its_value(words: list[str], expected: bool) -> None:
    assert read(words, CONVERT).get("load.allow_custom_ops") is expected


def test_a_switch_does_not_take_the_model_for_its_value() -> None:
    given = read(["--allow_custom_ops", "model.pb"], CONVERT)
    assert given.words == ["model.pb"]


def test_negative_numbers_are_values() -> None:
    given = read(["--default_ranges_min", "-100", "--default_ranges_max=-1e1"], CONVERT)
    assert (given.get("default_min"), given.get("default_max")) == (-100.0, -10.0)


@pytest.mark.parametrize(
    ("words", "expected"), [(["-v"], 1), (["-vv"], 2), (["--v=3"], 3), (["--verbose"], 1)]
)
def test_verbosity(words: list[str], expected: int) -> None:
    assert read(words, CONVERT).get("verbosity") == expected


def test_words_behind_two_dashes_are_no_flags() -> None:
    assert read(["--", "--odd-name.pb"], CONVERT).words == ["--odd-name.pb"]


def test_short_flags_take_their_value_with_or_without_a_blank() -> None:
    assert read(["-o", "x"], CONVERT).values == read(["-ox"], CONVERT).values == {"target": "x"}


def test_repeatable_flags_collect() -> None:
    given = read(["--keep_float", "a.*", "--keep_float", "b"], CONVERT)
    assert given.get("keep_float") == ("a.*", "b")


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ["--input_arays", "a"],
            "`--input_arays` is not a flag of this command; did you mean `--input_arrays`?",
            "list all flags with --help",
        ),
        (
            ["-input_file=x"],
            "`-input_file` is not a flag of this command; did you mean `--input_file`?",
            "list all flags with --help",
        ),
        (["--output_file"], "`--output_file` needs a value: PATH", None),
        (
            ["--output_file", "--input_arrays", "a"],
            "`--output_file` needs a value, but `--input_arrays` follows",
            None,
        ),
        (
            ["--input_array", "a", "--input_arrays", "a,b"],
            "`--input_array` and `--input_arrays` say the same thing with different values",
            "give one of them; --input_arrays is tqconv's own",
        ),
        (
            ["--output_file", "a", "--output_file", "b"],
            "`--output_file` is given twice with different values",
            None,
        ),
        (
            ["--inference_type", "QUANTIZED_UNIT8"],
            "--inference_type: `QUANTIZED_UNIT8` is unknown; did you mean `QUANTIZED_UINT8` or "
            "`QUANTIZED_INT8` or `QUANTIZED_INT16`?",
            "one of: FLOAT, FLOAT32, QUANTIZED_UINT8, UINT8, INT8, QUANTIZED_INT8, QUANTIZED_INT16",
        ),
        (["--mean_values", "nan"], "--mean_values: `nan` is not a finite number", None),
        (["--calibration_random", "-5"], "--calibration_random: `-5` is below zero", None),
        (["--calibration_random", "0"],
         "--calibration_random: the number must be above zero", None),
        (["--calibration_random", "1e3"],
         "--calibration_random: `1e3` is not a whole number", None),
        (["--min_weight_elements", "9" * 5000],
         "--min_weight_elements: the number is more than 2147483647", None),
        (["--dim", "batch=2147483648"],
         "--dim: `2147483648` in `batch=2147483648` is not a size", "write --dim batch=1"),
        (["--mean_values", "1,x"], "--mean_values: `x` is not a number", None),
        (["--keep_float", "("], "--keep_float: `(` is not a regular expression: "
         "missing ), unterminated subpattern at position 0", None),
        (["--set_input", "x"], "--set_input: `x` is not of the form NAME=VALUE", None),
        (["--allow_custom_ops=maybe"],
         "--allow_custom_ops: `maybe` is neither true nor false", None),
        (["--model_checks", "{count_type:Conv,count:1}"],
         "--model_checks: `count` is no key; did you mean `count_min` or `count_max` or "
         "`count_type`?", None),
        (["--enable_select_tf_ops"], "`--enable_select_tf_ops true` is not supported by tqconv",
         "models need no TensorFlow; keep single operators with --allow_custom_ops"),
        (["--batch-size", "1"], "`--batch-size` is not supported by tqconv",
         "give whole shapes: --input_shapes 1,224,224,3"),
        (["--input_range", "x:1,0"],
         "--input_range: the minimum of `x` is not below its maximum", None),
        (["--quantized_input_stats", "x:0,0"],
         "--quantized_input_stats: the standard deviation of `x` is not above zero", None),
    ],
)  # fmt: skip
def test_errors_name_the_flag(words: list[str], message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        read(words, CONVERT)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_value_that_tqconv_does_anyway_is_accepted() -> None:
    words = ["--enable_select_tf_ops=false", "--drop_control_dependency", "--logtostderr"]
    assert read(words, CONVERT).values == {}


def test_maps_of_toco() -> None:
    text = "{count_type:Conv,count_min:1,count_max:0},{count_type:Total,count_min:-1,count_max:9}"
    checks = read(["--model_checks", text], CONVERT).get("checks")
    assert [(c.type, c.least, c.most) for c in checks] == [("Conv", 1, 1), ("Total", 0, 9)]
