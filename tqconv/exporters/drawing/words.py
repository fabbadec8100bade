"""How the facts of tensors and operators are written into boxes: short, and nothing twice."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.exporters.report import tensor_bytes
from tqconv.ir.graph import Op, Tensor
from tqconv.ir.text import SHORT
from tqconv.ir.types import Quant
from tqconv.ops.options import SUBGRAPHS, default_options, option_names
from tqconv.ops.table import known, spec

SHOWN_VALUES = 6
NAME_LENGTH = 40
KERNEL_RANK = 4
"""[out, height, width, in] of convolutions, [1, height, width, out] of depthwise ones."""

PAIRS = {
    "window": ("filter_height", "filter_width"),
    "stride": ("stride_h", "stride_w"),
    "dilation": ("dilation_h_factor", "dilation_w_factor"),
}
HIDDEN = frozenset(
    {"custom_code", "custom_options", "new_shape", "fused_activation_function", "depth_multiplier"}
)
"""Options that another row, a shape or the title says already."""
USUAL = {"beta": 1.0}
"""Options whose default in the schema no operator has; what all have is not worth a row."""
DOT = " · "


def fused(op: Op) -> str:
    """Return the activation that an operator applies itself, or ""."""
    name = str(op.options.get("fused_activation_function", "NONE"))
    return "" if name == "NONE" else name


def option_rows(op: Op) -> list[tuple[str, str]]:
    """Return the options that differ from the schema's defaults; sizes in pairs."""
    defaults = default_options(op.type)
    bodies = SUBGRAPHS.get(op.type, ())
    options = {
        name: value
        for name, value in op.options.items()
        if name not in HIDDEN
        and name not in bodies
        and not _is_default(value, USUAL.get(name, defaults.get(name)))
    }
    rows = kernel_rows(op)
    for name, (first, second) in PAIRS.items():
        if first in op.options or second in op.options:
            pair = (options.pop(first, 1), options.pop(second, 1))
            if pair != (1, 1) or name == "window":
                rows.append((name, f"{pair[0]}×{pair[1]}"))
    return rows + [(name, value_text(value)) for name, value in sorted(options.items())]


def _is_default(value: Any, default: Any) -> bool:
    if isinstance(value, list | tuple | np.ndarray):
        return len(value) == 0
    return bool(value == default)


def kernel_rows(op: Op) -> list[tuple[str, str]]:
    """Return the size of the kernel, which is that of the weights."""
    declared = option_names(op.type)
    if "stride_h" not in declared or "filter_height" in declared or not known(op.type):
        return []
    operands = spec(op.type).operands
    place = operands.index("w") if "w" in operands.names else len(op.inputs)
    weights = op.inputs[place] if place < len(op.inputs) else None
    if weights is None or weights.rank != KERNEL_RANK:
        return []
    return [("kernel", f"{size(weights.shape[1])}×{size(weights.shape[2])}")]


def constant_rows(op: Op) -> list[tuple[str, str]]:
    """Return a row for each constant operand: name, type and shape, scales, bytes or values."""
    rows = []
    for index, tensor in enumerate(op.inputs):
        if tensor is None or not tensor.is_constant:
            continue
        name = spec(op.type).operands.name(index) if known(op.type) else f"input{index}"
        parts = [typed(tensor), reals(tensor), content(tensor)]
        rows.append((name, DOT.join(filter(None, parts))))
    return rows


def content(tensor: Tensor) -> str:
    """Return the values of a small constant, the bytes of another."""
    data = tensor.data
    if data is not None and data.size <= SHOWN_VALUES and data.dtype.kind in "iufb":
        return "= " + value_text(data.tolist() if data.ndim else data.item())
    return readable(tensor_bytes(tensor))


def typed(tensor: Tensor) -> str:
    """Return element type and shape: i8[1×8×8×16]."""
    sizes = "×".join(map(size, tensor.shape))
    return f"{SHORT.get(tensor.dtype.name, tensor.dtype.name)}[{sizes}]"


def size(dimension: int | None) -> str:
    """Return a dimension; `?` where it is not known."""
    return "?" if dimension is None else str(dimension)


def reals(tensor: Tensor) -> str:
    """Return which reals a constant holds, and which another tensor can hold, as far as known."""
    quant = tensor.quant
    if quant is None:
        found = tensor.range
        shown = found is not None and tensor.dtype.kind == "f"
        return f"{found.low:.4g} … {found.high:.4g} ({found.kind})" if found and shown else ""
    low, high = stored_ends(tensor, quant)
    span = f"{low:.4g} … {high:.4g}"
    if quant.is_per_tensor:
        return span
    where = f"of {quant.block} each" if quant.block else f"on axis {quant.axis}"
    return f"{quant.scale.size} scales {where}{DOT}{span}"


def span(tensor: Tensor) -> float | None:
    """Return the width of the range of reals, where it is known."""
    if tensor.quant is not None:
        low, high = stored_ends(tensor, tensor.quant)
        return high - low
    return None if tensor.range is None else tensor.range.high - tensor.range.low


def stored_ends(tensor: Tensor, quant: Quant) -> tuple[float, float]:
    """Return the least and the greatest real: of a constant's elements, else of its type."""
    data, dtype = tensor.data, tensor.dtype
    if data is not None:
        data, quant = quant.by_rows(data)
    axis = None if quant.is_per_tensor else quant.axis
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    if data is not None and data.size:
        numbers = data.astype(np.int8) if dtype.itemsize == 1 and dtype.kind == "V" else data
        others = None if axis is None else tuple(i for i in range(data.ndim) if i != axis)
        lowest = np.asarray(numbers.min(axis=others), np.float64)
        highest = np.asarray(numbers.max(axis=others), np.float64)
    else:
        bits = 4 if dtype.name.endswith("int4") else dtype.itemsize * 8
        least = 0 if dtype.name.startswith("u") else -(2 ** (bits - 1))
        lowest = np.array([least], np.float64)
        highest = lowest + float(2**bits - 1)
    with np.errstate(over="ignore", invalid="ignore"):
        low = (lowest - quant.zero_point) * quant.scale
        high = (highest - quant.zero_point) * quant.scale
    return float(np.min(low)), float(np.max(high))


def value_text(value: Any) -> str:
    """Return an option or a small constant."""
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple | np.ndarray):
        return cut("[" + ", ".join(map(value_text, value)) + "]")
    return cut(str(value))


def readable(count: float, unit: str = "B") -> str:
    """Return a number of bytes, or of something else, for people: 1.2 kB."""
    for prefix in ("", "k", "M", "G"):
        if count < 999.5:
            return f"{count:.3g} {prefix}{unit}".rstrip()
        count = count / 1000
    return f"{count:.3g} T{unit}"


def short(name: str) -> str:
    """Return the last scopes of a long name."""
    return name if len(name) <= NAME_LENGTH else "…" + name[-NAME_LENGTH + 1 :]


def cut(text: str) -> str:
    """Return the start of a long text."""
    return text if len(text) <= NAME_LENGTH else text[: NAME_LENGTH - 1] + "…"


def printable(text: str, *more: str) -> str:
    """Return text without control characters, which XML has no place for."""
    return "".join(c if c.isprintable() or c in more else "�" for c in text)


def escaped(text: str) -> str:
    """Return text for Graphviz's HTML labels."""
    return html.escape(printable(text), quote=True)


def quoted(text: str) -> str:
    """Return text as a string of the dot language; line breaks stay."""
    body = printable(text, "\n").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{body}"'
