"""Scan: a graph that runs over slices of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose.control import within
from tqconv.compose.operands import static_size
from tqconv.compose.rearrange import reversed_along, stacked
from tqconv.compose.rounds import Round, repeated
from tqconv.compose.sizes import Size, calculate, size_of
from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.onnx.handlers.control import Outer, check_counts, filled
from tqconv.importers.onnx.model import body_of
from tqconv.importers.onnx.registry import ONNXBuilder, handles
from tqconv.importers.onnx.sequences import only_tensors
from tqconv.ir.graph import Graph, Tensor
from tqconv.records import dataclass

INT32 = np.dtype(np.int32)


@dataclass(frozen=True)
class _Slices:
    """What rounds read of tensors: a slice along an axis, from its start or its end."""

    tensors: Sequence[Tensor]
    axes: Sequence[int]
    backwards: Sequence[int]

    def count(self, b: ONNXBuilder) -> Size:
        """Return how many rounds there are: the size of all axes."""
        sizes = [x.shape[axis] for x, axis in zip(self.tensors, self.axes, strict=True)]
        known = next((size for size in sizes if size is not None), None)
        return size_of(b, self.tensors[0], self.axes[0]) if known is None else known

    def at(self, b: Any, whole: Sequence[Tensor], time: Tensor, last: Any) -> list[Tensor]:
        """Return what round `time` reads of the tensors, `whole` inside of the loop."""
        turned = b("SUB", last, time) if any(self.backwards) else time
        places = zip(whole, self.axes, self.backwards, strict=True)
        return [b("GATHER", x, turned if back else time, axis=axis) for x, axis, back in places]


@handles("Scan", since=9)
def scan(
    b: ONNXBuilder,
    *operands: Tensor,
    body: Any,
    num_scan_inputs: int,
    scan_input_axes: Sequence[int] = (),
    scan_input_directions: Sequence[int] = (),
    scan_output_axes: Sequence[int] = (),
    scan_output_directions: Sequence[int] = (),
) -> list[Tensor]:
    """Run a graph over slices of tensors; what it yields is stacked behind the carried values."""
    inner = body_of(body, b.node.files)
    around = Outer(b, inner.captured())
    inputs = [i.name for i in inner.inputs]
    count, behind = len(operands) - num_scan_inputs, 1 + num_scan_inputs
    check_counts("Scan", inner, len(operands), count)
    if count < 0 or num_scan_inputs < 1:
        raise FormatError(f"a Scan of {len(operands)} operands over {num_scan_inputs} tensors")
    slices = _slices(operands[count:], scan_input_axes, scan_input_directions)
    limit = slices.count(b)
    last = b.const(limit - 1, INT32) if isinstance(limit, int) else calculate(b, "SUB", limit, 1)
    assert isinstance(last, Tensor)
    fixed = [last, *slices.tensors, *around.tensors]

    def turn(
        graph: Graph,
        time: Tensor,
        goes_on: Tensor,
        values: Sequence[Tensor],
        outer: Sequence[Tensor],
    ) -> Round:
        end, whole, captured = outer[0], outer[1:behind], outer[behind:]
        read = slices.at(within(b, graph), whole, time, end)
        own = [*values, *read, *around.inside(captured)]
        made = only_tensors(filled(b, graph, inner, [*inputs, *around.names], own), "a Scan")
        return Round(goes_on, made[:count], made[count:])

    number = b.const(limit, INT32, "rounds") if isinstance(limit, int) else limit
    yields = len(inner.outputs) - count
    done = repeated(b, turn, b.const(True), number, operands[:count], fixed, yields)
    places, turned = scan_output_axes or [0] * yields, scan_output_directions or [0] * yields
    arranged = zip(done.stacks, places, turned, strict=True)
    return [*done.carried, *(_arranged(b, *stack) for stack in arranged)]


def _slices(operands: Sequence[Tensor], axes: Sequence[int], backwards: Sequence[int]) -> _Slices:
    none = [0] * len(operands)
    pairs = zip(axes or none, operands, strict=True)
    return _Slices(operands, [axis % x.rank for axis, x in pairs], backwards or none)


def _arranged(b: ONNXBuilder, stack: Tensor, place: int, backward: int) -> Tensor:
    """Move the axis of the rounds, the first one, to a place; `backward`: last round first."""
    stack = reversed_along(b, stack, [0]) if backward else stack
    order = list(range(1, stack.rank))
    order.insert(place % stack.rank, 0)
    return b.transpose(stack, order)


@handles("Scan", since=8)
def scan_8(
    b: ONNXBuilder,
    lengths: Tensor | None,
    *operands: Tensor,
    body: Any,
    num_scan_inputs: int,
    directions: Sequence[int] = (),
) -> list[Tensor]:
    """Run a graph over slices of tensors, [n, time, …], for each image by itself."""
    if lengths is not None:
        raise UnsupportedError(
            "a Scan with lengths", hint="raise the model's opset with onnx.version_converter"
        )
    images = [
        scan(
            b,
            *(b("GATHER", x, np.array(image, np.int32), axis=0) for x in operands),
            body=body,
            num_scan_inputs=num_scan_inputs,
            scan_input_directions=directions,
        )
        for image in range(static_size(operands[0], 0))
    ]
    return [stacked(b, parts) for parts in zip(*images, strict=True)]
