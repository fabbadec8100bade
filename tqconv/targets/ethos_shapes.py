"""What Arm's NPUs ask of sizes, windows and axes: the constraints of the compiler Vela 5.2.0.

Facts of its compilation core (regor/tflite/tflite_supported_operators*.cpp), beside those about
tensors in `ethos_rules`.
"""

from __future__ import annotations

import math

import numpy as np

from tqconv.ir.graph import Op
from tqconv.targets.device import Refusal, operand, option
from tqconv.targets.ethos_rules import image
from tqconv.targets.rules import NHWC, strides, type_name

REDUCED = {"int8": 1 << 24, "uint8": 1 << 23, "int16": 1 << 16}
"""Elements that MEAN may reduce, by their type."""
LONGEST_MEAN = 4096
"""The longest axis that MEAN reduces."""
MOST = 1 << 16
"""The largest size of an axis, or of several together, that has a field of 16 bits."""
UNROLLED = 3
"""The largest stride that the U55 and U65 have; longer ones are computed window by window."""


def _window(op: Op) -> tuple[int, int]:
    """Return rows and columns of the window that an operator reads at once, with its gaps."""
    weights = operand(op, "w")
    if weights is None:
        return int(option(op, "filter_height", 1)), int(option(op, "filter_width", 1))
    factors = option(op, "dilation_h_factor", 1), option(op, "dilation_w_factor", 1)
    rows, columns = (
        f * ((d or 1) - 1) + 1 for f, d in zip(factors, weights.shape[1:3], strict=True)
    )
    return int(rows), int(columns)


def _is_padded(op: Op) -> bool:
    """Whether windows reach beyond the image: SAME adds nothing where they fit."""
    if option(op, "padding", "SAME") == "VALID":
        return False
    x = operand(op, "x")
    sizes = (1, 1) if x is None else image(x)[-3:-1]
    each = zip(sizes, strides(op), _window(op), strict=True)
    return any((math.ceil(size / step) - 1) * step + window > size for size, step, window in each)


def long_strides(op: Op) -> Refusal | None:
    """Strides above 3 need one place to go to, or neither padding nor dilation."""
    sizes = image(op.outputs[0])[-3:-1]
    if all(step <= UNROLLED or size == 1 for step, size in zip(strides(op), sizes, strict=True)):
        return None
    dilated = option(op, "dilation_h_factor", 1) != 1 or option(op, "dilation_w_factor", 1) != 1
    if not dilated and not _is_padded(op):
        return None
    return Refusal(f"stride {max(strides(op))}, at most 3 with padding or dilation")


def short_strides(op: Op) -> Refusal | None:
    """Strides are 3 at most."""
    most = max(strides(op))
    return Refusal(f"stride {most}, at most 3") if most > UNROLLED else None


def window(op: Op) -> Refusal | None:
    """A pool's window: 256 rows and 65,536 elements; averages with padding take 8 by 8."""
    rows, columns = _window(op)
    if op.type == "AVERAGE_POOL_2D" and _is_padded(op):
        found = Refusal(f"a window of {rows} x {columns} with padding, at most 8 x 8")
        return found if max(rows, columns) > 8 else None
    large = rows > 256 or rows * columns > MOST
    return Refusal(f"a window of {rows} x {columns}") if large else None


def transposed(op: Op) -> Refusal | None:
    """Strides of a transposed convolution are 1 or 2, on both axes alike."""
    pair, weights, x = strides(op), operand(op, "w"), operand(op, "x")
    assert weights is not None
    assert x is not None
    _, rows, columns, _ = image(x)
    kernel = weights.shape[1:3]
    flat = pair == (1, 2) and rows == kernel[0] == 1
    upright = pair == (2, 1) and columns == kernel[1] == 1
    if pair in ((1, 1), (2, 2)) or flat or upright:
        return None
    return Refusal(f"strides {pair[0]} x {pair[1]}, only 1 and 2 are taken")


def exact_size(op: Op) -> Refusal | None:
    """The result has the size that padding and strides say."""
    pair, weights, x = strides(op), operand(op, "w"), operand(op, "x")
    assert weights is not None
    assert x is not None
    found, whole = image(op.outputs[0])[1:3], image(x)[1:3]
    grown = tuple(d * s for d, s in zip(whole, pair, strict=True))
    if option(op, "padding", "SAME") == "VALID":
        kernel = (weights.shape[1] or 1, weights.shape[2] or 1)
        grown = tuple(g + max(k - s, 0) for g, k, s in zip(grown, kernel, pair, strict=True))
    return None if grown == found else Refusal(f"its result is not {grown[0]} x {grown[1]}")


