"""What a process imports once, so that thousands of its forks need not."""

from __future__ import annotations

import gc
import importlib
import pkgutil


def import_all() -> None:
    """Import LiteRT and every module of tqconv; a fork then starts within a millisecond."""
    import ai_edge_litert.interpreter  # noqa: F401

    import tqconv

    for found in pkgutil.walk_packages(tqconv.__path__, "tqconv."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    gc.freeze()  # forks share the pages of what the collector does not touch
