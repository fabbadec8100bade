"""Float activations with smaller constants: float16, and int8 for kernels that multiply hybrid."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tqconv.config import QuantizeOptions
from tqconv.ir.graph import Graph, Model, Op, Tensor, Use
from tqconv.ops.emit import emit
from tqconv.ops.rules import is_sub_byte
from tqconv.quant.hybrid import (
    FEWEST_IN_BLOCKS,
    TAKES_FROM,
    Stored,
    fits_blocks,
    flatten_product,
    small,
    sums_wrong,
    take_from_small_table,
    unfuse,
)
from tqconv.quant.rewrites import unpack_halves
from tqconv.quant.schemes import INT8, scheme
from tqconv.quant.select import (
    DENSE,
    Choice,
    check_patterns,
    is_kept_float,
    operand_name,
    rule_of,
    weight_type,
)
from tqconv.quant.stored import dequantized, store_behind_dequantize

LARGEST_HALF = float(np.finfo(np.float16).max)
SMALLEST_HALF = float(np.finfo(np.float16).smallest_normal)


def quantize(model: Model, options: QuantizeOptions) -> None:
    """Make the constants of every graph smaller, in place."""
    half = scheme(options.mode or "").weight == np.float16
    choice = Choice(keep_float=options.keep_float)
    check_patterns([op for g in model.all_graphs() for op in g.ops], choice)
    for graph in model.all_graphs():
        unpack_halves(graph)
        if half:
            model.notes += to_float16(graph, choice)
        elif options.mode == "weights":
            model.notes += store_behind_dequantize(graph, options)
        else:
            model.notes += to_int8(graph, options)
        graph.sort()


def to_float16(graph: Graph, choice: Choice) -> list[str]:
    """Put float constants as float16 behind a DEQUANTIZE; return notes about clipped values.

    Constants that lie below float16's range altogether stay float32.
    """
    wide: dict[Tensor, Tensor] = {}
    notes = []
    for op, index, tensor in list(_constants(graph)):
        assert tensor.data is not None
        if is_kept_float(op, choice) or _vanishes(tensor.data):
            continue
        if tensor not in wide:
            clipped = int(np.sum(np.abs(tensor.data) > LARGEST_HALF))
            if clipped:
                notes.append(
                    f"{clipped} values of '{tensor.name}' lie beyond float16 and are clipped to "
                    f"{LARGEST_HALF:g}"
                )
            wide[tensor] = dequantized(graph, op, tensor, _halves(tensor.data))
        graph.set_input(op, index, wide[tensor])
    return notes


def _vanishes(data: NDArray[np.float32]) -> bool:
    """Whether all values are too small for float16: an epsilon of 0 would end in a division."""
    peak = float(np.max(np.abs(data), initial=0.0))
    return 0 < peak < SMALLEST_HALF


def _halves(data: NDArray[np.float32]) -> NDArray[np.float16]:
    # `clip` makes a number of an array without dimensions.
    return np.asarray(np.clip(data, -LARGEST_HALF, LARGEST_HALF), np.float16)


def _constants(graph: Graph) -> Iterator[tuple[Op, int, Tensor]]:
    for op in graph.ops:
        if op.type == "DEQUANTIZE":
            continue
        for index, tensor in enumerate(op.inputs):
            if tensor is not None and tensor.is_constant and tensor.dtype == np.float32:
                yield op, index, tensor


def to_int8(graph: Graph, options: QuantizeOptions) -> list[str]:
    """Store the weights of operators with hybrid kernels as int8, in place; return notes.

    Weights that hold infinities or not-a-number have no scale and stay float.
    """
    choice = Choice(
        options.keep_float,
        per_channel=options.per_channel,
        per_channel_dense=options.per_channel_dense,
        weight_bits=options.weight_bits,
        weight_block=options.weight_block,
    )
    stored: Stored = {}
    broken: dict[Tensor, None] = {}
    for op in list(graph.ops):
        if is_kept_float(op, choice):
            continue
        if op.type in TAKES_FROM and _is_large(op.input(0), options.min_weight_elements):
            if _is_finite(op.input(0)):
                take_from_small_table(graph, op, stored)
            else:
                broken[op.input(0)] = None
            continue
        chosen = _hybrid_weights(op, options.min_weight_elements)
        infinite = [t for use, _ in chosen if not _is_finite(t := op.input(use.index))]
        if infinite:
            broken.update(dict.fromkeys(infinite))
        elif chosen:
            _store_weights(graph, op, chosen, choice, stored)
    graph.prune()
    notes = [f"float: '{t.name}' holds values that are not finite" for t in broken]
    return [*notes, *_without_blocks(graph, choice)]


def _without_blocks(graph: Graph, choice: Choice) -> list[str]:
    """Return a note about weights of 4 bits that are not in blocks as they should be."""
    size = choice.weight_block
    ops = [op for op in graph.ops if size and (rule := rule_of(op)) is not None and rule.blocks]
    read = {op.input(1).name: op.input(1).quant for op in ops if is_sub_byte(op.input(1))}
    kept = [name for name, quant in read.items() if quant is not None and not quant.block]
    if not kept:
        return []
    more = f" and {len(kept) - 1} more" if kept[1:] else ""
    return [
        f"one scale for each channel: '{kept[0]}'{more}: rows are no multiples of {size}, or fewer "
        f"than {FEWEST_IN_BLOCKS}, or their scales lie beyond float16"
    ]


def _store_weights(
    graph: Graph, op: Op, chosen: list[tuple[Use, int | None]], choice: Choice, stored: Stored
) -> None:
    """Let an operator read int8 weights, in the form that its kernel reads right."""
    if sums_wrong(op):
        flat = flatten_product(graph, op)
        if flat is None:
            weights = small(graph, op.input(1), None, stored)
            reals = emit(
                graph, "DEQUANTIZE", weights, name=f"{weights.name}/reals", source=op.source
            )
            graph.set_input(op, 1, reals)
            return
        op, chosen = flat, [(Use(flat, use.index), axis) for use, axis in chosen]
    for use, axis in chosen:
        tensor = op.input(use.index)
        dtype = weight_type(op, "FLOAT32", choice, INT8)
        block = _block(op, tensor, choice)
        sliced = _axis(op, axis, choice)
        graph.set_input(op, use.index, small(graph, tensor, sliced, stored, dtype, block))
        if block:
            unfuse(graph, op)
    rule = rule_of(op)
    if rule is not None and rule.skewed and all(op.input(u.index).dtype == INT8 for u, _ in chosen):
        op.options["asymmetric_quantize_inputs"] = True


def _block(op: Op, tensor: Tensor, choice: Choice) -> int:
    """Return how many weights of a row share a scale; 0 where no kernel reads such."""
    rule = rule_of(op)
    assert tensor.data is not None
    takes = rule is not None and rule.blocks and choice.weight_block
    return choice.weight_block if takes and fits_blocks(tensor.data, choice.weight_block) else 0


def _is_finite(tensor: Tensor) -> bool:
    return tensor.data is not None and bool(np.isfinite(tensor.data).all())


def _hybrid_weights(op: Op, least: int) -> list[tuple[Use, int | None]]:
    """Return the operands to store, with their channel axes; none where no kernel would run."""
    rule = rule_of(op)
    if rule is None or not rule.hybrid or op.outputs[0].dtype != np.float32:
        return []
    found = []
    for index, tensor in enumerate(op.inputs):
        if tensor is None or operand_name(op, index) not in rule.hybrid:
            continue
        if _is_large(tensor, least):
            found.append((Use(op, index), rule.hybrid[operand_name(op, index)]))
        elif rule.hybrid_all:
            return []
    return found


def _is_large(tensor: Tensor, least: int) -> bool:
    return tensor.is_constant and tensor.dtype == np.float32 and tensor.size >= least


def _axis(op: Op, axis: int | None, choice: Choice) -> int | None:
    """Return the channel axis to use: the kernel may take no single scale."""
    rule = rule_of(op)
    if rule is not None and rule.sliced is not None and rule.sliced(op):
        return axis
    if not choice.per_channel or (op.type in DENSE and not choice.per_channel_dense):
        return None
    return axis
