"""Random damage to files: bytes of any, fields of messages, numbers and lines of text."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from damaged_trees import retold

EDGES = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WIDE = (*EDGES, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 10**9, 1 << 29)
WORDS = (
    b"-1",
    b"1e999",
    b"nan",
    b'""',
    b"{",
    b"}",
    b"[" * 3000,
    b"null",
    b"true",
    b"9" * 30,
    b"\\xff",
)
TEXTS = (b"", b"^x", b":0", b"x:99", b"..", b"\0", "\u4e2d".encode(), b"A" * 70_000, b"`%s{}`\n")

Field = tuple[int, int, "int | bytes | list[Field]"]
"""Number, wire type and value of a field; of a submessage its fields."""


def mutated(data: bytes, rng: random.Random, others: Sequence[bytes], *, text: bool) -> bytes:
    """Return damaged data; `others`: files of the same kind, of which pieces are taken."""
    if not text and rng.random() < 0.6:
        told = retold(data, rng)
        if told is not None:
            return told
        message = fields(data)
        if message:
            return encoded(_damaged(message, rng))
    changed = bytearray(data)
    steps = TEXT_STEPS if text else BYTE_STEPS
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if changed:
            rng.choice(steps)(changed, rng, others)
    return bytes(changed)


def _bit(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _number(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Put an edge of 1, 2, 4 or 8 bytes at an aligned place."""
    size = rng.choice((1, 2, 4, 4, 8))
    at = rng.randrange(len(data)) // size * size
    value = rng.choice(WIDE) & ((1 << 8 * size) - 1)
    data[at : at + size] = value.to_bytes(size, "little")[: len(data) - at]


def _nudge(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(len(data)) // 4 * 4
    value = int.from_bytes(data[at : at + 4], "little") + rng.randint(-16, 16)
    data[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")[: len(data) - at]


def _cut(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 16, 100, len(data)))]


def _repeat(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.choice((1, 4, 32))] * rng.choice((1, 1, 100))


def _splice(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    start, at = rng.randrange(len(other) or 1), rng.randrange(len(data))
    piece = other[start : start + rng.choice((4, 16, 256, 4096))]
    data[at : at + (len(piece) if rng.random() < 0.5 else 0)] = piece


def _digits(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    """Put another number in the place of one that is written out."""
    start = rng.randrange(len(data))
    while start < len(data) and not chr(data[start]).isdigit():
        start += 1
    end = start
    while end < len(data) and chr(data[end]).isdigit():
        end += 1
    data[start:end] = str(rng.choice((*WIDE, -1, -(1 << 31), 1.5, "1e308"))).encode()


def _word(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    at = rng.randrange(len(data))
    data[at : at + rng.randrange(3)] = rng.choice(WORDS)


def _lines(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    lines = bytes(data).split(b"\n")
    at, taken = rng.randrange(len(lines)), lines[rng.randrange(len(lines))]
    lines[at : at + rng.randrange(2)] = [taken] * rng.choice((0, 1, 2, 50))
    data[:] = b"\n".join(lines)


Step = Callable[[bytearray, random.Random, Sequence[bytes]], None]
BYTE_STEPS: Sequence[Step] = (_bit, _bit, _number, _number, _nudge, _cut, _repeat, _splice)
TEXT_STEPS: Sequence[Step] = (*BYTE_STEPS, _digits, _digits, _word, _word, _lines, _lines)


def fields(data: bytes, depth: int = 0) -> list[Field] | None:
    """Return a protobuf message as its fields, or None where the bytes are none."""
    found: list[Field] = []
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            number, kind = tag >> 3, tag & 7
            if not number or kind not in (0, 1, 2, 5):
                return None
            if kind == 0:
                value, at = _varint(data, at)
                found.append((number, kind, value))
                continue
            size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
            piece = data[at : at + size]
            if len(piece) != size:
                return None
            at += size
            inner = fields(piece, depth + 1) if kind == 2 and size > 1 and depth < 9 else None
            found.append((number, kind, inner or piece))
    except IndexError:
        return None
    return found


def encoded(message: Sequence[Field]) -> bytes:
    """Return the bytes of a message; the inverse of `fields`."""
    result = bytearray()
    for number, kind, value in message:
        result += _as_varint(number << 3 | kind)
        if isinstance(value, int):
            result += _as_varint(value)
            continue
        piece = encoded(value) if isinstance(value, list) else value
        result += (_as_varint(len(piece)) if kind == 2 else b"") + piece
    return bytes(result)


def _damaged(message: list[Field], rng: random.Random) -> list[Field]:
    """Return a message after one to three changes, in which it stays well formed."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places: list[tuple[list[Field], int]] = []
        _collect(message, places)
        if not places:
            return message
        inside, index = rng.choice(places)
        number, kind, value = inside[index]
        how = rng.randrange(8)
        if how == 0:
            del inside[index]
        elif how == 1:
            inside.insert(index, inside[index])
        elif how == 2:
            other, place = rng.choice(places)
            _, kind, value = other[place]  # as bytes: a message is never inside of itself
            inside[index] = (number, kind, encoded(value) if isinstance(value, list) else value)
        elif how == 3:
            inside[index] = (max(1, number + rng.choice((-1, 1))), kind, value)
        else:
            inside[index] = (number, kind, _other(value, rng))
    return message


def _collect(message: list[Field], places: list[tuple[list[Field], int]]) -> None:
    for index, field in enumerate(message):
        places.append((message, index))
        if isinstance(field[2], list):
            _collect(field[2], places)


def _other(value: int | bytes | list[Field], rng: random.Random) -> int | bytes | list[Field]:
    if isinstance(value, int):
        return rng.choice((*WIDE, value + 1, max(value - 1, 0), rng.randrange(30)))
    if isinstance(value, list):
        return rng.sample(value, len(value))
    if len(value) in (4, 8) and rng.random() < 0.5:
        return rng.choice((bytes(8), b"\xff" * 8, b"\0\0\xc0\x7f" * 2, rng.randbytes(8)))[
            : len(value)
        ]
    return rng.choice((*TEXTS, value[: len(value) // 2], value * 3, rng.randbytes(len(value))))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise IndexError


def _as_varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])
