"""Run samples through a float model and remember how its activations are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tqconv.errors import UsageError, VerificationError
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.histogram import Histogram
from tqconv.runtime.litert import Array, Feed, Session

Serialize = Callable[[Model], "bytes | memoryview"]
Progress = Callable[[int], None]


def observed(graph: Graph) -> list[Tensor]:
    """Return the activations that hold reals: inputs and what operators make."""
    return [
        t for t in graph.tensors()
        if t.dtype == np.float32 and not t.is_constant and not t.variable
    ]


def exposed(model: Model, tensors: Iterable[Tensor]) -> Model:
    """Return a model that shares everything with `model` and has these tensors as outputs too.

    As outputs they can be read although the default delegate runs the model, which is several
    times faster than to run without it and keep every tensor.
    """
    main = model.main
    more = [t for t in tensors if t not in main.outputs and t not in main.inputs]
    graph = Graph(main.name, main.inputs, [*main.outputs, *more], main.ops)
    return Model([graph, *model.graphs[1:]], model.origin)


def calibrate(
    model: Model, samples: Iterable[Feed], serialize: Serialize, progress: Progress | None = None
) -> dict[str, Histogram]:
    """Return a histogram for each activation of the main graph, by tensor name.

    `samples`: one array per graph input; `serialize`: makes the file that LiteRT runs; `progress` is
    called with the number of samples done. UsageError when there is no sample.
    """
    tensors = observed(model.main)
    seen: dict[str, Histogram] = {}
    done = 0
    for values in _activations(model, tensors, samples, serialize):
        for name, array in values:
            fresh = Histogram.of(array)
            seen[name] = seen[name].merged(fresh) if name in seen else fresh
        done += 1
        if progress is not None:
            progress(done)
    if not done:
        raise UsageError("there are no samples to calibrate with")
    return {t.name: seen[t.name] for t in tensors if t.name in seen}


def _activations(
    model: Model, tensors: list[Tensor], samples: Iterable[Feed], serialize: Serialize
) -> Iterator[Iterator[tuple[str, Array]]]:
    """Yield for each sample the names and values of the activations; values are views."""
    wide = exposed(model, tensors)
    content = serialize(wide)
    names = {t.name for t in tensors}
    positions = {t.name: i for i, t in enumerate(wide.main.outputs) if t.name in names}
    session = Session(content)
    for feed in samples:
        session = _run(session, content, feed)
        yield _read(session, positions, {n: a for n, a in feed.items() if n in names})


def _run(session: Session, content: bytes | memoryview, feed: Feed) -> Session:
    """Run a sample with the delegate, or without it where it cannot run the model."""
    try:
        session.run(feed)
        return session
    except VerificationError:
        plain = Session(content, delegate=False)
        plain.run(feed)
        return plain


def _read(session: Session, positions: dict[str, int], fed: Feed) -> Iterator[tuple[str, Array]]:
    yield from fed.items()
    for name, position in positions.items():
        if name not in fed:
            yield name, session.output(position)
