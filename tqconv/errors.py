"""Every error that tqconv raises on purpose, with its exit code.

TqconvError
 ├─ UsageError          wrong flags, or names that the model does not have          2
 ├─ FormatError         a file is not what it claims to be                          3
 ├─ UnsupportedError    an operator, attribute or shape without a translation       4
 ├─ QuantizationError   a range is missing, or the scheme cannot be reached         5
 ├─ DependencyError     an optional library is not installed                        6
 ├─ VerificationError   the written model does not compute what the source computes 7
 └─ InternalError       an invariant of tqconv broke                               70
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType


class TqconvError(Exception):
    """What went wrong, where in the source model, and what the user can do about it.

    `where` is anything whose `str()` names a place (a `Source`, a file name); `hint` is a sentence.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: object = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where is not None else self.message

    @property
    def hint(self) -> str | None:
        """What the user can do; a traceback shows it below the message, from Python 3.11 on."""
        return self._hint

    @hint.setter
    def hint(self, said: str | None) -> None:
        self._hint = said
        self.__notes__ = [] if said is None else [f"hint: {said}"]


class UsageError(TqconvError):
    """The command line or the arguments of a function are wrong."""

    exit_code = 2


class FormatError(TqconvError):
    """A file is truncated, damaged, or of another kind than it should be."""

    exit_code = 3


class UnsupportedError(TqconvError):
    """The model holds something that has no translation to TensorFlow Lite.

    `nodes`: node of the source -> why it has none, where nodes are what cannot be translated.
    """

    exit_code = 4
    nodes: Mapping[str, str] = MappingProxyType({})


class QuantizationError(TqconvError):
    """The requested quantization cannot be reached."""

    exit_code = 5


class DependencyError(TqconvError):
    """A feature needs a library that is not installed."""

    exit_code = 6


class VerificationError(TqconvError):
    """A converted model computes something else than its source."""

    exit_code = 7


class InternalError(TqconvError):
    """tqconv broke one of its own invariants: always a bug."""

    exit_code = 70


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean `x`?" for the nearest known words, or nothing."""
    near = get_close_matches(word, list(known), n=3, cutoff=0.6)
    return "; did you mean " + " or ".join(f"`{name}`" for name in near) + "?" if near else ""


def absent(path: Path) -> UsageError:
    """Return the error for a path that does not exist, with names like it in its folder."""
    hint = None if path.parent.exists() else f"nor does the folder {path.parent}"
    return UsageError(f"{path} does not exist{suggestion(path.name, beside(path))}", hint=hint)


def beside(path: str | Path) -> list[str]:
    """Return the names in the folder of a path; none where that cannot be read."""
    try:
        return [file.name for file in Path(path).parent.iterdir()]
    except OSError:
        return []


def shaped(sizes: Iterable[int | None]) -> str:
    """Return a shape as messages say it: `[?, 8, 8, 1]`."""
    return f"[{', '.join('?' if size is None else str(size) for size in sizes)}]"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the plural where it is not 1: `2 operators`."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or f'{noun}s'}"


def first_line(error: Exception) -> str:
    """Return the type of an error and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
