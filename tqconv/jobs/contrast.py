"""Two models side by side: what they are made of, their parameters, and what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.config import LoadOptions, QuantizeOptions
from tqconv.errors import UsageError
from tqconv.exporters.report import ModelFacts, describe
from tqconv.exporters.tflite import serialize
from tqconv.importers.source import SourceFile, source_of
from tqconv.ir.graph import Model, Tensor
from tqconv.jobs.quantize import sample_options
from tqconv.jobs.reals import reals_of
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import STAGES
from tqconv.records import dataclass
from tqconv.runtime import samples as data
from tqconv.runtime.compare import Difference, Tally, compare, difference, outputs_of
from tqconv.runtime.layout import Borders, borders_between
from tqconv.runtime.litert import Feed


@dataclass(frozen=True)
class Side:
    """One of the models. `as_written`: it is no .tflite, and shown as `convert` would write it."""

    file: str
    kind: str
    as_written: bool
    facts: ModelFacts


@dataclass(frozen=True)
class Parameter:
    """A constant of the same name in both; sqnr: of the reals that both stand for, in dB."""

    name: str
    first: str
    second: str
    sqnr: float
    largest: float


@dataclass(frozen=True)
class Contrast:
    """Two models side by side.

    parameters: constants of one name and shape, the farthest apart first; only_first, only_second:
    the names of those that the other lacks. differences: of outputs, then of inner tensors, where
    samples were given. evaluated: what computed the outputs of the first model.
    """

    first: Side
    second: Side
    parameters: tuple[Parameter, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON has."""
        sides = {
            name: {"file": side.file, "format": side.kind, **side.facts.as_dict()}
            for name, side in (("first", self.first), ("second", self.second))
        }
        return {
            **sides,
            "parameters": [asdict(p) for p in self.parameters],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "differences": [asdict(d) for d in self.differences],
            "notes": list(self.notes),
        }


def contrast(
    first: str | Path,
    second: str | Path,
    options: LoadOptions | None = None,
    samples: QuantizeOptions | None = None,
) -> Contrast:
    """Compare two model files of any formats.

    `options` say how to read the first where they name its tensors; `samples.calibration_data`:
    what both are run on. Raises what `load` raises, and UsageError where the two cannot be fed or
    compared.
    """
    options = LoadOptions() if options is None else options
    one, two = source_of(Path(first), options), source_of(Path(second), LoadOptions())
    left, right = _as_written(one, options), _as_written(two, LoadOptions())
    found: list[Difference] = []
    notes: list[str] = []
    if samples is not None and samples.calibration_data is not None:
        found, notes = _compare(one, left, right, options, samples)
    mine, theirs = _constants(left), _constants(right)
    shared = [n for n in mine if n in theirs and mine[n].shape == theirs[n].shape]
    pairs = [_parameter(n, mine[n], theirs[n]) for n in shared]
    return Contrast(
        Side(str(first), one.kind, one.kind != "tflite", describe(left)),
        Side(str(second), two.kind, two.kind != "tflite", describe(right)),
        tuple(sorted(pairs, key=lambda p: (p.sqnr, p.name))),
        tuple(n for n in mine if n not in shared),
        tuple(n for n in theirs if n not in shared),
        tuple(found),
        tuple(notes),
    )


def _as_written(file: SourceFile, options: LoadOptions) -> Model:
    model = file.load(options)
    if file.kind != "tflite":
        run_stages(model, STAGES)
    return model


def _constants(model: Model) -> dict[str, Tensor]:
    """Return the constants that stand for reals, by name."""
    return {
        t.name: t
        for graph in model.all_graphs()
        for t in graph.tensors()
        if t.is_constant and (t.quant is not None or t.dtype.kind == "f")
    }


def _parameter(name: str, mine: Tensor, theirs: Tensor) -> Parameter:
    sqnr, largest = difference(_reals(mine), _reals(theirs))
    return Parameter(name, mine.dtype.name, theirs.dtype.name, sqnr, largest)


def _reals(tensor: Tensor) -> np.ndarray:
    assert tensor.data is not None
    if tensor.quant is not None:
        return reals_of(tensor.data, tensor.quant)
    return np.asarray(tensor.data, np.float32)


def _compare(
    file: SourceFile, left: Model, right: Model, options: LoadOptions, asked: QuantizeOptions
) -> tuple[list[Difference], list[str]]:
    """Run both on the samples; the outputs of the first by its own runtime, if it has one."""
    borders = borders_between(left.main, right.main)
    path = Path(str(asked.calibration_data))
    read = data.read_samples(path, left.main.inputs, sample_options(asked))
    feeds = list(islice(read, asked.samples))
    if not feeds:
        raise UsageError(f"{path} holds no sample")
    found = compare(left, right, feeds, serialize, borders=borders)
    runner = file.evaluator(options)
    if runner is None:
        return found, list(borders.notes)
    name, run = runner
    outputs = list(_by_itself(run, feeds, left, right, borders))
    inner = [d for d in found if not d.is_output]
    note = f"the outputs of {file.path} are those of {name}; inner tensors those of its conversion"
    return [*outputs, *inner], [*borders.notes, note]


def _by_itself(
    run: Callable[[Feed], list[np.ndarray]],
    feeds: Sequence[Feed],
    left: Model,
    right: Model,
    borders: Borders,
) -> Iterator[Difference]:
    """Yield the differences of the outputs from what another runtime makes of the first model."""
    other = outputs_of(right, serialize)
    tallies = [Tally() for _ in left.main.outputs]
    for feed in feeds:
        pairs = zip(tallies, run(feed), other(borders.feed(feed)), strict=True)
        for index, (tally, wanted, got) in enumerate(pairs):
            tally.add(wanted, borders.output(index, got))
    for tally, tensor in zip(tallies, left.main.outputs, strict=True):
        yield tally.result(tensor.name, is_output=True)
