"""Tables that are filled from the files of a SavedModel's `assets` folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.tf.node import Node, Ref, dtype_of
from tqconv.importers.tf.training import constant_node
from tqconv.ir.types import STRING

FROM_FILES = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
WHOLE_LINE, LINE_NUMBER = -2, -1
"""Column numbers with a meaning of their own (TensorFlow's TextFileIndex)."""
STEPS = 8
"""Most nodes between a table's file name and the asset."""
STRING_NUMBER, INT64_NUMBER = 7, 9


def fill_tables(
    nodes: Mapping[str, Node], assets: Mapping[str, Path], folder: Path
) -> dict[str, Node]:
    """Return the nodes with tables filled from constants instead of from files.

    assets: node that holds a file's name -> the file. Raises FormatError for a file outside of the
    folder, that is missing, or that does not have the columns.
    """
    result = dict(nodes)
    for node in nodes.values():
        if node.op not in FROM_FILES or len(node.inputs) != 2:
            continue
        asset = _asset(node.inputs[1], nodes, assets)
        table = nodes.get(node.inputs[0].node)
        if asset is None or table is None:
            continue  # the look-up reports a table that nothing fills
        rows = _lines(asset, folder, node)
        for what, position in (("key", "key_index"), ("value", "value_index")):
            number = int(table.get(f"{what}_dtype", STRING_NUMBER))
            column = _column(rows, int(node.get(position, 0)), node, dtype_of(number), asset)
            name = f"{node.name}/{what}s"
            result[name] = constant_node(name, column, number)
        inputs = (node.inputs[0], Ref(f"{node.name}/keys"), Ref(f"{node.name}/values"))
        result[node.name] = Node(node.name, "LookupTableImportV2", inputs, node.controls, {})
    return result


def _asset(ref: Ref, nodes: Mapping[str, Node], assets: Mapping[str, Path]) -> Path | None:
    """Return the file whose name a tensor holds, which may go through a variable."""
    for _ in range(STEPS):
        if ref.node in assets:
            return assets[ref.node]
        node = nodes.get(ref.node)
        if node is None or not node.inputs:
            return None
        if node.op == "ReadVariableOp":
            variable = node.inputs[0].node
            stores = (n for n in nodes.values() if n.op == "AssignVariableOp")
            given = [n.inputs[1] for n in stores if n.inputs and n.inputs[0].node == variable]
            if len(given) != 1:
                return None
            ref = given[0]
        elif node.op == "Identity":
            ref = node.inputs[0]
        else:
            return None
    return None


def _lines(path: Path, folder: Path, node: Node) -> list[bytes]:
    inside = folder.resolve()
    try:
        real = path.resolve()
        if inside not in real.parents:
            raise FormatError(f"asset {path} lies outside of the model's folder")
        lines = real.read_bytes().split(b"\n")
    except (OSError, RuntimeError, ValueError) as error:
        raise FormatError(
            f"asset {path} of table '{node.name}' cannot be read",
            hint="was the whole folder copied, with `assets`?",
        ) from error
    if lines[-1] == b"":
        lines.pop()
    rows = [line.removesuffix(b"\r") for line in lines][int(node.get("offset", 0)) :]
    count = int(node.get("vocab_size", -1))
    return rows if count < 0 else rows[:count]


def _column(rows: list[bytes], index: int, node: Node, dtype: np.dtype, path: Path) -> NDArray[Any]:
    """Return one column of a file in the table's type."""
    if index == LINE_NUMBER:
        return np.arange(len(rows), dtype=dtype)
    words = rows
    if index != WHOLE_LINE:
        delimiter = str(node.get("delimiter", "\t")).encode()
        cells = [row.split(delimiter) for row in rows]
        if any(not 0 <= index < len(cell) for cell in cells):
            raise FormatError(f"{path} has lines without column {index}")
        words = [cell[index] for cell in cells]
    if dtype == STRING:
        column = np.empty(len(words), object)
        column[:] = words
        return column
    return _numbers(words, dtype, path)


def _numbers(words: list[bytes], dtype: np.dtype, path: Path) -> NDArray[Any]:
    read: Callable[[bytes], Any] | None = {"i": int, "u": int, "f": float}.get(dtype.kind)
    if read is None:
        raise UnsupportedError(f"a table of type {dtype}")
    try:
        return np.array([read(word) for word in words]).astype(dtype)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{path} holds something else than {dtype} numbers") from error
