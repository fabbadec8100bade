"""The stages of a conversion, from the imported graph to what is written."""

from __future__ import annotations

from tqconv.config import TocoOptions
from tqconv.passes import (
    bodies,
    broadcast,
    cleanup,
    dense,
    fake_quant,
    fills,
    fold,
    fuse,
    known,
    order,
    reshape,
    rounds,
    sizes,
    taps,
    vectors,
)
from tqconv.passes.driver import Pass, Stage
from tqconv.passes.layout import joined, settle, sink
from tqconv.passes.legal.rewriters import REWRITERS
from tqconv.passes.recognize import (
    activations,
    dilation,
    dropout,
    formulas,
    functions,
    gates,
    masks,
    norms,
    parts,
    pixels,
    products,
    repeats,
    shuffles,
    steps_alike,
)
from tqconv.passes.recurrent import loops, memory, steps
from tqconv.passes.toco import stages as toco

SIMPLIFY: tuple[Pass, ...] = (
    bodies.trim_branches,
    rounds.share_variables,
    rounds.take_last_round,
    rounds.project_before_loop,
    bodies.trim_loops,
    dropout.drop_dropout,
    known.compute_now,
    cleanup.drop_empty,
    cleanup.drop_identities,
    reshape.as_reshape,
    reshape.whole_as_reshape,
    vectors.take_from_pack,
    vectors.take_from_gather,
    vectors.take_from_join,
    reshape.merge_reshapes,
    reshape.reduction_to_reshape,
    cleanup.multiply_by_zero,
    cleanup.dense_of_zeros,
    fills.uniform_as_scalar,
    fills.fill_at_once,
    fills.drop_widening,
    fills.choose_known,
    fills.average,
    cleanup.share_equal_ops,
    cleanup.drop_twice,
    cleanup.forget_sign_of_zero,
    sink.transpose_in_product,
    sink.transpose_in_dense,
    sink.compose_transposes,
    joined.join_over_reshape,
    sink.shape_before_transpose,
    dilation.take_out_clamps,
    dilation.lift_unit_axis,
    dilation.recognize_dilation,
    dilation.recognize_open_dilation,
    fold.merge_constants,
    fold.fold_scale,
    fold.fold_shift,
    fold.fold_shift_of_sum,
    activations.clamp_to_activation,
    activations.recognize_leaky_relu,
    activations.recognize_scaled_half,
    activations.recognize_prelu,
    functions.recognize_functions,
    norms.center_before_scaling,
    norms.normalize_as_it_stands,
    norms.average_by_axes,
    formulas.recognize_l2_normalization,
    formulas.recognize_softmax,
    formulas.recognize_softmax_by_logarithm,
    formulas.recognize_log_softmax,
    formulas.recognize_squared_difference,
    formulas.recognize_reciprocal_root,
    shuffles.recognize_channel_shuffle,
    formulas.recognize_logistic,
    formulas.subtract_negatives,
    steps_alike.steps_as_rows,
    parts.part_of_join,
    parts.slices_as_split,
    parts.equal_parts,
    parts.only_slice,
    parts.project_before_unpack,
    pixels.recognize_patches,
    repeats.repeat_as_resize,
    repeats.resize_once,
    repeats.joined_copies,
    masks.choose_infinity,
    masks.choose_hidden,
    masks.choose_the_other_way,
    masks.choose_by_flags,
    gates.gates_at_once,
    products.scale_before_product,
    products.product_across,
    products.product_of_vectors,
    reshape.keep_reduced_dims,
    reshape.lift_over_reshape,
    reshape.sink_reshapes,
    reshape.compute_in_four_dimensions,
    broadcast.drop_copies,
)

