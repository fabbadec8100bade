"""How two models side by side are printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.cli.layout import Block, Table, quantity, shape, size, titled
from tqconv.errors import counted
from tqconv.output import bytes_of

if TYPE_CHECKING:
    from tqconv.exporters.report import TensorFacts
    from tqconv.jobs.contrast import Contrast, Side
    from tqconv.runtime.compare import Difference

WORST = 10
"""Parameters and inner tensors that are listed without --verbose."""
SAME = 200.0
"""Decibels that stand for no difference (`runtime.compare.EXACT`)."""


def contrast_page(found: Contrast, *, verbose: bool) -> Iterator[Block]:
    """Yield two models side by side."""
    yield from (_heading("first", found.first), _heading("second", found.second), "")
    yield Table([*_totals(found)], right=(1, 2))
    yield from titled("operators that differ", Table([*_counts(found)], right=(1, 2)))
    one, two = found.first.facts.main, found.second.facts.main
    yield from titled("inputs that differ", _borders(one.inputs, two.inputs))
    yield from titled("outputs that differ", _borders(one.outputs, two.outputs))
    yield from _parameters(found, verbose)
    yield from _measured(found.differences, verbose)


def _heading(word: str, side: Side) -> str:
    from tqconv.importers.detect import NAMES

    note = ", as `convert` would write it" if side.as_written else ""
    return f"{word}: {side.file}: {NAMES[side.kind]}, {size(bytes_of(Path(side.file)))}{note}"


def _totals(found: Contrast) -> Iterator[tuple[str, ...]]:
    yield "", "first", "second"
    one, two = found.first.facts, found.second.facts
    yield ("operators", *(str(sum(f.op_counts.values())) for f in (one, two)))
    yield ("parameters", *(quantity(f.parameters).strip() for f in (one, two)))
    yield ("constants", *(size(f.constant_bytes) for f in (one, two)))
    yield ("activations", *(size(f.main.peak_bytes) for f in (one, two)))
    yield ("MACs", *(quantity(f.macs).strip() for f in (one, two)))


def _counts(found: Contrast) -> Iterator[tuple[str, str, str]]:
    one, two = found.first.facts.op_counts, found.second.facts.op_counts
    for name in dict.fromkeys((*one, *two)):
        if one.get(name, 0) != two.get(name, 0):
            yield name, str(one.get(name, 0)), str(two.get(name, 0))


def _borders(mine: Sequence[TensorFacts], theirs: Sequence[TensorFacts]) -> Table:
    left = [(t.name, t.type, shape(t.shape)) for t in mine]
    right = [(t.name, t.type, shape(t.shape)) for t in theirs]
    if left == right:
        return Table([])
    rows = [("first", *row) for row in left] + [("second", *row) for row in right]
    return Table(rows, names=(1,))


def _parameters(found: Contrast, verbose: bool) -> Iterator[Block]:
    differ = [p for p in found.parameters if p.sqnr < SAME]
    words = [f"{len(found.parameters) - len(differ)} equal", f"{len(differ)} differ"]
    for word, names in (("first", found.only_first), ("second", found.only_second)):
        if names:
            words.append(f"{len(names)} only in the {word}")
    listed = differ if verbose else differ[:WORST]
    rows = [
        (p.name, p.first, p.second, f"{p.sqnr:.1f} dB", f"largest difference {p.largest:.4g}")
        for p in listed
    ]
    yield from ("", f"parameters by name: {', '.join(words)}")
    yield Table(rows, right=(3,), names=(0,))


def _measured(found: Sequence[Difference], verbose: bool) -> Iterator[Block]:
    if not found:
        return
    outputs = [d for d in found if d.is_output]
    inner = [d for d in found if not d.is_output and d.sqnr < SAME]
    listed = inner if verbose else inner[:WORST]
    heading = f"outputs on {counted(found[0].samples, 'sample')}"
    yield from titled(heading, Table([*map(_row, outputs)], right=(1,), names=(0,), prose=True))
    rows = [(d.name, f"{d.sqnr:.1f} dB") for d in listed]
    yield from titled("worst inside", Table(rows, right=(1,), names=(0,)))


def _row(found: Difference) -> tuple[str, ...]:
    cosine = "" if found.cosine is None else f"cosine {found.cosine:.6f}"
    share = "" if found.agreement is None else f"same largest element {100 * found.agreement:.4g} %"
    return (
        found.name,
        "equal" if found.sqnr >= SAME else f"{found.sqnr:.1f} dB",
        f"largest difference {found.largest:.4g}",
        cosine,
        share,
    )
