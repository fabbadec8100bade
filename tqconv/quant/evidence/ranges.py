"""Evidence about the reals of each tensor, and the file in which people read, edit and merge it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import numpy as np

from tqconv.errors import FormatError, QuantizationError, suggestion
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.histogram import Extremes, Histogram
from tqconv.ir.types import RANGE_KINDS, Range
from tqconv.patterns import check_count, matcher
from tqconv.quant.evidence.thresholds import METHODS, extremes
from tqconv.records import dataclass
from tqconv.untrusted import parse_json, read_file

FORMAT = "tqconv ranges 1"
USER = "user"
"""The method of an entry that a person wrote or changed; merging leaves it alone."""
DIGITS = 6
"""Significant digits of the shares in the file."""


@dataclass(frozen=True)
class Record:
    """The range of one tensor: [low, high] as `method` chose it from what was seen.

    `clipped`: share of the values outside; `observed`: the extremes of all samples.
    """

    low: float
    high: float
    method: str = USER
    clipped: float = 0.0
    samples: int = 0
    observed: tuple[float, float] | None = None
    histogram: Histogram | None = None
    is_measured: bool = field(default=False, compare=False)
    """The numbers are what the method gave: nobody wrote them."""

    @staticmethod
    def of(seen: Histogram | Extremes, method: str) -> Record:
        """Return the record of a histogram; extremes are enough for the method `minmax`."""
        if isinstance(seen, Extremes):
            found = (seen.low, seen.high) if seen.low <= seen.high else (0.0, 0.0)
            low, high = map(_short, found)
            return Record(low, high, "minmax", 0.0, seen.samples, found, is_measured=True)
        low, high = METHODS[method](seen)
        ends = (_short(low), _short(high))
        clipped = float(f"{seen.beyond(*ends):.{DIGITS}g}") if method != "minmax" else 0.0
        found = extremes(seen)
        return Record(*ends, method, clipped, seen.samples, found, seen, is_measured=True)

    @property
    def is_edited(self) -> bool:
        """Whether the numbers are no longer what the method gives."""
        if self.is_measured:
            return False
        if self.histogram is None and self.method == "minmax" and self.observed is not None:
            return (_short(self.observed[0]), _short(self.observed[1])) != (self.low, self.high)
        if self.histogram is None or self.method not in METHODS:
            return self.method == USER
        low, high = METHODS[self.method](self.histogram)
        return (_short(low), _short(high)) != (self.low, self.high)

    def merged(self, other: Record) -> Record:
        """Return the record of both sets of samples; a person's entry wins, the newer of two."""
        if other.is_edited:
            return other
        if self.is_edited:
            return self
        if self.histogram is not None and other.histogram is not None:
            return Record.of(self.histogram.merged(other.histogram), self.method)
        return Record(
            min(self.low, other.low),
            max(self.high, other.high),
            self.method,
            max(self.clipped, other.clipped),
            self.samples + other.samples,
        )


@dataclass
class Ranges:
    """Records by tensor name, and by regular expression (which override, the last match first)."""

    records: dict[str, Record] = field(default_factory=dict)
    patterns: list[tuple[str, Record]] = field(default_factory=list)

    @staticmethod
    def of(seen: Mapping[str, Histogram | Extremes], method: str = "minmax") -> Ranges:
        """Return the records of calibrated tensors."""
        return Ranges({name: Record.of(found, method) for name, found in seen.items()})

    @property
    def samples(self) -> int:
        """How many samples were looked at; 0 where persons and files said all."""
        return max((record.samples for record in self.records.values()), default=0)

    def find(self, names: Iterable[str]) -> tuple[str, Record] | None:
        """Return the entry for a tensor that goes by `names`, and what it is called in the file."""
        names = list(names)
        for pattern, record in reversed(self.patterns):
            if any(map(matcher(pattern).matches, names)):
                return f"pattern {pattern}", record
        for name in names:
            if name in self.records:
                return name, self.records[name]
        return None

    def merged(self, other: Ranges) -> Ranges:
        """Return both together, as if calibrated in one run; patterns of `other` go last."""
        records = dict(self.records)
        for name, record in other.records.items():
            records[name] = records[name].merged(record) if name in records else record
        known = [p for p in self.patterns if p not in other.patterns]
        return Ranges(records, [*known, *other.patterns])

    def with_method(self, method: str) -> Ranges:
        """Return the ranges that another method takes from the same statistics."""
        records = {
            name: record
            if record.histogram is None or record.is_edited
            else Record.of(record.histogram, method)
            for name, record in self.records.items()
        }
        return Ranges(records, self.patterns)


