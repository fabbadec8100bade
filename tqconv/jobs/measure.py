"""What is measured on a model to be looked at: errors against reals, ranges that are missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions, QuantizeOptions, TocoOptions
from tqconv.errors import QuantizationError, UsageError, VerificationError
from tqconv.exporters.tflite import serialize
from tqconv.importers.source import SourceFile
from tqconv.ir.graph import Model
from tqconv.jobs.files import load
from tqconv.jobs.reals import in_reals
from tqconv.passes.driver import holds_integers, run_stages
from tqconv.passes.pipeline import FLOAT_STAGES, stages_before

if TYPE_CHECKING:
    from tqconv.runtime.compare import Difference


def errors_of(
    source: SourceFile, model: Model, samples: QuantizeOptions, float_model: str | None
) -> list[Difference]:
    """Return how far each value is from the float model's, which is in a file, or the model's own.

    `samples`: where they are and how they are read. UsageError where there is nothing to compare
    with.
    """
    from tqconv.jobs.quantize import sample_options
    from tqconv.runtime.compare import compare
    from tqconv.runtime.layout import borders_between
    from tqconv.runtime.samples import read_samples

    if float_model is not None:
        reference = load(float_model)
        run_stages(reference, FLOAT_STAGES)
    elif holds_integers(model.main):
        reference = in_reals(model)
    else:
        raise UsageError(
            f"{source.path} computes with reals: it has no errors",
            hint="give the quantized model, or name what it is compared with: --reference FILE",
        )
    path = Path(str(samples.calibration_data))
    borders = borders_between(reference.main, model.main)
    feeds = read_samples(path, reference.main.inputs, sample_options(samples))
    try:
        return compare(reference, model, feeds, serialize, borders=borders)
    except VerificationError as error:
        if float_model is None:
            error.hint = "name the float model: --reference FILE"
        raise


def unranged(model: Model, source: SourceFile, options: LoadOptions) -> frozenset[str]:
    """Return the values without a range, of a model that was trained to be quantized.

    Those that a quantization to int8 asks for; of a model without FAKE_QUANT nobody expects any.
    """
    if not any(op.type == "FAKE_QUANT" for op in model.main.ops) or len(model.graphs) > 1:
        return frozenset()
    from dataclasses import replace

    from tqconv.quant.integer_mode import plan_for, rewrite_for
    from tqconv.quant.refusals import MissingRangesError

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
