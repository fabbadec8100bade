"""Operations of Keras 3 on regular places: ranges, grids, what axes are called, coordinates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from tqconv.compose import gather, rearrange, search
from tqconv.compose.integers import bitcast
from tqconv.compose.sizes import Size, calculate, reshaped, sizes_of, vector
from tqconv.errors import UnsupportedError
from tqconv.importers.keras.layers.operations import flattened, operands, type_of
from tqconv.importers.keras.layers.selection import in_order, lin_space
from tqconv.importers.keras.registry import KerasBuilder, handles
from tqconv.importers.keras.values import tensor
from tqconv.ir.graph import Tensor
from tqconv.ops.rules import axis_of

F = np.float32


@handles("ops.Arange")
def arange(
    b: KerasBuilder, *xs: Tensor, step: Any = None, dtype: Any = None, args: Any = None
) -> Tensor:
    """Numbers from a start up to a stop, or from 0 up to the only one that is given."""
    ends = in_order(b, xs, args)
    given = [*([0] if len(ends) == 1 else []), *ends, 1 if step is None else step]
    kinds = [
        value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype for value in given
    ]
    kind = np.dtype(F if any(k.kind == "f" for k in kinds) else np.int32)
    parts = [b.cast(tensor(b, value, kind, "end"), kind) for value in given]
    made = b("RANGE", *parts)
    return made if dtype is None else b.cast(made, type_of(dtype))


@handles("ops.Logspace", "ops.Geomspace")
def powers_between(
    b: KerasBuilder,
    *xs: Tensor,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10,
    dtype: Any = None,
    axis: int = 0,
    args: Any = None,
) -> Tensor:
    """Powers of a base whose exponents have equal distances; or numbers of equal ratios."""
    ends = [b.real(tensor(b, value, F, "end")) for value in in_order(b, xs, args)]
    is_ratio = b.layer.op == "ops.Geomspace"
    if is_ratio:
        logs = [b("LOG", b("ABS", end)) for end in ends]
    else:
        logs = [b("MUL", end, np.array(np.log(base), F)) for end in ends]
    y = b("EXP", lin_space(b, *logs, num=num, endpoint=endpoint, axis=axis))
    if is_ratio:
        y = b("MUL", y, b("EXPAND_DIMS", b("SIGN", ends[0]), np.array(axis, np.int32)))
    return y if dtype is None else b.cast(y, type_of(dtype))


@handles("ops.Vander")
def vandermonde(
    b: KerasBuilder,
    x: Tensor,
    *,
    N: int | None = None,  # noqa: N803  (Keras's name)
    increasing: bool = False,
) -> Tensor:
    """The powers of each number, the largest first."""
    count = x.shape[0] if N is None else N
    if count is None:
        raise UnsupportedError("Vander of a number of powers that is not known")
    b.graph.budget.expand(count, f"{count} powers")
    powers = [b("ADD", b("MUL", x, np.zeros((), x.dtype)), np.ones((), x.dtype))]
    while len(powers) < count:
        powers.append(b("MUL", powers[-1], x))
    ordered = powers[:count] if increasing else powers[:count][::-1]
    return rearrange.stacked(b, ordered, 1)


@handles("ops.Meshgrid")
def mesh(b: KerasBuilder, *xs: Tensor, indexing: str = "xy") -> Sequence[Tensor]:
    """Spread vectors over a grid, each along an axis of its own."""
    rows = [flattened(b, x) for x in xs]
    places = list(range(len(rows)))
    if indexing == "xy" and len(rows) > 1:
        places[:2] = 1, 0
    whole: list[Size] = [1] * len(rows)
    for place, row in zip(places, rows, strict=True):
        whole[place] = sizes_of(b, row)[0]
    made = []
    for place, row in zip(places, rows, strict=True):
        wide = reshaped(b, row, [whole[i] if i == place else 1 for i in range(len(rows))])
        made.append(b("BROADCAST_TO", wide, vector(b, whole)))
    return made


@handles("ops.Kron")
def kronecker(b: KerasBuilder, *xs: Tensor, args: Any = None) -> Tensor:
    """Put the second tensor, times an element, in the place of each element of the first."""
    pair = operands(b, xs, args)
    rank = max(x.rank for x in pair)
    sizes = [[*[1] * (rank - x.rank), *sizes_of(b, x)] for x in pair]
    outer = reshaped(b, pair[0], [s for size in sizes[0] for s in (size, 1)])
    inner = reshaped(b, pair[1], [s for size in sizes[1] for s in (1, size)])
    whole = [calculate(b, "MUL", *both) for both in zip(*sizes, strict=True)]
    return reshaped(b, b("MUL", outer, inner), whole)


@handles("ops.UnravelIndex")
def unravelled(b: KerasBuilder, indices: Tensor, *, shape: Any) -> Sequence[Tensor]:
    """The coordinates of places that count through a shape."""
    dims = [int(size) for size in shape]
    if not dims or min(dims) < 1:
        raise UnsupportedError(f"places in the shape {dims}")
    found = search.coordinates(b, flattened(b, indices), dims)
    sizes = sizes_of(b, indices)
    return [reshaped(b, row, sizes) for row in rearrange.unstacked(b, found, len(dims))]


@handles("ops.Nonzero")
def nonzero(b: KerasBuilder, x: Tensor) -> Sequence[Tensor]:
    """The coordinates of what is not zero, those along each axis for themselves."""
    found = b.cast(b("WHERE", gather.truth(b, x)), np.int32)
    return rearrange.unstacked(b, found, x.rank, 1)


@handles("ops.Unique")
def unique(
    b: KerasBuilder,
    x: Tensor,
    *,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Sequence[Tensor]:
    """The different elements, or slices: where each is first, which all are, how often each is."""
    if size is not None:
        raise UnsupportedError("Unique of a size that is given")
    if axis is None:
        found = search.distinct(b, flattened(b, x), in_order=sorted)
    else:
        found = search.distinct_slices(b, x, axis_of(axis, x.rank), in_order=sorted)
    places = reshaped(b, found.places, sizes_of(b, x)) if axis is None else found.places
    told = (return_index, found.first), (return_inverse, places), (return_counts, found.counts)
    return [found.values, *(made for is_wanted, made in told if is_wanted)]


@handles("ops.View")
def viewed(b: KerasBuilder, x: Tensor, *, dtype: Any = None) -> Tensor:
    """Read the bits as another type; the last axis has as many bytes as before."""
    wanted = x.dtype if dtype is None else np.dtype(str(dtype))
    sizes, have, want = sizes_of(b, x), x.dtype.itemsize, wanted.itemsize
    if want > have:
        last = calculate(b, "FLOOR_DIV", sizes[-1], want // have)
        return bitcast(b, reshaped(b, x, [*sizes[:-1], last, want // have]), wanted)
    bits = bitcast(b, x, wanted)
    last = calculate(b, "MUL", sizes[-1], have // want)
    return reshaped(b, bits, [*sizes[:-1], last]) if want < have else bits


AXES = re.compile(r"\w+|\([^)]*\)")


@handles("ops.Rearrange")
def rearranged(b: KerasBuilder, x: Tensor, *, args: Any, **lengths: Any) -> Tensor:
    """Split, permute and join axes by their names: `b (h k) c -> b h (k c)`."""
    before, arrow, after = str(args[-1]).partition("->")
    groups = [[part.strip("()").split() for part in AXES.findall(side)] for side in (before, after)]
    names, wanted = ([name for group in side for name in group] for side in groups)
    if not arrow or len(groups[0]) != x.rank or sorted(names) != sorted(wanted):
        raise UnsupportedError(f"the pattern `{args[-1]}` for a tensor of rank {x.rank}")
    sizes: dict[str, Size] = {}
    for group, size in zip(groups[0], sizes_of(b, x), strict=True):
        known = {name: int(lengths[name]) for name in group if name in lengths}
        open_ = [name for name in group if name not in known]
        if len(open_) > 1:
            raise UnsupportedError(f"the lengths of {' and '.join(open_)} are not known")
        rest = calculate(b, "FLOOR_DIV", size, int(np.prod([1, *known.values()])))
        sizes.update(known, **dict.fromkeys(open_, rest))
    y = reshaped(b, x, [sizes[name] for name in names])
    y = b.transpose(y, [names.index(name) for name in wanted])
    joined = [calculate(b, "MUL", 1, *(sizes[name] for name in group)) for group in groups[1]]
    return reshaped(b, y, joined)
