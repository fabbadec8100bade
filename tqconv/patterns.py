"""Regular expressions from files, matched in time that grows with the text alone.

Python's own matching tries one way after the other, and a line of a file can make that take
forever. Here all ways are followed at once, as TOCO's library (RE2) does; what cannot be matched so
(references to groups, looks ahead and behind) is refused, as it is there.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any

from tqconv.errors import FormatError, UsageError
from tqconv.records import dataclass

_parser: Any = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
"""What `re.compile` reads patterns with; its tree is a list of (operation, arguments)."""

UNREADABLE = (re.error, RecursionError, OverflowError, ValueError)
"""What Python's parser raises; ValueError for a count of thousands of digits."""
STEPS = 1000
"""Steps of a pattern, repeats counted out: `.{500}` are five hundred. Names have some hundred."""
MOST = 1000
"""Patterns in a file: each name of a model is compared with all of them, and all are kept."""
CLASSES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
UNFIT = {
    "GROUPREF": "references to groups",
    "GROUPREF_EXISTS": "references to groups",
    "ASSERT": "looks ahead and behind",
    "ASSERT_NOT": "looks ahead and behind",
    "AT": "word boundaries",
    "ATOMIC_GROUP": "atomic groups",
    "POSSESSIVE_REPEAT": "possessive repeats",
}
ENDS = {"AT_BEGINNING": "start", "AT_BEGINNING_STRING": "start", "AT_END": "end"}
ENDS["AT_END_STRING"] = "end"


@lru_cache(maxsize=MOST)
def matcher(text: str, where: str | None = None) -> Pattern:
    """Return a pattern; FormatError where it is none, or cannot be matched in linear time."""
    try:
        tree = _parser.parse(text)
        if tree.state.flags & ~re.UNICODE:
            raise _UnfitError("it has flags")
        pattern = Pattern()
        pattern.start = pattern.sequence(tree, _Step("found"))
    except _UnfitError as unfit:
        hint = "patterns are made of characters, [...], groups, |, *, +, ? and {m,n}"
        raise FormatError(f"`{text}` is not supported: {unfit}", where=where, hint=hint) from unfit
    except UNREADABLE as error:
        raise FormatError(f"`{text}` is not a regular expression: {error}", where=where) from error
    return pattern


def searched(text: str, flag: str = "") -> re.Pattern[str]:
    """Return a pattern that a user gave, for Python's own search; UsageError where it is none."""
    try:
        return re.compile(text)
    except UNREADABLE as error:
        raise UsageError(f"{flag}`{text}` is not a regular expression: {error}") from None


def check_count(count: int, where: str) -> None:
    """Raise FormatError where a file has more patterns than names can be compared with."""
    if count > MOST:
        raise FormatError(f"there are more than {MOST} patterns", where=where)


class _UnfitError(ValueError):
    """What stands in a pattern that is not matched in linear time."""


@dataclass(eq=False)
class _Step:
    """A character to read, or a branch: `kind` is `read`, `split`, `start`, `end` or `found`."""

    kind: str
    reads: Any = None
    next: Sequence[_Step] = ()


@dataclass(eq=False)
class Pattern:
    """The steps of a pattern, and which sets of them were reached so far."""

    start: _Step = field(default_factory=lambda: _Step("found"))
    count: int = 0

    def matches(self, name: str) -> bool:
        """Whether the whole of a name is what the pattern says."""
        here = _reached([self.start], at_start=True, at_end=not name)
        for place, character in enumerate(name, 1):
            read = [s.next[0] for s in here if s.kind == "read" and s.reads(character)]
            here = _reached(read, at_start=False, at_end=place == len(name))
            if not here:
                return False
        return any(step.kind == "found" for step in here)

    def sequence(self, tree: Any, after: _Step) -> _Step:
        """Return the first step of a list of operations; `after` follows the last one."""
        for operation, argument in reversed(list(tree)):
            after = self._one(str(operation), argument, after)
        return after

    def _step(self, kind: str, reads: Any, *after: _Step) -> _Step:
        self.count += 1
        if self.count > STEPS:
            raise _UnfitError(f"it takes more than {STEPS} steps")
        return _Step(kind, reads, after)

    def _one(self, operation: str, argument: Any, after: _Step) -> _Step:
        reads = _reads(operation, argument)
        if reads is not None:
            return self._step("read", reads, after)
        if operation == "SUBPATTERN":
            _, more, less, tree = argument
            if more or less:
                raise _UnfitError("it has flags")
            return self.sequence(tree, after)
        if operation == "BRANCH":
            ways = [self.sequence(tree, after) for tree in argument[1]]
            return self._step("split", None, *ways)
        if operation in ("MAX_REPEAT", "MIN_REPEAT"):
            least, most, tree = argument
            return self._repeat(least, most, tree, after)
        if operation == "AT" and str(argument) in ENDS:
            return self._step(ENDS[str(argument)], None, after)
        raise _UnfitError(f"{UNFIT.get(operation, operation)} are not matched in linear time")

    def _repeat(self, least: int, most: Any, tree: Any, after: _Step) -> _Step:
        if str(most) == "MAXREPEAT":
            again = self._step("split", None)
            again.next = (self.sequence(tree, again), after)
            after = again
        else:
            for _ in range(int(most) - least):
                after = self._step("split", None, self.sequence(tree, after), after)
        for _ in range(least):
            before = self.count
            after = self.sequence(tree, after)
            if self.count == before:
                break  # what reads nothing may stand there any number of times
        return after


def _reached(steps: Sequence[_Step], *, at_start: bool, at_end: bool) -> list[_Step]:
    """Return the steps that read a character, or end, which are reached without reading."""
    found: dict[int, _Step] = {}
    stack = list(steps)
    while stack:
        step = stack.pop()
        if id(step) in found:
            continue
        found[id(step)] = step
        passes = {"split": True, "start": at_start, "end": at_end}.get(step.kind, False)
        if passes:
            stack += step.next
    return [step for step in found.values() if step.kind in ("read", "found")]


def _reads(operation: str, argument: Any) -> Any:
    """Return a predicate of characters for an operation that reads one, else None."""
    if operation == "LITERAL":
        return lambda c: ord(c) == argument
    if operation == "NOT_LITERAL":
        return lambda c: ord(c) != argument
    if operation == "ANY":
        return lambda c: c != "\n"
    if operation == "CATEGORY":
        one = re.compile(CLASSES[str(argument)])
        return lambda c: one.match(c) is not None
    if operation == "RANGE":
        return lambda c: argument[0] <= ord(c) <= argument[1]
    if operation == "IN":
        negated = str(argument[0][0]) == "NEGATE"
        parts = [_reads(str(kind), value) for kind, value in argument[negated:]]
        return lambda c: any(part(c) for part in parts) != negated
    return None
