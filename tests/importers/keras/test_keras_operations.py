"""Operations of Keras 3 compute what numpy does: every one that is registered, in several forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rows_arrays
import rows_distances
import rows_elements
import rows_images
import rows_matrices
import rows_networks
import rows_pairs
import rows_reductions
import rows_searches
from keras_rows import Row, Table
from networks_keras import Array

from tqconv.errors import FormatError, UnsupportedError
from tqconv.importers.keras import layers  # noqa: F401  (fills the registry)
from tqconv.importers.keras.registry import KERAS

TABLES = {
    "elements": rows_elements.TABLE,
    "pairs": rows_pairs.TABLE,
    "reductions": rows_reductions.TABLE,
    "arrays": rows_arrays.TABLE,
    "searches": rows_searches.TABLE,
    "matrices": rows_matrices.TABLE,
    "networks": rows_networks.TABLE,
    "images": rows_images.TABLE,
    "distances": rows_distances.TABLE,
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


X = np.ones((2, 8, 8, 3), np.float32)
MANY = 10**11
REFUSED: list[tuple[str, str, Row]] = [
    ("numpy", "ArraySplit", Row([X], X, {"indices_or_sections": MANY, "axis": 1})),
    ("numpy", "Diff", Row([X], X, {"n": MANY})),
    ("image", "ExtractPatches", Row([X], X, {"size": MANY})),
    ("image", "GaussianBlur", Row([X], X, {"kernel_size": [MANY, MANY], "sigma": [1, 1]})),
    ("numpy", "Linspace", Row([X, X], X, {"num": MANY})),
    ("numpy", "Repeat", Row([X], X, {"repeats": [MANY] * 3, "axis": -1})),
    (
        "math",
        "STFT",
        Row([X], X, {"sequence_length": 4, "sequence_stride": 1, "fft_length": MANY}),
    ),
    ("numpy", "Vander", Row([X[0, 0, 0]], X, {"N": MANY})),
    ("numpy", "Percentile", Row([X, 101], X)),
    ("numpy", "Quantile", Row([X, 0.5], X, {"method": "lower"})),  # Keras forgets the method
    ("numpy", "Rot90", Row([X], X, {"axes": [0, 0]})),
    ("numpy", "UnravelIndex", Row([X.astype(np.int32)], X, {"shape": [2, 0]})),
    ("einops", "Rearrange", Row([X, "a b (c d) e -> a b c d e"], X)),
]


@pytest.mark.parametrize(("module", "op", "row"), REFUSED, ids=[op for _, op, _ in REFUSED])
def test_what_cannot_be_or_is_far_too_much_is_an_error(
    tmp_path: Path, module: str, op: str, row: Row
) -> None:
    table = Table()
    table.rows[op], table.modules[op] = [row], module
    with pytest.raises((FormatError, UnsupportedError), match=f"{op}_0"):
        table.computed(tmp_path)
