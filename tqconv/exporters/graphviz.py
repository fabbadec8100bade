"""Text in Graphviz's language, drawn by the program `dot` where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tqconv.errors import DependencyError, UsageError, first_line

PROGRAM = "dot"
TEXT = ("dot", "gv", "txt")
"""Suffixes of files for Graphviz."""
DRAWN = ("svg", "png", "pdf")
"""Kinds of pictures that are drawn; each is also the suffix of its files."""
SECONDS = 120
"""How long a layout may take; that of a picture within the limits takes a few seconds."""
MOST_BOXES = 800
"""Boxes that Graphviz 2.43 surely lays out within that time: 591 of a detector with loops took 46
seconds, 1,600 of a chain 10; what the lines cross counts more than the number."""
INSTALL = (
    "it comes with the package graphviz (apt, dnf, brew, conda, winget); without it, "
    "write a .dot file and draw it elsewhere: dot -Tsvg FILE"
)
DATE = re.compile(rb"(/CreationDate \(D:)\d{14}")
"""The only thing in a .pdf that changes from run to run."""


def kind_of(path: Path | None) -> str:
    """Return what a file of this name holds: "text", or one of `DRAWN`.

    Raises UsageError where its suffix is none of a picture's.
    """
    suffix = "" if path is None else path.suffix.lower().lstrip(".")
    if suffix in ("", *TEXT):
        return "text"
    if suffix not in DRAWN:
        fits = ", .".join((*TEXT, *DRAWN))
        raise UsageError(f"{path} is no name for a picture", hint=f"its suffix is one of .{fits}")
    return suffix


def as_file(text: str, kind: str) -> bytes:
    """Return what a file of that kind holds; see `kind_of`."""
    return text.encode() if kind == "text" else render(text, kind)


def is_installed() -> bool:
    """Whether pictures can be drawn."""
    return shutil.which(PROGRAM) is not None


def render(text: str, kind: str) -> bytes:
    """Return the picture of a text; `kind`: one of `DRAWN`.

    Raises DependencyError without Graphviz, UsageError where it gives up or takes too long.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise DependencyError(f"a .{kind} is drawn by Graphviz's `dot`, which is not installed",
                              hint=INSTALL)  # fmt: skip
    try:
        done = subprocess.run(
            [program, f"-T{kind}"], input=text.encode(), capture_output=True, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UsageError(
            f"Graphviz has not laid the picture out in {SECONDS} seconds",
            hint="show less: --depth N, --focus NAME, --from NAME, --to NAME, --compact",
        ) from error
    except OSError as error:
        raise DependencyError(f"{program} cannot be run: {first_line(error)}") from error
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"Graphviz has not drawn the picture: {said[0] if said else done.returncode}",
            hint="write a .dot file to look at what it was given",
        )
    return DATE.sub(rb"\g<1>20000101000000", done.stdout)
