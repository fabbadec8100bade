"""Constants that stop a kernel whenever it runs: LiteRT says which, and the writer refuses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tqconv.errors import UnsupportedError
from tqconv.exporters import checks
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Source
from tqconv.ops.emit import emit

INT, REAL = np.int32, np.float32
WHOLE = np.array([[6, 7, 8], [9, 10, 11]], INT)
REALS = WHOLE.astype(REAL)
PAIR = np.array([1, 2], REAL)
IMAGE = REALS[:1, :2].reshape(1, 1, 1, 2)
FILTER = np.ones((3, 2, 2, 2)).tolist()

STOPPING: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("DIV", ("x", [1, 0, 2]), {}, "divides by"),
    ("FLOOR_DIV", ("x", 0), {}, "divides by"),
    ("FLOOR_DIV", (REALS, 0.0), {}, "divides by"),
    ("FLOOR_MOD", ("x", 0), {}, "divides by"),
    ("POW", ("x", [1, -1, 2]), {}, "to the power of -1"),
    ("GATHER", ("x", [0, 2]), {"axis": 0}, "gathers element 2 of 2"),
    ("GATHER", ("x", [-1]), {"axis": 1}, "gathers element -1 of 3"),
    ("GATHER_ND", ("x", [[0, 3]]), {}, r"gathers element \[0, 3\] of \[2, 3\]"),
    ("GATHER_ND", ("x", [[-1]]), {}, r"gathers element \[-1\] of"),
    ("SCATTER_ND", ([[0], [2]], "x", [2, 3]), {}, r"writes element \[2\] of"),
    ("EMBEDDING_LOOKUP", ([0, 2], "x"), {}, "looks up row 2 of 2"),
    ("SPARSE_TO_DENSE", ([0, 5], [5], PAIR, 0.0), {}, r"writes element \[5\] of \[5\]"),
    ("SPARSE_TO_DENSE", ([[1, 3], [0, 0]], [2, 3], PAIR, 0.0), {}, r"element \[1, 3\] of"),
    ("UNSORTED_SEGMENT_SUM", ("x", [0, 2], 2), {}, "segment 2 of 2"),
    ("UNSORTED_SEGMENT_MAX", ("x", [7, 0], 2), {}, "segment 7 of 2"),
    ("SEGMENT_SUM", ("x", [1, 1]), {}, "do not start at 0 and grow by 1"),
    ("SEGMENT_SUM", ("x", [0, 2]), {}, "do not start at 0 and grow by 1"),
    ("REVERSE_SEQUENCE", ("x", [4, 1]), {"seq_dim": 1, "batch_dim": 0}, "reverses 4 of 3"),
]
MOST, SHORT = 2**31 - 1, {"stride_h": 1, "stride_w": 1, "padding": "SAME"}
LARGE = {"filter_height": MOST, "filter_width": MOST, **SHORT}
STOPPING += [
    *((pool, (IMAGE,), LARGE, f"windows of {MOST} x") for pool in ("MAX_POOL_2D", "L2_POOL_2D")),
    ("AVERAGE_POOL_2D", (IMAGE,), {**LARGE, "filter_width": 1}, f"windows of {MOST} x 1"),
    ("L2_POOL_2D", (IMAGE,), {**LARGE, "filter_height": 65537, "filter_width": 1}, "of 65537 x"),
    (
        "TRANSPOSE_CONV",
        ([1, 1, 1, 3], FILTER, IMAGE),
        {**SHORT, "stride_w": 32768},
        "steps of 32768 elements",
    ),
]
RUNNING: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("DIV", (REALS, 0.0), {}),
    ("FLOOR_MOD", (REALS, [0.0, 1.0, 2.0]), {}),
    ("DIV", ("x", [1, -1, 2]), {}),
    ("GATHER", ("x", [1, 0]), {"axis": 0}),
    ("SCATTER_ND", ([[0], [0]], "x", [2, 3]), {}),
    ("SPARSE_TO_DENSE", ([1, 0], [5], PAIR, 0.0), {}),
    ("UNSORTED_SEGMENT_SUM", ("x", [0, -1], 2), {}),
    ("SEGMENT_SUM", ("x", [0, 0]), {}),
    ("REVERSE_SEQUENCE", ("x", [3, 0]), {"seq_dim": 1, "batch_dim": 0}),
    ("L2_POOL_2D", (IMAGE,), {**LARGE, "filter_height": 65536, "filter_width": 1}),
    ("MAX_POOL_2D", (IMAGE,), {**LARGE, "filter_height": 32767, "filter_width": 2}),
    ("TRANSPOSE_CONV", ([1, 1, 1, 3], FILTER, IMAGE), {**SHORT, "stride_w": 32767}),
]


def _array(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(REAL if array.dtype.kind == "f" else INT)


def made(graph: Graph, type: str, operands: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """Emit an operator; the first operand that is data is an input of the graph."""
    arrays: list[Any] = []
    for operand in operands:
        data = WHOLE if isinstance(operand, str) else operand
        free = isinstance(data, np.ndarray)
        array = _array(data)
        arrays.append(graph.add_input("x", array.shape, array.dtype) if free else array)
    result: Tensor = emit(
        graph, type, *arrays, name="y", source=Source("model.pb", "y", "Node"), **options
    )
    graph.outputs = [result]
    return result


def ends(content: bytes, resolver: OpResolverType, feed: Any) -> bool:
    """Whether LiteRT runs the model to its end."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    try:
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed)
        interpreter.invoke()
    except (RuntimeError, ValueError):
        return False
    return True


