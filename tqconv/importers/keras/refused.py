"""Layers that hold code of the user's own, or that no version of Keras has: all in one report."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tqconv.errors import UnsupportedError
from tqconv.importers.keras.functions.operators import OPERATOR, node_of
from tqconv.importers.keras.model import Layer
from tqconv.importers.keras.registry import KERAS
from tqconv.importers.keras.toolkit import unknown_class
from tqconv.importers.tf.single import is_known

SHOWN = 12
"""Layers that the report names."""
HELD = frozenset({"InputLayer", "StackedRNNCells"})
"""Classes that have no handler: borders, and what the layers around them look at."""
TEXT = frozenset({"TextVectorization", "StringLookup", "Hashing", "HashedCrossing"})
"""Layers that work on text, or on the digits of numbers."""
OBJECTS = frozenset({"ClassMethod", "InstanceMethod", "InstanceProperty"})
"""Layers that ask composite tensors for something."""
DECOMPOSITIONS = frozenset(
    f"ops.{n}" for n in ("Eig", "Eigh", "LuFactor", "Lstsq", "MatrixRank", "Pinv", "Qr", "SVD")
)
"""Operations that find factors of a matrix, or need them."""
RANDOM = ("tf.random.", "tf.nn.dropout", "tf.image.random_", "tf.image.stateless_random_")
UNWRITTEN = ("tf.einsum", "tf.linalg.einsum", "tf.meshgrid")
"""Functions of `*tensors`: a layer that calls one says nothing about these but the first."""
LAMBDA = "runs Python code that the file holds, which is never executed"


def refuse_foreign(model: Layer, file: str, needed: Collection[str]) -> None:
    """Raise UnsupportedError that lists every layer without a translation, and what to do.

    needed: the layers of the model that what is asked for depends on; others may be anything.
    """
    found = list(_foreign(model, needed))
    if not found:
        return
    lines = [f"  {layer.op} '{layer.place}' {reason}" for layer, reason in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  … {len(found) - SHOWN} more")
    plural = "layers" if len(found) > 1 else "layer"
    error = UnsupportedError(
        f"{len(found)} {plural} of {file} cannot be translated\n" + "\n".join(lines),
        hint="export the model as a SavedModel with `model.export` and convert that, "
        "or replace these layers by ones that Keras has",
    )
    error.nodes = {layer.place.removeprefix(f"{model.place}/"): why for layer, why in found}
    raise error


def _foreign(layer: Layer, needed: Collection[str] | None = None) -> Iterator[tuple[Layer, str]]:
    inner = [] if layer.network is None else list(layer.network.layers.values())
    for each in (*inner, *layer.inside.values()):
        if needed is not None and each.name not in needed:
            continue
        reason = reason_of(each)
        if reason:
            yield each, reason
        yield from _foreign(each)


def reason_of(layer: Layer) -> str:
    """Return why a layer has no translation, empty where it has one."""
    if layer.op == "Lambda":
        return LAMBDA
    quantizer = unknown_class(layer.op, layer.config)
    if quantizer:
        return f"has quantizers of the class `{quantizer}`, which is not the toolkit's"
    if layer.op == OPERATOR:
        name = node_of(layer.config).op
        return "" if is_known(name) else f"holds TensorFlow's {name}, which has no translation"
    if layer.network is not None or layer.op in HELD or KERAS.find(layer.op) is not None:
        return ""
    if layer.op in OBJECTS:
        return "reads ragged or sparse tensors, for which there are no kernels"
    if layer.op.startswith("tf."):
        return f"calls a function of TensorFlow that {_reason_of_function(layer.op)}"
    if layer.op in TEXT:
        return "works on text (of numbers, on their digits), for which there are no kernels"
    if layer.op in DECOMPOSITIONS:
        return "decomposes a matrix, for which there are no kernels"
    if layer.op.startswith("ops."):
        return "is an operation without a translation"
    return "is no layer of Keras that tqconv knows"


def _reason_of_function(op: str) -> str:
    if op.startswith(RANDOM):
        return "makes random numbers"
    if op.startswith(("tf.strings.", "tf.io.")):
        return "works on text or files, for which there are no kernels"
    if op in UNWRITTEN:
        return "reads any number of tensors, which tf.keras does not write into its files"
    return "has no translation"
