"""Integer activations: from options and evidence to a plan, and the facts to tell the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.config import QuantizeOptions
from tqconv.errors import QuantizationError, UsageError
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.types import Range, type_name
from tqconv.quant.apply import apply
from tqconv.quant.enough import least_asked
from tqconv.quant.evidence.bounds import Bounds, loose
from tqconv.quant.evidence.inputs import said_of_inputs
from tqconv.quant.evidence.intervals import clipped_by_default, propagate
from tqconv.quant.evidence.ranges import Ranges, check_trained, evidence
from tqconv.quant.halves import widen_borders
from tqconv.quant.params import Params
from tqconv.quant.plan import Borders, Plan, Stored, plan
from tqconv.quant.refusals import MissingRangesError
from tqconv.quant.report import (
    bounded_lines,
    coarse_lines,
    float_notes,
    joined_lines,
    rounded_lines,
)
from tqconv.quant.rewrites import guard_divisors, prepare
from tqconv.quant.rounded import fed_in_integers
from tqconv.quant.schemes import Scheme, scheme
from tqconv.quant.select import Choice, is_real, states

BORDER_TYPES = {name: np.dtype(name) for name in ("int8", "uint8", "int16")}

Defaults = tuple[float, float] | None


def rewrite_for(model: Model, options: QuantizeOptions, *, islands: bool = False) -> int:
    """Rewrite what the mode's kernels lack, in place; calibrate after it, then all is measured.

    `islands`: any operator may have 16 bits in the end.
    Raises QuantizationError for all FakeQuant ranges that were never trained.
    """
    check_trained(model.main)
    ends = borders(options)
    widen_borders(model.main, inputs=ends.inputs is not None, outputs=ends.outputs is not None)
    trained = any(t.range is not None and t.range.exact for t in model.main.tensors())
    return prepare(
        model.main,
        _scheme(options),
        islands=islands or bool(options.int16) or (options.integer_only and trained),
        strict=options.integer_only,
    )


def plan_for(
    model: Model,
    options: QuantizeOptions,
    ranges: Ranges | None,
    *,
    default: Defaults = None,
    default_int16: Defaults = None,
    stored: Stored | None = None,
) -> Plan:
    """Plan the main graph of a model that `rewrite_for` has seen.

    Where no float may remain, divisors are first guarded in place against being stored as zero.
    `default`, `default_int16`: the range of tensors of which nothing else is known; `stored`: what
    an earlier plan by the same options worked out. Raises MissingRangesError for what has to be
    said at least.
    """

    def planned(asked: QuantizeOptions) -> Plan:
        return _planned(model, asked, ranges, default, default_int16, stored)

    try:
        return planned(options)
    except MissingRangesError as error:
        raise least_asked(error, model.main, options, planned) from None


def _planned(
    model: Model,
    options: QuantizeOptions,
    ranges: Ranges | None,
    default: Defaults,
    default_int16: Defaults,
    stored: Stored | None,
) -> Plan:
    chosen = _scheme(options)
    fallback = default_int16 if chosen.symmetric and default_int16 is not None else default
    found = known_ranges(model.main, options, ranges, fallback)
    if options.integer_only and guard_divisors(model.main, Bounds(model.main, found).ends):
        found = known_ranges(model.main, options, ranges, fallback)
    choice = Choice(
        options.keep_float,
        options.int16,
        options.per_channel,
        options.per_channel_dense,
        options.integer_only,
        options.weight_bits,
    )
    wide = None
    if options.int16:
        wide = known_ranges(model.main, options, ranges, default_int16 or fallback, wide=True)
    made = plan(model.main, chosen, found, choice, borders(options), wide, stored)
    made.notes += clipped_by_default(model.main, found)
    return made


def carry_out(
    model: Model, made: Plan, seen: Mapping[str, Sequence[NDArray[Any]]] | None = None
) -> None:
    """Apply a plan to the main graph and note what the user should know.

    `seen`: what the float model made of outputs, by their names.
    """
    notes = [*input_notes(model.main, made), *float_notes(made)]
    notes += coarse_lines(model.main, made, seen)
    notes += [*joined_lines(model.main, made), *rounded_lines(model.main, made)]
    notes += [*bounded_lines(made), *made.notes]
    apply(model.main, made)
    model.notes += notes


def _scheme(options: QuantizeOptions) -> Scheme:
    if options.mode is None:
        raise UsageError("no quantization was chosen")
    return scheme(options.mode)


def borders(options: QuantizeOptions) -> Borders:
    """Return the border types: as asked, else integers where no float may remain, else float."""
    own = _scheme(options).activation if options.integer_only else None
    inputs, outputs = _border(options.input_type, own), _border(options.output_type, own)
    return Borders(inputs, outputs, custom=options.output_type is not None)


def _border(asked: str | None, own: np.dtype | None) -> np.dtype | None:
    if asked is None or asked == "float32":
        return own if asked is None else None
    if asked not in BORDER_TYPES:
        raise UsageError(
            f"`{asked}` is not a type for inputs and outputs",
            hint=f"one of: float32, {', '.join(BORDER_TYPES)}",
        )
    return BORDER_TYPES[asked]


def known_ranges(
    graph: Graph,
    options: QuantizeOptions,
    ranges: Ranges | None,
    default: Defaults = None,
    *,
    wide: bool = False,
) -> dict[Tensor, Range]:
    """Return the strongest evidence about each activation; tensors without any are left out.

    `wide`: for values of 16 bits, which have room for all that was observed.
    """
    chosen = _scheme(options)
    stored = borders(options).inputs or chosen.activation
    assert stored is not None
    told = said_of_inputs(graph, options, stored)
    found: dict[Tensor, Range] = {}
    reals = [t for t in graph.tensors() if is_real(t) and not t.is_constant]
    cells = [s.variable for op in graph.ops for s in states(op) if s.like is None]
    for tensor in [*reals, *cells]:
        best = told.get(tensor) or evidence(tensor, ranges, wide=wide or chosen.symmetric)
        if best is not None:
            _check_finite(tensor, best)
            found[tensor] = best
    if options.integer_only:
        found |= fed_in_integers(graph, found)
    # Behind exact ranges the rest was trained with reals; where none may remain, bounds must do.
    pairs = any(known.exact for known in found.values())
    measured = set(found)
    if options.integer_only and pairs:
        found = Bounds(graph, found).ranges
        made = borders(options).outputs
        spoiled = loose(graph, found) if made is not None and made.itemsize == 1 else set()
        found = {
            t: known for t, known in found.items() if t not in spoiled.intersection(graph.outputs)
        }
    else:
        found = propagate(graph, found, computed=not pairs)
    for cell in cells:  # what one is filled with at first says nothing of what it will hold
        if cell not in measured:
            found.pop(cell, None)
    if options.integer_only:
        found |= {cell: MOST_OF_CELLS for cell in cells if cell not in found}
    if default is not None:
        filler = Range(*default, "default", "--default_ranges")
        found.update({t: filler for t in [*reals, *cells] if t not in found})
    return found


MOST_OF_CELLS = Range(-64.0, 64.0, "propagated", "cells beyond it saturate, where TANH is 1")
"""What cells are taken to hold where nothing is known: 16 bits have steps of 1/512 in it, a quarter
of those in which the layer's results are stored."""


def _check_finite(tensor: Tensor, known: Range) -> None:
    if not (np.isfinite(known.low) and np.isfinite(known.high)):
        ends = f"[{known.low}, {known.high}]"
        raise QuantizationError(f"the range {ends} of '{tensor.name}' is not finite")


def input_notes(graph: Graph, made: Plan) -> list[str]:
    """Return for each quantized input its range, and mean and std in TOCO's sense."""
    notes = []
    for tensor in graph.inputs:
        params = made.borders.get(tensor) or made.tensors.get(tensor)
        if params is not None:
            notes.append(f"input '{tensor.name}': {describe_input(params)}")
    return notes


def describe_input(params: Params) -> str:
    """Return one input's numbers in the three usual forms."""
    scale, zero = float(params.scale[0]), int(params.zero_point[0])
    low, high = params.covers()
    return (
        f"{type_name(params.dtype).lower()} scale {scale:.9g} zero point {zero}, "
        f"reals {low:.6g} … {high:.6g}, mean {zero} std {1 / scale:.6g}"
    )
