"""Records behave as dataclasses do, and are there without compiling anything."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from dataclasses import field
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest

from tqconv.records import record


@record(frozen=True)
class Point:
    """A frozen one, at the top so that it can be pickled."""

    x: int
    y: int = 2
    tags: tuple[str, ...] = ()


def twins(**options: Any) -> list[Any]:
    """The same class, made by the standard library and here."""
    made = []
    for decorator in (dataclasses.dataclass, record):

        class Thing:
            """What is compared."""

            name: str
            size: int = 3
            notes: list[str] = field(default_factory=list)
            weight: float = field(default=1.0, compare=False, repr=False)

            def __len__(self) -> int:
                return self.size

        made.append(decorator(**options)(Thing))
    return made


CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("a",), {}),
    (("a", 4), {}),
    (("a", 4, ["x"], 2.5), {}),
    (("a",), {"weight": 2.0}),
    ((), {"notes": [], "name": "a"}),
    ((), {}),
    ((), {"size": 3}),
    (("a", 1, [], 2.0, 5), {}),
    (("a",), {"name": "b"}),
    (("a",), {"other": 1}),
    ((), {"other": 1}),
    (("a", 1), {"size": 2, "other": 3}),
]


def outcome(make: Any, *values: Any, **named: Any) -> Any:
    """Fields in their order, or the error's type."""
    try:
        return list(vars(make(*values, **named)).items())
    except TypeError:
        return TypeError


@pytest.mark.parametrize(
    "options", [{}, {"frozen": True}, {"kw_only": True}, {"eq": False}], ids=str
)
@pytest.mark.parametrize(("values", "named"), CALLS, ids=str)
def test_construction_is_that_of_a_dataclass(
    options: dict[str, Any], values: tuple[Any, ...], named: dict[str, Any]
) -> None:
    standard, own = twins(**options)
    assert outcome(own, *values, **named) == outcome(standard, *values, **named)


@pytest.mark.parametrize("options", [{}, {"frozen": True}, {"eq": False}, {"repr": False}], ids=str)
def test_what_is_defined_is_that_of_a_dataclass(options: dict[str, Any]) -> None:
    standard, own = twins(**options)
    names = ["__init__", "__eq__", "__hash__", "__repr__", "__setattr__", "__delattr__"]
    assert [n in vars(own) for n in names] == [n in vars(standard) for n in names]
    assert (own.__hash__ is None) == (standard.__hash__ is None)
    assert repr(own("a")).startswith(f"{own.__qualname__}(") == options.get("repr", True)


def test_repr_is_that_of_a_dataclass() -> None:
    standard, own = (made("a", notes=["b"]) for made in twins())
    assert repr(own) == repr(standard)
    own.notes.append(own)
    assert "..." in repr(own)


def test_fields_that_are_not_compared_do_not_count() -> None:
    _, own = twins()
    assert own("a", weight=2.0) == own("a", weight=3.0)
    assert own("a") != own("b")
    assert own("a") != twins()[1]("a")  # of another class
    assert own("a").__eq__("a") is NotImplemented


def test_default_factories_make_a_new_object_each_time() -> None:
    _, own = twins()
    assert own("a").notes is not own("a").notes


def test_equal_frozen_records_have_equal_hashes() -> None:
    assert hash(Point(1)) == hash(Point(1, 2)) == hash((1, 2, ()))
    assert len({Point(1), Point(1, 2), Point(2)}) == 2


def test_frozen_records_cannot_be_changed() -> None:
    point: Any = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        point.x = 3
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del point.x
    assert point.x == 1


def test_functions_of_the_standard_library_take_records() -> None:
    point = Point(1, tags=("a",))
    assert dataclasses.is_dataclass(Point)
    assert [f.name for f in dataclasses.fields(Point)] == ["x", "y", "tags"]
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "tags": ("a",)}
    assert dataclasses.replace(point, y=5) == Point(1, 5, ("a",))
    assert copy.deepcopy(point) == copy.copy(point) == point
    assert pickle.loads(pickle.dumps(point)) == point


def test_fields_are_inherited() -> None:
    @record
    class Base:
        """With a default."""

        a: int = 1

    @record(kw_only=True)
    class Derived(Base):
        """With one more, by name."""

        b: int

    assert vars(Derived(7, b=2)) == {"a": 7, "b": 2}
    with pytest.raises(TypeError, match="missing required arguments: 'b'"):
        Derived(7)  # type: ignore[call-arg]


def test_methods_of_the_class_stay() -> None:
    @record
    class Named:
        """Shows itself."""

        name: str

        def __repr__(self) -> str:
            return self.name

    assert repr(Named("me")) == "me"


def test_what_is_not_supported_is_refused() -> None:
    class Later:
        """Wants to be called after construction."""

        name: str

        def __post_init__(self) -> None: ...

    class Hidden:
        """Has a field that is not given."""

        name: str = field(init=False, default="")

    for made in (Later, Hidden):
        with pytest.raises(TypeError, match="needs the decorator of the standard library"):
            record(made)


COMPILED = """
import dataclasses, sys
standard = dataclasses.dataclass
compiled = []
def counting(cls=None, /, **options):
    def decorate(cls):
        if options.get("init", True):
            compiled.append(f"{cls.__module__}.{cls.__qualname__}")
        return standard(cls, **options)
    return decorate if cls is None else decorate(cls)
dataclasses.dataclass = counting
from tqconv.cli.main import main
assert main(["convert", sys.argv[1], "--output_file", sys.argv[2]]) == 0
print([name for name in compiled if name.startswith("tqconv.")])
"""


def test_a_float_conversion_compiles_few_classes(tmp_path: Path) -> None:
    """Those of which there are very many; all others cost a conversion a sixth of its time."""
    model = Path(__file__).parents[1] / "sample_models/digits_cnn/graph.pb"
    command = [sys.executable, "-c", COMPILED, model, tmp_path / "m.tflite"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "['tqconv.ir.tensor.Tensor', 'tqconv.ir.tensor.Op']"


def test_help_shows_how_a_record_is_called() -> None:
    theirs, mine = twins()
    assert [(p.name, p.kind) for p in signature(mine).parameters.values()] == [
        (p.name, p.kind) for p in signature(theirs).parameters.values()
    ]
    assert str(signature(Point)) == "(x: 'int', y: 'int' = 2, tags: 'tuple[str, ...]' = ())"
    assert "notes: 'list[str]' = list()" in str(signature(mine))
    named = twins(kw_only=True)[1]
    assert {p.kind for p in signature(named).parameters.values()} == {Parameter.KEYWORD_ONLY}
