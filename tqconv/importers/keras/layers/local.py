"""Convolutions with other filters at each place, in the three forms that Keras 2 stores them in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose import products
from tqconv.compose.operands import static_size
from tqconv.compose.patches import joined_taps
from tqconv.compose.sizes import reshaped, size_of, sizes_of
from tqconv.errors import FormatError
from tqconv.importers.keras.layers.activation import activate
from tqconv.importers.keras.layers.convolution import FIRST, many, windows_of
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Local:
    """What is known of such a layer. `places`: [d…] in and out; `channels`: in and out."""

    kernel: list[int]
    strides: list[int]
    is_same: bool
    is_first: bool
    inputs: list[int]
    channels: tuple[int, int]

    @property
    def outputs(self) -> list[int]:
        """The sizes of the result."""
        taken = zip(self.inputs, self.kernel, self.strides, strict=True)
        return [-(-(size if self.is_same else size - k + 1) // s) for size, k, s in taken]

    def reads(self, place: Sequence[int]) -> Sequence[tuple[int, ...]]:
        """Return the places that one of the result reads (`conv_connected_inputs`)."""
        ranges = []
        for at, k, s, size in zip(place, self.kernel, self.strides, self.inputs, strict=True):
            start = at * s - (k // 2 if self.is_same else 0)
            ranges.append(range(max(start, 0), min(start + k, size)))
        return list(product(*ranges))

    def number(self, place: Sequence[int], channel: int, side: int) -> int:
        """Return where an element stands among all of the input (side 0) or of the result (1)."""
        sizes = (self.inputs, self.outputs)[side]
        if self.is_first:
            index, shape = (channel, *place), (self.channels[side], *sizes)
        else:
            index, shape = (*place, channel), (*sizes, self.channels[side])
        return int(np.ravel_multi_index(index, shape))


def _masked(local: Local, stored: Matrix) -> Matrix:
    """Return the matrix [in, out] of a kernel that holds it all: what is not read counts as 0."""
    shape = [
        math.prod(local.inputs) * local.channels[0],
        math.prod(local.outputs) * local.channels[1],
    ]
    seen = np.zeros(shape, bool)
    for place in product(*map(range, local.outputs)):
        columns = [local.number(place, channel, 1) for channel in range(local.channels[1])]
        for source in local.reads(place):
            rows = [local.number(source, channel, 0) for channel in range(local.channels[0])]
            seen[np.ix_(rows, columns)] = True
    return np.where(seen, stored.reshape(shape), np.float32(0))


def _listed(local: Local, stored: Matrix) -> Matrix:
    """Return the matrix [in, out] of a kernel that lists what is read, by result and input."""
    pairs = sorted(
        (local.number(place, g, 1), local.number(source, f, 0))
        for place in product(*map(range, local.outputs))
        for source in local.reads(place)
        for f, g in product(*map(range, local.channels))
    )
    if len(pairs) != stored.size:
        raise FormatError(f"the kernel has {stored.size} weights, {len(pairs)} by its layer")
    whole = np.zeros(
        (math.prod(local.inputs) * local.channels[0], math.prod(local.outputs) * local.channels[1]),
        np.float32,
    )
    out, source = np.array(pairs, np.intp).reshape(-1, 2).T
    whole[source, out] = stored
    return whole


MATRICES: Mapping[int, Callable[[Local, Matrix], Matrix]] = {2: _masked, 3: _listed}


@handles("LocallyConnected1D", "LocallyConnected2D")
def locally_connected(
    b: KerasBuilder,
    x: Tensor,
    *,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    activation: Any = None,
    use_bias: bool = True,
    implementation: int = 1,
) -> Tensor:
    """Convolve with another kernel at each place.

    implementation: how the kernel is stored, 1: [places, taps * in, out], 2: as the matrix of all
    inputs and results, 3: as a list of what is not 0 in that matrix.
    """
    x = b.real(x)
    first = data_format == FIRST
    axes = range(2, x.rank) if first else range(1, x.rank - 1)
    sizes = [static_size(x, axis) for axis in axes]
    channels = static_size(x, 1 if first else -1)
    steps = many(strides, len(sizes))
    kernel = many(kernel_size, len(sizes))
    local = Local(kernel, steps, padding.lower() == "same", first, sizes, (channels, filters))
    if implementation == 1:
        y = _by_place(b, x, local)
    else:
        matrix = MATRICES[implementation](local, b.layer.weights["kernel"])
        flat = reshaped(b, x, [size_of(b, x, 0), matrix.shape[0]])
        y = products.affine(b, flat, b.const(matrix, np.float32, "kernel"))
        shape = [filters, *local.outputs] if first else [*local.outputs, filters]
        y = reshaped(b, y, [size_of(b, x, 0), *shape])
    if use_bias:
        bias = b.weight("bias")  # [places…, out], which channels_first reshapes, not transposes
        y = b("ADD", y, b.reshape(bias, [filters, *local.outputs]) if first else bias)
    return activate(b, y, activation)


def _by_place(b: KerasBuilder, x: Tensor, local: Local) -> Tensor:
    """Return the result of a kernel [places, taps * in, out], with channels first in * taps."""
    w = b.weight("kernel")
    places, count, filters = (static_size(w, axis) for axis in range(3))
    if local.is_first:
        x, taps = b.to_channels_last(x), count // local.channels[0]
        apart = b.reshape(w, [places, local.channels[0], taps, filters])
        w = b.reshape(b.transpose(apart, (0, 2, 1, 3)), [places, count, filters])
    patches = joined_taps(b, x, windows_of(local.kernel, local.strides, 1, "valid"))
    sizes = sizes_of(b, patches)
    flat = b.transpose(reshaped(b, patches, [sizes[0], places, count]), (1, 0, 2))
    y = b.transpose(b("BATCH_MATMUL", flat, w), (1, 0, 2))
    y = reshaped(b, y, [*sizes[:-1], filters])
    return b.to_channels_first(y) if local.is_first else y
