"""What kernels load, asked of LiteRT: versions of operators, element types of data."""

from __future__ import annotations

import faulthandler
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from op_example import Example
from test_table import EXAMPLES, STORED, graph_of, retype

from tqconv import api
from tqconv.config import LoadOptions
from tqconv.errors import FormatError, TqconvError, UnsupportedError
from tqconv.exporters import checks
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import STRING, Quant, dtype_of
from tqconv.ops.emit import emit, infer
from tqconv.ops.kernels import FIRST_VERSIONS, SETS_TYPE, check_version, versions
from tqconv.ops.operands import is_data, takes
from tqconv.ops.options import option_names
from tqconv.ops.table import spec
from tqconv.schema.flatbuf import enum_number, tflite, write

BUILTIN = [name for name in tflite().enums["BuiltinOperator"] if name != "CUSTOM"]
TYPES = [
    *(np.dtype(t) for t in ("float16", "float32", "float64", "complex64", "bool", "int8", "int16")),
    *(np.dtype(t) for t in ("int32", "int64", "uint8", "uint16", "uint32", "uint64")),
    STRING,
    dtype_of("INT4"),
]


def interpreter(content: bytes) -> Interpreter:
    """Return the builtin kernels, prepared for nothing yet."""
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=content, experimental_op_resolver_type=kernels)


def of_version(name: str, version: int) -> bytes:
    """Return a file with a builtin operator in a version, on tensors that it does not look at."""
    number = enum_number(tflite(), "BuiltinOperator", name)
    code = {"deprecated_builtin_code": min(number, 127), "builtin_code": number, "version": version}
    graph = {
        "tensors": [{"shape": [1], "name": "a"}, {"shape": [1], "name": "b"}],
        "inputs": [0],
        "outputs": [1],
        "operators": [{"inputs": [0], "outputs": [1]}],
    }
    content = {"version": 3, "operator_codes": [code], "subgraphs": [graph], "buffers": [{}]}
    return bytes(write(content))


def registered(name: str, version: int) -> bool:
    """Whether LiteRT finds a kernel."""
    try:
        interpreter(of_version(name, version))
    except (ValueError, RuntimeError) as error:
        return "find op" not in str(error)
    return True


@pytest.mark.parametrize("name", BUILTIN)
def test_versions_are_those_that_litert_registers(name: str) -> None:
    known = versions(name)
    around = range(max(known.start - 1, 1), max(known.stop, 1) + 3)
    assert [v for v in around if registered(name, v)] == list(known)
    assert not registered(name, 0)


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("ADD", 7, "version 7 of ADD, LiteRT knows versions 1 to 6"),
        ("BROADCAST_TO", 1, "version 1 of BROADCAST_TO, LiteRT knows versions 2 to 4"),
        ("CEIL", 0, "version 0 of CEIL, LiteRT knows version 1"),
        ("STABLEHLO_SORT", 1, "LiteRT has no kernel for STABLEHLO_SORT"),
    ],
)
def test_versions_without_a_kernel_are_refused(name: str, version: int, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        check_version(name, version)
    with pytest.raises(UnsupportedError, match=words):
        reader.parse(of_version(name, version), "n.tflite")


def test_what_no_kernel_loads_can_be_looked_at() -> None:
    """A file for another runtime, or of next year: it is shown, and not converted."""
    shown = reader.parse(of_version("FLOOR", 99), "n.tflite", shown=True)
    assert [op.version for op in shown.main.ops] == [99]


SCALED = Quant.per_tensor(1 / 64, 0)


def added(a: Quant | None, b: Quant, y: Quant, dtype: type, rank: int = 1) -> bytes:
    """Return a file that adds two tensors of integers."""
    graph = Graph("main")
    shapes = {"a": (2,) * rank, "b": tuple(1 + i % 2 for i in range(rank))}
    y_ = Tensor("y", shapes["a"], np.dtype(dtype), quant=y)
    xs = [graph.add_input(name, shape, np.dtype(dtype)) for name, shape in shapes.items()]
    xs[0].quant, xs[1].quant = a, b
    graph.add(Op("ADD", tuple(xs), (y_,), version=2))
    graph.outputs.append(y_)
    return bytes(serialize(Model([graph])))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (added(None, SCALED, SCALED, np.int8), "ADD computes with 'a', which has no scale"),
        (added(Quant.per_tensor(0, 0), SCALED, SCALED, np.int8), "'a', which has a scale of 0"),
        (added(Quant(np.ones(2), np.zeros(2, int)), SCALED, SCALED, np.int8), "has 2 scales"),
        (added(SCALED, Quant.per_tensor(np.nan, 0), SCALED, np.int8), "'b' has a scale of nan"),
        (added(SCALED, Quant.per_tensor(-1, 0), SCALED, np.int8), "'b' has a scale of -1.0"),
        (
            added(SCALED, Quant.per_tensor(1, 9), SCALED, np.int16),
            "'b' of int16 has a zero point of 9, not 0",
        ),
        (added(Quant.per_tensor(1e9, 0), SCALED, SCALED, np.int8), "in steps of 0.0156 ('y')"),
        (added(SCALED, SCALED, SCALED, np.int8, 9), "takes at most 8 dimensions, not 9"),
    ],
)
def test_scales_that_kernels_cannot_compute_with(content: bytes, words: str) -> None:
    assert not runs(content)
    with pytest.raises(FormatError, match=re.escape(words)):
        reader.parse(content, "n.tflite")
    tenth = Quant.per_tensor(0.1, 0)
    assert loaded(added(tenth, tenth, tenth, np.int16))


