"""Damaged files, one after the other: what must never come of them is a finding."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutations import mutated
from sandbox import Outcome, Sandbox, left_behind
from seeds import Seed, command_of, write


@dataclass(frozen=True)
class Trial:
    """Run `number` of a seed of the random numbers, and how it ended."""

    number: int
    seed: Seed
    command: Sequence[str]
    outcome: Outcome


def trials(
    seeds: Sequence[Seed], folder: Path, first: int, numbers: Iterator[int], sandbox: Sandbox
) -> Iterator[Trial]:
    """Damage a file in `folder`, run its command line, and yield how that ended.

    Trial `number` of `first` is the same whatever else is run. The files of a trial stay in
    `folder/in` until the next one.
    """
    by_kind: dict[str, list[Seed]] = {}
    for seed in seeds:
        by_kind.setdefault(seed.kind, []).append(seed)
    kinds = sorted(by_kind)
    others = {k: [s.files[n] for s in by_kind[k] for n in s.damaged] for k in kinds}
    for number in numbers:
        rng = random.Random(first * 1_000_003 + number)
        kind = kinds[number % len(kinds)]
        seed = rng.choice(by_kind[kind])
        hit = rng.choice(seed.damaged)
        files = {**seed.files, hit: mutated(seed.files[hit], rng, others[kind], text=seed.text)}
        box, target = folder / "in", folder / "out"
        shutil.rmtree(box, ignore_errors=True)
        target.unlink(missing_ok=True)
        write(Seed(kind, files, (hit,), seed.command, seed.text), box)
        before = {p.name for p in folder.iterdir()}
        command = command_of(seed, box, target)
        outcome = sandbox.run(command)
        left = left_behind(folder, before, target, outcome.code)
        if left and not outcome.fault:
            outcome = Outcome(outcome.code, outcome.said, left)
        yield Trial(number, seed, command, outcome)