def _short(value: float) -> float:
    """Return the float32 nearest to the value, as the shortest decimal."""
    return float(str(np.float32(value)))


def names_of(tensor: Tensor) -> list[str]:
    """Return the names under which a file may mention a tensor, with and without `:0`."""
    name = tensor.name
    return [name, name.removesuffix(":0")] if name.endswith(":0") else [name, f"{name}:0"]


def evidence(tensor: Tensor, ranges: Ranges | None, *, wide: bool) -> Range | None:
    """Return the strongest evidence about a tensor: its own, or the record's.

    `wide`: for 16-bit activations, which have room for everything observed, so nothing is clipped.
    """
    found = None if ranges is None else ranges.find(names_of(tensor))
    if found is None:
        return tensor.range
    label, record = found
    edited = record.is_edited
    low, high = (
        record.observed
        if wide and record.observed is not None and not edited
        else (record.low, record.high)
    )
    kind, detail = (USER, label) if edited else ("calibrated", record.method)
    recorded = Range(low, high, kind, detail)
    if tensor.range is None or _strength(recorded) <= _strength(tensor.range):
        return recorded
    return tensor.range


def _strength(range: Range) -> int:
    return RANGE_KINDS.index(range.kind)


def hollow(known: Range) -> str:
    """Return why no integers stand for the reals of a range, or nothing."""
    if known.low == known.high or not np.isfinite(known.high - known.low):
        return f"the range [{known.low:g}, {known.high:g}] is empty or not finite"
    return ""


def unfit(reasons: Mapping[Tensor, str]) -> QuantizationError:
    """Return the error that lists tensors for which no integers stand."""
    lines = [f"  '{tensor.name}': {reason}" for tensor, reason in reasons.items()]
    return QuantizationError(
        "\n".join(["no integers stand for these tensors", *lines]),
        hint="0 must be one of the integers; a FakeQuant node that was never trained is empty",
    )


def check_trained(graph: Graph) -> None:
    """Raise QuantizationError for every FakeQuant, also of constants, whose range is empty."""
    said = {t: t.range for t in graph.tensors() if t.range is not None}
    reasons = {
        tensor: reason
        for tensor, known in said.items()
        if known.kind == "fake_quant" and (reason := hollow(known))
    }
    if reasons:
        raise unfit(reasons)


def dump(ranges: Ranges) -> str:
    """Return the text of a ranges file: JSON with one tensor to a line, histograms at the end."""
    lines = [_entry({"name": n}, r) for n, r in ranges.records.items()]
    lines += [_entry({"pattern": p}, r) for p, r in ranges.patterns]
    body = ",\n".join(f"  {line}" for line in lines)
    head = f'{{"format": {json.dumps(FORMAT)}, "tensors": [\n{body}\n]'
    seen = {n: r.histogram for n, r in ranges.records.items() if r.histogram is not None}
    if not seen:
        return f"{head}}}\n"
    rows = (f"  {_text(name)}: {_text(histogram.to_json())}" for name, histogram in seen.items())
    return f'{head}, "histograms": {{\n' + ",\n".join(rows) + "\n}}\n"


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _entry(key: dict[str, str], record: Record) -> str:
    entry: dict[str, Any] = {**key, "min": record.low, "max": record.high, "method": record.method}
    if record.samples:
        entry |= {"clipped": record.clipped, "samples": record.samples}
    if record.observed is not None:
        entry["observed"] = [_short(v) for v in record.observed]
    return _text(entry)


