"""Nodes that talk to the person who trains: their values pass, what they say is left out."""

from __future__ import annotations

from typing import Any

from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor


@handles("Assert")
def assert_(b: TFBuilder, condition: Tensor, *data: Tensor, summarize: int = 3) -> None:
    """Check nothing: TensorFlow Lite has no operator that stops a run."""


@handles("PrintV2")
def print_v2(b: TFBuilder, text: Tensor, *, output_stream: str = "", end: str = "") -> None:
    """Print nothing."""


@handles("Print")
def print_(
    b: TFBuilder,
    x: Tensor,
    *data: Tensor,
    **attributes: Any,
) -> Tensor:
    """Return the input as it is."""
    return x


@handles("DeepCopy", "GuaranteeConst", "CopyHost", "Copy", "DebugIdentity", "DebugIdentityV2")
def copied(b: TFBuilder, x: Tensor, **attributes: Any) -> Tensor:
    """Return the input as it is."""
    return x


@handles("ScalarSummary", "HistogramSummary", "ImageSummary", "AudioSummary", "MergeSummary")
@handles("TensorSummary", "TensorSummaryV2", "AudioSummaryV2")
def summary(b: TFBuilder, *operands: Tensor, **attributes: Any) -> None:
    """Make nothing: summaries are for logs."""
