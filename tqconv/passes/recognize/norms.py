"""Normalizations over statistics of their own, in the spelling that costs least."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ir.match import has_activation, made_by
from tqconv.ops.emit import emit
from tqconv.passes.rewrite import at


class Scaled(NamedTuple):
    """y = x * factor + (offset - mean * factor), where mean is one of x."""

    x: Tensor
    mean: Tensor
    factor: Tensor
    offset: Tensor


@at("ADD")
def center_before_scaling(graph: Graph, op: Op) -> bool:
    """Scale what x has beside its mean, as layers spell it; others shift what batch norm does.

    m = MEAN(x); v = MEAN(SQUARED_DIFFERENCE(x, m)); f = MUL(RSQRT(v), g);
    y = ADD(MUL(x, f), SUB(b, MUL(m, f)))
    ->   d = SUB(x, m); v = MEAN(SQUARE(d)); y = ADD(MUL(MUL(d, RSQRT(v)), g), b)

    An operator less, g and b may go into what follows, and x - m keeps the digits that x shares
    with its mean. A product f that is smaller than x stays one.
    """
    found = next(_spelled(op), None)
    if found is None:
        return False
    x, mean, factor, offset = found

    def add(type: str, *operands: Tensor, **options: object) -> Tensor:
        name = f"{op.output.name}/{type.lower()}"
        made: Tensor = emit(graph, type, *operands, name=name, source=op.source, **options)
        return made

    centered = add("SUB", x, mean)
    for use in list(mean.uses):
        other = use.op
        if other.type == "SQUARED_DIFFERENCE" and {other.input(0), other.input(1)} == {x, mean}:
            graph.replace(other.output, add("SQUARE", centered))
    product = made_by(factor, "MUL")
    apart = None if product is None or product.output.shape != x.shape else _apart(product)
    if apart is None:
        scaled = add("MUL", centered, factor)
    else:
        scaled = add("MUL", add("MUL", centered, apart[0]), apart[1])
    y = add("ADD", scaled, offset, **op.options)
    if y.shape != op.output.shape:
        return False
    graph.replace(op.output, y)
    return True


def _spelled(op: Op) -> Iterator[Scaled]:
    for first, second in _orders(op):
        product, shift = made_by(first, "MUL"), made_by(second, "SUB")
        if product is None or shift is None or has_activation(product) or has_activation(shift):
            continue
        moved = made_by(shift.input(1), "MUL")
        if moved is None or has_activation(moved):
            continue
        for x, factor in _orders(product):
            for mean, same in _orders(moved):
                made = made_by(mean, "MEAN")
                if made is None or same is not factor or made.input(0) is not x:
                    continue
                if made.options.get("keep_dims"):
                    yield Scaled(x, mean, factor, shift.input(0))


def _apart(product: Op) -> tuple[Tensor, Tensor] | None:
    """Return a factor and the weights that it is multiplied with, or None."""
    if has_activation(product):
        return None
    pairs = [(a, b) for a, b in _orders(product) if b.is_constant and not a.is_constant]
    return pairs[0] if pairs else None


def _orders(op: Op) -> Iterator[tuple[Tensor, Tensor]]:
    yield op.input(0), op.input(1)
    yield op.input(1), op.input(0)
