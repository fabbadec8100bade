"""Tables: filled once from constants, then read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import assert_close, const, graph, node, placeholder, results

from tqconv.errors import UnsupportedError

NUMBERS = np.array([5, 7, -2], np.int64)
WORDS = np.array([b"a", b"bb", b""], object)
REALS = np.array([0.5, -1, 9], np.float32)
CASES = {
    "words to numbers": (WORDS, NUMBERS, np.array(-1, np.int64), [b"bb", b"zz", b""]),
    "numbers to words": (NUMBERS, WORDS, np.array(b"?", object), [7, 1, -2]),
    "words to reals": (WORDS, REALS, np.array(-1, np.float32), [b"bb", b"zz", b""]),
    "words to words": (WORDS, WORDS[::-1], np.array(b"?", object), [b"bb", b"zz", b""]),
    "numbers to numbers": (NUMBERS, NUMBERS + 1, np.array(-1, np.int64), [[7, 1], [-2, 5]]),
    "small numbers to reals": (NUMBERS.astype(np.int32), REALS, np.float32(-1), [7, 1, -2]),
}


def table_graph(keys: Any, values: Any, default: Any, wanted: Any, version: str = "V2") -> Any:
    return graph(
        node("table", f"HashTable{version}", key_dtype=keys.dtype, value_dtype=values.dtype),
        const("keys", keys),
        const("values", values),
        node("fill", f"LookupTableImport{version}", "table", "keys", "values"),
        placeholder("x", keys.dtype, wanted.shape),
        const("default", default),
        node("y", f"LookupTableFind{version}", "table", "x", "default"),
        node("again", f"LookupTableFind{version}", "table", "x", "default"),
        node("size", f"LookupTableSize{version}", "table"),
        node("all", f"LookupTableExport{version}", "table"),
    )


@pytest.mark.parametrize("version", ["", "V2"])
@pytest.mark.parametrize("name", CASES)
def test_a_table_of_constants(name: str, version: str) -> None:
    keys, values, default, questions = CASES[name]
    wanted = np.array(questions, keys.dtype)
    rows = dict(zip(keys.tolist(), values.tolist(), strict=True))
    flat = [rows.get(key, default.item()) for key in wanted.reshape(-1).tolist()]
    expected = np.array(flat, values.dtype).reshape(wanted.shape)
    message = table_graph(keys, values, default, wanted, version)
    names = ["y", "again", "size", "all", "all:1"]
    for first, second, size, *pairs in results(message, {"x": wanted}, names):
        assert_close(first, expected)
        assert_close(second, expected)
        assert_close(size, np.array(3, np.int64))
        assert_close(pairs[0], keys)
        assert_close(pairs[1], values)


def test_two_tables_are_kept_apart() -> None:
    first = table_graph(*CASES["words to numbers"][:3], np.zeros(2, object))
    second = table_graph(WORDS, NUMBERS * 2, np.array(0, np.int64), np.zeros(2, object))
    for message in second.node:
        if message.name != "x":
            message.name = f"other/{message.name}"
            inputs = [i if i == "x" else f"other/{i}" for i in message.input]
            message.input[:] = inputs
            if not message.name.endswith("/x"):
                first.node.append(message)
    x = np.array([b"a", b"c"], object)
    for one, other in results(first, {"x": x}, ["y", "other/y"]):
        assert_close(one, np.array([5, -1], np.int64))
        assert_close(other, np.array([10, 0], np.int64))


def test_the_rows_of_a_table_may_be_computed_from_constants() -> None:
    message = graph(
        node("table", "HashTableV2", key_dtype=WORDS.dtype, value_dtype=NUMBERS.dtype),
        const("keys", WORDS),
        const("zero", np.array(0, np.int32)),
        const("three", np.array(3, np.int32)),
        const("one", np.array(1, np.int32)),
        node("range", "Range", "zero", "three", "one"),
        node("numbers", "Cast", "range", SrcT=np.dtype(np.int32), DstT=np.dtype(np.int64)),
        node("fill", "LookupTableImportV2", "table", "keys", "numbers"),
        placeholder("x", WORDS.dtype, (2,)),
        const("default", np.array(-1, np.int64)),
        node("y", "LookupTableFindV2", "table", "x", "default"),
    )
    x = np.array([b"", b"c"], object)
    for (have,) in results(message, {"x": x}, ["y"]):
        assert_close(have, np.array([2, -1], np.int64))


def test_a_table_that_is_fed_is_an_error() -> None:
    message = table_graph(*CASES["words to numbers"][:3], WORDS)
    fed = placeholder("values", NUMBERS.dtype, NUMBERS.shape)
    message.node[2].CopyFrom(fed)
    with pytest.raises(UnsupportedError, match="not filled with constants"):
        results(message, {"x": WORDS}, ["y"])


def test_a_table_that_nothing_fills_is_an_error() -> None:
    message = graph(
        node("table", "HashTableV2", key_dtype=WORDS.dtype, value_dtype=NUMBERS.dtype),
        placeholder("x", WORDS.dtype, (2,)),
        const("default", np.array(-1, np.int64)),
        node("y", "LookupTableFindV2", "table", "x", "default"),
    )
    with pytest.raises(UnsupportedError, match="not filled with constants"):
        results(message, {"x": WORDS[:2]}, ["y"])
