"""Readers of flag values: text to Python; UsageError says what is wrong with the text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from tqconv.config import Count, parse_names
from tqconv.errors import UsageError, suggestion
from tqconv.patterns import searched
from tqconv.records import dataclass
from tqconv.untrusted import whole

Reader = Callable[[str], Any]
Pair = tuple[str, tuple[float, float]]

MOST = 2**31 - 1
"""The largest number of anything, as TensorFlow's flags have it: int32."""
TRUE = frozenset({"true", "t", "yes", "1"})
FALSE = frozenset({"false", "f", "no", "0"})

DATA_TYPES = {
    "FLOAT": "float32",
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT64": "uint64",
    "BOOL": "bool",
    "STRING": "object",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
}
"""TOCO's IODataType (tensorflow/lite/toco/types.proto) and TensorFlow's names -> numpy names."""

QUANTIZED_TYPES = {f"QUANTIZED_{name}": DATA_TYPES[name] for name in ("UINT8", "INT8", "INT16")}
SOURCE_TYPES = {**DATA_TYPES, **{name: name.lower() for name in QUANTIZED_TYPES}}
"""Types of inputs in the source; a quantized one may be meant as that of the result's input."""

BORDER_TYPES = {
    **{name: DATA_TYPES[name] for name in ("FLOAT", "FLOAT32", "INT8", "UINT8", "INT16")},
    **QUANTIZED_TYPES,
}
"""Types that an input or output of the result can have where the source has reals."""


def text(value: str) -> str:
    """Return the text itself; it must not be empty."""
    if not value.strip():
        raise UsageError("the value is empty")
    return value


def boolean(value: str) -> bool:
    """Read true or false."""
    word = value.strip().lower()
    if word not in TRUE | FALSE:
        raise UsageError(f"`{value}` is neither true nor false")
    return word in TRUE


def integer(value: str) -> int:
    """Read a whole number that is not negative."""
    number = whole(value.strip())
    if number is None:
        below = value.strip().startswith("-") and whole(value.strip()[1:]) is not None
        what = "below zero" if below else "not a whole number"
        raise UsageError(f"`{value}` is {what}")
    if number > MOST:
        raise UsageError(f"the number is more than {MOST}")
    return number


def html_file(value: str) -> str:
    """Read the name of a report."""
    if not value.lower().endswith((".html", ".htm")):
        raise UsageError(f"`{value}` is no name for HTML", hint="its suffix is .html")
    return value


def depth(value: str) -> int | None:
    """Read a number of scopes; `auto` is None and `all` is -1, see `PictureOptions.depth`."""
    word = value.strip().lower()
    return None if word == "auto" else -1 if word == "all" else positive(value)


def positive(value: str) -> int:
    """Read a whole number above zero."""
    number = integer(value)
    if number == 0:
        raise UsageError("the number must be above zero")
    return number


def real(value: str) -> float:
    """Read a finite number."""
    try:
        number = float(value)
    except ValueError:
        raise UsageError(f"`{value}` is not a number") from None
    if not math.isfinite(number):
        raise UsageError(f"`{value}` is not a finite number")
    return number


def share(value: str) -> float:
    """Read a number from 0 to 1."""
    number = real(value)
    if not 0 <= number <= 1:
        raise UsageError(f"`{value}` is not a share from 0 to 1", hint="95 % is written as 0.95")
    return number


def reals(value: str) -> tuple[float, ...]:
    """Read numbers separated by commas."""
    return tuple(real(word) for word in value.split(","))


def deviations(value: str) -> tuple[float, ...]:
    """Read numbers above zero, separated by commas."""
    numbers = reals(value)
    if min(numbers) <= 0:
        raise UsageError(f"`{value}`: a standard deviation is above zero")
    return numbers


def names(value: str) -> tuple[str, ...]:
    """Read tensor names separated by commas."""
    return parse_names(value)


@dataclass(frozen=True)
class Choice:
    """A reader of one of the words, in any case, `-` and `_` alike: word -> what it means."""

    choices: Mapping[str, Any]

    def __call__(self, value: str) -> Any:
        """Return what a word means."""
        word = value.strip().upper().replace("-", "_")
        for name, meaning in self.choices.items():
            if name.upper().replace("-", "_") == word:
                return meaning
        near = suggestion(value.upper(), self.choices) or suggestion(value, self.choices)
        raise UsageError(f"`{value}` is unknown{near}", hint="one of: " + ", ".join(self.choices))


