"""Where a model begins and ends: the tensors that the user names, their types and shapes.

An importer says what its file declares for each input (`Declared`), gets the tensors that stand for
them (`add_inputs`), translates, and hands over the results (`add_output`). What the user asked for
and what the file says meet here, and so do the errors about it, which are the same for all sources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tqconv.config import Dims, LoadOptions
from tqconv.errors import TqconvError, UsageError, counted, suggestion
from tqconv.ir.graph import Graph, Tensor
from tqconv.ir.types import Source, type_name
from tqconv.ops.emit import copied, emit
from tqconv.ops.memory import may_lack_memory
from tqconv.records import dataclass

FLOAT32 = np.dtype(np.float32)

COMPUTED = {
    np.dtype(np.float64): FLOAT32,
    np.dtype(np.float16): FLOAT32,
    np.dtype(np.complex128): np.dtype(np.complex64),
}
"""Types that LiteRT's kernels do not compute with, and what tqconv uses instead."""

LISTED = 8
"""Names that a hint gives."""


@dataclass(frozen=True)
class Declared:
    """What a file says about an input.

    shape, dtype: None where it does not say; shape is () where it says a scalar, or perhaps
    nothing. fixed: the tensor is an input in the file, whose rank the user cannot change; not so
    one in the midst of a model that is cut there. guessed: the user may know the type better.
    asked: where it does not say the shape, that in which something reads the tensor, and what does.
    advice: what to do where that is not enough; None for a shape.
    """

    name: str
    shape: Dims | None
    dtype: np.dtype | None
    fixed: bool = True
    guessed: bool = False
    asked: tuple[Dims, str] | None = None
    advice: str | None = None


def unknown_name(
    name: str,
    names: Collection[str],
    *,
    node: str | None = None,
    inputs: Iterable[str],
    outputs: Iterable[str],
    computed: Iterable[str] | None = None,
) -> UsageError:
    """Return the error about a tensor that the model does not have, with the nearest of its names.

    node: the name without what says which output is meant. inputs, outputs: those that the model
    has. computed: names of which one is suggested because it holds the text; all names by default.
    """
    node = name if node is None else node
    near = suggestion(node, names) or _completion(node, names if computed is None else computed)
    return UsageError(
        f"the graph has no tensor named `{name}`{near}",
        hint=f"its placeholders are {listed(inputs)}; nobody reads {listed(outputs)}; "
        "list all names with `tqconv inspect --verbose`",
    )


def listed(names: Iterable[str]) -> str:
    """Return names for a hint, the first `LISTED` of them."""
    found = list(names)
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return (", ".join(found[:LISTED]) or "none") + more


def _completion(name: str, names: Iterable[str]) -> str:
    """Suggest names that hold the text; a short one is too far from a long one to be near it."""
    found = sorted((n for n in names if name.lower() in n.lower()), key=len)
    return f"; did you mean `{found[0]}`?" if found and len(name) >= 3 else ""


