"""What has to be said of a model between pairs so that all of it becomes integers: no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tqconv.config import QuantizeOptions
from tqconv.errors import QuantizationError
from tqconv.ir.graph import Graph
from tqconv.quant.refusals import MissingRangesError

SOME = (-1.0, 1.0)
"""A range of which it is tried whether one is enough."""


def least_asked(
    error: MissingRangesError,
    graph: Graph,
    options: QuantizeOptions,
    again: Callable[[QuantizeOptions], object],
) -> MissingRangesError:
    """Return an error that asks for the inputs alone where arithmetic gives the rest.

    again: plans by other options, and raises where they are not enough, either.
    """
    if not error.pairs or not options.integer_only:
        return error
    missing = set(error.tensors)
    fed = [t for t in graph.inputs if t in missing]
    told = dict(options.input_ranges) | {t.name: SOME for t in fed}
    answers = [f"`--input_range '{t.name}:MIN,MAX'` (what it is fed with)" for t in fed]
    trials = [(replace(options, input_ranges=told), answers)] if fed else []
    if options.output_type in (None, "int8", "uint8"):
        wide = replace(options, input_ranges=told, output_type="int16")
        why = "`--inference_output_type INT16` (bounds of sums are too wide for 8 bits)"
        trials.append((wide, [*answers, why]))
    for asked, needs in trials:
        try:
            again(asked)
        except QuantizationError:
            continue
        tried = MissingRangesError(fed or error.tensors, pairs=True)
        tried.hint = f"{' and '.join(needs)} will do; or give samples with `--calibration_data`; "
        tried.hint += "without `--integer_only` nothing is missing"
        return tried
    return error