def test_a_zero_that_the_type_cannot_hold_is_damage() -> None:
    """No converter writes one, although some kernels compute with it."""
    with pytest.raises(FormatError, match="'b' has a zero point of 128, which int8 lacks"):
        reader.parse(added(SCALED, Quant.per_tensor(1, 128), SCALED, np.int8), "n.tflite")


def retyped(example: Example, dtype: np.dtype) -> Graph:
    """Return the example with data of another type; ValueError where its rule asks for another."""
    graph = graph_of(example)
    op = graph.ops[-1]
    data = [t for i, t in enumerate(op.inputs) if t is not None and is_data(spec(op.type), i)]
    for tensor in data:
        tensor.dtype = dtype
        if tensor.data is not None:
            words = np.full(tensor.data.shape, b"1", object)
            tensor.data = words if dtype == STRING else np.ones(tensor.data.shape).astype(dtype)
    for tensor, (_, made) in zip(op.outputs, infer(op), strict=True):
        tensor.dtype = made
    return graph


def runs(content: bytes) -> bool:
    """Whether LiteRT runs a model with ones, in a process that it may end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            faulthandler.disable()  # that it ends is an answer
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            runner = interpreter(content)
            runner.allocate_tensors()
            for detail in runner.get_input_details():
                string = detail["dtype"] in (np.bytes_, np.object_)
                ones = np.full(detail["shape"], b"1") if string else np.ones(detail["shape"])
                runner.set_tensor(detail["index"], ones.astype(detail["dtype"]))
            runner.invoke()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


UNCHECKED = defaultdict(set, FAKE_QUANT={t.name for t in TYPES})
"""Types that a kernel takes for float32: it writes beside its memory, and may end or not."""


def loaded(content: bytes) -> bool:
    """Whether the reader takes a file."""
    try:
        reader.parse(content, "n.tflite")
    except TqconvError:
        return False
    return True


def first_examples() -> Iterator[Example]:
    """Yield an example of each operator that reads data."""
    seen: set[str] = set()
    for example in EXAMPLES:
        if example.type not in seen and graph_of(example).ops:
            seen.add(example.type)
            yield example


@pytest.mark.parametrize("example", list(first_examples()), ids=str)
def test_data_is_of_the_types_that_litert_runs(example: Example) -> None:
    """Integers without a scale that a kernel takes for reals are refused: they mean nothing."""
    rule = spec(example.type).quant
    reals = set() if rule is None else {name.lower() for name in rule.types}
    for dtype in TYPES:
        try:
            content = bytes(serialize(Model([retyped(example, dtype)])))
        except (TqconvError, ValueError):
            continue
        took, ran = loaded(content), runs(content)
        assert took == ran or (ran and dtype.name in reals | UNCHECKED[example.type]), dtype


@pytest.mark.parametrize("example", list(first_examples()), ids=str)
def test_results_get_the_type_that_the_operator_makes(example: Example) -> None:
    """Where the kernel sets it, else the file is refused: what LiteRT makes of another is noise."""
    graph = graph_of(example)
    op = graph.ops[-1]
    if op.type in ("CAST", "MULTINOMIAL"):  # the result's type says what is wanted
        return
    (_, made), stated = infer(op)[0], np.dtype(np.int64)
    op.outputs[0].dtype = stated if made != stated else np.dtype(np.float64)
    content = bytes(serialize(Model([graph])))
    if op.type not in SETS_TYPE.split():
        assert not loaded(content)
        return
    assert reader.parse(content, "n.tflite").main.ops[-1].outputs[0].dtype == made
    runner = interpreter(content)
    runner.allocate_tensors()
    assert runner.get_output_details()[0]["dtype"] == made


def scaled(example: Example, kind: str) -> Graph:
    """Return the example with integers of the type `kind`, in steps that its kernel computes."""
    graph = graph_of(example)
    op, rule = graph.ops[-1], spec(example.type).quant
    assert rule is not None
    retype(op, rule, STORED[kind], per_channel=bool(rule.weight) and kind != "UINT8")
    step, names = (1 / 4096 if kind == "INT16" else 1 / 64), spec(example.type).operands
    for index, tensor in enumerate(op.inputs):
        if tensor is not None and tensor.quant is not None:
            name = names.name(index)
            weighs = name in rule.weight
            size = 1 / 64 if weighs else step / 64 if name in rule.bias else step
            tensor.quant = replace(tensor.quant, scale=np.full(tensor.quant.scale.size, size))
    for tensor in op.outputs:
        if tensor.quant is not None:
            tensor.quant = Quant.per_tensor(*rule.fixed.get(kind, (step, 0)))
    if "pot_scale_int16" in option_names(op.type):
        op.options["pot_scale_int16"] = False
    op.version = FIRST_VERSIONS.get(op.type, 1)
    return graph


SCALED_EXAMPLES = [
    (e, kind) for e in first_examples() for kind in sorted(getattr(spec(e.type).quant, "types", ()))
]


def twice(quant: Quant) -> Quant:
    return replace(quant, scale=quant.scale * 2)


def shifted(quant: Quant) -> Quant:
    return replace(quant, zero_point=quant.zero_point + 1)


@pytest.mark.parametrize("change", [twice, shifted])
@pytest.mark.parametrize(("example", "kind"), SCALED_EXAMPLES, ids=str)
def test_results_in_other_steps(
    example: Example, kind: str, change: Callable[[Quant], Quant]
) -> None:
    """LOGISTIC alone looks at the scale that it builds in, and not at the zero point; some kernels
    of int16 look at no zero point, which is 0 by specification."""
    graph = scaled(example, kind)
    made = graph.ops[-1].outputs[0]
    if made.quant is None or not runs(bytes(serialize(Model([graph])))):
        return
    assert loaded(bytes(serialize(Model([graph]))))
    made.quant = change(made.quant)
    content = bytes(serialize(Model([graph])))
    refused = change is shifted and (kind == "INT16" or example.type == "LOGISTIC")
    assert loaded(content) == (runs(content) and not refused)


FLOORED = [
    (e, kind)
    for e, kind in SCALED_EXAMPLES
    if (rule := spec(e.type).quant) is not None and rule.floor is not None
]


@pytest.mark.parametrize("operand", [1.0, 9e18, 9.3e18, 1.6e38, 1.8e38])
@pytest.mark.parametrize("made", [1.0, 3.2e32, 3.3e32, 1.03e34, 1.05e34, 2.1e34, 1e36, 3e38])
@pytest.mark.parametrize(("example", "kind"), FLOORED, ids=str)
def test_steps_near_the_largest_number(
    example: Example, kind: str, operand: float, made: float
) -> None:
    """Factors that are infinite in float32 end the process."""
    graph = scaled(example, kind)
    op = graph.ops[-1]
    for tensor, step in ((op.input(0), operand), (op.output, made)):
        assert tensor.quant is not None
        tensor.quant = replace(tensor.quant, scale=np.full(tensor.quant.scale.size, step))
    content = bytes(serialize(Model([graph])))
    if example.type == "SUB" and operand >= 2**18 * made:
        return  # the kernel runs, in steps that are too fine for it
    assert loaded(content) == runs(content)


@pytest.mark.parametrize("shape", [(2, 3), (3,), (1,)], ids=str)
@pytest.mark.parametrize("steps", [(10, 11, 10), (10, 10, 10), (10, 10, 9), (9, 10, 10)], ids=str)
@pytest.mark.parametrize("near", [1.0, 1.0005, 1.01])
@pytest.mark.parametrize("type", ["ADD", "SUB"])
def test_int16_in_steps_that_are_powers_of_two(
    type: str, near: float, steps: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    graph, int16 = Graph("main"), np.dtype(np.int16)
    quants = [Quant.per_tensor(near * 2.0**-step, 0) for step in steps]
    a, b = (graph.add_input(n, s, int16) for n, s in (("a", (2, 3)), ("b", shape)))
    y = Tensor("y", (2, 3), int16)
    a.quant, b.quant, y.quant = quants
    graph.add(Op(type, (a, b), (y,), version=FIRST_VERSIONS.get(type, 1)))
    graph.outputs.append(y)
    content = bytes(serialize(Model([graph])))
    assert loaded(content) == runs(content)


DENSE = next(e for e in EXAMPLES if e.type == "FULLY_CONNECTED" and e.operands[2] is not None)
CONV = next(e for e in EXAMPLES if e.type == "CONV_2D" and len(e.operands) > 2)


@pytest.mark.parametrize(
    ("example", "kind", "operand", "quant", "words"),
    [
        (DENSE, "UINT8", 2, Quant.per_tensor(1, 0), "the scale of 'y/b' is 1, its products have"),
        (DENSE, "INT8", 1, None, "computes with 'y/w', which has no scale"),
        (CONV, "UINT8", 2, Quant.per_tensor(1, 0), "the scale of 'y/b' is 1, its products have"),
        (CONV, "INT8", 1, None, "computes with 'y/w', which has no scale"),
        (CONV, "INT8", 2, Quant.per_tensor(1 / 4096, 3), "a bias has zero points of 0"),
    ],
    ids=str,
)
def test_scales_of_sums(
    example: Example, kind: str, operand: int, quant: Quant | None, words: str
) -> None:
    graph = scaled(example, kind)
    assert loaded(bytes(serialize(Model([graph]))))
    graph.ops[-1].input(operand).quant = quant
    content = bytes(serialize(Model([graph])))
    assert not runs(content)
    with pytest.raises(FormatError, match=words):
        reader.parse(content, "n.tflite")


@pytest.mark.parametrize("kind", ["FLOAT32", "INT8", "INT16", "UINT8"])
@pytest.mark.parametrize("other", ["float32", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("example", [DENSE, CONV], ids=str)
def test_types_of_sums(example: Example, kind: str, other: str) -> None:
    graph = graph_of(example) if kind == "FLOAT32" else scaled(example, kind)
    bias = graph.ops[-1].input(2)
    assert bias.data is not None
    bias.dtype = np.dtype(other)
    bias.data = bias.data.astype(other)
    bias.quant = bias.quant if bias.dtype.kind == "i" else None
    content = bytes(serialize(Model([graph])))
    assert loaded(content) == runs(content)


POINTED = [
    (e, i)
    for e in first_examples()
    for i, array in enumerate(e.operands)
    if array is not None and takes(spec(e.type), spec(e.type).operands.name(i)).ranks is not None
]


@pytest.mark.parametrize(("example", "index"), POINTED, ids=str)
def test_ranks_of_what_points(example: Example, index: int) -> None:
    graph = graph_of(example)
    tensor = graph.ops[-1].input(index)
    tensor.shape = (1, 1, *tensor.shape)
    if tensor.data is not None:
        tensor.data = tensor.data.reshape([d or 1 for d in tensor.shape])
    content = bytes(serialize(Model([graph])))
    assert loaded(content) == runs(content)


def test_reversing_along_no_axis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT's process ends with a signal."""
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(np.float32))
    graph.outputs.append(emit(graph, "REVERSE_V2", x, np.zeros(0, np.int32), name="y"))
    with pytest.raises(UnsupportedError, match="REVERSE_V2 reverses along no axis"):
        serialize(Model([graph]))
    monkeypatch.setattr(checks, "_stops", lambda op: None)
    assert not runs(bytes(serialize(Model([graph]))))


