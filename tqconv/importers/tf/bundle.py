"""TensorBundle checkpoints: `PREFIX.index` and `PREFIX.data-00000-of-00001`.

The index is a sorted string table: blocks of entries whose keys share prefixes, a block that lists
the blocks, and a footer of 48 bytes. Its values are BundleEntryProto messages that point into the
data files.
"""

from __future__ import annotations

import glob
import math
import mmap
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError, UsageError, counted, suggestion
from tqconv.importers.tf.node import BFLOAT16, decode_shape, dtype_of
from tqconv.importers.tf.string_table import (
    VARINT_BYTES,
    crc_of,
    mask,
    masked_crc,
    table_entries,
    varint,
)
from tqconv.ir.types import STRING
from tqconv.records import dataclass
from tqconv.schema import proto

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key of the object graph that TF2 checkpoints carry: names of variables -> keys."""
VARIABLE_VALUE = "VARIABLE_VALUE"
"""The attribute of an object that is a variable's value."""


@dataclass
class Bundle:
    """An open checkpoint; tensors are read when they are asked for."""

    prefix: Path
    entries: Mapping[str, Any]
    shards: int
    big_endian: bool
    _files: dict[int, memoryview] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.entries

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; FormatError when it is not fully known."""
        shape = decode_shape(self._entry(name).shape)
        if shape is None or any(d is None for d in shape):
            raise FormatError(f"'{name}' in {self.prefix} has no known shape")
        return tuple(int(d) for d in shape if d is not None)

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor as an array, joining the slices of a partitioned variable.

        Raises UsageError when there is no such name, FormatError when the files do not fit.
        """
        entry = self._entry(name)
        if not len(entry.slices):
            return self._read_whole(name, entry)
        shape = self.shape(name)
        parts = self.slices(name)
        pieces = [self.read_slice(name, extents) for extents in parts]
        if sum(piece.size for piece in pieces) != math.prod(shape):
            raise FormatError(f"the slices of '{name}' in {self.prefix} do not fill it")
        whole = np.zeros(shape, dtype_of(entry.dtype))
        for extents, piece in zip(parts, pieces, strict=True):
            place = tuple(slice(s, s + n if n >= 0 else None) for s, n in extents)
            if len(place) != whole.ndim or whole[place].shape != piece.shape:
                raise FormatError(f"a slice of '{name}' in {self.prefix} does not fit into it")
            whole[place] = piece
        return whole

    def read_slice(self, name: str, extents: list[tuple[int, int]]) -> NDArray[Any]:
        """Return a slice of a partitioned variable; extents: (start, length or -1) each."""
        key = slice_key(name, extents)
        return self._read_whole(f"a slice of {name}", self._entry(key, name))

    def part(self, name: str, extents: list[tuple[int, int]]) -> NDArray[Any]:
        """Return a part of a tensor, whether it is stored as that slice or otherwise."""
        if slice_key(name, extents) in self.entries:
            return self.read_slice(name, extents)
        whole = self.read(name)
        place = tuple(slice(s, s + n if n >= 0 else None) for s, n in extents)
        if len(place) != whole.ndim:
            raise FormatError(
                f"'{name}' in {self.prefix} has no slice of {counted(len(place), 'dimension')}"
            )
        return whole[place]

    def slices(self, name: str) -> list[list[tuple[int, int]]]:
        """Return the slices that a partitioned variable is stored in, in their order."""
        parts = self._entry(name).slices
        return sorted(
            [(e.start, e.length if e.WhichOneof("has_length") else -1) for e in part.extent]
            for part in parts
        )

    def _entry(self, name: str, shown: str | None = None) -> Any:
        entry = self.entries.get(name)
        if entry is None:
            shown = name if shown is None else shown
            raise UsageError(
                f"the checkpoint {self.prefix} has no `{shown}`{suggestion(shown, self.entries)}"
            )
        return entry

    def _read_whole(self, name: str, entry: Any) -> NDArray[Any]:
        shape = decode_shape(entry.shape)
        if shape is None or any(d is None for d in shape):
            raise FormatError(f"'{name}' in {self.prefix} has no known shape")
        dims = tuple(int(d) for d in shape if d is not None)
        count = math.prod(dims)
        content = self._content(name, entry)
        if dtype_of(entry.dtype) == STRING:
            values, crc = strings(content, count)
            self._check(name, entry, crc)
            return values.reshape(dims)
        self._check(name, entry, masked_crc(content))
        stored = _stored(entry.dtype)
        if len(content) != count * stored.itemsize:
            raise FormatError(
                f"'{name}' in {self.prefix} has {counted(len(content), 'byte')} for "
                f"{counted(count, 'element')}"
            )
        order: Literal[">", "<"] = ">" if self.big_endian else "<"
        array = np.frombuffer(content, stored.newbyteorder(order)).astype(stored, copy=False)
        if entry.dtype == BFLOAT16:
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array.reshape(dims)

    def _check(self, name: str, entry: Any, crc: int) -> None:
        if entry.crc32c and crc != entry.crc32c:
            raise FormatError(
                f"'{name}' in {self.prefix} is damaged: its checksum is {crc:08x}, "
                f"the index says {entry.crc32c:08x}",
                hint="copy or download the checkpoint again",
            )

    def _content(self, name: str, entry: Any) -> memoryview:
        if not 0 <= entry.shard_id < self.shards:
            raise FormatError(f"'{name}' is in part {entry.shard_id} of {self.shards}")
        data = self._files.get(entry.shard_id)
        if data is None:
            path = shard_path(self.prefix, entry.shard_id, self.shards)
            data = self._files[entry.shard_id] = _map(path)
        if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > len(data):
            raise FormatError(
                f"'{name}' lies outside of its data file of {counted(len(data), 'byte')}"
            )
        return data[entry.offset : entry.offset + entry.size]


