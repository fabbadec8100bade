"""Which options table belongs to which operator."""

import pytest

from tqconv.schema import flatbuf
from tqconv.schema.options import SHARED, options_table

# Operators whose attributes, if any, come as tensors: the converter of TensorFlow writes none.
WITHOUT = """
    BROADCAST_ARGS CEIL COMPLEX_ABS CUSTOM DELEGATE ELU EMBEDDING_LOOKUP FLOOR HASHTABLE_LOOKUP IMAG
    LOG LOGISTIC PLACEHOLDER_FOR_GREATER_OP_CODES PRELU REAL RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1
    ROUND RSQRT SIN SQRT TANH
"""


@pytest.mark.parametrize(
    ("op", "table"),
    [
        ("ADD", "AddOptions"),
        ("ATAN2", "ATan2Options"),
        ("BATCH_MATMUL", "BatchMatMulOptions"),
        ("CONV_2D", "Conv2DOptions"),
        ("CONV_3D_TRANSPOSE", "Conv3DOptions"),
        ("L2_NORMALIZATION", "L2NormOptions"),
        ("MAXIMUM", "MaximumMinimumOptions"),
        ("MAX_POOL_2D", "Pool2DOptions"),
        ("NON_MAX_SUPPRESSION_V5", "NonMaxSuppressionV5Options"),
        ("PADV2", "PadV2Options"),
        ("REDUCE_ANY", "ReducerOptions"),
        ("RFFT2D", "Rfft2dOptions"),
        ("SPACE_TO_BATCH_ND", "SpaceToBatchNDOptions"),
        ("STABLEHLO_COMPOSITE", "StableHLOCompositeOptions"),
        ("TOPK_V2", "TopKV2Options"),
        ("UNIDIRECTIONAL_SEQUENCE_RNN", "SequenceRNNOptions"),
        ("RELU", None),
    ],
)
def test_the_table_of_an_operator(op, table):
    assert options_table(op) == table


def test_every_table_belongs_to_an_operator_and_every_other_operator_is_known():
    schema = flatbuf.tflite()
    tables = {op: options_table(op) for op in schema.enums["BuiltinOperator"]}
    unions = {*schema.unions["BuiltinOptions"], *schema.unions["BuiltinOptions2"]} - {"NONE"}
    assert {table for table in tables.values() if table is not None} == unions
    without = {op for op, table in tables.items() if table is None and "STABLEHLO" not in op}
    assert without == set(WITHOUT.split())
    assert SHARED.keys() <= tables.keys()
