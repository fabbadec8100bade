"""Models that are judged, as files that LiteRT runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model, Tensor
from tqconv.ir.types import Quant
from tqconv.quant.plan import Plan
from tqconv.runtime.calibrate import exposed, goes_on
from tqconv.runtime.compare import reals
from tqconv.runtime.litert import Array, Feed, Session


@dataclass(frozen=True)
class Draft:
    """A model as LiteRT runs it, and what is read: an output, or an input by its name."""

    content: bytes
    reads: list[tuple[int | None, str, Quant | None]]
    alone: bool
    """Whether each sample needs a session of its own, lest it goes on from the one before."""

    @staticmethod
    def of(model: Model, tensors: Sequence[Tensor]) -> Draft:
        """Return the file of a model, and where these tensors are read."""
        wide = exposed(model, tensors)
        positions = {t: i for i, t in enumerate(wide.main.outputs)}
        reads = [(positions.get(t), t.name, t.quant) for t in tensors]
        return Draft(serialize(wide), reads, goes_on(model))

    def run(
        self, samples: Sequence[Feed], step: Callable[[], None], *, delegate: bool = True
    ) -> list[list[Array]]:
        """Return what the tensors hold for each sample, as reals; no sample knows of another."""
        session = Session(self.content, delegate=delegate)
        seen: list[list[Array]] = []
        for feed in samples:
            if self.alone and seen:
                session = Session(self.content, delegate=delegate)
            session.run(feed)
            seen.append(
                [
                    np.array(feed[name] if at is None else reals(session.output(at), quant))
                    for at, name, quant in self.reads
                ]
            )
            step()
        return seen


class Drafts:
    """The drafts of plans that may be scored again, on other samples."""

    def __init__(self) -> None:
        self._made: list[tuple[Plan, Draft]] = []

    def of(self, plan: Plan, make: Callable[[], Draft]) -> Draft:
        """Return the draft of a plan, made where there is none."""
        for known, draft in self._made:
            if known is plan:
                return draft
        self._made.append((plan, make()))
        return self._made[-1][1]

    def keep(self, *plans: Plan) -> None:
        """Forget all others."""
        self._made = [made for made in self._made if any(made[0] is plan for plan in plans)]
