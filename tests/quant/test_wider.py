"""Mixed precision: where noise is found, what has 16 bits for it, and how few operators are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from graph_text import parse

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Model
from tqconv.ir.types import Range
from tqconv.jobs import widen
from tqconv.jobs.judge import Judge
from tqconv.jobs.quantize import quantize
from tqconv.quant.plan import Borders, plan
from tqconv.quant.schemes import INT16, SCHEMES
from tqconv.quant.select import Choice
from tqconv.quant.wider import sites, widened
from tqconv.runtime.compare import difference

NETWORK = """
x: f32[1,8] -> z
a = FULLY_CONNECTED(x, f32[8,8], f32[8])
b = ADD(a, [100.0])
c = RESHAPE(b, [2,4])
d = SUB(c, [100.0])
e = RESHAPE(d, [1,8])
f = FULLY_CONNECTED(e, f32[8,8], f32[8]) {fused_activation_function=RELU}
g = ELU(f)
z = FULLY_CONNECTED(g, f32[3,8], f32[3])
"""
"""Most is lost between `b` and `d`, where values of about 1 stand on 100."""


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(12).normal(size=(count, 8)).astype(np.float32)


def options(path: Path, **more: object) -> QuantizeOptions:
    np.savez(path / "s.npz", x=rows(30))
    data = str(path / "s.npz")
    return QuantizeOptions(mode="int8", calibration_data=data, improve=False, **more)  # type: ignore[arg-type]


def worst(run: Run, model: Model, path: Path) -> float:
    feeds = np.load(path / "s.npz")["x"][:, None]
    plain = Model([parse(NETWORK)])
    return min(difference(run(plain, [x])[0], run(model, [x])[0])[0] for x in feeds)


def test_noise_arises_where_values_are_made_and_ends_where_all_readers_are_wide() -> None:
    graph = parse(NETWORK)
    found = {t: Range(-1, 1, "user", "") for t in graph.tensors() if not t.is_constant}
    made = plan(graph, SCHEMES["int8"], found, Choice(integer_only=True), Borders())
    by_name = {site.name: site for site in sites(graph, made)}
    assert "c" not in by_name  # moved, not rounded again
    assert {op.output.name for op in by_name["b"].wide} == {"b", "c", "d"}
    assert "f" not in by_name  # ELU has no kernel of 16 bits, and nothing may be float
    assert "weights of a" not in by_name
    free = plan(graph, SCHEMES["int8"], found, Choice(), Borders())
    by_name = {site.name: site for site in sites(graph, free)}
    assert {op.type for op in by_name["f"].real} == {"ELU"}
    assert {op.output.name for op in by_name["weights of a"].real} == {"a"}
    again = widened(graph, free, [by_name["b"], by_name["weights of f"]])
    assert {op.output.name for op, dtype in again.types.items() if dtype == INT16} == {
        "b",
        "c",
        "d",
    }
    assert [op.output.name for op in again.floats] == ["f"]


def test_an_asked_accuracy_costs_few_operators(tmp_path: Path, run: Run) -> None:
    plain, wide = (Model([parse(NETWORK)]) for _ in range(2))
    quantize(plain, options(tmp_path))
    before = worst(run, plain, tmp_path)
    assert before < 18
    quantize(wide, options(tmp_path), least=20.0)
    assert worst(run, wide, tmp_path) >= 20
    changed = {op.type for op in wide.main.ops if op.outputs[0].dtype == INT16}
    assert changed <= {"ADD", "SUB", "RESHAPE", "QUANTIZE", "FULLY_CONNECTED"}
    assert not [op for op in wide.main.ops if op.type == "ELU" and op.output.dtype == np.float32]
    note = next(n for n in wide.notes if n.startswith("--min_sqnr: "))
    assert " in 16 bits (" in note
    assert "float" not in note


def test_what_is_near_enough_stays_as_it_is(tmp_path: Path) -> None:
    model = Model([parse("x: f32[1,8] -> z\nz = FULLY_CONNECTED(x, f32[8,8], f32[8])")])
    quantize(model, options(tmp_path), least=20.0)
    assert not [n for n in model.notes if n.startswith("--min_sqnr")]


@pytest.mark.parametrize("most", [widen.MEASURED, 3])
def test_the_loudest_place_is_found_alone_or_among_neighbours(tmp_path: Path, most: int) -> None:
    graph = parse(NETWORK)
    ends = {"b": 1600.0, "c": 1600.0}
    found = {
        t: Range(-ends.get(t.name, 8.0), ends.get(t.name, 8.0), "user", "")
        for t in graph.tensors()
        if not t.is_constant
    }
    made = plan(graph, SCHEMES["int8"], found, Choice(integer_only=True), Borders())
    feeds = [{"x": rows(1)}]
    noise = widen.measured(Judge(Model([graph]), feeds, widen._outputs), made, most)
    assert max(noise, key=lambda site: noise[site].mean()).name == "b" or most == 3
    assert set(noise) == set(sites(graph, made))
    assert "'b'" in widen.loudest(Model([graph]), made, feeds)[0]


def test_large_models_are_halved_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [f"a{i + 1} = FULLY_CONNECTED(a{i}, f32[8,8], f32[8])" for i in range(100)]
    graph = parse("\n".join(["a0: f32[1,8] -> a100", *chain]))
    found = {t: Range(-8, 8, "user", "") for t in graph.tensors() if not t.is_constant}
    made = plan(graph, SCHEMES["int8"], found, Choice(), Borders())
    totals = set()
    for room in (1 << 30, 100 * 288 * 10, 1):
        monkeypatch.setattr(widen, "HEARD_BYTES", room)
        feeds = [{"a0": rows(1)}]
        assert widen.loudest(
            Model([graph]), made, feeds, watch=lambda *_: lambda _, n: totals.add(n)
        )
    assert totals == {4 + 2 * 10, 4 + 2 * 3, 4 + 2 * 2}


def test_nothing_is_named_where_no_place_could_have_more_bits() -> None:
    graph = parse("x: f32[1,8] -> z\nz = RELU(x)")
    found = {t: Range(-9e4, 9e4, "user", "") for t in graph.tensors() if not t.is_constant}
    made = plan(graph, SCHEMES["int16x8"], found, Choice(), Borders())
    assert sites(graph, made) == []
    assert widen.loudest(Model([graph]), made, [{"x": 0.1 + rows(1)}]) == []


def test_nothing_is_named_where_little_is_lost() -> None:
    graph = parse("x: f32[1,8] -> z\nz = RELU(x)")
    found = {t: Range(-8, 8, "user", "") for t in graph.tensors()}
    made = plan(graph, SCHEMES["int8"], found, Choice(), Borders())
    feeds = [{"x": rows(1)}]
    assert widen.loudest(Model([graph]), made, feeds) == []