STAGES: tuple[Stage, ...] = (
    Stage("simplify", (sink.sink_transposes, sink.sink_flattened, *SIMPLIFY)),
    Stage(
        "layout",
        (
            settle.settle_layout,
            sink.transpose_to_reshape,
            *SIMPLIFY,
            broadcast.drop_leading_ones,  # last: permutations pass what has all dimensions
        ),
    ),
    Stage(
        "scale",
        (
            fuse.fuse_padding,
            fuse.fuse_padding_of_maxima,
            taps.cut_taps_in_padding,
            taps.cut_windows_in_padding,
            taps.shorten_steps,
            fold.scale_behind_padding,
            fold.constants_behind_reshape,
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
    Stage("lower", REWRITERS),
    Stage("finish", (cleanup.drop_identities, cleanup.share_equal_ops, cleanup.share_constants)),
)
"""What may be assumed after each stage: simplify: no TRANSPOSE that cancels, no scale or shift
behind a linear operator; layout: the TRANSPOSEs that are left move as little as they can; fuse:
activations may be fused, nothing later folds weights; lower: the target takes every operator with
its types and ranks."""


BEGIN: tuple[Stage, ...] = (
    Stage("sizes", (sizes.size_inputs,)),
    Stage("fills", (fills.uniform_as_scalar, cleanup.drop_identities)),
)
"""Before loops and steps are read: masks of ones, with which layers multiply their state, go."""

FLOAT_STAGES: tuple[Stage, ...] = (
    *BEGIN,
    Stage("recurrent", (memory.size_first_states, steps.fuse_steps, loops.fuse_loops)),
    Stage("rounds", (loops.write_out_one_round,)),
    *STAGES,
    Stage("pixels", (pixels.recognize_depth_to_space,)),
    Stage("states", (steps.own_states,)),
)
"""The same for a result that computes with reals: DEPTH_TO_SPACE has no kernel for 16 bits, and of
recurrent layers that are written out step by step each operator has an integer one."""

INTEGER_STAGES: tuple[Stage, ...] = (
    *BEGIN,
    Stage("recurrent", (memory.size_first_states, loops.fuse_loops)),
    Stage("rounds", (loops.write_out_one_round,)),
    *STAGES,
    Stage("states", (steps.own_states,)),
)
"""The same before a quantization: bodies of loops stay float, what they became need not."""

CELL_STAGES: tuple[Stage, ...] = (
    *BEGIN,
    Stage("recurrent", (memory.size_first_states, steps.fuse_integer_steps, loops.fuse_loops)),
    Stage("rounds", (loops.write_out_one_round,)),
    *STAGES,
    Stage("states", (steps.own_states,)),
)
"""The same where the cells of an LSTM are measured, and have 16 bits in an operator of 8."""


def stages_before(
    options: TocoOptions,
    *,
    quantizing: bool,
    channels_first: bool = False,
    measures_cells: bool = False,
) -> tuple[Stage, ...]:
    """Return the stages between import and quantization, or writing.

    quantizing: a quantizer follows that knows ranges, so FAKE_QUANT operators leave theirs and go.
    measures_cells: see `CELL_STAGES`.
    channels_first: the source has other layouts than TensorFlow Lite, which TOCO could not read.
    """
    if options.inference_type is not None:
        return toco.stages(
            cross_fake_quant=options.drop_fake_quant or options.reorder_across_fake_quant,
            spread_fake_quant=options.propagate_fake_quant_num_bits,
            channels_first=channels_first,
        )
    if not quantizing:
        return FLOAT_STAGES
    if options.drop_fake_quant:
        passes: tuple[Pass, ...] = (fake_quant.read_fake_quant, fake_quant.drop_fake_quant)
    else:
        passes = (fake_quant.clamp_fake_quant,)
    # In 8 bits the squares of a spelled-out norm lose far more than its epsilon is worth.
    norms = Stage("norms", (formulas.recognize_loose_l2_normalization,))
    conversions = Stage("conversions", (fake_quant.read_conversions,))
    return (
        conversions,
        Stage("evidence", passes),
        norms,
        *(CELL_STAGES if measures_cells else INTEGER_STAGES),
    )


QUANTIZED = Stage("quantization", (cleanup.share_constants,))
"""What follows a quantizer."""

LAST = Stage("order", (bodies.copy_before_overwritten, order.read_before_reuse))
"""What follows everything but TOCO's stages, whose order is TOCO's."""