def open_bundle(prefix: str | Path) -> Bundle:
    """Open the checkpoint that a prefix, one of its files, or its folder names.

    Raises UsageError when there is none, FormatError when the index is damaged.
    """
    path = find_prefix(Path(prefix))
    content = _map(path.with_name(f"{path.name}.index"))
    entries: dict[str, Any] = {}
    header = proto.messages().BundleHeaderProto()
    for key, value in table_entries(content, f"{path.name}.index"):
        if not key:
            header = proto.parse_binary(type(header), value, f"the header of {path.name}.index")
            continue
        message = proto.messages().BundleEntryProto
        name = key.decode("utf-8", "surrogateescape")
        entries[name] = proto.parse_binary(message, value, f"entry '{name}' of {path.name}.index")
    if header.num_shards < 1:
        raise FormatError(f"{path.name}.index has no header")
    return Bundle(path, entries, header.num_shards, header.endianness == 1)


def find_prefix(path: Path) -> Path:
    """Return the prefix of a checkpoint's files; UsageError when there is no index."""
    path = _prefix(_latest(path) if path.is_dir() else path)
    if path.with_name(f"{path.name}.index").is_file():
        return path
    if path.is_file():
        raise UsageError(
            f"{path} is no checkpoint of the format V2",
            hint="load and save it once with tf.train.Saver(write_version=2)",
        )
    raise UsageError(
        f"there is no checkpoint {path}", hint=f"its files start with that: {path.name}.index, …"
    )


def _prefix(path: Path) -> Path:
    """Return the prefix that one of a checkpoint's files has; another path as it is."""
    name = path.name
    for ending in (".index", ".meta"):
        name = name.removesuffix(ending)
    return path.with_name(name[: name.rindex(".data-")] if ".data-" in name else name)


def files_of(path: Path) -> list[Path]:
    """Return the files of a checkpoint, named in any way that `find_prefix` understands."""
    start = "*" if path.is_dir() else glob.escape(_prefix(path).name)
    folder = path if path.is_dir() else path.parent
    found = [folder / "checkpoint"]
    for ending in (".index", ".meta", ".data-*"):
        found += folder.glob(start + ending)
    return found


def shard_path(prefix: Path, number: int, count: int) -> Path:
    """Return the path of a data file."""
    return prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{count:05d}")


