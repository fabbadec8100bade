"""Operands that do not fit are refused by `emit`, for every row, before LiteRT sees them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from arrays import stored
from op_example import Example
from test_table import EXAMPLES

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph
from tqconv.ir.types import Source
from tqconv.ops.emit import emit
from tqconv.ops.operands import is_data, takes
from tqconv.ops.table import spec

NODE = Source("model.pb", "y", "Node")


def places(example: Example, *, data: bool) -> list[int]:
    """Return the operands that carry data, or those that count, point or choose."""
    row = spec(example.type)
    given = [i for i, a in enumerate(example.operands) if a is not None]
    return [i for i in given if is_data(row, i) == data]


def retyped(example: Example, index: int, dtype: Any) -> Example:
    """Return the example with another element type at one operand."""
    changed = list(example.operands)
    array = changed[index]
    assert array is not None
    changed[index] = array.real.astype(dtype)
    return dataclasses.replace(example, operands=tuple(changed))


SEVERAL = [e for e in EXAMPLES if len(places(e, data=True)) > 1]
POINTING = [
    (e, i)
    for e in EXAMPLES
    for i in places(e, data=False)
    if "float32" not in (takes(spec(e.type), spec(e.type).operands.name(i)).types or {"float32"})
]


@pytest.mark.parametrize("example", SEVERAL, ids=str)
def test_data_of_two_types_is_refused(example: Example) -> None:
    first, *others = places(example, data=True)
    array = example.operands[first]
    assert array is not None
    other = np.int64 if array.dtype == np.float32 else np.float32
    for index in others:
        with pytest.raises(UnsupportedError, match="takes one type"):
            retyped(example, index, other).build(Graph("main"))


@pytest.mark.parametrize(("example", "index"), POINTING, ids=str)
def test_reals_that_point_are_refused(example: Example, index: int) -> None:
    name = spec(example.type).operands.name(index)
    with pytest.raises(UnsupportedError, match=f"operand `{name}`"):
        retyped(example, index, np.float32).build(Graph("main"))


@pytest.mark.parametrize(
    ("type", "operands", "options", "words"),
    [
        ("FILL", ([2], [1.0, 2.0]), {}, "`value` .* has rank 1, not 0"),
        ("CUMSUM", ("x", [0, 1]), {}, "`axis` .* has 2 elements, not 1"),
        ("PAD", ("x", [0, 0, 1, 1]), {}, "`paddings` .* has rank 1, not 2"),
        ("RESHAPE", ("x", 6), {}, "`shape` .* has rank 0, not 1"),
        ("AVERAGE_POOL_2D", ("x",), {"padding": "NHWC"}, "`padding` is `NHWC`, .* SAME, VALID"),
        ("SPACE_TO_DEPTH", ("x",), {"block_size": 2**31}, "`block_size` cannot be 2147483648"),
        ("SQUEEZE", ("x",), {"squeeze_dims": [0, 2**40]}, "`squeeze_dims` cannot be"),
    ],
)
def test_an_operand_that_does_not_fit_is_named(
    type: str, operands: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(np.float32))
    arrays = [x if o == "x" else stored(o) for o in operands]
    with pytest.raises(UnsupportedError, match=words) as caught:
        emit(graph, type, *arrays, name="y", source=NODE, **options)
    assert caught.value.where == NODE
    assert not graph.ops


def test_integer_constants_take_the_width_that_the_kernel_reads() -> None:
    graph = Graph("main")
    x = graph.add_input("x", (2, 3), np.dtype(np.float32))
    y = emit(graph, "TRANSPOSE", x, np.array([1, 0], np.int64), name="y")
    assert y.producer.input(1).dtype == np.int32
    tiled = emit(graph, "TILE", x, np.array([1, 2], np.int64), name="t")
    assert tiled.producer.input(1).dtype == np.int64


def test_strings_reach_no_kernel_that_computes() -> None:
    graph = Graph("main")
    words = graph.add_input("words", (2, 3), np.dtype(object))
    assert emit(graph, "RESHAPE", words, np.array([6], np.int32), name="flat").shape == (6,)
    with pytest.raises(UnsupportedError, match="no kernel for strings"):
        emit(graph, "TRANSPOSE", words, np.array([1, 0], np.int32), name="y")


COUNTING = [
    (e, o) for e in EXAMPLES for o in ("out_type", "idx_out_type", "output_type") if o in e.options
]


@pytest.mark.parametrize(("example", "option"), COUNTING, ids=str)
def test_places_and_sizes_that_are_no_integers_are_refused(example: Example, option: str) -> None:
    changed = dataclasses.replace(example, options={**example.options, option: "FLOAT32"})
    with pytest.raises(UnsupportedError, match="not as int32 or int64"):
        changed.build(Graph("main"))
