"""How two models side by side are printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.cli.facts import shown
from tqconv.cli.layout import quantity, shape, size, table
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


def contrast_text(found: Contrast, *, verbose: bool) -> str:
    """Return two models side by side as text."""
    blocks = [
        "\n".join((_heading("first", found.first), _heading("second", found.second))),
        table(_totals(found), right=(1, 2)),
        _titled("operators that differ", table(_counts(found), right=(1, 2))),
        _borders("inputs", found.first.facts.main.inputs, found.second.facts.main.inputs),
        _borders("outputs", found.first.facts.main.outputs, found.second.facts.main.outputs),
        _parameters(found, verbose),
        _measured(found.differences, verbose),
    ]
    return "\n\n".join(filter(None, blocks))


def _heading(word: str, side: Side) -> str:
    from tqconv.importers.detect import NAMES

    note = ", as `convert` would write it" if side.as_written else ""
    return f"{word}: {side.file}: {NAMES[side.kind]}, {size(bytes_of(Path(side.file)))}{note}"


def _titled(title: str, body: str) -> str:
    return f"{title}\n{body}" if body else ""


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


def _borders(title: str, mine: Sequence[TensorFacts], theirs: Sequence[TensorFacts]) -> str:
    left = [(t.name, t.type, shape(t.shape)) for t in mine]
    right = [(t.name, t.type, shape(t.shape)) for t in theirs]
    if left == right:
        return ""
    rows = [("first", *row) for row in left] + [("second", *row) for row in right]
    return _titled(f"{title} that differ", table(rows))


def _parameters(found: Contrast, verbose: bool) -> str:
    differ = [p for p in found.parameters if p.sqnr < SAME]
    words = [f"{len(found.parameters) - len(differ)} equal", f"{len(differ)} differ"]
    for word, names in (("first", found.only_first), ("second", found.only_second)):
        if names:
            words.append(f"{len(names)} only in the {word}")
    listed = differ if verbose else differ[:WORST]
    rows = [
        (
            shown(p.name),
            p.first,
            p.second,
            f"{p.sqnr:.1f} dB",
            f"largest difference {p.largest:.4g}",
        )
        for p in listed
    ]
    return "\n".join(
        filter(None, (f"parameters by name: {', '.join(words)}", table(rows, right=(3,))))
    )


def _measured(found: Sequence[Difference], verbose: bool) -> str:
    if not found:
        return ""
    outputs = [d for d in found if d.is_output]
    inner = [d for d in found if not d.is_output and d.sqnr < SAME]
    listed = inner if verbose else inner[:WORST]
    heading = f"outputs on {counted(found[0].samples, 'sample')}"
    blocks = [_titled(heading, table([_row(d) for d in outputs], right=(1,)))]
    if listed:
        rows = [(shown(d.name), f"{d.sqnr:.1f} dB") for d in listed]
        blocks.append(_titled("worst inside", table(rows, right=(1,))))
    return "\n\n".join(blocks)


def _row(found: Difference) -> tuple[str, ...]:
    cosine = "" if found.cosine is None else f"cosine {found.cosine:.6f}"
    share = "" if found.agreement is None else f"same largest element {100 * found.agreement:.4g} %"
    return (
        shown(found.name),
        "equal" if found.sqnr >= SAME else f"{found.sqnr:.1f} dB",
        f"largest difference {found.largest:.4g}",
        cosine,
        share,
    )
