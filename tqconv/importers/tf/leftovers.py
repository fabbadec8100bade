"""Nodes that training leaves in a graph and that compute no result."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from tqconv.importers.tf.node import Node

LEFT_OVERS: Mapping[str, str] = {
    r"(Scalar|Histogram|Image|Audio|Tensor|Merge|Write)\w*Summary\w*": "summaries",
    r"(Save|Restore|MergeV2Checkpoints|ShardedFilename)\w*": "savers",
    r"(Resource)?(Sparse)?Apply\w+": "optimizer steps",
    r"Assign\w*|ScatterUpdate|ScatterAdd|ScatterSub": "assignments",
    r"\w*Queue\w*|Reader\w+|\w+Reader(V2)?": "queues and readers",
    r"Iterator\w*|OneShotIterator|MakeIterator|\w+Dataset(V\d)?": "input pipelines",
    r"Assert|CheckNumerics|Print(V2)?": "checks",
    r"Variable(V2)?|VarHandleOp": "variables",
    r"NoOp|IsVariableInitialized|VarIsInitializedOp": "groups",
}
"""Operators, and what a note calls such nodes when no output needs them."""

PLACEHOLDERS = ("Placeholder", "PlaceholderV2", "LegacyFedInput")
VARIABLES = ("Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable")
READERS = (
    *("IteratorGetNext", "IteratorGetNextSync", "IteratorGetNextAsOptional"),
    *("QueueDequeue", "QueueDequeueMany", "QueueDequeueUpTo"),
    *("QueueDequeueV2", "QueueDequeueManyV2", "QueueDequeueUpToV2"),
    *("ReaderRead", "ReaderReadV2", "ReaderReadUpTo", "ReaderReadUpToV2"),
    *("Unstage", "StagePeek"),
)
"""Operators that fetch the next batch of a training run."""


def kind_of(op: str) -> str | None:
    """Return what a note calls a left-over operator; None for one that computes something."""
    return next((what for p, what in LEFT_OVERS.items() if re.fullmatch(p, op)), None)


def left_out(nodes: Mapping[str, Node], reached: Collection[str]) -> str | None:
    """Return a sentence about the left-overs that no output needs, or None when there are none."""
    kinds = (kind_of(node.op) for node in nodes.values() if node.name not in reached)
    counts = Counter(what for what in kinds if what not in (None, "groups"))
    if not counts:
        return None
    return "left out: " + ", ".join(f"{n} {what}" for what, n in counts.most_common())
