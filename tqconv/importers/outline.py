"""What a file states node by node, without translation: for people to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Any

from tqconv.records import dataclass


@dataclass(frozen=True)
class NodeFacts:
    """One node as the file states it; `shape` and `type` are None where it does not say.

    outputs: names of its values, where the format gives them names of their own.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    type: str | None
    shape: tuple[int | None, ...] | None
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outline:
    """The nodes of a model. `untranslated`: operator -> nodes, for those without a handler.

    `producer`: the version of what wrote it; `reason`: why there is no more than this;
    `signatures`: key -> names of "inputs" and "outputs", where the format has entry points.
    """

    origin: str
    nodes: tuple[NodeFacts, ...]
    op_counts: Mapping[str, int]
    inputs: tuple[NodeFacts, ...]
    outputs: tuple[NodeFacts, ...]
    variables: tuple[str, ...]
    untranslated: Mapping[str, int]
    functions: tuple[str, ...]
    producer: int
    reason: str = ""
    version_of: str = "producer"
    """What `producer` is called: of ONNX it is the opset."""
    signatures: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values that JSON has."""
        return asdict(self)


def by_frequency(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts with the most frequent first, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
