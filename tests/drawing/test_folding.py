"""Scopes that become one box, blocks that are drawn once, chains in columns."""

from __future__ import annotations

import pytest
from drawing.scenes import chain, scene_of, titles, ways

from tqconv.exporters.drawing.columns import columns
from tqconv.exporters.drawing.dot import Style, dot_text
from tqconv.exporters.drawing.folding import LEGIBLE, fold, without_single
from tqconv.exporters.drawing.picture import arranged
from tqconv.exporters.drawing.repeats import draw_once

OPS = ["RELU", "TANH", "LOGISTIC", "ABS", "NEG", "EXP", "SQRT", "SIN"]


def mixed(count: int, scope: str = "") -> list[str]:
    """Return a chain of operators in which no block repeats (the digits of a cube)."""
    names = [f"{scope.format(i // 40)}op{i}" for i in range(count)]
    before = ["x", *names]
    return [f"{n} = {OPS[(i * i * i + i // 7) % 8]} {before[i]}" for i, n in enumerate(names)]


def test_a_depth_folds_what_lies_deeper() -> None:
    scene = fold(scene_of(*chain("a/b/c", "a/b/d", "a/e", "f")), 1)
    assert titles(scene) == ["a", "RELU"]
    group = next(scene.ops())
    assert group.rows == [("operators", "3"), ("most", "RELU ×3")]
    assert [value.name for value in group.values] == ["a/e"]
    assert group.count == 3
    assert ways(scene) == {("a", "f")}


def test_scopes_of_one_box_and_of_all_boxes_are_left_out() -> None:
    scene = without_single(scene_of(*chain("m/a/b", "m/a/c", "m/d/e")))
    assert [box.path for box in scene.ops()] == [("a",), ("a",), ()]
    assert [box.label for box in scene.ops()] == ["b", "c", "m/d/e"]


def test_small_models_are_drawn_whole() -> None:
    scene = fold(scene_of(*mixed(LEGIBLE, "s{}/t/")))
    assert len(titles(scene)) == LEGIBLE
    assert scene.notes == []


@pytest.mark.parametrize("scope", ["", "block{}/", "one/two/three/"])
def test_large_models_are_folded_and_say_so(scope: str) -> None:
    scene = fold(scene_of(*mixed(1200, scope)))
    assert 8 <= len(titles(scene)) <= LEGIBLE
    assert sum(box.count for box in scene.ops()) == 1200
    assert scene.notes == [
        f"1200 operators in {len(titles(scene))} boxes; --depth all shows each, --focus NAME what "
        "is near one"
    ]


def test_a_scope_that_feeds_what_feeds_it_comes_in_pieces() -> None:
    scene = fold(scene_of(*chain("a/1", "a/2", "b/1", "b/2", "a/3", "a/4", "c")), 1)
    assert titles(scene) == ["a", "b", "a", "RELU"]
    order = {box.id: index for index, box in enumerate(scene.boxes.values())}
    assert all(order[line.source] < order[line.target] for line in scene.lines)


def block(number: int, source: str) -> list[str]:
    return [
        f"l{number}/a = TANH {source}",
        f"l{number}/b = LOGISTIC l{number}/a",
        f"l{number}/c = ADD l{number}/b {source}",
    ]


def test_blocks_in_a_row_are_drawn_once_with_their_number() -> None:
    steps = ["s = ABS x", *(step for n in range(16) for step in block(n, f"l{n - 1}/c"))]
    steps[1:4] = block(0, "s")
    scene = draw_once(scene_of(*steps, "end = NEG l15/c"))
    assert titles(scene) == ["ABS", "TANH", "LOGISTIC", "ADD", "NEG"]
    assert list(scene.scopes.values()) == ["l0 … l15  × 16"]
    assert ways(scene) == {
        ("s", "l0/a"), ("l0/a", "l0/b"), ("l0/b", "l0/c"), ("s", "l0/c"), ("l0/c", "end"),
    }  # fmt: skip
    again = [line for line in scene.lines if line.style == "again"]
    name = {box.id: box.name for box in scene.boxes.values()}
    assert {(name[a.source], name[a.target]) for a in again} == {("l0/c", "l0/a"), ("l0/c", "l0/c")}
    assert scene.total == 50
    assert "l0 … l15  × 16" in dot_text(fold(scene))


def test_blocks_that_read_something_else_are_no_repetition() -> None:
    steps = ["s = ABS x", *block(0, "s"), *block(1, "l0/c"), *block(2, "l1/c"), *block(3, "l2/c")]
    steps[-1] = "l3/c = ADD l3/b l0/a"
    scene = draw_once(scene_of(*steps))
    assert list(scene.scopes.values()) == ["l0 … l2  × 3"]
    assert titles(scene).count("ADD") == 2


def test_equal_operators_side_by_side_are_no_chain() -> None:
    scene = draw_once(scene_of("a = ABS x", "b = ABS x", "c = ABS x", "d = ABS x"))
    assert titles(scene) == ["ABS"] * 4


def test_long_chains_stand_in_columns_that_numbers_join() -> None:
    scene = arranged(scene_of(*mixed(40)))
    found = columns(scene, across=False, compact=False)
    assert 2 <= len(found) <= 6
    assert [id for column in found for id in column] == list(scene.boxes)
    text = dot_text(scene)
    for number in range(1, len(found)):
        assert text.count(f'label="{number}"') == 2
    assert dot_text(scene, Style(wrap=False)).count("shape=circle") == 0
    assert columns(arranged(scene_of(*mixed(5))), across=False, compact=False) != found


def test_twelve_thousand_operators_take_seconds_and_few_boxes() -> None:
    scene = arranged(scene_of(*chain(*(f"op{i}" for i in range(12000)))))
    assert titles(scene) == ["RELU"]
    scene = arranged(scene_of(*mixed(12000)))
    assert len(titles(scene)) <= LEGIBLE
    assert len(dot_text(scene)) < 100_000
