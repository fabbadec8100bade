"""A progress bar on stderr, where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqconv.config import Progress


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Progress | None]:
    """Give a callback that shows the number of samples done; None where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(title)
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    """Opened at the first sample: a conversion without calibration shows nothing."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.close: Callable[[], None] = lambda: None
        self.update: Callable[[int], object] | None = None
        self.seen = 0

    def show(self, done: int, total: int | None = None) -> None:
        """Advance to `done` samples of `total`."""
        if self.update is None:
            from tqdm import tqdm

            bar = tqdm(desc=self.title, total=total, unit=" samples", leave=False)
            self.update, self.close = bar.update, bar.close
        self.update(done - self.seen)
        self.seen = done
