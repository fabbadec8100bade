"""Steps of optimizers in SavedModels, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flow import function
from saved_models import FIRST, Array, X, made, meta_graph, objects, save, signature

from tqconv import api
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.bundle import OBJECT_GRAPH

Slots = tuple[Array, Array, Array]
Step = Callable[[Array, Slots, Array], tuple[Array, Slots]]
"""The next variable and its slots from them and a gradient; the rate is 0.5."""


def momentum(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] + g
    return v - 0.5 * m, (m, *slots[1:])


def nesterov(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] + g
    return v - 0.5 * (g + 0.75 * m), (m, *slots[1:])


def keras_momentum(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] - 0.5 * g
    return v + m, (m, *slots[1:])


def keras_nesterov(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m = 0.75 * slots[0] - 0.5 * g
    return v + 0.75 * m - 0.5 * g, (m, *slots[1:])


def adam(v: Array, slots: Slots, g: Array, nesterov: bool = False) -> tuple[Array, Slots]:
    m, s = 0.75 * slots[0] + 0.25 * g, 0.5 * slots[1] + 0.5 * g * g
    seen = 0.75 * m + 0.25 * g if nesterov else m
    return v - 0.5 * np.sqrt(1 - 0.5) / (1 - 0.75) * seen / (np.sqrt(s) + 0.1), (m, s, slots[2])


def amsgrad(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m, s = 0.75 * slots[0] + 0.25 * g, 0.5 * slots[1] + 0.5 * g * g
    most = np.maximum(slots[2], s)
    return v - 0.5 * np.sqrt(1 - 0.5) / (1 - 0.75) * m / (np.sqrt(most) + 0.1), (m, s, most)


def adamax(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    m, size = 0.75 * slots[0] + 0.25 * g, np.maximum(0.5 * slots[1], np.abs(g))
    return v - 0.5 / (1 - 0.75) * m / (size + 0.1), (m, size, slots[2])


def adadelta(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    s = 0.75 * slots[0] + 0.25 * g * g
    step = np.sqrt(slots[1] + 0.1) / np.sqrt(s + 0.1) * g
    return v - 0.5 * step, (s, 0.75 * slots[1] + 0.25 * step * step, slots[2])


def adagrad(v: Array, slots: Slots, g: Array, least: float = 0.0) -> tuple[Array, Slots]:
    s = slots[0] + g * g
    return v - 0.5 * g / (np.sqrt(s) + least), (s, *slots[1:])


def ftrl(v: Array, slots: Slots, g: Array, shrinkage: float = 0.0) -> tuple[Array, Slots]:
    """l1 is 0.1 and l2 0.75; the power is -0.5."""
    total, linear = slots[0] + g * g, slots[1] + g + 2 * shrinkage * v
    linear = linear - (np.sqrt(total) - np.sqrt(slots[0])) / 0.5 * v
    new = (np.sign(linear) * 0.1 - linear) / (np.sqrt(total) / 0.5 + 2 * 0.75)
    return np.where(np.abs(linear) > 0.1, new, 0), (total, linear, slots[2])


def ftrl_by_rate(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    total = slots[0] + g * g
    linear = slots[1] + 0.5 * g - (np.sqrt(total) - np.sqrt(slots[0])) * v
    new = (np.sign(linear) * 0.1 * 0.5 - linear) / (np.sqrt(total) + 2 * 0.75 * 0.5)
    return np.where(np.abs(linear) > 0.1 * 0.5, new, 0), (total, linear, slots[2])


def rms_prop(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    s = 0.75 * slots[0] + 0.25 * g * g
    m = 0.5 * slots[1] + 0.5 * g / np.sqrt(s + 0.1)
    return v - m, (s, m, slots[2])


def centered(v: Array, slots: Slots, g: Array) -> tuple[Array, Slots]:
    mean, s = 0.75 * slots[0] + 0.25 * g, 0.75 * slots[1] + 0.25 * g * g
    m = 0.5 * slots[2] + 0.5 * g / np.sqrt(s - mean * mean + 0.1)
    return v - m, (mean, s, m)


NUMBERS = {"rate": 0.5, "keep": 0.75, "half": 0.5, "least": 0.1, "root": -0.5}
STEPS: dict[str, tuple[str, Step]] = {
    "GradientDescent": ("rate x", lambda v, slots, g: (v - 0.5 * g, slots)),
    "Momentum": ("one rate x keep", momentum),
    "Momentum use_nesterov=True": ("one rate x keep", nesterov),
    "KerasMomentum": ("one rate x keep", keras_momentum),
    "KerasMomentum use_nesterov=True": ("one rate x keep", keras_nesterov),
    "Adam": ("one two keep half rate keep half least x", adam),
    "Adam use_nesterov=True": (
        "one two keep half rate keep half least x",
        lambda v, slots, g: adam(v, slots, g, nesterov=True),
    ),
    "AdamWithAmsgrad": ("one two three keep half rate keep half least x", amsgrad),
    "AdaMax": ("one two keep rate keep half least x", adamax),
    "Adadelta": ("one two rate keep least x", adadelta),
    "Adagrad": ("one rate x", adagrad),
    "AdagradV2": ("one rate least x", lambda v, slots, g: adagrad(v, slots, g, 0.1)),
    "Ftrl": ("one nil x rate least keep root", ftrl),
    "Ftrl multiply_linear_by_lr=True": ("one nil x rate least keep root", ftrl_by_rate),
    "FtrlV2": ("one nil x rate least keep half root", lambda v, s, g: ftrl(v, s, g, 0.5)),
    "RMSProp": ("one two rate keep half least x", rms_prop),
    "CenteredRMSProp": ("nil two three rate keep half least x", centered),
}


def learning(folder: Path, op: str, operands: str) -> Path:
    """Save a model that takes a step from each input, a gradient, and returns its variable."""
    name, _, option = op.partition(" ")
    words = [f"{w}:output:0" if w in NUMBERS else w for w in operands.split()]
    constants = "\n".join(f"{name} = Const {value}" for name, value in NUMBERS.items())
    body = function(
        "serve(x, kept, one, two, three, nil) -> now:value:0",
        f"""
        {constants}
        step = ResourceApply{name} kept {" ".join(words)} {option}
        now = ReadVariableOp kept ^step dtype=f32
        """,
    )
    variables = "\n".join(f"V{i} = VarHandleOp dtype=f32 shape=(2,2)" for i in range(5))
    meta = meta_graph(
        f"{variables}\nx_0 = Placeholder dtype=f32 shape=(2,2)\n"
        "StatefulPartitionedCall = StatefulPartitionedCall x_0 V0 V1 V2 V3 V4 f=fn('serve')",
        body,
    )
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall"})
    meta.object_graph_def.concrete_functions["serve"].bound_inputs.extend(range(1, 6))
    ones = np.ones((2, 2), np.float32)
    stored = {"v": FIRST, "one": ones, "two": ones, "three": ones, "nil": 0 * ones}
    graph = objects(**{name: number for number, name in enumerate(stored, 1)})
    return save(folder / "m", meta, **{**stored, OBJECT_GRAPH: graph})


@pytest.mark.parametrize("op", STEPS)
def test_a_model_learns_over_runs(tmp_path: Path, op: str) -> None:
    operands, step = STEPS[op]
    found = made(learning(tmp_path, op, operands), X, -2 * X, X)
    value: Array = FIRST
    one, nil = np.ones((2, 2)), np.zeros((2, 2))
    slots = tuple({"one": one, "nil": nil}.get(word, one) for word in operands.split()[:3])
    for y, gradient in zip(found, (X, -2 * X, X), strict=True):
        value, slots = step(value, slots, gradient)
        np.testing.assert_allclose(y, value, rtol=1e-5, atol=1e-5)


def test_a_step_without_a_translation_is_no_step_left_out(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="ResourceApplyAddSign"):
        api.load(learning(tmp_path, "AddSign", "one rate keep half least x"))
