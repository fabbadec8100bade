"""A line on stderr that says how far a run is, where somebody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

import click

from tqconv.cli.layout import cut, width
from tqconv.cli.terminal import columns, fitted

if TYPE_CHECKING:
    from tqconv.config import Progress

PERIOD = 0.1
"""Seconds between two pictures of the line; a terminal far away need not draw more."""
WIDTH = 24
"""Characters of the bar."""


class Line:
    """The line: one phase of a run after the other, gone when the run is over."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.clock = clock
        self.text = ""
        self.shown = 0.0

    def __call__(self, title: str, unit: str) -> Progress:
        """Begin a phase, and return who shows how much of it is done."""
        began = self.clock()
        self._draw(f"{title} …", at=began)

        def show(done: int, total: int | None = None) -> None:
            now = self.clock()
            if now - self.shown >= PERIOD or done == total:
                self._draw(_words(title, unit, done, total, now - began), at=now)

        return show

    def say(self, text: str) -> None:
        """Print a line of its own, above this one."""
        before = self.text
        self.close()
        click.echo(fitted(text, self.stream), err=True)
        self._draw(before, at=self.shown)

    def close(self) -> None:
        """Take the line away."""
        if self.text:
            self.stream.write(f"\r{' ' * width(self.text)}\r")
            self.stream.flush()
        self.text = ""

    def _draw(self, text: str, *, at: float) -> None:
        text = cut(text, max(1, columns(self.stream) - 1))
        self.stream.write(f"\r{text}{' ' * (width(self.text) - width(text))}")
        self.stream.flush()
        self.text, self.shown = text, at


def _words(title: str, unit: str, done: int, total: int | None, seconds: float) -> str:
    """Return "fitting [####    ] 20 of 40 steps, 0:03 left"; without a total, what is done."""
    if not total:
        return f"{title}: {done} {unit}, {_clock(seconds)}"
    full = min(WIDTH, WIDTH * done // total)
    left = f", {_clock(seconds / done * (total - done))} left" if 0 < done < total else ""
    return f"{title} [{'#' * full}{' ' * (WIDTH - full)}] {done} of {total} {unit}{left}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody may watch what is written there."""
    return stream.isatty()


@contextmanager
def progress_line(*, quiet: bool = False) -> Iterator[Line | None]:
    """Give the line for a run; None where stderr is no terminal."""
    if quiet or not is_terminal(sys.stderr):
        yield None
        return
    line = Line(sys.stderr)
    try:
        yield line
    finally:
        line.close()
