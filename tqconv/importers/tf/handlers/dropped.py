"""Nodes that talk to the person who trains: their values pass, what they say is left out."""

from __future__ import annotations

from typing import Any

from tqconv.errors import Unsupported
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor


@handles("DeepCopy", "GuaranteeConst", "CopyHost", "Copy", "DebugIdentity", "DebugIdentityV2")
@handles("Print")
def passed_on(b: TFBuilder, x: Tensor, *data: Tensor, **attributes: Any) -> Tensor:
    """Return the input as it is."""
    return x


@handles("NoOp", "Assert", "PrintV2", "TensorArrayCloseV2", "TensorArrayCloseV3")
@handles("ScalarSummary", "HistogramSummary", "ImageSummary", "AudioSummary", "MergeSummary")
@handles("TensorSummary", "TensorSummaryV2", "AudioSummaryV2")
def without_result(b: TFBuilder, *operands: Tensor, **attributes: Any) -> None:
    """Refuse to be an output; left out wherever it is none, as nothing is computed from it."""
    raise Unsupported(
        f"{b.node.op} has no result that a model could return",
        hint="ask for other outputs with --output_arrays",
    )
