"""Operators that are known, and have no translation: why, and what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from tqconv.errors import UnsupportedError
from tqconv.importers.onnx.registry import ONNXBuilder, handles

RANDOM = "its result is drawn anew each time, so that no conversion can be compared with it"
DRAW_OUTSIDE = "draw the numbers outside of the model and give them to it, with --input_arrays"
STRINGS = "TensorFlow Lite computes nothing with strings"
BEFORE = "do it before the model: cut it behind this node, with --input_arrays"
TRAINING = "it belongs to training"
EXPORT = "export the model for inference"


class Refusal(tuple[str, str]):
    """Why an operator is refused, and a hint."""


def _because(reason: str, hint: str) -> Refusal:
    return Refusal((reason, hint))


TRAINERS: dict[str, Any] = {
    f"ai.onnx.preview.training:{name}": _because(TRAINING, EXPORT)
    for name in ("Adagrad", "Adam", "Gradient", "Momentum")
}

BLOCKED: dict[str, Any] = {
    f"com.microsoft.nchwc:{name}": _because(
        "its images lie in blocks of channels, as one processor wants them",
        "optimize the model for all machines: ORT_ENABLE_EXTENDED, not ORT_ENABLE_ALL",
    )
    for name in (
        "AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReorderInput",
        "ReorderOutput", "Upsample",
    )
}  # fmt: skip


@handles(
    Bernoulli=_because(RANDOM, DRAW_OUTSIDE),
    Multinomial=_because(RANDOM, DRAW_OUTSIDE),
    RandomNormal=_because(RANDOM, DRAW_OUTSIDE),
    RandomNormalLike=_because(RANDOM, DRAW_OUTSIDE),
    RandomUniform=_because(RANDOM, DRAW_OUTSIDE),
    RandomUniformLike=_because(RANDOM, DRAW_OUTSIDE),
    ImageDecoder=_because("TensorFlow Lite decodes no files of images", BEFORE),
    RegexFullMatch=_because(STRINGS, BEFORE),
    StringConcat=_because(STRINGS, BEFORE),
    StringNormalizer=_because(STRINGS, BEFORE),
    StringSplit=_because(STRINGS, BEFORE),
    TfIdfVectorizer=_because("TensorFlow Lite counts no n-grams", BEFORE),
)
@handles(**TRAINERS)
@handles(**BLOCKED)
def refuse(b: ONNXBuilder, why: Refusal, *operands: Any, **attributes: Any) -> NoReturn:
    """Refuse by name."""
    reason, hint = why
    raise UnsupportedError(reason, hint=hint)
