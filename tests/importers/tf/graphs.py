"""Small TensorFlow graphs from the message classes that the product reads them with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from conftest import run_litert
from numpy.typing import NDArray

from tqconv.api import optimize
from tqconv.config import LoadOptions
from tqconv.importers.tf.graphdef import import_graph
from tqconv.importers.tf.node import DTYPES, graph_ref, nodes_of
from tqconv.ir.graph import Model
from tqconv.schema import proto

Array = NDArray[Any]
Message = Any

PRODUCER = 1882
"""GraphDef version of TensorFlow 2.17; before 24, shapes of placeholders meant something else."""

QUANTIZED = {"qint8": 11, "quint8": 12, "qint32": 13, "qint16": 15, "quint16": 16, "bfloat16": 14}
DELEGATES = (True, False)


def type_number(dtype: Any) -> int:
    """Return the DataType of a numpy type, or of a name that numpy lacks (`quint8`)."""
    if isinstance(dtype, str) and dtype in QUANTIZED:
        return QUANTIZED[dtype]
    return next(number for number, known in DTYPES.items() if known == np.dtype(dtype))


def node(name: str, op: str, *inputs: str, **attrs: Any) -> Message:
    """Return a NodeDef. Inputs are `node`, `node:1` or `^node`; attributes see `attr_value`."""
    message = proto.messages().NodeDef(name=name, op=op, input=inputs)
    for key, value in attrs.items():
        message.attr[key].CopyFrom(attr_value(value))
    return message


def attr_value(value: Any) -> Message:
    """Return an AttrValue.

    A numpy type is a type (those that numpy lacks: `typed("quint8")`), a tuple a shape, an array a
    tensor, a list a list of one kind, a message itself.
    """
    message = proto.messages().AttrValue()
    if isinstance(value, list):
        message.list.SetInParent()
        for item in value:
            kind, content = _content(item)
            getattr(message.list, kind).append(content)
    elif isinstance(value, type(message)):
        message.CopyFrom(value)
    else:
        kind, content = _content(value)
        if kind in ("shape", "tensor"):
            getattr(message, kind).CopyFrom(content)
        else:
            setattr(message, kind, content)
    return message


def typed(name: str) -> Message:
    """Return a type attribute by the name of the type: `quint8`, `bfloat16`, `float32`."""
    return proto.messages().AttrValue(type=type_number(name))


def called(function: str) -> Message:
    """Return an attribute that names a function."""
    message = proto.messages().AttrValue()
    message.func.name = function
    return message


def _content(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "b", value
    if isinstance(value, int):
        return "i", value
    if isinstance(value, float):
        return "f", value
    if isinstance(value, str):
        return "s", value.encode()
    if isinstance(value, bytes):
        return "s", value
    if isinstance(value, tuple):
        return "shape", shape(value)
    if isinstance(value, np.ndarray):
        return "tensor", tensor(value)
    return "type", type_number(value)


def shape(dims: Sequence[int | None] | None) -> Message:
    """Return a TensorShapeProto; None: the rank is unknown."""
    message = proto.messages().TensorShapeProto()
    if dims is None:
        message.unknown_rank = True
        return message
    for size in dims:
        message.dim.add().size = -1 if size is None else size
    return message


def tensor(array: Array, dtype: Any = None) -> Message:
    """Return a TensorProto; `dtype` names a quantized type that the integers are stored as."""
    number = type_number(array.dtype if dtype is None else dtype)
    message = proto.messages().TensorProto(dtype=number)
    message.tensor_shape.CopyFrom(shape(array.shape))
    if array.dtype == np.object_:
        message.string_val.extend(array.reshape(-1).tolist())
    else:
        message.tensor_content = np.ascontiguousarray(array).tobytes()
    return message


def const(name: str, array: Any, dtype: Any = None) -> Message:
    """Return a Const node."""
    array = np.asarray(array)
    message = node(name, "Const", dtype=array.dtype)
    message.attr["value"].tensor.CopyFrom(tensor(array, dtype))
    if dtype is not None:
        message.attr["dtype"].type = type_number(dtype)
    return message


def placeholder(name: str, dtype: Any, dims: Sequence[int | None] | None) -> Message:
    """Return a Placeholder node."""
    message = node(name, "Placeholder", dtype=dtype)
    message.attr["shape"].shape.CopyFrom(shape(dims))
    return message


def graph(*nodes: Message) -> Message:
    """Return a GraphDef."""
    message = proto.messages().GraphDef(node=nodes)
    message.versions.producer = PRODUCER
    return message


def model_of(
    message: Message, outputs: Iterable[str] | None = None, inputs: Iterable[str] | None = None
) -> Model:
    """Import and optimize a GraphDef; by default what it declares is input and output."""
    options = LoadOptions(
        inputs=None if inputs is None else tuple(inputs),
        outputs=None if outputs is None else tuple(outputs),
    )
    nodes = nodes_of(iter(message.node), graph_ref)
    functions = {f.signature.name: f for f in message.library.function}
    model = import_graph(nodes, functions, "net.pb", options, producer=message.versions.producer)
    return optimize(model)


def results(
    message: Message, feeds: Mapping[str, Array], outputs: Iterable[str]
) -> list[list[Array]]:
    """Return what LiteRT computes for a GraphDef: with the default delegate, and without."""
    model = model_of(message, outputs, feeds)
    return [run_litert(model, feeds, delegate) for delegate in DELEGATES]


def one_op(
    op: str,
    *operands: Array,
    constants: Iterable[int] = (),
    dynamic: bool = False,
    **attrs: Any,
) -> tuple[Message, dict[str, Array]]:
    """Return the graph of one node `y` and its feeds.

    Operands at `constants` become Const nodes, the others placeholders `x0`, `x1`, …, whose sizes
    are unknown when `dynamic`.
    """
    fixed = set(constants)
    nodes, feeds = [], {}
    for index, array in enumerate(operands):
        name = f"x{index}"
        if index in fixed:
            nodes.append(const(name, array))
            continue
        dims = (None,) * array.ndim if dynamic else array.shape
        nodes.append(placeholder(name, array.dtype, dims))
        feeds[name] = array
    nodes.append(node("y", op, *(f"x{i}" for i in range(len(operands))), **attrs))
    return graph(*nodes), feeds


def assert_op(
    op: str,
    operands: Sequence[Any],
    expected: Any,
    *,
    rtol: float = 0.0,
    atol: float = 0.0,
    constants: Iterable[int] = (),
    dynamic: bool = False,
    **attrs: Any,
) -> None:
    """Convert one node, run it with and without the delegate, and compare its outputs in order.

    Integers and booleans must be equal; reals within the tolerances, which default to equality.
    """
    wanted = [np.asarray(e) for e in (expected if isinstance(expected, tuple) else (expected,))]
    arrays = [np.asarray(x) for x in operands]
    message, feeds = one_op(op, *arrays, constants=constants, dynamic=dynamic, **attrs)
    names = ["y", *(f"y:{i}" for i in range(1, len(wanted)))]
    for measured in results(message, feeds, names):
        for have, want in zip(measured, wanted, strict=True):
            assert_close(have, want, rtol, atol)


def assert_close(have: Array, want: Array, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Compare shape and type, and the elements: exactly, or reals within the tolerances."""
    assert (have.shape, have.dtype) == (want.shape, want.dtype)
    if want.dtype.kind in "fc":
        np.testing.assert_allclose(have, want, rtol=rtol, atol=atol)
    else:
        np.testing.assert_array_equal(have, want)
