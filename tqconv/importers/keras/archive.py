"""The two kinds of Keras files, read without trust: HDF5, and zip archives that hold HDF5.

Nothing is executed, nothing is unpacked to disk, and no link is followed out of the file.
"""

from __future__ import annotations

import io
import json
import mmap
import zipfile
from collections.abc import Mapping
from dataclasses import field
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError
from tqconv.importers.keras.heaps import check_texts
from tqconv.records import dataclass
from tqconv.untrusted import Budget, parse_json, place_of, read_file, reading, whole

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
"""Members of a .keras archive."""
ADVICE = "copy or download the file again"
CHUNK = 1 << 20
NEWEST = 1 << 30
"""The minor version of what does not say it."""
ZIP = b"PK\x03\x04"


class Generation(NamedTuple):
    """Whose meanings hold: major 2 (and all before it), or 3, by its minor version."""

    major: int
    minor: int = NEWEST


@dataclass(eq=False)
class Archive:
    """What a file holds: `config` (JSON), the version that wrote it, and its weights.

    is_flat: HDF5, whose weights stand in lists; else they stand in groups named after attributes.
    is_apart: the architecture is not from the same file as the weights.
    """

    config: Any
    version: str
    weights: Weights
    is_flat: bool
    is_apart: bool = False

    @property
    def generation(self) -> Generation:
        """The generation whose meanings hold; the newest of Keras 3 where it says no more."""
        parts = (whole(part) for part in self.version.split(".")[:2])
        numbers = [number for number in parts if number is not None]
        if not numbers or numbers[0] < 3:
            return Generation(2)
        return Generation(3, *numbers[1:2])


def open_archive(path: Path, apart: Path | None = None) -> Archive:
    """Return the content of a Keras file; FormatError where it is damaged or something else.

    apart: the file that holds the architecture (JSON), instead of the one in `path`, if there is
    one. UsageError where it cannot be read.
    """
    budget = Budget.of(path.stat().st_size)
    config = None if apart is None else parse_json(read_file(apart), f"the architecture {apart}")
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP)) == ZIP
    return _zipped(path, budget, config) if is_zip else _hdf5(path, budget, config)


def _hdf5(path: Path, budget: Budget, apart: Any) -> Archive:
    with reading(f"{path} is a damaged HDF5 file", ADVICE):
        content = _mapped(path)
        check_texts(content, path.name)
        weights = Weights(h5py.File(path, "r"), budget, content, path.name)
    version = weights.text("keras_version", "") or ""
    members = weights.members("")
    in_lists = weights.names("layer_names", "") is not None or "model_weights" in members
    if apart is not None:
        return Archive(apart, version_of(apart) or version, weights, in_lists, is_apart=True)
    config = weights.text("model_config", "")
    if config is None:
        has_weights = in_lists or "layers" in members
        what = "weights alone" if has_weights else "no Keras model"
        raise FormatError(
            f"{path} holds {what}: the attribute `model_config` is missing",
            hint="give the architecture, too: --keras_config FILE with the text of "
            "`model.to_json()`; or save the whole model with `model.save`",
        )
    return Archive(parse_json(config, f"the model_config of {path}"), version, weights, True)


def version_of(config: Any) -> str:
    """Return the version of Keras that wrote an architecture, as far as it says so.

    Keras 3 does not state it, but has forms of its own: `batch_shape`, tensors as objects.
    """
    if not isinstance(config, Mapping):
        return ""
    stated = config.get("keras_version")
    if isinstance(stated, str):
        return stated
    text = json.dumps(config)
    return "3" if any(f'"{word}"' in text for word in KERAS_3) else ""


KERAS_3 = ("batch_shape", "__keras_tensor__", "DTypePolicy")
"""Words that no configuration of an older version holds."""


def _zipped(path: Path, budget: Budget, apart: Any) -> Archive:
    with reading(f"{path} is a damaged .keras archive", ADVICE):
        archive = zipfile.ZipFile(path)
        members = [info.filename for info in archive.infolist()]
        for name in (METADATA, CONFIG, WEIGHTS):
            if members.count(name) != 1:
                count = "no" if name not in members else "more than one"
                raise FormatError(f"{path} is no Keras model: it has {count} {name}")
        metadata = parse_json(_member(archive, METADATA, budget), f"the metadata of {path}")
        version = metadata.get("keras_version")
        if not isinstance(version, str):
            raise FormatError(f"the metadata of {path} does not say which Keras wrote it")
        config = parse_json(_member(archive, CONFIG, budget), f"the config.json of {path}")
        if apart is not None:
            config, version = apart, version_of(apart) or version
        content = _section(archive, path, budget)
        check_texts(content, path.name)
        file = h5py.File(io.BytesIO(content) if isinstance(content, bytes) else _Reader(content))
        return Archive(config, version, Weights(file, budget, content, path.name), False)


