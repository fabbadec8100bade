"""Which output number an operator's named output argument starts at (references in function bodies)."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.importers.tf.node import Node

PORTS: Mapping[str, tuple[str, ...]] = {
    "FusedBatchNorm": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    "FusedBatchNormV2": ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"),
    "FusedBatchNormV3": (
        "y",
        "batch_mean",
        "batch_variance",
        "reserve_space_1",
        "reserve_space_2",
        "reserve_space_3",
    ),
    "Switch": ("output_false", "output_true"),
    "Merge": ("output", "value_index"),
    "TopKV2": ("values", "indices"),
    "TopK": ("values", "indices"),
    "Unique": ("y", "idx"),
    "UniqueWithCounts": ("y", "idx", "count"),
}
"""Operators with more than one named output; all others have one name for all."""


def first_output(node: Node, port: str) -> int:
    """Return the flat number of the first output that `port` names; 0 for single-port operators."""
    ports = PORTS.get(node.op, ())
    return ports.index(port) if port in ports else 0
