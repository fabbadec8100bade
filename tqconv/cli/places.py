"""Where a command line says that a model is and its result goes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqconv.cli.arguments import Given
from tqconv.errors import TqconvError, UsageError
from tqconv.output import STDOUT, temporary_file

PIPE = "-"
STDIN = "stdin"
"""How a model that comes through a pipe is called in messages."""


@contextmanager
def model_file(source: str) -> Iterator[str]:
    """Give the path of a model; one that is read from stdin is a file for that long."""
    if source != PIPE:
        yield source
        return
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("no model comes from stdin", hint="`-` reads a pipe: cat MODEL | tqconv -")
    with temporary_file(STDIN, sys.stdin.buffer) as path:
        try:
            yield str(path)
        except TqconvError as error:
            error.message = error.message.replace(str(path), STDIN)
            raise


def source_of(given: Given) -> str:
    """Return the model's path: the bare word or the flag. UsageError when there are none or two."""
    words = list(given.words)
    _check_stray(given)
    if "source" in given:
        if words:
            raise UsageError(
                f"the model is given twice: `{words[0]}` and {given.typed['source']} "
                f"`{given.get('source')}`"
            )
        words = [given.get("source")]
    if not words:
        raise UsageError("no model is given", hint="name its file, or use --input_file")
    if len(words) > 1:
        raise UsageError(
            f"one model at a time: `{words[0]}`, then `{words[1]}`",
            hint="call tqconv once for each",
        )
    return str(words[0])


def _check_stray(given: Given) -> None:
    """Raise UsageError for words that name no file, beside the model or another word."""
    stray = [i for i, word in enumerate(given.words) if not _may_be_file(word)]
    if not stray or ("source" not in given and len(given.words) == 1):
        return
    words = " ".join(given.words[i] for i in stray)
    behind = given.behind[stray[0]]
    place = f" behind `{behind}`" if behind else ""
    raise UsageError(
        f"`{words}`{place} is neither a file nor the value of a flag",
        hint="a value with blanks needs quotes; is a `--` or a `=` missing?",
    )


def _may_be_file(word: str) -> bool:
    return word == PIPE or Path(word).exists() or re.search(r"/|\.[A-Za-z]\w*$", word) is not None


def target_of(given: Given, source: str, ending: str) -> tuple[str, list[str]]:
    """Return the path of the result, and a note where it was not given.

    In a folder, and without --output_file in the current one, it is named after the model.
    """
    target = given.get("target")
    if target is None:
        name = stem_of(source) + ending
        replaced = ", which replaces an older file" if Path(name).is_file() else ""
        return name, [f"no --output_file is given: the result is ./{name}{replaced}"]
    if target == PIPE:
        return PIPE, []
    if target.endswith(os.sep) or Path(target).is_dir():
        return str(Path(target) / (stem_of(source) + ending)), []
    return (os.path.abspath(target) if Path(target) == STDOUT else target), []


def stem_of(source: str) -> str:
    """Return a model's name: that of its file, or of the folder that is the model."""
    if source == PIPE:
        return "model"
    path = Path(source)
    if path.stem == "saved_model" or path.is_dir():
        return Path(os.path.realpath(path if path.is_dir() else path.parent)).name or "model"
    return path.stem
