"""The sections of a report on a model that has no translation."""

from __future__ import annotations

from tqconv.exporters.page.facts import Nodes
from tqconv.exporters.page.sections import LISTED
from tqconv.exporters.page.words import section, table, text


def why(page: Nodes) -> str:
    """Return the reason, as the command line would say it."""
    body = f"<pre>{text(page.why)}</pre>" if page.why else ""
    return section("why", "Why it was not translated", body)


def missing(page: Nodes) -> str:
    """Return the nodes that cannot be translated, and why."""
    rows = page.missing[:LISTED]
    left = len(page.missing) - len(rows)
    more = f"<p>… {left} more</p>" if left else ""
    listed = table(("node", "operator", "because"), rows) if rows else ""
    return section("missing", "What has no translation", listed, more)


def borders(page: Nodes) -> str:
    """Return what is fed, and what nobody reads."""
    heads = ("", "name", "operator", "type", "shape")
    listed = table(heads, page.borders[:LISTED]) if page.borders else ""
    return section("borders", "Inputs and possible outputs", listed)


def operators(page: Nodes) -> str:
    """Return what operators there are."""
    rows = [
        (kind, count, "no translation" if kind in page.untranslated else "")
        for kind, count in page.counts.items()
    ]
    return section("operators", "Operators", table(("operator", "nodes", ""), rows, (1,)))
