"""What a device, a delegate or an older runtime runs of a finished model, and what falls off.

A device is data: the operators that it takes, each with the rules that it must keep, rules for all
of them, and what happens to the others. `judge` asks; `targets.devices` lists what can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ops.table import known, spec
from tqconv.records import dataclass


@dataclass(frozen=True)
class Refusal:
    """Why an operator does not run on a device, and the flag or change that mends it."""

    reason: str
    remedy: str = ""


Rule = Callable[[Op], Refusal | None]
Border = Callable[[Op, Graph], Refusal | None]


@dataclass(frozen=True)
class Device:
    """A place where models run.

    name: the word of `--target`; title: the same for people, with the version that the facts are
    of; takes: operator -> the rules that it must keep; None: every operator of the table;
    general: rules for all of them; rest: what runs the others, empty where nothing does and the
    model does not start; stops: behind the first operator that is refused nothing runs on it;
    remedies: operator that it lacks -> what to do instead; open_sizes: what becomes there of an
    input with a size that is not known; reads: rules without which its compiler ends with an error,
    wherever an operator runs; builds: the same for operators that it takes.
    """

    name: str
    title: str
    takes: Mapping[str, tuple[Rule, ...]] | None
    general: tuple[Rule, ...] = ()
    rest: str = ""
    stops: bool = False
    remedies: Mapping[str, str] = field(default_factory=dict)
    open_sizes: str = "a size that is not known is 1 until the input is resized, then any"
    reads: tuple[Border, ...] = ()
    builds: tuple[Rule, ...] = ()

    def refuses(self, op: Op) -> Refusal | None:
        """Return why an operator is refused, or None where it is taken."""
        if self.takes is not None and op.type not in self.takes:
            return Refusal(f"{self.name} has no {_kind(op)}", self.remedies.get(op.type, ""))
        own = () if self.takes is None else self.takes[op.type]
        return next((found for rule in (*self.general, *own) if (found := rule(op))), None)

    def ends_at(self, op: Op, graph: Graph, *, taken: bool) -> Refusal | None:
        """Return why the compiler writes nothing with this operator, or None."""
        found = next((found for rule in self.reads if (found := rule(op, graph))), None)
        if found is not None or not taken:
            return found
        return next((found for rule in self.builds if (found := rule(op))), None)


@dataclass(frozen=True)
class Refused:
    """An operator that does not run on a device.

    behind: only because an earlier one does not; ends: the compiler ends there with an error.
    """

    op: Op
    reason: str
    remedy: str
    behind: bool = False
    ends: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a device runs of a model: how many operators in all, and those that it does not run."""

    device: Device
    operators: int
    refused: tuple[Refused, ...]

    @property
    def runs(self) -> bool:
        """Whether the device runs all of it."""
        return not self.refused

    @property
    def starts(self) -> bool:
        """Whether the model runs at all: something takes what the device refuses."""
        return self.runs or (bool(self.device.rest) and not any(op.ends for op in self.refused))


def judge(device: Device, model: Model) -> Verdict:
    """Return what a device runs of a model, whose graphs are in the order of execution."""
    count, refused = 0, []
    for graph in model.all_graphs():
        stopped = False
        for op in graph.ops:
            count += 1
            found = device.refuses(op)
            end = device.ends_at(op, graph, taken=found is None)
            if end is not None:
                refused.append(Refused(op, end.reason, end.remedy, ends=True))
            elif found is not None:
                refused.append(Refused(op, found.reason, found.remedy))
            elif stopped:
                refused.append(
                    Refused(op, "it stands behind an operator that is refused", "", True)
                )
            stopped = stopped or (device.stops and found is not None and not _border(op))
    return Verdict(device, count, tuple(refused))


def _border(op: Op) -> bool:
    """Whether an operator turns reals into integers where the model begins: it stops nothing."""
    return (
        known(op.type)
        and spec(op.type).converts
        and all(t is None or t.producer is None for t in op.inputs)
    )


def _kind(op: Op) -> str:
    return (
        f"custom operator {op.options.get('custom_code', '')}" if op.type == "CUSTOM" else op.type
    )


def operand(op: Op, name: str) -> Tensor | None:
    """Return an operand by its name in the row; None where it is left out."""
    names = spec(op.type).operands.names if known(op.type) else ()
    index = names.index(name) if name in names else len(op.inputs)
    return op.inputs[index] if index < len(op.inputs) else None


def tensors(op: Op) -> Iterator[Tensor]:
    """Yield the operands and results of an operator."""
    yield from (t for t in (*op.inputs, *op.outputs) if t is not None)


def option(op: Op, name: str, default: Any) -> Any:
    """Return an option, or what the schema says where the operator does not state it."""
    found = op.options.get(name)
    return default if found is None else found


def each(names: str, *rules: Rule) -> dict[str, tuple[Rule, ...]]:
    """Return a part of the column `takes`: these operators, with the same rules."""
    return dict.fromkeys(names.split(), rules)
