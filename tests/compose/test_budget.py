"""Numbers that a file only counts are paid for before they are made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tqconv.compose import crop, interpolate, matrices, patches, rearrange, resample, slices
from tqconv.compose.builder import Builder
from tqconv.compose.interpolate import Axis, Filter
from tqconv.compose.slices import Masks
from tqconv.compose.windows import VALID, Window
from tqconv.errors import FormatError, UnsupportedError
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source
from tqconv.untrusted import Budget

F = np.dtype(np.float32)
HUGE, SIDE = 1 << 28, 1 << 15

Make = Callable[[Builder], Tensor]


def given(b: Builder, *shape: int) -> Tensor:
    return b.graph.add_input("x", shape, F)


def zero(b: Builder) -> Tensor:
    return b.const(0, np.float32)


def vector(b: Builder, *values: int) -> Tensor:
    return b.const(values, np.int32)


MAKES: dict[str, Make] = {
    "mirrored": lambda b: rearrange.pad_by_places(b, given(b, 2), [(HUGE, 0)], "REFLECT"),
    "diagonals": lambda b: matrices.diagonals_of(
        b, given(b, SIDE, SIDE), 1 - SIDE, SIDE - 1, zero(b)
    ),
    "a matrix": lambda b: matrices.of_diagonals(b, given(b, 2, 4), -1, 0, (HUGE, HUGE), zero(b)),
    "a slice replaced": lambda b: slices.with_slice(
        b,
        given(b, HUGE),
        vector(b, 0),
        vector(b, 1),
        vector(b, 1),
        given(b, 1),
        Masks(0, 0, 0, 0, 0),
    ),
    "blocks": lambda b: patches.folded(
        b, given(b, 1, 2, HUGE - 1), 2, [HUGE], [Window(2, 1, 1, VALID)]
    ),
    "crops": lambda b: crop.cropped(
        b, given(b, 1, 4, 4, 1), given(b, 1, 4), vector(b, 0), [HUGE, HUGE]
    ),
}


@pytest.mark.parametrize("name", MAKES)
def test_what_is_counted_is_paid_for(name: str) -> None:
    graph = Graph("main", budget=Budget(bytes=HUGE))
    with pytest.raises(FormatError, match=r"`\w+` takes .*GiB in memory"):
        MAKES[name](Builder(graph, Source("", "node", "Op"), "node"))


def test_weights_of_resized_axes_are_bounded() -> None:
    with pytest.raises(UnsupportedError, match="resized from 8192 to 8192 places"):
        interpolate.matrix(Axis(8192, 8192, 1.0), "half_pixel", Filter())
    for make in (resample.cubic_matrix, resample.area_matrix):
        with pytest.raises(UnsupportedError, match="resized from 8192"):
            make(8192, 8192, *[False] * (2 if make is resample.cubic_matrix else 1))
