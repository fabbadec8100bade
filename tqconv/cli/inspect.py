"""tqconv inspect: what is in a model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import INSPECT
from tqconv.cli.layout import Block, size
from tqconv.cli.messages import also_written, print_notes, print_page
from tqconv.cli.options import inspect_options, load_options, sample_options
from tqconv.cli.places import model_file, source_of
from tqconv.cli.rows import TABLES, tables_page
from tqconv.cli.terminal import room
from tqconv.errors import UnsupportedError, UsageError
from tqconv.output import bytes_of, packed

if TYPE_CHECKING:
    from tqconv.exporters.conditions import Claim
    from tqconv.exporters.placement import Placement
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.outline import Outline

PAIR = ("MODEL", "OTHER")
"""The words of a comparison."""
SCHEMA = 1
"""The version of what --json prints; docs/inspect.md lists its fields."""

HELP = """Show what a model is made of, and what runs of it on a device.

Inputs, outputs, operators, parameters, MACs. Nothing is optimized. A model that has no translation
is shown node by node. Two models, of whatever formats, are compared: what they are made of, and
with --data what they compute."""


def run(given: Given) -> None:
    """Print the description, or the table of operators."""
    if given.get("supported_ops"):
        return print_supported(given.get("json", False))
    if len(given.words) == len(PAIR) and "source" not in given:
        return _contrast(given, *given.words)
    source = source_of(given)
    with model_file(source) as path:
        _inspect(given, source, Path(path))
    return None


def _contrast(given: Given, first: str, second: str) -> None:
    """Print two models side by side."""
    alone = (*TABLES, "where", "device", "nodes", "report", "reference")
    asked = [name for name in alone if given.get(name)]
    if asked:
        raise UsageError(
            f"{given.typed[asked[0]]} is about one model, and two are given",
            hint="call tqconv once for each",
        )
    from tqconv.cli.contrast import contrast_page
    from tqconv.jobs.contrast import contrast

    found = contrast(first, second, load_options(given), sample_options(given))
    if given.get("json"):
        click.echo(json.dumps({"schema": SCHEMA, **found.as_dict()}, indent=1, default=str))
    else:
        print_page(contrast_page(found, verbose=given.get("verbosity", 0) > 0))
    print_notes(given, found.notes)


def _inspect(given: Given, source: str, path: Path) -> None:
    options = inspect_options(given)
    asked, claims = _tables(given)
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.detect import NAMES
    from tqconv.jobs.look import look

    looked = look(path, options)
    facts, placed = looked.facts, looked.placement
    files = [] if options.report is None else [options.report]
    if asked:
        if not isinstance(facts, ModelFacts):
            raise UnsupportedError(facts.reason or "its nodes have no such table")
        return _print_tables(given, facts, asked, claims, files)
    file_bytes = bytes_of(path)
    if given.get("json"):
        document = {"schema": SCHEMA, "file": source, "format": looked.kind, "bytes": file_bytes}
        document |= facts.as_dict()
        if placed is not None:
            document["target"] = placed.as_dict()
        return _print_json(document, files)
    verbose = given.get("verbosity", 0) > 0
    ships = verbose and looked.kind == "tflite"
    shipped = f" ({size(packed(path))} as gzip)" if ships else ""
    heading = f"{source}: {NAMES[looked.kind]}, {size(file_bytes)}{shipped}"
    described = _page(facts, heading, placed, verbose=verbose)
    print_page([*described, *_told(files)])
    if not isinstance(facts, ModelFacts):
        print_notes(given, [facts.reason] if facts.reason else [])
    return None


def _print_json(document: dict[str, Any], files: Sequence[str]) -> None:
    """Print a document, with the files that were written."""
    document |= {"files": files} if files else {}
    click.echo(json.dumps(document, indent=1, default=str))


def _told(files: Sequence[str]) -> list[str]:
    """Return the lines about files that were written."""
    return ["", *also_written([*map(Path, files)])] if files else []


def _page(
    facts: ModelFacts | Outline, heading: str, placed: Placement | None, *, verbose: bool
) -> Iterator[Block]:
    from tqconv.cli.facts import model_page, outline_page
    from tqconv.exporters.report import ModelFacts

    yield from (heading, "")
    if placed is not None:
        from tqconv.cli.placement import placement_page

        yield from (*placement_page(placed, verbose=verbose), "")
    if isinstance(facts, ModelFacts):
        yield from model_page(facts, verbose=verbose)
    else:
        yield from outline_page(facts, verbose=verbose)


def _tables(given: Given) -> tuple[list[str], list[Claim]]:
    """Return which tables are asked for, and what their rows must fulfil."""
    asked = [name for name in TABLES if given.get(name)]
    if not given.get("where"):
        return asked, []
    if not asked:
        raise UsageError("--where chooses rows of a table", hint="add --ops, --tensors or --quant")
    from tqconv.exporters.conditions import claim
    from tqconv.exporters.rows import common_fields

    fields, rows = common_fields(asked), " with ".join(f"--{name}" for name in asked)
    return asked, [claim(text, fields, rows) for text in given.get("where")]


def _print_tables(
    given: Given,
    facts: ModelFacts,
    asked: Sequence[str],
    claims: Sequence[Claim],
    files: Sequence[str],
) -> None:
    if given.get("json"):
        from tqconv.exporters.rows import rows

        tables = {name: rows(facts, name, claims) for name in asked}
        _print_json({"schema": SCHEMA, **tables}, files)
    else:
        from tqconv.exporters.conditions import unmatched
        from tqconv.exporters.rows import rows

        print_page([*tables_page(facts, asked, claims, room(sys.stdout)), *_told(files)])
        print_notes(given, (n for name in asked for n in unmatched(rows(facts, name), claims)))


def print_supported(as_json: bool) -> None:
    """Print the operator table as its rows state it."""
    from dataclasses import asdict

    from tqconv.cli.facts import support_table
    from tqconv.exporters.report import supported_ops

    rows = supported_ops()
    if as_json:
        click.echo(json.dumps([asdict(r) for r in rows], indent=1))
    else:
        print_page([support_table(rows)])


EXAMPLES = (
    "tqconv inspect graph.pb",
    "tqconv inspect graph.pb --ops --where 'macs>1e5'",
    "tqconv inspect graph.pb --target tflm",
    "tqconv inspect graph.pb --json",
    "tqconv inspect graph.pb --report graph.html",
)
"""Lines of the help, with the files of a sample model."""

command = FlagCommand(
    "inspect", INSPECT, "MODEL [OTHER]", examples=EXAMPLES, callback=run, help=HELP
)
