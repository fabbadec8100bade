"""Which release of the runtime first ran an operator in a version."""

from __future__ import annotations

FIRST = "1.5.0"
"""The first release of the runtime."""


def runtime_version(type: str, version: int) -> str:
    """Return the release that registered this version of an operator."""
    return FIRST