def load(path: Path) -> Ranges:
    """Read a ranges file; FormatError names the entry that is wrong."""
    content = parse_json(read_file(path), str(path))
    entries = content.get("tensors") if isinstance(content, dict) else None
    if not isinstance(entries, list) or content.get("format", FORMAT) != FORMAT:
        raise FormatError(
            f"{path} is not a ranges file", hint='it holds {"tensors": [{"name", "min", "max"}]}'
        )
    histograms = content.get("histograms", {})
    if not isinstance(histograms, dict):
        raise FormatError("`histograms` holds no tensors by name", where=path)
    ranges = Ranges()
    for position, entry in enumerate(entries):
        if isinstance(entry, dict) and str(entry.get("name")) in histograms:
            entry = {"histogram": histograms[str(entry["name"])], **entry}
        _read_entry(ranges, entry, f"{path}, entry {position + 1}")
    return ranges


def _read_entry(ranges: Ranges, entry: Any, where: str) -> None:
    if not isinstance(entry, dict) or not {"name", "pattern"} & set(entry):
        raise FormatError("an entry has neither `name` nor `pattern`", where=where)
    label = entry.get("name", entry.get("pattern"))
    known = ranges.records if "name" in entry else [pattern for pattern, _ in ranges.patterns]
    if str(label) in known:
        raise FormatError(f"`{label}` has an entry already", where=where)
    if entry.get("min") is None and entry.get("max") is None:
        return  # a line of a template that nobody filled in
    record = _read_record(entry, f"{where} ('{label}')")
    if "name" in entry:
        ranges.records[str(label)] = record
        return
    matcher(str(label), where)
    check_count(len(ranges.patterns) + 1, where)
    ranges.patterns.append((str(label), record))


def _read_record(entry: Mapping[str, Any], where: str) -> Record:
    try:
        ends = entry["min"], entry["max"]
        if any(isinstance(end, bool) for end in ends):
            raise TypeError(ends)
        low, high = map(float, ends)
        samples = int(entry.get("samples", 0))
        clipped = float(entry.get("clipped", 0.0))
        seen = [float(np.float32(v)) for v in entry.get("observed", ())]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FormatError("`min` and `max` must be numbers", where=where) from error
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise FormatError(f"min {low} and max {high} are not a range", where=where)
    observed = (seen[0], seen[1]) if len(seen) == 2 else None
    histogram = None
    if entry.get("histogram") is not None and observed is not None:
        histogram = Histogram.from_json(entry["histogram"], samples, *observed)
    method = str(entry.get("method", USER))
    if method not in (*METHODS, USER):
        raise FormatError(f"`{method}` is no method{suggestion(method, METHODS)}", where=where)
    return Record(low, high, method, clipped, samples, observed, histogram)


def unknown_notes(
    ranges: Ranges, names: Collection[str], source: Collection[str], file: str
) -> list[str]:
    """Return a note about the entries that are for none of the tensors of these names.

    `source`: names before anything was fused; what was measured on those may be gone, what a
    person wrote is meant for a tensor that is there.
    """
    plain, before = ({n.removesuffix(":0") for n in given} for given in (names, source))
    notes = [
        f"{file}: no tensor is named `{name}`{suggestion(name, plain)}; its range has no effect"
        for name, record in ranges.records.items()
        if name.removesuffix(":0") not in (plain if record.is_edited else plain | before)
    ]
    notes += [
        f"{file}: no tensor matches the pattern `{pattern}`; its range has no effect"
        for pattern, _ in ranges.patterns
        if not any(map(matcher(pattern).matches, (*names, *plain)))
    ]
    return notes if len(notes) <= SHOWN else [*notes[:SHOWN], f"… {len(notes) - SHOWN} more"]


SHOWN = 5
"""Entries that notes name."""


def template(tensors: Iterable[Tensor]) -> str:
    """Return a ranges file with an empty entry for each tensor, to be filled in by hand."""
    empty = {"min": None, "max": None, "method": USER}
    lines = ",\n".join(f"  {json.dumps({'name': t.name, **empty})}" for t in tensors)
    return f'{{"format": {json.dumps(FORMAT)}, "tensors": [\n{lines}\n]}}\n'
