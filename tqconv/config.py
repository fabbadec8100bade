"""Options of the public functions, and the text forms that the command line accepts for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tqconv.errors import UsageError, suggestion

Dims = tuple["int | None", ...]

FORMATS = ("graphdef", "saved_model", "keras", "onnx", "tflite")
"""Formats of `--input_format`; without it the format is found by content."""


@dataclass(frozen=True)
class LoadOptions:
    """What to read from a model file.

    inputs, outputs: names of tensors (`name` or `name:1`); None: what the model declares.
    shapes: one per input in order, None where the model's own shape holds; `None` in a shape is unknown.
    dtypes: numpy names, one per input or None. values: name -> text of a constant to put in its place.
    """

    format: str | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    shapes: tuple[Dims | None, ...] | None = None
    named_shapes: Mapping[str, Dims] = field(default_factory=dict)
    dtypes: tuple[str, ...] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    allow_custom_ops: bool = False
    allow_nonexistent_arrays: bool = False
    checkpoint: str | None = None
    rnn_states: tuple[Mapping[str, str], ...] = ()
    tags: tuple[str, ...] = ("serve",)
    signature: str | None = None


def parse_dims(text: str) -> Dims:
    """Read "1,224,224,3"; `?`, `None` and -1 are unknown; empty text is a scalar."""
    dims: list[int | None] = []
    for word in filter(None, (w.strip() for w in text.split(","))):
        if word in ("?", "-1", "None"):
            dims.append(None)
        elif word.isdecimal() and int(word) < 2**31:
            dims.append(int(word))
        else:
            raise UsageError(
                f"`{word}` in shape `{text}` is not a size", hint="write sizes as 1,224,224,3 or ?"
            )
    return tuple(dims)


def parse_shapes(text: str) -> tuple[tuple[Dims | None, ...] | None, dict[str, Dims]]:
    """Read "1,224,224,3:1,10" (by position) or "name:1,224,224,3" pairs separated by `;`.

    Returns the positional shapes (or None) and the named ones.
    """
    if "=" in text or ";" in text or _looks_named(text):
        return None, _named_shapes(text)
    return tuple(parse_dims(part) for part in text.split(":")), {}


def _looks_named(text: str) -> bool:
    first = text.split(":", 1)[0].strip()
    return ":" in text and not all(
        w.strip() in ("?", "None", "") or _is_int(w) for w in first.split(",")
    )


def _is_int(word: str) -> bool:
    return word.strip().lstrip("-").isdecimal()


def _named_shapes(text: str) -> dict[str, Dims]:
    shapes = {}
    for part in filter(None, text.split(";")):
        name, separator, dims = part.partition("=") if "=" in part else part.rpartition(":")
        if not separator or not name:
            raise UsageError(f"`{part}` is not a named shape", hint="write name=1,224,224,3")
        shapes[name.strip()] = parse_dims(dims)
    return shapes


def parse_names(text: str) -> tuple[str, ...]:
    """Read a comma separated list of names; blanks around a name are dropped."""
    return tuple(filter(None, (name.strip().strip("'\"") for name in text.split(","))))


def check_choice(value: str, choices: Sequence[str], what: str) -> str:
    """Return the choice that `value` names in any case; UsageError with a suggestion otherwise."""
    for choice in choices:
        if value.lower() == choice.lower():
            return choice
    raise UsageError(
        f"`{value}` is not a {what}{suggestion(value, choices)}",
        hint=f"one of: {', '.join(choices)}",
    )
