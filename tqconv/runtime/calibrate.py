"""Run samples through a float model and remember how its activations are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tqconv.config import Progress
from tqconv.errors import UsageError, VerificationError
from tqconv.ir.containers import Border
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.histogram import Extremes, Histogram
from tqconv.ir.tally import Counting, Tallies
from tqconv.ops.table import having, those
from tqconv.runtime import cells, packs
from tqconv.runtime.litert import Array, Feed, Session

RANDOM = those(lambda row: row.category == "random")
CLAMPS = having(lambda row: row.clamp)
Serialize = Callable[[Model], bytes]
Read = Callable[[str], Array]
"""Returns what a sample makes of the tensor of a name, as a view: gone with the next sample."""


def observed(graph: Graph) -> list[Tensor]:
    """Return the activations that hold reals: inputs and what operators make."""
    return [
        t for t in graph.tensors() if t.dtype == np.float32 and not t.is_constant and not t.variable
    ]


def exposed(model: Model, tensors: Iterable[Tensor], more: Sequence[Op] = ()) -> Model:
    """Return a model that shares everything with `model` and has these tensors as outputs too.

    As outputs they can be read although the default delegate runs the model, which is several
    times faster than to run without it and keep every tensor. `more`: operators that it has, too,
    with what they make.
    """
    main = model.main
    new = [t for t in tensors if t not in main.outputs and t not in main.inputs]
    new += [t for op in more for t in op.outputs]
    ops = _repeatable([*main.ops, *more])
    graph = Graph(main.name, main.inputs, Border([*main.outputs, *new]), ops)
    return Model([graph, *model.graphs[1:]], model.origin)


def leading_to(model: Model, tensors: Iterable[Tensor]) -> Model:
    """Return a model that shares what makes these tensors with `model`, and has them as outputs.

    What is done without an output, such as to keep a state, is done.
    """
    main = model.main
    asked = [t for t in tensors if t not in main.inputs]
    if not asked:
        return model
    wanted: set[Tensor | None] = {*asked}
    ops: list[Op] = []
    for op in reversed(main.ops):
        if not op.outputs or not wanted.isdisjoint(op.outputs):
            ops.append(op)
            wanted.update(op.inputs)
    graph = Graph(main.name, main.inputs, Border(asked), _repeatable(ops[::-1]))
    return Model([graph, *model.graphs[1:]], model.origin)


def _repeatable(ops: Sequence[Op]) -> list[Op]:
    """Return operators that draw the same numbers in each run, lest the same samples give others.

    LiteRT seeds those whose seeds are both 0 with something new.
    """
    return [
        replace(op, options={**op.options, "seed": place})
        if op.type in RANDOM and not any(op.options.get(seed) for seed in ("seed", "seed2"))
        else op
        for place, op in enumerate(ops, start=1)
    ]


def goes_on(model: Model) -> bool:
    """Whether a run begins with what the one before left in variables.

    A calibration follows them from sample to sample, as who uses the model does.
    """
    return any(op.type == "ASSIGN_VARIABLE" for op in model.main.ops)


def calibrate(
    model: Model,
    samples: Iterable[Feed],
    serialize: Serialize,
    progress: Progress | None = None,
    total: int | None = None,
    *,
    counting: Counting = Counting.ALL,
    hear: Callable[[Feed, Read], None] | None = None,
) -> dict[str, Histogram | Extremes]:
    """Return a histogram for each activation of the main graph, or its extremes, by tensor name.

    `samples`: one array per graph input; `serialize`: makes the file that LiteRT runs; `progress`
    is called with the number of samples done, and `total`, `hear` with each sample and a function
    that reads what it makes of the activations. `counting`: whose values make the histograms; where
    nobody's do, there are only extremes. UsageError when there is no sample.
    """
    meter = _Meter(model, observed(model.main), serialize, counting)
    done = 0
    for feed in samples:
        meter.measure(feed)
        if hear is not None:
            hear(feed, meter.reader(feed))
        done += 1
        if progress is not None:
            progress(done, total)
    if not done:
        raise UsageError("there are no samples to calibrate with")
    return meter.seen()


def reader(session: Session, positions: Mapping[str, int], feed: Feed) -> Read:
    """Return what reads tensors after a run of `feed`; `positions`: of outputs, by name."""
    output = session.output
    return lambda name: feed[name] if name in feed else output(positions[name])


class _Meter:
    """Measures the activations of one sample after the other."""

    def __init__(
        self, model: Model, tensors: list[Tensor], serialize: Serialize, counting: Counting
    ) -> None:
        alone, groups = packs.sorted_out(tensors)
        joined = [packs.joined(i, group) for i, group in enumerate(groups)]
        wide = exposed(model, alone, joined)
        self.names = [t.name for t in tensors]
        self.alone = [t.name for t in alone]
        self.cells = cells.measurable(model.main)
        self.positions = {t.name: i for i, t in enumerate(wide.main.outputs)}
        self.groups = {op.name: [t.name for t in op.inputs if t] for op in joined}
        self.members = {n: (g, i) for g, names in self.groups.items() for i, n in enumerate(names)}
        self.content = serialize(wide)
        self.session = Session(self.content)
        self.delegated = True
        floors = {i: low for i, t in enumerate(alone) if (low := _floor(t)) is not None}
        self.tallies = Tallies(len(tensors), counting, floors)
        self.inside = Tallies(len(self.cells), counting)
        self.waiting: list[list[cells.Given]] = []

    def measure(self, feed: Feed) -> None:
        """Run one sample and look at what it makes."""
        try:
            self._measure(feed)
        except VerificationError:
            if not self.delegated:
                raise
            # Some models, of sizes that depend on the data, run only on the builtin kernels.
            self.session, self.delegated = Session(self.content, delegate=False), False
            self._measure(feed)

    def _measure(self, feed: Feed) -> None:
        self.session.run(feed)
        read = self.reader(feed)
        rows = [read(group).reshape(len(names), -1) for group, names in self.groups.items()]
        self.tallies.add([read(name) for name in self.alone], rows)
        if self.cells:
            self.waiting.append([cells.given(op, read) for _, op in self.cells])
            if len(self.waiting) == cells.TOGETHER:
                self._look_inside()

    def _look_inside(self) -> None:
        """Look at the cells of the samples that wait."""
        given = zip(*self.waiting, strict=True)
        found = [cells.values(op, each) for (_, op), each in zip(self.cells, given, strict=False)]
        for arrays in zip(*found, strict=True):
            self.inside.add(arrays)
        self.waiting.clear()

    def reader(self, feed: Feed) -> Read:
        """Return what reads the activations of the sample that was run last."""
        whole = reader(self.session, self.positions, feed)

        def read(name: str) -> Array:
            if name not in self.members:
                return whole(name)
            group, place = self.members[name]
            rows = whole(group)
            count = len(self.groups[group])
            return rows.reshape(count, len(rows) // count, *rows.shape[1:])[place]

        return read

    def seen(self) -> dict[str, Histogram | Extremes]:
        """Return what was seen, by tensor name."""
        self._look_inside()
        order = {name: i for i, name in enumerate([*self.alone, *self.members])}
        found = {name: _seen(self.tallies, order[name]) for name in self.names}
        inside = enumerate(tensor.name for tensor, _ in self.cells)
        return found | {name: _seen(self.inside, i) for i, name in inside}


def _floor(tensor: Tensor) -> float | None:
    """Return the lower end to which the operator that makes a tensor clamps it, if it does."""
    op = tensor.producer
    ends = None if op is None else CLAMPS.get(op.options.get("fused_activation_function", op.type))
    return None if ends is None else ends[0]


def _seen(tallies: Tallies, place: int) -> Histogram | Extremes:
    """Return the histogram of a tensor, or its extremes where nothing was counted."""
    return (tallies.extremes if tallies.counters is None else tallies.histogram)(place)