def without_missing(
    options: LoadOptions, exists: Callable[[str], bool], notes: list[str]
) -> LoadOptions:
    """Return the options without the named tensors that do not exist, which go into a note.

    With the names of inputs go their shapes and types. UsageError where no output is left.
    """
    inputs, outputs = options.inputs or (), options.outputs or ()
    missing = [name for name in (*inputs, *outputs) if not exists(name)]
    if not missing:
        return options
    if outputs and not any(map(exists, outputs)):
        raise UsageError(f"the graph has none of the tensors {', '.join(outputs)}")
    notes.append(f"not in the graph, and left out: {', '.join(missing)}")
    places = [i for i, name in enumerate(inputs) if exists(name)]

    def kept(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        whole = values is not None and len(values) == len(inputs)
        return tuple(values[i] for i in places) if values is not None and whole else values

    return replace(
        options,
        inputs=kept(options.inputs),
        shapes=kept(options.shapes),
        dtypes=kept(options.dtypes),
        outputs=tuple(filter(exists, outputs)) or None,
        named_shapes={n: s for n, s in options.named_shapes.items() if n not in missing},
    )


def add_inputs(
    graph: Graph, declared: Sequence[Declared], options: LoadOptions, notes: list[str]
) -> list[Tensor]:
    """Make the inputs of the graph and return what stands for them inside it, in their order.

    Raises UsageError where names, shapes or types of the user do not fit what is declared.
    """
    names = [one.name for one in declared]
    check_counts(names, options)
    named = {name.removesuffix(":0"): shape for name, shape in options.named_shapes.items()}
    tensors: list[Tensor] = []
    seen: set[str] = set()
    unsaid: list[Declared] = []
    for position, one in enumerate(declared):
        if one.name in seen:
            raise UsageError(f"`{one.name}` is listed twice in --input_arrays")
        seen.add(one.name)
        given = named.get(one.name.removesuffix(":0"))
        if given is None and options.shapes is not None:
            given = options.shapes[position]
        shape = _shape(one, given, notes)
        dtype = _dtype(one, options.dtypes[position] if options.dtypes else None)
        if shape is None:
            unsaid.append(one)
        else:
            tensors.append(_add_input(graph, one.name, shape, dtype, notes))
    if unsaid:
        raise _unsaid(unsaid)
    unknown = set(named) - {name.removesuffix(":0") for name in names}
    if unknown:
        name = min(unknown)
        raise UsageError(
            f"a shape is given for `{name}`, which is no input{suggestion(name, names)}"
        )
    return tensors


def check_counts(names: Sequence[str], options: LoadOptions) -> None:
    """Raise UsageError where there are more or fewer shapes or types than inputs."""
    for flag, values, separator in (
        ("--input_shapes", options.shapes, "shapes by `:`"),
        ("--input_data_types", options.dtypes, "types by `,`"),
    ):
        if values is not None and len(values) != len(names):
            raise UsageError(
                f"{flag} has {counted(len(values), 'entry', 'entries')} for "
                f"{counted(len(names), 'input')}",
                hint=f"separate {separator}; the order is that of the inputs: " + ", ".join(names),
            )


def _dtype(declared: Declared, given: str | None) -> np.dtype:
    own = declared.dtype
    if given is None:
        if own is None:
            raise UsageError(
                f"the graph does not say the type of input `{declared.name}`",
                hint="give --input_data_types",
            )
        return own
    dtype = np.dtype(given)
    if own is not None and not declared.guessed:
        check_dtype(declared.name, own, dtype)
    return dtype


def check_dtype(name: str, own: np.dtype, given: np.dtype) -> None:
    """Raise UsageError where an input is said to have another type than the file gives it."""
    if COMPUTED.get(own, own) != COMPUTED.get(given, given):
        raise UsageError(
            f"input `{name}` has type {type_name(own)} in the graph, "
            f"--input_data_types gives {type_name(given)}",
            hint="leave --input_data_types out; the type of the result's inputs is "
            "--inference_input_type",
        )


def _shape(declared: Declared, given: Dims | None, notes: list[str]) -> Dims | None:
    own = declared.shape
    if given is None:
        return _shape_as_read(declared, notes) if own is None else own
    if own is None:
        return given
    if declared.fixed and len(given) != len(own) and own != ():
        raise UsageError(
            f"input `{declared.name}` has rank {len(own)} in the graph, "
            f"--input_shapes gives {list(given)}"
        )
    if contradicts(given, own):
        notes.append(
            f"{CONTRADICTION} {printed(given)} for input {declared.name}, which is {printed(own)} "
            "in the graph"
        )
    return given


def _shape_as_read(declared: Declared, notes: list[str]) -> Dims | None:
    """Return the shape in which an input is read, if that leaves only the number of rows open."""
    if declared.asked is None or None in declared.asked[0][1:]:
        return None
    asked, reader = declared.asked
    notes.append(f"input {declared.name} is {printed(asked)}, as {reader} reads it")
    return asked


def _unsaid(declared: Sequence[Declared]) -> UsageError:
    """Return the error about inputs whose shapes nothing tells."""
    names = ", ".join(
        f"`{one.name}`"
        + (f" ({one.asked[1]} reads it as {printed(one.asked[0])})" if one.asked else "")
        for one in declared
    )
    many = len(declared) > 1
    return UsageError(
        f"the graph does not say the shape{'s' * many} of input{'s' * many} {names}",
        hint=next((one.advice for one in declared if one.advice), None) or _shape_advice(declared),
    )


def _shape_advice(declared: Sequence[Declared]) -> str:
    """Return how to give shapes: as they are read, or an example where nothing tells the rank."""
    shapes = ";".join(
        f"{one.name}=" + (printed(one.asked[0])[1:-1].replace(" ", "") if one.asked else "1,?,8")
        for one in declared
    )
    example = "" if all(one.asked for one in declared) else "; 1,?,8 stands for three dimensions"
    return (
        f"give --input_shapes '{shapes}', with a size for each dimension, or `?` where it may "
        f"change{example}"
    )


CONTRADICTION = "--input_shapes gives"
"""How the note begins that the shape of an input is not that of the graph."""


def contradicts(given: Dims, own: Dims) -> bool:
    """Whether a shape has another rank than the graph says, or another size where it has one."""
    pairs = zip(given, own, strict=False)
    return len(given) != len(own) or any(g != o for g, o in pairs if None not in (g, o))


def printed(shape: Dims) -> str:
    """Return a shape as messages show it: `[?, 3]`."""
    return "[" + ", ".join("?" if d is None else str(d) for d in shape) + "]"


def mention_shapes(error: TqconvError, notes: Sequence[str]) -> None:
    """Add to an error that the user's shapes contradict the graph, which may be its cause."""
    found = "; ".join(note for note in notes if note.startswith(CONTRADICTION))
    if found:
        error.hint = f"{found}; {error.hint}" if error.hint else found


def _add_input(graph: Graph, name: str, shape: Dims, dtype: np.dtype, notes: list[str]) -> Tensor:
    """Add an input; half is half at the border and float32 inside, double is float32 at once."""
    if dtype in (np.float64, np.complex128):
        computed = COMPUTED[dtype]
        notes.append(f"input {name}: {dtype} in the source, {computed} in the result")
        dtype = computed
    tensor = graph.add_input(name, shape, dtype)
    return _cast(graph, tensor, FLOAT32, f"{name}/float32") if dtype == np.float16 else tensor


def _cast(graph: Graph, x: Tensor, dtype: np.dtype, name: str) -> Tensor:
    options = {"in_data_type": type_name(x.dtype), "out_data_type": type_name(dtype)}
    result: Tensor = emit(graph, "CAST", x, name=name, source=Source("", name, "Cast"), **options)
    return result


def add_output(graph: Graph, tensor: Tensor, name: str, dtype: np.dtype) -> None:
    """Append a tensor as output under exactly the name that was asked for.

    dtype: its type in the source; half is half again. A tensor that already is an input or an
    output is copied, and so is one that could not be read where it is empty.
    """
    if tensor.dtype == FLOAT32 and dtype == np.float16:
        tensor = _cast(graph, tensor, np.dtype(np.float16), f"{name}/float16")
    if tensor in graph.inputs or tensor in graph.outputs or may_lack_memory(tensor):
        tensor = copied(graph, tensor, f"{name}/copy", Source("", name, "Identity"))
    graph.rename(tensor, name)
    graph.outputs.append(tensor)
