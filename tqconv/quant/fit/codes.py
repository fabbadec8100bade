"""Integers of weights and biases that lose less than the nearest ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Op, Tensor, Use
from tqconv.quant.fit.moments import Moments, can_fit, is_worth, joined, sharing
from tqconv.quant.fit.rounding import fitted_codes
from tqconv.quant.params import Params, decode, encode, limits
from tqconv.quant.plan import Plan

CLUSTERS = 256
"""Values that weights are clustered to, at most; float16 leaves thousands in a large layer."""
EVEN = 0.02
"""Part of the smallest distance by which others may miss a multiple of it."""
FEW_OF = 16
"""Weights for each cluster that there may be, of which nearly all matrices show more already: most
show it in 2 for each."""
LOOKED_AT = 16
"""Outputs whose weights are compared with each other: a scale folded into them may differ."""
WEIGHTS, BIAS = 1, 2
"""Positions of the operands in the operators that `can_fit` admits."""

Codes = dict[Use, NDArray[Any]]


def fittable(plan: Plan) -> list[Op]:
    """Return the integer operators whose rounding can be fitted to data."""
    return [op for op in plan.types if can_fit(op) and Use(op, WEIGHTS) in plan.edges]


def fitted_weights(plan: Plan, seen: Mapping[Op, Moments], step: Callable[[], None]) -> Codes:
    """Return weight integers that keep the outputs closest on the seen inputs.

    `step` is called before each of the weights.
    """
    codes: Codes = {}
    for ops, moments in shared(seen):
        step()
        params = plan.edges[Use(ops[0], WEIGHTS)]
        if params is None or moments.second is None:
            continue
        if not is_worth(ops[0], moments.rows):
            continue
        if is_clustered(ops[0]):
            continue
        fitted = _fit(ops[0], params, moments)
        same = [op for op in ops if params.equals(plan.edges[Use(op, WEIGHTS)])]
        codes.update({Use(op, WEIGHTS): fitted for op in same})
    return codes


def is_clustered(op: Op) -> bool:
    """Whether few values are shared by many weights, of one output or of all, beside 0.

    Rounding each one for itself would undo what makes the file small. Values at equal distances
    are no clusters: weights that were stored in 8 bits before have those.
    """
    data = op.input(WEIGHTS).data
    assert data is not None
    grouped = _by_group(op, data)
    rows = [*grouped.reshape(-1, grouped.shape[2])[:LOOKED_AT], data.reshape(-1)]
    return any(_has_clusters(row) for row in rows)


def _has_clusters(weights: NDArray[Any]) -> bool:
    for few in (2, FEW_OF):
        some = weights[: few * CLUSTERS]
        if some.size > CLUSTERS and np.unique(some[some != 0]).size > CLUSTERS:
            return False
    weights = weights[weights != 0]
    values = np.unique(weights).astype(np.float64)
    if values.size > CLUSTERS or 2 * values.size >= weights.size:
        return False
    gaps = np.diff(values)
    steps = gaps / gaps.min(initial=np.inf)
    return bool(np.any(np.abs(steps - np.rint(steps)) > EVEN))


def shared(seen: Mapping[Op, Moments]) -> list[tuple[list[Op], Moments]]:
    """Return operators by the weights that they share (an unrolled loop's), with joint moments."""
    return [(ops, joined([seen[op] for op in ops])) for ops in sharing(seen)]


def _fit(op: Op, params: Params, moments: Moments) -> NDArray[Any]:
    data = op.input(WEIGHTS).data
    assert data is not None
    bounds = limits(params.dtype, narrow=params.narrow)
    scale = _by_group(op, _spread(params.scale, params, data))[:, :, 0]
    zero = float(params.zero_point[0])
    made = fitted_codes(_by_group(op, data), scale, zero, bounds, moments.believed())
    return _from_groups(op, made, data.shape).astype(params.dtype)


def _spread(scale: NDArray[np.float64], params: Params, data: NDArray[Any]) -> NDArray[np.float64]:
    """Return the scale of each weight."""
    shape = [1] * data.ndim
    if not params.is_per_tensor:
        shape[params.axis] = -1
    return np.broadcast_to(scale.reshape(shape), data.shape)


def _by_group(op: Op, data: NDArray[Any]) -> NDArray[Any]:
    """Return weights as [g, outputs, n], as `Moments` orders them."""
    if op.type != "DEPTHWISE_CONV_2D":
        return data.reshape(1, data.shape[0], -1)
    channels = int(op.input(0).shape[3] or 1)
    return data.reshape(-1, channels, data.shape[3] // channels).transpose(1, 2, 0)


def _from_groups(op: Op, grouped: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if op.type != "DEPTHWISE_CONV_2D":
        return grouped.reshape(shape)
    return np.ascontiguousarray(grouped.transpose(2, 0, 1)).reshape(shape)


def corrected_biases(plan: Plan, codes: Codes, seen: Mapping[Op, Moments]) -> Codes:
    """Return bias integers that take back the mean error which the weights' rounding makes."""
    result: Codes = {}
    for ops, moments in shared(seen):
        shift = _mean_error(ops[0], plan, codes, moments) if moments.rows else np.zeros(1)
        for op in ops:
            bias = op.inputs[BIAS] if len(op.inputs) > BIAS else None
            params = plan.edges.get(Use(op, BIAS))
            if bias is not None and bias.data is not None and params is not None:
                result[Use(op, BIAS)] = encode(bias.data.astype(np.float64) + shift, params)
    return result


def _mean_error(op: Op, plan: Plan, codes: Codes, moments: Moments) -> NDArray[np.float64]:
    """Return the mean of (float - integer) output for each output channel."""
    use = Use(op, WEIGHTS)
    data, params = op.input(WEIGHTS).data, plan.edges[use]
    assert data is not None
    assert params is not None
    stored = codes[use] if use in codes else encode(data, params)
    lost = _by_group(op, data - decode(stored, params))
    mean = moments.first / moments.rows
    return np.asarray(np.einsum("gon,gn->go", lost, mean).reshape(-1))


def with_codes(plan: Plan, codes: Codes) -> Plan:
    """Return the plan with these integers for its constants."""
    return replace(plan, codes={**plan.codes, **codes})


def mapped(plan: Plan, tensors: Mapping[Tensor, Tensor], ops: Mapping[Op, Op]) -> Plan:
    """Return the same plan for a copy of its graph."""

    def use(old: Use) -> Use:
        return Use(ops[old.op], old.index)

    return replace(
        plan,
        tensors={tensors[t]: p for t, p in plan.tensors.items()},
        edges={use(u): p for u, p in plan.edges.items()},
        borders={tensors[t]: p for t, p in plan.borders.items()},
        codes={use(u): c for u, c in plan.codes.items()},
        floats={ops[o]: reason for o, reason in plan.floats.items()},
        types={ops[o]: dtype for o, dtype in plan.types.items()},
        notes=list(plan.notes),
    )
