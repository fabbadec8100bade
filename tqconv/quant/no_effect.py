"""Why a mode for weights left a model as it was, and which models are quantized already."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError
from tqconv.ir.graph import Model, Tensor
from tqconv.ir.types import type_name
from tqconv.quant.hybrid import TAKES_FROM
from tqconv.quant.schemes import scheme
from tqconv.quant.select import CONVERSIONS, operand_name, rule_of


def check_float(model: Model, options: QuantizeOptions, *, wants_float: bool) -> None:
    """Raise UsageError where a model that computes with integers is to be another kind of model.

    `wants_float`: a float model is asked for by name.
    """
    found = next(_stored_activations(model), None)
    if found is None or not (wants_float or options.mode is not None):
        return
    wanted = "become float" if options.mode is None else f"be quantized again as {options.mode}"
    raise UsageError(
        f"{model.origin} is quantized: '{found.name}' is {type_name(found.dtype).lower()}; "
        f"it cannot {wanted}",
        hint="convert the float model that it was made from, or ask for no quantization",
    )


def is_of_bytes(model: Model) -> bool:
    """Whether all that operators compute in integers that stand for reals is uint8."""
    return {tensor.dtype.name for tensor in _stored_activations(model)} == {"uint8"}


def is_quantized(model: Model) -> bool:
    """Whether some operator computes with integers that stand for reals."""
    return next(_stored_activations(model), None) is not None


def _stored_activations(model: Model) -> Iterator[Tensor]:
    """Yield what operators compute in integers; a border that is converted at once is none."""
    for op in (op for graph in model.all_graphs() for op in graph.ops):
        if op.type not in CONVERSIONS:
            for tensor in (*op.inputs, *op.outputs):
                if tensor is not None and not tensor.is_constant and tensor.quant is not None:
                    yield tensor


def constants(model: Model) -> set[Tensor]:
    """Return the constants of all graphs, to compare with those after a mode was carried out."""
    return {t for g in model.all_graphs() for t in g.tensors() if t.is_constant}


def unchanged_note(before: set[Tensor], model: Model, options: QuantizeOptions) -> str | None:
    """Return why no constant is stored smaller than before; None where one is."""
    stored = scheme(options.mode or "").weight
    made = {t.dtype for t in constants(model) - before}
    if stored in made or any(dtype.name == "int4" for dtype in made):
        return None
    start = f"--quantize {options.mode} changed nothing: "
    if stored == np.float16:
        return start + _kept("the model has no float constants", options)
    largest = _largest_weights(model)
    if largest is None:
        return start + _kept("no operator has float weights that a kernel takes as int8", options)
    if largest.size >= options.min_weight_elements:
        return start + _kept("no operator's weights can all be int8", options)
    return (
        f"{start}the largest weights, '{largest.name}', have {largest.size} elements; "
        f"--min_weight_elements {largest.size} includes them"
    )


def _kept(reason: str, options: QuantizeOptions) -> str:
    return f"{reason} that --keep_float does not match" if options.keep_float else reason


def _largest_weights(model: Model) -> Tensor | None:
    """Return the largest float constant that some kernel would take as int8."""
    found = [
        tensor
        for graph in model.all_graphs()
        for op in graph.ops
        for index, tensor in enumerate(op.inputs)
        if tensor is not None and tensor.is_constant and tensor.dtype == np.float32
        if (rule := rule_of(op)) is not None
        if operand_name(op, index) in rule.hybrid or (op.type in TAKES_FROM and index == 0)
    ]
    return max(found, key=lambda tensor: tensor.size, default=None)
