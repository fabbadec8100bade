"""The release that a file asks for is that of its newest operator."""

from __future__ import annotations

import pytest
from test_table import EXAMPLES

from tqconv.ir.graph import Graph
from tqconv.ops.table import spec, table
from tqconv.ops.versions import FIRST, RELEASES, released, runtime_version


@pytest.mark.parametrize(
    ("type", "version", "release"),
    [
        ("CONV_2D", 1, "1.5.0"),
        ("CONV_2D", 3, "1.14.0"),
        ("FULLY_CONNECTED", 9, "2.3.0"),
        ("DEQUANTIZE", 1, "1.13.1"),
        ("BROADCAST_TO", 2, "2.5.0"),
        ("BROADCAST_TO", 1, FIRST),
        ("CONV_2D", 99, FIRST),
        ("FULLY_CONNECTED", 12, "2.17.0"),
        ("DYNAMIC_UPDATE_SLICE", 5, "2.21.0"),
        ("CUSTOM", 1, FIRST),
    ],
)
def test_release_of_an_operator(type: str, version: int, release: str) -> None:
    assert runtime_version(type, version) == release


def test_every_recorded_operator_has_a_row_and_rising_releases() -> None:
    for line in RELEASES.strip().splitlines():
        name, *releases = line.split()
        assert name in table()
        numbers = [[int(p) for p in r.split(".")] for r in releases if r != "-"]
        assert numbers == sorted(numbers), name


def test_the_versions_that_rows_ask_for_are_on_record() -> None:
    for shown in EXAMPLES:
        graph = Graph("main")
        shown.build(graph)
        for op in graph.ops:
            version = spec(op.type).version(op)
            assert released(op.type, version), f"{op.type} {version}"
