"""The stages of optimization, and the driver that runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqconv.errors import InternalError
from tqconv.ir.graph import Graph, Model
from tqconv.passes import bodies, cleanup, dense, fold, fuse, layout, reshape
from tqconv.passes.legal import bits, ranks, types
from tqconv.passes.recognize import activations, dilation, dropout, functions, patterns
from tqconv.passes.recurrent import loops, steps

Pass = Callable[[Graph], int]
Observer = Callable[[str, Graph], None]

ROUNDS = 50
"""A stage that has not settled after so many rounds never will."""


@dataclass(frozen=True)
class Stage:
    """Passes that run together until none of them changes the graph."""

    name: str
    passes: tuple[Pass, ...]


STAGES: tuple[Stage, ...] = (
    Stage(
        "simplify",
        (
            bodies.trim_branches,
            bodies.trim_loops,
            dropout.drop_dropout,
            cleanup.drop_identities,
            reshape.as_reshape,
            reshape.merge_reshapes,
            reshape.reduction_to_reshape,
            cleanup.multiply_by_zero,
            cleanup.share_equal_ops,
            layout.sink_transposes,
            layout.sink_below_units,
            layout.transpose_in_product,
            layout.compose_transposes,
            layout.transpose_to_reshape,
            dilation.lift_unit_axis,
            dilation.recognize_dilation,
            fold.merge_constants,
            fold.fold_scale,
            fold.fold_shift,
            activations.clamp_to_activation,
            activations.recognize_leaky_relu,
            activations.recognize_prelu,
            functions.recognize_hard_swish,
            patterns.recognize_l2_normalization,
            functions.recognize_gelu,
            patterns.recognize_softmax,
            patterns.recognize_log_softmax,
            patterns.recognize_squared_difference,
            patterns.recognize_reciprocal_root,
            patterns.recognize_logistic,
            patterns.subtract_negatives,
            reshape.keep_reduced_dims,
            reshape.lift_over_reshape,
            reshape.sink_reshapes,
            reshape.drop_leading_ones,
            reshape.drop_copies,
        ),
    ),
    Stage(
        "scale",
        (
            fuse.fuse_padding,
            fold.scale_behind_padding,
            fold.fold_scale_before,
            fold.fold_shift_before,
        ),
    ),
    Stage(
        "fuse",
        (
            fuse.fuse_activation,
            dense.drop_reshape_before_dense,
            dense.keep_dense_dims,
        ),
    ),
    Stage(
        "lower",
        (
            bits.move_as_bits,
            types.lower_types,
            types.lower_ranks,
            ranks.collapse_padded,
            ranks.collapse_joined,
        ),
    ),
    Stage("finish", (cleanup.drop_identities, cleanup.share_equal_ops, cleanup.share_constants)),
)
"""What may be assumed after each stage: simplify: no TRANSPOSE that cancels, no scale or shift
behind a linear operator; fuse: activations may be fused, nothing later folds weights; lower: every
operator has a kernel for its types and rank."""


FLOAT_STAGES: tuple[Stage, ...] = (
    Stage("recurrent", (steps.fuse_steps, loops.fuse_loops)),
    *STAGES,
    Stage("states", (steps.own_states,)),
)
"""The same for a result that computes with reals: the recurrent operators have no integer plan."""


def optimize(
    model: Model,
    stages: Sequence[Stage] = STAGES,
    *,
    observe: Observer | None = None,
    check: bool = False,
) -> None:
    """Run the stages on every graph of the model, in place.

    `observe(pass name, graph)` is called after each pass that changed something; `check` verifies
    the graph's invariants there.
    """
    for stage in stages:
        for graph in model.all_graphs():
            run_stage(stage, graph, observe, check)


def run_stage(
    stage: Stage, graph: Graph, observe: Observer | None = None, check: bool = False
) -> int:
    """Run one stage to its fixed point and return the number of rewrites."""
    total = 0
    for _ in range(ROUNDS):
        changed = {p.__name__: _run(p, graph, observe, check) for p in stage.passes}
        if not any(changed.values()):
            return total
        total += sum(changed.values())
    firing = ", ".join(name for name, count in changed.items() if count)
    raise InternalError(f"stage '{stage.name}' does not settle: {firing} still fire")


def _run(function: Pass, graph: Graph, observe: Observer | None, check: bool) -> int:
    count = function(graph)
    if count:
        graph.prune()
        graph.sort()
        if check:
            graph.check()
        if observe is not None:
            observe(function.__name__, graph)
    return count
