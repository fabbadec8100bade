"""What runs a model: devices, delegates and older runtimes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Tqconv
from tests.cli.conftest import tqconv as tqconv
from tests.ethos_cases import integers
from tests.graph_text import parse
from tqconv.errors import UsageError
from tqconv.exporters.placement import place, remedies, sentences
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.ir.types import Quant
from tqconv.targets.device import judge
from tqconv.targets.devices import DEVICES, device

SAMPLE = Path(__file__).parents[1] / "sample_models" / "digits_cnn"


def conv(stride: int = 1, padding: str = "SAME") -> str:
    """Return a convolution as text."""
    strides = f"stride_h={stride}, stride_w={stride}"
    return (
        "x: f32[1,9,9,4] -> y\n"
        f"y = CONV_2D(x, f32[8,3,3,4], zeros[8]) {{padding={padding}, {strides}}}"
    )


TANH = "x: f32[1,8] -> y\ny = TANH(x)"
DOUBLE = "x: f32[1,8,8,4] -> y\ny = RESIZE_BILINEAR(x, [16,16])"
TRIPLE = "x: f32[1,8,8,4] -> y\ny = RESIZE_BILINEAR(x, [24,24])"
SIXTEEN = "x: f32[1,8,8,4] -> y\ny = RESIZE_BILINEAR(x, [128,128])"
CLASSES = "x: f32[1,300] -> y\ny = SOFTMAX(x)"
LEAKY = "x: f32[2,3] -> y\ny = LEAKY_RELU(x)"
GELU = "x: f32[2,3] -> y\ny = GELU(x)"
SINE = "x: f32[2,3] -> y\ny = SIN(x)"
POOL = (
    "x: f32[1,9,9,4] -> y\ny = AVERAGE_POOL_2D(x) "
    "{filter_height=9, filter_width=9, stride_h=1, stride_w=1, padding=SAME}"
)

TAKEN = [
    ("ethos-u55", "int8", conv()),
    ("ethos-u65", "int16", TANH),
    ("ethos-u55", "int8", conv(4, "VALID")),
    ("ethos-u85", "int8", conv(4)),
    ("ethos-u55", "int8", DOUBLE),
    ("ethos-u85", "int8", SIXTEEN),
    ("ethos-u55", "int8", CLASSES),
    ("edgetpu", "uint8", CLASSES),
    ("edgetpu", "int8", conv()),
    ("tflm", "float32", SINE),
    ("tflm", "int8", conv()),
    ("xnnpack", "int8", conv()),
    ("gpu", "float32", "x: f32[1,4,4,2] -> y\ny = RELU(x)"),
    ("gpu", "int8", conv()),
    ("gpu", "float32", "x: f32[2,3], z: f32[2,3] -> y\ny = DIV(x, z)"),
    ("gpu", "float32", SINE),
    ("gpu", "float32", "x: f32[1,4,4,2] -> y\ny = MEAN(x, [1,2]) {keep_dims=True}"),
    ("gpu", "float32", "x: f32[2,3], z: f32[2,3] -> y\nb = LESS(x, z)\ny = SELECT_V2(b, x, z)"),
    ("gpu", "float32", "x: f32[1,4,4,2], z: f32[4,4,2] -> y\ny = ADD(x, z)"),
    ("gpu", "float32", "x: f32[4,2], i: i32[3] -> y\ny = GATHER(x, i)"),
    ("tflite-2.3", "int16", TANH),
    ("tflite-2.9", "float32", GELU),
    ("litert-1.0", "float32", GELU),
]
REFUSED = [
    ("ethos-u55", "int8", conv(4), "stride 4"),
    ("ethos-u55", "float32", TANH, "float32 data"),
    ("ethos-u55", "int8", "x: f32[1,8,?,4] -> y\ny = RELU(x)", "not static"),
    ("ethos-u55", "int8", TRIPLE, "scales by 3 x 3"),
    ("ethos-u85", "int8", TRIPLE, "power of two"),
    ("ethos-u65", "int8", POOL, "9 x 9"),
    ("edgetpu", "int8", LEAKY, "has no LEAKY_RELU"),
    ("edgetpu", "int8", "x: f32[1,16001] -> y\ny = SOFTMAX(x)", "16001 classes"),
    ("edgetpu", "int8", "x: f32[2,3,4,5] -> y\ny = TANH(x)", "more than 3 dimensions above 1"),
    ("edgetpu", "int8", "x: f32[1,9] -> y\ny = STRIDED_SLICE(x, [0,0], [1,9], [1,2])", "strides"),
    ("edgetpu", "int8", "x: f32[2,9] -> y\ny = MEAN(x, [0])", "reduces the batch"),
    ("tflm", "float32", GELU, "has no GELU"),
    ("tflm", "uint8", TANH, "uint8 data"),
    ("tflm", "float32", "x: f32[?,3] -> y\ny = SIN(x)", "not static"),
    ("gpu", "float32", "x: f32[1,2,2,2,2] -> y\ny = RELU(x)", "5 dimensions"),
    ("gpu", "float32", "x: f32[2,3] -> y\ny = CEIL(x)", "has no CEIL"),
    ("gpu", "int16", TANH, "int16 data"),
    ("gpu", "float32", "x: i32[2,3] -> y\ny = RELU(x)", "int32 data"),
    ("gpu", "float32", "x: f32[2,3] -> y\ny = SOFTMAX(x) {beta=0.5}", "beta of 0.5"),
    ("gpu", "float32", "x: f32[2,4,4,2], z: f32[4,4,2] -> y\ny = ADD(x, z)", "spread over"),
    ("gpu", "float32", "x: f32[2,3] -> y\ny = PAD(x, [[1,0],[0,0]])", "2 dimensions"),
    (
        "gpu",
        "float32",
        "x: f32[1,2,3] -> y\ny = STRIDED_SLICE(x, [0,0,0], [1,1,3], [1,1,1]) {shrink_axis_mask=2}",
        "shrink_axis_mask",
    ),
    ("gpu", "float32", "x: f32[4,2], i: i32[3,1] -> y\ny = GATHER(x, i)", "a list of int32"),
    ("gpu", "float32", "x: f32[2,3] -> y\ny = CAST(x) {out_data_type=INT64}", "int64"),
    ("xnnpack", "int8", CLASSES, "on reals only"),
    ("tflite-2.2", "int16", TANH, "needs TensorFlow 2.3.0"),
    ("tflite-2.8", "float32", GELU, "needs TensorFlow 2.9.0"),
]


def model_of(text: str, kind: str) -> Model:
    """Return a graph with data of a type."""
    return Model([parse(text)]) if kind == "float32" else integers(text, kind)


@pytest.mark.parametrize(("name", "kind", "text"), TAKEN)
def test_what_a_device_takes(name: str, kind: str, text: str) -> None:
    verdict = judge(device(name), model_of(text, kind))
    assert [found.reason for found in verdict.refused] == []


@pytest.mark.parametrize(("name", "kind", "text", "reason"), REFUSED)
def test_what_a_device_refuses_and_why(name: str, kind: str, text: str, reason: str) -> None:
    (found,) = judge(device(name), model_of(text, kind)).refused
    assert reason in found.reason


def test_a_microcontroller_does_not_read_halves() -> None:
    model = Model([parse("x: f32[1,4] -> y\ny = RELU(x)")])
    model.main.ops[0].type = "DEQUANTIZE"
    model.main.inputs[0].dtype = np.dtype("float16")
    (found,) = judge(device("tflm"), model).refused
    assert (found.reason, found.remedy) == ("float16 data", "no --quantize float16")


@pytest.mark.parametrize("name", ["ethos-u55", "edgetpu"])
def test_what_mends_reals_depends_on_where_they_are(name: str) -> None:
    """Flags of inputs and outputs mend the borders, and nothing inside."""
    model = Model([parse("x: f32[1,4] -> y\na = RELU(x)\nb = RELU(a)\nc = TANH(b)\ny = RELU(c)")])
    for op, kind in zip(
        model.main.ops, ("QUANTIZE", "DEQUANTIZE", "TANH", "DEQUANTIZE"), strict=True
    ):
        op.type = kind
    model.main.ops[0].output.dtype = model.main.ops[2].output.dtype = np.dtype("int8")
    for tensor in (model.main.ops[0].output, model.main.ops[2].output):
        tensor.quant = Quant.per_tensor(0.5, 0)
    said = {f.op.outputs[0].name: f.remedy for f in judge(device(name), model).refused}
    borders = "--inference_input_type INT8 --inference_output_type INT8"
    inner = "--quantize int8 --integer_only"
    assert [said[n] for n in ("a", "b", "y")] == [borders, inner, borders]


def test_an_npu_needs_scales() -> None:
    model = integers(TANH)
    model.main.outputs[0].quant = None
    (found,) = judge(device("ethos-u55"), model).refused
    assert "has no scale" in found.reason


def test_integer_weights_beside_reals_do_not_run_on_microcontrollers() -> None:
    model = Model([parse("x: f32[1,4] -> y\ny = FULLY_CONNECTED(x, f32[3,4], _)")])
    weights = model.main.ops[0].inputs[1]
    assert weights is not None
    weights.dtype, weights.quant = np.dtype("int8"), Quant.per_tensor(0.5, 0)
    (found,) = judge(device("tflm"), model).refused
    assert "integer weights beside float data" in found.reason


def test_the_edge_tpu_compiler_stops_at_the_first_operator_that_it_lacks() -> None:
    model = integers("x: f32[1,8] -> z\na = TANH(x)\nb = LEAKY_RELU(a)\nz = TANH(b)")
    verdict = judge(device("edgetpu"), model)
    assert [(f.op.type, f.behind) for f in verdict.refused] == [
        ("LEAKY_RELU", False),
        ("TANH", True),
    ]
    assert verdict.starts


def test_a_float_input_does_not_stop_the_edge_tpu() -> None:
    model = integers("x: f32[1,8] -> y\na = RELU(x)\ny = TANH(a)")
    model.main.ops[0].type = "QUANTIZE"
    model.main.inputs[0].dtype, model.main.inputs[0].quant = np.dtype("float32"), None
    (found,) = judge(device("edgetpu"), model).refused
    assert found.op.type == "QUANTIZE"


def test_nothing_runs_what_microcontrollers_lack() -> None:
    verdict = judge(device("tflm"), Model([parse(GELU)]))
    assert not verdict.starts


OPEN = "x: f32[?,8] -> y\ny = TANH(x)"


@pytest.mark.parametrize(
    ("name", "runs", "said"),
    [
        ("edgetpu", False, "the compiler takes no size that is not known"),
        ("ethos-u55", True, "the compiler takes 1 for an open batch, and no other size that"),
        ("ethos-u85", True, "the compiler takes 1 for an open batch, and no other size that"),
        ("tflm", False, "memory is planned once, for sizes that are all known"),
        ("gpu", False, "the delegate takes no size that is not known"),
        ("xnnpack", False, "the builtin kernels run what has a size that is not known"),
        ("litert-2.0", True, "a size that is not known is 1 until the input is resized, then any"),
        ("tflite-2.9", True, "a size that is not known is 1 until the input is resized, then any"),
    ],
)
def test_what_an_open_batch_means(name: str, runs: bool, said: str) -> None:
    found = place(device(name), integers(OPEN))
    assert (found.runs, found.fixed_by) == (runs, "--input_shapes 1,8")
    assert found.about_sizes().startswith(f"input x [?, 8]: {said}")
    fixes = [word for word in remedies(found) if word.endswith("here --input_shapes 1,8")]
    assert bool(fixes) != runs
    closed = place(device(name), integers(OPEN.replace("?", "1")))
    assert (closed.about_sizes(), closed.fixed_by, closed.runs) == ("", "", True)


def test_sizes_that_only_the_user_knows_are_asked_for() -> None:
    found = place(device("edgetpu"), integers("x: f32[?,?,8] -> y\ny = TANH(x)"))
    assert (found.open_inputs, found.fixed_by) == (("x [?, ?, 8]",), "")
    (mended,) = remedies(found)
    assert mended.startswith("--input_shapes with a number for each dimension (or --dim, ")


def test_the_flag_for_an_open_batch_works(tqconv: Tqconv, tmp_path: Path) -> None:
    path, target = tmp_path / "m.tflite", tmp_path / "fixed.tflite"
    path.write_bytes(serialize(integers(OPEN)))
    shown = tqconv("inspect", path, "--target", "edgetpu").out
    assert "mended by: --input_shapes with a number for each dimension" in shown
    flag, shapes = shown.partition(", here ")[2].split()[:2]
    words = ["convert", path, "-o", target, "--target", "edgetpu"]
    assert tqconv(*words).code == 7
    assert tqconv(*words, flag, shapes).code == 0
    assert ": the operator runs on it" in tqconv("inspect", target, "--target", "edgetpu").out


@pytest.mark.parametrize("name", ["ethos-u5", "tflite-x", "litert-", "edge_tpu"])
def test_a_misspelt_target_names_those_that_exist(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        device(name)
    assert all(known in str(raised.value.hint) for known in DEVICES)


def test_reasons_that_differ_by_a_tensor_are_one_kind() -> None:
    lines = "\n".join(f"y{i} = TANH(x{i})" for i in range(5))
    inputs = ", ".join(f"x{i}: f32[1,?]" for i in range(5))
    model = Model([parse(f"{inputs} -> {', '.join(f'y{i}' for i in range(5))}\n{lines}")])
    (line,) = sentences(place(device("tflm"), model))
    assert line == "5 TANH (the shape of 'x0' is not static): 'y0', 'y1', 'y2' and 2 more"


def test_an_error_names_some_kinds_and_counts_the_others() -> None:
    kinds = ("TANH", "RELU", "RELU6", "ABS", "NEG")
    lines = "\n".join(f"y{i} = {kind}(x)" for i, kind in enumerate(kinds))
    outputs = ", ".join(f"y{i}" for i in range(len(kinds)))
    placed = place(device("tflm"), Model([parse(f"x: f32[1,?] -> {outputs}\n{lines}")]))
    assert len(sentences(placed)) == len(kinds)
    assert sentences(placed, 3)[3:] == ["2 kinds more, which inspect lists"]
