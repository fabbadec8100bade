"""What a report holds, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from tqconv.exporters.drawing.scene import Scene
from tqconv.exporters.report import ModelFacts


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


@dataclass(frozen=True)
class Page:
    """A report.

    title: of the file that it is about; done: what was done, in words; identity, versions: rows of
    name and text; command: as it was typed. facts, scene: the model that came out, and its picture;
    svg: that picture drawn, "" where Graphviz is missing. layers: the worst first. floats: operator
    and reason. fitted: what was tried on the samples and what it brought.
    """

    title: str
    done: str
    identity: list[tuple[str, str]]
    facts: ModelFacts
    scene: Scene
    svg: str = ""
    layers: list[Layer] = field(default_factory=list)
    activations: list[Distribution] = field(default_factory=list)
    weights: list[Distribution] = field(default_factory=list)
    floats: list[tuple[str, str]] = field(default_factory=list)
    fitted: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    command: str = ""
    versions: list[tuple[str, str]] = field(default_factory=list)
