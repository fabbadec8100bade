"""How wide text may be where a picture is looked at, which no layout knows.

Graphviz measures text with the font that it finds, or takes the widths of Helvetica; a viewer
draws it with the font that it has. So every text gets the room that it takes in DejaVu Sans, the
widest of the common sans-serif faces: Arial, Helvetica and Liberation are a sixth narrower.
"""

from __future__ import annotations

import math

POINTS = 10
"""The size of letters in a box; see `dot`."""
PADDING = 3
"""Points that a cell keeps free at each side."""

REGULAR = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
    60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
    63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
BOLD = (
    35, 46, 52, 84, 70, 100, 87, 31, 46, 46, 52, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70,
    70, 70, 40, 40, 84, 84, 84, 58, 100, 77, 76, 73, 83, 68, 68, 82, 84, 37, 37, 77, 64, 100, 84,
    85, 73, 85, 77, 72, 68, 81, 77, 110, 77, 72, 73, 46, 37, 46, 84, 50, 50, 67, 72, 59, 72, 68, 44,
    72, 71, 34, 34, 67, 34, 104, 71, 69, 72, 72, 49, 60, 48, 71, 65, 92, 65, 65, 58, 71, 37, 71, 84,
)  # fmt: skip
"""Widths of the letters from U+0020 to U+007E in DejaVu Sans, in hundredths of their size."""
DOT = {"·": 38}
OTHER = 110
"""Of any other letter: the widest of Cyrillic and Greek; Chinese ones are square."""
CENTERED = 1.2
"""Room for a line by its width, where the begin is that of one a fifth narrower."""


def extent(text: str, points: int = POINTS, *, bold: bool = False) -> int:
    """Return how many points a line of text takes at most."""
    letters = BOLD if bold else REGULAR
    hundredths = sum(_of(letter, letters) for letter in text)
    return math.ceil(hundredths * points / 100)


def cell(text: str, points: int = POINTS, *, bold: bool = False, padding: int = PADDING) -> str:
    """Return the attribute of a cell that holds a line of text."""
    return f'width="{extent(text, points, bold=bold) + 2 * padding}"'


def centered(text: str, *, bold: bool = False) -> str:
    """Return the attribute of a cell in the middle of which a line of text stands.

    Its begin is written down, as if it were as wide as Graphviz believes; so more is free behind.
    """
    return f'width="{math.ceil(CENTERED * extent(text, bold=bold)) + 2 * PADDING}"'


def _of(letter: str, letters: tuple[int, ...]) -> int:
    place = ord(letter) - ord(" ")
    return letters[place] if 0 <= place < len(letters) else DOT.get(letter, OTHER)
