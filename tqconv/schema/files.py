"""Where the schema texts are: inside the installed package, else in the checkout."""

from pathlib import Path

INSTALLED = Path(__file__).parents[1] / "_schemas"
CHECKOUT = Path(__file__).parents[2] / "schemas"


def text(name: str) -> str:
    """The text of a schema file, such as `tflite.fbs`."""
    folder = INSTALLED if INSTALLED.is_dir() else CHECKOUT
    return (folder / name).read_text(encoding="utf-8")
