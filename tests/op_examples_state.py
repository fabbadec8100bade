"""Examples of operators with state, chance or bodies, or with a declared output type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from op_example import example

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import RESOURCE, Quant
from tqconv.ops.emit import emit, finish
from tqconv.ops.spec import Typed
from tqconv.ops.table import spec

Array = NDArray[Any]
Case = tuple[list[Graph], list[Array], list[Array]]
"""The main graph, its inputs, and the outputs that numpy expects."""

RNG = np.random.default_rng(13)
FLOAT32 = np.dtype(np.float32)
INT32 = np.dtype(np.int32)


def real(*shape: int) -> Array:
    """Return normally distributed float32 numbers."""
    return np.asarray(RNG.normal(0, 1, shape), np.float32)


def zeros(*shape: int) -> Array:
    """Return a state of float32 zeros."""
    return np.zeros(shape, np.float32)


N, T, I, CELLS, OUT = 2, 5, 3, 6, 4  # noqa: E741  (batch, time, input, cells, output)


def gates(*shape: int) -> list[Array]:
    """Return the same operand for the four gates."""
    return [real(*shape) for _ in range(4)]


def lstm(output: int) -> list[Array | None]:
    """Return operands 1 to 17 of an LSTM; with a projection where the cells are not the output."""
    projection = None if output == CELLS else real(output, CELLS)
    peepholes = [real(CELLS) for _ in range(3)]
    return [
        *gates(CELLS, I),
        *gates(CELLS, output),
        *peepholes,
        *gates(CELLS),
        projection,
        None,
    ]


LSTM_STATES = {"const": range(1, 18), "state": [18, 19]}
BOTH_STATES = {"const": range(1, 35), "state": range(35, 39)}
RNN = (real(CELLS, I), real(CELLS, CELLS), real(CELLS), zeros(N, CELLS))

EXAMPLES = [
    example(
        "LSTM",
        real(N, I),
        *lstm(CELLS),
        zeros(N, CELLS),
        zeros(N, CELLS),
        fused_activation_function="TANH",
        **LSTM_STATES,
    ),
    example(
        "LSTM",
        real(N, I),
        zeros(N, OUT),
        real(4 * OUT, I + OUT),
        real(4 * OUT),
        zeros(N, OUT),
        const=[2, 3],
        label="basic",
        kernel_type="BASIC",
        fused_activation_function="TANH",
    ),
    example(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        real(T, N, I),
        *lstm(OUT),
        zeros(N, OUT),
        zeros(N, CELLS),
        label="projected",
        time_major=True,
        fused_activation_function="TANH",
        **LSTM_STATES,
    ),
    example(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        real(N, T, I),
        *lstm(CELLS),
        zeros(N, CELLS),
        zeros(N, CELLS),
        *gates(CELLS),
        const=[*range(1, 18), *range(20, 24)],
        state=[18, 19],
        label="normalized",
        fused_activation_function="TANH",
    ),
    *(
        example(
            "BIDIRECTIONAL_SEQUENCE_LSTM",
            real(*((T, N, I) if merged else (N, T, I))),
            *lstm(CELLS),
            *lstm(CELLS),
            *(zeros(N, CELLS) for _ in range(4)),
            *(None for _ in range(9)),
            label="merged" if merged else "apart",
            time_major=merged,
            merge_outputs=merged,
            fused_activation_function="TANH",
            **BOTH_STATES,
        )
        for merged in (False, True)
    ),
    example("RNN", real(N, I), *RNN, const=[1, 2, 3], state=[4], fused_activation_function="RELU"),
    example(
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        real(N, T, I),
        *RNN,
        const=[1, 2, 3],
        state=[4],
        fused_activation_function="TANH",
    ),
    *(
        example(
            "BIDIRECTIONAL_SEQUENCE_RNN",
            real(N, T, I),
            *RNN,
            *RNN,
            None,
            None,
            None,
            const=[1, 2, 3, 5, 6, 7],
            state=[4, 8],
            label="merged" if merged else "apart",
            merge_outputs=merged,
            fused_activation_function="TANH",
        )
        for merged in (False, True)
    ),
    example(
        "SVDF",
        real(N, I),
        real(8, I),
        real(8, T),
        real(4),
        zeros(N, 8 * T),
        const=[1, 2, 3],
        state=[4],
        rank=2,
        fused_activation_function="RELU",
    ),
    example("RANDOM_UNIFORM", np.array([3, 4], np.int32), const=[0], seed=1, seed2=2),
    example("RANDOM_STANDARD_NORMAL", np.array([3, 4], np.int32), const=[0], seed=1, seed2=2),
    example("MULTINOMIAL", real(3, 5), np.array(7, np.int32), const=[1], seed=1, seed2=2),
]


def declared(
    graph: Graph, type: str, inputs: Sequence[Tensor], types: Sequence[Typed], **options: Any
) -> Any:
    """Add an operator whose outputs no operand or option describes."""
    op = Op(type, tuple(inputs), (), options)
    return finish(graph, spec(type), op, types, type.lower())


def calling(graph: Graph, type: str, inputs: Sequence[Tensor], *bodies: Graph) -> Any:
    """Add an operator with bodies, by its row's shape rule."""
    op = Op(type, tuple(inputs), (), {}, graphs=bodies)
    return finish(graph, spec(type), op, spec(type).shape(op), type.lower())