@dataclass(frozen=True)
class ListOf:
    """A reader of a comma separated list of what `one` reads."""

    one: Reader

    def __call__(self, value: str) -> tuple[Any, ...]:
        """Return what the words mean."""
        return tuple(self.one(word) for word in value.split(",") if word.strip())


def pattern(value: str) -> str:
    """Read a regular expression."""
    searched(value)
    return value


def named_pair(value: str) -> Pair:
    """Read `name:a,b`; the name may itself end in `:1`."""
    name, separator, numbers = value.rpartition(":")
    pair = reals(numbers) if separator else ()
    if not name or len(pair) != 2:
        raise UsageError(f"`{value}` is not of the form name:a,b")
    return name.strip(), (pair[0], pair[1])


def named_stats(value: str) -> Pair:
    """Read `name:mean,std`."""
    name, (mean, std) = named_pair(value)
    if std <= 0:
        raise UsageError(f"the standard deviation of `{name}` is not above zero")
    return name, (mean, std)


def named_range(value: str) -> Pair:
    """Read `name:min,max`."""
    name, (low, high) = named_pair(value)
    if low >= high:
        raise UsageError(f"the minimum of `{name}` is not below its maximum")
    return name, (low, high)


def assignment(value: str) -> tuple[str, str]:
    """Read `name=value`."""
    name, separator, content = value.partition("=")
    if not separator or not name.strip():
        raise UsageError(f"`{value}` is not of the form NAME=VALUE")
    return name.strip(), content


def dimension(value: str) -> tuple[str, int]:
    """Read `name=size`."""
    name, size = assignment(value)
    number = whole(size.strip())
    if number is None or number > MOST:
        raise UsageError(f"`{size}` in `{value}` is not a size", hint="write --dim batch=1")
    return name, number


def maps(value: str) -> tuple[dict[str, str], ...]:
    """Read TOCO's list of maps: `{key:value,key:value},{...}`."""
    rest = re.sub(r"\{[^{}]*\}", "", value).strip(", ")
    bodies = re.findall(r"\{([^{}]*)\}", value)
    if rest or not bodies:
        raise UsageError(f"`{value}` is not a list of maps", hint="write {key:value,key:value}")
    return tuple(_map(body) for body in bodies)


def _map(body: str) -> dict[str, str]:
    found = {}
    for entry in filter(None, (e.strip() for e in body.split(","))):
        key, separator, content = entry.partition(":")
        if not separator:
            raise UsageError(f"`{entry}` has no value", hint="write {key:value,key:value}")
        found[key.strip()] = content.strip()
    return found


def states(value: str) -> tuple[dict[str, str], ...]:
    """Read TOCO's --rnn_states; every map needs its three keys."""
    return tuple(
        _keys(entry, ("state_array", "back_edge_source_array", "size"), ("num_dims", "discardable"))
        for entry in maps(value)
    )


def counts(value: str) -> tuple[Count, ...]:
    """Read TOCO's --model_checks.

    -1 is no bound; a maximum below the minimum means exactly so many.
    """
    return tuple(_count(entry) for entry in maps(value))


def _count(entry: dict[str, str]) -> Count:
    known = _keys(entry, ("count_type",), ("count_min", "count_max"))
    least = _bound(known.get("count_min", "-1"))
    most = _bound(known.get("count_max", "-1"))
    if most is not None and least is not None and most < least:
        most = least
    return Count(known["count_type"], 0 if least is None else least, most)


def _bound(word: str) -> int | None:
    return None if word.strip() == "-1" else integer(word)


def _keys(
    entry: dict[str, str], needed: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, str]:
    for key in entry:
        if key not in (*needed, *optional):
            raise UsageError(f"`{key}` is no key{suggestion(key, (*needed, *optional))}")
    missing = [key for key in needed if key not in entry]
    if missing:
        raise UsageError(f"`{missing[0]}` is missing")
    return entry
