"""tqconv inspect: what is in a model."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.flags import INSPECT
from tqconv.cli.layout import bytes_of, size
from tqconv.cli.messages import print_notes
from tqconv.cli.options import load_options
from tqconv.cli.places import model_file, source_of

HELP = """Show what a model is made of: inputs, outputs, operators, parameters, MACs.

Nothing is optimized. A GraphDef that has no translation is shown node by node."""


def run(given: Given) -> None:
    """Print the description, or the table of operators."""
    if given.get("supported_ops"):
        return print_supported(given.get("json", False))
    source = source_of(given)
    with model_file(source) as path:
        _inspect(given, source, Path(path))
    return None


def _inspect(given: Given, source: str, path: Path) -> None:
    options = load_options(given)
    from tqconv import api
    from tqconv.cli.facts import model_text, outline_text
    from tqconv.exporters.report import ModelFacts
    from tqconv.importers.detect import NAMES, kind_of

    name = given.get("device")
    facts = api.inspect(path, options, nodes=given.get("nodes", False))
    placed = None
    if name is not None:
        from tqconv.jobs.placement import placement

        placed = placement(path, name, options)
    file_bytes = bytes_of(path)
    kind = kind_of(path, options.format)
    if given.get("json"):
        document = {"file": source, "format": kind, "bytes": file_bytes, **facts.as_dict()}
        if placed is not None:
            document["target"] = placed.as_dict()
        click.echo(json.dumps(document, indent=1, default=str))
        return
    heading = f"{source}: {NAMES[kind]}, {size(file_bytes)}"
    verbose = given.get("verbosity", 0) > 0
    if placed is not None:
        from tqconv.cli.placement import placement_text

        heading = f"{heading}\n\n{placement_text(placed, verbose=verbose)}"
    if isinstance(facts, ModelFacts):
        click.echo(model_text(facts, heading, verbose=verbose))
    else:
        click.echo(outline_text(facts, heading, verbose=verbose))
        print_notes(given, [facts.reason] if facts.reason else [])


def print_supported(as_json: bool) -> None:
    """Print the operator table as its rows state it."""
    from dataclasses import asdict

    from tqconv.cli.facts import support_text
    from tqconv.exporters.report import supported_ops

    rows = supported_ops()
    click.echo(json.dumps([asdict(r) for r in rows], indent=1) if as_json else support_text(rows))


command = FlagCommand("inspect", INSPECT, "MODEL", callback=run, help=HELP)
