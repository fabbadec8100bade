"""tqconv: trained models to TensorFlow Lite flatbuffers, without TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqconv.api import calibrate, convert, inspect, load, optimize, picture, save
    from tqconv.config import CalibrateOptions, ConvertOptions, LoadOptions, QuantizeOptions

__version__ = "0.1.0"

__all__ = [
    "CalibrateOptions",
    "ConvertOptions",
    "LoadOptions",
    "QuantizeOptions",
    "__version__",
    "calibrate",
    "convert",
    "inspect",
    "load",
    "optimize",
    "picture",
    "save",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is used: `tqconv --help` needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module 'tqconv' has no attribute '{name}'")
    from importlib import import_module

    home = "tqconv.config" if name.endswith("Options") else "tqconv.api"
    return getattr(import_module(home), name)
