"""Where the schema texts are, and what text files start with."""

import codecs
from pathlib import Path

INSTALLED = Path(__file__).parents[1] / "_schemas"
CHECKOUT = Path(__file__).parents[2] / "schemas"
"""The schema texts are inside the installed package, else in the checkout."""


def text(name: str) -> str:
    """The text of a schema file, such as `tflite.fbs`."""
    folder = INSTALLED if INSTALLED.is_dir() else CHECKOUT
    return (folder / name).read_text(encoding="utf-8")


def without_mark(content: bytes) -> bytes:
    """Return a file's content without the mark that editors put before text in UTF-8."""
    return content.removeprefix(codecs.BOM_UTF8)
