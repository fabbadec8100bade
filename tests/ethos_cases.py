"""Operators at the edges of what Arm's NPUs take, as graph text with seeded numbers."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import numpy as np

from tests.graph_text import parse
from tqconv.ir.graph import Model, Op, Tensor
from tqconv.ir.types import Quant
from tqconv.ops.table import spec

Draw = Callable[[random.Random, str], str]
ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def integers(text: str, kind: str = "int8") -> Model:
    """Return a graph of reals as a quantized file has it: data `kind`, weights int8, wide sums."""
    graph = parse(text)
    parts = {t: part for op in graph.ops for t, part in _parts(op)}
    for tensor in list(graph.tensors()):
        if tensor.dtype.name == "float32":
            _retype(tensor, parts.get(tensor, ""), kind)
    for op in graph.ops:
        rule = spec(op.type).quant
        if rule is not None and kind.upper() in rule.fixed and op.output.quant is not None:
            op.output.quant = Quant.per_tensor(*rule.fixed[kind.upper()])
    return Model([graph])


def _parts(op: Op) -> list[tuple[Tensor, str]]:
    rule, names = spec(op.type).quant, spec(op.type).operands.names
    named = [] if rule is None else zip(names, op.inputs, strict=False)
    bias, weight = ({}, {}) if rule is None else (rule.bias, rule.weight)
    return [
        (t, "bias" if n in bias else "weight")
        for n, t in named
        if t is not None and (n in bias or n in weight)
    ]


def _retype(tensor: Tensor, part: str, kind: str) -> None:
    wide = "int64" if kind == "int16" else "int32"
    name = {"bias": wide, "weight": "uint8" if kind == "uint8" else "int8"}.get(part, kind)
    zero = 128 if name == "uint8" else 0
    tensor.dtype = np.dtype(name)
    tensor.quant = Quant.per_tensor(0.25 if part == "bias" else 0.5, zero)
    if tensor.data is not None:
        tensor.data = (np.clip(np.rint(tensor.data * 20), -100, 100) + zero).astype(name)


def _sizes(draw: random.Random, few: int, most: int, of: tuple[int, ...]) -> list[int]:
    return [draw.choice(of) for _ in range(draw.randint(few, most))]


def _one(x: list[int], line: str) -> str:
    return f"x: f32{x} -> y\ny = {line}"


def conv(draw: random.Random, kind: str) -> str:
    """Strides, gaps, paddings and fused activations of a convolution."""
    del kind
    rows, columns, channels = (draw.choice(c) for c in ((5, 9, 16), (7, 9, 16), (1, 4, 8)))
    high, wide, filters = draw.choice((1, 2, 3, 5)), draw.choice((1, 3, 4, 7)), draw.choice((1, 5))
    gaps = draw.choice(((1, 1), (1, 1), (2, 2), (1, 3)))
    down, across = draw.choice((1, 2, 3, 4, 5)), draw.choice((1, 2, 3, 4, 7))
    if gaps != (1, 1) and draw.random() < 0.5:
        down = across = 1
    deep = draw.random() < 0.4
    name, kernel = ("DEPTHWISE_CONV_2D", [1, high, wide, channels * 2]) if deep else (
        "CONV_2D", [filters, high, wide, channels])  # fmt: skip
    padding = "SAME" if max(gaps) > 1 else draw.choice(("SAME", "VALID"))
    options = f"padding={padding}, stride_h={down}, stride_w={across}, "
    options += f"dilation_h_factor={gaps[0]}, dilation_w_factor={gaps[1]}, "
    options += f"fused_activation_function={draw.choice(ACTIVATIONS)}"
    options += ", depth_multiplier=2" if deep else ""
    x = [draw.choice((1, 1, 2)), rows, columns, channels]
    return _one(x, f"{name}(x, f32{kernel}, zeros[{kernel[3 if deep else 0]}]) {{{options}}}")


def pool(draw: random.Random, kind: str) -> str:
    """Windows that fit, that do not, and that are too large."""
    del kind
    name = draw.choice(("MAX_POOL_2D", "AVERAGE_POOL_2D"))
    rows, columns = draw.choice((4, 9, 16, 300)), draw.choice((4, 9, 16, 300))
    high = draw.choice([n for n in (1, 2, 4, 8, 9, 16, 257) if n <= rows])
    wide = draw.choice([n for n in (1, 2, 3, 8, 9, 16, 256) if n <= columns])
    options = f"filter_height={high}, filter_width={wide}, padding={draw.choice(('SAME', 'VALID'))}"
    steps = f"stride_h={draw.choice((1, 2, 3, 4, 9))}, stride_w={draw.choice((1, 2, 3, 5, 16))}"
    return _one([1, rows, columns, 2], f"{name}(x) {{{options}, {steps}}}")


def resize(draw: random.Random, kind: str) -> str:
    """Scales, alike or not, with and without aligned corners and half-pixel centers."""
    rows, columns, scale = draw.choice((1, 2, 3, 5)), draw.choice((1, 2, 4)), draw.choice((1, 2, 3))
    down, across = 2**scale, draw.choice((2**scale, 2**scale, scale, 1))
    aligned, half = draw.choice(((0, 0), (0, 0), (1, 0), (0, 1)))
    whole = [(rows - 1) * down + 1, (columns - 1) * across + 1]
    size = whole if aligned else [rows * down, columns * across]
    if draw.random() < 0.2:
        size = [rows, columns]
    nearest = draw.random() < 0.5 and kind != "int16"
    name = "RESIZE_NEAREST_NEIGHBOR" if nearest else "RESIZE_BILINEAR"
    options = f"align_corners={bool(aligned)}, half_pixel_centers={bool(half)}"
    if half and not nearest and size == [rows, columns]:
        size = [rows * 2, columns * 2]  # the compiler refuses this one without naming it
    return _one([1, rows, columns, 3], f"{name}(x, {size}) {{{options}}}")


def transpose(draw: random.Random, kind: str) -> str:
    """Orders of one to six dimensions, some of them large."""
    del kind
    rank = draw.randint(1, 6)
    sizes = [draw.choice((1, 2, 3, 300 if rank == 3 else 40)) for _ in range(rank)]
    if rank < 3 and draw.random() < 0.5:
        sizes[draw.randrange(rank)] = 70000
    order = draw.sample(range(rank), rank)
    if rank > 3 and draw.random() < 0.4:
        order = [*range(rank - 3), *(rank - 3 + i for i in draw.sample(range(3), 3))]
    wide = draw.random() < 0.3
    return f"x: {'i32' if wide else 'f32'}{sizes} -> y\ny = TRANSPOSE(x, {order})"


def strided(draw: random.Random, kind: str) -> str:
    """Steps over any axis, axes that are dropped, and backwards."""
    del kind
    sizes = _sizes(draw, 1, 5, (2, 3, 4, 9))
    begin = [draw.randint(0, size - 1) for size in sizes]
    end = [draw.randint(b + 1, size) for b, size in zip(begin, sizes, strict=True)]
    step = [draw.choice((1, 1, 1, 2)) for _ in sizes]
    axis = draw.randrange(len(sizes))
    masks = ""
    if draw.random() < 0.2:
        begin[axis], end[axis], step[axis] = sizes[axis] - 1, 0, -1
    elif draw.random() < 0.3:
        step[axis], masks = 1, f" {{shrink_axis_mask={1 << axis}}}"
    return _one(sizes, f"STRIDED_SLICE(x, {begin}, {end}, {step}){masks}")


def reduced(draw: random.Random, kind: str) -> str:
    """Axes of a mean, short and long ones, from either end."""
    del kind
    sizes = _sizes(draw, 1, 5, (1, 1, 2, 3, 5))
    axes = sorted(draw.sample(range(len(sizes)), draw.randint(1, len(sizes))))
    if len(sizes) < 3:
        sizes[-1] = draw.choice((5, 4096, 4097))
    named = [axis - len(sizes) if draw.random() < 0.3 else axis for axis in axes]
    name = draw.choice(("MEAN", "MEAN", "MEAN", "SUM", "REDUCE_MAX"))
    return _one(sizes, f"{name}(x, {named}) {{keep_dims={draw.random() < 0.5}}}")


def binary(draw: random.Random, kind: str) -> str:
    """Two operands, one of them spread, of the data's type or of 32 bits."""
    wide = kind != "uint8" and draw.random() < 0.2
    sizes = _sizes(draw, 1, 4, (1, 2, 3, 5))
    spread = 0.3 if kind != "int16" else 0  # which LiteRT spreads in some steps only
    other = [size if draw.random() >= spread else 1 for size in sizes]
    name = draw.choice(("ADD", "SUB", "MUL") if wide else ("ADD", "SUB", "MUL", "MAXIMUM"))
    fused = draw.choice(ACTIVATIONS) if name != "MAXIMUM" else "NONE"
    options = "" if name == "MAXIMUM" else f" {{fused_activation_function={fused}}}"
    word = "i32" if wide else "f32"
    return f"x: {word}{sizes}, z: {word}{other} -> y\ny = {name}(x, z){options}"


