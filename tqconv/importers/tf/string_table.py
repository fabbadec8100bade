"""Sorted string tables, the files of a checkpoint's index, and the checksums that go with them.

Blocks hold entries whose keys share prefixes; one block lists the blocks; a footer of 48 bytes says
where that is.
"""

from __future__ import annotations

from collections.abc import Iterator

from tqconv.errors import FormatError, first_line

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
TRAILER = 5
"""Behind every block: one byte that names the compression, and a checksum."""
VARINT_BYTES = 10
MASK_DELTA = 0xA282EAD8
"""Added to a rotated checksum, so that checksums of checksums differ (TensorFlow's crc32c.h)."""
SNAPPY = 1
"""The compression of a block that is compressed."""
CHUNK = 1 << 20
"""Bytes that are copied at once to compute their checksum."""
SNAPPY_RATIO = 64
"""A copy of 64 bytes takes three at least: no block grows by more."""


def table_entries(content: memoryview, what: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a sorted string table in order; FormatError when it is none."""
    if len(content) < FOOTER or int.from_bytes(content[-8:], "little") != MAGIC:
        raise FormatError(f"{what} is not the index of a checkpoint", hint="is it complete?")
    footer = content[-FOOTER:-8]
    _, _, start = _handle(footer, 0, what)
    offset, size, _ = _handle(footer, start, what)
    for _, handle in _block(content, offset, size, what):
        offset, size, _ = _handle(memoryview(handle), 0, what)
        yield from _block(content, offset, size, what)


def crc_of(content: memoryview | bytes, start: int = 0) -> int:
    """Return the CRC-32C of bytes; `start`: that of what is before them."""
    import google_crc32c

    crc = start
    for begin in range(0, len(content), CHUNK):
        crc = google_crc32c.extend(crc, bytes(content[begin : begin + CHUNK]))
    return int(crc)


def masked_crc(content: memoryview | bytes, start: int = 0) -> int:
    """Return the checksum that TensorFlow stores beside bytes; `start`: see `crc_of`."""
    return mask(crc_of(content, start))


def mask(crc: int) -> int:
    """Return a CRC-32C as it is stored: rotated by 15 bits, plus a constant."""
    return (((crc >> 15) | (crc << 17)) + MASK_DELTA) & 0xFFFFFFFF


def varint(content: memoryview, position: int, what: str) -> tuple[int, int]:
    """Return a number of at most 10 bytes at a position, and the position behind it."""
    value = 0
    for i in range(VARINT_BYTES):
        if position + i >= len(content):
            break
        byte = content[position + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, position + i + 1
    raise FormatError(f"{what} has a damaged number")


def _handle(content: memoryview, position: int, what: str) -> tuple[int, int, int]:
    """Return offset and size of a block, and where the handle ends."""
    offset, position = varint(content, position, what)
    size, position = varint(content, position, what)
    return offset, size, position


def _block(content: memoryview, offset: int, size: int, what: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block; a key repeats the start of the one before."""
    if offset + size + TRAILER > len(content) or size < 4:
        raise FormatError(f"{what} has a block outside of the file")
    stored = int.from_bytes(content[offset + size + 1 : offset + size + TRAILER], "little")
    if masked_crc(content[offset : offset + size + 1]) != stored:
        raise FormatError(
            f"{what} is damaged: a block has another checksum", hint="copy or download it again"
        )
    block = _unpacked(content[offset : offset + size], content[offset + size], what)
    size = len(block)
    if size < 4:
        raise FormatError(f"{what} has a damaged block")
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restarts
    if end < 0:
        raise FormatError(f"{what} has a damaged block")
    key, position = b"", 0
    while position < end:
        shared, position = varint(block, position, what)
        rest, position = varint(block, position, what)
        length, position = varint(block, position, what)
        if shared > len(key) or position + rest + length > end:
            raise FormatError(f"{what} has a damaged block")
        key = key[:shared] + bytes(block[position : position + rest])
        position += rest
        yield key, bytes(block[position : position + length])
        position += length


def _unpacked(block: memoryview, kind: int, what: str) -> memoryview:
    """Return the content of a block that may be compressed; its true size stands first."""
    if kind == 0:
        return block
    if kind != SNAPPY:
        raise FormatError(f"{what} is compressed in a way ({kind}) that tables do not have")
    size, _ = varint(block, 0, what)
    if size > SNAPPY_RATIO * len(block):
        raise FormatError(f"{what} has a block that claims {size} bytes")
    import cramjam

    try:
        return memoryview(bytes(cramjam.snappy.decompress_raw(bytes(block))))
    except cramjam.DecompressionError as error:
        raise FormatError(f"{what} has a damaged block: {first_line(error)}") from error
