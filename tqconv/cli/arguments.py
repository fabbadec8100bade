"""A command line read against a table of flags.

`-` and `_` are alike in long flags; a value stands behind `=` or in the next word; a switch may
stand alone or with true or false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tqconv.cli.flag import Flag, spelled
from tqconv.cli.values import FALSE, TRUE
from tqconv.errors import UsageError
from tqconv.records import dataclass


@dataclass
class Given:
    """What a command line says: key -> value, key -> flag as it was typed, and the bare words.

    behind: for each bare word the flag that stands before it, with its value; "" for none.
    """

    values: dict[str, Any] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Flag] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    line: str = ""
    """The whole command line, as a shell reads it."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value given for a key."""
        return self.values.get(key, default)

    def __contains__(self, key: str) -> bool:
        return key in self.values


def read(arguments: Sequence[str], table: Sequence[Flag]) -> Given:
    """Return what the words say. Raises UsageError naming the flag."""
    spellings = {name: flag for flag in table for name in flag.names}
    given = Given()
    said = ""
    for word, value, flag in _pairs(list(arguments), spellings, given.words):
        given.behind += [said] * (len(given.words) - len(given.behind))
        _take(given, word, value, flag)
        said = f"{word} {value}"
    given.behind += [said] * (len(given.words) - len(given.behind))
    return given


def _pairs(
    words: list[str], spellings: Mapping[str, Flag], bare: list[str]
) -> Iterator[tuple[str, str, Flag]]:
    """Yield each flag as typed, its value's text, and its row; other words go to `bare`."""
    while words:
        word = words.pop(0)
        if word == "--":
            bare += words
            return
        if not word.startswith("-") or word == "-":
            _check_dash(word, spellings)
            bare.append(word)
            continue
        if set(word) == {"-", "v"} and word.count("-") == 1:
            level = len(word) - 1
            is_level = level == 1 and bool(words) and words[0].isdecimal()
            yield word, words.pop(0) if is_level else str(level), spellings["v"]
            continue
        typed, separator, value = word.partition("=")
        is_long = typed.startswith("--") or _plain(typed) in spellings  # with a dash too few
        if not is_long and typed[1:2] in spellings and len(typed) > 2:
            typed, separator, value = typed[:2], "=", word[2:]
        flag = _row(typed, spellings)
        value = value if separator else _next(typed, flag, words)
        _check_whole(typed, value, flag, words)
        yield typed, value, flag


DASHES = re.compile("[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
"""Hyphens and dashes that word processors and web pages put in the place of `-`."""


def _check_dash(word: str, spellings: Mapping[str, Flag]) -> None:
    """Raise UsageError for a flag that begins with a dash that is none of the keyboard's."""
    if not DASHES.match(word):
        return
    typed, separator, value = word.partition("=")
    name = _plain(DASHES.sub("-", typed))
    if name in spellings:
        raise UsageError(
            f"`{word}` begins with `{word[0]}`, which is not the `-` of flags",
            hint=f"a program changed it on the way; type {spelled(name)}{separator}{value}",
        )


def _check_whole(typed: str, value: str, flag: Flag, words: Sequence[str]) -> None:
    """Raise UsageError where blanks cut a list in pieces: `1, 8, 8, 1` without quotes."""
    pieces = [value]
    for word in words:
        joined = pieces[-1].endswith(",") or word.startswith(",")
        if flag.is_switch or not joined or word.startswith("-") or Path(word).is_file():
            break
        pieces.append(word)
    if len(pieces) > 1:
        raise UsageError(
            f"`{typed} {' '.join(pieces)}` has blanks in its value",
            hint=f"write {typed} {''.join(pieces)}, or put the value in quotes",
        )


def _plain(typed: str) -> str:
    return typed.lstrip("-").replace("-", "_")


def _row(typed: str, spellings: Mapping[str, Flag]) -> Flag:
    name = _plain(typed)
    flag = spellings.get(name)
    if DASHES.search(name):
        right = spelled(_plain(DASHES.sub("-", typed)))
        raise UsageError(
            f"`{typed}` holds a dash that is not the `-` of flags",
            hint=f"a program changed it on the way; type {right}",
        )
    if flag is None or (len(name) > 1 and not typed.startswith("--")):
        near = _nearest(name, spellings)
        raise UsageError(
            f"`{typed}` is not a flag of this command{near}", hint="list all flags with --help"
        )
    if flag.refuse and flag.only is None:
        raise UsageError(f"`{typed}` is not supported by tqconv", hint=flag.refuse)
    return flag


def _nearest(name: str, spellings: Mapping[str, Flag]) -> str:
    """Suggest one spelling; among many long names `suggestion` finds too many."""
    near = get_close_matches(name, [n for n in spellings if len(n) > 1], n=1)
    return f"; did you mean `--{near[0]}`?" if near else ""


def _next(typed: str, flag: Flag, words: list[str]) -> str:
    """Take the value that follows; a switch takes none but true and false."""
    if flag.is_switch or not flag.key:
        is_word = bool(words) and words[0].lower() in TRUE | FALSE
        return words.pop(0) if is_word else "true"
    if flag.key == "verbosity":
        return words.pop(0) if words and words[0].isdecimal() else "1"
    if not words:
        raise UsageError(f"`{typed}` needs a value: {flag.metavar}")
    if words[0].startswith("--"):
        raise UsageError(f"`{typed}` needs a value, but `{words[0]}` follows")
    return words.pop(0)


def _take(given: Given, typed: str, value: str, flag: Flag) -> None:
    try:
        meaning = flag.read(value)
    except UsageError as error:
        raise UsageError(f"{typed}: {error.message}", hint=error.hint) from error
    if flag.only is not None:
        if meaning != flag.only:
            raise UsageError(f"`{typed} {value}` is not supported by tqconv", hint=flag.refuse)
        return
    if not flag.key:
        return
    if flag.many:
        meaning = (*given.get(flag.key, ()), *(meaning if _is_list(meaning) else (meaning,)))
    elif flag.key in given and given.get(flag.key) != meaning:
        _conflict(given.typed[flag.key], typed, flag)
    given.values[flag.key] = meaning
    given.typed[flag.key] = typed
    given.flags[flag.key] = flag


def _is_list(meaning: object) -> bool:
    return isinstance(meaning, tuple) and bool(meaning) and not isinstance(meaning[0], str)


def _conflict(first: str, second: str, flag: Flag) -> None:
    if first == second:
        raise UsageError(f"`{first}` is given twice with different values")
    raise UsageError(
        f"`{first}` and `{second}` say the same thing with different values",
        hint=f"give one of them; {spelled(flag.name)} is tqconv's own",
    )
