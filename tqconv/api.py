"""The public functions. Each is one job of `tqconv.jobs`; this page only names them."""

from __future__ import annotations

from tqconv.ir.graph import Model
from tqconv.jobs.calibrate import Calibration, calibrate
from tqconv.jobs.convert import Report
from tqconv.jobs.draw import draw
from tqconv.jobs.files import load, picture, save
from tqconv.jobs.look import inspect
from tqconv.jobs.python import convert
from tqconv.passes.driver import run_stages
from tqconv.passes.pipeline import STAGES

__all__ = [
    "Calibration",
    "Report",
    "calibrate",
    "convert",
    "draw",
    "inspect",
    "load",
    "optimize",
    "picture",
    "save",
]


def optimize(model: Model) -> Model:
    """Run the default passes on a model, in place, and return it."""
    run_stages(model, STAGES)
    return model