def feed_of(graph: Graph) -> Any:
    x = graph.inputs[0]
    return next(a for a in (PAIR, WHOLE, IMAGE) if a.shape == x.shape).astype(x.dtype)


BOTH = [OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES]


@pytest.mark.parametrize(("type", "operands", "options", "words"), STOPPING)
def test_what_litert_always_stops_at_is_refused(
    type: str,
    operands: tuple[Any, ...],
    options: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = Graph("main")
    y = made(graph, type, operands, options)
    assert y.producer is not None
    with pytest.raises(UnsupportedError, match=f"{type} .*{words}") as caught:
        serialize(Model([graph]))
    assert caught.value.where == y.producer.source
    monkeypatch.setattr(checks, "_stops", lambda op: None)
    content = bytes(serialize(Model([graph])))
    assert not any(ends(content, resolver, feed_of(graph)) for resolver in BOTH)


@pytest.mark.parametrize(("type", "operands", "options"), RUNNING)
def test_what_litert_runs_is_written(
    type: str, operands: tuple[Any, ...], options: dict[str, Any]
) -> None:
    graph = Graph("main")
    made(graph, type, operands, options)
    content = bytes(serialize(Model([graph])))
    assert all(ends(content, resolver, feed_of(graph)) for resolver in BOTH)


def test_places_in_a_size_that_is_not_known_are_not_judged() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (None, 3), np.dtype(REAL))
    graph.outputs = [emit(graph, "GATHER", x, np.array([7], INT), name="y", axis=0)]
    assert len(serialize(Model([graph])))


def test_integers_that_stand_for_reals_divide_by_the_code_of_zero() -> None:
    from tqconv.ir.types import Quant

    for code, stops in ((3, True), (0, False)):
        graph = Graph("main")
        scale = Quant(np.array([0.5], np.float32), np.array([3]))
        x = graph.add_input("x", (2,), np.dtype(np.uint8))
        divisor = graph.constant("divisor", np.array([code, 9], np.uint8))
        y = Tensor("y", (2,), np.dtype(np.uint8))
        x.quant = divisor.quant = y.quant = scale
        graph.add(Op("DIV", (x, divisor), (y,)))
        graph.outputs = [y]
        if stops:
            with pytest.raises(UnsupportedError, match="divides by 'divisor'"):
                serialize(Model([graph]))
        else:
            assert len(serialize(Model([graph])))


def branch(name: str, *, stops: bool) -> Graph:
    graph = Graph(name)
    x = graph.add_input("v", (2, 3), np.dtype(INT))
    graph.outputs = [emit(graph, "FLOOR_DIV", x, np.array(0 if stops else 2, INT), name=f"{name}q")]
    return graph


def test_a_branch_that_may_never_run_is_written_and_runs() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(INT))
    bodies = branch("then", stops=True), branch("else", stops=False)
    never = emit(graph, "REDUCE_ANY", emit(graph, "LESS", x, np.array(0, INT), name="l"),
                 np.array([0, 1], INT), name="any")  # fmt: skip
    y = Tensor("y", (2, 3), np.dtype(INT))
    graph.add(Op("IF", (never, x), (y,), graphs=bodies))
    graph.outputs = [y]
    content = bytes(serialize(Model([graph])))
    assert all(ends(content, resolver, WHOLE) for resolver in BOTH)


def test_the_condition_of_a_loop_always_runs() -> None:
    graph, condition, body = Graph("main"), branch("test", stops=True), branch("step", stops=True)
    small = emit(condition, "LESS", condition.outputs[0], np.array(9, INT), name="small")
    axes = np.array([0, 1], INT)
    condition.outputs = [emit(condition, "REDUCE_ALL", small, axes, name="all")]
    x = graph.add_input("x", (2, 3), np.dtype(INT))
    y = Tensor("y", (2, 3), np.dtype(INT))
    graph.add(Op("WHILE", (x,), (y,), graphs=(condition, body)))
    graph.outputs = [y]
    with pytest.raises(UnsupportedError, match="FLOOR_DIV divides"):
        serialize(Model([graph]))


def test_all_of_them_are_listed() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(INT))
    graph.outputs = [
        emit(graph, "FLOOR_DIV", x, np.array(0, INT), name=f"d{i}",
             source=Source("model.pb", f"d{i}", "FloorDiv"))
        for i in range(12)
    ]  # fmt: skip
    with pytest.raises(UnsupportedError) as caught:
        serialize(Model([graph]))
    text = str(caught.value)
    assert "12 operators stop every run" in text
    assert "'d9' in model.pb: FLOOR_DIV" in text
    assert "d10" not in text
    assert "… 2 more" in text
