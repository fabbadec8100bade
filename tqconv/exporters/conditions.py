"""Conditions on the fields of rows: `dtype in int8,uint8`, `bytes>1M`, `name=conv*`, `source=`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from tqconv.errors import UsageError, suggestion
from tqconv.patterns import searched
from tqconv.records import dataclass

Row = Mapping[str, Any]

NUMBERS = frozenset({"index", "version", "macs", "bytes", "rank", "scale", "zero_point",
                     "channels", "axis", "min", "max"})  # fmt: skip
"""Fields that hold numbers; the others hold words, sizes or `true` and `false`."""
SHAPES = frozenset({"shape"})
SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
         "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}  # fmt: skip
"""What may stand behind a number, without regard to case; a B for bytes may follow."""
LISTED = 12
"""Values that are listed where none of them was asked for."""
SIGNS = "=, !=, <, <=, >, >=, ~, in or `not in`"

_CLAIM = re.compile(r"\s*(\w+)\s*(<=|>=|!=|==?|<|>|~|\s(?:not\s+)?in\s)\s*(.*?)\s*", re.IGNORECASE)
_QUANTITY = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kmgt]?i?)b?", re.I)
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Claim:
    """What a row must fulfil.

    text: as it was written. accepts: whether a value of the field fulfils it; None stands for what
    a row lacks, as an empty text does.
    """

    field: str
    text: str
    accepts: Callable[[Any], bool]

    def holds(self, row: Row) -> bool:
        """Whether it is true of a row that has the field."""
        value = row[self.field]
        return self.accepts(None if value in ("", ()) and self.field not in SHAPES else value)


def claim(text: str, fields: Sequence[str], rows: str) -> Claim:
    """Read a condition; UsageError where it is none about one of the `fields` of these rows."""
    found = _CLAIM.fullmatch(text)
    if found is None:
        raise UsageError(f"`{text}` is no condition", hint=f"write FIELD=VALUE, or with {SIGNS}")
    field, sign, value = found[1], " ".join(found[2].lower().split()), found[3]
    if field not in fields:
        raise UsageError(
            f"{rows} has no column `{field}`{suggestion(field, fields)}",
            hint=f"it has {', '.join(fields)}",
        )
    return Claim(field, text.strip(), _test(field, sign.replace("==", "="), value))


def _test(field: str, sign: str, value: str) -> Callable[[Any], bool]:
    """Return what a condition asks of a value, which is None where a row lacks it."""
    if sign == "~":
        pattern = searched(value)
        return lambda found: found is not None and pattern.search(_text(found)) is not None
    if sign in _ORDERS:
        if field not in NUMBERS:
            raise UsageError(
                f"`{field}` holds no numbers, and cannot be {sign} `{value}`",
                hint="ask for it with =, !=, ~, in or `not in`",
            )
        order, limit = _ORDERS[sign], _number(field, value)
        return lambda found: found is not None and order(found, limit)
    listed = sign.endswith("in")
    wanted = [_equal(field, each) for each in (_items(field, value) if listed else (value,))]
    is_told = sign in ("=", "in")
    return lambda found: any(test(found) for test in wanted) == is_told


def _equal(field: str, value: str) -> Callable[[Any], bool]:
    """Return whether something is a value; nothing stands for what a row lacks."""
    if not value:
        return lambda found: found is None
    if field in NUMBERS:
        number = _number(field, value)
        return lambda found: found is not None and found == number
    if field == "constant":
        if value.lower() not in SWITCHES:
            raise UsageError(f"`constant` is true or false, not `{value}`")
        switch = SWITCHES[value.lower()]
        return lambda found: found is switch
    if field in SHAPES:
        value = value.strip("[]").replace(" ", "")
    pattern = re.compile(".*".join(map(re.escape, value.split("*"))), re.IGNORECASE | re.DOTALL)
    return lambda found: found is not None and pattern.fullmatch(_text(found)) is not None


def _items(field: str, value: str) -> Iterator[str]:
    """Yield what a list holds; sizes have commas, so colons stand between shapes."""
    yield from (each.strip() for each in value.split(":" if field in SHAPES else ","))


def _number(field: str, value: str) -> float:
    """Return a number with its unit: `1.5M`, `64 KiB`, `2e5`."""
    found = _QUANTITY.fullmatch(value)
    unit = found and UNITS.get(found[2].lower())
    if not found or unit is None:
        raise UsageError(
            f"`{field}` holds numbers, and `{value}` is none",
            hint="such as 100, 2.5e6, 64k, 1M or 4 KiB",
        )
    return float(found[1]) * unit


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join("?" if v is None else str(v) for v in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def unmatched(rows: Sequence[Row], claims: Iterable[Claim]) -> Iterator[str]:
    """Yield a sentence for each claim that none of the rows fulfils: what they have instead.

    Words are listed where there are few: types and operators, no names. Of numbers the ends.
    """
    for asked in claims:
        if any(map(asked.holds, rows)):
            continue
        there = _there(asked.field, [row[asked.field] for row in rows])
        if there:
            yield f"no row has {asked.text}; {there}"


def _there(field: str, values: Iterable[Any]) -> str:
    if field in NUMBERS:
        known = [v for v in values if v is not None and isfinite(v)]
        return f"`{field}` goes from {min(known):g} to {max(known):g}" if known else ""
    words = sorted({_text(v) for v in values if v not in (None, "", ())})
    return f"there are {', '.join(words)}" if words and len(words) <= LISTED else ""
