"""What training leaves in a graph: values that pass, variables, nodes without a result."""

from __future__ import annotations

import numpy as np
import pytest
from flow import flow
from graphs import assert_close, assert_op, model_of, results

from tqconv.errors import UnsupportedError, UsageError

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
PASSING = {
    "CheckNumerics": {"message": "not a number"},
    "Copy": {"tensor_name": "x"},
    "CopyHost": {"tensor_name": "x"},
    "DebugIdentity": {"tensor_name": "x", "debug_urls": ["file:///tmp"]},
    "DebugIdentityV2": {"op_name": "x", "output_slot": 0},
    "DeepCopy": {},
    "GuaranteeConst": {},
    "PreventGradient": {"message": ""},
    "RefIdentity": {},
    "Snapshot": {},
    "StopGradient": {},
}


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, np.bool_, np.complex64])
@pytest.mark.parametrize("op", PASSING)
def test_values_pass(op: str, dtype: type) -> None:
    x = X.astype(dtype)
    assert_op(op, [x], x, dynamic=True, **PASSING[op])


def test_a_value_passes_what_prints_it() -> None:
    words = np.array([b"now"], object)
    assert_op("Print", [X, X[0], words], X, constants=[2], message="x is", first_n=3, summarize=2)


@pytest.mark.parametrize("op", ["IsVariableInitialized", "VarIsInitializedOp"])
def test_a_frozen_variable_is_initialized(op: str) -> None:
    assert_op(op, [X], np.array(True), constants=[0])


@pytest.mark.parametrize("chosen", [True, False])
def test_a_switch_of_a_frozen_variable_sends_it_one_way(chosen: bool) -> None:
    text = f"""
        x = Placeholder dtype=f32 shape=(2,3)
        p = Const {chosen}
        s = RefSwitch x p T=f32
        yes = Neg s:1 T=f32
        no = Abs s T=f32
    """
    taken, other = ("yes", "no") if chosen else ("no", "yes")
    for (have,) in results(flow(text), {"x": X}, [taken]):
        assert_close(have, -X if chosen else abs(X))
    with pytest.raises(UsageError, match=f"`{other}` is never computed: its branch is switched"):
        model_of(flow(text), [other], ["x"])


ASSIGNMENTS = {
    "Assign": "k",
    "AssignAdd": "k",
    "AssignSub": "k",
    "AssignVariableOp": "k",
    "AssignAddVariableOp": "k",
    "AssignSubVariableOp": "k",
    "ScatterUpdate": "i k",
    "ScatterAdd": "i k",
    "ScatterSub": "i k",
}


@pytest.mark.parametrize("op", ASSIGNMENTS)
def test_a_new_value_of_a_variable_is_refused(op: str) -> None:
    text = f"""
        w = Const [1.0]
        k = Const [2.0]
        i = Const [0]
        a = {op} w {ASSIGNMENTS[op]}
        y = Neg a
    """
    with pytest.raises(UnsupportedError, match="needs the new value of variable 'w'") as error:
        model_of(flow(text), ["y"], [])
    assert "--set_input" in str(error.value.hint)


WITHOUT_RESULT = {
    "NoOp": "",
    "Assert": "p x summarize=3",
    "PrintV2": "word output_stream='stderr'",
    "ScalarSummary": "word k",
    "HistogramSummary": "word x",
    "ImageSummary": "word x max_images=3",
    "AudioSummary": "word x sample_rate=16000.0",
    "AudioSummaryV2": "word x k",
    "TensorSummary": "x description='x'",
    "TensorSummaryV2": "word x word",
    "MergeSummary": "word N=1",
    "TensorArrayCloseV2": "array",
    "TensorArrayCloseV3": "array",
}


@pytest.mark.parametrize("op", WITHOUT_RESULT)
def test_what_only_reports_is_no_output_and_is_left_out(op: str) -> None:
    text = f"""
        x = Placeholder dtype=f32 shape=(2,3)
        p = Const True
        k = Const 2
        word = Const
        array = TensorArrayV3 k dtype=f32
        report = {op} {WITHOUT_RESULT[op]}
        y = Neg x ^report T=f32
    """
    message = flow(text, word=np.array(b"tag", object))
    for (have,) in results(message, {"x": X}, ["y"]):
        assert_close(have, -X)
    with pytest.raises(UnsupportedError, match=f"{op} has no result") as error:
        model_of(message, ["report"], ["x"])
    assert "--output_arrays" in str(error.value.hint)
