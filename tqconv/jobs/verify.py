"""How far a quantized model is from the float one."""

from __future__ import annotations

from pathlib import Path

from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.jobs.quantize import sample_options
from tqconv.runtime import samples as data
from tqconv.runtime.compare import Difference, compare


def verify(
    reference: Model, quantized: Model, path: str, options: QuantizeOptions
) -> list[Difference]:
    """Return how far a quantized model is from the float one on the samples of a file or folder."""
    samples = list(data.read_samples(Path(path), reference.main.inputs, sample_options(options)))
    return compare(reference, quantized, samples, serialize)


VERIFY_SHOWN = 5
"""Inner tensors that the report of `--verify` names."""


def verify_notes(found: list[Difference]) -> list[str]:
    """Return the lines of the report: every output, then the worst inner tensors."""
    inner = [d for d in found if not d.is_output][:VERIFY_SHOWN]
    lines = [
        f"output '{d.name}': {d.sqnr:.1f} dB, largest difference {d.largest:.6g}"
        for d in found
        if d.is_output
    ]
    return lines + [f"worst inside: '{d.name}': {d.sqnr:.1f} dB" for d in inner]
