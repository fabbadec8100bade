"""Operations of Keras 3 compute what numpy does: every one that is registered, in several forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import rows_arrays
import rows_elements
import rows_images
import rows_matrices
import rows_networks
import rows_reductions
from networks_keras import Array

from tqconv.importers.keras import layers  # noqa: F401  (fills the registry)
from tqconv.importers.keras.registry import KERAS

TABLES = {
    "elements": rows_elements.TABLE,
    "reductions": rows_reductions.TABLE,
    "arrays": rows_arrays.TABLE,
    "matrices": rows_matrices.TABLE,
    "networks": rows_networks.TABLE,
    "images": rows_images.TABLE,
}
CASES = [(family, op) for family, table in TABLES.items() for op in table.rows]
Made = dict[str, list[list[Array]]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    """Return a function to what LiteRT makes of a table, all of whose rows stand in one model."""
    folder = tmp_path_factory.mktemp("operations")
    return cache(lambda family: TABLES[family].computed(folder))


@pytest.mark.parametrize(("family", "op"), CASES, ids=[op for _, op in CASES])
def test_operations(made: Callable[[str], Made], family: str, op: str) -> None:
    for row, results in zip(TABLES[family].rows[op], made(family)[op], strict=True):
        row.compare(results)


def test_every_operation_has_examples() -> None:
    registered = {name.removeprefix("ops.") for name in KERAS.all() if name.startswith("ops.")}
    assert registered == {op for _, op in CASES}
