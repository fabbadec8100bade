"""What is measured on a model to be looked at: errors against reals, ranges that are missing."""

from __future__ import annotations

from pathlib import Path

from tqconv.config import LoadOptions, PictureOptions, QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError, UsageError, VerificationError
from tqconv.exporters.tflite import serialize
from tqconv.importers.source import SourceFile
from tqconv.ir.graph import Model
from tqconv.jobs.files import load
from tqconv.jobs.reals import in_reals
from tqconv.passes.driver import holds_integers, run_stages
from tqconv.passes.pipeline import FLOAT_STAGES, stages_before


def errors_of(
    model: Model, picture: PictureOptions, source: SourceFile, options: LoadOptions
) -> dict[str, float]:
    """Return the signal-to-noise ratio in dB of each value that the float model has, too.

    UsageError where there is nothing to compare with.
    """
    from tqconv.jobs.quantize import sample_options
    from tqconv.runtime.compare import compare
    from tqconv.runtime.samples import read_samples

    if picture.reference is not None:
        reference = load(picture.reference)
        run_stages(reference, FLOAT_STAGES)
    elif holds_integers(model.main):
        reference = in_reals(model)
    else:
        raise UsageError(
            f"{source.path} computes with reals: it has no errors",
            hint="draw the quantized model, or name what it is compared with: --reference FILE",
        )
    counts = {len(reference.main.outputs), len(model.main.outputs)}
    if len(counts) > 1:
        raise UsageError("the two models have other numbers of outputs")
    path = Path(str(picture.error))
    samples = read_samples(path, reference.main.inputs, sample_options(picture.quantize))
    try:
        found = compare(reference, model, samples, serialize)
    except VerificationError as error:
        if picture.reference is None:
            error.hint = "name the float model: --reference FILE"
        raise
    return {difference.name: difference.sqnr for difference in found}


def unranged(model: Model, source: SourceFile, options: LoadOptions) -> frozenset[str]:
    """Return the values without a range, of a model that was trained to be quantized.

    Those that a quantization to int8 asks for; of a model without FAKE_QUANT nobody expects any.
    """
    if not any(op.type == "FAKE_QUANT" for op in model.main.ops) or len(model.graphs) > 1:
        return frozenset()
    from dataclasses import replace

    from tqconv.quant.integer_mode import plan_for, rewrite_for
    from tqconv.quant.plan import MissingRangesError

    asked = QuantizeOptions(mode="int8")
    trained = source.load(replace(options, quantizing=True))
    first = source.format.channels_first
    run_stages(trained, stages_before(TocoOptions(), quantizing=True, channels_first=first))
    try:
        rewrite_for(trained, asked)
        plan_for(trained, asked, None)
    except MissingRangesError as error:
        return frozenset(tensor.name for tensor in error.tensors)
    except QuantizationError:
        return frozenset()  # another reason why it is no integer model; nothing is known of ranges
    return frozenset()
