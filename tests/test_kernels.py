"""What kernels load, asked of LiteRT: versions of operators, element types of data."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from kernel_runs import CONV, DENSE, first_examples, interpreter, loaded, runs, scaled
from op_example import Example
from test_table import EXAMPLES, graph_of

from tqconv.errors import TqconvError, UnsupportedError
from tqconv.exporters import checks
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite import reader
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import STRING, Quant, dtype_of
from tqconv.ops.emit import emit, infer
from tqconv.ops.kernels import SETS_TYPE, check_version, versions
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


UNCHECKED = defaultdict(set, FAKE_QUANT={t.name for t in TYPES})
"""Types that a kernel takes for float32: it writes beside its memory, and may end or not."""


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
def test_windows_that_kernels_take(
    example: Example, option: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strides are held to what kernels of two dimensions take: those of three slide no farther."""
    if option not in option_names(example.type):
        return
    monkeypatch.setattr(checks, "_stops", lambda op: None)
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


def test_parts_are_counted_by_their_option() -> None:
    graph = graph_of(next(e for e in EXAMPLES if e.type == "SPLIT_V"))
    assert loaded(bytes(serialize(Model([graph]))))
    graph.ops[-1].options["num_splits"] = 0
    content = bytes(serialize(Model([graph])))
    assert not loaded(content)
    assert not runs(content)
