"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqconv.exporters.page import nodes, sections
from tqconv.exporters.page.facts import Frame, Nodes, Page
from tqconv.exporters.page.picture import picture
from tqconv.exporters.page.words import text

HERE = Path(__file__).parent
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The page may load nothing: what it shows is in it."""


def document(page: Page) -> str:
    """Return the file; the same page gives the same text."""
    parts = [
        sections.identity(page),
        sections.borders(page),
        sections.errors(page),
        sections.floats(page),
        sections.fitted(page),
        picture(page),
        sections.operators(page),
        sections.sizes(page),
        sections.distributions(page),
        sections.notes(page),
        sections.origin(page),
    ]
    return _file(page, parts)


def nodes_document(page: Nodes) -> str:
    """Return the file about a model without translation."""
    parts = [
        nodes.why(page),
        nodes.missing(page),
        sections.identity(page),
        nodes.borders(page),
        picture(page),
        nodes.operators(page),
        sections.notes(page),
        sections.origin(page),
    ]
    return _file(page, parts)


def _file(page: Frame, parts: Sequence[str]) -> str:
    style = (HERE / "page.css").read_text("utf-8")
    script = (HERE / "page.js").read_text("utf-8")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{text(page.title)} — tqconv</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            f"<header><h1>{text(page.title)}</h1><p>{text(page.done)}</p></header>",
            "<main>",
            *filter(None, parts),
            "</main>",
            f"<script>\n{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )
