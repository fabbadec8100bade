"""Tables that a graph fills once, from constants, and looks keys up in.

LiteRT's tables map strings to int64 and int64 to strings. Other strings go through the row of their
key; other numbers are compared with all keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.compose.builder import Builder
from tqconv.compose.operands import with_kernel
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.flow.calls import find
from tqconv.importers.tf.node import Node, Ref, TypeNumber
from tqconv.importers.tf.registry import TF, TFBuilder, handles
from tqconv.importers.tf.shared import Shared, Table
from tqconv.importers.tf.walk import run
from tqconv.importers.translate import Translation
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.types import RESOURCE, STRING, type_name
from tqconv.ops.emit import emit
from tqconv.records import dataclass

INT64 = np.dtype(np.int64)
HASH_TABLES = ("HashTable", "HashTableV2")
FILLS = ("InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")


@dataclass(frozen=True)
class Root:
    """A node, its output that is read, and the graph or function that it is in."""

    node: Node
    ref: Ref
    nodes: Mapping[str, Node]


@handles(*HASH_TABLES)
def hash_table(
    b: TFBuilder,
    *,
    key_dtype: TypeNumber,
    value_dtype: TypeNumber,
    container: str = "",
    shared_name: str = "",
    use_node_name_sharing: bool = False,
) -> Tensor:
    """Return a handle; the table itself is made where it is read."""
    filled = next((f for f in _fillings(b.shared, b.shared.nodes, {}) if f[0].node is b.node), None)
    content = [] if filled is None else [_content(b.graph, b.shared, root) for root in filled[1:]]
    if not content or any(array is None for array in content):
        raise UnsupportedError(
            f"table '{b.node.name}' is not filled with constants",
            hint="freezing leaves out what fills a table: convert the SavedModel or the .meta",
        )
    keys, values = (_computed(np.asarray(array).reshape(-1)) for array in content)
    tables = b.shared.tables
    handle = Tensor(b.graph.unique(f"{b.name}/handle"), (), RESOURCE)
    tables[id(handle)] = handle, Table(b.name, len(tables), keys, values)
    return handle


def _computed(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _content(graph: Graph, shared: Shared, root: Root) -> NDArray[Any] | None:
    """Return the value of a node that is a constant, or computed from constants; else None."""
    if root.node.op == "Const":
        value: NDArray[Any] = root.node.get("value")
        return value
    if root.nodes is not shared.nodes:
        return None
    aside = Shared(Translation(TF, shared.translation.file), shared.functions, shared.nodes)
    computed = run(aside, graph.body("table"), shared.nodes, {}, [root.ref])[0]
    return computed.data if isinstance(computed, Tensor) else None


def _fillings(
    shared: Shared, nodes: Mapping[str, Node], arguments: Mapping[str, Root]
) -> Iterator[tuple[Root, Root, Root]]:
    """Yield where table, keys and values of each filling come from, also of those in functions."""
    for node in nodes.values():
        if node.op not in (*FILLS, *CALLS):
            continue
        roots = [_root(ref, nodes, arguments) for ref in node.inputs]
        if node.op in FILLS and len(roots) == 3:
            table, keys, values = roots
            if table is not None and keys is not None and values is not None:
                yield table, keys, values
        elif node.op in CALLS and any(r is not None and r.node.op in HASH_TABLES for r in roots):
            function = find(shared, node.get("f").name)
            named = zip(function.arguments, roots, strict=True)
            given = {name: root for name, root in named if root is not None}
            yield from _fillings(shared, function.nodes, given)


def _root(ref: Ref, nodes: Mapping[str, Node], arguments: Mapping[str, Root]) -> Root | None:
    """Return the node whose value a reference reads, behind Identity nodes and arguments."""
    while ref.node not in arguments:
        node = nodes.get(ref.node)
        if node is None:
            return None
        if node.op != "Identity":
            return Root(node, ref, nodes)
        ref = node.inputs[0]
    return arguments[ref.node]


def _table(b: TFBuilder, handle: Tensor) -> Table:
    known = b.shared.tables.get(id(handle))
    if known is None:
        raise UnsupportedError(
            f"'{handle.name}' is a table that is handed over while the graph runs"
        )
    return known[1]


@handles("LookupTableSize", "LookupTableSizeV2")
def table_size(b: TFBuilder, handle: Tensor) -> Tensor:
    """Return the number of rows."""
    return b.const(_table(b, handle).keys.size, INT64)


@handles("LookupTableExport", "LookupTableExportV2")
def table_export(b: TFBuilder, handle: Tensor, **types: TypeNumber) -> tuple[Tensor, Tensor]:
    """Return all keys and all values."""
    table = _table(b, handle)
    return b.const(table.keys), b.const(table.values)


@handles("LookupTableFind", "LookupTableFindV2")
def table_find(b: TFBuilder, handle: Tensor, keys: Tensor, default: Tensor) -> Tensor:
    """Return the value of each key, `default` for a key that the table does not have."""
    table = _table(b, handle)
    pair = {table.keys.dtype, table.values.dtype}
    if pair == {INT64, STRING}:
        return b("HASHTABLE_FIND", _made(b, table), keys, default)
    count = table.keys.size
    if table.keys.dtype == STRING:
        rows = Table(f"{table.name}/rows", table.number, table.keys, np.arange(count))
        row = b("HASHTABLE_FIND", _made(b, rows), keys, b.const(count, INT64))
    else:
        row = _row_by_comparison(b, table, keys)
    values = b("CONCATENATION", b.const(table.values), b.reshape(default, (1,)), axis=0)
    return b("GATHER", values, row, axis=0)


def _row_by_comparison(b: Builder, table: Table, keys: Tensor) -> Tensor:
    """Return the row of each key, the number of rows where there is none: int32."""
    last = np.array([keys.rank], np.int32)
    hits = b("EQUAL", b("EXPAND_DIMS", with_kernel(b, keys), last[0]), b.const(table.keys))
    row = b("ARG_MAX", b.cast(hits, np.int32), last[0], output_type="INT32")
    return b("SELECT_V2", b("REDUCE_ANY", hits, last), row, np.array(table.keys.size, np.int32))


def _made(b: TFBuilder, table: Table) -> Tensor:
    """Return the handle of a table in this graph; the first run fills it."""
    made = b.shared.table_handles
    handle = made.get((id(b.graph), table.name))
    if handle is not None:
        return handle
    options = {
        "table_id": table.number,
        "key_dtype": type_name(table.keys.dtype),
        "value_dtype": type_name(table.values.dtype),
    }
    first = b.graph.body(f"{table.name}/fill")
    filled = emit(first, "HASHTABLE", name="table", source=b.source, **options)
    emit(
        first, "HASHTABLE_IMPORT", filled, table.keys, table.values, name="import", source=b.source
    )
    b.graph.add(Op("CALL_ONCE", (), (), {}, b.source, (first,)))
    handle = made[id(b.graph), table.name] = b("HASHTABLE", **options)
    return handle