ACTING = [e for e in first_examples() if "fused_activation_function" in option_names(e.type)]
SLIDING = [e for e in first_examples() if "stride_h" in option_names(e.type)]


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6", "RELU_N1_TO_1", "TANH"])
@pytest.mark.parametrize("example", ACTING, ids=str)
def test_activations_that_kernels_take(example: Example, activation: str) -> None:
    graph = graph_of(example)
    graph.ops[-1].options["fused_activation_function"] = activation
    content = bytes(serialize(Model([graph])))
    assert loaded(content) == runs(content)


@pytest.mark.parametrize("size", [3, 2**14, 2**17])
@pytest.mark.parametrize("option", ["stride_h", "dilation_h_factor", "filter_width"])
@pytest.mark.parametrize("example", SLIDING, ids=str)
def test_windows_that_kernels_take(example: Example, option: str, size: int) -> None:
    """Strides are held to what kernels of two dimensions take: those of three slide no farther."""
    if option not in option_names(example.type):
        return
    graph = graph_of(example)
    graph.ops[-1].options[option] = size
    content = bytes(serialize(Model([graph])))
    far = option == "stride_h" and size > 2**15 and example.type.startswith("CONV_3D")
    assert loaded(content) == (runs(content) and not far)


@pytest.mark.parametrize("kind", ["FLOAT32", "INT8"])
@pytest.mark.parametrize("example", [DENSE, CONV], ids=str)
def test_a_bias_of_several_dimensions_is_flattened(example: Example, kind: str) -> None:
    """LiteRT counts its elements."""
    graph = graph_of(example) if kind == "FLOAT32" else scaled(example, kind)
    bias = graph.ops[-1].input(2)
    assert bias.data is not None
    bias.data = bias.data.reshape(1, 1, 1, -1)
    bias.shape = bias.data.shape
    content = bytes(serialize(Model([graph])))
    assert runs(content)
    model = reader.parse(content, "n.tflite")
    assert model.main.ops[-1].input(2).rank == 1
    assert runs(bytes(serialize(model)))


