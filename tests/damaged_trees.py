"""Damage inside of containers: values of .tflite tables, of Keras' JSON, and of HDF5.

Bytes that are changed at random seldom get past the first check of a container; what is said here
is well formed and wrong.
"""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from tqconv.errors import FormatError
from tqconv.schema import flatbuf

Rng = random.Random
NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 127, 255, 256, 32767, 65536, 2**31 - 1, 2**32, 2**63 - 1, -1)
REALS = (0.0, -1.0, 1e-45, 1e-30, 1e30, 3e38, float("inf"), float("nan"), 0.5, 255.0)
TEXTS = ("", "x", "float32", "same", "relu", "..", "/", "\u4e2d", "A" * 5000, "name:0", "%s{}`")
OTHERS: tuple[Any, ...] = (None, True, 0, -1, 1.5, "", [], {}, [1], {"a": 1}, "None")
ATTEMPTS = 20
"""Changes that are tried until one can be written at all."""
CONFIG = "model_config"


def retold(data: bytes, rng: Rng) -> bytes | None:
    """Return a file with other content in its container, None where it is of no known kind."""
    for start, place, write in _WRITERS:
        if data[place : place + len(start)] == start:
            return write(data, rng)
    return None


def _tables(data: bytes, rng: Rng) -> bytes | None:
    try:
        model = flatbuf.read(data)
    except FormatError:
        return None
    for _ in range(ATTEMPTS):
        changed = _changed(model, rng, typed=True)
        try:
            return flatbuf.write(changed)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            continue
    return None


def _archive(data: bytes, rng: Rng) -> bytes | None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    hit = rng.choice(sorted(members))
    change = _json if hit.endswith("json") else _weights if hit.endswith("h5") else _header
    members[hit] = change(members[hit], rng)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def _hdf5(data: bytes, rng: Rng) -> bytes | None:
    if rng.random() < 1 / 3:
        return _weights(data, rng)
    content = io.BytesIO(data)
    with h5py.File(content, "r+") as file:
        if CONFIG not in file.attrs:
            return None
        config = file.attrs[CONFIG]
        words = config if isinstance(config, bytes) else config.encode()
        file.attrs[CONFIG] = _json(words, rng).decode()
    return content.getvalue()


def _json(data: bytes, rng: Rng) -> bytes:
    return json.dumps(_changed(json.loads(data), rng, typed=False)).encode()


def _header(data: bytes, rng: Rng) -> bytes:
    """Change a byte among the first, where an array says its type and shape."""
    changed = bytearray(data)
    changed[rng.randrange(min(len(changed), 128))] = rng.choice(b"\0\x01\xff059-,)('<>|fiOVSb ")
    return bytes(changed)


def _weights(data: bytes, rng: Rng) -> bytes:
    """Take a weight out, or put another in its place, or say other names."""
    content = io.BytesIO(data)
    with h5py.File(content, "r+") as file:
        places: list[str] = []
        file.visititems(lambda n, at: places.append(n) if isinstance(at, h5py.Dataset) else None)
        if not places:
            return data
        name = rng.choice(places)
        value = file[name][()]
        del file[name]
        if rng.random() < 0.8:
            file.create_dataset(name, data=_other_array(value, rng))
    return content.getvalue()


def _other_array(value: Any, rng: Rng) -> Any:
    how = rng.randrange(6)
    if how == 0:
        return value.reshape(-1)
    if how == 1:
        return value.T
    if how == 2:
        return value[..., :-1] if value.ndim else value
    if how == 3:
        return value.astype(rng.choice(("f8", "f2", "i4", "u1", "S3", "c8")))
    if how == 4:
        return np.where(np.arange(value.size).reshape(value.shape) % 3, value, rng.choice(REALS))
    return rng.choice((np.zeros(()), np.zeros((0,), "f4"), "text", np.stack([value] * 2)))


def _changed(tree: Any, rng: Rng, *, typed: bool) -> Any:
    """Return a copy of nested dicts and lists with one to three changes.

    typed: values keep their types, as they must in tables.
    """
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places: list[tuple[Any, Any]] = []
        _collect(tree, places)
        if not places:
            break
        inside, key = rng.choice(places)
        value = inside[key]
        how = rng.randrange(8)
        if how == 0:
            del inside[key]
        elif how == 1 and isinstance(inside, list):
            inside.insert(key, copy.deepcopy(value))
        elif how in (1, 2):
            other, place = rng.choice(places)
            if _alike(value, other[place]) or not typed:
                inside[key] = copy.deepcopy(other[place])
        else:
            inside[key] = _other(value, rng, typed=typed)
    return tree


def _alike(one: Any, other: Any) -> bool:
    """Whether two values are of a type; of dicts, whether they share what they say."""
    if isinstance(one, dict) and isinstance(other, dict):
        return bool(one.keys() & other.keys())
    return type(one) is type(other)


def _collect(tree: Any, places: list[tuple[Any, Any]]) -> None:
    """Add where in its parent each part of a tree stands; unions of tables are pairs."""
    if isinstance(tree, tuple):
        tree = tree[1]
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        places.append((tree, key))
        if isinstance(value, dict | list | tuple):
            _collect(value, places)


def _other(value: Any, rng: Rng, *, typed: bool) -> Any:
    if not typed and rng.random() < 0.3:
        return rng.choice(OTHERS)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((*NUMBERS, value + 1, value - 1, -value, rng.randrange(200)))
    if isinstance(value, float):
        return rng.choice((*REALS, value * 2, -value))
    if isinstance(value, str):
        return rng.choice((*TEXTS, value + "x", value[:-1]))
    if isinstance(value, np.ndarray):
        return _other_vector(value, rng)
    if isinstance(value, list):
        return rng.sample(value, len(value))
    return value


def _other_vector(value: Any, rng: Rng) -> Any:
    """Return a vector of numbers that is longer, shorter, or has other numbers in it."""
    how = rng.randrange(6)
    if how == 0:
        return value[: rng.randrange(len(value) + 1)]
    if how == 1:
        return np.concatenate([value, value[:1]])
    if not len(value):
        return np.zeros(1, value.dtype)
    found = value.copy()
    at = rng.randrange(len(value))
    if value.dtype.kind == "f":
        found[at] = rng.choice(REALS)
    elif value.dtype.kind == "b":
        found[at] = not found[at]
    else:
        ends = np.iinfo(value.dtype)
        found[at] = min(max(_other(int(value[at]), rng, typed=True), ends.min), ends.max)
    return found


Write = Callable[[bytes, Rng], bytes | None]
_WRITERS: tuple[tuple[bytes, int, Write], ...] = (
    (b"TFL3", 4, _tables),
    (b"PK\x03\x04", 0, _archive),
    (b"\x89HDF", 0, _hdf5),
)
