"""Examples of Keras 3's operations: how they are drawn, stand in one model, and are compared."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from networks_keras import (
    Array,
    call3,
    computed,
    functional,
    given,
    operation3,
    ref3,
    write_keras,
)

F, I = np.float32, np.int32  # noqa: E741
KEPT = {np.dtype(np.float64): F, np.dtype(np.int64): I, np.dtype(np.uint64): np.uint32}
"""Types in which numpy computes and Keras does not."""


@dataclass(frozen=True)
class Known:
    """An operand that the file holds."""

    array: Array


@dataclass(frozen=True)
class Row:
    """One use of an operation.

    args: what it is called with; arrays are inputs of the model. expected: what numpy makes of
    them, a tuple where there are several results. config: what the operation was made with.
    call: what it is called with by name. fixed: whether the number of elements has to be known.
    close: the largest distance, absolute or relative to what is expected.
    """

    args: Sequence[Any]
    expected: Any
    config: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    fixed: bool = False
    close: float = 2e-5

    @property
    def results(self) -> list[Array]:
        """What is expected, in the types of Keras: it computes in 32 bits."""
        each = self.expected if isinstance(self.expected, tuple) else (self.expected,)
        arrays = [np.asarray(y) for y in each]
        return [a.astype(KEPT.get(a.dtype, a.dtype)) for a in arrays]

    def compare(self, made: Sequence[Array]) -> None:
        """Fail where results differ from what is expected."""
        said = f"{self.config} {self.call} {[shown(a) for a in self.args]}"
        for y, expected in zip(made, self.results, strict=True):
            kinds = (y.dtype, y.shape), (expected.dtype, expected.shape)
            assert kinds[0] == kinds[1], said
            close = self.close if y.dtype in (F, np.complex64) else 0
            np.testing.assert_allclose(y, expected, rtol=close, atol=close, err_msg=said)


def shown(value: Any) -> Any:
    """Return an operand as messages tell it: arrays by type and shape."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else value


class Draw:
    """Seeded choices."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def number(self, low: int, high: int) -> int:
        """Return a whole number from low up to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def flag(self) -> bool:
        return bool(self.rng.integers(2))

    def pick(self, *values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def shape(self, low: int = 1, high: int = 4) -> tuple[int, ...]:
        """Return sizes of a tensor of a rank from low up to high."""
        return tuple(self.number(2, 4) for _ in range(self.number(low, high)))

    def reals(self, *shape: int, low: float = -3, high: float = 3) -> Array:
        return self.rng.uniform(low, high, shape).astype(F)

    def ints(self, *shape: int, low: int = -5, high: int = 5, dtype: Any = I) -> Array:
        return self.rng.integers(low, high + 1, shape).astype(dtype)

    def flags(self, *shape: int) -> Array:
        return self.rng.integers(0, 2, shape).astype(bool)

    def axis(self, rank: int) -> int:
        """Return an axis, counted from either end."""
        return self.number(-rank, rank - 1)

    def axes(self, rank: int) -> Any:
        """Return an axis, some, or None for all."""
        some = self.rng.permutation(rank)[: self.number(1, rank)].tolist()
        return self.pick(None, self.axis(rank), [a - rank * self.flag() for a in some])

    def second(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Return sizes that broadcast with others: of fewer axes, or of ones."""
        sizes = [size if self.number(0, 3) else 1 for size in shape]
        return tuple(sizes[self.pick(0, 0, self.number(0, len(shape) - 1)) :])


Maker = Callable[[Draw, str], Row]


class Table:
    """The examples of a family of operations, some of each."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {}
        self.modules: dict[str, str] = {}

    def examples(self, module: str, *ops: str, count: int = 3) -> Callable[[Maker], Maker]:
        """Let a function draw examples of operations, which are in this module of Keras."""

        def register(make: Maker) -> Maker:
            for op in ops:
                rows = self.rows.setdefault(op, [])
                start = len(rows)
                rows += [
                    make(Draw(zlib.crc32(f"{op} {start + i}".encode())), op) for i in range(count)
                ]
                self.modules[op] = module
            return make

        return register

    def named(self) -> list[tuple[str, str, int, Row]]:
        """Return all rows with their operation, their name and their number."""
        return [
            (op, f"{op}_{number}", number, row)
            for op, rows in self.rows.items()
            for number, row in enumerate(rows)
        ]

    def computed(self, folder: Path) -> dict[str, list[list[Array]]]:
        """Return what LiteRT makes of all rows, which stand in one model."""
        layers: list[dict[str, Any]] = []
        ends: list[Any] = []
        arrays: list[Array] = []
        inputs: list[Any] = []
        for op, name, number, row in self.named():
            mine: list[Array] = []
            args = [_written(arg, name, mine) for arg in row.args]
            call = {key: _written(value, name, mine) for key, value in row.call.items()}
            for place, array in enumerate(mine):
                is_open = array.shape[:1] == mine[0].shape[:1] and array.ndim == mine[0].ndim
                shape = list(array.shape)
                shape[:1] = [None] if is_open and number % 2 and not row.fixed else shape[:1]
                layers.append(given(f"{name}_x{place}", shape, array.dtype.name))
                inputs.append([f"{name}_x{place}", 0, 0])
            arrays += mine
            entry = operation3(self.modules[op], op, name, **row.config)
            if self.modules[op] == "quantizers":
                entry["module"] = "keras.src.quantizers.quantizers"
            layers.append(call3(entry, *args, **call))
            ends += [[name, 0, place] for place in range(len(row.results))]
        model = functional(*layers, inputs=inputs, outputs=ends)
        made = iter(computed(write_keras(folder / "operations.keras", model, {}), *arrays))
        return {
            op: [[next(made) for _ in row.results] for row in rows]
            for op, rows in self.rows.items()
        }


def _written(value: Any, name: str, arrays: list[Array]) -> Any:
    """Return an argument as the file has it; arrays become inputs."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return ref3(f"{name}_x{len(arrays) - 1}")
    if isinstance(value, Known):
        config = {"value": value.array.tolist(), "dtype": value.array.dtype.name}
        return {"class_name": "__numpy__", "config": config}
    if isinstance(value, slice):
        ends = {"start": value.start, "stop": value.stop, "step": value.step}
        return {"class_name": "__slice__", "config": ends}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    return [_written(v, name, arrays) for v in value] if isinstance(value, list) else value
