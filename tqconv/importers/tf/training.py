"""Training left-overs: values given by the user, and nodes that inference does not need."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.config import LoadOptions
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import Node


def prepare(nodes: Mapping[str, Node], options: LoadOptions, notes: list[str]) -> dict[str, Node]:
    """Return the nodes to import after replacing those that the user gave a value."""
    if options.values:
        raise UnsupportedError("--set_input is not supported yet")
    return dict(nodes)
