"""How many threads linear algebra takes in a conversion: one, unless the user chose a number."""

from __future__ import annotations

import os

LIBRARIES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What builds of numpy compute with reads one of these, when it is loaded."""
CHOSEN = ("OMP_NUM_THREADS", *LIBRARIES)
"""Variables by which users choose; the first one speaks to most libraries."""


def choose() -> None:
    """Ask for one thread; of use only before numpy is imported.

    The matrices of a conversion are small: threads wait for each other longer than they compute
    (fitting MobileNetV3 to 100 samples took three times the processor time with two).
    """
    if not any(name in os.environ for name in CHOSEN):
        for name in LIBRARIES:
            os.environ[name] = "1"
