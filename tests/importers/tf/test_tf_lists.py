"""TensorArrays and TensorLists, in loops and out of them."""

from __future__ import annotations

import numpy as np
import pytest
from flow import check, flow, function
from graphs import Array, model_of

from tqconv.errors import UnsupportedError

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
F32 = np.float32


ARRAY_LOOP = """
    x = Placeholder dtype=f32 shape=(4,3)
    zero = Const 0
    n = Const 3
    size = Const 3
    array = TensorArrayV3 size dtype=f32 {attrs}
    w/handle = Enter array frame_name='w' is_constant=True
    w/i = Enter zero frame_name='w' is_constant=False
    w/f = Enter array:1 frame_name='w' is_constant=False
    w/n = Enter n frame_name='w' is_constant=True
    w/x = Enter x frame_name='w' is_constant=True
    w/Merge = Merge w/i w/Next N=2 T=i32
    w/Merge_1 = Merge w/f w/Next_1 N=2 T=f32
    w/Less = Less w/Merge w/n T=i32
    w/LoopCond = LoopCond w/Less
    w/Switch = Switch w/Merge w/LoopCond T=i32
    w/Switch_1 = Switch w/Merge_1 w/LoopCond T=f32
    w/Identity = Identity w/Switch:1 T=i32
    w/one = Const 1 ^w/Identity
    w/add = Add w/Identity w/one T=i32
    w/axis = Const 0 ^w/Identity
    {element}
    w/write = TensorArrayWriteV3 w/handle w/at w/element w/Switch_1:1 T=f32
    w/Next = NextIteration w/add T=i32
    w/Next_1 = NextIteration w/write T=f32
    w/Exit_1 = Exit w/Switch_1 T=f32
    {read}
"""
ROW = """
    w/at = Identity w/Identity T=i32
    w/element = GatherV2 w/x w/Identity w/axis Tparams=f32 Tindices=i32 Taxis=i32
"""
HEAD = """
    w/at = Identity w/{at} T=i32
    w/begin = Const [0,0]
    w/rest = Const 3
    w/size = Pack w/add w/rest N=2 axis=0 T=i32
    w/element = Slice w/x w/begin w/size T=f32 Index=i32
"""
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.mark.parametrize("attrs", ["element_shape=(3,)", "element_shape=()"])
@pytest.mark.parametrize(
    ("read", "want"),
    [
        (
            "c = TensorArraySizeV3 array w/Exit_1\none = Const 1\nr = Range zero c one Tidx=i32\n"
            "y = TensorArrayGatherV3 array r w/Exit_1 dtype=f32 element_shape=(3,)",
            ROWS[:3],
        ),
        ("two = Const 2\ny = TensorArrayReadV3 array two w/Exit_1 dtype=f32", ROWS[2]),
        (
            "r = Const [2,0]\n"
            "y = TensorArrayGatherV3 array r w/Exit_1 dtype=f32 element_shape=(3,)",
            ROWS[[2, 0]],
        ),
        ("y = TensorArrayConcatV3 array w/Exit_1 dtype=f32", ROWS[:3].reshape(-1)),
    ],
)
def test_an_array_is_written_in_a_loop(attrs: str, read: str, want: Array) -> None:
    message = flow(ARRAY_LOOP.format(attrs=attrs, element=ROW, read=read))
    check(message, {"x": ROWS}, y=want)


def test_an_array_of_unequal_pieces_is_their_concatenation() -> None:
    read = "y = TensorArrayConcatV3 array w/Exit_1 dtype=f32 element_shape_except0=(3,)"
    text = ARRAY_LOOP.format(
        attrs="element_shape=(None,3)", element=HEAD.format(at="Identity"), read=read
    )
    check(flow(text), {"x": ROWS}, y=np.concatenate([ROWS[:1], ROWS[:2], ROWS[:3]]))


def test_unequal_pieces_must_be_written_in_order() -> None:
    read = "y = TensorArrayConcatV3 array w/Exit_1 dtype=f32"
    text = ARRAY_LOOP.format(
        attrs="element_shape=(None,3)", element=HEAD.format(at="axis"), read=read
    )
    with pytest.raises(UnsupportedError, match="not one behind another"):
        model_of(flow(text), ["y"], ["x"])


def test_an_array_grows_when_it_may() -> None:
    read = (
        "y = TensorArraySizeV3 array w/Exit_1\nz = TensorArrayReadV3 array zero w/Exit_1 dtype=f32"
    )
    text = ARRAY_LOOP.format(
        attrs="element_shape=(3,) dynamic_size=True", element=ROW, read=read
    ).replace("size = Const 3", "size = Const 0")
    check(flow(text), {"x": ROWS}, y=np.int32(3), z=ROWS[0])


def test_elements_of_a_size_known_only_at_run_time() -> None:
    read = "r = Const [0,2]\ny = TensorArrayGatherV3 array r w/Exit_1 dtype=f32"
    text = ARRAY_LOOP.format(attrs="element_shape=(None,)", element=ROW, read=read)
    text = text.replace("shape=(4,3)", "shape=(None,None)")
    check(flow(text), {"x": ROWS}, y=ROWS[[0, 2]])


