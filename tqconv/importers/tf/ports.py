"""Which output an operator's named output argument starts at (references in functions)."""

from __future__ import annotations

from collections.abc import Mapping

from tqconv.errors import UnsupportedError
from tqconv.importers.tf.node import Node

_QUANTIZED = ("output", "output_min", "output_max")
_NORMALIZED = ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2")
_CELL = ("i", "cs", "f", "o", "ci", "co", "h")
_SPARSE = ("output_indices", "output_values", "output_shape")
_CANDIDATES = ("sampled_candidates", "true_expected_count", "sampled_expected_count")
_DECODED = ("decoded_indices", "decoded_values", "decoded_shape")

PORTS: Mapping[str, tuple[str, ...]] = {
    "ApproxTopK": ("values", "indices"),
    "BlockLSTM": _CELL,
    "BlockLSTMV2": _CELL,
    "BroadcastGradientArgs": ("r0", "r1"),
    "CTCLoss": ("loss", "gradient"),
    "CombinedNonMaxSuppression": (
        *("nmsed_boxes", "nmsed_scores", "nmsed_classes"),
        "valid_detections",
    ),
    "CudnnRNN": ("output", "output_h", "output_c", "reserve_space"),
    "CudnnRNNV2": ("output", "output_h", "output_c", "reserve_space", "host_reserved"),
    "CudnnRNNV3": ("output", "output_h", "output_c", "reserve_space", "host_reserved"),
    "DecodeWav": ("audio", "sample_rate"),
    "Eig": ("e", "v"),
    "FractionalAvgPool": ("output", "row_pooling_sequence", "col_pooling_sequence"),
    "FractionalMaxPool": ("output", "row_pooling_sequence", "col_pooling_sequence"),
    "FusedBatchNorm": _NORMALIZED,
    "FusedBatchNormV2": _NORMALIZED,
    "FusedBatchNormV3": (*_NORMALIZED, "reserve_space_3"),
    "_FusedBatchNormEx": (*_NORMALIZED, "reserve_space_3"),
    "GRUBlockCell": ("r", "u", "c", "h"),
    "GenerateBoundingBoxProposals": ("rois", "roi_probabilities"),
    "LSTMBlockCell": _CELL,
    "LearnedUnigramCandidateSampler": _CANDIDATES,
    "ListDiff": ("out", "idx"),
    "LogMatrixDeterminant": ("sign", "log_abs_determinant"),
    "LogUniformCandidateSampler": _CANDIDATES,
    "LookupTableExportV2": ("keys", "values"),
    "Lu": ("lu", "p"),
    "MaxPoolWithArgmax": ("output", "argmax"),
    "Merge": ("output", "value_index"),
    "NonMaxSuppressionV4": ("selected_indices", "valid_outputs"),
    "NonMaxSuppressionV5": ("selected_indices", "selected_scores", "valid_outputs"),
    "Qr": ("q", "r"),
    "QuantizeDownAndShrinkRange": _QUANTIZED,
    "QuantizeV2": _QUANTIZED,
    "QuantizedAdd": ("z", "min_z", "max_z"),
    "QuantizedAvgPool": ("output", "min_output", "max_output"),
    "QuantizedBiasAdd": ("output", "min_out", "max_out"),
    "QuantizedConcat": _QUANTIZED,
    "QuantizedConv2D": ("output", "min_output", "max_output"),
    "QuantizedMatMul": ("out", "min_out", "max_out"),
    "QuantizedMaxPool": ("output", "min_output", "max_output"),
    "QuantizedMul": ("z", "min_z", "max_z"),
    "QuantizedRelu": ("activations", "min_activations", "max_activations"),
    "QuantizedRelu6": ("activations", "min_activations", "max_activations"),
    "QuantizedReshape": _QUANTIZED,
    "QuantizedResizeBilinear": ("resized_images", "out_min", "out_max"),
    "RefMerge": ("output", "value_index"),
    "RefSwitch": ("output_false", "output_true"),
    "Requantize": _QUANTIZED,
    "RequantizationRange": ("output_min", "output_max"),
    "SampleDistortedBoundingBox": ("begin", "size", "bboxes"),
    "SampleDistortedBoundingBoxV2": ("begin", "size", "bboxes"),
    "SelfAdjointEigV2": ("e", "v"),
    "SoftmaxCrossEntropyWithLogits": ("loss", "backprop"),
    "SparseAdd": ("sum_indices", "sum_values", "sum_shape"),
    "SparseConcat": _SPARSE,
    "SparseCross": _SPARSE,
    "SparseFillEmptyRows": (
        *("output_indices", "output_values"),
        *("empty_row_indicator", "reverse_index_map"),
    ),
    "SparseReorder": ("output_indices", "output_values"),
    "SparseReshape": ("output_indices", "output_shape"),
    "SparseSlice": _SPARSE,
    "SparseSoftmaxCrossEntropyWithLogits": ("loss", "backprop"),
    "StatelessRandomGetKeyCounter": ("key", "counter"),
    "StatelessRandomGetKeyCounterAlg": ("key", "counter", "alg"),
    "StatelessSampleDistortedBoundingBox": ("begin", "size", "bboxes"),
    "StringNGrams": ("ngrams", "ngrams_splits"),
    "StringSplit": ("indices", "values", "shape"),
    "StringSplitV2": ("indices", "values", "shape"),
    "Svd": ("s", "u", "v"),
    "Switch": ("output_false", "output_true"),
    "TensorArrayConcatV2": ("value", "lengths"),
    "TensorArrayConcatV3": ("value", "lengths"),
    "TensorArrayGradV3": ("grad_handle", "flow_out"),
    "TensorArrayV3": ("handle", "flow"),
    "TensorListConcat": ("tensor", "lengths"),
    "TensorListConcatV2": ("tensor", "lengths"),
    "TensorListPopBack": ("output_handle", "tensor"),
    "TopK": ("values", "indices"),
    "TopKV2": ("values", "indices"),
    "TopKUnique": ("topk", "topk_indices"),
    "TopKWithUnique": ("topk", "topk_indices"),
    "UniformCandidateSampler": _CANDIDATES,
    "Unique": ("y", "idx"),
    "UniqueV2": ("y", "idx"),
    "UniqueWithCounts": ("y", "idx", "count"),
    "UniqueWithCountsV2": ("y", "idx", "count"),
}
"""Output arguments of operators that have several, of one tensor each (TF's op registry)."""

LISTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "CTCBeamSearchDecoder": (_DECODED, "top_paths"),
    "CTCGreedyDecoder": (_DECODED, ""),
    "RaggedTensorFromVariant": (("output_nested_splits",), "output_ragged_rank"),
}
"""Operators that have list arguments before others: those arguments, and the attribute that counts
each list (none: one tensor each).
"""


def first_output(node: Node, port: str) -> int:
    """Return the flat number of the first output that `port` names.

    An operator without an entry has one output argument, which may be a list. Raises
    UnsupportedError for a name that an operator with several does not have.
    """
    if node.op in LISTS:
        names, attribute = LISTS[node.op]
        length = int(node.get(attribute, 1)) if attribute else 1
        return length * (names.index(port) if port in names else len(names))
    names = PORTS.get(node.op, (port,))
    if port not in names:
        raise UnsupportedError(
            f"{node.op} '{node.name}' has no output `{port}`; it has {', '.join(names)}"
        )
    return names.index(port)
