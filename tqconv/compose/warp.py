"""Projective transformations of images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.compose.sampling import (
    FLOAT32,
    INT32,
    Pixels,
    clamped,
    inside,
    real,
    real_size,
    rounded,
)
from tqconv.compose.sizes import calculate, operand, reshaped, size_of, sizes_of
from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Tensor


def projected(
    b: Builder,
    images: Tensor,
    transforms: Tensor,
    size: Sequence[int],
    fill: Tensor,
    *,
    interpolation: str,
    fill_mode: str,
) -> Tensor:
    """Read each result (x, y) at ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k).

    images: [n, h, w, c]; transforms: [n or 1, (a0, a1, a2, b0, b1, b2, c0, c1)]; k = c0 x + c1 y +
    1. interpolation: NEAREST or BILINEAR; fill_mode, outside the image: CONSTANT (`fill`), NEAREST,
    REFLECT or WRAP.
    """
    image = Pixels.of(b, b.cast(images, FLOAT32))
    divisor, column, row = _source_places(b, transforms, size)
    y = sampled(
        b, image, images, row, column, fill, interpolation=interpolation, fill_mode=fill_mode
    )
    defined = reshaped(b, b("NOT_EQUAL", divisor, real(0)), [*sizes_of(b, divisor), 1])
    return b.cast(b("SELECT_V2", defined, y, fill), images.dtype)


def sampled(
    b: Builder,
    pixels: Pixels,
    images: Tensor,
    row: Tensor,
    column: Tensor,
    fill: Tensor,
    *,
    interpolation: str,
    fill_mode: str,
) -> Tensor:
    """Return float32 images read at real places: [n, *places, c], places [n or 1, h, w] in pixels.

    `pixels` are those of `images`; the modes are those of `projected`.
    """
    row = _mapped(b, row, real_size(b, pixels.height), fill_mode)
    column = _mapped(b, column, real_size(b, pixels.width), fill_mode)
    sample = {"NEAREST": _nearest, "BILINEAR": _bilinear}.get(interpolation)
    if sample is None:
        raise UnsupportedError(f"interpolation `{interpolation}` is not supported")
    return sample(b, pixels, _image_numbers(b, images), row, column, fill)


def _source_places(
    b: Builder, transforms: Tensor, size: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the divisor and the source's column and row of each result: [n or 1, h, w]."""
    b.pay(sum(size), "output_shape")
    x = np.arange(size[1], dtype=FLOAT32)[None, None, :]
    y = np.arange(size[0], dtype=FLOAT32)[None, :, None]
    count = size_of(b, transforms, 0)
    begin = [np.array([0, i], INT32) for i in range(8)]
    one = np.array([-1, 1], INT32)
    a = [reshaped(b, b("SLICE", transforms, at, one), [count, 1, 1]) for at in begin]
    divisor = _plane(b, a[6], a[7], b.const(1, FLOAT32, "one"), x, y)
    column, row = (_plane(b, a[i], a[i + 1], a[i + 2], x, y) for i in (0, 3))
    return divisor, b("DIV", column, divisor), b("DIV", row, divisor)


def _plane(
    b: Builder,
    along: Tensor,
    down: Tensor,
    shift: Tensor,
    x: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    y: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> Tensor:
    return b("ADD", b("ADD", b("MUL", along, x), b("MUL", down, y)), shift)


def _mapped(b: Builder, place: Tensor, size: Tensor, fill_mode: str) -> Tensor:
    """Bring places outside the image inside, as `fill_mode` says; CONSTANT leaves them."""
    last = b("SUB", size, real(1))
    if fill_mode == "CONSTANT":
        return place
    if fill_mode == "NEAREST":
        return clamped(b, place, last)
    if fill_mode == "REFLECT":
        return clamped(b, _reflected(b, place, size), last)
    if fill_mode == "WRAP":
        return clamped(b, _wrapped(b, place, size, last), last)
    raise UnsupportedError(f"fill_mode `{fill_mode}` is not supported")


def _reflected(b: Builder, place: Tensor, size: Tensor) -> Tensor:
    """Mirror at the edges, which count twice: d c b a | a b c d | d c b a."""
    period = b("MUL", size, real(2))
    turns = b("MUL", period, b("FLOOR", b("DIV", b("ABS", place), period)))
    above = b("SUB", place, turns)
    above = b("SELECT_V2", b("GREATER_EQUAL", above, size), _mirrored(b, period, above), above)
    below = b("ADD", place, turns)
    back = b("SUB", b("NEG", below), real(1))
    far = b("LESS", below, b("NEG", size))
    below = b("SELECT_V2", far, b("ADD", below, period), back)
    return _by_side(b, place, size, below, above)


def _mirrored(b: Builder, period: Tensor, place: Tensor) -> Tensor:
    return b("SUB", b("SUB", period, place), real(1))


def _wrapped(b: Builder, place: Tensor, size: Tensor, last: Tensor) -> Tensor:
    """Repeat the image: a b c d | a b c d | a b c d."""
    turns = b("FLOOR", b("DIV", b("ABS", place), last))
    above = b("SUB", place, b("MUL", size, turns))
    below = b("ADD", place, b("MUL", size, b("ADD", turns, real(1))))
    return _by_side(b, place, size, below, above)


def _by_side(b: Builder, place: Tensor, size: Tensor, below: Tensor, above: Tensor) -> Tensor:
    beyond = b("SELECT_V2", b("GREATER", place, b("SUB", size, real(1))), above, place)
    return b("SELECT_V2", b("LESS", place, real(0)), below, beyond)


def _image_numbers(b: Builder, images: Tensor) -> Tensor:
    count = size_of(b, images, 0)
    zero, one = np.array(0, INT32), np.array(1, INT32)
    return reshaped(b, b("RANGE", zero, operand(count), one), [count, 1, 1])


def _read(
    b: Builder, pixels: Pixels, image: Tensor, row: Tensor, column: Tensor, fill: Tensor
) -> Tensor:
    """Return the pixels at whole places, `fill` outside the image."""
    last = [real_size(b, calculate(b, "SUB", size, 1)) for size in (pixels.height, pixels.width)]
    within = [inside(b, at, end) for at, end in zip((row, column), last, strict=True)]
    seen = b("LOGICAL_AND", *within)
    places = [
        b.cast(clamped(b, at, end), INT32) for at, end in zip((row, column), last, strict=True)
    ]
    found = pixels.at(b, image, *places)
    return b("SELECT_V2", reshaped(b, seen, [*sizes_of(b, seen), 1]), found, fill)


def _nearest(
    b: Builder, pixels: Pixels, image: Tensor, row: Tensor, column: Tensor, fill: Tensor
) -> Tensor:
    return _read(b, pixels, image, rounded(b, row), rounded(b, column), fill)


def _bilinear(
    b: Builder, pixels: Pixels, image: Tensor, row: Tensor, column: Tensor, fill: Tensor
) -> Tensor:
    top, left = b("FLOOR", row), b("FLOOR", column)
    bottom, right = b("ADD", top, real(1)), b("ADD", left, real(1))
    shape = [*sizes_of(b, row), 1]
    weights = [
        reshaped(b, b("SUB", *pair), shape)
        for pair in ((right, column), (column, left), (bottom, row), (row, top))
    ]
    lines = []
    for line in (top, bottom):
        near = b("MUL", weights[0], _read(b, pixels, image, line, left, fill))
        far = b("MUL", weights[1], _read(b, pixels, image, line, right, fill))
        lines.append(b("ADD", near, far))
    return b("ADD", b("MUL", weights[2], lines[0]), b("MUL", weights[3], lines[1]))
