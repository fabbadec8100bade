"""The layers, fences and sizes that the README promises, read from the source itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import tqconv
from tqconv.ops.table import table

PACKAGE = Path(tqconv.__file__).parent
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "_schemas" not in p.parts)

LAYERS = (
    {"__main__", "__init__"},
    {"cli"},
    {"api"},
    {"jobs"},
    {"importers", "passes", "quant", "runtime", "exporters"},
    {"targets", "compose"},
    {"config", "output"},
    {"ops"},
    {"ir", "schema"},
    {"untrusted", "patterns"},
    {"errors", "records"},
)
"""A room may import those of lower lines; rooms of one line never import each other."""

FENCES = {
    "click": {"cli"},
    "onnx": {"importers/onnx"},
    "onnxruntime": {"importers/onnx/evaluate.py"},
    "h5py": {"importers/keras"},
    "google": {"schema/proto.py"},
    "flatbuffers": {"schema/flex.py"},
    "ai_edge_litert": {"runtime/litert.py"},
    "PIL": {"runtime/images.py"},
    "ml_dtypes": {"ir/types.py", "importers/onnx"},
    "google_crc32c": {"importers/tf/string_table.py"},
    "cramjam": {"importers/tf/string_table.py"},
    "tensorflow": set(),
}
"""Library -> the only places that may import it."""

LONGEST_FUNCTION = 50
LONGEST_FILE = 400


@cache
def tree_of(path: Path) -> ast.Module:
    """Return what a file says; nobody changes it."""
    return ast.parse(path.read_text())


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def line_of(name: str) -> int:
    return next(index for index, line in enumerate(LAYERS) if name in line)


def imports(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(path)} has a relative import"
            module = node.module or ""
            yield from (f"{module}.{a.name}" for a in node.names)


def rooms_used(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports(path) if name.startswith("tqconv.")}
    return {name for name in names if any(name in line for line in LAYERS)} - {room(path)}


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_point_downwards(path: Path) -> None:
    here = line_of(room(path))
    assert {other for other in rooms_used(path) if line_of(other) <= here} == set()


def modules_used(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules that a file needs to run, whenever it imports them; not those of types."""
    tree = tree_of(path)
    types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n)]
    skipped = {id(inner) for block in types for inner in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and id(node) not in skipped:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules else node.module


def test_no_import_circles() -> None:
    modules = {".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts): p for p in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    del modules["tqconv"]  # its names are imported when they are used
    open_ = {m: set(modules_used(p, modules)) & modules.keys() - {m} for m, p in modules.items()}
    while ready := {m for m, used in open_.items() if not used & open_.keys()}:
        open_ = {m: used for m, used in open_.items() if m not in ready}
    assert sorted(open_) == [], "a circle, and what depends on it"


FRAMEWORKS = re.compile(
    r"tensorflow(?! lite)|keras|onnx|torch|\btf\b|_tf_|nhwc|nchw|data_format", re.IGNORECASE
)
OF_THE_SOURCE = {"node", "walk", "shared"}
"""What the builders of importers know beside the neutral one."""


@pytest.mark.parametrize("path", [p for p in FILES if room(p) == "compose"], ids=place)
def test_composition_knows_no_source(path: Path) -> None:
    """Comments may say where a number comes from; names and messages are for every source."""
    tree = tree_of(path)
    prose = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    names = {
        getattr(n, key) for n in ast.walk(tree) for key in ("id", "name", "arg") if key in n._fields
    }
    texts = {
        n.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in prose
    }
    assert [text for text in names | texts if text and FRAMEWORKS.search(text)] == []
    asked = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert asked & OF_THE_SOURCE == set()


OF_ANOTHER_FORMAT = ("functions/", "nodes.py", "refused.py")
"""Where Keras files hold nodes and functions of TensorFlow, which its handlers translate."""
FORMATS = ("keras", "onnx", "tf", "tflite")


@pytest.mark.parametrize("path", [p for p in FILES if room(p) == "importers"], ids=place)
def test_importers_do_not_know_each_other(path: Path) -> None:
    format, *rest = path.relative_to(PACKAGE / "importers").parts
    if format not in FORMATS or "/".join(rest).startswith(OF_ANOTHER_FORMAT):
        return
    others = [f"tqconv.importers.{name}." for name in FORMATS if name != format]
    others.append("tqconv.importers.keras.nodes")
    known = [name for name in imports(path) if name.startswith(tuple(others))]
    assert known == []


@pytest.mark.parametrize("path", FILES, ids=place)
def test_libraries_stay_behind_their_fence(path: Path) -> None:
    for name in imports(path):
        allowed = FENCES.get(name.split(".")[0])
        assert allowed is None or any(place(path).startswith(a) for a in allowed), name


def test_public_names_are_there() -> None:
    for name in tqconv.__all__:
        assert getattr(tqconv, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tqconv.nothing  # type: ignore[attr-defined]


def test_every_room_has_a_line() -> None:
    assert {room(path) for path in FILES} == set().union(*LAYERS)


def test_the_map_names_every_room() -> None:
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text().partition("## The map")[2]
    folders = {f"{path.parent.name}/" for path in FILES if path.parent != PACKAGE}
    modules = {path.name for path in FILES if path.parent == PACKAGE and path.stem[0] != "_"}
    assert [name for name in sorted(folders | modules) if name not in text] == []


@pytest.mark.parametrize("path", [p for p in FILES if room(p) != "cli"], ids=place)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.Call)]
    names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    assert names & {"print", "input", "breakpoint"} == set()


@pytest.mark.parametrize("path", FILES, ids=place)
def test_sizes(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST_FILE
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", FILES, ids=place)
def test_what_is_public_says_what_it_is(path: Path) -> None:
    tree = tree_of(path)
    if tree.body:
        assert ast.get_docstring(tree), "the module has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            overloads = "overload" in map(ast.unparse, node.decorator_list)
            assert overloads or ast.get_docstring(node), node.name


@pytest.mark.parametrize("path", FILES, ids=place)
def test_errors_are_not_swallowed(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        assert node.type is not None, "a bare except"
        broad = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
        assert not broad or place(path) in ALLOWED_BROAD


ALLOWED_BROAD = {"cli/main.py", "untrusted.py"}
"""Where an unexpected error becomes a sentence and an exit code; where a library's becomes ours."""

VAGUE = {"utils", "util", "common", "helper", "helpers", "manager", "misc"}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [place(p) for p in FILES if p.stem in VAGUE] == []


OPERATORS = frozenset(name for name in table() if name.isupper())
FACTS = ("ops", "schema", "targets", "passes/toco", "quant/toco")
"""Where tables of operators may stand: rows, devices, and what TOCO or a file format knew."""
CHOICES = {
    "compose/arithmetic.py": {"_SIMPLE_POWERS"},
    "compose/builder.py": {"SeveralOutputs"},
    "compose/lists.py": {"_WRITES"},
    "compose/open_axes.py": {"ROUNDINGS"},
    "compose/segments.py": {"_REDUCTIONS"},
    "compose/sizes.py": {"_NUMBERS"},
    "exporters/report.py": {"TOCO_NAMES"},
    "importers/keras/layers/activation.py": {"NAMED"},
    "importers/keras/layers/operations.py": {"UNARY"},
    "importers/keras/layers/recurrent.py": {"MERGES"},
    "importers/onnx/handlers/reduce.py": {"REDUCTIONS"},
    "importers/onnx/handlers/trees.py": {"TRANSFORMS"},
    "importers/tf/handlers/functions.py": {"_GRADIENTS", "_DERIVATIVES"},
    "importers/tf/handlers/fused.py": {"ACTIVATIONS"},
    "importers/tf/handlers/variables.py": {"COMBINED"},
    "passes/cleanup.py": {"_IDENTITIES"},
    "passes/legal/older.py": {"FORMS"},
    "passes/recognize/dilation.py": {"BOUNDS"},
    "passes/recurrent/cells.py": {"ACTIVATIONS"},
    "quant/forms.py": {"FORMS"},
    "quant/rewrites.py": {"REWRITES"},
}
"""Tables that say what a file does with operators (which rewrite, which one to emit), no facts."""


@pytest.mark.parametrize("path", [p for p in FILES if not place(p).startswith(FACTS)], ids=place)
def test_facts_about_operators_stand_in_their_rows(path: Path) -> None:
    found = set()
    for node in tree_of(path).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        texts = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
        if len({text for text in texts if text in OPERATORS}) > 1:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {t.id for t in targets if isinstance(t, ast.Name)}
    assert found == CHOICES.get(place(path), set())
