"""Examples of convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras_reference as ref
import numpy as np
from layer_example import Draw, Example, F, example, first_of
from networks_keras import Array


def finished(
    d: Draw,
    options: dict[str, Any],
    x: Array,
    weights: list[Array],
    y: Array,
    first: bool = True,
) -> Example:
    """Return the example of a layer behind whose own work come a bias and an activation.

    x, y: channels last. first: whether the layer also knows the channels first.
    """
    act = d.one_of("relu", "linear", "tanh")
    options |= {"activation": act, "use_bias": d.flag()}
    if options["use_bias"]:
        weights = [*weights, d.reals(y.shape[-1])]
        y = y + weights[-1]
    y = ref.ACTIVATIONS[act](y)
    first = first and d.flag()
    options["data_format"] = "channels_first" if first else "channels_last"
    x, y = (first_of(x), first_of(y)) if first else (x, y)
    free = range(1 + first, x.ndim - 1 + first) if d.flag() else ()
    return Example(options, [x], [y], weights, free=free)


def places(d: Draw, rank: int) -> list[int]:
    """Return the sizes of an input: as large as the reach of a window with rates at least."""
    return d.numbers(rank, 5, 8 if rank < 3 else 6)


def steps(d: Draw, rank: int, both: bool = False, equal: bool = False) -> list[list[int]]:
    """Return strides and rates; Keras knows one or the other, unless `both`."""
    strides, rates = d.numbers(rank, 1, 3), d.numbers(rank, 1, 2)
    if equal:
        strides = strides[:1] * rank
    if not both and d.flag():
        strides = [1] * rank
    elif not both:
        rates = [1] * rank
    return [strides, rates]


@example("Conv1D", "Conv2D", "Conv3D")
def convolution(d: Draw, op: str) -> Example:
    rank = int(op[4])
    kernel, groups = d.numbers(rank, 1, 3), d.number(1, 2)
    strides, rates = steps(d, rank)
    padding = d.one_of("valid", "same", *(["causal"] if rank == 1 else []))
    x = d.reals(2, *places(d, rank), 2 * groups)
    w = d.reals(*kernel, 2, 3 * groups)
    y = ref.convolution(x, w, np.zeros(3 * groups, F), strides, rates, padding)
    options: dict[str, Any] = {"filters": 3 * groups, "kernel_size": kernel, "strides": strides}
    options |= {"padding": padding, "dilation_rate": rates, "groups": groups}
    return finished(d, options, x, [w], y, first=padding != "causal" or d.major >= 3)


@example("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def transposed(d: Draw, op: str) -> Example:
    rank = int(op[4])
    kernel, padding = d.numbers(rank, 1, 3), d.one_of("valid", "same")
    strides, rates = steps(d, rank, equal=True)
    rates = [1] * rank if rank == 3 and d.major < 3 else rates[:1] * rank
    x = d.reals(2, *d.numbers(rank, 2, 4), 2)
    w = d.reals(*kernel, 3, 2)
    reaches = [(k - 1) * r + 1 for k, r in zip(kernel, rates, strict=True)]
    least = [int(padding == "same" and reach % 2 == 0) for reach in reaches]
    bounds = [(low, stride - 1) for low, stride in zip(least, strides, strict=True)]
    fits = all(low <= high for low, high in bounds)  # else TensorFlow cannot run it
    extra = [d.number(*each) for each in bounds] if fits and d.flag() else None
    y = ref.spread(x, ref.dilated(w, rates), strides, padding, extra)
    options: dict[str, Any] = {"filters": 3, "kernel_size": kernel, "strides": strides}
    options |= {"padding": padding, "dilation_rate": rates, "output_padding": extra}
    return finished(d, options, x, [w], y)


@example("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise(d: Draw, op: str) -> Example:
    rank = int(op[-2])
    x, w, y, options = by_channels(d, rank, both=d.major >= 3)
    return finished(d, options, x, [w], y)


@example("SeparableConv1D", "SeparableConv2D")
def separable(d: Draw, op: str) -> Example:
    rank = int(op[-2])
    x, w, y, options = by_channels(d, rank)
    mix = d.reals(*[1] * rank, y.shape[-1], 3)
    y = y @ mix.reshape(y.shape[-1], 3)
    return finished(d, {**options, "filters": 3}, x, [w, mix], y)


def by_channels(
    d: Draw, rank: int, both: bool = False
) -> tuple[Array, Array, Array, dict[str, Any]]:
    """Return an input, a kernel, what each channel by itself becomes, and the configuration."""
    kernel, padding, times = d.numbers(rank, 1, 3), d.one_of("valid", "same"), d.number(1, 2)
    strides, rates = steps(d, rank, both, equal=True)
    x, w = d.reals(2, *places(d, rank), 3), d.reals(*kernel, 3, times)
    options: dict[str, Any] = {"kernel_size": kernel, "strides": strides, "padding": padding}
    options |= {"dilation_rate": rates, "depth_multiplier": times}
    return x, w, ref.depthwise(x, w, strides, rates, padding), options


@example("LocallyConnected1D", "LocallyConnected2D", majors=[2])
def locally_connected(d: Draw, op: str) -> Example:
    rank, how = int(op[-2]), d.number(1, 3)
    kernel, strides = d.numbers(rank, 1, 3), d.numbers(rank, 1, 2)
    padding = d.one_of("valid", "same") if how > 1 else "valid"
    sizes = d.numbers(rank, 3, 5)
    x = d.reals(2, *sizes, 2)
    reads = ref.places_read(sizes, kernel, strides, padding)
    outputs = reads.shape[:rank]
    first = d.flag()
    # The matrix of all inputs and results, as the layout has them.
    ins, outs = ([2, *sizes], [3, *outputs]) if first else ([*sizes, 2], [*outputs, 3])
    seen = np.moveaxis(reads, range(rank), range(rank, 2 * rank))  # [inputs…, outputs…]
    seen = seen.reshape(1, *sizes, 1, *outputs) if first else seen.reshape(*sizes, 1, *outputs, 1)
    seen = np.broadcast_to(seen, (*ins, *outs))
    whole = np.where(seen, d.reals(*ins, *outs), 0).astype(F)
    x = first_of(x) if first else x
    y = np.tensordot(x, whole, rank + 1)
    weights = [stored_as(how, whole, seen, rank, first, kernel, strides)]
    options: dict[str, Any] = {"filters": 3, "kernel_size": kernel, "strides": strides}
    options |= {"padding": padding, "implementation": how, "use_bias": d.flag()}
    options |= {"data_format": "channels_first" if first else "channels_last"}
    options["activation"] = d.one_of("relu", "linear")
    if options["use_bias"]:  # [places…, filters] in either layout
        weights.append(d.reals(*outputs, 3))
        y = y + (weights[-1].reshape(3, *outputs) if first else weights[-1])
    return Example(options, [x], [ref.ACTIVATIONS[options["activation"]](y)], weights)


def stored_as(
    how: int,
    whole: Array,
    seen: Array,
    rank: int,
    first: bool,
    kernel: Sequence[int],
    strides: Sequence[int],
) -> Array:
    """Return the matrix of all inputs and results [ins…, outs…] in one of three forms."""
    if how == 2:
        return whole
    count = rank + 1
    if how == 3:  # what is read, listed by result, then by input
        flat, read = (a.reshape(np.prod(a.shape[:count]), -1).T for a in (whole, seen))
        return flat[read]
    rows = []
    outputs = whole.shape[count + first : count + first + rank]
    for place in np.ndindex(*outputs):
        cut = [slice(p * s, p * s + k) for p, s, k in zip(place, strides, kernel, strict=True)]
        ends = [slice(None), *place] if first else [*place, slice(None)]
        taps = [slice(None), *cut] if first else [*cut, slice(None)]
        rows.append(whole[(*taps, *ends)].reshape(-1, 3))
    return np.stack(rows)
