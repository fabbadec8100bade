"""The tensors at which a graph is cut, their shapes and types."""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import ARRAYS, Flag, flag, switch
from tqconv.cli.values import SOURCE_TYPES, Choice, ListOf

ROWS: tuple[Flag, ...] = (
    flag(
        "input_arrays input_array", "tensors that the result is fed with; the graph is cut there",
        ARRAYS, "load.inputs", read=values.names, metavar="NAME,NAME",
    ),
    flag(
        "output_arrays output_array", "tensors that the result computes, in this order",
        ARRAYS, "load.outputs", read=values.names, metavar="NAME,NAME",
    ),
    flag(
        "input_shapes input_shape",
        "one shape per input, `?` for an unknown size; or name=1,2;name=3,4",
        ARRAYS, "shapes", read=str, metavar="1,224,224,3:1,10",
    ),
    flag(
        "dim", "the size of a dimension that an ONNX model names", ARRAYS, "dims",
        read=values.dimension, metavar="NAME=SIZE", many=True,
    ),
    flag(
        "input_data_types input_data_type", "types of the inputs in the source model",
        ARRAYS, "load.dtypes", read=ListOf(Choice(SOURCE_TYPES)), metavar="TYPE,TYPE",
    ),
    flag(
        "set_input", "put a constant in the place of an input", ARRAYS, "values",
        read=values.assignment, metavar="NAME=VALUE", many=True,
    ),
    switch(
        "nhwc_io", "take and return images of a channels-first model as [n,h,w,c]",
        ARRAYS, "load.nhwc_io",
    ),
    switch("logits", "end before a last SOFTMAX, LOG_SOFTMAX or LOGISTIC", ARRAYS, "logits"),
    switch(
        "allow_nonexistent_arrays", "leave out named tensors that the graph lacks",
        ARRAYS, "load.allow_nonexistent_arrays",
    ),
    flag(
        "rnn_states", "recurrent edges: {state_array:A,back_edge_source_array:B,size:N}",
        ARRAYS, "rnn_states", read=values.states, metavar="MAPS", many=True,
    ),
)  # fmt: skip
