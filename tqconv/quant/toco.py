"""TOCO's quantization: one scale per tensor, from trained ranges or defaults, every operator.

The plan has TOCO's scales, zero points and integers to the bit. Two things differ, because what TOCO
wrote is computed wrongly by the kernels: an operator that passes codes on (MAX_POOL_2D, PAD, MINIMUM, …)
gets the scale of its operand where TOCO gave its result another one, and a QUANTIZE follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import QuantizationError
from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.ir.grid import Grid, grid
from tqconv.ir.match import has_activation
from tqconv.ir.types import Range, type_name
from tqconv.passes.toco_fold import extremes
