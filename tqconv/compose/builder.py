"""What a handler works with: emit operators for one source node, read constants, adapt layouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import Shape, Source, type_name
from tqconv.ops.emit import Operand, emit
from tqconv.ops.rules import axis_of, elements

INT32 = np.dtype(np.int32)
NUMBER_BYTES = 8
"""Of a number that is counted and not stored: numpy counts in int64 and float64."""

SeveralOutputs = Literal[
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "SPLIT",
    "SPLIT_V",
    "TOPK_V2",
    "UNIQUE",
    "UNPACK",
]
"""Operators that a builder emits and that have more than one output, or a list of them."""


class Builder:
    """Emits operators that stand for one source node; all of them carry its `Source`."""

    def __init__(self, graph: Graph, source: Source, name: str) -> None:
        self.graph = graph
        self.source = source
        self.name = name

    @overload
    def __call__(
        self, type: SeveralOutputs, *operands: Operand, **options: Any
    ) -> tuple[Tensor, ...]: ...

    @overload
    def __call__(self, type: str, *operands: Operand, **options: Any) -> Tensor: ...

    def __call__(self, type: str, *operands: Operand, **options: Any) -> Any:
        """Emit an operator; see `tqconv.ops.emit.emit`. Arrays become constants."""
        return emit(
            self.graph,
            type,
            *operands,
            name=f"{self.name}/{type.lower()}",
            source=self.source,
            **options,
        )

    def const(self, value: Any, dtype: Any = None, what: str = "const") -> Tensor:
        """Return a constant named after the node and `what` it is."""
        return self.graph.constant(f"{self.name}/{what}", np.asarray(value, dtype))

    def pay(self, count: int, what: str) -> None:
        """Pay for an array of numbers that the file only counts; FormatError for too many."""
        self.graph.budget.take(count * NUMBER_BYTES, f"`{what}`")

    def value(self, tensor: Tensor | None, operand: str) -> NDArray[Any]:
        """Return a constant's array; UnsupportedError naming the operand when it is not one."""
        if tensor is None or tensor.data is None:
            raise UnsupportedError(
                f"input `{operand}` is not a constant" + (f" ('{tensor.name}')" if tensor else ""),
                hint="freeze the graph and give every input a shape, so that it becomes one",
            )
        return tensor.data

    def ints(self, tensor: Tensor | None, operand: str) -> list[int]:
        """Return a constant integer vector (or scalar) as a list."""
        return [int(v) for v in self.value(tensor, operand).reshape(-1)]

    def scalar(self, tensor: Tensor | None, operand: str) -> Any:
        """Return a constant that holds one element, as a Python number."""
        data = self.value(tensor, operand)
        if data.size != 1:
            raise UnsupportedError(f"input `{operand}` has {data.size} elements, expected one")
        return data.reshape(-1)[0].item()

    def custom(
        self,
        code: str,
        operands: Sequence[Tensor | None],
        outputs: Sequence[tuple[Shape, np.dtype]],
        payload: bytes = b"",
        **facts: bool,
    ) -> tuple[Tensor, ...]:
        """Emit a custom operator with declared outputs; `payload` is its opaque options.

        `facts` for quantization: `takes_integers`, `makes_reals` even where it takes integers.
        """
        made = tuple(
            Tensor(self.graph.unique(f"{self.name}/{code}" + (f":{i}" if i else "")), shape, dtype)
            for i, (shape, dtype) in enumerate(outputs)
        )
        options = {"custom_code": code, "custom_options": payload, **facts}
        self.graph.add(Op("CUSTOM", tuple(operands), made, options, self.source))
        return made

    def cast(self, x: Tensor, dtype: Any) -> Tensor:
        """Convert to another element type; a no-op when it has it already."""
        target = np.dtype(dtype)
        if x.dtype == target:
            return x
        options = {"in_data_type": type_name(x.dtype), "out_data_type": type_name(target)}
        result: Tensor = self("CAST", x, **options)
        return result

    def reshape(self, x: Tensor, shape: Sequence[int | None]) -> Tensor:
        """Reshape to sizes of which at most one is unknown; a no-op when nothing changes."""
        if tuple(shape) == x.shape and list(shape).count(None) <= 1:
            return x
        if list(shape).count(None) > 1:
            raise UnsupportedError(
                f"more than one dimension of '{x.name}' is unknown",
                hint="give the inputs a shape with --input_shapes",
            )
        sizes = np.array([-1 if d is None else d for d in shape], np.int32)
        result: Tensor = self("RESHAPE", x, sizes)
        return result

    def transpose(self, x: Tensor, perm: Sequence[int]) -> Tensor:
        """Permute the dimensions; a no-op for the identity. Axes may be counted from the end."""
        axes = [axis_of(axis, x.rank) for axis in perm]
        if axes == list(range(x.rank)):
            return x
        result: Tensor = self("TRANSPOSE", x, np.array(axes, np.int32))
        return result

    def turned(self, w: Tensor, perm: Sequence[int]) -> Tensor:
        """Permute the dimensions of weights: those that many operators share only once.

        The result is for operands: it may have the name of another node's.
        """
        if w.data is None:
            return self.transpose(w, perm)
        w.turned, key = w.turned or {}, tuple(perm)
        if key not in w.turned:
            w.turned[key] = self.transpose(w, perm)
        return w.turned[key]

    def to_channels_last(self, x: Tensor) -> Tensor:
        """NC… -> N…C."""
        return self.transpose(x, (0, *range(2, x.rank), 1))

    def to_channels_first(self, x: Tensor) -> Tensor:
        """N…C -> NC…."""
        return self.transpose(x, (0, x.rank - 1, *range(1, x.rank - 1)))

    def channels_last(self, x: Tensor, first: bool, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply `make` to `x` with channels last; `first`: they come first, also in the result."""
        return self.to_channels_first(make(self.to_channels_last(x))) if first else make(x)

    def on_last_axis(self, x: Tensor, axis: int, make: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply `make` to `x` with `axis` moved to the end, and move it back."""
        axis = axis_of(axis, x.rank)
        order = [i for i in range(x.rank) if i != axis] + [axis]
        back = [order.index(i) for i in range(x.rank)]
        return self.transpose(make(self.transpose(x, order)), back)

    def shape_of(self, x: Tensor, dtype: Any = INT32) -> Tensor:
        """Return the shape as a vector: a constant where it is known."""
        result: Tensor = self("SHAPE", x, out_type=type_name(np.dtype(dtype)))
        return result

    def known(self, tensor: Tensor | None) -> tuple[int | None, ...] | None:
        """Return the elements of an integer vector as far as they are known."""
        return elements(tensor)
