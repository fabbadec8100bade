"""How handlers are declared and called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.registry import Registry
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source


@pytest.fixture
def b() -> Builder:
    return Builder(Graph("main"), Source("model", "node", "Sub"), "node")


def registry() -> Registry:
    made = Registry("framework", lambda name, value: False)

    @made.handles("Twice", Add="ADD", Sub="SUB")
    def handler(b: Builder, *told_and_inputs: Any, scale: int = 1) -> Any:
        """Combine."""
        return told_and_inputs[0]

    @made.handles(Less="LESS", Greater="GREATER")
    def compare(b: Builder, type: str, x: Tensor, y: Tensor, *, strict: bool = True) -> Tensor:
        """Compare."""
        return b(type, x, y)

    return made


def test_an_operator_tells_its_handler_which_it_is(b: Builder) -> None:
    made = registry()
    x, y = b.const(np.float32(1), what="x"), b.const(np.float32(2), what="y")
    for name, wanted in (("Less", True), ("Greater", False)):
        handler = made.find(name)
        assert handler is not None
        (result,) = made.call(handler, b, [x, y], {"strict": False})
        assert result.data is not None
        assert bool(result.data) is wanted
        assert handler.__doc__ == "Compare."


def test_what_an_operator_tells_is_no_input(b: Builder) -> None:
    made = registry()
    handler = made.find("Less")
    assert handler is not None
    with pytest.raises(UnsupportedError, match="has 1 input, expected 2"):
        made.call(handler, b, [b.const(np.float32(1))], {})
    with pytest.raises(UnsupportedError, match="attribute `typo`"):
        made.call(handler, b, [b.const(np.float32(1)), b.const(np.float32(1))], {"typo": 1})


def test_an_operator_has_one_handler() -> None:
    with pytest.raises(ValueError, match="Add has two handlers"):
        registry().handles(Add="ADD")(lambda b: None)
