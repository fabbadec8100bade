"""Pooling over height and width."""

from __future__ import annotations

from collections.abc import Sequence

from tqconv.errors import UnsupportedError
from tqconv.ir.graph import Op
from tqconv.ops import stops
from tqconv.ops.rules import window_size
from tqconv.ops.spec import QuantRule, Typed, by_type, op


def _pooled(op: Op) -> Sequence[Typed]:
    """x: [n, h, w, c]."""
    x = op.input(0)
    if x.rank != 4:
        raise UnsupportedError(f"'{x.name}' has rank {x.rank}, the kernel takes 4")
    padding = op.options.get("padding", "SAME")
    sizes: list[int | None] = []
    for size, axis, side in ((x.shape[1], "h", "height"), (x.shape[2], "w", "width")):
        window, stride = op.options.get(f"filter_{side}", 0), op.options.get(f"stride_{axis}", 0)
        if window < 1 or stride < 1:
            raise UnsupportedError(f"window {window} or stride {stride} is not positive")
        sizes.append(window_size(size, window, stride, 1, padding))
    return [((x.shape[0], *sizes, x.shape[3]), x.dtype)]


# L2_POOL_2D has no integer kernel. Versions: LiteRT tools/versioning/op_version.cc.
_QUANT = {
    "AVERAGE_POOL_2D": QuantRule(same=True, averages=True),
    "MAX_POOL_2D": QuantRule(same=True),
}
for _name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
    op(
        _name,
        "x -> y",
        shape=_pooled,
        quant=_QUANT.get(_name),
        version=by_type(int8=2, int16=3) if _name in _QUANT else 1,
        fuses_activation=True,
        category="pool",
        types=frozenset({"float32"}),
        stops=stops.large_windows if _name in _QUANT else stops.long_windows,
    )
