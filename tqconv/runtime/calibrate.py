"""Run samples through a float model and remember how its activations are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tqconv.config import Progress
from tqconv.errors import UsageError, VerificationError
from tqconv.ir.containers import Border
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.histogram import Histogram
from tqconv.runtime.litert import Feed, Session

Serialize = Callable[[Model], "bytes | memoryview"]


def observed(graph: Graph) -> list[Tensor]:
    """Return the activations that hold reals: inputs and what operators make."""
    return [
        t for t in graph.tensors() if t.dtype == np.float32 and not t.is_constant and not t.variable
    ]


def exposed(model: Model, tensors: Iterable[Tensor]) -> Model:
    """Return a model that shares everything with `model` and has these tensors as outputs too.

    As outputs they can be read although the default delegate runs the model, which is several
    times faster than to run without it and keep every tensor.
    """
    main = model.main
    more = [t for t in tensors if t not in main.outputs and t not in main.inputs]
    graph = Graph(main.name, main.inputs, Border([*main.outputs, *more]), main.ops)
    return Model([graph, *model.graphs[1:]], model.origin)


def calibrate(
    model: Model,
    samples: Iterable[Feed],
    serialize: Serialize,
    progress: Progress | None = None,
    total: int | None = None,
) -> dict[str, Histogram]:
    """Return a histogram for each activation of the main graph, by tensor name.

    `samples`: one array per graph input; `serialize`: makes the file that LiteRT runs; `progress`
    is called with the number of samples done, and `total`. UsageError when there is no sample.
    """
    tensors = observed(model.main)
    meter = _Meter(model, tensors, serialize)
    seen: dict[str, Histogram] = {}
    done = 0
    for feed in samples:
        for name, fresh in meter.measure(feed).items():
            seen[name] = seen[name].merged(fresh) if name in seen else fresh
        done += 1
        if progress is not None:
            progress(done, total)
    if not done:
        raise UsageError("there are no samples to calibrate with")
    return {t.name: seen[t.name] for t in tensors if t.name in seen}


class _Meter:
    """Measures the activations of one sample after the other."""

    def __init__(self, model: Model, tensors: list[Tensor], serialize: Serialize) -> None:
        wide = exposed(model, tensors)
        self.names = {t.name for t in tensors}
        outputs = enumerate(wide.main.outputs)
        self.positions = {t.name: i for i, t in outputs if t.name in self.names}
        self.content = serialize(wide)
        self.session = Session(self.content)
        self.delegated = True

    def measure(self, feed: Feed) -> dict[str, Histogram]:
        """Return the histograms of one sample, by tensor name."""
        try:
            return self._measure(feed)
        except VerificationError:
            if not self.delegated:
                raise
            # Some models, of sizes that depend on the data, run only on the builtin kernels.
            self.session, self.delegated = Session(self.content, delegate=False), False
            return self._measure(feed)

    def _measure(self, feed: Feed) -> dict[str, Histogram]:
        self.session.run(feed)
        seen = {name: Histogram.of(array) for name, array in feed.items() if name in self.names}
        for name, position in self.positions.items():
            if name not in feed:
                seen[name] = Histogram.of(self.session.output(position))
        return seen