def variable_names(bundle: Bundle) -> dict[str, str]:
    """Return the keys of a TF2 checkpoint's variables by the names that the graph has for them."""
    graph = _object_graph(bundle)
    nodes = () if graph is None else graph.nodes
    return {a.full_name: a.checkpoint_key for n in nodes for a in n.attributes if a.full_name}


def _object_graph(bundle: Bundle) -> Any:
    if OBJECT_GRAPH not in bundle:
        return None
    content = bundle.read(OBJECT_GRAPH)
    if content.dtype != STRING or content.size != 1:
        raise FormatError(f"the object graph in {bundle.prefix} is not one string")
    message = proto.messages().TrackableObjectGraph
    what = f"the object graph of {bundle.prefix}"
    return proto.parse_binary(message, content.reshape(-1)[0], what)


def object_keys(bundle: Bundle) -> dict[int, str]:
    """Return the keys of a TF2 checkpoint's variables by the number of their object."""
    graph = _object_graph(bundle)
    nodes = () if graph is None else graph.nodes
    return {
        index: attribute.checkpoint_key
        for index, node in enumerate(nodes)
        for attribute in node.attributes
        if attribute.name == VARIABLE_VALUE
    }


def slice_key(name: str, extents: list[tuple[int, int]]) -> str:
    """Return the key of a slice in the index (TensorFlow's ordered code of name and extents)."""
    escapes = {0: b"\x00\xff", 255: b"\xff\x00"}
    text = name.encode("utf-8", "surrogateescape")
    escaped = b"".join(escapes.get(byte, bytes([byte])) for byte in text)
    code = _unsigned(0) + escaped + b"\x00\x01" + _unsigned(len(extents))
    for start, length in extents:
        code += _signed(start) + _signed(length)
    return code.decode("utf-8", "surrogateescape")


def strings(content: memoryview, count: int) -> tuple[NDArray[Any], int]:
    """Return `count` strings and their checksum: lengths, a checksum of these, characters.

    The checksum covers lengths as numbers of 4 bytes (8 where they need it), not as they are
    stored.
    """
    lengths, position = [], 0
    for _ in range(count):
        length, position = varint(content, position, "a string tensor")
        lengths.append(length)
    widths = ((n, 4 if n < 1 << 32 else 8) for n in lengths)
    crc = crc_of(b"".join(n.to_bytes(w, "little") for n, w in widths))
    crc = crc_of(mask(crc).to_bytes(4, "little"), crc)
    position += 4
    if position + sum(lengths) != len(content):
        raise FormatError(
            f"a tensor of {counted(count, 'string')} has {counted(len(content), 'byte')}"
        )
    array = np.empty(count, object)
    for i, length in enumerate(lengths):
        array[i] = bytes(content[position : position + length])
        position += length
    return array, masked_crc(content[len(content) - sum(lengths) :], crc)


def _latest(folder: Path) -> Path:
    """Return the prefix that the file `checkpoint` of a folder names."""
    listing = folder / "checkpoint"
    if not listing.is_file():
        found = sorted(folder.glob("*.index"))
        if len(found) != 1:
            raise UsageError(
                f"{folder} holds {counted(len(found), 'checkpoint')}", hint="name one of them"
            )
        return found[0]
    for line in listing.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model_checkpoint_path":
            return folder / Path(value.strip().strip('"')).name
    raise FormatError(f"{listing} does not name a checkpoint")


def _map(path: Path) -> memoryview:
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _unsigned(value: int) -> bytes:
    """Return the ordered code of a number: how many bytes, and the bytes, highest first."""
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(digits)]) + digits


def _signed(value: int) -> bytes:
    """Return the ordered code of a signed number: as many ones as bytes, inverted below 0."""
    magnitude = ~value if value < 0 else value
    size = next(n for n in range(1, VARINT_BYTES) if magnitude < 1 << (7 * n - 1))
    if size > 8:
        raise FormatError(f"the offset {value} of a slice is too large")
    marked = magnitude | (((1 << size) - 1) << (8 * size - size))
    code = marked.to_bytes(size, "big")
    return bytes(byte ^ 0xFF for byte in code) if value < 0 else code


def _stored(number: int) -> np.dtype:
    return np.dtype(np.uint16) if number == BFLOAT16 else dtype_of(number)
