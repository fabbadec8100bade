"""The phases of a job, for people who watch it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqconv.config import Progress, Watch

Item = TypeVar("Item")

CALIBRATING = "calibrating"
"""The phase that `progress` of the public functions is about."""


def unwatched(title: str, unit: str) -> None:
    """Let nobody watch."""


def nothing() -> None:
    """Count no steps."""


def calibration_only(progress: Progress | None) -> Watch:
    """Return a watch that tells somebody of the samples of a calibration, and of nothing else."""
    return lambda title, unit: progress if title == CALIBRATING else None


def counted_through(
    items: Iterable[Item], progress: Progress | None, total: int | None
) -> Iterator[Item]:
    """Yield the items, and say after each that it is done."""
    for done, item in enumerate(items, start=1):
        yield item
        if progress is not None:
            progress(done, total)


class Steps:
    """Counts what a phase does in many places; never more than `total`."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress = progress
        self.total = total
        self.done = 0

    def __call__(self) -> None:
        """Count one step."""
        self.reach(self.done + 1)

    def reach(self, done: int) -> None:
        """Count up to so many steps: some are left out where nothing is won by them."""
        if self.progress is not None and self.done < min(done, self.total):
            self.done = min(done, self.total)
            self.progress(self.done, self.total)
