"""Examples of layers: a random configuration, its operands, and what it returns by numpy.

`layer_examples_*.py` have a function for each family of layers, which draws a configuration with
all its options and computes the result the plain way (`keras_reference.py`). `test_keras_random.py`
converts the model and compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import strategies as st
from networks_keras import Array, call3, functional, given, layer, ref3, write_h5

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model

F = np.float32
VERSIONS = {2: "2.21.0", 3: "3.15.1"}
"""The generation of Keras that writes a file -> the version that the file states."""


def first_of(x: Array) -> Array:
    """[n, …, c] -> [n, c, …]."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


UNSAID = frozenset(
    {
        *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        *("Discretization", "Pipeline"),
    }
)
"""Layers of which Keras 3 does not write whether they are trainable."""


class Draw:
    """Draws options and numbers; `major`: the generation of Keras that the layer is of."""

    def __init__(self, data: st.DataObject, majors: Sequence[int]) -> None:
        self._data = data
        self.major: int = self.one_of(*majors)

    def one_of(self, *values: Any) -> Any:
        return self._data.draw(st.sampled_from(values))

    def flag(self) -> bool:
        return self._data.draw(st.booleans())

    def number(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def numbers(self, count: int, low: int, high: int) -> list[int]:
        return [self.number(low, high) for _ in range(count)]

    def order(self, count: int) -> list[int]:
        """Return the numbers below `count` in some order."""
        return list(self._data.draw(st.permutations(range(count))))

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self._data.draw(st.integers(0, 2**31), label="seed"))

    def reals(self, *shape: int) -> Array:
        """Return float32 of a normal distribution."""
        return self.rng().normal(size=shape).astype(F)

    def whole(self, *shape: int, below: int, dtype: Any = np.int32) -> Array:
        """Return whole numbers in [0, below)."""
        return self.rng().integers(0, below, shape).astype(dtype)

    def flags(self, *shape: int) -> Array:
        return self.rng().integers(0, 2, shape).astype(np.bool_)

    def shown(self, rows: int, steps: int, some: bool = False) -> Array:
        """Return a mask [rows, steps] with gaps; some: at least one step of each row is shown."""
        flags = self.flags(rows, steps)
        return flags | (flags.sum(1, keepdims=True) == 0) if some else flags


@dataclass
class Example:
    """A layer, how it is called, and what it returns.

    config: what the file says of it. xs: its operands, one after the other, or several as one list.
    ys: its results. weights: in the order in which Keras lists them. named: what the call says by
    keyword; arrays, and lists of arrays, are inputs of the model, too. hidden: masks [n, t] of the
    first operands, or None, made by Masking layers in front; operands are 0 where they are false.
    carried: the mask of the first result, by which a GlobalAveragePooling1D behind it weighs.
    later: inputs and results of further runs of the same model, whose batch is then fixed.
    free: axes whose sizes are not known before the model runs; the batch is one anyway.
    """

    config: Mapping[str, Any]
    xs: Sequence[Array]
    ys: Sequence[Array]
    weights: Sequence[Array] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    hidden: Sequence[Array | None] = ()
    carried: Array | None = None
    later: Sequence[tuple[Sequence[Array], Sequence[Array]]] = ()
    free: Sequence[int] = ()
    atol: float = 1e-4
    rtol: float = 1e-4

    def inputs(self) -> list[Array]:
        """Return the inputs of the model, in their order."""
        extra = [a for value in self.named.values() for a in _arrays(value)]
        return [*self.xs, *extra]

    def runs(self) -> list[tuple[Sequence[Array], Sequence[Array]]]:
        """Return the inputs and the results of all runs of the model."""
        runs = [(self.inputs(), self.ys), *self.later]
        if self.carried is None:
            return runs
        return [(xs, [*ys, mean_of(ys[0], self.carried)]) for xs, ys in runs]

    def write(self, folder: Path, op: str, major: int) -> Path:
        """Write the model into a folder, as this generation of Keras writes HDF5 files."""
        inputs = [self._operand(i, array) for i, array in enumerate(self.inputs())]
        first, others = inputs[: len(self.xs)], iter(inputs[len(self.xs) :])
        named = {key: _operands(value, others) for key, value in self.named.items()}
        around = []
        for i, mask in enumerate(self.hidden):
            if mask is not None:
                front = layer("Masking", f"front{i}", mask_value=0.0)
                around.append(called_in(front, [first[i]], {}, major))
                first[i] = replace(first[i], name=front["name"])
        outputs = [["tested", 0, index] for index in range(len(self.ys))]
        if self.carried is not None:
            result = Operand("tested", (None, *self.ys[0].shape[1:]), "float32")
            around.append(called_in(layer("GlobalAveragePooling1D", "behind"), [result], {}, major))
            outputs.append(["behind", 0, 0])
        entry = layer(op, "tested", **self.config)
        if major >= 3 and op in UNSAID:
            del entry["config"]["trainable"]
        model = functional(
            *(given(x.name, x.shape, x.dtype) for x in inputs),
            *around,
            called_in(entry, first, named, major),
            inputs=[[x.name, 0, 0] for x in inputs],
            outputs=outputs,
        )
        stored = {"tested": [(f"tested/{i}:0", w) for i, w in enumerate(self.weights)]}
        return write_h5(folder / "model.h5", model, stored, VERSIONS[major])

    def _operand(self, number: int, array: Array) -> Operand:
        free = self.free if self.later else (0, *self.free)
        sizes = [None if axis in free else size for axis, size in enumerate(array.shape)]
        return Operand(f"x{number}", sizes, array.dtype.name)