def body(name: str, *inputs: Typed, result: Callable[..., Sequence[Tensor]]) -> Graph:
    """Return a graph that is called: `result` emits its operators and returns its outputs."""
    graph = Graph(name)
    made = [graph.add_input(f"{name}{i}", shape, dtype) for i, (shape, dtype) in enumerate(inputs)]
    graph.outputs = list(result(graph, *made))
    return graph


def quantized() -> Case:
    """QUANTIZE to int8 in steps of 1/4, and back."""
    graph = Graph("main")
    x = graph.add_input("x", (None, 3), FLOAT32)
    (q,) = (declared(graph, "QUANTIZE", [x], [(x.shape, np.dtype(np.int8))]),)
    q.quant = Quant.per_tensor(0.25, 3)
    graph.outputs = [q, emit(graph, "DEQUANTIZE", q, name="y")]
    data = np.array([[0.3, -1.0, 100.0], [2.1, 0.0, -100.0]], np.float32)
    stored = np.clip(np.round(data * 4) + 3, -128, 127)
    return [graph], [data], [stored.astype(np.int8), ((stored - 3) / 4).astype(np.float32)]


def bits(target: str, data: Array) -> Callable[[], Case]:
    """Return a case that reads the bits of `data` as another type."""

    def make() -> Case:
        graph = Graph("main")
        x = graph.add_input("x", data.shape, data.dtype)
        expected = data.view(target)
        if expected.shape != data.shape:
            ratio = data.itemsize // expected.itemsize
            expected = expected.reshape(*data.shape, ratio) if ratio else expected.reshape(-1)
        graph.outputs = [declared(graph, "BITCAST", [x], [(expected.shape, expected.dtype)])]
        return [graph], [data], [expected]

    return make


def sparse() -> Case:
    """DENSIFY a [4, 4] matrix of which each row keeps its diagonal element."""
    graph = Graph("main")
    x = graph.add_input("x", (4, 4), FLOAT32)
    diagonal = np.array([1, 2, 3, 4], np.float32)
    weights = graph.constant("w", np.diag(diagonal))
    weights.sparsity = {
        "traversal_order": [0, 1],
        "block_map": None,
        "dim_metadata": [
            {"dense_size": 4},
            {
                "format": 1,  # DimensionType.SPARSE_CSR
                "array_segments": ("Int32Vector", {"values": [0, 1, 2, 3, 4]}),
                "array_indices": ("Int32Vector", {"values": [0, 1, 2, 3]}),
            },
        ],
    }
    weights.data = diagonal
    dense = emit(graph, "DENSIFY", weights, name="dense")
    graph.outputs = [emit(graph, "ADD", x, dense, name="y")]
    data = real(4, 4)
    return [graph], [data], [data + np.diag(diagonal)]


def variable() -> Case:
    """Assign in a graph that runs once, read, add, assign again and read."""
    shape, start = (2, 3), real(2, 3)

    def handle(graph: Graph) -> Tensor:
        return emit(graph, "VAR_HANDLE", name="handle", container="", shared_name="v")

    def assign(graph: Graph) -> Sequence[Tensor]:
        emit(graph, "ASSIGN_VARIABLE", handle(graph), start, name="assign")
        return []

    graph = Graph("main")
    x = graph.add_input("x", shape, FLOAT32)
    calling(graph, "CALL_ONCE", [], body("init", result=assign))
    v = handle(graph)
    assert v.dtype == RESOURCE
    before = declared(graph, "READ_VARIABLE", [v], [(shape, FLOAT32)])
    total = emit(graph, "ADD", x, before, name="total")
    emit(graph, "ASSIGN_VARIABLE", v, total, name="assign")
    graph.outputs = [total, declared(graph, "READ_VARIABLE", [v], [(shape, FLOAT32)])]
    data = real(*shape)
    return [graph], [data], [data + start, data + start]


