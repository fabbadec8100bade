"""Every quantization rule of the operator table against LiteRT."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import run_litert
from numpy.typing import NDArray
from op_example import Example, example

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model, Tensor, Use
from tqconv.ir.types import Range, type_name
from tqconv.ops.table import spec, table
from tqconv.quant.apply import apply
from tqconv.quant.params import decode, encode
from tqconv.quant.plan import Borders, Plan, plan
from tqconv.quant.rewrites import REWRITES, prepare
from tqconv.quant.schemes import SCHEMES, Scheme
from tqconv.quant.select import Choice
from tqconv.runtime.calibrate import calibrate

TESTS = Path(__file__).parent.parent
FAMILIES = [import_module(p.stem) for p in sorted(TESTS.glob("op_examples_*.py"))]
EXAMPLES: list[Example] = [e for family in FAMILIES for e in family.EXAMPLES]
INTEGER = [SCHEMES["int8"], SCHEMES["uint8"], SCHEMES["int16x8"]]
WHOLE = Choice(integer_only=True)

# Steps of the output scale. Kernels round once (0.5) where they are exact, and some round the
# product and the sum apart; look-up tables of int16 interpolate.
STEPS = 1.01
MORE_STEPS = {
    ("EXP", "int16x8"): 120.0,
    ("LOG", "int16x8"): 400.0,
    ("RSQRT", "int16x8"): 450.0,
    ("GELU", "int16x8"): 40.0,
    ("LOGISTIC", "int16x8"): 2.0,
    ("TANH", "int16x8"): 4.0,
    ("SOFTMAX", "int16x8"): 4.0,
    ("REDUCE_PROD", "int8"): 3.0,
    # Two kernels, of which the second squares what the first has rounded: see `quant/forms`.
    ("SQUARED_DIFFERENCE", "int8"): 2.0,
    ("RESIZE_BILINEAR", "int8"): 1.5,
    ("RESIZE_BILINEAR", "uint8"): 1.5,
    # Its weights have 10 bits.
    ("RESIZE_BILINEAR", "int16x8"): 200.0,
}


# Two or three kernels round one after the other, and squares double what was there before.
REWRITTEN_STEPS = 4.0
# The slope of a root grows without bound toward zero.
ROOT_STEPS = 8.0
RNG = np.random.default_rng(7)
X = RNG.normal(size=(2, 3, 4)).astype(np.float32)
EXTRA = [
    example("DIV", X, RNG.uniform(0.5, 2, 4).astype(np.float32), const=[1], label="constant"),
    example("SLICE", X, [0, 1, 0], [2, 2, 3], const=[1, 2], label="reals"),
    example("POW", X, np.float32(2), const=[1], label="squared"),
    example("POW", X, np.float32(3), const=[1], label="cubed"),
    example("POW", np.abs(X), np.float32(0.5), const=[1], label="root"),
    example("UNIQUE", X[0, 0], label="reals"),
]
EXAMPLES = [*EXAMPLES, *EXTRA]


def reals_of(example: Example) -> bool:
    operands = [a for a in example.operands if a is not None]
    return any(a.dtype == np.float32 for a in operands) and not example.states


def cases() -> list[Any]:
    found = []
    for shown in EXAMPLES:
        rule = spec(shown.type).quant
        for scheme in INTEGER:
            assert scheme.activation is not None
            if rule is None or type_name(scheme.activation) not in rule.types:
                continue
            if reals_of(shown) and not _needs_constant(shown, scheme):
                found.append(pytest.param(shown, scheme, id=f"{shown}-{scheme.name}"))
    return found


def _needs_constant(example: Example, scheme: Scheme) -> bool:
    """DIV stays float without one: its kernel stops at a stored zero; so does int16's product."""
    free = example.type == "FULLY_CONNECTED" and scheme.name == "int16x8"
    return (free or example.type == "DIV") and 1 not in example.constants


def rewritten() -> list[Any]:
    return [
        pytest.param(e, s, id=f"{e}-{s.name}")
        for e in EXAMPLES
        for s in INTEGER[::2]
        if e.type in REWRITES and reals_of(e) and not _has_kernel(e.type, s)
        if e.type != "POW" or 1 in e.constants
    ]


