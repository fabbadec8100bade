"""What shape rules know of unknown sizes, what they refuse, and masks of strided slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from arrays import ints
from conftest import run_litert
from op_example import example

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Shape
from tqconv.ops.emit import emit

INT32 = np.dtype(np.int32)


class Sketch:
    """Emits operators on inputs of given shapes."""

    def __init__(self) -> None:
        self.graph = Graph("sketch")

    def input(self, *shape: int | None, dtype: Any = np.float32) -> Tensor:
        return self.graph.add_input(f"x{len(self.graph.inputs)}", shape, np.dtype(dtype))

    def __call__(self, type: str, *operands: Any, **options: Any) -> Any:
        arrays = [
            o if o is None or isinstance(o, Tensor) else np.asarray(o, np.asarray(o).dtype)
            for o in operands
        ]
        return emit(self.graph, type, *arrays, name=type.lower(), **options)


@pytest.fixture
def b() -> Sketch:
    return Sketch()


@pytest.mark.parametrize(
    ("shape", "target", "result"),
    [
        ((2, 3, 4), (-1, 4), (6, 4)),
        ((None, 3, 4), (-1, 12), (None, 12)),
        ((None, 3, 4), (5, -1), (5, None)),
        ((2, 0), (0, 7), (0, 7)),
    ],
)
def test_reshape_knows_what_the_element_count_tells(
    b: Sketch, shape: Shape, target: tuple[int, ...], result: Shape
) -> None:
    assert b("RESHAPE", b.input(*shape), ints(*target)).shape == result


def test_reshape_takes_known_elements_of_a_computed_shape(b: Sketch) -> None:
    x = b.input(None, 8, 8, 16)
    sizes = b("SHAPE", x, out_type="INT32")
    batch = b("STRIDED_SLICE", sizes, ints(0), ints(1), ints(1), shrink_axis_mask=1)
    rest = b("STRIDED_SLICE", sizes, ints(1), ints(4), ints(1))
    count = b("REDUCE_PROD", rest, ints(0))
    assert int(count.data) == 1024
    flat = b("RESHAPE", x, b("PACK", batch, count, values_count=2))
    assert flat.shape == (None, 1024)


def test_a_shape_may_hold_a_number_of_which_nothing_is_known(b: Sketch) -> None:
    count = b("REDUCE_MAX", b.input(5, dtype=np.int32), ints(0))
    assert count.elements is None
    sizes = b("PACK", count, np.array(16, np.int32), values_count=2)
    assert sizes.elements == (None, 16)
    assert b("RESHAPE", b.input(None), sizes).shape == (None, 16)


def test_reshape_keeps_its_shape_operand_as_it_is_written(b: Sketch) -> None:
    y = b("RESHAPE", b.input(2, 3, 4), ints(-1, 4))
    np.testing.assert_array_equal(y.producer.input(1).data, ints(-1, 4))


def test_the_difference_of_two_unknown_sizes_is_unknown(b: Sketch) -> None:
    first, second = (
        b("SHAPE", b.input(None), out_type="INT32"),
        b("SHAPE", b.input(None), out_type="INT32"),
    )
    assert b("SUB", first, second).elements == (None,)


def test_an_element_at_an_unknown_place_is_unknown(b: Sketch) -> None:
    place = b("SHAPE", b.input(None), out_type="INT32")
    assert b("GATHER", ints(3, 4, 5), place).elements is None
    assert b("SLICE", ints(3, 4, 5), place, ints(1)).elements is None


@pytest.mark.parametrize("keep", [True, False])
def test_unknown_axes_leave_only_the_rank(b: Sketch, keep: bool) -> None:
    x, axes = b.input(2, 3), b.input(1, dtype=np.int32)
    if keep:
        assert b("SUM", x, axes, keep_dims=True).shape == (None, None)
        return
    with pytest.raises(UnsupportedError, match="not a constant"):
        b("SUM", x, axes)


def test_broadcast_to_keeps_sizes_that_cannot_change(b: Sketch) -> None:
    x, target = b.input(3, 1, None), b.input(4, dtype=np.int32)
    assert b("BROADCAST_TO", x, target).shape == (None, 3, None, None)


def test_an_integer_division_by_zero_stays_in_the_model(b: Sketch) -> None:
    for type in ("DIV", "FLOOR_DIV", "FLOOR_MOD"):
        assert not b(type, ints(4, 2), ints(2, 0)).is_constant


def test_a_place_outside_the_tensor_stays_in_the_model(b: Sketch) -> None:
    assert not b("GATHER", ints(4, 2), ints(2)).is_constant
    assert not b("GATHER_ND", ints(4, 2), np.array([[-1]], np.int32)).is_constant


def test_operands_that_kernels_compute_wrong_are_refused(b: Sketch) -> None:
    x = b.input(2, 3, 4)
    refused: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("ATAN2", (x, b.input(4)), {}),
        ("TRANSPOSE", (x, b.input(3, dtype=np.int64)), {}),
        ("REVERSE_V2", (x, ints(0, 2)), {}),
        ("UNIQUE", (x,), {}),
        ("STRIDED_SLICE", (x, *[ints(0, 0, 0, 0)] * 3), {"ellipsis_mask": 1}),
        ("STRIDED_SLICE", (x, ints(0), ints(1), ints(1)), {"offset": True}),
        ("STRIDED_SLICE", (x, ints(2), ints(0), ints(1)), {"shrink_axis_mask": 1}),
        ("STRIDED_SLICE", (x, ints(1), ints(0), ints(-1)), {"shrink_axis_mask": 1}),
    ]
    for type, operands, options in refused:
        with pytest.raises(UnsupportedError):
            b(type, *operands, **options)


MASKS = ("begin_mask", "end_mask", "shrink_axis_mask", "new_axis_mask")


@pytest.mark.parametrize("seed", range(10))
def test_litert_slices_with_any_masks_as_the_rule_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    compared = 0
    while compared < 20:
        x = rng.normal(size=rng.integers(1, 5, rng.integers(1, 5))).astype(np.float32)
        count = int(rng.integers(1, x.ndim + 2))
        begin, end = rng.integers(-5, 6, (2, count)).astype(np.int32)
        masks = {name: int(rng.integers(0, 1 << count)) for name in MASKS}
        masks["ellipsis_mask"] = int(rng.choice([0, 1 << int(rng.integers(0, count))]))
        shrink = masks["shrink_axis_mask"] >> np.arange(count) & 1
        strides = np.where(shrink, 1, rng.choice([-2, -1, 1, 2], count)).astype(np.int32)
        shown = example("STRIDED_SLICE", x, begin, end, strides, const=[1, 2, 3], **masks)
        graph = Graph("main")
        try:
            (y,) = shown.build(graph)
        except UnsupportedError:
            continue
        if y.size == 0:  # LiteRT gives no array for a tensor without elements
            continue
        y.shape = (1,) * y.rank
        (measured,) = run_litert(graph, [x], delegate=False)
        np.testing.assert_array_equal(measured, shown.folded()[0].data, str(shown))
        compared += 1


def test_errors_say_an_unknown_size_as_users_write_it() -> None:
    b = Sketch()
    with pytest.raises(UnsupportedError, match=r"\[\?, 5\] does not broadcast to \[2, 3\]"):
        b("BROADCAST_TO", b.input(None, 5), np.array([2, 3], np.int32))
