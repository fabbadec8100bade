"""Pictures of a conversion, one after each stage or pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tqconv.errors import QuantizationError
from tqconv.ir.graph import Graph, Model
from tqconv.jobs.files import picture
from tqconv.passes.driver import Observer, Stage, run_stages

PICTURES = "toco_*.dot"
"""How the files are called; TOCO's own were toco_AT_IMPORT.dot and the like."""
MISSING = "MISSING_RANGES"
"""The moment at which a quantization lacks ranges."""


class Pictures:
    """Pictures of a conversion: after each stage, and after each pass when `steps` is set.

    `files`: those that were written, in order.
    """

    def __init__(self, folder: str | None, steps: bool, observe: Observer | None) -> None:
        self.folder = None if folder is None else Path(folder)
        self.steps = steps
        self.observe = observe
        self.count = 0
        self.files: list[Path] = []

    def run(self, model: Model, stage: Stage) -> None:
        """Run one stage, with a picture of the result."""

        def seen(name: str, graph: Graph) -> None:
            if self.observe is not None:
                self.observe(name, graph)
            if self.steps:
                self.count += 1
                self.write(model, f"AT_STEP_{self.count:04d}_{name}")

        run_stages(model, (stage,), observe=seen)
        self.write(model, f"AFTER_{stage.name.upper()}")

    def write(
        self,
        model: Model,
        moment: str,
        floats: Mapping[str, str] | None = None,
        unranged: Iterable[str] = (),
    ) -> None:
        """Write `toco_<moment>.dot`, the names that TOCO gave such files.

        floats: why operators stay float, by their first output; unranged: values without a range.
        """
        if self.folder is None:
            return
        from tqconv.exporters.drawing.gather import Known

        known = Known(floats={} if floats is None else floats, unranged=frozenset(unranged))
        path = self.folder / f"toco_{moment}.dot"
        picture(model, path, known)
        self.files.append(path)

    @contextmanager
    def of_failure(self, model: Model) -> Iterator[None]:
        """Write a picture of the values that have no range, where that stops a quantization."""
        try:
            yield
        except QuantizationError as error:
            from tqconv.quant.refusals import MissingRangesError

            if self.folder is not None and isinstance(error, MissingRangesError):
                self.write(model, MISSING, unranged=[tensor.name for tensor in error.tensors])
                error.hint = f"{error.hint}; {self.folder}/toco_{MISSING}.dot shows where they are"
            raise
