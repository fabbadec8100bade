"""Errors as they are told: for people as text, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tqconv.errors import DependencyError, InternalError, TqconvError, UsageError, first_line
from tqconv.records import dataclass

TARGETS = ("o", "output", "output_file")
STDOUTS = ("-", "/dev/stdout")


@dataclass(frozen=True)
class Failure:
    """Why a run ended: its exit code, the kind in one word, and what there is to say."""

    code: int
    kind: str
    message: str
    where: str | None = None
    hint: str | None = None
    title: str = "error"

    @property
    def text(self) -> str:
        """The lines for a terminal."""
        place = f"{self.where}: " if self.where is not None else ""
        advice = f"\nhint: {self.hint}" if self.hint else ""
        return f"{self.title}: {place}{self.message}{advice}"

    def as_json(self) -> str:
        """Return the document that takes the place of the result's."""
        facts = {name: getattr(self, name) for name in ("code", "kind", "message", "where", "hint")}
        return json.dumps({"error": facts}, indent=1)


def failure_of(error: Exception) -> Failure:
    """Return what is told of an error."""
    if isinstance(error, TqconvError):
        where = None if error.where is None else str(error.where)
        return Failure(error.exit_code, kind_of(type(error)), error.message, where, error.hint)
    if isinstance(error, OSError):
        place = "the output cannot be written" if error.filename is None else str(error.filename)
        return Failure(UsageError.exit_code, "usage", str(error.strerror or error), place)
    if isinstance(error, ImportError):
        advice = "install tqconv again; --debug shows where"
        return Failure(DependencyError.exit_code, "dependency", str(error), hint=advice)
    if isinstance(error, MemoryError):
        return Failure(InternalError.exit_code, "memory", "not enough memory")
    advice = "this is a bug of tqconv; --debug shows where"
    said = first_line(error)
    return Failure(InternalError.exit_code, "internal", said, hint=advice, title="internal error")


def kind_of(error: type[TqconvError]) -> str:
    """Return one word for a class of errors, such as `usage` or `unsupported`."""
    family = next(c for c in error.__mro__ if c is TqconvError or TqconvError in c.__bases__)
    return family.__name__.removesuffix("Error").lower()


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line, even one that cannot be read, asks for JSON."""
    values = [word.lstrip("-").partition("=")[2] for word in words if _name(word) == "json"]
    return bool(values) and values[-1].lower() not in ("false", "f", "no", "0")


def writes_to_stdout(words: Sequence[str]) -> bool:
    """Whether stdout is where a command line wants its result."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        _, separator, value = word.partition("=")
        if _name(word) in TARGETS and (value if separator else following) in STDOUTS:
            return True
    return False


def _name(word: str) -> str:
    return word.lstrip("-").partition("=")[0].replace("-", "_") if word.startswith("-") else ""