def table() -> Case:
    """Look up int64 keys that a graph which runs once has put in."""
    keys, stored = np.array([3, 5, 9], np.int64), np.array(["a", "b", "c"], object)
    options = {"table_id": 1, "key_dtype": "INT64", "value_dtype": "STRING"}

    def fill(graph: Graph) -> Sequence[Tensor]:
        made = emit(graph, "HASHTABLE", name="table", **options)
        emit(graph, "HASHTABLE_IMPORT", made, keys, stored, name="import")
        return []

    graph = Graph("main")
    x = graph.add_input("x", (None,), np.dtype(np.int64))
    calling(graph, "CALL_ONCE", [], body("init", result=fill))
    made = emit(graph, "HASHTABLE", name="table", **options)
    found = emit(graph, "HASHTABLE_FIND", made, x, np.array(["?"], object), name="y")
    graph.outputs = [found, emit(graph, "HASHTABLE_SIZE", made, name="size")]
    expected = np.array([b"c", b"?", b"a"], object)
    return [graph], [np.array([9, 4, 3], np.int64)], [expected, np.array([3], np.int64)]


def branches(flag: bool) -> Callable[[], Case]:
    """Return a case: x + 1, or the first row of x twice."""

    def make() -> Case:
        taken: Typed = ((None, 3), FLOAT32)
        then = body("then", taken, result=lambda g, x: [emit(g, "ADD", x, one, name="y")])
        begin, size = np.array([0, 0], np.int32), np.array([1, 3], np.int32)
        other = body(
            "else", taken, result=lambda g, x: [emit(g, "SLICE", x, begin, size, name="y")]
        )
        graph = Graph("main")
        inputs = [graph.add_input("c", (), np.dtype(np.bool_)), graph.add_input("x", *taken)]
        graph.outputs = list(calling(graph, "IF", inputs, then, other))
        assert graph.outputs[0].shape == (None, 3)
        data = real(2, 3)
        return [graph], [np.array(flag), data], [data + one if flag else data[:1]]

    one = np.float32(1)
    return make


def loop() -> Case:
    """i < 3: i + 1, x * 2, and a third that grows by a row each time."""
    types: list[Typed] = [((), INT32), ((2,), FLOAT32), ((1, 2), FLOAT32)]

    def step(graph: Graph, i: Tensor, x: Tensor, rows: Tensor) -> Sequence[Tensor]:
        row = emit(graph, "RESHAPE", x, np.array([1, 2], np.int32), name="row")
        return [
            emit(graph, "ADD", i, np.int32(1), name="i"),
            emit(graph, "MUL", x, np.float32(2), name="x"),
            emit(graph, "CONCATENATION", rows, row, name="rows", axis=0),
        ]

    def more(graph: Graph, i: Tensor, x: Tensor, rows: Tensor) -> Sequence[Tensor]:
        return [emit(graph, "LESS", i, np.int32(3), name="more")]

    grown: list[Typed] = [*types[:2], ((None, 2), FLOAT32)]
    bodies = (body("cond", *grown, result=more), body("body", *grown, result=step))
    graph = Graph("main")
    inputs = [graph.add_input(n, *t) for n, t in zip("ixr", types, strict=True)]
    graph.outputs = list(calling(graph, "WHILE", inputs, *bodies))
    assert [t.shape for t in graph.outputs] == [(), (2,), (None, 2)]
    x, rows = real(2), real(1, 2)
    expected = np.concatenate([rows, x[None], 2 * x[None], 4 * x[None]])
    return [graph], [np.array(0, np.int32), x, rows], [np.array(3, np.int32), 8 * x, expected]


MODELS: dict[str, tuple[tuple[str, ...], Callable[[], Case]]] = {
    "quantize": (("QUANTIZE", "DEQUANTIZE"), quantized),
    "bitcast": (("BITCAST",), bits("int32", real(2, 3))),
    "bitcast_narrower": (("BITCAST",), bits("uint8", real(2, 3))),
    "densify": (("DENSIFY",), sparse),
    "variable": (("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"), variable),
    "hashtable": (
        ("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE"),
        table,
    ),
    "if_true": (("IF",), branches(True)),
    "if_false": (("IF",), branches(False)),
    "while": (("WHILE",), loop),
}
