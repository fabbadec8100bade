"""TensorArrays outside of loops, in both versions, and lists made and joined at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flow import flow
from graphs import assert_close, model_of, results

from tqconv.errors import UnsupportedError

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)

ARRAY = """
    x = Placeholder dtype=f32 shape=(4,3)
    size = Const 4
    one = Const 1
    two = Const 2
    zero = Const 0
    all = Const [0,1,2,3]
    order = Const [2,0,3,1]
    some = Const [3,1]
    a = TensorArray{v} size dtype=f32 element_shape=(3,)
    row = GatherV2 x one zero Tparams=f32 Tindices=i32 Taxis=i32
    filled = TensorArrayScatter{v} a all x a:1 T=f32
    turned = TensorArrayScatter{v} a order x a:1 T=f32
    written = TensorArrayWrite{v} a two row filled T=f32
"""
WRITTEN = ROWS[[0, 1, 1, 3]]
READS: dict[str, tuple[str, Any]] = {
    "scatter": ("TensorArrayGather{v} a all turned dtype=f32", ROWS[[1, 3, 0, 2]]),
    "gather": ("TensorArrayGather{v} a some filled dtype=f32 element_shape=(3,)", ROWS[[3, 1]]),
    "write": ("TensorArrayGather{v} a all written dtype=f32", WRITTEN),
    "read": ("TensorArrayRead{v} a two written dtype=f32", ROWS[1]),
    "size": ("TensorArraySize{v} a filled", np.int32(4)),
    "concat": ("TensorArrayConcat{v} a filled dtype=f32", ROWS.reshape(-1)),
}


@pytest.mark.parametrize("version", ["V2", "V3"])
@pytest.mark.parametrize("name", READS)
def test_an_array_is_filled_and_read(name: str, version: str) -> None:
    read, want = READS[name]
    message = flow((ARRAY + f"y = {read}").format(v=version))
    for (have,) in results(message, {"x": ROWS}, ["y"]):
        assert_close(have, np.asarray(want))


SPLIT = """
    x = Placeholder dtype=f32 shape=(4,3)
    size = Const 2
    one = Const 1
    lengths = Const
    a = TensorArray{v} size dtype=f32 element_shape=(2,3)
    cut = TensorArraySplit{v} a x lengths a:1 T=f32
    y = TensorArrayRead{v} a one cut dtype=f32
"""


@pytest.mark.parametrize("version", ["V2", "V3"])
def test_an_array_of_equal_pieces(version: str) -> None:
    message = flow(SPLIT.format(v=version), lengths=np.array([2, 2], np.int64))
    for (have,) in results(message, {"x": ROWS}, ["y"]):
        assert_close(have, ROWS[2:])
    with pytest.raises(UnsupportedError, match="pieces with different lengths"):
        model_of(flow(SPLIT.format(v=version), lengths=np.array([3, 1], np.int64)), ["y"], ["x"])


LISTS = """
    x = Placeholder dtype=f32 shape=(4,3)
    shape = Const [3]
    order = Const [2,0,4,1]
    given = TensorListFromTensor x shape element_dtype=f32 shape_type=i32
    scattered = TensorListScatter x order shape element_dtype=f32 shape_type=i32
    y = TensorListConcat given element_dtype=f32 element_shape=(None,)
    z = TensorListStack scattered shape element_dtype=f32
"""


def test_the_first_versions_of_list_operators() -> None:
    lengths, zeros = np.full(4, 3, np.int64), np.zeros(3, np.float32)
    places = np.stack([ROWS[1], ROWS[3], ROWS[0], zeros, ROWS[2]])
    for joined, sizes, rows in results(flow(LISTS), {"x": ROWS}, ["y", "y:1", "z"]):
        assert_close(joined, ROWS.reshape(-1))
        assert_close(sizes, lengths)
        assert_close(rows, places)
