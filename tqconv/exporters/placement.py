"""What a device runs of a model, as plain data: for `inspect --target` and checks of the result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tqconv.errors import counted, shaped
from tqconv.exporters.report import macs_of, op_name
from tqconv.ir.graph import Model, Tensor
from tqconv.records import dataclass
from tqconv.targets.device import Device, Refused, judge
from tqconv.targets.rules import SHAPES

_QUOTED = re.compile(r"'[^']*'")
"""The name of a tensor in a reason."""
KINDS = 6
"""Kinds of refusals that an error names."""
NAMED = 3
"""Operators that a line about many of them names."""


@dataclass(frozen=True)
class RefusedFacts:
    """One operator that does not run on the device.

    `behind`: only because an earlier one stops; `ends`: its compiler ends there with an error.
    """

    type: str
    name: str
    source: str
    reason: str
    remedy: str
    behind: bool
    ends: bool


@dataclass(frozen=True)
class Placement:
    """What a device runs of a model.

    `rest`: what runs the others, empty where nothing does; `macs_on_target`: multiply-adds there;
    `open_inputs`: inputs with sizes that are not known; `open_sizes`: what becomes of them there;
    `fixed_by`: the flag that makes all sizes known, where only batches are open.
    """

    target: str
    title: str
    rest: str
    operators: int
    on_target: int
    macs: int
    macs_on_target: int
    refused: tuple[RefusedFacts, ...]
    open_inputs: tuple[str, ...] = ()
    open_sizes: str = ""
    fixed_by: str = ""

    @property
    def runs(self) -> bool:
        """Whether the device runs all of it."""
        return not self.refused

    @property
    def ends(self) -> int:
        """Return how many operators there are at which the device's compiler ends."""
        return sum(op.ends for op in self.refused)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON has."""
        return {**asdict(self), "runs": self.runs}

    def groups(self) -> list[tuple[str, str, str, list[str]]]:
        """Return operator, reason, remedy and the names of those refused so, most frequent first.

        A reason that names a tensor is that of the first one; those that are only behind another
        are one group; those at which the compiler ends come first.
        """
        found: dict[tuple[bool, str, str, str], list[RefusedFacts]] = {}
        for op in self.refused:
            reason = _QUOTED.sub("", op.reason)
            key = ("operators", reason, "") if op.behind else (op.type, reason, op.remedy)
            found.setdefault((not op.ends, *key), []).append(op)
        ordered = sorted(found.items(), key=lambda item: (item[0][0], -len(item[1])))
        return [
            (kind, ops[0].reason, remedy, [op.name for op in ops])
            for (_, kind, _, remedy), ops in ordered
        ]

    def heading(self) -> str:
        """Return in one line how much runs on the device, and what runs the others."""
        share = "" if not self.macs else f", {_share(self.macs_on_target, self.macs)} of the MACs"
        count = counted(self.operators, "operator")
        verb = "runs" if self.operators == 1 else "run"
        if self.runs:
            return f"{'the operator' if self.operators == 1 else f'all {count}'} {verb} on it"
        if self.ends:
            return f"its compiler ends with an error at {self.ends} of {count}, and writes nothing"
        others = self.operators - self.on_target
        end = (
            f"{others} on {self.rest}"
            if self.rest
            else "without the others it does not start there"
        )
        return f"{self.on_target} of {count} {verb} on it{share}; {end}"

    def about_sizes(self) -> str:
        """Return what becomes of sizes that are not known, in a line; empty where all are."""
        if not self.open_inputs:
            return ""
        word = "input" if len(self.open_inputs) == 1 else "inputs"
        return f"{word} {', '.join(self.open_inputs)}: {self.open_sizes}"


def place(device: Device, model: Model) -> Placement:
    """Return what a device runs of a model, operator by operator."""
    opened = [t for t in model.main.inputs if not t.is_static]
    verdict = judge(device, model)
    ops = [op for graph in model.all_graphs() for op in graph.ops]
    macs = sum(map(macs_of, ops))
    lost = sum(macs_of(found.op) for found in verdict.refused)
    return Placement(
        target=device.name,
        title=device.title,
        rest=device.rest,
        operators=verdict.operators,
        on_target=verdict.operators - len(verdict.refused),
        macs=macs,
        macs_on_target=macs - lost,
        refused=tuple(map(_facts, verdict.refused)),
        open_inputs=tuple(f"{t.name} {shaped(t.shape)}" for t in opened),
        open_sizes=device.open_sizes if opened else "",
        fixed_by=_fixing(model.main.inputs) if opened else "",
    )


def _fixing(inputs: Sequence[Tensor]) -> str:
    """Return the flag that makes every batch 1; empty where other sizes are open, too."""
    if any(None in tensor.shape[1:] for tensor in inputs):
        return ""
    shapes = (",".join("1" if size is None else str(size) for size in t.shape) for t in inputs)
    return f"--input_shapes {':'.join(shapes)}"


def _facts(found: Refused) -> RefusedFacts:
    op = found.op
    return RefusedFacts(
        type=op_name(op),
        name=op.outputs[0].name if op.outputs else "",
        source=str(op.source) if op.source.node else "",
        reason=found.reason,
        remedy=found.remedy,
        behind=found.behind,
        ends=found.ends,
    )


def _share(part: int, whole: int) -> str:
    """Return a share in percent; what is not all of it never reads as 100 %."""
    percent = 100 * part / whole
    return f"{min(percent, 99.9):.1f} %" if part < whole else "100 %"


def sentences(placement: Placement, most: int | None = None) -> list[str]:
    """Return one line per kind of refusal: how many, which operator, why, and where.

    `most`: of how many kinds; how many more there are is the last line then.
    """
    groups = placement.groups()
    lines = [
        f"{len(names)} {kind} ({reason}): {_names(names)}"
        for kind, reason, _, names in groups[:most]
    ]
    more = len(groups) - len(lines)
    return [*lines, *([f"{counted(more, 'kind')} more, which inspect lists"] if more else [])]


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + more


def remedies(placement: Placement) -> list[str]:
    """Return what mends refusals, the most frequent first, each once."""
    return [word for word, _ in mended(placement)]


def mended(placement: Placement) -> list[tuple[str, str]]:
    """Return what mends refusals, the most frequent first, each with the operators it mends."""
    found: dict[str, Counter[str]] = {}
    for op in placement.refused:
        if op.remedy:
            found.setdefault(op.remedy, Counter())[op.type] += 1
    here = f", here {placement.fixed_by}" if placement.fixed_by else ""
    ordered = sorted(found.items(), key=lambda item: -item[1].total())
    return [(f"{word}{here}" if word == SHAPES else word, _kinds(count)) for word, count in ordered]


def _kinds(count: Counter[str]) -> str:
    named = [f"{number} {kind}" for kind, number in count.most_common(NAMED)]
    others = count.total() - sum(number for _, number in count.most_common(NAMED))
    rest = [f"{others} other{'s' if others > 1 else ''}"] if others else []
    return ", ".join([*named, *rest])
