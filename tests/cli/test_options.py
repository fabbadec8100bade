"""What combinations of old and new flags ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tqconv.cli.arguments import read
from tqconv.cli.flags import CONVERT
from tqconv.cli.options import convert_options
from tqconv.cli.places import source_of
from tqconv.config import ConvertOptions
from tqconv.errors import UsageError


def options(*words: str) -> ConvertOptions:
    return convert_options(read(words, CONVERT))[0]


def refusal(*words: str) -> str:
    with pytest.raises(UsageError) as caught:
        options(*words)
    return caught.value.message


@pytest.mark.parametrize(
    ("words", "mode", "toco"),
    [
        ([], None, None),
        (["--inference_type", "FLOAT"], None, None),
        (["--quantize", "none"], None, None),
        (["--quantize", "int8"], "int8", None),
        (["--quantize", "uint8"], "uint8", "uint8"),
        (["--inference_type=QUANTIZED_UINT8"], "uint8", "uint8"),
        (["--inference_type", "int8"], "int8", "int8"),
        (["--post_training_quantize"], "dynamic", None),
        (["--quantize_weights=true", "--inference_type=FLOAT"], "dynamic", None),
        (["--post_training_quantize=false"], None, None),
        (["--post_training_quantize", "--quantize_to_float16"], "float16", None),
        (["--quantize_to_float16"], "float16", None),
        (["--post_training_quantize", "--inference_type=QUANTIZED_UINT8"], "dynamic", None),
        (["--target_ops", "TFLITE_BUILTINS"], None, None),
        (["--target_ops=TFLITE_BUILTINS_INT8", "--post_training_quantize"], "int8", None),
    ],
)
def test_modes(words: list[str], mode: str | None, toco: str | None) -> None:
    found = options(*words)
    assert (found.quantize.mode, found.toco.inference_type) == (mode, toco)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quantize", "int8", "--quantize_to_float16"],
         "--quantize and --quantize_to_float16 ask for different quantizations"),
        (["--inference_type", "QUANTIZED_INT16"],
         "`--inference_type QUANTIZED_INT16` is not supported by tqconv"),
        (["--target_ops", "TFLITE_BUILTINS,SELECT_TF_OPS"],
         "`--target_ops` with TensorFlow's operators is not supported by tqconv"),
        (["--calibration_data", "x"], "--calibration_data needs a quantization"),
        (["--integer_only", "--quantize", "dynamic"],
         "--integer_only does not go with dynamic"),
        (["--default_ranges_min", "0"],
         "--default_ranges_min and --default_ranges_max go together"),
        (["--default_ranges_min=6", "--default_ranges_max=0"],
         "--default_ranges_min is not below --default_ranges_max"),
        (["--mean_values=1,2", "--std_values=1"],
         "--mean_values has 2 entries, --std_values has 1"),
        (["--mean_values=1,2", "--input_arrays=a"], "--mean_values has 2 entries for 1 input"),
        (["--std_dev_values=0"], "--std_dev_values: a standard deviation is above zero"),
        (["--output_format", "TENSORFLOW_GRAPHDEF"],
         "`--output_format TENSORFLOW_GRAPHDEF` is not supported by tqconv"),
        (["--dump_graphviz_video"], "--dump_graphviz_video needs --dump_graphviz_dir"),
        (["--inference_type=QUANTIZED_UINT8", "--inference_input_type=FLOAT"],
         "--inference_input_type FLOAT does not go with --inference_type UINT8"),
        (["--input_shapes", "1,x"], "--input_shapes: `x` in shape `1,x` is not a size"),
    ],
)  # fmt: skip
def test_contradictions(words: list[str], message: str) -> None:
    assert refusal(*words) == message


@pytest.mark.parametrize(
    ("words", "stats"),
    [
        (["--mean_values", "127.5"], ((127.5, 1.0),)),
        (["--std_dev_values", "255"], ((0.0, 255.0),)),
        (["--mean_value=128", "--std_value=127"], ((128.0, 127.0),)),
        (["--mean_values=0,128", "--std_values=255,127"], ((0.0, 255.0), (128.0, 127.0))),
    ],
)
def test_mean_and_std_have_the_defaults_of_toco(words: list[str], stats: Any) -> None:
    assert options("--inference_type=QUANTIZED_UINT8", *words).quantize.input_stats == stats


def test_flags_of_toco_that_a_float_model_does_not_read_are_named() -> None:
    words = ["--inference_type=FLOAT", "--mean_values=128", "--std_values=127"]
    _, notes = convert_options(read(words, CONVERT))
    assert notes == [
        "--mean_values has no effect on a float model",
        "--std_values has no effect on a float model",
    ]


def test_weight_quantization_overrides_the_inference_type_aloud() -> None:
    words = ["--inference_type=QUANTIZED_UINT8", "--post_training_quantize"]
    _, notes = convert_options(read(words, CONVERT))
    assert notes == [
        "--inference_type is overridden by weight quantization, as in TOCO: "
        "the model becomes dynamic"
    ]


def test_named_facts_about_inputs() -> None:
    found = options(
        *("--quantize", "int8", "--quantized_input_stats", "a:1:127.5,127.5"),
        *("--input_range=b:-1,1", "--input_shapes", "a=1,?;b=2"),
    )
    assert found.quantize.named_stats == {"a:1": (127.5, 127.5)}
    assert found.quantize.input_ranges == {"b": (-1.0, 1.0)}
    assert found.load.named_shapes == {"a": (1, None), "b": (2,)}


def test_types_of_inputs_and_outputs() -> None:
    found = options(
        *("--quantize=int8", "--inference_input_type=QUANTIZED_UINT8"),
        *("--inference_output_type=FLOAT", "--input_data_types=FLOAT,INT32"),
    )
    assert (found.quantize.input_type, found.quantize.output_type) == ("uint8", "float32")
    assert found.load.dtypes == ("float32", "int32")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-v", "3", "a.pb", "b.pb"], "one model at a time: `a.pb`, then `b.pb`"),
        (["a.pb", "b.pb"], "one model at a time: `a.pb`, then `b.pb`"),
        (["a.pb", "--input_file", "b"], "the model is given twice: `a.pb` and --input_file `b`"),
        (["--output_file", "x"], "no model is given"),
    ],
)
def test_there_is_one_model(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        source_of(read(words, CONVERT))
    assert caught.value.message == message


STRAY = [
    (["a.pb", "8"], "`8` is neither a file nor the value of a flag"),
    (
        ["a.pb", "--output_arrays", "y", "z", "w"],
        "`z w` behind `--output_arrays y` is neither a file nor the value of a flag",
    ),
    (
        ["--input_file=a.pb", "--input_shapes", "1", "8", "8", "1"],
        "`8 8 1` behind `--input_shapes 1` is neither a file nor the value of a flag",
    ),
]


@pytest.mark.parametrize(("words", "message"), STRAY)
def test_a_stray_word_is_explained(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        source_of(read(words, CONVERT))
    assert caught.value.message == message
    assert "quotes" in str(caught.value.hint)


@pytest.mark.parametrize("words", [["a.pb", "--input_shapes", "1,", "8,", "8,", "1"]])
@pytest.mark.parametrize("tail", [[], ["-o", "x.tflite"]])
def test_blanks_in_a_list_are_explained(words: list[str], tail: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read([*words, *tail], CONVERT)
    assert caught.value.message == "`--input_shapes 1, 8, 8, 1` has blanks in its value"
    assert str(caught.value.hint).startswith("write --input_shapes 1,8,8,1,")


def test_a_list_may_end_with_a_comma_before_the_model(tmp_path: Path) -> None:
    model = tmp_path / "m.pb"
    model.write_bytes(b"")
    given = read(["--output_arrays", "a,", str(model)], CONVERT)
    assert (given.get("load.outputs"), given.words) == (("a",), [str(model)])


DASHED = [
    ("\u2013\u2013output_file=x", "type --output_file=x"),
    ("\u2014output_file", "type --output_file"),
    ("-\u2013output_file", "type --output_file"),
    ("--output\u2013file", "type --output_file"),
    ("\u2212o", "type -o"),
]


@pytest.mark.parametrize(("word", "advice"), DASHED)
def test_a_dash_that_is_no_hyphen_is_explained(word: str, advice: str) -> None:
    with pytest.raises(UsageError, match=r"(which|that) is not the `-`") as caught:
        read(["a.pb", word, "x.tflite"], CONVERT)
    assert str(caught.value.hint).endswith(advice)


def test_different_model_flags_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="`--graph_def_file` and `--saved_model_dir`"):
        read(["--graph_def_file", "a", "--saved_model_dir", "b"], CONVERT)


def test_a_word_that_is_no_file_may_belong_to_a_flag() -> None:
    with pytest.raises(UsageError) as caught:
        source_of(read(["none.pb", "--verbosity", "high"], CONVERT))
    assert caught.value.message == (
        "`high` behind `--verbosity 1` is neither a file nor the value of a flag"
    )


def test_a_long_flag_with_one_dash_is_recognized() -> None:
    with pytest.raises(UsageError, match="did you mean `--output_file`"):
        read(["-output_file", "x"], CONVERT)
