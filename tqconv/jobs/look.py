"""What a model is made of, as facts; also where it has no translation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import InspectOptions, LoadOptions
from tqconv.errors import TqconvError, UnsupportedError, UsageError
from tqconv.importers.outline import Outline
from tqconv.importers.source import SourceFile, source_of
from tqconv.ir.graph import Model
from tqconv.jobs import footprint
from tqconv.jobs.record import Record
from tqconv.jobs.stages import nodes_instead
from tqconv.output import write_atomically
from tqconv.records import dataclass

if TYPE_CHECKING:
    from tqconv.exporters.placement import Placement
    from tqconv.exporters.report import ModelFacts


@dataclass(frozen=True)
class Looked:
    """What was seen of a model, and what the device that was asked about runs of it."""

    kind: str
    """A key of `detect.NAMES`."""
    facts: ModelFacts | Outline
    placement: Placement | None = None


def inspect(
    path: str | Path, options: LoadOptions | None = None, *, nodes: bool = False
) -> ModelFacts | Outline:
    """Return what a model is made of, before any optimization.

    `nodes`: its nodes as the file states them, where the format shows them; so too where it has no
    translation. Raises what `load` raises where nodes do not help.
    """
    return look(path, InspectOptions(LoadOptions() if options is None else options, nodes)).facts


def look(path: str | Path, options: InspectOptions) -> Looked:
    """Look at a model that is read once, and write the report that is asked for.

    Raises what `load` raises where nodes do not help or a device is asked about, UsageError where
    there is nothing to compare with.
    """
    from tqconv.exporters.report import describe
    from tqconv.jobs.placement import placement_of

    source = source_of(Path(path), options.load)
    _check(source, options)
    found, error = _read(source, options)
    if isinstance(found, Outline):
        facts: ModelFacts | Outline = found
    else:
        with as_stated(found):
            facts = describe(found)
    why = error.nodes if isinstance(error, UnsupportedError) else {}
    if options.report is not None:
        write_atomically(Path(options.report), _reported(source, found, why, options))
    if options.device is None:
        return Looked(source.kind, facts)
    if error is not None:
        raise error
    model = source.load(options.load) if isinstance(found, Outline) else found
    return Looked(source.kind, facts, placement_of(source, model, options.device, options.load))


def _check(source: SourceFile, options: InspectOptions) -> None:
    """Raise UsageError for what does not go together."""
    data = options.quantize.calibration_data
    if data is not None and options.report is None:
        raise UsageError(
            "--data compares two models, or a model with its float one in a report",
            hint="tqconv inspect MODEL OTHER --data DATA, or --report FILE --data DATA",
        )
    if options.reference is not None and data is None:
        raise UsageError("a float model is what errors are measured by", hint="add --data DATA")
    if options.report is not None:
        footprint.of_look(source, options).check()
    if options.device is not None:
        from tqconv.targets.devices import device

        device(options.device)


def _read(
    source: SourceFile, options: InspectOptions
) -> tuple[Model | Outline, TqconvError | None]:
    """Return a model, or its nodes where these are asked for or it has no translation.

    The error says why it has none.
    """
    outline = source.outline(options.load) if options.nodes else None
    if outline is not None:
        return outline, None
    try:
        return source.load(replace(options.load, shown=True)), None
    except (UnsupportedError, UsageError) as error:
        return nodes_instead(source, options.load, error), error


@contextmanager
def as_stated(model: Model) -> Iterator[None]:
    """Leave out the constants that the source does not state, as long as the facts are looked at.

    The bias of zeros that a convolution without one gets.
    """
    left_out = [
        (graph, op, index, tensor)
        for graph in model.all_graphs()
        for op in graph.ops
        for index, tensor in enumerate(op.inputs)
        if tensor is not None and tensor.filler
    ]
    for graph, op, index, _ in left_out:
        graph.set_input(op, index, None)
    yield
    for graph, op, index, tensor in left_out:
        graph.set_input(op, index, tensor)


def _reported(
    source: SourceFile, found: Model | Outline, why: Mapping[str, str], options: InspectOptions
) -> bytes:
    """Return the report: of a model, or of nodes without translation, and `why` they have none."""
    from tqconv.importers.detect import NAMES
    from tqconv.jobs.page import identity_of, page_of, page_of_nodes

    title, done, identity = source.path.name, NAMES[source.kind], identity_of(source.path)
    if isinstance(found, Outline):
        return page_of_nodes(found, why, title=title, done=done, identity=identity,
                             command=options.command)  # fmt: skip
    record = Record()
    if options.quantize.calibration_data is not None:
        from tqconv.jobs.measure import errors_of

        record.differences = errors_of(source, found, options.quantize, options.reference)
    with as_stated(found):
        return page_of(found, record, title=title, done=done, identity=identity,
                       command=options.command)  # fmt: skip