def unary(draw: random.Random, kind: str) -> str:
    """Functions of one number."""
    names = ["RELU", "RELU6", "LEAKY_RELU", "TANH", "LOGISTIC", "SOFTMAX"]
    if kind != "int16":
        names.append("RELU_0_TO_1")
    if kind == "int8":
        names += ["ABS", "EXP", "LOG", "RSQRT", "ELU", "GELU", "HARD_SWISH", "LOG_SOFTMAX"]
    return _one(_sizes(draw, 1, 4, (1, 2, 3)), f"{draw.choice(names)}(x)")


def dense(draw: random.Random, kind: str) -> str:
    """A dense layer; its weights or its bias may be computed."""
    terms, filters = draw.choice((1, 8, 300)), draw.choice((1, 5))
    computed = kind == "int8" and draw.random() < 0.3
    weights = "w" if computed else f"f32[{filters},{terms}]"
    left = f"x: f32[2,{terms}]" + (f", w: f32[{filters},{terms}]" if computed else "")
    bias = draw.choice(("_", f"zeros[{filters}]"))
    return f"{left} -> y\ny = FULLY_CONNECTED(x, {weights}, {bias})"


def moved(draw: random.Random, kind: str) -> str:
    """Operators that move elements."""
    del kind
    sizes = [2, 4, 2, 3][draw.randint(0, 2) :]
    line = draw.choice(
        (
            f"REVERSE_V2(x, [{draw.randrange(len(sizes))}])",
            f"GATHER(x, [0,1]) {{axis={draw.choice((0, 1, -len(sizes)))}}}",
            f"TILE(x, {[2] * len(sizes)})",
            f"EXPAND_DIMS(x, [{draw.randint(0, len(sizes))}])",
            "CONCATENATION(x, x) {axis=0}",
            "PACK(x, x) {axis=1, values_count=2}",
            f"PAD(x, {[[1, 0]] * len(sizes)})",
            f"SLICE(x, {[0] * len(sizes)}, {[1] * len(sizes)})",
            f"BROADCAST_TO(x, {sizes})",
        )
    )
    return _one(sizes, line)


