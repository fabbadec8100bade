"""What operators without a translation make: the shapes that TensorFlow infers for them.

They stand before the models of other people: files are read, images decoded, text is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tqconv.importers.tf.definitions import output_count
from tqconv.importers.tf.node import Node
from tqconv.ir.types import Shape

Shapes = Sequence[Shape | None]
"""One for each output; None where the rank is not known."""
Rule = Callable[[Node, Shapes], Shapes]


def _image(node: Node, inputs: Shapes) -> Shapes:
    """Height, width and the channels that are asked for; 0 channels are those of the file."""
    return [(None, None, node.get("channels", 0) or None)]


def _any_image(node: Node, inputs: Shapes) -> Shapes:
    """As `_image`, if an animation may not become a batch of images."""
    return [None] if node.get("expand_animations", True) else _image(node, inputs)


def _wav(node: Node, inputs: Shapes) -> Shapes:
    sizes = (node.get("desired_samples", -1), node.get("desired_channels", -1))
    return [tuple(size if size > 0 else None for size in sizes), ()]


def _examples(node: Node, inputs: Shapes) -> Shapes:
    """Features of a vector of examples, sparse ones first: indices, values, shapes."""
    sparse, batch = len(node.get("sparse_types") or ()), inputs[0]
    if batch is None:
        batch = () if node.op == "ParseSingleExample" else (None,)
    rank = len(batch) + 1
    triples: list[Shape] = [(None, rank)] * sparse + [(None,)] * sparse + [(rank,)] * sparse
    dense = [None if s is None else (*batch, *s) for s in node.get("dense_shapes") or []]
    return [*triples, *dense]


def _same(position: int) -> Rule:
    return lambda node, inputs: [inputs[position] if position < len(inputs) else None]


def _constant(*shapes: Shape) -> Rule:
    return lambda node, inputs: shapes


def _longer(node: Node, inputs: Shapes) -> Shapes:
    """One more dimension, of unknown size."""
    return [None if inputs[0] is None else (*inputs[0], None)]


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeAndCropJpeg"), _image),
    "DecodeWebP": _any_image,
    "DecodeImage": _any_image,
    "DecodeGif": _constant((None, None, None, 3)),
    "ExtractJpegShape": _constant((3,)),
    "DecodeWav": _wav,
    "EncodeJpeg": _constant(()),
    "EncodePng": lambda node, inputs: [None if inputs[0] is None else inputs[0][:-3]],
    "EncodeWav": _constant(()),
    "ReadFile": _constant(()),
    "ReaderRead": _constant((), ()),
    "ReaderReadV2": _constant((), ()),
    "ReaderReadUpTo": _constant((None,), (None,)),
    "ReaderReadUpToV2": _constant((None,), (None,)),
    "MatchingFiles": _constant((None,)),
    "DecodeRaw": _longer,
    "DecodePaddedRaw": _longer,
    "ParseExample": _examples,
    "ParseExampleV2": _examples,
    "ParseSingleExample": _examples,
    "SampleDistortedBoundingBox": _constant((3,), (3,), (1, 1, 4)),
    "SampleDistortedBoundingBoxV2": _constant((3,), (3,), (1, 1, 4)),
    "StatelessSampleDistortedBoundingBox": _constant((3,), (3,), (1, 1, 4)),
    **dict.fromkeys(("HashTable", "HashTableV2", "MutableHashTable"), _constant(())),
    **dict.fromkeys(("MutableHashTableV2", "MutableDenseHashTableV2"), _constant(())),
    **dict.fromkeys(("LookupTableFind", "LookupTableFindV2"), _same(1)),
    **dict.fromkeys(("RandomShuffle", "DrawBoundingBoxes", "DrawBoundingBoxesV2"), _same(0)),
    **dict.fromkeys(("AsString", "DecodeBase64", "EncodeBase64", "DecodeCompressed"), _same(0)),
    **dict.fromkeys(("StringLower", "StringUpper", "StringStrip", "StringLength"), _same(0)),
    **dict.fromkeys(("StringToNumber", "StringToHashBucket", "RegexReplace"), _same(0)),
    **dict.fromkeys(("StringToHashBucketFast", "StringToHashBucketStrong"), _same(0)),
    **dict.fromkeys(("RegexFullMatch", "StaticRegexReplace", "StaticRegexFullMatch"), _same(0)),
    **dict.fromkeys(("Substr", "UnicodeScript", "UnicodeTranscode", "DecodeJSONExample"), _same(0)),
}


def output_shapes(node: Node, inputs: Shapes) -> Shapes:
    """Return the shapes of a node's outputs: as it says them, or by its operator's rule.

    Outputs beyond those that are returned have no known shape.
    """
    said: Any = node.get("_output_shapes")
    if isinstance(said, list):
        return said
    rule = RULES.get(node.op)
    if rule is None:
        return []
    if not inputs and node.inputs:
        inputs = [None] * len(node.inputs)
    found = rule(node, inputs or [None])
    count = output_count(node)
    return found if count is None else found[:count]
