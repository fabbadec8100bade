"""Random graphs of TensorFlow's operators, each with what numpy computes of it.

The reference is written from the operators' definitions, in float64 for reals, so it shares nothing
with the folds or the kernels that it judges. Reals are only compared or rounded where no last bit
decides.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

TESTS = Path(__file__).resolve().parents[2] / "tests"


def _builders() -> Any:
    """Return the module with which the tests of the handlers build nodes."""
    sys.path.insert(0, str(TESTS))
    found = spec_from_file_location("tf_graphs", TESTS / "importers" / "tf" / "graphs.py")
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module


tf = _builders()

SIZES = (1, 1, 2, 2, 3, 3, 4, 5, 6)
LARGEST = 4000
"""Elements of a tensor; operators that would make more are not taken."""

Array = Any


class Skip(Exception):  # noqa: N818
    """The step does not fit what is there."""


@dataclass
class Value:
    """A tensor: its name in the graph and its array in each sample, reals as float64."""

    name: str
    arrays: list[Array]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return self.arrays[0].shape

    @property
    def real(self) -> bool:
        """Whether it holds reals."""
        return self.arrays[0].dtype == np.float64


@dataclass
class Case:
    """A graph with what to feed and what to expect, by name, for each sample."""

    graph: bytes
    inputs: list[dict[str, Array]]
    outputs: list[dict[str, Array]]
    ops: list[str]


class Grower:
    """Grows a graph node by node; `tame`: only what integers can follow."""

    def __init__(
        self, seed: Sequence[int], steps: Sequence[Step], *, tame: bool, samples: int = 2
    ) -> None:
        self.steps = steps
        self.rng = np.random.default_rng(list(seed))
        self.tame = tame
        self.samples = samples
        self.nodes: list[Any] = []
        self.values: list[Value] = []
        self.fed: list[Value] = []
        self.ops: list[str] = []

    def case(self) -> Case:
        """Return a random graph with up to two outputs."""
        for index in range(int(self.rng.choice([1, 1, 2]))):
            self.feed(f"in{index}")
        self.grow(int(self.rng.integers(2, 9)))
        made = self.values[len(self.fed) :][-2:] or self.fed[:1]
        outs = [self.named(f"out{i}", value) for i, value in enumerate(made)]
        graph = tf.graph(*self.nodes)
        read = {name for node in self.nodes for name in node.input}
        fed = [v for v in self.fed if v.name in read]
        return Case(
            graph.SerializeToString(),
            [{v.name: _stored(v.arrays[k]) for v in fed} for k in range(self.samples)],
            [{v.name: v.arrays[k] for v in outs} for k in range(self.samples)],
            self.ops,
        )

    def named(self, name: str, value: Value) -> Value:
        """Return a value under a name of its own."""
        self.nodes.append(tf.node(name, "Identity", value.name, T=_stored(value.arrays[0]).dtype))
        return Value(name, value.arrays)

    def feed(self, name: str) -> None:
        """Add a placeholder; now and then a dimension is 0, or not known."""
        rank = int(self.rng.choice([4, 4, 4, 3, 2] if self.tame else [4, 4, 4, 3, 2, 2, 1, 0, 5]))
        shape = [int(self.rng.choice(SIZES)) for _ in range(rank)]
        if self.tame and rank == 4:
            shape = [1, *(int(self.rng.integers(4, 9)) for _ in range(2)), shape[3]]
        if not self.tame and rank and self.rng.random() < 0.1:
            shape[int(self.rng.integers(rank))] = 0
        known = list(shape)
        if not self.tame and rank and 0 not in shape and self.rng.random() < 0.15:
            known[0] = None
        whole = not self.tame and self.rng.random() < 0.2
        dtype = np.dtype(self.rng.choice(["int32", "int64"]) if whole else "float32")
        arrays = [
            self.rng.integers(-5, 6, shape).astype(dtype)
            if whole
            else self.rng.uniform(-2, 2, shape).astype(np.float32).astype(np.float64)
            for _ in range(self.samples)
        ]
        self.nodes.append(tf.placeholder(name, dtype, known))
        self.fed.append(Value(name, arrays))
        self.values.append(self.fed[-1])

    def grow(self, count: int) -> None:
        """Add up to `count` operators; those that do not fit are passed over."""
        for _ in range(count * 6):
            if len(self.ops) == count:
                return
            before, step = len(self.nodes), self.steps[self.rng.integers(len(self.steps))]
            try:
                made = step(self)
            except Skip:
                del self.nodes[before:]
                continue
            fits = all(math.prod(v.shape) <= LARGEST and len(v.shape) <= 6 for v in made)
            if not fits:
                del self.nodes[before:]
                continue
            self.ops.append(step.__name__)
            self.values += made

    # Choices.

    def pick(self, *, real: bool | None = True, least: int = 0, rank: int | None = None) -> Value:
        """Return one of the tensors, mostly a recent one."""
        found = [
            v
            for v in self.values
            if (real is None or v.real == real) and v.arrays[0].dtype != bool
            if len(v.shape) >= least and (rank is None or len(v.shape) == rank)
        ]
        if not found:
            raise Skip
        recent = found[-3:] if self.rng.random() < 0.7 else found
        return recent[self.rng.integers(len(recent))]

    def whole(self) -> Value:
        """Return a tensor of integers."""
        return self.pick(real=False)

    def flip(self, chance: float = 0.5) -> bool:
        """Return True this often."""
        return bool(self.rng.random() < chance)

    def numbers(self, *shape: int, low: float = -1.0) -> Value:
        """Return a constant of small reals."""
        array = self.rng.uniform(low, 1, shape).astype(np.float32)
        return self.constant(array)

    def constant(self, array: Array) -> Value:
        """Add a Const node."""
        name = f"c{len(self.nodes)}"
        self.nodes.append(tf.const(name, array))
        kept = array.astype(np.float64) if array.dtype == np.float32 else array
        return Value(name, [kept] * self.samples)

    def ints(self, *numbers: Any) -> Value:
        """Return a constant int32 vector, or rows of them."""
        return self.constant(np.array(numbers, np.int32))

    def like(self, x: Value) -> Value:
        """Return a tensor that broadcasts with `x` to its shape."""
        same = [v for v in self.values if v.shape == x.shape and v is not x]
        same = [v for v in same if v.arrays[0].dtype == x.arrays[0].dtype]
        if same and self.flip(0.4):
            return same[self.rng.integers(len(same))]
        shape = [1 if self.flip(0.4) else d for d in x.shape]
        shape = shape[int(self.rng.integers(len(shape) + 1)) :] if self.flip() else shape
        if x.real:
            return self.numbers(*shape)
        return self.constant(self.rng.integers(1, 6, shape).astype(x.arrays[0].dtype))

    def node(
        self,
        op: str,
        operands: Sequence[Value],
        function: Callable[..., Array],
        **attributes: Any,
    ) -> Value:
        """Add a node and compute what it makes of each sample."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(tf.node(name, op, *(v.name for v in operands), **attributes))
        with np.errstate(all="ignore"):
            arrays = [
                np.asarray(function(*parts))
                for parts in zip(*(v.arrays for v in operands), strict=True)
            ]
        return Value(name, arrays)


def _stored(array: Array) -> Array:
    """Return an array as the graph holds it: reals are float32."""
    return array.astype(np.float32) if array.dtype == np.float64 else array


Step = Callable[[Grower], list[Value]]
"""Adds nodes and returns what they make, or raises Skip."""
