"""Checkpoints as TensorFlow writes them, from the facts of the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from graphs import shape, type_number
from numpy.typing import NDArray

from tqconv.schema import proto

MAGIC = 0xDB4775248B80FB57


def varint(value: int) -> bytes:
    """Return seven bits per byte, lowest first; the high bit says that more follow."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Return a block whose keys share what they can with the key before, and its trailer."""
    result, before = b"", b""
    for key, value in entries:
        pairs = zip(key, before, strict=False)
        shared = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        shared = min(len(key), len(before)) if shared is None else shared
        rest = key[shared:]
        result += varint(shared) + varint(len(rest)) + varint(len(value)) + rest + value
        before = key
    restarts = (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    content = result + restarts + b"\0"
    return content + masked(google_crc32c.value(content)).to_bytes(4, "little")


def masked(crc: int) -> int:
    """Return a checksum as TensorFlow stores it: rotated right by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def table(entries: list[tuple[bytes, bytes]], per_block: int = 3) -> bytes:
    """Return a sorted string table."""
    content, index = b"", []
    for start in range(0, len(entries), per_block):
        part = entries[start : start + per_block]
        made = block(part)
        index.append((part[-1][0], varint(len(content)) + varint(len(made) - 5)))
        content += made
    handle = varint(len(content)) + varint(len(block([])) - 5)
    content += block([])
    root = block(index)
    handle += varint(len(content)) + varint(len(root) - 5)
    return content + root + handle.ljust(40, b"\0") + MAGIC.to_bytes(8, "little")


def save(prefix: Path, tensors: Mapping[str, NDArray[Any]], big_endian: bool = False) -> None:
    """Write `prefix.index` and its data file."""
    messages = proto.messages()
    header = messages.BundleHeaderProto(num_shards=1, endianness=int(big_endian))
    entries, data = {b"": header.SerializeToString()}, b""
    for name, array in tensors.items():
        stored = array.astype(array.dtype.newbyteorder(">" if big_endian else "<"))
        content = packed(array) if array.dtype == np.object_ else stored.tobytes()
        is_text = array.dtype == np.object_
        entry = messages.BundleEntryProto(
            dtype=type_number(array.dtype),
            offset=len(data),
            size=len(content),
            crc32c=masked(text_crc(array) if is_text else google_crc32c.value(content)),
        )
        entry.shape.CopyFrom(shape(array.shape))
        entries[name.encode()] = entry.SerializeToString()
        data += content
    write(prefix, sorted(entries.items()), data)


def save_slices(prefix: Path, name: str, parts: list[tuple[bytes, NDArray[Any]]]) -> None:
    """Write a matrix whose rows are stored in parts; each comes with its key in the index."""
    messages = proto.messages()
    whole = messages.BundleEntryProto(dtype=1)
    whole.shape.CopyFrom(shape((sum(len(p) for _, p in parts), parts[0][1].shape[1])))
    entries = {b"": messages.BundleHeaderProto(num_shards=1).SerializeToString()}
    data, start = b"", 0
    for key, part in parts:
        extents = whole.slices.add()
        extents.extent.add(start=start, length=len(part))
        extents.extent.add()
        crc = masked(google_crc32c.value(part.tobytes()))
        entry = messages.BundleEntryProto(dtype=1, offset=len(data), size=part.nbytes, crc32c=crc)
        entry.shape.CopyFrom(shape(part.shape))
        entries[key] = entry.SerializeToString()
        data += part.tobytes()
        start += len(part)
    entries[name.encode()] = whole.SerializeToString()
    write(prefix, sorted(entries.items()), data)


def write(prefix: Path, entries: list[tuple[bytes, bytes]], data: bytes) -> None:
    """Write the two files of a checkpoint."""
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)


def packed(strings: NDArray[Any]) -> bytes:
    """Return lengths, a checksum, and the characters."""
    flat = strings.reshape(-1).tolist()
    lengths = b"".join(len(s).to_bytes(4, "little") for s in flat)
    check = masked(google_crc32c.value(lengths)).to_bytes(4, "little")
    return b"".join(varint(len(s)) for s in flat) + check + b"".join(flat)


def text_crc(strings: NDArray[Any]) -> int:
    """Return the checksum of strings: lengths of 4 bytes, their checksum, the characters."""
    flat = strings.reshape(-1).tolist()
    lengths = b"".join(len(s).to_bytes(4, "little") for s in flat)
    check = masked(google_crc32c.value(lengths)).to_bytes(4, "little")
    return int(google_crc32c.value(lengths + check + b"".join(flat)))
