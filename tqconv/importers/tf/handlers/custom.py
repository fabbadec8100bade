"""Operators without a translation, kept as custom operators when the user asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tqconv.compose.builder import Builder
from tqconv.importers.tf.definitions import NUMBERS, output_count, output_type
from tqconv.importers.tf.foreign import output_shapes
from tqconv.importers.tf.inner import said_type
from tqconv.importers.tf.node import Node, TypeNumber, computed_dtype
from tqconv.importers.tf.registry import TFBuilder, handles
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Shape
from tqconv.schema.flex import flex_map

FLOAT32 = np.dtype(np.float32)
DETECTION = "TFLite_Detection_PostProcess"

QUANTIZED = {
    "_output_quantized": "takes_integers",
    "_support_output_type_float_in_quantized_op": "makes_reals",
}
"""Attributes by which a node says what its kernel does beside integers: TOCO's import."""


@handles("*")
def custom(b: TFBuilder, *inputs: Tensor, **attributes: Any) -> tuple[Tensor, ...]:
    """Emit a custom operator whose options are the attributes, as a flexbuffer map.

    The node says its outputs in the attributes `_output_types` and `_output_shapes`; without them
    TensorFlow's definition of the operator counts, and for one that is not TensorFlow's it has one,
    of the type in `Tout`, `dtype` or `T`. The kernel corrects an unknown shape, which no builtin
    operator may then read. What TOCO asked the node about quantization, the attributes in
    `QUANTIZED`, is asked here too.
    """
    unshaped = b.shared.translation.unshaped
    shapes = output_shapes(b.node, [None if id(x) in unshaped else x.shape for x in inputs])
    detects = b.node.op == DETECTION
    outputs = _detections(attributes) if detects else _outputs(b.node, shapes)
    facts = {fact: True for name, fact in QUANTIZED.items() if attributes.get(name)}
    made = b.custom(
        b.node.op,
        inputs,
        outputs,
        flex_map({n: v for n, v in attributes.items() if not _says_type(v)}),
        **facts,
    )
    if not detects:
        unknown = [t for i, t in enumerate(made) if i >= len(shapes) or shapes[i] is None]
        unshaped |= {id(t): t for t in unknown}
    return made


@handles("AudioSpectrogram")
def audio_spectrogram(
    b: Builder,
    x: Tensor,
    *,
    window_size: int,
    stride: int,
    magnitude_squared: bool = False,
) -> tuple[Tensor, ...]:
    """Return [channels, frames, bins] of audio [samples, channels] by LiteRT's custom operator."""
    samples, channels = x.shape
    frames = None if samples is None else max(0, 1 + (samples - window_size) // stride)
    bins = (1 << max(0, window_size - 1).bit_length()) // 2 + 1
    options = {
        "window_size": window_size,
        "stride": stride,
        "magnitude_squared": magnitude_squared,
    }
    shape = (channels, frames, bins)
    return b.custom(b.source.op_type, (x,), [(shape, FLOAT32)], flex_map(options))


@handles("Mfcc")
def mfcc(
    b: Builder,
    spectrogram: Tensor,
    sample_rate: Tensor,
    *,
    upper_frequency_limit: float = 4000.0,
    lower_frequency_limit: float = 20.0,
    filterbank_channel_count: int = 40,
    dct_coefficient_count: int = 13,
) -> tuple[Tensor, ...]:
    """Return [channels, frames, coefficients] of a spectrogram by LiteRT's own custom operator."""
    options = {
        "upper_frequency_limit": upper_frequency_limit,
        "lower_frequency_limit": lower_frequency_limit,
        "filterbank_channel_count": filterbank_channel_count,
        "dct_coefficient_count": dct_coefficient_count,
    }
    shape = (*spectrogram.shape[:2], dct_coefficient_count)
    inputs = (spectrogram, b.reshape(sample_rate, (1,)))
    return b.custom(b.source.op_type, inputs, [(shape, FLOAT32)], flex_map(options))


def _says_type(value: Any) -> bool:
    """Whether an attribute is an element type, or a list of them: TOCO wrote none."""
    return isinstance(value[0] if isinstance(value, list) and value else value, TypeNumber)


def _outputs(node: Node, shapes: Sequence[Shape | None]) -> list[tuple[Shape, np.dtype]]:
    """Return shape and type of each output; a scalar's shape where it is not known."""
    listed = node.get("_output_types")
    count = len(listed) if isinstance(listed, list) else output_count(node)
    types = [output_type(node, i) for i in range(1 if count is None else count)]
    if types == [None]:
        types = [said_type(node)]
    known = [*shapes, *[None] * len(types)]
    return [
        (() if shape is None else shape, computed_dtype(NUMBERS["float32"] if t is None else t))
        for t, shape in zip(types, known, strict=False)
    ]


def _detections(attributes: Mapping[str, Any]) -> Sequence[tuple[Shape, np.dtype]]:
    """Boxes, classes, scores, and how many: of the detections that the kernel has room for."""
    each = attributes.get("max_classes_per_detection", 1)
    count = int(attributes.get("max_detections", 0)) * int(each)
    return [((1, count, 4), FLOAT32), ((1, count), FLOAT32), ((1, count), FLOAT32), ((1,), FLOAT32)]