def test_recurrent_layers_of_integers_go_on() -> None:
    """Nothing here makes them: weights of int8, states of int8 and int16, biases of int32."""
    example = next(e for e in EXAMPLES if str(e) == "UNIDIRECTIONAL_SEQUENCE_LSTM-projected")
    graph = graph_of(example)
    op = graph.ops[-1]
    wide = dict.fromkeys(("w_ci", "w_cf", "w_co", "c"), (np.int16, 1 / 2048))
    for index, tensor in enumerate(op.inputs):
        name = spec(op.type).operands.name(index)
        if tensor is not None:
            narrow = (np.int32, 1 / 4096) if name.startswith("b_") else (np.int8, 1 / 64)
            integer, step = wide.get(name, narrow)
            tensor.dtype, tensor.quant = np.dtype(integer), Quant.per_tensor(step, 0)
            if tensor.data is not None:
                tensor.data = np.round(np.clip(tensor.data, -1, 1) / step / 2).astype(integer)
    op.outputs[0].dtype, op.outputs[0].quant = np.dtype(np.int8), Quant.per_tensor(1 / 64, 0)
    kinds = [np.int16] * 4 + [np.int8]
    op.intermediates = tuple(
        Tensor(f"i{k}", (0,), np.dtype(kind), quant=Quant.per_tensor(1 / 1024, 0))
        for k, kind in enumerate(kinds)
    )
    op.version = 2
    content = bytes(serialize(Model([graph])))
    assert runs(content)
    assert runs(bytes(serialize(reader.parse(content, "n.tflite"))))