def resize(op: Op) -> Refusal | None:
    """A resize by 2, 4 or 8 on both axes; with half-pixel centers by 2."""
    x, y = op.inputs[0], op.outputs[0]
    assert x is not None
    (_, rows, columns, _), (_, high, wide, _) = image(x), image(y)
    half = op.type == "RESIZE_BILINEAR" and bool(option(op, "half_pixel_centers", False))
    if rows == columns == 1:
        return None
    if (rows, columns) == (high, wide):
        return Refusal("it keeps the size, with half-pixel centers") if half else None
    down, across = _grown(op, rows, high), _grown(op, columns, wide)
    one = (high == 1 and down == 1) or (wide == 1 and across == 1)
    allowed = (2,) if half else (2, 4, 8)
    if (down == across or (one and not half)) and max(down, across) in allowed:
        return None
    words = "2" if half else "2, 4 or 8"
    return Refusal(f"it scales by {down:g} x {across:g}, only {words} on both axes is taken")


def _grown(op: Op, size: int, result: int) -> float:
    """Return by how much a resize makes an axis larger, in float32."""
    if not option(op, "align_corners", False):
        return float(np.float32(result) / np.float32(size))
    if result == 1:
        return 1.0
    return float(np.float32(result - 1) / np.float32(size - 1)) if size > 1 else math.inf