STATES = """
    x = Placeholder dtype=f32 shape=(None,None,3)
    h = Placeholder dtype=f32 shape=(None,3)
    none = Const 0
    n = Const 4
    shape = Const [-1,3]
    list = TensorListReserve shape n element_dtype=f32 shape_type=i32
    loop = While none list h x cond=fn('below') body=fn('step')
    y = TensorListStack loop:1 shape element_dtype=f32
"""


def test_rows_that_are_states_have_the_shape_of_the_first_one() -> None:
    """A body is not computed once more, outside of the loop, to see how many there are."""
    below = function("below(i, l, h, x) -> p:z:0", "end = Const 4\np = Less i end:output:0 T=i32")
    step = function(
        "step(i, l, h, x) -> next:z:0, m:output_handle:0, g:y:0, x",
        """
        one = Const 1
        axis = Const 0
        next = AddV2 i one:output:0 T=i32
        row = GatherV2 x i axis:output:0 Tparams=f32 Tindices=i32 Taxis=i32
        sum = AddV2 h row:output:0 T=f32
        g = Abs sum:z:0 T=f32
        m = TensorListSetItem l i g:y:0 element_dtype=f32
        """,
    )
    x = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    h = np.array([[0.5, -1, 2], [1, 0, -0.25]], np.float32)
    rows, state = [], h
    for part in x:
        state = np.abs(state + part)
        rows.append(state)
    model = check(flow(STATES, below, step), {"x": x, "h": h}, y=np.stack(rows))
    types = [op.type for op in model.main.ops]
    assert "WHILE" in types
    assert "ABS" not in types


LISTS = """
    x = Placeholder dtype=f32 shape=(4,3)
    shape = Const [3]
    none = Const 0
    three = Const 3
    one = Const 1
    far = Const 5
    row = GatherV2 x one none Tparams=f32 Tindices=i32 Taxis=i32
    empty = EmptyTensorList shape none element_dtype=f32 shape_type=i32
    reserved = TensorListReserve shape three element_dtype=f32 shape_type=i32
    given = TensorListFromTensor x shape element_dtype=f32 shape_type=i32
    pushed = TensorListPushBack empty row element_dtype=f32
    set = TensorListSetItem reserved one row element_dtype=f32
    popped = TensorListPopBack given shape element_dtype=f32
"""


@pytest.mark.parametrize(
    ("read", "want"),
    [
        ("y = TensorListStack pushed shape element_dtype=f32", ROWS[1:2]),
        ("y = TensorListStack set shape element_dtype=f32", [[0, 0, 0], [3, 4, 5], [0, 0, 0]]),
        ("y = TensorListStack popped shape element_dtype=f32", ROWS[:3]),
        ("y = Identity popped:1 T=f32", ROWS[3]),
        ("y = TensorListLength popped", np.int32(3)),
        ("y = TensorListGetItem given three shape element_dtype=f32", ROWS[3]),
        ("y = TensorListElementShape given shape_type=i32", np.array([3], np.int32)),
        ("g = Const [3,1]\ny = TensorListGather given g shape element_dtype=f32", ROWS[[3, 1]]),
        (
            "r = TensorListResize given far\ny = TensorListStack r shape element_dtype=f32",
            [*ROWS, [0, 0, 0]],
        ),
        (
            "r = TensorListResize given one\ny = TensorListStack r shape element_dtype=f32",
            ROWS[:1],
        ),
        (
            "p = Const [2,0,1,3]\ns = TensorListScatterV2 x p shape far element_dtype=f32\n"
            "y = TensorListStack s shape element_dtype=f32",
            [ROWS[1], ROWS[2], ROWS[0], ROWS[3], [0, 0, 0]],
        ),
        (
            "p = Const [2]\nh = GatherV2 x p none Tparams=f32 Tindices=i32 Taxis=i32\n"
            "s = TensorListScatterIntoExistingList given h p element_dtype=f32\n"
            "y = TensorListStack s shape element_dtype=f32",
            ROWS,
        ),
        ("y = TensorListConcatV2 given shape shape element_dtype=f32", ROWS.reshape(-1)),
        (
            "l = Const [2,2]\ns = TensorListSplit x shape l element_dtype=f32\n"
            "y = TensorListGetItem s one shape element_dtype=f32",
            ROWS[2:],
        ),
    ],
)
def test_lists_are_rows(read: str, want: Array) -> None:
    array = np.asarray(want, None if isinstance(want, np.generic | np.ndarray) else np.float32)
    check(flow(LISTS + read), {"x": ROWS}, y=array)


def test_a_list_without_elements_or_shape_is_refused() -> None:
    text = LISTS.replace("shape = Const [3]", "shape = Const [-1]")
    with pytest.raises(UnsupportedError, match="shape is not known"):
        model_of(flow(text + "y = TensorListStack reserved shape element_dtype=f32"), ["y"], ["x"])
