"""Rewrites that nobody needs: one that fails leaves no trace, towers of them take linear time."""

from __future__ import annotations

import tracemalloc
from time import process_time

import numpy as np
import pytest
from conftest import run_litert
from graph_text import parse

from tqconv.errors import UnsupportedError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.text import graph_text
from tqconv.ops.emit import emit
from tqconv.passes.driver import Stage, run_stage, run_stages
from tqconv.passes.pipeline import FLOAT_STAGES, LAST
from tqconv.passes.rewrite import at
from tqconv.passes.toco.sweep import Sweep

CHAIN = """x: f32[1,4,3] -> z
y = RELU(x)
z = ADD(y, f32[3])"""


def state(graph: Graph) -> tuple[object, ...]:
    """Return all that edits change."""
    tensors = [
        (t.name, t.range, sorted((id(u.op), u.index) for u in t.uses)) for t in graph.tensors()
    ]
    free = [graph.unique(name) for name in ("y", "z", "other", "elsewhere", "more")]
    for name in free:
        graph.release(name)
    return graph_text(graph), tensors, free, [id(t) for t in graph.outputs]


@pytest.mark.parametrize("fails", [True, False], ids=["an error", "nothing to do"])
def test_a_rewrite_that_is_not_done_leaves_the_graph_as_it_was(fails: bool) -> None:
    def rewrite(graph: Graph, op: Op) -> bool:
        made = emit(graph, "TANH", op.input(0), name=op.output.name)
        graph.rename(made, "elsewhere")
        graph.set_input(op, 0, made)
        graph.set_input(op, len(op.inputs), graph.constant("more", np.zeros(3, np.float32)))
        graph.release(op.output.name)
        graph.replace(op.output, emit(graph, "NEG", made, name="other"))
        if fails:
            raise UnsupportedError("operands do not fit")
        return False

    graph = parse(CHAIN)
    before = state(graph)
    assert at("ADD", "RELU")(rewrite)(graph) == 0
    assert state(graph) == before
    graph.check()


def test_a_transformation_of_toco_that_fails_leaves_the_graph_as_it_was() -> None:
    def transformation(sweep: Sweep, op: Op) -> bool:
        if op.type != "ADD":
            return False
        before = op.input(0).producer
        assert before is not None
        first = sweep.emit_at(before, "TANH", before.input(0), name="first")
        assert first.producer is not None
        sweep.swap(op, first.producer)
        sweep.replace(before, first)
        sweep.emit_at(op, "ADD", first, np.zeros(2, np.float32), name="other")
        return True

    graph = parse(CHAIN)
    before = state(graph)
    assert Sweep(graph).run([transformation]) == 0
    assert state(graph) == before
    graph.check()


def test_a_stage_that_does_not_settle_is_left_as_it_is() -> None:
    def swap(graph: Graph, op: Op) -> bool:
        kind = {"RELU": "TANH", "TANH": "RELU"}[op.type]
        graph.replace(op.output, emit(graph, kind, op.input(0), name=op.output.name))
        return True

    graph = parse(CHAIN)
    stage = Stage("restless", (at("RELU", "TANH")(swap),))
    assert run_stage(stage, graph) > 0
    graph.check()
    assert [op.type for op in graph.ops if op.type in ("RELU", "TANH")] != []


def test_a_dense_layer_on_sequences_of_unknown_number_converts() -> None:
    """The shape [?,8,?] that one rewrite would need leaves two sizes open."""
    graph = parse("""x: f32[?,8,6] -> z
    r = RESHAPE(x, [-1,6])
    y = FULLY_CONNECTED(r, f32[3,6], f32[3])
    s = SHAPE(x) {out_type=INT32}
    b = STRIDED_SLICE(s, [0], [1], [1]) {shrink_axis_mask=1}
    d = PACK(b, 8, 3) {values_count=3, axis=0}
    z = RESHAPE(y, d)""")
    source = bytes(serialize(Model([graph])))
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    x = np.random.default_rng(5).uniform(-1, 1, (2, 8, 6)).astype(np.float32)
    want, got = run_litert(source, [x])[0], run_litert(graph, [x])[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)  # six products of numbers below 1


def tower(kinds: tuple[str, ...], count: int) -> Graph:
    """A chain of so many operators, of these kinds in turn."""
    graph = Graph("tower")
    y = graph.add_input("x", (1, 4, 4, 2), np.dtype(np.float32))
    for i in range(count):
        kind, name = kinds[i % len(kinds)], f"t{i}"
        if kind == "TRANSPOSE":
            order = ([0, 2, 1, 3], [0, 1, 3, 2])[i % 3 % 2]
            y = emit(graph, kind, y, np.array(order, np.int32), name=name)
        elif kind == "RESHAPE":
            sizes = [1, 4, 2, 4] if y.shape[3] == 2 else [1, 4, 4, 2]
            y = emit(graph, kind, y, np.array(sizes, np.int32), name=name)
        elif kind == "ADD":
            y = emit(graph, kind, y, np.array(0.5, np.float32), name=name)
        else:
            y = emit(graph, kind, y, name=name)
    graph.outputs.append(emit(graph, "TANH", y, name="y"))
    return graph