def resize_by_power(op: Op) -> Refusal | None:
    """The U85: powers of two up to 1,024, or 2,048 with aligned corners; any for nearest ones."""
    aligned, half = option(op, "align_corners", False), option(op, "half_pixel_centers", False)
    if aligned and half:
        return Refusal("align_corners and half_pixel_centers together")
    x, bilinear = op.inputs[0], op.type == "RESIZE_BILINEAR"
    assert x is not None
    most = 1024 if half or (not bilinear and not aligned) else 2048
    sizes = list(zip(image(x)[1:3], image(op.outputs[0])[1:3], strict=True))
    less = [1 if aligned and size > 1 else 0 for size, _ in sizes]
    pairs = [(result - one, size - one) for (size, result), one in zip(sizes, less, strict=True)]
    if any(result == 0 for result, _ in pairs):
        return Refusal("one row or column of more, with aligned corners")
    if any(result // size > most for result, size in pairs):
        return Refusal(f"it scales by more than {most}")
    if not bilinear or all(size == 1 for size, _ in sizes):
        return None
    whole = all(r % s == 0 and (r // s).bit_count() == 1 for r, s in pairs)
    return None if whole else Refusal("its scale is no power of two")


def mean(op: Op) -> Refusal | None:
    """The axes, batch and number of elements that MEAN reduces."""
    x, axes = op.inputs[0], op.inputs[1]
    if x is None or axes is None or axes.data is None:
        return Refusal("its axes are computed at run time")
    if x.dtype.name not in REDUCED:
        return Refusal(f"{type_name(x)} data")
    sizes = image(x)
    if sizes[-NHWC] > 1:
        return Refusal("its batch is not 1", "--input_shapes with batch 1")
    named = {int(a) % max(x.rank, 1) + len(sizes) - x.rank for a in axes.data.reshape(-1)}
    reduced = [sizes[axis] for axis in named]
    if math.prod(reduced) > REDUCED[x.dtype.name] or max(reduced, default=0) > LONGEST_MEAN:
        return Refusal("it reduces too many elements")
    if len(sizes) - 1 in named and 1 not in sizes[1:NHWC]:
        return Refusal("it reduces channels of an image")
    return None


def arg_max(op: Op) -> Refusal | None:
    """ARG_MAX runs over at most 127 channels."""
    x, axis = op.inputs[0], op.inputs[1]
    if x is None or axis is None or axis.data is None:
        return Refusal("its axis is computed at run time")
    if int(axis.data.reshape(-1)[0]) % max(x.rank, 1) != x.rank - 1:
        return Refusal("its axis is not the last one")
    return Refusal(f"{x.shape[-1]} channels, at most 127") if (x.shape[-1] or 1) > 127 else None


def softmax(op: Op) -> Refusal | None:
    """The image of a SOFTMAX has at most 65,536 places."""
    x = op.inputs[0]
    assert x is not None
    *_, rows, columns, _ = image(x)
    return Refusal("an image of more than 65,536 places") if rows * columns > MOST else None


def steps(op: Op) -> Refusal | None:
    """A slice steps forward, and by more than one over rows and columns only."""
    step, ellipsis = operand(op, "strides"), int(option(op, "ellipsis_mask", 0))
    x = op.inputs[0]
    if step is None or step.data is None or x is None:
        return None
    found = [1] * x.rank
    axis = 0
    for index, value in enumerate(step.data.reshape(-1)):
        if ellipsis >> index & 1:
            axis = x.rank - (step.data.size - index - 1)
            continue
        if 0 <= axis < x.rank:  # the compiler counts new axes, too
            found[axis] = int(value)
        axis += 1
    if math.prod(found[:-3]) * found[-1] != 1:
        return Refusal("a stride over the batch or channels")
    return Refusal("a negative stride") if min(found) < 0 else None


def reverse(op: Op) -> Refusal | None:
    """The U55 and U65 reverse nothing."""
    axes = operand(op, "axes")
    none = axes is not None and axes.data is not None and axes.data.size == 0
    return None if none else Refusal("it reverses an axis")


def _swaps(op: Op) -> str | None:
    """Return how a permutation orders rows, columns and channels; None where it is another one."""
    perm = operand(op, "perm")
    x = op.inputs[0]
    if perm is None or perm.data is None or x is None:
        return None
    order = [int(p) % x.rank for p in perm.data.reshape(-1)]
    if any(p != i for i, p in enumerate(order[:-3])):
        return None
    names = dict(zip(range(x.rank - 1, -1, -1), "CWH", strict=False))
    word = "".join(names[p] for p in order[-3:])
    return "HWC"[: 3 - len(word)] + word


def transpose(op: Op) -> Refusal | None:
    """Sizes that the U55 and U65 permute."""
    x, swaps = op.inputs[0], _swaps(op)
    assert x is not None
    sizes = image(x)
    if x.dtype.itemsize > 2:
        return _transpose_wide(sizes, swaps)
    if swaps == "HWC":
        return None
    if swaps is not None and (x.rank <= 3 or math.prod(sizes[:-3]) == 1):
        large = max(sizes[-3:]) > MOST
        return Refusal("an axis of more than 65,536") if large else None
    whole = math.prod(sizes[-x.rank :])
    pairs = ((a, b) for i, a in enumerate(sizes) for b in sizes[i + 1 :])
    if whole and any(whole // (a * b) > MOST for a, b in pairs):
        return Refusal("all but two of its axes have more than 65,536 elements together")
    return None


def _transpose_wide(sizes: tuple[int, ...], swaps: str | None) -> Refusal | None:
    """Data of 32 bits are permuted inside of images only."""
    if len(sizes) > NHWC:
        return Refusal(f"int32 data of {len(sizes)} dimensions")
    batch, rows, columns, channels = sizes
    most = {
        "HWC": channels <= 1 << 15,
        "WHC": batch == 1 and max(rows, columns) <= MOST and channels <= 1 << 14,
        "HCW": batch * rows <= MOST and max(columns, channels) <= MOST,
    }
    if swaps not in most:
        return Refusal("int32 data in an order that it has not")
    return None if most[swaps] else Refusal("int32 data of too large an axis")


def gather(op: Op) -> Refusal | None:
    """A gather along the axis of its batches."""
    x = op.inputs[0]
    axis = int(option(op, "axis", 0))
    axis += 0 if axis >= 0 or x is None else x.rank
    same = axis == option(op, "batch_dims", 0)
    return None if same else Refusal("its axis is not that of its batches")


def scatter(op: Op) -> Refusal | None:
    """Indices of one number each, all different."""
    indices = operand(op, "indices")
    if indices is None or indices.data is None:
        return Refusal("its indices are computed at run time")
    if indices.shape[-1] != 1:
        return Refusal(f"indices of {indices.shape[-1]} numbers each")
    values = indices.data.reshape(-1)
    return Refusal("an index stands twice") if np.unique(values).size != values.size else None
