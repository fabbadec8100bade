"""The steps of which random graphs are made: TensorFlow's operators with their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from random_graphs import Array, Grower, Skip, Step, Value

UNARY: dict[str, Callable[[Array], Array]] = {
    "Relu": lambda x: np.maximum(x, 0),
    "Relu6": lambda x: np.clip(x, 0, 6),
    "Tanh": np.tanh,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Abs": np.abs,
    "Neg": np.negative,
    "Square": np.square,
    "Elu": lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Softmax": lambda x: _softmax(x),
}
WILD: dict[str, Callable[[Array], Array]] = {
    "Sin": np.sin,
    "Cos": np.cos,
    "Erf": lambda x: np.vectorize(math.erf, otypes=[np.float64])(x) if x.size else x,
    "LogSoftmax": lambda x: np.log(_softmax(x)),
    "Selu": lambda x: (
        1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), x)
    ),
}
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "AddV2": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Maximum": np.maximum,
    "Minimum": np.minimum,
    "SquaredDifference": lambda a, b: np.square(a - b),
}
REDUCTIONS = {"Sum": np.sum, "Mean": np.mean, "Max": np.max, "Min": np.min}


def _softmax(x: Array) -> Array:
    if not x.size:
        return x
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def unary(g: Grower) -> list[Value]:
    functions = UNARY if g.tame else UNARY | WILD
    op = sorted(functions)[g.rng.integers(len(functions))]
    x = g.pick(least=1 if "oftmax" in op else 0)
    return [g.node(op, [x], functions[op])]


def binary(g: Grower) -> list[Value]:
    x = g.pick()
    y = g.like(x)
    op = sorted(BINARY)[g.rng.integers(len(BINARY))]
    pair = [x, y] if g.flip(0.7) else [y, x]
    return [g.node(op, pair, BINARY[op])]


def integers(g: Grower) -> list[Value]:
    x = g.whole()
    op = ("AddV2", "Sub", "Mul", "Maximum", "Minimum")[g.rng.integers(5)]
    if max(int(np.abs(a).max(initial=0)) for a in x.arrays) > 10**4:
        raise Skip
    return [g.node(op, [x, g.like(x)], BINARY[op])]


def cast(g: Grower) -> list[Value]:
    x = g.whole()
    return [g.node("Cast", [x], lambda a: a.astype(np.float64), DstT=np.float32)]


def compare(g: Grower) -> list[Value]:
    """Choose among reals by a comparison of integers."""
    a, x = g.whole(), g.pick()
    less = g.node("Less", [a, g.like(a)], np.less)
    if len(less.shape) > len(x.shape) or less.shape != x.shape[len(x.shape) - len(less.shape) :]:
        raise Skip
    return [g.node("SelectV2", [less, x, g.like(x)], np.where)]


def reshape(g: Grower) -> list[Value]:
    x = g.pick()
    left, new = math.prod(x.shape), list[int]()
    if left == 0:
        raise Skip
    for _ in range(int(g.rng.integers(0, 4))):
        fits = [k for k in range(1, left + 1) if left % k == 0]
        new.append(fits[g.rng.integers(len(fits))])
        left //= new[-1]
    new.append(left)
    target = tuple(new)
    if g.flip(0.3):
        new[g.rng.integers(len(new))] = -1
    return [g.node("Reshape", [x, g.ints(*new)], lambda a, _: a.reshape(target))]


def transpose(g: Grower) -> list[Value]:
    x = g.pick(least=2)
    perm = [int(a) for a in g.rng.permutation(len(x.shape))]
    return [g.node("Transpose", [x, g.ints(*perm)], lambda a, _: a.transpose(perm))]


def expand(g: Grower) -> list[Value]:
    x = g.pick()
    axis = int(g.rng.integers(-len(x.shape) - 1, len(x.shape) + 1))
    at = g.constant(np.array(axis, np.int32))
    return [g.node("ExpandDims", [x, at], lambda a, _: np.expand_dims(a, axis))]


def squeeze(g: Grower) -> list[Value]:
    x = g.pick()
    ones = [axis for axis, d in enumerate(x.shape) if d == 1 and g.flip(0.7)]
    if not ones:
        raise Skip  # without names the rank may not be known before the model runs
    return [g.node("Squeeze", [x], lambda a: np.squeeze(a, tuple(ones)), squeeze_dims=ones)]


def tile(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    times = [int(n) for n in g.rng.integers(1 if g.flip(0.9) else 0, 3, len(x.shape))]
    return [g.node("Tile", [x, g.ints(*times)], lambda a, _: np.tile(a, times))]


def pad(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    pairs = [[int(n) for n in g.rng.integers(0, 3, 2)] for _ in x.shape]
    if g.flip(0.7):
        return [g.node("Pad", [x, g.ints(*pairs)], lambda a, _: np.pad(a, pairs))]
    symmetric = g.flip()
    limits = [max(0, d - (not symmetric)) for d in x.shape]
    pairs = [[min(n, most) for n in pair] for pair, most in zip(pairs, limits, strict=True)]
    kind = "symmetric" if symmetric else "reflect"
    if 0 in x.shape:
        raise Skip
    made = g.node(
        "MirrorPad", [x, g.ints(*pairs)], lambda a, _: np.pad(a, pairs, kind), mode=kind.upper()
    )
    return [made]


def cut(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    begin = [int(g.rng.integers(0, d + 1)) for d in x.shape]
    size = [
        int(g.rng.integers(0 if g.flip(0.1) else min(1, d - b), d - b + 1))
        for b, d in zip(begin, x.shape, strict=True)
    ]
    taken = tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))
    return [g.node("Slice", [x, g.ints(*begin), g.ints(*size)], lambda a, *_: a[taken])]


def stride(g: Grower) -> list[Value]:
    """Slice with steps and masks, as subscripts of Python do."""
    x = g.pick(least=1)
    keys, numbers, masks = list[Any](), list[list[int]](), {"begin_mask": 0, "end_mask": 0}
    shrink = 0
    for i, d in enumerate(x.shape):
        if d and g.flip(0.15):
            at = int(g.rng.integers(-d, d))
            keys.append(at)
            numbers.append([at, at + 1, 1])
            shrink |= 1 << i
            continue
        step = int(g.rng.choice([1, 1, 2, -1, -2]))
        first, last = (None if g.flip() else int(n) for n in g.rng.integers(-d - 1, d + 2, 2))
        keys.append(slice(first, last, step))
        numbers.append([first or 0, last or 0, step])
        masks["begin_mask"] |= (first is None) << i
        masks["end_mask"] |= (last is None) << i
    operands = [x, *(g.ints(*column) for column in zip(*numbers, strict=True))]
    taken = tuple(keys)
    made = g.node(
        "StridedSlice", operands, lambda a, *_: a[taken], shrink_axis_mask=shrink, **masks
    )
    return [made]


def concat(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    axis = int(g.rng.integers(len(x.shape)))
    parts = [x]
    for _ in range(int(g.rng.integers(1, 3))):
        shape = list(x.shape)
        shape[axis] = int(g.rng.integers(1, 4))
        parts.append(g.numbers(*shape))
    order = [parts[i] for i in g.rng.permutation(len(parts))]
    at = g.constant(np.array(axis, np.int32))
    made = g.node("ConcatV2", [*order, at], lambda *a: np.concatenate(a[:-1], axis), N=len(parts))
    return [made]


def split(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    axis = int(g.rng.integers(len(x.shape)))
    fits = [k for k in (2, 3, 4) if x.shape[axis] % k == 0]
    if not fits:
        raise Skip
    count = fits[g.rng.integers(len(fits))]
    at = g.constant(np.array(axis, np.int32))
    first = g.node("Split", [at, x], lambda _, a: np.split(a, count, axis)[0], num_split=count)
    rest = [
        Value(f"{first.name}:{i}", [np.split(a, count, axis)[i] for a in x.arrays])
        for i in range(1, count)
    ]
    return [first, *rest]


def pack(g: Grower) -> list[Value]:
    x = g.pick()
    axis = int(g.rng.integers(-len(x.shape) - 1, len(x.shape) + 1))
    parts = [x, g.like(x)]
    if parts[1].shape != x.shape:
        parts[1] = x
    return [g.node("Pack", parts, lambda *a: np.stack(a, axis), axis=axis, N=2)]


def unpack(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    axis = int(g.rng.integers(len(x.shape)))
    if not 0 < x.shape[axis] < 5:
        raise Skip
    first = g.node("Unpack", [x], lambda a: np.take(a, 0, axis), axis=axis, num=x.shape[axis])
    rest = [
        Value(f"{first.name}:{i}", [np.take(a, i, axis) for a in x.arrays])
        for i in range(1, x.shape[axis])
    ]
    return [first, *rest]


def reverse(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    axes = [int(a) for a in g.rng.permutation(len(x.shape))[: g.rng.integers(1, len(x.shape) + 1)]]
    return [g.node("ReverseV2", [x, g.ints(*axes)], lambda a, _: np.flip(a, axes))]


def gather(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    axis = int(g.rng.integers(len(x.shape)))
    if not x.shape[axis]:
        raise Skip
    shape = [int(n) for n in g.rng.integers(1, 4, int(g.rng.integers(0, 3)))]
    places = g.rng.integers(0, x.shape[axis], shape).astype(np.int32)
    at = g.constant(np.array(axis, np.int32))
    operands = [x, g.constant(places), at]
    return [g.node("GatherV2", operands, lambda a, i, _: np.take(a, i, axis))]


def reduce(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    op = sorted(REDUCTIONS)[g.rng.integers(len(REDUCTIONS))]
    axes = [int(a) for a in g.rng.permutation(len(x.shape))[: g.rng.integers(1, len(x.shape) + 1)]]
    if 0 in x.shape and op != "Sum":
        raise Skip  # not a number, or infinite
    keep = g.flip()
    return [
        g.node(
            op,
            [x, g.ints(*axes)],
            lambda a, _: REDUCTIONS[op](a, tuple(axes), keepdims=keep),
            keep_dims=keep,
        )
    ]


def cumsum(g: Grower) -> list[Value]:
    x = g.pick(least=1)
    axis = int(g.rng.integers(len(x.shape)))
    at = g.constant(np.array(axis, np.int32))
    return [g.node("Cumsum", [x, at], lambda a, _: np.cumsum(a, axis))]


def one_hot(g: Grower) -> list[Value]:
    x, depth = g.whole(), int(g.rng.integers(1, 6))
    if len(x.shape) > 4:
        raise Skip
    on, off = (g.numbers() for _ in range(2))
    size = g.constant(np.array(depth, np.int32))
    return [
        g.node(
            "OneHot",
            [x, size, on, off],
            lambda a, d, y, n: np.where(a[..., None] == np.arange(d), y, n),
            axis=-1,
        )
    ]


def matmul(g: Grower) -> list[Value]:
    x = g.pick(least=2)
    across = g.flip(0.3)
    k, o = x.shape[-1], int(g.rng.choice([1, 2, 3, 5]))
    w = g.numbers(*([o, k] if across else [k, o]))
    flip = {"transpose_b" if len(x.shape) == 2 else "adj_y": across}
    op = "MatMul" if len(x.shape) == 2 else "BatchMatMulV2"
    return [g.node(op, [x, w], lambda a, b: a @ (b.T if across else b), **flip)]


def attend(g: Grower) -> list[Value]:
    """Every row with every other one."""
    x = g.pick(least=3)
    made = g.node("BatchMatMulV2", [x, x], lambda a, b: a @ np.swapaxes(b, -1, -2), adj_y=True)
    return [made]


def _image(g: Grower) -> Value:
    x = g.pick()
    if len(x.shape) == 4 and 0 not in x.shape:
        return x
    count = math.prod(x.shape)
    if not count:
        raise Skip
    side = max(k for k in range(1, 9) if count % k == 0)
    target = (1, side, count // side, 1)
    return g.node("Reshape", [x, g.ints(*target)], lambda a, _: a.reshape(target))


def _windows(
    x: Array, kernel: Sequence[int], steps: Sequence[int], same: bool, fill: float
) -> Array:
    """Return [n, oh, ow, kh, kw, c]: what each window over `x: [n, h, w, c]` sees."""
    pairs = [(0, 0)]
    for size, k, s in zip(x.shape[1:3], kernel, steps, strict=True):
        total = max(0, (math.ceil(size / s) - 1) * s + k - size) if same else 0
        pairs.append((total // 2, total - total // 2))
    x = np.pad(x, [*pairs, (0, 0)], constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(x, tuple(kernel), (1, 2))
    return np.moveaxis(seen[:, :: steps[0], :: steps[1]], 3, -1)


def _window(g: Grower, x: Value) -> tuple[list[int], list[int], bool]:
    kernel = [int(n) for n in g.rng.integers(1, 4, 2)]
    same = g.flip() or any(k > d for k, d in zip(kernel, x.shape[1:3], strict=True))
    return kernel, [int(g.rng.choice([1, 1, 2]))] * 2, same


def conv(g: Grower) -> list[Value]:
    x = _image(g)
    kernel, steps, same = _window(g, x)
    depthwise, out = g.flip(0.3), int(g.rng.integers(1, 5))
    w = g.numbers(*kernel, x.shape[3], 1 if depthwise else out)

    def compute(a: Array, f: Array) -> Array:
        seen = _windows(a, kernel, steps, same, 0.0)
        if depthwise:
            return np.einsum("nhwijc,ijc->nhwc", seen, f[..., 0])
        return np.einsum("nhwijc,ijco->nhwo", seen, f)

    y = g.node(
        "DepthwiseConv2dNative" if depthwise else "Conv2D",
        [x, w],
        compute,
        strides=[1, *steps, 1],
        padding="SAME" if same else "VALID",
    )
    if g.flip():
        y = g.node("BiasAdd", [y, g.numbers(y.shape[3])], np.add)
    if g.flip(0.4):
        op = ("Relu", "Relu6", "Tanh")[g.rng.integers(3)]
        y = g.node(op, [y], UNARY[op])
    return [y]


def pool(g: Grower) -> list[Value]:
    x = _image(g)
    kernel, steps, same = _window(g, x)

    def largest(a: Array) -> Array:
        return _windows(a, kernel, steps, same, -np.inf).max((3, 4))

    def mean(a: Array) -> Array:
        total = _windows(a, kernel, steps, same, 0.0).sum((3, 4))
        return total / _windows(np.ones_like(a), kernel, steps, same, 0.0).sum((3, 4))

    op, function = ("MaxPool", largest) if g.flip() else ("AvgPool", mean)
    made = g.node(
        op,
        [x],
        function,
        ksize=[1, *kernel, 1],
        strides=[1, *steps, 1],
        padding="SAME" if same else "VALID",
    )
    return [made]


TAME: list[Step] = [
    *[unary] * 3, *[binary] * 4, *[conv] * 4, *[matmul] * 2, *[pool] * 2, *[reduce] * 2,
    reshape, transpose, expand, squeeze, tile, pad, cut, stride, concat, split, pack, unpack,
    reverse, gather,
]  # fmt: skip
MORE: list[Step] = [
    *[integers] * 3, cast, cast, compare, compare, cumsum, one_hot, one_hot, attend, stride, cut,
]  # fmt: skip
