"""What a report holds, as plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from tqconv.exporters.drawing.scene import Scene
from tqconv.exporters.report import ModelFacts
from tqconv.records import dataclass


@dataclass(frozen=True)
class Distribution:
    """How the values of a tensor are distributed.

    counts: of bins of equal width between `low` and `high`, in reals. chosen: the range that the
    integers stand for, None where it stays float. beyond: share of the values outside of it.
    """

    name: str
    low: float
    high: float
    counts: tuple[int, ...]
    chosen: tuple[float, float] | None = None
    beyond: float = 0.0
    about: str = ""


@dataclass(frozen=True)
class Layer:
    """A value of the quantized model beside the float one's: dB, and why it is no more."""

    name: str
    op: str
    sqnr: float
    is_output: bool
    cause: str = ""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What every report says.

    title: of the file that it is about; done: what was done, in words; identity, versions: rows of
    name and text; command: as it was typed. scene: the picture of what came out; svg: that picture
    drawn, "" where Graphviz is missing.
    """

    title: str
    done: str
    identity: list[tuple[str, str]]
    scene: Scene
    svg: str = ""
    notes: list[str] = field(default_factory=list)
    command: str = ""
    versions: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Nodes(Frame):
    """A report on a model that has no translation, node by node.

    why: the reason, in words; missing: node, operator and reason of those that cannot be
    translated; counts: operator -> nodes, those in `untranslated` have no translation; borders:
    what is fed, and what may be an output: word, name, operator, type and shape.
    """

    why: str
    missing: list[tuple[str, str, str]]
    counts: Mapping[str, int]
    untranslated: Collection[str]
    borders: list[tuple[str, str, str, str, str]]


@dataclass(frozen=True, kw_only=True)
class Page(Frame):
    """A report on a model.

    facts: the model that came out. layers: the worst first. floats: operator and reason. fitted:
    what was tried on the samples and what it brought.
    """

    facts: ModelFacts
    layers: list[Layer] = field(default_factory=list)
    activations: list[Distribution] = field(default_factory=list)
    weights: list[Distribution] = field(default_factory=list)
    floats: list[tuple[str, str]] = field(default_factory=list)
    fitted: list[str] = field(default_factory=list)
