"""One row per TensorFlow Lite operator: everything tqconv knows about it.

A row is made by `op(...)` in one of the family modules of this package; `table.spec` reads it. The
columns are read by: `emit` (operands, shape, fold), the passes (layout, fuses_activation),
quantization (quant), the writer (version), `inspect` and `dot` (category, macs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tqconv.ir.graph import Op
from tqconv.ir.types import Range, Shape, numpy_name
from tqconv.records import dataclass

Typed = tuple[Shape, np.dtype]
ShapeRule = Callable[[Op], Sequence[Typed]]
FoldRule = Callable[[Op], "NDArray[Any] | Sequence[NDArray[Any]] | None"]
VersionRule = Callable[[Op], int]
StopRule = Callable[[Op], str | None]
ScaleFloor = Callable[[Sequence[float], int], float]


@dataclass(frozen=True)
class Operands:
    """Names of an operator's inputs; in the row, `x?` is optional and `*xs` a list.

    required: how many there are at least.
    """

    names: tuple[str, ...]
    required: int
    variadic: bool
    outputs: tuple[str, ...]
    optional: frozenset[int] = frozenset()

    @staticmethod
    def parse(text: str) -> Operands:
        """Read "x w b? -> y" or "*xs -> y"."""
        left, right = (side.split() for side in text.split("->"))
        names = tuple(word.strip("?*") for word in left)
        given = [i for i, word in enumerate(left) if not word.endswith("?") and word[0] != "*"]
        variadic = bool(left) and left[-1].startswith("*")
        optional = frozenset(i for i, word in enumerate(left) if word.endswith("?"))
        return Operands(names, max(given, default=-1) + 1, variadic, tuple(right), optional)

    def name(self, index: int) -> str:
        """Return the name of input `index`."""
        if index < len(self.names) - self.variadic:
            return self.names[index]
        return (
            f"{self.names[-1]}{index - len(self.names) + 1}" if self.variadic else f"input{index}"
        )

    def missing(self, inputs: Sequence[object]) -> str | None:
        """Return the name of the first operand that must be there and is not."""
        count = max(self.required, len(inputs))
        for index in range(count):
            if index not in self.optional and (index >= len(inputs) or inputs[index] is None):
                return self.name(index)
        return None

    def index(self, name: str) -> int:
        """Return the position of a named input; ValueError when there is none."""
        return self.names.index(name)


@dataclass(frozen=True)
class Layout:
    """How a permutation of the data input may pass the operator.

    `kind`: `elementwise` (all inputs share the layout), `moves` (renumber the axis in option
    `where`), `moves_input` (renumber the axes in constant input `where`), `rows_input` (permute the
    rows of constant inputs `where`), `last` (the last dimension has to stay), `gathers` (renumber
    the axis; the dimensions of the indices stand in its place), `regroups` (groups of dimensions
    are split and joined), `inserts` (a dimension of 1 at the axis in constant input `where`),
    `drops` (dimensions of 1 in option `where`), `opaque` (a permutation may not pass).
    """

    kind: str
    where: tuple[str | int, ...] = ()


OPAQUE = Layout("opaque")
ELEMENTWISE = Layout("elementwise")
LAST = Layout("last")
GATHERS = Layout("gathers")
REGROUPS = Layout("regroups")
INSERTS = Layout("inserts", (1,))
DROPS = Layout("drops", ("squeeze_dims",))


def moves(*options: str) -> Layout:
    """Renumber these options when a permutation passes."""
    return Layout("moves", options)


def moves_input(index: int) -> Layout:
    """Renumber the constant axes at input `index` (reductions that keep dimensions)."""
    return Layout("moves_input", (index,))


def rows_input(*indices: int) -> Layout:
    """Permute the rows of the constants at these inputs (PAD, SLICE, TILE)."""
    return Layout("rows_input", indices)


INDEX = frozenset({"int32"})
WIDE_INDEX = frozenset({"int32", "int64"})


@dataclass(frozen=True)
class Takes:
    """What a kernel takes as an operand; None: anything.

    `types`: numpy names of element types; `ranks`: numbers of dimensions; `size`: of elements;
    `data`: the element type is that of the operands without an entry. `flat`: the kernel reads the
    elements in their order, in files of others whatever dimensions they have.
    """

    types: frozenset[str] | None = None
    ranks: tuple[int, ...] | None = None
    flat: bool = False
    size: int | None = None
    data: bool = False


ANYTHING = Takes()
ONE_OF_DATA = Takes(size=1, data=True)
SCALAR_OF_DATA = Takes(ranks=(0,), data=True)

DELEGATED = 6
"""Dimensions that XNNPACK takes; of some operators it fails to prepare more (measured)."""

MOVED = 8
"""Dimensions that the kernels which permute, reverse and update load (measured)."""

ALL_TYPES = frozenset({"INT8", "UINT8", "INT16"})


@dataclass(frozen=True)
class QuantRule:
    """What the integer kernels of an operator ask of scales and zero points.

    weight: operand -> axis of its per-channel scales, or None for one scale (symmetric int8);
    bias: operand -> the operands whose scales multiply to its scale (int32; int64 beside int16);
    same: operands in `same_over` (all when empty) and outputs share scale and zero point, but for
    the types in `same_except`;
    fixed: activation type -> output (scale, zero point) that the kernel builds in;
    insists: activation types with which the kernel refuses other parameters than these two ask for;
    types: activation types with a kernel that computes right;
    hybrid: operand -> channel axis (None: per tensor) of int8 weights beside float activations;
    raw: operands that are read as they are (indices, shapes), beyond what their dtype says;
    free_weights: activation types with which weights may be computed at run time; they are then
    quantized like activations;
    needs_bias: activation types whose kernel without a bias refuses to run, or sums in 32 bits;
    centered: constants at these operands have zero point 0; with `same` the whole group has;
    nonzero: operands in which a stored zero stops the kernel;
    unsigned: operands in which a number below zero stops it;
    averages: outputs mix elements, so inputs may not saturate at the range of the output;
    shifted: activation types whose operands the kernel compares as multiples of 1/256, with steps
    that must lie below 1;
    floor: the least output scale that the kernel computes, from the scales of the inputs and the
    bytes of the activation type;
    sliced: whether the hybrid kernel of an operator needs a scale for each channel;
    nibbles: activation types (FLOAT32: hybrid) beside which the weights may be int4;
    blocks: whether weights of 4 bits beside floats may have a scale for each block of a row;
    without the delegate no fused activation is computed then (measured);
    states: operand -> the result whose parameters its integers share, or "" for int16 with a power
    of two as scale; the operator starts each run from what they are given;
    scratch: how many tensors the kernel wants to be told beside, the last with the parameters of
    the result;
    refuses: why the integer kernel does not take an operator, None where it does;
    refuses_steps: the same of its scales, of which a plan makes no such;
    hybrid_all: all operands in `hybrid` must have the same type;
    skewed: beside int8 the kernel takes `asymmetric_quantize_inputs`, with which skewed inputs come
    out twice as exact (FULLY_CONNECTED: version 9, by channels 12; beside int4 it has no effect);
    int16_options: what an int16 operator must say, where the schema's default means otherwise.
    """

    weight: Mapping[str, int | None] = field(default_factory=dict)
    bias: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    same: bool = False
    same_over: tuple[str, ...] = ()
    same_except: frozenset[str] = frozenset()
    fixed: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    insists: frozenset[str] = frozenset()
    types: frozenset[str] = ALL_TYPES
    hybrid: Mapping[str, int | None] = field(default_factory=dict)
    sliced: Callable[[Op], bool] | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    scratch: int = 0
    refuses: Callable[[Op], str | None] | None = None
    refuses_steps: Callable[[Op], str | None] | None = None
    nibbles: frozenset[str] = frozenset()
    blocks: bool = False
    raw: tuple[str, ...] = ()
    free_weights: frozenset[str] = frozenset()
    needs_bias: frozenset[str] = frozenset()
    centered: tuple[str, ...] = ()
    averages: bool = False
    nonzero: tuple[str, ...] = ()
    unsigned: tuple[str, ...] = ()
    shifted: frozenset[str] = frozenset()
    floor: ScaleFloor | None = None
    hybrid_all: bool = False
    skewed: bool = False
    int16_options: Mapping[str, Any] = field(default_factory=dict)


SAME = QuantRule(same=True)
"""Elements that are moved, and not computed with, keep their scale."""
INSISTS = QuantRule(same=True, insists=ALL_TYPES)
"""The same where the kernel refuses another one."""

NUMBERS = frozenset({"float32", "int8", "int16", "int32", "int64", "uint8"})
"""Element types that kernels which move elements compute right (measured with LiteRT 2.3.0)."""


Copies = Literal["order", "permuted", "chosen", "filled"]
"""Whose elements the results have, bit by bit: all of the data operand in their order, all in
another order, some (or some again), or those of several operands, perhaps with zeros between."""


@dataclass(frozen=True)
class Linear:
    """Where an operator y = x * w + b keeps its operands, and which axis of w are the outputs."""

    x: int
    w: int
    b: int
    out_axis: int


@dataclass(frozen=True)
class OpSpec:
    """A row of the table."""

    name: str
    operands: Operands
    shape: ShapeRule
    fold: FoldRule | None = None
    late_fold: FoldRule | None = None
    """What passes compute of constants, after they have recognized the layers it is a part of."""
    layout: Layout = OPAQUE
    quant: QuantRule | None = None
    version: VersionRule = field(default=lambda op: 1)
    fuses_activation: bool = False
    polynomial: bool = False
    """The fold is a polynomial or a selection of its integers: shape arithmetic sees through it."""
    whole: bool = False
    """Results are whole numbers, whatever its operands are."""
    measures: bool = False
    """Results tell of the shape of the operand, whose elements are not read."""
    category: str = "other"
    macs: Callable[[Op], int] | None = None
    pure: bool = True
    """Same inputs, same outputs: may be folded, shared, or dropped."""
    types: frozenset[str] | None = None
    """numpy names of the data types that LiteRT's kernel computes right; None: whatever loads."""
    takes: Mapping[str, Takes] = field(default_factory=dict)
    """Operand -> what it must be, where that is not what `operands.INDICES` says of its name, or
    where it is data of a type of its own. All other operands are data of one element type."""
    strings: bool = False
    """The kernel takes strings as data."""
    copies: Copies | None = None
    """Set where elements are moved, and not computed with."""
    in_place: bool = False
    """LiteRT's builtin kernel may write over its operand (measured)."""
    converts: bool = False
    """Turns integers into the reals that they stand for, or back."""
    dense: bool = False
    """A product of matrices, to which `--no_per_channel_dense` applies."""
    counted: bool = False
    """The kernel counts its operands: what is left out is None, also at the end."""
    states: tuple[str, ...] = ()
    """Operands that are read and written in each step."""
    late_memory: bool = False
    """LiteRT gives a result memory when it knows its size, and none where it is empty."""
    linear: Linear | None = None
    neutral: float | None = None
    """The second operand that leaves the first as it is."""
    sign: float | None = None
    """With which the second operand is added to the first."""
    commutes: bool = False
    """The operands may change places."""
    interval: Callable[..., tuple[float, float]] | None = None
    """Between which numbers results lie, from the bounds (low, high) of each real operand."""
    undefined: bool = False
    """Results of finite operands may be infinite, or no numbers: roots, logarithms, quotients."""
    same_unit: bool = False
    """Results are in the unit of the operands: a step of one is a step of the other."""
    step: Callable[[Range], float] | None = None
    """Where small differences matter: the step of the operand that a range of results needs."""
    carries: Callable[[Op, float], float] | None = None
    """From the coarsest step of results that keeps small ones apart, that of the real operands, for
    operators that do not have them in the same unit."""
    clamp: tuple[float, float] | None = None
    """The numbers between which it puts each element of its operand."""
    flat: tuple[float, float] | None = None
    """Beyond which numbers of its operand the result changes by less than a tenth of a step of 8
    bits."""
    within: tuple[float, float] | None = None
    """The numbers between which its results lie, whatever its operands are."""
    decides: Literal["each", "row"] | None = None
    """Where an error of its operand shows in its results only once it flips a decision, so that
    the operand tells more of a model's accuracy: about each element (LOGISTIC), or which element of
    a row is ahead (SOFTMAX, ARG_MAX), to which what all of them have in common does not matter."""
    stops: StopRule = field(default=lambda op: None)
    """Why the kernel stops the model each time that it runs with these constants (`ops/stops`)."""
    max_rank: int | None = None
    """The highest rank that LiteRT's kernel computes right; None: no limit found up to 6."""

    @property
    def compares(self) -> bool:
        """Whether results are answers about the operands (LESS), not one of these (MAXIMUM)."""
        return self.category == "compare" and self.copies is None


ROWS: dict[str, OpSpec] = {}
"""Filled by the family modules while they are imported, then only read, through `table`."""


def op(
    name: str, operands: str, *, shape: ShapeRule, version: VersionRule | int = 1, **columns: Any
) -> None:
    """Add a row; the columns are the fields of `OpSpec`."""
    rule = version if callable(version) else _constant_version(version)
    if name in ROWS:
        raise ValueError(f"{name} has two rows")
    ROWS[name] = OpSpec(name, Operands.parse(operands), shape, version=rule, **columns)


def _constant_version(number: int) -> VersionRule:
    return lambda op: number


def by_type(default: int = 1, *, operand: int = 0, **versions: int) -> VersionRule:
    """Return a version rule: the type of an input decides (`int8=2`), else `default`."""

    def rule(op: Op) -> int:
        tensor = op.inputs[operand] if operand < len(op.inputs) else None
        return default if tensor is None else versions.get(numpy_name(tensor.dtype), default)

    return rule
