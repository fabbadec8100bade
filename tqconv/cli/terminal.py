"""How wide lines may be: no wider than the terminal where somebody watches, else as they are."""

from __future__ import annotations

import os

from tqconv import TYPE_CHECKING
from tqconv.untrusted import whole

if TYPE_CHECKING:
    from typing import TextIO

UNKNOWN = 80
"""Columns of a terminal that does not say how many it has."""


def room(stream: TextIO) -> int | None:
    """Return how many characters a line has where somebody watches; None where nobody does."""
    return columns(stream) if stream.isatty() else None


def columns(stream: TextIO) -> int:
    """Return how many columns a terminal has.

    The variable COLUMNS comes before what the terminal says, as `shutil.get_terminal_size` has it.
    """
    stated = whole(os.environ.get("COLUMNS", ""))
    if stated:
        return stated
    try:
        return os.get_terminal_size(stream.fileno()).columns or UNKNOWN
    except (OSError, ValueError):  # a stream that has no descriptor
        return UNKNOWN


def fitted(text: str, stream: TextIO) -> str:
    """Return sentences as a stream shows them: lines of a terminal end between words."""
    end = room(stream)
    if end is None:
        return text
    from tqconv.cli.layout import folded

    return folded(text, end)
