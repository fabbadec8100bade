"""How often a process of one conversion looks for objects that only refer to each other."""

from __future__ import annotations

import atexit
import gc

OBJECTS = 20_000
"""Made since the last time; Python looks after 700, and a model of a thousand nodes is 10^5."""


def collect_seldom() -> None:
    """Look for garbage seldom, and not at the end, when all of it goes.

    Most objects (modules, graphs) stay until the process ends: looking through them again and again
    took a twentieth of a float conversion. Peaks of memory are the same for nets of 1 to 100 MB.
    """
    gc.set_threshold(OBJECTS)
    atexit.register(gc.freeze)
