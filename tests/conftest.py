"""Fixtures that many tests share: LiteRT as the oracle, and seeded random numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import settings
from numpy.typing import NDArray

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model

Array = NDArray[Any]
Run = Callable[..., list[Array]]

# A run tests the same examples each time, so what is green stays green; `--hypothesis-profile
# default` draws new ones. A busy machine is no fault: there is no deadline.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

FIRST: dict[np.random.Generator, Any] = {}
"""The states of generators before the first test of their module."""


def run_litert(
    model: Graph | Model | bytes | memoryview,
    inputs: Mapping[str, Array] | Sequence[Array],
    delegate: bool = True,
) -> list[Array]:
    """Return the outputs of the main graph in LiteRT; inputs go by name or by position.

    `delegate`: with XNNPACK, as users run it, or with the builtin kernels alone.
    """
    if isinstance(model, Graph):
        model = Model([model])
    if isinstance(model, Model):
        model = serialize(model)
    kernels = "AUTO" if delegate else "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    interpreter = Interpreter(
        model_content=bytes(model), experimental_op_resolver_type=OpResolverType[kernels]
    )
    details = interpreter.get_input_details()
    arrays = [inputs[d["name"]] for d in details] if isinstance(inputs, Mapping) else list(inputs)
    assert len(arrays) == len(details), f"{len(arrays)} arrays for {len(details)} inputs"
    for detail, array in zip(details, arrays, strict=True):
        if tuple(detail["shape"]) != array.shape:
            interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    for detail, array in zip(details, arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [_output(interpreter, d) for d in interpreter.get_output_details()]


def _output(interpreter: Any, detail: dict[str, Any]) -> Array:
    """Return an output; the interpreter does not hand over one without elements."""
    shape = tuple(detail["shape"])
    if 0 in shape:
        return np.empty(shape, detail["dtype"])
    return interpreter.get_tensor(detail["index"])


def decibels(wanted: Array, found: Array) -> float:
    """Return the signal-to-noise ratio of what was found; of what is equal 200."""
    noise = float(np.square(np.subtract(wanted, found, dtype=np.float64)).sum())
    return float(10 * np.log10(np.square(wanted, dtype=np.float64).sum() / noise)) if noise else 200


@pytest.fixture
def run() -> Run:
    """Return `run_litert(model, inputs, delegate=True)`."""
    return run_litert


@pytest.fixture(autouse=True)
def same_numbers(request: pytest.FixtureRequest) -> None:
    """Start a module's generators anew: what a test draws depends on no test before it."""
    for generator in vars(request.module).values():
        if isinstance(generator, np.random.Generator):
            numbers = generator.bit_generator
            numbers.state = FIRST.setdefault(generator, numbers.state)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20_240_501)
