"""Parts of a picture, what changed between two, what is marked, what colours say."""

from __future__ import annotations

import numpy as np
import pytest
from drawing.scenes import chain, model_of, scene_of, titles

from tqconv.errors import UsageError
from tqconv.exporters.drawing.changes import compared
from tqconv.exporters.drawing.colors import HEAT, NOTHING, WAYS, palette
from tqconv.exporters.drawing.dot import Style, dot_text
from tqconv.exporters.drawing.folding import fold
from tqconv.exporters.drawing.gather import Known, gather
from tqconv.exporters.drawing.narrow import around, between
from tqconv.exporters.drawing.scene import Scene
from tqconv.ir.types import Quant, Range

FORK = ["a/b = RELU x", "a/c = TANH a/b", "d = ABS a/b", "e = ADD a/c d", "f = NEG e"]


def names(scene: Scene) -> set[str]:
    return {box.name for box in scene.ops()}


def test_focus_shows_what_is_near() -> None:
    scene = around(scene_of(*FORK), "d", 1)
    assert names(scene) == {"a/b", "d", "e"}
    assert scene.notes == ["3 of 5 operators, around 'd'"]
    assert names(around(scene_of(*FORK), "a", 0)) == {"a/b", "a/c"}
    assert names(around(scene_of(*FORK), "c:0", 0)) == {"a/c"}


def test_from_and_to_show_what_lies_between() -> None:
    assert names(between(scene_of(*FORK), ["a/c"], [])) == {"a/c", "e", "f"}
    assert names(between(scene_of(*FORK), [], ["d"])) == {"a/b", "d"}
    assert names(between(scene_of(*FORK), ["a/b"], ["e"])) == {"a/b", "a/c", "d", "e"}


def test_names_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="called 'a/x'; did you mean `a/c`"):
        around(scene_of(*FORK), "a/x", 1)
    with pytest.raises(UsageError, match="called 'b': 2 names end in it"):
        around(scene_of("p/b = RELU x", "q/b = RELU x"), "b", 1)
    with pytest.raises(UsageError, match="no value gets from 'f' to 'd'"):
        between(scene_of(*FORK), ["f"], ["d"])


def changes(before: Scene, after: Scene) -> dict[str, str]:
    scene = compared(before, after)
    assert {line.source for line in scene.lines} <= scene.boxes.keys()
    assert {line.target for line in scene.lines} <= scene.boxes.keys()
    dot_text(fold(scene), Style("change"))
    return {f"{box.title} {box.name}": box.change for box in scene.ops() if box.change}


def test_two_models_are_compared() -> None:
    before = scene_of("a = RELU x", "b = TANH a", "c = ABS b", "d = NEG c")
    after = scene_of("a = RELU x", "b = LOGISTIC a", "s = SIN b", "d = NEG s")
    assert changes(before, before) == {}
    assert changes(before, after) == {
        "LOGISTIC b": "other parameters",
        "SIN s": "added",
        "ABS c": "removed",
    }
    assert compared(before, after).notes == ["1 added, 1 removed, 1 other parameters; 2 the same"]


def test_other_names_are_matched_by_position() -> None:
    steps = chain("a", "b", "c")
    assert changes(scene_of(*steps), scene_of(*chain("p", "q", "r"))) == {}


def test_other_types_and_other_weights() -> None:
    def scene(value: float, scale: float | None) -> Scene:
        model = model_of("a = RELU x")
        from tqconv.ops.emit import emit

        graph = model.main
        y = emit(graph, "ADD", graph.outputs[0], np.full((25, 4), value, np.float32), name="y")
        graph.outputs[:] = [y]
        if scale is not None:
            y.dtype, y.quant = np.dtype(np.int8), Quant.per_tensor(scale, 0)
        return gather(model, Known(digests=True))

    assert changes(scene(1, None), scene(2, None)) == {"ADD y": "other parameters"}
    assert changes(scene(1, None), scene(1, 0.5)) == {"ADD y": "re-typed"}
    assert changes(scene(1, 0.5), scene(1, 0.25)) == {"ADD y": "re-typed"}


def test_float_islands_say_why() -> None:
    model = model_of(*chain("a", "b", "c"), "d = SIN c")
    tensors = {t.name: t for t in model.main.tensors()}
    tensors["a"].dtype, tensors["a"].quant = np.dtype(np.int8), Quant.per_tensor(0.5, 0)
    scene = gather(model, Known(floats={"c": "--keep_float"}, unranged=frozenset({"b"})))
    assert {box.name: box.marks for box in scene.ops() if box.marks} == {
        "b": ["no range is known"],
        "c": ["float: --keep_float"],
        "d": ["float: LiteRT has no integer kernel for it"],
    }
    assert {box.name: box.numbers for box in scene.ops()} == {
        "a": "mixed", "b": "mixed", "c": "float", "d": "float",
    }  # fmt: skip
    assert dot_text(scene).count("<b>! float: ") == 2
    folded = fold(
        gather(model_of(*chain("s/a", "s/b", "t")), Known(unranged=frozenset({"s/a"}))), 1
    )
    assert next(folded.ops()).marks == ["1 marked inside"]


def test_float_models_have_no_islands() -> None:
    assert all(not box.marks for box in scene_of(*FORK).boxes.values())


def test_a_range_that_is_known_is_shown_with_its_origin() -> None:
    model = model_of("a = RELU x")
    model.main.outputs[0].range = Range(-1.0, 6.0, "fake_quant")
    assert next(gather(model).ops()).values[0].reals == "-1 … 6 (fake_quant)"


@pytest.mark.parametrize("way", WAYS)
def test_every_colour_has_its_words(way: str) -> None:
    scene = scene_of(*FORK, known=Known(errors={"a/b": 45.0, "a/c": 5.0}))
    colors = palette(scene, way)
    known = {color for color, _ in colors.legend}
    assert {colors.title(box) for box in scene.ops()} <= known


def test_errors_and_amounts_go_from_cold_to_hot() -> None:
    scene = scene_of(*FORK, known=Known(errors={"a/b": 45.0, "a/c": 5.0, "d": 20.0}))
    colors = {box.name: palette(scene, "error").title(box) for box in scene.ops()}
    assert colors == {"a/b": HEAT[0], "a/c": HEAT[4], "d": HEAT[2], "e": NOTHING, "f": NOTHING}
    for box, macs in zip(scene.ops(), (1600, 400, 399, 1, 0), strict=True):
        box.macs = macs
    colors = {box.name: palette(scene, "macs").title(box) for box in scene.ops()}
    assert list(colors.values()) == [HEAT[4], HEAT[3], HEAT[3], HEAT[0], NOTHING]


def test_compact_pictures_leave_out_what_is_not_asked_for() -> None:
    scene = fold(scene_of(*FORK))
    assert titles(scene) == ["RELU", "TANH", "ABS", "ADD", "NEG"]
    assert len(dot_text(scene, Style(compact=True))) < len(dot_text(scene))
    assert "<i>" not in dot_text(scene, Style(compact=True))
    assert "rankdir=LR" in dot_text(scene, Style(rankdir="LR"))
