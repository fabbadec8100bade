"""Lists of a graph that answer their questions without a search.

Every pass asks whether a tensor is an output and takes single readers away; a model may have as
many outputs as operators, and one tensor may be read by all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload

from tqconv.untrusted import whole

if TYPE_CHECKING:
    from tqconv.ir.tensor import Op, Use

T = TypeVar("T")


class Border(list[T]):
    """A list that knows its members by identity."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        super().__init__(items)
        self._members: set[int] | None = None

    def append(self, item: T) -> None:
        """Add a member at the end."""
        super().append(item)
        if self._members is not None:
            self._members.add(id(item))

    def __contains__(self, item: object) -> bool:
        if self._members is None:
            self._members = {id(member) for member in self}
        return id(item) in self._members


def _changing(name: str) -> Callable[..., Any]:
    """Return the list's method of that name, after which the members are counted anew."""
    method = getattr(list, name)

    def change(self: Border[Any], *args: Any, **named: Any) -> Any:
        self._members = None
        return method(self, *args, **named)

    return change


for _name in (
    *("extend", "insert", "remove", "pop", "clear"),
    *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
):
    setattr(Border, _name, _changing(_name))


class Names:
    """Names that are taken, and the next one that is free."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}
        """Name -> the lowest number behind it that may be free."""

    def add(self, name: str) -> None:
        """Take a name."""
        self._taken.add(name)

    def discard(self, name: str) -> None:
        """Give a name back."""
        self._taken.discard(name)
        start, _, number = name.rpartition("_")
        if start in self._next and (freed := whole(number)) is not None:
            self._next[start] = min(self._next[start], freed)

    def __contains__(self, name: object) -> bool:
        return name in self._taken

    def free(self, name: str) -> str:
        """Return `name`, or the first of `name_1`, `name_2`, … that nobody has."""
        if name not in self._taken:
            return name
        count = self._next.get(name, 1)
        while f"{name}_{count}" in self._taken:
            count += 1
        self._next[name] = count
        return f"{name}_{count}"


class Uses:
    """The places that read a tensor, in the order in which they came."""

    __slots__ = ("_places",)

    def __init__(self, uses: Iterable[Use] = ()) -> None:
        self._places: dict[tuple[int, int], Use] = {}
        for use in uses:
            self.append(use)

    def append(self, use: Use) -> None:
        """Add a place."""
        self._places[id(use.op), use.index] = use

    def discard(self, op: Op, index: int) -> None:
        """Take a place away where it is there."""
        self._places.pop((id(op), index), None)

    def clear(self) -> None:
        """Take all places away."""
        self._places = {}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Use]:
        return iter(self._places.values())

    @overload
    def __getitem__(self, place: int) -> Use: ...
    @overload
    def __getitem__(self, place: slice) -> list[Use]: ...
    def __getitem__(self, place: int | slice) -> Use | list[Use]:
        if place == 0:
            return next(iter(self._places.values()))
        return list(self._places.values())[place]