@dataclass(frozen=True)
class Operand:
    """A tensor of the model that a layer reads."""

    name: str
    shape: Sequence[int | None]
    dtype: str

    def written(self, major: int) -> Any:
        """Return how a file of this generation of Keras names it among the keywords of a call."""
        if major >= 3:
            return ref3(self.name, shape=self.shape, dtype=self.dtype)
        return [self.name, 0, 0]


def mean_of(y: Array, mask: Array) -> Array:
    """Return the mean of the steps of y: [n, t, c] that a mask shows, NaN of none."""
    with np.errstate(invalid="ignore"):
        return np.asarray((y * mask[..., None]).sum(1) / mask.sum(1, keepdims=True))


def _arrays(value: Any) -> list[Array]:
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, np.ndarray)]


def _operands(value: Any, inputs: Iterator[Operand]) -> Any:
    """Return a keyword of a call with inputs in place of arrays."""
    if isinstance(value, list):
        return [_operands(item, inputs) for item in value]
    return next(inputs) if isinstance(value, np.ndarray) else value


def called_in(
    entry: dict[str, Any], first: Sequence[Operand], named: Mapping[str, Any], major: int
) -> dict[str, Any]:
    """Return the entry of a layer with one call."""

    def written(value: Any) -> Any:
        if isinstance(value, list):
            return [written(item) for item in value]
        return value.written(major) if isinstance(value, Operand) else value

    kwargs = {key: written(value) for key, value in named.items()}
    if major >= 3:
        refs = [x.written(major) for x in first]
        return call3(entry, refs if len(refs) > 1 else refs[0], **kwargs)
    return {**entry, "inbound_nodes": [[[x.name, 0, 0, kwargs] for x in first]]}


def inside(major: int, op: str, name: str, /, **config: Any) -> dict[str, Any]:
    """Return the entry of a layer that the configuration of another one holds."""
    entry = layer(op, name, **config)
    return {"module": "keras.layers", "registered_name": None, **entry} if major >= 3 else entry


def run(model: Model, runs: Sequence[Sequence[Array]], delegate: bool) -> list[list[Array]]:
    """Return the outputs of runs of one interpreter, which keeps its variables between them."""
    kernels = "AUTO" if delegate else "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    resolver = OpResolverType[kernels]
    interpreter = Interpreter(
        model_content=bytes(serialize(model)), experimental_op_resolver_type=resolver
    )
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    for detail, array in zip(inputs, runs[0], strict=True):
        if tuple(detail["shape"]) != array.shape:
            interpreter.resize_tensor_input(detail["index"], array.shape)
    interpreter.allocate_tensors()
    found = []
    for arrays in runs:
        for detail, array in zip(inputs, arrays, strict=True):
            interpreter.set_tensor(detail["index"], array)
        interpreter.invoke()
        found.append([interpreter.get_tensor(detail["index"]) for detail in outputs])
    return found


Make = Callable[[Draw, str], Example]


@dataclass(frozen=True)
class Maker:
    """What makes examples of a layer. majors: the generations that have it. count: of examples."""

    make: Make
    majors: Sequence[int]
    count: int


EXAMPLES: dict[str, Maker] = {}
"""Class of a layer -> what makes its examples; filled by the modules of the families."""


def example(*names: str, majors: Sequence[int] = (2, 3), count: int = 8) -> Callable[[Make], Make]:
    """Register what makes examples of these layers."""

    def register(make: Make) -> Make:
        for name in names:
            assert name not in EXAMPLES, name
            EXAMPLES[name] = Maker(make, majors, count)
        return make

    return register