@pytest.mark.parametrize("count", [60, 2000])
def test_a_tower_of_transposes_is_one(count: int) -> None:
    graph = tower(("TRANSPOSE", "ABS"), count)
    run_stages(Model([graph]), FLOAT_STAGES, check=True)
    kept = [op.type for op in graph.ops if op.type != "ABS"]
    assert sorted(kept) in (["TANH"], ["TANH", "TRANSPOSE"])


def wide(count: int) -> Graph:
    """A graph of so many operators that read one tensor, each an output."""
    graph = Graph("wide")
    x = graph.add_input("x", (2,), np.dtype(np.float32))
    made: list[Tensor] = [emit(graph, "SIN", x, name=f"y{i}") for i in range(count)]
    graph.outputs[:] = made
    return graph


def equal(count: int) -> Graph:
    """So many operators alike, all of which are summed."""
    graph = Graph("equal")
    x = graph.add_input("x", (2,), np.dtype(np.float32))
    parts = [emit(graph, "SIN", x, name=f"y{i}") for i in range(count)]
    graph.outputs.append(emit(graph, "CONCATENATION", *parts, name="y", axis=0))
    return graph


def fills(count: int) -> Graph:
    """A chain of sums with tensors of one number, each of the open shape of what stands beside."""
    graph = Graph("fills")
    y = x = graph.add_input("x", (None, 2), np.dtype(np.float32))
    size = emit(graph, "SHAPE", x, name="size", out_type="INT32")
    for i in range(0, count, 3):
        zeros = emit(graph, "FILL", size, np.array(0.5, np.float32), name=f"zeros{i}")
        y = emit(graph, "SIN", emit(graph, "ADD", y, zeros, name=f"t{i}"), name=f"y{i}")
    graph.outputs.append(y)
    return graph


def layers(count: int) -> Graph:
    """Recurrent layers of four steps, one behind the other."""
    graph = Graph("layers")
    steps = [graph.add_input(f"x{t}", (1, 2), np.dtype(np.float32)) for t in range(4)]
    for layer in range(count // 12):
        h = graph.constant(f"h{layer}", np.zeros((1, 2), np.float32))
        weights = np.sin(np.arange(8, dtype=np.float32).reshape(2, 4) + layer)
        for t, x in enumerate(steps):
            name = f"{layer}_{t}"
            joined = emit(graph, "CONCATENATION", x, h, name=f"joined{name}", axis=1)
            h = emit(graph, "FULLY_CONNECTED", joined, weights, name=f"gate{name}")
            h = steps[t] = emit(graph, "TANH", h, name=f"y{name}")
    graph.outputs[:] = steps
    return graph


def sums(count: int) -> Graph:
    """Products that are added up, and a function of each sum."""
    graph = Graph("sums")
    x = graph.add_input("x", (1, 2), np.dtype(np.float32))
    weights = np.full((2, 2), 0.3, np.float32)
    y = emit(graph, "FULLY_CONNECTED", x, weights, name="y")
    for i in range(count // 4):
        part = emit(
            graph, "FULLY_CONNECTED", emit(graph, "SIN", x, name=f"x{i}"), weights, name="p"
        )
        y = emit(graph, "ADD", y, part, name=f"y{i}")
        graph.outputs.append(emit(graph, "TANH", y, name=f"z{i}"))
    return graph


SHAPES = {
    "functions": lambda n: tower(("SIN",), n),
    "sums": lambda n: tower(("ADD",), n),
    "clamps": lambda n: tower(("RELU",), n),
    "negatives": lambda n: tower(("NEG",), n),
    "permutations": lambda n: tower(("TRANSPOSE", "RESHAPE", "SIN"), n),
    "reshapes": lambda n: tower(("RESHAPE", "SIN"), n),
    "softmax in place": lambda n: tower(("RESHAPE", "SOFTMAX"), n),
    "outputs": wide,
    "equals": equal,
    "fills": fills,
    "layers": layers,
    "sums of products": sums,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_time_grows_with_the_number_of_operators(shape: str) -> None:
    """Eight times the operators take less than three times the time of each (8 x 8 / 24)."""
    times = []
    for count in (500, 4000):
        graph = SHAPES[shape](count)
        start = process_time()
        run_stages(Model([graph]), (*FLOAT_STAGES, LAST))
        times.append(process_time() - start)
    assert times[1] < 24 * max(times[0], 0.05)


def test_slices_of_a_huge_axis_cost_no_memory() -> None:
    graph = parse("""x: f32[1000000000] -> a, b
    a = STRIDED_SLICE(x, [0], [1], [1])
    b = STRIDED_SLICE(x, [1], [2], [1])""")
    tracemalloc.start()
    run_stages(Model([graph]), FLOAT_STAGES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [op.type for op in graph.ops] == ["STRIDED_SLICE"] * 2
    assert peak < 1 << 24
