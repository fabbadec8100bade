"""What compositions compute: run in LiteRT with and without its default delegate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from conftest import run_litert
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Source
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import FLOAT_STAGES

Array = NDArray[Any]


def results(
    make: Callable[..., Any], *arrays: Array, open_axes: Sequence[int] = (), optimized: bool = True
) -> Iterator[list[Array]]:
    """Yield the outputs of `make(b, *tensors)` for each delegate.

    `open_axes`: the dimensions of all inputs whose size is not known at conversion time.
    """
    graph = Graph("main")
    b = Builder(graph, Source("model", "y", "Layer"), "y")
    for number, array in enumerate(arrays):
        shape = tuple(None if i in open_axes else d for i, d in enumerate(array.shape))
        graph.inputs.append(Tensor(graph.unique(f"x{number}"), shape, array.dtype))
    made = make(b, *graph.inputs)
    graph.outputs = [made] if isinstance(made, Tensor) else list(made)
    graph.check()
    model = Model([graph])
    if optimized:
        run_stages(model, FLOAT_STAGES)
    for delegate in (True, False):
        yield run_litert(model, arrays, delegate)


def assert_composed(
    make: Callable[..., Any],
    arrays: Sequence[Array],
    *expected: Array,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    **options: Any,
) -> None:
    """Check what `make` computes of the arrays; by default sums of about 100 float32 products."""
    for found in results(make, *arrays, **options):
        assert len(found) == len(expected)
        for have, want in zip(found, expected, strict=True):
            assert have.dtype == want.dtype
            np.testing.assert_allclose(have, want, rtol=rtol, atol=atol)
