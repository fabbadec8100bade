"""How often a process of one conversion looks for objects that only refer to each other."""

from __future__ import annotations

import atexit
import gc
import sys

OBJECTS = 150_000
"""Made since the last time; Python looks after 700, and a model of a thousand nodes is 10^5."""


def collect_seldom() -> None:
    """Look for garbage seldom, and not at the end, when all of it goes.

    Most objects (modules, graphs) stay until the process ends: looking through them again and again
    took a twentieth of a float conversion. Peaks of memory are the same for nets of 1 to 100 MB.
    """
    gc.set_threshold(OBJECTS)
    atexit.register(_leave)


def _leave() -> None:
    """Keep Python from looking for garbage once more, unless there may be open HDF5 files in it.

    HDF5 closes them when Python has ended, and reads through Python what lies in an archive: a
    model that was refused, whose error still holds its file, ended with a segmentation fault.
    """
    if "h5py" not in sys.modules:
        gc.freeze()