def test_scales_of_channels_go_through_a_slice_of_everything(tmp_path: Path) -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(np.int8))
    x.quant = Quant(np.array([0.5, 0.25]), np.zeros(2, np.int64))
    y = Tensor("y", (2, 3), np.dtype(np.int8), quant=replace(x.quant))
    constants = [graph.constant(n, np.array(v, np.int32)) for n, v in zip("bes", ENDS, strict=True)]
    graph.add(Op("STRIDED_SLICE", (x, *constants), (y,), version=2))
    graph.outputs.append(y)
    source, target = tmp_path / "a.tflite", tmp_path / "b.tflite"
    source.write_bytes(serialize(Model([graph])))
    api.convert(source, target)
    made = reader.load(target, LoadOptions()).main.outputs[0].quant
    assert made is not None
    assert made.scale.tolist() == [0.5, 0.25]


ENDS = ([0, 0], [2, 3], [1, 1])


def test_clamps_fit_into_the_steps_of_a_result() -> None:
    example = next(e for e in EXAMPLES if str(e) == "MUL-relu6")
    graph = scaled(example, "INT8")
    assert loaded(bytes(serialize(Model([graph]))))
    graph.ops[-1].outputs[0].quant = Quant.per_tensor(1e-9, 0)
    content = bytes(serialize(Model([graph])))
    assert not runs(content)
    with pytest.raises(FormatError, match="MUL cannot clamp in steps of 1e-09"):
        reader.parse(content, "n.tflite")


def test_parts_are_counted_by_their_option() -> None:
    graph = graph_of(next(e for e in EXAMPLES if e.type == "SPLIT_V"))
    assert loaded(bytes(serialize(Model([graph]))))
    graph.ops[-1].options["num_splits"] = 0
    content = bytes(serialize(Model([graph])))
    assert not loaded(content)
    assert not runs(content)
