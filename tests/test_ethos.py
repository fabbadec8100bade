"""What Arm's NPUs run: our rules, and beside them the compiler Vela where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tqconv as package
from tests.cli.conftest import Tqconv
from tests.cli.conftest import tqconv as tqconv
from tests.ethos_cases import drawn, integers
from tests.graph_text import parse
from tests.test_targets import REFUSED, TAKEN, model_of
from tqconv.exporters.placement import place
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.ir.types import Quant
from tqconv.targets.device import judge
from tqconv.targets.devices import device

SAMPLES = Path(__file__).parents[1] / "sample_models"
CONFIGS = {"ethos-u55": "128", "ethos-u65": "256", "ethos-u85": "256"}
BOTH = ("ethos-u55", "ethos-u85")
compiled = pytest.mark.skipif(shutil.which("vela") is None, reason="Vela is not installed")
on_each = pytest.mark.parametrize("name", CONFIGS)


def pool(name: str, size: int, window: int, stride: int, padding: str = "SAME") -> str:
    """Return a square pool as text."""
    options = f"filter_height={window}, filter_width={window}, padding={padding}"
    options += f", stride_h={stride}, stride_w={stride}"
    return f"x: f32[1,{size},{size},2] -> y\ny = {name}(x) {{{options}}}"


def gather(axis: int) -> str:
    """Return a gather as text."""
    return f"x: f32[4,3] -> y\ny = GATHER(x, [0,1]) {{axis={axis}}}"


def turned(sizes: str, order: str, kind: str = "f32") -> str:
    """Return a transpose as text."""
    return f"x: {kind}[{sizes}] -> y\ny = TRANSPOSE(x, [{order}])"


def sliced(steps: str) -> str:
    """Return a slice with steps as text."""
    return f"x: f32[4,4,4,4] -> y\ny = STRIDED_SLICE(x, [0,0,0,0], [4,4,4,4], [{steps}])"


def mean(sizes: str, axes: str) -> str:
    """Return a mean as text."""
    return f"x: f32[{sizes}] -> y\ny = MEAN(x, [{axes}])"


def paired(step: int = 1, between: str = "") -> str:
    """Return a dilated convolution as older converters write it."""
    steps = f"padding=SAME, stride_h={step}, stride_w={step}"
    return (
        "x: f32[1,8,8,4] -> y\na = SPACE_TO_BATCH_ND(x, [2,2], [[0,0],[0,0]])\n"
        f"c = CONV_2D(a, f32[4,3,3,4], zeros[4]) {{{steps}}}\n"
        + (f"d = {between}\n" if between else "")
        + f"y = BATCH_TO_SPACE_ND({'d' if between else 'c'}, [2,2], [[0,0],[0,0]])"
    )


RUN = {
    "a stride that lands on one place": ("ethos-u55", pool("MAX_POOL_2D", 4, 4, 4)),
    "SAME that pads nothing": ("ethos-u55", pool("MAX_POOL_2D", 8, 4, 4)),
    "a large average without padding": ("ethos-u55", pool("AVERAGE_POOL_2D", 9, 9, 9)),
    "a mean of 4096": ("ethos-u55", mean("1,4096", "1")),
    "a softmax of 65536 places": ("ethos-u55", "x: f32[1,256,256,2] -> y\ny = SOFTMAX(x)"),
    "a slice that steps over rows": (*BOTH[1:], sliced("1,2,2,1")),
    "32 bits of no scale": (*BOTH[1:], "x: i32[2,3] -> y\ny = CONCATENATION(x, x) {axis=0}"),
    "comparisons of bool": (*BOTH[1:], "x: f32[2,3], z: f32[2,3] -> y\ny = LESS(x, z)"),
    "a gather from behind": (*BOTH[1:], gather(-2)),
    "a reverse": (*BOTH[1:], "x: f32[2,3] -> y\ny = REVERSE_V2(x, [1])"),
    "an order of an image": ("ethos-u55", turned("1,1,300,300,3", "0,1,4,3,2")),
    "rows and columns of 32 bits": ("ethos-u55", turned("2,3,4", "1,0,2", "i32")),
    "a dilation spelt out": ("ethos-u55", paired()),
    "a sum of 32 bits": ("ethos-u55", "x: i32[2,3] -> y\ny = ADD(x, x)"),
}
LEFT = {
    "a stride beyond the edge": ("ethos-u55", pool("MAX_POOL_2D", 9, 4, 4), "stride 4"),
    "a slice that steps over channels": (*BOTH[1:], sliced("1,1,1,2"), "the batch or channels"),
    "a slice that steps over the batch": (*BOTH[1:], sliced("2,1,1,1"), "the batch or channels"),
    "a mean of 4097": ("ethos-u55", mean("1,4097", "1"), "too many"),
    "a mean of a batch in 5 dimensions": (
        "ethos-u55",
        mean("1,2,3,3,4", "2"),
        "its batch is not 1",
    ),
    "32 bits of no scale": (
        "ethos-u55",
        "x: i32[2,3] -> y\ny = PACK(x, x) {axis=0, values_count=2}",
        "int32 data",
    ),
    "a fused activation of 32 bits": (
        "ethos-u55",
        "x: i32[2,3] -> y\ny = ADD(x, x) {fused_activation_function=RELU}",
        "RELU of int32 data",
    ),
    "a reverse": ("ethos-u55", "x: f32[2,3] -> y\ny = REVERSE_V2(x, [1])", "it reverses an axis"),
    "an order of many": ("ethos-u55", turned("1,224,224,3,3", "0,1,3,2,4"), "65,536 elements"),
    "an order of 32 bits": (
        "ethos-u55",
        turned("2,3,4", "2,1,0", "i32"),
        "an order that it has not",
    ),
    "a gather along no batch": (*BOTH[1:], gather(1), "its axis"),
    "a size kept by half pixels": (
        "ethos-u55",
        "x: f32[1,4,4,2] -> y\ny = RESIZE_BILINEAR(x, [4,4]) {half_pixel_centers=True}",
        "keeps the size",
    ),
    "a value of padding that is computed": (
        *BOTH[1:],
        "x: f32[2,3], v: f32[] -> y\ny = PADV2(x, [[1,0],[0,0]], v)",
        "",
    ),
    "an index twice": (
        *BOTH[1:],
        "x: f32[2,3] -> y\ny = SCATTER_ND([[1],[1]], x, [4,3])",
        "an index stands twice",
    ),
}


@pytest.mark.parametrize(("name", "text"), RUN.values(), ids=list(RUN))
def test_what_an_npu_runs(name: str, text: str) -> None:
    assert [found.reason for found in judge(device(name), integers(text)).refused] == []


@pytest.mark.parametrize(("name", "text", "reason"), LEFT.values(), ids=list(LEFT))
def test_what_an_npu_leaves_to_the_cpu(name: str, text: str, reason: str) -> None:
    (found,) = judge(device(name), integers(text)).refused
    assert reason in found.reason


def test_a_pair_that_is_no_dilation_runs_on_the_cpu() -> None:
    for text in (paired(step=4), paired(between="RELU(c)")):
        found = judge(device("ethos-u55"), integers(text)).refused
        assert [f.op.type for f in found] == ["SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"]


def test_weights_have_zero_points_of_their_own() -> None:
    model = integers("x: f32[1,8] -> y\ny = FULLY_CONNECTED(x, f32[2,8], zeros[2])")
    weights = model.main.ops[0].input(1)
    weights.quant = Quant(np.array([0.5, 0.5]), np.array([0, 2**21]), 0)
    (found,) = judge(device("ethos-u55"), model).refused
    assert "sum up to too much" in found.reason
    assert judge(device("ethos-u85"), model).refused  # 8-bit data have the same limit there


def test_only_a_wide_bias_is_too_large() -> None:
    model = integers("x: f32[1,8] -> y\ny = FULLY_CONNECTED(x, f32[2,8], zeros[2])", "int16")
    bias = model.main.ops[0].input(2)
    for value, bits in ((2**40 - 1, ""), (2**40, "40"), (-(2**41), ""), (2**48, "40")):
        bias.data = np.array([0, value], np.int64)
        said = [found.reason for found in judge(device("ethos-u55"), model).refused]
        assert said == ([f"its bias needs more than {bits} bits"] if bits else [])
    assert "48 bits" in judge(device("ethos-u85"), model).refused[0].reason


ENDS = {
    "reals": (
        *BOTH[:1],
        "x: f32[1,8] -> y\na = HARD_SWISH(x)\ny = RELU(a)",
        "it reads those of 8 bits",
    ),
    "a scalar": (*BOTH[:1], "x: f32[1] -> y\ny = RESHAPE(x, s)", "has no elements"),
    "an input of bool": (
        *BOTH[:1],
        "x: bool[1,8] -> y\ny = CAST(x) {out_data_type=INT32}",
        "an input of bool",
    ),
    "an output of bool": (*BOTH[:1], "x: f32[1,8] -> y\ny = LESS(x, x)", "an output of bool"),
    "64 bits": (*BOTH[1:], "x: i64[1,8] -> y\ny = ADD(x, x)", "int64 data"),
    "squares of 32 bits": (
        *BOTH[1:],
        "x: i32[1,8] -> y\ny = SQUARED_DIFFERENCE(x, x)",
        "int32 data",
    ),
    "numbers": (
        *BOTH[:1],
        "x: i32[1,8] -> y\ny = ARG_MAX(x, 1) {output_type=INT32}",
        "int32 data, it reads",
    ),
}


def ending(text: str) -> Model:
    """Return a model at which the compiler ends."""
    empty = text.endswith("s)")
    graph = parse(text.replace(", s)", ", [1])") if empty else text)
    if empty:
        shape = graph.ops[0].input(1)
        shape.data, shape.shape, graph.outputs[0].shape = np.zeros(0, np.int32), (0,), ()
    return Model([graph])


def test_64_bits_are_moved() -> None:
    model = Model([parse("x: i64[2,8] -> y\na = SLICE(x, [0,0], [1,8])\ny = RESHAPE(a, [8])")])
    assert judge(device("ethos-u85"), model).starts


def test_bool_inside_of_a_model_does_not_end_the_compiler() -> None:
    text = "x: f32[2,8] -> y\nb = LESS(x, x)\ny = SELECT_V2(b, x, x)"
    verdict = judge(device("ethos-u55"), Model([parse(text)]))
    assert (verdict.starts, len(verdict.refused)) == (True, 2)


@pytest.mark.parametrize(("name", "text", "reason"), ENDS.values(), ids=list(ENDS))
def test_where_the_compiler_ends_nothing_runs(name: str, text: str, reason: str) -> None:
    verdict = judge(device(name), ending(text))
    assert [reason in found.reason for found in verdict.refused if found.ends] == [True]
    assert not verdict.starts
    said = place(device(name), ending(text)).heading()
    assert said.startswith("its compiler ends with an error at 1 of ")


@compiled
@pytest.mark.parametrize(("name", "text", "reason"), ENDS.values(), ids=list(ENDS))
def test_the_compiler_ends_there(tmp_path: Path, name: str, text: str, reason: str) -> None:
    del reason
    target = tmp_path / "m.tflite"
    target.write_bytes(bytes(serialize(ending(text))))
    said, written = run(target, name)
    assert not written, said


def test_inspect_says_where_the_compiler_ends(tqconv: Tqconv, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(serialize(ending(ENDS["reals"][1]))))
    shown = tqconv("inspect", path, "--target", "ethos-u85").out
    assert "its compiler ends with an error at 1 of 2 operators, and writes nothing" in shown
    lines = shown.splitlines()
    assert "HARD_SWISH" in lines[1 + next(i for i, line in enumerate(lines) if "target" in line)]


def run(path: Path, name: str) -> tuple[str, bool]:
    """Return what the compiler says of a file, and whether it wrote another."""
    words = ["vela", str(path), "--accelerator-config", f"{name}-{CONFIGS[name]}"]
    words += ["--output-dir", str(path.parent)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr, ran.returncode == 0


def agrees(path: Path, name: str, *, places: bool = False) -> None:
    """Compare our verdict with what the compiler leaves to the CPU, operator by operator.

    It reads a fused activation as an operator of its own, behind one whose result is `…_act`.
    Of what it `places` it does not get to write all: odd sizes pass its checks and end it later.
    """
    said, written = run(path, name)
    verdict = judge(device(name), package.load(path))
    assert places or written == verdict.starts, said.splitlines()[-1]
    known = {t.name for op in package.load(path).main.ops for t in op.outputs}
    names = re.findall(r"Warning \([^)]*\) operator: \w+, ofm: '(.*?)'\n", said)
    theirs = {name if name in known else name.removesuffix("_act") for name in names}
    ours = {f.op.outputs[0].name: f"{f.op} ({f.reason})" for f in verdict.refused if not f.ends}
    assert {n: ours[n] for n in ours.keys() - theirs} == {}
    assert not verdict.starts or theirs - ours.keys() == set()


@compiled
@on_each
@pytest.mark.parametrize("mode", [None, "int8", "int16x8"])
def test_verdicts_are_those_of_the_compiler(tmp_path: Path, name: str, mode: str | None) -> None:
    target = tmp_path / "m.tflite"
    samples = np.load(SAMPLES / "digits_cnn" / "calibration.npz")
    quantized = {} if mode is None else {"quantize": mode, "samples": samples}
    package.convert(SAMPLES / "digits_cnn" / "graph.pb", target, **quantized)
    agrees(target, name)


NAMELESS = "a size kept by half pixels"
"""The compiler refuses it without naming it."""
ROWS = [row[:3] for row in (*TAKEN, *REFUSED) if "ethos" in row[0]]
ROWS += [(name, "int8", text) for name, text in RUN.values()]
ROWS += [(row[0], "int8", row[1]) for word, row in LEFT.items() if word != NAMELESS]
ROWS += [("ethos-u55", "int8", paired(step=4)), ("ethos-u55", "int8", paired(between="RELU(c)"))]


@compiled
@pytest.mark.parametrize(("name", "kind", "text"), ROWS)
def test_rules_are_those_of_the_compiler(tmp_path: Path, name: str, kind: str, text: str) -> None:
    target = tmp_path / "m.tflite"
    target.write_bytes(bytes(serialize(model_of(text, kind))))
    agrees(target, name)


@compiled
@on_each
@pytest.mark.parametrize("kind", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("seed", [1, 2])
def test_random_operators_run_where_the_compiler_places_them(
    tmp_path: Path, name: str, kind: str, seed: int
) -> None:
    target = tmp_path / "m.tflite"
    target.write_bytes(bytes(serialize(integers(drawn(seed, kind, 12), kind))))
    agrees(target, name, places=True)


@compiled
@pytest.mark.parametrize("name", BOTH)
def test_an_npu_runs_a_recurrent_network_whole(tmp_path: Path, name: str) -> None:
    target, folder = tmp_path / "m.tflite", SAMPLES / "digits_rows"
    package.convert(
        folder / "saved_model",
        target,
        quantize="int8",
        integer_only=True,
        shapes=((1, 8, 8, 1),),
        samples=dict(np.load(folder / "calibration.npz")),
    )
    assert judge(device(name), package.load(target)).refused == ()
    agrees(target, name)
