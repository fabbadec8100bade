"""Constants of float64, which are computed in float32."""

from __future__ import annotations

import numpy as np
from flow import check
from graphs import Array, Message, const, graph, node, placeholder

F64 = np.dtype(np.float64)
X = np.array([-1, 0, 2], np.float32)


def network(*nodes: Message) -> Message:
    return graph(placeholder("x", np.float32, (3,)), *nodes)


def real(name: str, value: Array | float) -> Message:
    return const(name, np.asarray(value, F64))


def test_what_constants_alone_decide_is_computed_in_double_precision() -> None:
    message = network(
        const("zero", np.array(0, np.int32)),
        real("least", 1e-307),
        node("wide", "Cast", "zero", SrcT=np.dtype(np.int32), DstT=F64),
        node("sum", "AddV2", "least", "wide", T=F64),
        node("log", "Log", "sum", T=F64),
        node("narrow", "Cast", "log", SrcT=F64, DstT=np.dtype(np.float32)),
        node("y", "Mul", "x", "narrow", T=np.dtype(np.float32)),
    )
    check(message, {"x": X}, y=X * np.float32(np.log(1e-307)))


def test_the_lowest_number_stays_a_number() -> None:
    lowest = np.finfo(np.float64).min
    message = network(
        real("masks", [lowest, -np.inf, 1]),
        node("y", "Mul", "x", "masks", T=np.dtype(np.float32)),
    )
    single = np.array([np.finfo(np.float32).min, -np.inf, 1], np.float32)
    with np.errstate(invalid="ignore"):
        check(message, {"x": X}, y=X * single)
