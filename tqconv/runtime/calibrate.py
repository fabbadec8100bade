"""Run samples through a float model and remember how its activations are distributed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from tqconv.config import Progress
from tqconv.errors import UsageError, VerificationError
from tqconv.ir.containers import Border
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.histogram import Extremes, Histogram
from tqconv.ir.tally import Counting, Tallies
from tqconv.ops.table import those
from tqconv.runtime import cells, ends, packs
from tqconv.runtime.litert import Array, Feed, Session

RANDOM = those(lambda row: row.category == "random")
Serialize = Callable[[Model], bytes]
Read = Callable[[str], Array]
"""Returns what a sample makes of the tensor of a name, as a view: gone with the next sample."""


class Listener(Protocol):
    """Who takes down what a calibration makes of its samples."""

    @property
    def names(self) -> Collection[str] | None:
        """Names of the activations that are read of any sample; None: it may be all of them."""

    def hear(self, feed: Feed, read: Read) -> None:
        """Listen to a sample."""


def observed(graph: Graph) -> list[Tensor]:
    """Return the activations that hold reals: inputs and what operators make."""
    return [
        t for t in graph.tensors() if t.dtype == np.float32 and not t.is_constant and not t.variable
    ]


def exposed(model: Model, tensors: Iterable[Tensor], more: Sequence[Op] = ()) -> Model:
    """Return a model that shares everything with `model` and has these tensors as outputs too.

    As outputs they can be read although the default delegate runs the model, which is several
    times faster than to run without it and keep every tensor. `more`: operators that it has, too,
    with what is left over of what they make; each runs as soon as it can.
    """
    main = model.main
    new = [t for t in tensors if t not in main.outputs and t not in main.inputs]
    read = {t for op in more for t in op.inputs}
    new += [t for op in more for t in op.outputs if t not in read]
    graph = Graph(main.name, main.inputs, Border([*main.outputs, *new]), _mixed(main.ops, more))
    return Model([graph, *model.graphs[1:]], model.origin)


def _mixed(ops: Sequence[Op], more: Sequence[Op]) -> list[Op]:
    """Return all operators, each of `more` right behind the last that makes what it reads."""
    place = {t: i for i, op in enumerate(ops) for t in op.outputs}
    behind: dict[int, list[Op]] = {}
    for op in more:
        last = max(place.get(t, -1) for t in op.inputs if t is not None)
        place.update(dict.fromkeys(op.outputs, last))
        behind.setdefault(last, []).append(op)
    kept = _repeatable(ops)
    return [
        *behind.get(-1, ()),
        *(o for i, op in enumerate(kept) for o in (op, *behind.get(i, ()))),
    ]


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
    listener: Listener | None = None,
) -> dict[str, Histogram | Extremes]:
    """Return a histogram for each activation of the main graph, or its extremes, by tensor name.

    `samples`: one array per graph input; `serialize`: makes the file that LiteRT runs; `progress`
    is called with the number of samples done, and `total`, the listener with each sample and a
    function that reads what it makes of the activations. `counting`: whose values make the
    histograms; where nobody's do, there are only extremes. UsageError when there is no sample.
    """
    meter = _Meter(model, serialize, counting, () if listener is None else listener.names)
    done = 0
    for feed in samples:
        meter.measure(feed)
        if listener is not None:
            listener.hear(feed, meter.reader(feed))
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
    """Measures the activations of one sample after the other.

    asked: the names of those that somebody reads, too; None: of any. Where nobody needs more than
    the ends of large ones, these are not shown, which is faster.
    """

    def __init__(
        self, model: Model, serialize: Serialize, counting: Counting, asked: Collection[str] | None
    ) -> None:
        tensors = observed(model.main)
        self.alone, groups = packs.sorted_out(tensors)
        self.large = [t for t in self.alone if ends.is_large(t)]
        self.joined = [packs.joined(i, group) for i, group in enumerate(groups)]
        self.model, self.serialize = model, serialize
        self.names = [t.name for t in tensors]
        self.cells = cells.measurable(model.main)
        self.groups = {op.name: [t.name for t in op.inputs if t] for op in self.joined}
        self.members = {n: (g, i) for g, names in self.groups.items() for i, n in enumerate(names)}
        self.tallies = Tallies(len(tensors), counting)
        self.inside = Tallies(len(self.cells), counting)
        self.waiting: list[list[cells.Given]] = []
        self.delegated = True
        all_asked = asked is None or counting is not Counting.NONE or self.cells or goes_on(model)
        self.hidden = set() if all_asked else {t.name for t in self.large} - set(asked or ())
        self._open()

    def _open(self) -> None:
        """Get ready to run samples."""
        shown = [t for t in self.alone if t.name not in self.hidden]
        wide = exposed(self.model, shown, [*self.joined, *ends.finding(self.large)])
        self.positions = {t.name: i for i, t in enumerate(wide.main.outputs)}
        self.content = self.serialize(wide)
        self.session = Session(self.content)

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
        known = ends.found([t.name for t in self.large], read)
        if not self.hidden <= known.keys():  # what is no number has to be looked at
            self.hidden = set()
            self._open()
            return self._measure(feed)
        rows = [read(group).reshape(len(names), -1) for group, names in self.groups.items()]
        counted = self.tallies.counts_next
        self.tallies.add(
            [None if t.name in known and not counted else read(t.name) for t in self.alone],
            rows,
            {i: known[t.name] for i, t in enumerate(self.alone) if t.name in known},
        )
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
        order = {n: i for i, n in enumerate([*(t.name for t in self.alone), *self.members])}
        found = {name: _seen(self.tallies, order[name]) for name in self.names}
        inside = enumerate(tensor.name for tensor, _ in self.cells)
        return found | {name: _seen(self.inside, i) for i, name in inside}


def _seen(tallies: Tallies, place: int) -> Histogram | Extremes:
    """Return the histogram of a tensor, or its extremes where nothing was counted."""
    return (tallies.extremes if tallies.counters is None else tallies.histogram)(place)
