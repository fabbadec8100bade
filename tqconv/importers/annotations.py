"""Whether the value of an attribute is of the type that a handler's signature says.

Files hold any type under any name; a handler never sees one that it does not expect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

Test = Callable[[Any], bool]

_TESTS: dict[str, Test] = {
    "Any": lambda value: True,
    "None": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "Shape": lambda value: isinstance(value, tuple),
}
_WORDS = {
    "None": "nothing",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "Shape": "a shape",
    "TypeNumber": "a type",
    "FunctionName": "the name of a function",
    "ndarray": "a tensor",
}
LONGEST = 40
"""Characters of a value that a message repeats."""


def misfit(annotation: str, value: Any) -> str | None:
    """Return what is wrong with a value, "is 'x', not a whole number"; None where it fits.

    annotation: the source text of a type, made of names, `|`, `list[…]` and `Sequence[…]`.
    """
    if test_of(annotation)(value):
        return None
    shown = repr(value)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    words = [_words(part) for part in _choices(annotation) if part != "None"]
    return f"is {shown}, not {' or '.join(words)}"


@cache
def test_of(annotation: str) -> Test:
    """Return the test of a type."""
    tests = [_test(part) for part in _choices(annotation)]
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _test(name: str) -> Test:
    item = _item(name)
    if item is not None:
        test = test_of(item)
        return lambda value: isinstance(value, list | tuple) and all(map(test, value))
    known = _TESTS.get(name)
    return known or (lambda value: any(kind.__name__ == name for kind in type(value).__mro__))


def _choices(annotation: str) -> list[str]:
    return re.split(r" \| (?![^\[]*\])", annotation)


def _item(name: str) -> str | None:
    """Return the type of the items where a type is that of a list."""
    for start in ("list[", "Sequence["):
        if name.startswith(start) and name.endswith("]"):
            return name.removeprefix(start)[:-1]
    return None


def _words(name: str) -> str:
    item = _item(name)
    if item is not None:
        return f"a list, each item {' or '.join(_words(part) for part in _choices(item))}"
    return _WORDS.get(name, f"of type {name}")
