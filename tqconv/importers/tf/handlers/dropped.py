"""Nodes that talk to the person who trains: their values pass, what they say is left out."""

from __future__ import annotations

from typing import Any

from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor


@handles("DeepCopy", "GuaranteeConst", "CopyHost", "Copy", "DebugIdentity", "DebugIdentityV2")
@handles("Print")
def passed_on(b: Builder, x: Tensor, *data: Tensor, **attributes: Any) -> Tensor:
    """Return the input as it is."""
    return x


@handles("NoOp", "Assert", "PrintV2", "TensorArrayCloseV2", "TensorArrayCloseV3")
@handles("ScalarSummary", "HistogramSummary", "ImageSummary", "AudioSummary", "MergeSummary")
@handles("TensorSummary", "TensorSummaryV2", "AudioSummaryV2")
def without_result(b: Builder, *operands: Tensor, **attributes: Any) -> None:
    """Refuse to be an output; left out wherever it is none, as nothing is computed from it."""
    raise UnsupportedError(
        f"{b.source.op_type} has no result that a model could return",
        hint="ask for other outputs with --output_arrays",
    )
