"""All that is done about what a target refuses."""

from __future__ import annotations

from tqconv.passes.legal import bits, decompose, nothing, ranks, types
from tqconv.passes.rewrite import Pass

REWRITERS: tuple[Pass, ...] = (
    nothing.take_nothing,
    nothing.unpack_nothing,
    nothing.pass_on_nothing,
    nothing.sum_nothing,
    bits.move_as_bits,
    types.lower_types,
    types.lower_ranks,
    decompose.join_batch_axes,
    ranks.collapse_padded,
    ranks.collapse_joined,
    ranks.collapse_reduced,
    ranks.collapse_reversed,
    ranks.collapse_permuted,
    ranks.collapse_rows,
)
"""Each takes the operators that `targets.target` refuses for one reason, and leaves the others."""