def dilated(draw: random.Random, kind: str) -> str:
    """A convolution between a change to batches and back, and what spoils the pair."""
    del kind
    block, step = draw.choice((2, 4)), draw.choice((1, 1, 1, 4))
    options = f"padding=SAME, stride_h={step}, stride_w={step}"
    last = draw.choice(("c", "c", "c", "RELU(c)"))
    lines = [
        f"a = SPACE_TO_BATCH_ND(x, [{block},{block}], [[0,0],[0,0]])",
        f"c = CONV_2D(a, f32[4,3,3,4], zeros[4]) {{{options}}}",
        *([f"d = {last}"] if last != "c" else []),
        f"y = BATCH_TO_SPACE_ND({'c' if last == 'c' else 'd'}, [{block},{block}], [[0,0],[0,0]])",
    ]
    return "x: f32[1,8,8,4] -> y\n" + "\n".join(lines)


DRAWN: tuple[Draw, ...] = (
    conv, pool, resize, transpose, strided, reduced, binary, unary, dense, moved, dilated
)  # fmt: skip


def joined(texts: list[str]) -> str:
    """Return graph texts as one of graphs that do not meet; names are single letters."""
    heads, outputs, lines = [], [], []
    for index, text in enumerate(texts):
        own = re.sub(
            r"\b([a-z])\b", rf"\g<1>{index}", re.sub(r"(?<=[\d\]]), (?=[-\d\[])", ",", text)
        )
        head, *body = own.splitlines()
        left, _, right = head.partition(" -> ")
        heads.append(left)
        outputs.append(right)
        lines += body
    return "\n".join([f"{', '.join(heads)} -> {', '.join(outputs)}", *lines])


def drawn(seed: int, kind: str, count: int) -> str:
    """Return graph text of `count` graphs of each sort."""
    draw = random.Random(seed)
    return joined([sort(draw, kind) for sort in DRAWN for _ in range(count)])
