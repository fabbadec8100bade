"""What a run leaves behind for its report, beside its result."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from tqconv.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqconv.jobs.memory import Memory
    from tqconv.quant.evidence.ranges import Ranges
    from tqconv.quant.plan import Plan
    from tqconv.runtime.compare import Difference


@dataclass
class Record:
    """What a quantization knew and did.

    histograms: whether distributions are wanted, which cost time. ranges: what was measured and
    said of activations. floats: why operators stay float, by their first output. fitted: what was
    tried on the samples, and what it brought. differences: how far each value is from the float
    model's. memory: samples, and what the float model made of them.
    """

    histograms: bool = False
    ranges: Ranges | None = None
    floats: dict[str, str] = field(default_factory=dict)
    fitted: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    memory: Memory | None = None

    def tell(self, plan: Plan, before: Sequence[str]) -> None:
        """Take down what a plan says; `before`: its notes before it was fitted to samples."""
        self.fitted = [note for note in plan.notes if note not in before]
        self.floats = {op.outputs[0].name: why for op, why in plan.floats.items() if op.outputs}
