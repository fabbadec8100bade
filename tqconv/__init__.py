"""tqconv: trained models to TensorFlow Lite flatbuffers, without TensorFlow."""

from __future__ import annotations

TYPE_CHECKING = False
"""What `typing` calls so for type checkers; importing it here would be half of the start-up, in
which Ctrl-C is not looked after yet."""
if TYPE_CHECKING:
    from typing import Any

    from tqconv.api import calibrate, convert, draw, inspect, load, optimize, picture, save
    from tqconv.config import (
        CalibrateOptions,
        ConvertOptions,
        LoadOptions,
        PictureOptions,
        QuantizeOptions,
    )

__version__ = "0.1.0"

__all__ = [
    "CalibrateOptions",
    "ConvertOptions",
    "LoadOptions",
    "PictureOptions",
    "QuantizeOptions",
    "__version__",
    "calibrate",
    "convert",
    "draw",
    "inspect",
    "load",
    "optimize",
    "picture",
    "save",
]


def __dir__() -> list[str]:
    """Return the public names, imported or not."""
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import a public name when it is used: `tqconv --help` needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module 'tqconv' has no attribute '{name}'")
    from importlib import import_module

    home = "tqconv.config" if name.endswith("Options") else "tqconv.api"
    return getattr(import_module(home), name)