def _has_kernel(type: str, scheme: Scheme) -> bool:
    rule = spec(type).quant
    assert scheme.activation is not None
    return rule is not None and type_name(scheme.activation) in rule.types


def build(example: Example) -> Graph:
    graph = Graph("main")
    example.build(graph)
    return graph


def planned(graph: Graph, arrays: list[NDArray[Any]], scheme: Scheme) -> Plan:
    """Calibrate on the arrays and plan without floats inside."""
    prepare(graph, scheme)
    feed = {t.name: a for t, a in zip(graph.inputs, arrays, strict=True)}
    seen = calibrate(Model([graph]), [feed], serialize)
    found = {
        t: Range(seen[t.name].low, seen[t.name].high, "calibrated")
        for t in graph.tensors()
        if t.name in seen
    }
    return plan(graph, scheme, found, WHOLE, Borders())


def snap_constants(graph: Graph, made: Plan) -> None:
    """Give float constants the values that their integers stand for."""
    for op in graph.ops:
        for index, tensor in enumerate(op.inputs):
            params = made.edges.get(Use(op, index))
            if tensor is not None and tensor.data is not None and params is not None:
                tensor.data = decode(encode(tensor.data, params), params).astype(np.float32)


def snapped(tensor: Tensor, array: NDArray[Any], made: Plan) -> NDArray[Any]:
    params = made.tensors.get(tensor)
    if params is None or array.dtype != np.float32:
        return array
    return decode(encode(array, params), params).astype(np.float32)


def steps_apart(example: Example, scheme: Scheme, delegate: bool) -> float:
    """Quantize an example; return the largest error in steps, against float on the same values."""
    graph = build(example)
    made = planned(graph, example.arrays(), scheme)
    snap_constants(graph, made)
    arrays = [snapped(t, a, made) for t, a in zip(graph.inputs, example.arrays(), strict=True)]
    wanted = run_litert(graph, arrays, delegate=False)
    scales = [made.tensors[t].scale[0] if t in made.tensors else None for t in graph.outputs]
    limits = [made.tensors[t].covers() if t in made.tensors else None for t in graph.outputs]
    apply(graph, made)
    graph.check()
    got = run_litert(graph, arrays, delegate)
    worst = 0.0
    for a, b, scale, ends in zip(wanted, got, scales, limits, strict=True):
        if scale is None or ends is None:
            np.testing.assert_array_equal(a, b)
            continue
        error = np.abs(np.clip(a.astype(np.float64), *ends) - b)
        worst = max(worst, float(error.max(initial=0)) / float(scale))
    return worst


@pytest.mark.parametrize("delegate", [True, False], ids=["xnnpack", "builtin"])
@pytest.mark.parametrize(("example", "scheme"), cases())
def test_integer_kernel_computes_what_the_float_one_does(
    example: Example, scheme: Scheme, delegate: bool
) -> None:
    allowed = MORE_STEPS.get((example.type, scheme.name), STEPS)
    assert steps_apart(example, scheme, delegate) <= allowed


def test_every_rule_for_activations_is_covered() -> None:
    ruled = {
        (name, kind)
        for name, row in table().items()
        if row.quant is not None
        for kind in row.quant.types
    }
    shown = {(p.values[0].type, type_name(p.values[1].activation)) for p in cases()}
    shown.add(("UNIDIRECTIONAL_SEQUENCE_LSTM", "INT8"))  # test_integer_cells
    missing = ", ".join(f"{name} {kind}" for name, kind in sorted(ruled - shown))
    assert missing == ""


@pytest.mark.parametrize(("example", "scheme"), rewritten())
def test_a_rewrite_leaves_no_float_and_the_same_values(example: Example, scheme: Scheme) -> None:
    allowed = ROOT_STEPS if example.type in ("L2_POOL_2D", "POW") else REWRITTEN_STEPS
    assert steps_apart(example, scheme, delegate=True) <= allowed
