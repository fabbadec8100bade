"""Columns of the operator table: which rows they hold of, in full."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from conftest import run_litert
from graph_text import parse

from tqconv.ir.graph import Model
from tqconv.ir.types import Range
from tqconv.ops.spec import Linear, QuantRule
from tqconv.ops.table import having, those


def test_clamps() -> None:
    assert having(lambda row: row.clamp) == {
        "RELU": (0.0, math.inf),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
        "RELU_0_TO_1": (0.0, 1.0),
    }


def test_beyond_which_numbers_results_stay() -> None:
    ends = having(lambda row: row.flat)
    assert ends == {"HARD_SWISH": (-3.0, math.inf), "LOGISTIC": (-8.0, 8.0), "TANH": (-4.0, 4.0)}
    for name, step in (("HARD_SWISH", 1e-9), ("LOGISTIC", 1 / 256), ("TANH", 1 / 128)):
        low, high = ends[name]
        x = np.array([-1e6, low, min(high, 1e6), 1e6], np.float32)
        graph = parse(f"x: f32[4] -> y\ny = {name}(x)")
        (made,) = run_litert(Model([graph]), {"x": x})
        assert abs(made[0] - made[1]) < step / 10
        assert abs(made[3] - made[2]) < step / 10


def test_sums() -> None:
    assert having(lambda row: row.sign) == {"ADD": 1.0, "SUB": -1.0}


def test_results_that_are_whole_numbers() -> None:
    assert those(lambda row: row.whole) == {"CEIL", "FLOOR", "ROUND", "SIGN"}


def test_operators_that_read_no_elements() -> None:
    assert those(lambda row: row.measures) == {"RANK", "SHAPE"}


def test_results_within_bounds() -> None:
    assert having(lambda row: row.within) == {
        "LOGISTIC": (0.0, 1.0),
        "SOFTMAX": (0.0, 1.0),
        "TANH": (-1.0, 1.0),
    }


def test_operators_behind_which_errors_do_not_show() -> None:
    assert having(lambda row: row.decides) == {
        "ARG_MAX": "row",
        "ARG_MIN": "each",
        "LOGISTIC": "each",
        "LOG_SOFTMAX": "row",
        "SOFTMAX": "row",
    }


def test_linear_operators() -> None:
    assert having(lambda row: row.linear) == {
        "CONV_2D": Linear(0, 1, 2, 0),
        "DEPTHWISE_CONV_2D": Linear(0, 1, 2, 3),
        "FULLY_CONNECTED": Linear(0, 1, 2, 0),
        "TRANSPOSE_CONV": Linear(2, 1, 3, 0),
    }


def test_what_is_moved() -> None:
    def of(*kinds: str) -> frozenset[str]:
        return those(lambda row: row.copies in kinds)

    assert of("order") == {"EXPAND_DIMS", "RESHAPE", "SQUEEZE"}
    assert of("permuted") == {
        *("DEPTH_TO_SPACE", "REVERSE_SEQUENCE", "REVERSE_V2", "SPACE_TO_DEPTH", "TRANSPOSE")
    }
    assert of("chosen") == {
        *("BATCH_TO_SPACE_ND", "BROADCAST_TO", "GATHER", "GATHER_ND", "MIRROR_PAD", "SLICE"),
        *("SPLIT", "SPLIT_V", "STRIDED_SLICE", "TILE", "UNPACK"),
    }
    assert of("filled") == {
        *("CONCATENATION", "DYNAMIC_UPDATE_SLICE", "FILL", "MATRIX_DIAG", "MATRIX_SET_DIAG"),
        *("ONE_HOT", "PACK", "PAD", "PADV2", "SELECT", "SELECT_V2", "SPACE_TO_BATCH_ND"),
        "SPARSE_TO_DENSE",
    }


def test_where_kernels_write() -> None:
    assert those(lambda row: row.in_place) == {"ADD", "DIV", "MUL", "SOFTMAX", "SUB"}
    assert those(lambda row: row.late_memory) == {"IF", "WHERE", "WHILE"}


def test_what_has_no_result_is_there_for_its_effect() -> None:
    assert those(lambda row: not row.operands.outputs) == {
        *("ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE_IMPORT"),
    }


def test_scales_that_kernels_compute() -> None:
    floors = having(lambda row: None if row.quant is None else row.quant.floor)
    assert {name: floor([0.5, 2.0], 1) for name, floor in floors.items()} == {
        "ADD": 4 / 2**20,
        "SUB": 4 / 2**20,
        "SQUARED_DIFFERENCE": 16 / 2**14,
        "HARD_SWISH": 0.5 / 128,
    }


def test_steps_that_results_need() -> None:
    made = Range(-2.0, 4.0, "calibrated")
    steps = having(lambda row: row.step)
    assert {name: step(made) for name, step in steps.items()} == {
        "LOG": math.exp(-2.0),
        "RSQRT": 1 / 16,
        "SOFTMAX": 4.0,
    }
    carries = those(lambda row: row.carries is not None)
    assert carries == {
        *("COMPLEX_ABS", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "IMAG", "MUL", "REAL"),
        *("RFFT2D", "SQRT", "SQUARE", "SUM", "TRANSPOSE_CONV"),
    }
    assert those(lambda row: row.undefined) == {
        *("DIV", "EXP", "FLOOR_DIV", "FLOOR_MOD", "LOG", "POW", "RSQRT", "SQRT"),
    }
    assert those(lambda row: row.same_unit) == {"ABS", "ADD", "NEG", "SUB"}


def test_what_integers_ask() -> None:
    def rules(holds: Callable[[QuantRule], bool]) -> frozenset[str]:
        return those(lambda row: row.quant is not None and holds(row.quant))

    assert rules(lambda rule: rule.skewed) == {"BATCH_MATMUL", "FULLY_CONNECTED"}
    assert rules(lambda rule: bool(rule.unsigned)) == {"RSQRT", "SQRT"}
    assert rules(lambda rule: rule.hybrid_all) == {
        *("BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
        *("BIDIRECTIONAL_SEQUENCE_RNN", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN"),
    }
    assert rules(lambda rule: rule.int16_options == {"pot_scale_int16": False}) == {"ADD", "SUB"}
    assert rules(lambda rule: bool(rule.int16_options)) == {"ADD", "SUB"}
    assert those(lambda row: row.dense) == {"BATCH_MATMUL", "FULLY_CONNECTED"}
    assert those(lambda row: row.converts) == {"DEQUANTIZE", "QUANTIZE"}


def test_other_facts() -> None:
    assert having(lambda row: row.states or None) == {
        "UNIDIRECTIONAL_SEQUENCE_LSTM": ("h", "c"),
        "UNIDIRECTIONAL_SEQUENCE_RNN": ("h",),
    }


def test_intervals() -> None:
    rules = having(lambda row: row.interval)
    one, two = (-2.0, 1.0), (3.0, 4.0)
    pairs = {"ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB"}
    found = {n: rule(*([one, two] if n in pairs else [one])) for n, rule in rules.items()}
    assert found == {
        "ABS": (0.0, 2.0),
        "ADD": (1.0, 5.0),
        "DIV": (-2.0 / 3.0, 1.0 / 3.0),
        "MAXIMUM": (3.0, 4.0),
        "MEAN": (-2.0, 1.0),
        "MINIMUM": (-2.0, 1.0),
        "MUL": (-8.0, 4.0),
        "NEG": (-1.0, 2.0),
        "RELU": (0.0, 1.0),
        "RELU6": (0.0, 1.0),
        "RELU_0_TO_1": (0.0, 1.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
        "SQRT": (0.0, 1.0),
        "SQUARE": (0.0, 4.0),
        "SQUARED_DIFFERENCE": (4.0, 36.0),
        "SUB": (-6.0, -2.0),
    }


def test_operands_that_change_nothing() -> None:
    assert having(lambda row: row.neutral) == {
        "ADD": 0.0,
        "DIV": 1.0,
        "LOGICAL_AND": 1.0,
        "LOGICAL_OR": 0.0,
        "MUL": 1.0,
        "POW": 1.0,
        "SUB": 0.0,
    }
    assert those(lambda row: row.commutes) == {"ADD", "LOGICAL_AND", "LOGICAL_OR", "MUL"}
