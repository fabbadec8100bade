"""How far a quantized model is from the float one, and whether that is near enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqconv.config import ConvertOptions, QuantizeOptions, Watch
from tqconv.errors import UsageError, VerificationError, counted
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs.files import snapshot
from tqconv.jobs.memory import Memory
from tqconv.jobs.phases import counted_through, unwatched
from tqconv.jobs.quantize import sample_count, sample_options
from tqconv.quant import weights
from tqconv.runtime import samples as data
from tqconv.runtime.compare import EXACT, Difference, compare, compare_outputs

VERIFY_SHOWN = 5
"""Inner tensors that the report of `--verify` names."""
POOR = 10.0
"""Decibels below which an output is warned about: noise of a third of the signal's amplitude."""
GLANCE = 8
"""Calibration samples on which that is looked at where nobody asked for a comparison."""
WORTH_SAYING = 3.0
"""Decibels by which float kernels with stored weights must do better than hybrid ones."""
NOT_COMPARED = "the result was not compared with the float model"
REPORTED = 32
"""Calibration samples on which a report compares every value."""


def judge(
    reference: Model, quantized: Model, options: ConvertOptions, watch: Watch = unwatched
) -> list[Difference]:
    """Return how far the outputs are from the float model's, where the options ask for that.

    Measured on the samples of `verify`, else on those of the calibration; unasked, a few of these
    are enough for a warning. Raises VerificationError where an output is worse than the options
    allow, UsageError where they ask for what no output has.
    """
    asked = options.quantize
    gated = options.min_sqnr is not None or options.min_agreement is not None
    if options.verify is not None:
        found = verify(reference, quantized, options.verify, asked, watch=watch)
        quantized.notes += verify_notes(found)
        if asked.mode == "dynamic":
            quantized.notes += _better_stored(reference, found, options.verify, asked, watch)
    elif gated:
        inner = options.report is not None
        samples = str(asked.calibration_data)
        found = verify(reference, quantized, samples, asked, inner=inner, watch=watch)
    else:
        inner = options.report is not None
        found, notes = _glance(reference, quantized, asked, watch, inner=inner)
        quantized.notes += notes
        return found
    outputs = [d for d in found if d.is_output]
    _check(outputs, options)
    quantized.notes += warnings(outputs) if options.min_sqnr is None else []
    return found


def _better_stored(
    reference: Model,
    found: Sequence[Difference],
    path: str,
    asked: QuantizeOptions,
    watch: Watch,
) -> list[str]:
    """Return a note for each output that loses much because hybrid kernels round their inputs."""
    other = snapshot(reference)
    weights.quantize(other, replace(asked, mode="weights"))
    stored = verify(reference, other, path, asked, inner=False, watch=watch)
    mine = [d for d in found if d.is_output]
    return [
        f"output '{d.name}': {d.sqnr:.1f} dB; --quantize weights keeps {better.sqnr:.1f} at the "
        "same size, for only weights are rounded"
        for d, better in zip(mine, stored, strict=True)
        if better.sqnr > d.sqnr + WORTH_SAYING
    ]


def verify(
    reference: Model,
    quantized: Model,
    path: str,
    options: QuantizeOptions,
    *,
    inner: bool = True,
    watch: Watch = unwatched,
) -> list[Difference]:
    """Return how far a quantized model is from the float one on the samples of a file or folder."""
    samples = data.read_samples(Path(path), reference.main.inputs, sample_options(options))
    progress = watch("comparing", "samples")
    asked = replace(options, calibration_data=path, random=None)
    total = None if progress is None else sample_count(reference, asked)
    watched = counted_through(samples, progress, total)
    return compare(reference, quantized, watched, serialize, inner=inner)


def verify_notes(found: list[Difference]) -> list[str]:
    """Return the lines of the report: every output, then the worst inner tensors."""
    inner = [d for d in found if not d.is_output and d.sqnr < EXACT][:VERIFY_SHOWN]
    lines = [f"output '{d.name}': {_distance(d)}" for d in found if d.is_output]
    return lines + [f"worst inside: '{d.name}': {d.sqnr:.1f} dB" for d in inner]


def _distance(found: Difference) -> str:
    if found.sqnr >= EXACT:
        return f"equal on {counted(found.samples, 'sample')}"
    return f"{found.sqnr:.1f} dB, largest difference {found.largest:.6g}{_agreement(found)}"


def _agreement(found: Difference) -> str:
    if found.agreement is None:
        return ""
    return f", largest element the same in {100 * found.agreement:.4g} % of the rows"


def warnings(outputs: Sequence[Difference]) -> list[str]:
    """Return a note in capital words about each output that is mostly lost."""
    return [
        f"WARNING: OUTPUT '{d.name}' KEEPS ONLY {d.sqnr:.1f} DB OF ITS SIGNAL ON "
        f"{counted(d.samples, 'SAMPLE', 'SAMPLES')}"
        for d in outputs
        if d.sqnr < POOR
    ]


def glance(memory: Memory, quantized: Model, watch: Watch = unwatched) -> list[str]:
    """Return warnings from a few samples, of which it is known what the float model made.

    What LiteRT cannot run is said.
    """
    first = [(feed, memory.floats(feed)) for feed in memory.kept[:GLANCE]]
    few = [(feed, made) for feed, made in first if made]
    watched = counted_through(few, watch("comparing", "samples"), len(few))
    try:
        found = compare_outputs(memory.outputs, watched, quantized, serialize)
    except VerificationError as error:
        return [f"{NOT_COMPARED}: {error.message}"]
    return warnings(found)


def _glance(
    reference: Model, quantized: Model, asked: QuantizeOptions, watch: Watch, *, inner: bool
) -> tuple[list[Difference], list[str]]:
    """Return what the first calibration samples show, and warnings; `inner`: inside, too, on more.

    What LiteRT cannot run is said.
    """
    most = REPORTED if inner else GLANCE
    few = replace(asked, samples=min(most, asked.samples or most))
    try:
        path = str(asked.calibration_data)
        found = verify(reference, quantized, path, few, inner=inner, watch=watch)
    except VerificationError as error:
        return [], [f"{NOT_COMPARED}: {error.message}"]
    return (found if inner else []), warnings([d for d in found if d.is_output])


def _check(outputs: Sequence[Difference], options: ConvertOptions) -> None:
    """Raise VerificationError, naming all of them, for outputs below what is asked for."""
    least, share = options.min_sqnr, options.min_agreement
    if least is not None and not outputs:
        raise UsageError("--min_sqnr: the model has no output of reals")
    if share is not None and all(d.agreement is None for d in outputs):
        raise UsageError("--min_agreement: no output has rows of more than one real")
    wrong = []
    for d in outputs:
        if least is not None and d.sqnr < least:
            wrong.append(f"output '{d.name}' keeps {d.sqnr:.1f} dB (--min_sqnr {least:g})")
        if share is not None and d.agreement is not None and d.agreement < share:
            wrong.append(
                f"output '{d.name}' agrees on {d.agreement:.4g} of the samples "
                f"(--min_agreement {share:g})"
            )
    if wrong:
        raise VerificationError(
            f"the result is too far from the float model on "
            f"{counted(outputs[0].samples, 'sample')}: {'; '.join(wrong)}",
            hint="keep what loses most float with --keep_float REGEX, or in mode int8 on 16 bits "
            "with --int16 REGEX; --verify DATA lists the worst inner tensors",
        )
