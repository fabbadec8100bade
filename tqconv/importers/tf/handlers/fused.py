"""What TensorFlow's graph optimizer leaves: one node for an operator and those that followed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tqconv.compose import norm
from tqconv.compose.builder import Builder
from tqconv.errors import UnsupportedError
from tqconv.importers.tf.formats import channels_first
from tqconv.importers.tf.handlers.conv import conv2d, depthwise_conv2d
from tqconv.importers.tf.handlers.matmul import matmul
from tqconv.importers.tf.handlers.norm import batch_norm, bias_add
from tqconv.importers.tf.node import TypeNumber
from tqconv.importers.tf.registry import handles
from tqconv.ir.graph import Tensor
from tqconv.records import dataclass

ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Relu": ("RELU", {}),
    "Relu6": ("RELU6", {}),
    "Elu": ("ELU", {}),
    "Tanh": ("TANH", {}),
    "Sigmoid": ("LOGISTIC", {}),
    "GeluExact": ("GELU", {}),
    "GeluApproximate": ("GELU", {"approximate": True}),
    "_FusedHardSwish": ("HARD_SWISH", {}),
}
"""Members of `fused_ops` without operands."""


@dataclass
class Following:
    """The operators behind the main one, and the operands that are left for them."""

    names: Sequence[str]
    operands: list[Tensor]
    epsilon: float
    alpha: float
    data_format: str = "NHWC"

    def apply(self, b: Builder, y: Tensor) -> Tensor:
        """Return what they make of the result of the main operator."""
        for name in self.names:
            y = self._apply_one(b, name, y)
        if self.operands:
            raise UnsupportedError(
                f"{len(self.operands)} inputs belong to none of {list(self.names)}"
            )
        return y

    def _apply_one(self, b: Builder, name: str, y: Tensor) -> Tensor:
        if name == "BiasAdd":
            return bias_add(b, y, self.operands.pop(0), data_format=self.data_format)
        if name == "FusedBatchNorm":
            scale, offset, mean, variance = (self.operands.pop(0) for _ in range(4))
            statistics = (scale, offset, mean, variance)
            axis = 1 if channels_first(self.data_format) else -1
            return norm.normalized(b, y, *statistics, self.epsilon, axis)
        made: Tensor
        if name in ("Add", "AddV2"):
            made = b("ADD", y, self.operands.pop(0))
        elif name == "LeakyRelu":
            made = b("LEAKY_RELU", y, alpha=self.alpha)
        elif name in ACTIVATIONS:
            type, options = ACTIVATIONS[name]
            made = b(type, y, **options)
        else:
            raise UnsupportedError(f"`{name}` in fused_ops is not supported")
        return made


@handles(_FusedConv2D=conv2d, _FusedDepthwiseConv2dNative=depthwise_conv2d)
def fused_conv(
    b: Builder,
    main: Callable[..., Tensor],
    x: Tensor,
    w: Tensor,
    *operands: Tensor,
    strides: list[int],
    padding: str,
    data_format: str = "NHWC",
    dilations: Sequence[int] = (1, 1, 1, 1),
    explicit_paddings: Sequence[int] = (),
    fused_ops: Sequence[str] = (),
    epsilon: float = 1e-4,
    leakyrelu_alpha: float = 0.2,
    num_args: int = 0,
    num_host_args: int = 0,
    filter_format: str = "HWIO",
) -> Tensor:
    """Convolve, then apply what follows."""
    if num_host_args or filter_format != "HWIO":
        raise UnsupportedError(f"host arguments, or a filter in {filter_format}")
    y = main(
        b,
        x,
        w,
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilations=dilations,
        explicit_paddings=explicit_paddings,
    )
    following = Following(fused_ops, list(operands), epsilon, leakyrelu_alpha, data_format)
    return following.apply(b, y)


@handles("_FusedMatMul")
def fused_matmul(
    b: Builder,
    x: Tensor,
    w: Tensor,
    *operands: Tensor,
    transpose_a: bool = False,
    transpose_b: bool = False,
    fused_ops: Sequence[str] = (),
    epsilon: float = 1e-4,
    leakyrelu_alpha: float = 0.2,
    num_args: int = 0,
) -> Tensor:
    """Multiply two matrices, then apply what follows."""
    y = matmul(b, x, w, transpose_a=transpose_a, transpose_b=transpose_b)
    return Following(fused_ops, list(operands), epsilon, leakyrelu_alpha).apply(b, y)


@handles("_FusedBatchNormEx")
def fused_batch_norm(
    b: Builder,
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    mean: Tensor,
    variance: Tensor,
    side_input: Tensor | None = None,
    *,
    epsilon: float = 1e-4,
    exponential_avg_factor: float = 1.0,
    data_format: str = "NHWC",
    is_training: bool = True,
    activation_mode: str = "Identity",
    num_side_inputs: int = 0,
    U: TypeNumber | None = None,  # noqa: N803  (the attribute's name)
) -> tuple[Tensor, ...]:
    """Normalize, add `side_input`, then apply an activation."""
    y, *statistics = batch_norm(
        b,
        x,
        scale,
        offset,
        mean,
        variance,
        epsilon=epsilon,
        exponential_avg_factor=exponential_avg_factor,
        data_format=data_format,
        is_training=is_training,
    )
    added = [] if side_input is None else [side_input]
    names = ["Add"] * len(added) + [activation_mode] * (activation_mode != "Identity")
    return Following(names, added, epsilon, 0.0).apply(b, y), *statistics
