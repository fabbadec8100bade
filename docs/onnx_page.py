"""The ONNX part of docs/ops.md: operators with their versions and limits, and published tests."""

from __future__ import annotations

import ast
import inspect
import sys
import tempfile
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx

from tqconv.importers.onnx import handlers as handlers
from tqconv.importers.onnx.handlers.refused import Refusal
from tqconv.importers.onnx.registry import ONNX
from tqconv.importers.registry import Bound, Handler

ROOT = Path(__file__).parent.parent
TESTS = ("tests/importers/onnx",)
PUBLISHED = "tests/importers/onnx/test_onnx_published.py"
HEAD = """*Opsets*: those that brought a form of the operator; all of them from opset 7 on are read.
*Refused*: what of it is an error, in the words of the error.
"""
SHOWN = 3
"""Limits named for an operator; its errors name all of them."""


def names() -> list[str]:
    """Return every operator of the page: those with handlers, and all others of the standard."""
    return sorted({*(n for n in ONNX.all() if n != "*"), *(name for name, _ in _standard())})


def _standard() -> Iterable[tuple[str, Any]]:
    for schema in onnx.defs.get_all_schemas():
        if schema.domain in ("", "ai.onnx") and not schema.deprecated:
            yield schema.name, schema


def rows(
    becomes: Callable[[str], str], types: Callable[[str], str], support: Callable[[str], str]
) -> list[str]:
    """Return a line for each operator; the functions tell what its tests showed."""
    schemas = dict(_standard())
    lines = []
    for name in names():
        known = ONNX.handlers.get(name)
        if known is None:
            schema = schemas[name]
            whole = schema.has_function or schema.has_context_dependent_function
            how, limits = ("its function in the standard", "") if whole else ("refused", "")
            lines.append(f"| {name} | {_versions(name)} | {how} |  | {limits} |  |")
            continue
        limits = "; ".join(dict.fromkeys(text for _, h in known for text in _limits(h)))
        how = "refused" if any(_is_refusal(h) for _, h in known) else becomes(name)
        row = [name, _versions(name), how, types(name), limits, support(name)]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _versions(name: str) -> str:
    """Return the opsets that brought a new form of an operator, from 7 on."""
    domain, _, plain = name.rpartition(":")
    if domain == "com.microsoft":
        return "1"
    found = sorted(
        s.since_version
        for s in onnx.defs.get_all_schemas_with_history()
        if s.name == plain and s.domain == domain and not s.deprecated
    )
    oldest = max((v for v in found if v <= 7), default=None)
    return ", ".join(str(v) for v in found if v >= 7 or v == oldest or domain)


def _is_refusal(handler: Handler) -> bool:
    return isinstance(handler, Bound) and isinstance(handler.argument, Refusal)


def _limits(handler: Handler) -> list[str]:
    """Return what a handler refuses, in the words of its errors, as far as they are fixed."""
    function = handler.handler if isinstance(handler, Bound) else handler
    if isinstance(handler, Bound) and isinstance(handler.argument, Refusal):
        return [handler.argument[0]]
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []
    found = [
        _text(node.exc.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id == "UnsupportedError"
        and node.exc.args
    ]
    return [text for text in found if text][:SHOWN]


def _text(node: ast.expr) -> str:
    """Return a message, what it fills in as `…`."""
    if isinstance(node, ast.Constant):
        return str(node.value).replace("|", "\\|")
    if isinstance(node, ast.JoinedStr):
        parts = [str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values]
        return "".join(parts).replace("|", "\\|")
    return ""


def published() -> list[str]:
    """Return the section about the published tests, which are run for it."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "importers" / "onnx")]
    from published import outcomes

    with tempfile.TemporaryDirectory() as folder:
        found = list(outcomes(Path(folder)))
    counted = [o for o in found if o.kind != "apart"]
    right = sum(o.kind == "right" for o in counted)
    lines = [
        f"## Node tests of onnx {onnx.__version__}\n",
        f"{right:,} of {len(counted):,} published node tests are right at the tolerance of their "
        "own runner. Inputs that the translation needs as constants (axes, sizes) are given as "
        "such.\n",
        "| the others | |\n|---|---|",
    ]
    reasons: dict[str, list[str]] = defaultdict(list)
    for o in counted:
        if o.kind != "right":
            reasons[o.reason].append(o.name)
    lines += [f"| {reason} | {_listed(tests)} |" for reason, tests in sorted(reasons.items())]
    kinds: dict[str, int] = defaultdict(int)
    for o in found:
        kinds[o.reason] += o.kind == "apart"
    apart = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()) if count)
    return [*lines, "", f"Set apart, for LiteRT has no such values: {apart}.", ""]


def _listed(tests: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in tests)