def _member(archive: zipfile.ZipFile, name: str, budget: Budget) -> bytes:
    """Return a member's bytes; its checksum is verified and its claimed size paid for."""
    info = archive.getinfo(name)
    budget.take(info.file_size - info.compress_size, f"{name} in the archive")
    with archive.open(info) as file:
        return file.read()


def _section(archive: zipfile.ZipFile, path: Path, budget: Budget) -> memoryview | bytes:
    """Return the weights: as a part of the mapped file where they are stored as they are."""
    info = archive.getinfo(WEIGHTS)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        return _member(archive, WEIGHTS, budget)
    with archive.open(info) as file:
        while file.read(CHUNK):
            pass  # verifies the checksum
    whole = _mapped(path)
    start = place_of(info, whole)
    return whole[start : start + info.file_size]


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


class _Reader(io.RawIOBase):
    """A part of a mapped file as a file."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        part = self._content[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


@dataclass(eq=False)
class Weights:
    """The groups and arrays of an HDF5 file, by path; only what is in the file itself."""

    file: Any
    budget: Budget
    content: memoryview | bytes
    origin: str
    _arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    _way: list[tuple[str, Any]] = field(default_factory=list)
    """What leads to the place that was looked at last: a layer's weights lie beside each other."""

    def _at(self, path: str) -> Any:
        """Return a group or array, or None; FormatError for a link."""
        parts = [part for part in path.split("/") if part]
        pairs = zip(parts, self._way, strict=False)
        known = len(list(takewhile(lambda pair: pair[0] == pair[1][0], pairs)))
        del self._way[known:]
        here = self._way[-1][1] if self._way else self.file
        for part in parts[known:]:
            if not isinstance(here, h5py.Group):
                return None
            link = here.get(part, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise FormatError(f"'{path}' in {self.origin} is a link, which is not followed")
            here = here[part]
            self._way.append((part, here))
        return here

    def text(self, name: str, path: str) -> str | None:
        """Return an attribute that is text."""
        with reading(f"the attribute `{name}` in {self.origin} is damaged", ADVICE):
            group = self._at(path)
            value = None if group is None or name not in group.attrs else _stored(group, name)
        if isinstance(value, np.bytes_ | bytes):
            return bytes(value).decode("utf-8", "replace")
        return str(value) if isinstance(value, str) else None

    def names(self, name: str, path: str) -> list[str] | None:
        """Return an attribute that is a list of names, also where it is cut in pieces."""
        with reading(f"the attribute `{name}` in {self.origin} is damaged", ADVICE):
            group = self._at(path)
            if not isinstance(group, h5py.Group):
                return None
            if name in group.attrs:
                return _texts(_stored(group, name))
            found: list[str] = []
            for number in range(len(group.attrs)):
                if f"{name}{number}" in group.attrs:
                    found += _texts(_stored(group, f"{name}{number}"))
            return found if f"{name}0" in group.attrs else None

    def members(self, path: str) -> list[str]:
        """Return the names in a group; none where there is no such group."""
        with reading(f"'{path}' in {self.origin} is damaged", ADVICE):
            group = self._at(path)
            return sorted(group) if isinstance(group, h5py.Group) else []

    def array(self, path: str) -> NDArray[Any]:
        """Return an array; FormatError where it is missing, elsewhere, or larger than it is."""
        if path not in self._arrays:
            with reading(f"the weight '{path}' in {self.origin} is damaged", ADVICE):
                stored = self._at(path)
                if not isinstance(stored, h5py.Dataset):
                    raise FormatError(f"the weight '{path}' is not in {self.origin}", hint=ADVICE)
                self._arrays[path] = self._read(path, stored)
        return self._arrays[path]

    def _read(self, path: str, stored: Any) -> NDArray[Any]:
        if stored.is_virtual or stored.external:
            raise FormatError(f"the weight '{path}' in {self.origin} stands in another file")
        if stored.dtype.kind not in "fiub":
            raise FormatError(f"the weight '{path}' in {self.origin} holds no numbers")
        start = stored.id.get_offset()
        if start is not None and 0 < start <= len(self.content) - stored.nbytes:
            part = self.content[start : start + stored.nbytes]
            return np.frombuffer(part, stored.dtype).reshape(stored.shape)
        self.budget.take(stored.nbytes - stored.id.get_storage_size(), f"the weight '{path}'")
        return np.asarray(stored[()])


def _stored(group: Any, name: str) -> Any:
    """Return an attribute that is text, or a list of it; FormatError where it is anything else.

    Of a damaged type of variable length the library reads what is not there. A list of nothing is
    stored as one of numbers.
    """
    plain = (h5py.h5t.TypeStringID, h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID)
    if not isinstance(group.attrs.get_id(name).get_type(), plain):
        raise FormatError(f"the attribute `{name}` is no text")
    return group.attrs[name]


def _texts(values: Any) -> list[str]:
    items = np.asarray(values).reshape(-1).tolist()
    return [item.decode() if isinstance(item, bytes) else str(item) for item in items]
