"""Mixed precision: the fewest operators in 16 bits, or float, that an asked accuracy needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tqconv.config import Watch
from tqconv.errors import counted
from tqconv.ir.copy import copy_graph
from tqconv.ir.graph import Graph, Model, Op, Tensor, Use
from tqconv.jobs.judge import Judge, Known, Score
from tqconv.jobs.phases import Steps, unwatched
from tqconv.quant.decisions import Decision
from tqconv.quant.params import Params, decode, encode
from tqconv.quant.plan import Plan
from tqconv.quant.wider import Site, sites, widened
from tqconv.runtime.litert import Feed

JUDGES, LISTENERS = 16, 2
"""Samples on which plans are compared, those that keep least, and on which the noise of single
places is measured."""
MEASURED = 96
"""Groups of places whose noise at the outputs is measured."""
SPARE = 0.2
"""Decibels above what is asked for: other samples may be a little worse."""
TRIALS = 24
"""Plans that are tried until one is near enough, and again until nothing more can be given up."""
MOST_TRIALS = 2 * TRIALS + 10
"""Trials of both kinds, and of halving up to 1,024 places between them: the total that is shown."""
NAMED = 8
"""Operators and places that a note names."""
POOR, HALVINGS = 15.0, 10
"""Decibels below which places are named without being asked, and how often the loudest part of the
graph is measured as two: two of 200 places are found alone, or some more that are neighbours."""
FIRST = 4
"""Parts of the graph that are measured before any is halved."""
HEARD_BYTES, FEWEST_HALVINGS = 1 << 30, 2
"""Bytes of constants that all these models may hold together: a large one is halved less often,
but so many times at least."""
LEAST = 1e-30
"""Keeps a share of no noise finite."""

FLOAT_COST = 3
"""What an operator costs that becomes float, beside one in 16 bits: integers stay integers."""

Noise = dict[Site, NDArray[np.float64]]
"""What a place alone adds to the outputs: noise by signal, for each output of each sample."""


def reaching(
    model: Model,
    made: Plan,
    samples: Sequence[Feed],
    least: float,
    known: Known | None = None,
    *,
    watch: Watch = unwatched,
) -> Plan:
    """Return a plan whose outputs keep `least` dB, with as few operators as possible in more bits.

    Measured on the samples that keep least now; where no plan gets there, the nearest one that was
    found. `known`: see `Judge`.
    """
    everything = Judge(model, samples, _outputs, known)
    if not everything.decisions:
        return made
    before = everything.score(made)
    if before.least >= least:
        return made
    order = np.argsort(before.ratios.min(axis=0), kind="stable")
    worst = sorted(order[:JUDGES].tolist())
    judge, before = everything.among(worst), before.among(worst)
    search = _Search(model, made, judge, before, watch)
    best, after = search.run(least + SPARE)
    if after.least <= before.least:
        return made
    note = _note(model, best, made, before.least, after.least)
    return replace(best, notes=[*best.notes, note])


class _Search:
    """The places that are stored in more bits, and what noise is expected of the others."""

    def __init__(self, model: Model, made: Plan, judge: Judge, before: Score, watch: Watch) -> None:
        self.model = model
        self.made = made
        self.judge = judge
        worst = np.argsort(before.ratios.min(axis=0), kind="stable")[:LISTENERS]
        self.heard = [int(i) for i in worst]
        self.score = before
        self.noise = measured(judge.among(self.heard), made, watch=watch)
        self.steps = Steps(watch("trying 16 bits", "trials"), MOST_TRIALS)
        self.chosen: list[Site] = []

    def run(self, least: float) -> tuple[Plan, Score]:
        """Take places until the outputs keep `least` dB, and give up those that they do without."""
        best = self._run(least)
        self.steps.reach(MOST_TRIALS)
        return best

    def _run(self, least: float) -> tuple[Plan, Score]:
        best, nearest = self.made, self.score
        for _ in range(TRIALS):
            if self.score.least >= least or not self._take(10 ** (-least / 10)):
                break
            plan, self.score = self._try(self.chosen)
            if self.score.least > nearest.least:
                best, nearest = plan, self.score
        if self.score.least < least:
            return best, nearest
        return self._spare(best, least), self.score

    def _try(self, chosen: Sequence[Site]) -> tuple[Plan, Score]:
        plan = widened(self.model.main, self.made, chosen)
        self.steps()
        return plan, self.judge.score(plan)

    def _take(self, most: float) -> bool:
        """Choose places until less noise than `most` is expected; whether there were any."""
        waiting = [site for site in self.noise if site not in self.chosen]
        if not waiting:
            return False
        left = 10 ** (-self.score.ratios[:, self.heard].reshape(-1) / 10)
        alone = np.array([self.noise[site] for site in waiting])
        share = alone * (left / np.maximum(alone.sum(axis=0), LEAST))
        have, taken = _ops(self.chosen), 0
        while waiting and (taken == 0 or left.max() > most):
            gains = (share * (left > most)).sum(axis=1) if left.max() > most else share.sum(axis=1)
            costs = np.array([_cost(site, have) for site in waiting])
            best = int(np.argmax(gains / (costs + 0.5)))
            have |= waiting[best].ops
            free = [i for i, site in enumerate(waiting) if site.ops <= have]
            self.chosen += [waiting[i] for i in free]
            left = left - share[free].sum(axis=0)
            waiting = [site for i, site in enumerate(waiting) if i not in free]
            share = np.delete(share, free, axis=0)
            taken += len(free)
        return True

    def _spare(self, best: Plan, least: float) -> Plan:
        """Give up places that are not needed: as many of the quietest as possible, then each."""
        order = sorted(self.chosen, key=lambda site: float(self.noise[site].max()))
        low, high = 0, len(order)  # `order[low:]` is enough, `order[high:]` is not
        while high - low > 1:
            middle = (low + high) // 2
            plan, found = self._try(order[middle:])
            if found.least >= least:
                low, best, self.score = middle, plan, found
            else:
                high = middle
        kept = order[low:]
        for site in order[low:][:TRIALS]:
            fewer = [other for other in kept if other is not site]
            if _ops(fewer) == _ops(kept):
                kept = fewer
                continue
            plan, found = self._try(fewer)
            if found.least >= least:
                kept, best, self.score = fewer, plan, found
        return best


def _cost(site: Site, have: set[Op]) -> int:
    return len(site.wide - have) + FLOAT_COST * len(site.real - have)


def _outputs(graph: Graph) -> list[Decision]:
    return [Decision(tensor.name, tensor) for tensor in graph.outputs]


def _ops(chosen: Sequence[Site]) -> set[Op]:
    return {op for site in chosen for op in site.ops}


def _note(model: Model, best: Plan, made: Plan, before: float, after: float) -> str:
    changed = [op for op in model.main.ops if best.types.get(op) != made.types.get(op)]
    parts = []
    for kind, ops in (
        ("in 16 bits", [op for op in changed if op in best.types]),
        ("float", [op for op in changed if op not in best.types]),
    ):
        if ops:
            names = ", ".join(f"'{op.name}'" for op in ops[:NAMED])
            more = f", … {len(ops) - NAMED} more" if len(ops) > NAMED else ""
            parts.append(f"{len(ops)} {kind} ({names}{more})")
    total = counted(len(model.main.ops), "operator")
    return f"--min_sqnr: {before:.1f} -> {after:.1f} dB with {', '.join(parts)} of {total}"


def loudest(
    model: Model,
    made: Plan,
    samples: Sequence[Feed],
    known: Known | None = None,
    *,
    watch: Watch = unwatched,
) -> list[str]:
    """Return a note that names the places which cost most, where an output keeps less than `POOR`.

    Looked at on `LISTENERS` samples, which is little beside the calibration. `known`: see `Judge`.
    """
    heard = samples[:: -(-len(samples) // LISTENERS)]
    judge = Judge(model, heard, _outputs, known)
    if not judge.decisions or (least := judge.score(made).least) >= POOR:
        return []
    parts = _halved(judge.among([0]), made, watch=watch)
    if not parts:
        return []
    total = sum(noise for _, noise in parts)
    shares = ", ".join(f"{_stretch(part)} {100 * n / total:.0f} %" for part, n in parts[:NAMED])
    return [
        f"an output keeps {least:.1f} dB; most of the noise comes from: {shares}; --min_sqnr DB "
        "stores such tensors in 16 bits"
    ]


def _halved(judge: Judge, made: Plan, *, watch: Watch) -> list[tuple[list[Site], float]]:
    """Return parts of the graph and what they add to the outputs, the loudest first.

    The part that adds most is halved and both halves are measured, again and again.
    """
    model = judge.model
    found = sites(model.main, made)
    halvings = _halvings(model.main)
    steps = Steps(watch("measuring noise", "parts"), FIRST + 2 * halvings)

    def heard(part: list[Site]) -> tuple[list[Site], float]:
        return part, float(_noise(judge, _with_noise(model, made, part), steps).mean())

    size = max(1, -(-len(found) // FIRST))
    parts = [heard(found[i : i + size]) for i in range(0, len(found), size)]
    for _ in range(halvings):
        many = [part for part in parts if len(part[0]) > 1]
        if not many:
            break
        loudest = max(many, key=lambda part: part[1])
        middle = len(loudest[0]) // 2
        parts.remove(loudest)
        parts += [heard(loudest[0][:middle]), heard(loudest[0][middle:])]
    steps.reach(steps.total)
    return sorted(parts, key=lambda part: -part[1])


def _halvings(graph: Graph) -> int:
    """Return how often the loudest part is halved: each half is a float model that runs once."""
    size = sum(t.data.nbytes for t in graph.tensors() if t.data is not None)
    return min(HALVINGS, max(FEWEST_HALVINGS, (HEARD_BYTES // max(size, 1) - FIRST) // 2))


def _stretch(part: Sequence[Site]) -> str:
    """Return the name of a place, or where a part of the graph begins and ends."""
    if len(part) == 1:
        return f"'{part[0].name}'"
    return f"'{part[0].name}' … '{part[-1].name}' ({len(part)} places)"


def measured(judge: Judge, made: Plan, most: int = MEASURED, *, watch: Watch = unwatched) -> Noise:
    """Return what each place alone adds to the outputs of the judge's float model.

    Of more than `most` places, neighbours are measured together, and the loudest of these apart;
    the others share what they add.
    """
    model = judge.model
    found = sites(model.main, made)
    if not found:
        return {}
    size = -(-len(found) // most)
    groups = [found[i : i + size] for i in range(0, len(found), size)]
    apart_of = most // 4 * (size if size > 1 else 0)
    steps = Steps(watch("measuring noise", "places"), len(groups) + apart_of)
    together = [_noise(judge, _with_noise(model, made, group), steps) for group in groups]
    order = sorted(range(len(groups)), key=lambda i: -float(together[i].mean()))
    loud = set(order[: most // 4])
    noise: Noise = {}
    for i, group in enumerate(groups):
        apart = len(group) > 1 and i in loud
        for site in group:
            alone = [site]
            noise[site] = (
                _noise(judge, _with_noise(model, made, alone), steps)
                if apart
                else together[i] / len(group)
            )
    return noise


def _noise(judge: Judge, noisy: Model, steps: Steps) -> NDArray[np.float64]:
    steps()
    return np.asarray(10 ** (-judge.of(noisy).ratios.reshape(-1) / 10))


def _with_noise(model: Model, made: Plan, found: Sequence[Site]) -> Model:
    """Return the float model with the rounding of these places."""
    copy = copy_graph(model.main)
    graph = copy.graph
    for site in found:
        if site.tensor is not None:
            _round(graph, copy.tensors[site.tensor], made.tensors[site.tensor])
        if site.op is not None:
            _round_weights(graph, copy.ops[site.op], site.op, made)
    graph.sort()
    return Model([graph, *model.graphs[1:]])


def _round_weights(graph: Graph, op: Op, original: Op, made: Plan) -> None:
    """Let an operator of a copied graph read what is left of its constants in integers."""
    for index, tensor in enumerate(original.inputs):
        use = Use(original, index)
        params = made.edges.get(use)
        if tensor is None or tensor.data is None or params is None:
            continue
        codes = made.codes[use] if use in made.codes else encode(tensor.data, params)
        near = decode(codes, params).astype(np.float32)
        graph.set_input(op, index, graph.constant(f"{tensor.name}/near", near))


def _round(graph: Graph, tensor: Tensor, params: Params) -> None:
    """Let all that reads a tensor read what is left of it in integers."""
    stored = Tensor(graph.unique(f"{tensor.name}/stored"), tensor.shape, params.dtype)
    stored.quant = params.quant
    near = Tensor(graph.unique(f"{tensor.name}/near"), tensor.shape, np.dtype(np.float32))
    readers = list(tensor.uses)
    graph.add(Op("QUANTIZE", (tensor,), (stored,)))
    graph.add(Op("DEQUANTIZE", (stored,), (near,)))
    for use in readers:
        graph.set_input(use.op, use.index, near)
    graph.outputs[:] = [near if t is tensor else t for t in graph.outputs]
