"""What a flag is: its spellings, how its value is read, and where the value goes."""

from __future__ import annotations

from tqconv.cli.values import Reader, boolean, text
from tqconv.records import dataclass

MODEL = "Model"
ARRAYS = "Inputs and outputs"
QUANTIZATION = "Quantization"
TOCO = "Quantization as TOCO did it"
PICTURES = "Looking inside"
ACCEPTED = "Accepted without effect"
FIXED = "Accepted with the one value that tqconv does"
REFUSED = "Refused by name"

INTEGERS = ("int8", "int16x8", "uint8")
"""Modes whose activations are integers."""
HYBRID = ("weights", "dynamic", *INTEGERS)
"""Modes whose weights are integers."""
QUANTIZED = ("float16", *HYBRID)
TOCO_ONLY = ("toco",)
"""Conversions with TOCO's own arithmetic: --inference_type QUANTIZED_UINT8, --quantize uint8."""
FED = ("input_types", "verify")
"""Keys of flags that make a model of floats take integers or images."""


@dataclass(frozen=True)
class Flag:
    """One meaning and its spellings.

    names: spellings without dashes, the first is ours; one letter stands behind a single dash.
    key: where the value goes: a field of `ConvertOptions` ("load.inputs"), or a word that `options`
    reads.
    many: may be given more than once; the values are collected in order.
    only: the one value that asks for what tqconv does anyway; every other is refused.
    refuse: why the flag is an error, and what to use instead.
    modes: the modes in which the flag has an effect, all of them where it is empty; using it in
    another mode is an error.
    noted: old command lines give the flag in other modes too, and a note is enough.
    also: keys of flags with which it has an effect in every mode.
    """

    names: tuple[str, ...]
    help: str
    group: str
    key: str = ""
    read: Reader = text
    metavar: str = "TEXT"
    many: bool = False
    only: object = None
    refuse: str = ""
    modes: tuple[str, ...] = ()
    noted: bool = False
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The spelling that help, notes and documentation use."""
        return self.names[0]

    @property
    def is_switch(self) -> bool:
        """Whether the flag may stand without a value."""
        return self.read is boolean


def spelled(name: str) -> str:
    """Return a flag as it is typed."""
    return f"-{name}" if len(name) == 1 else f"--{name}"


def flag(names: str, help: str, group: str, key: str = "", **columns: object) -> Flag:
    """Return a flag that takes a value; `names` are separated by blanks."""
    return Flag(tuple(names.split()), help, group, key, **columns)  # type: ignore[arg-type]


def switch(names: str, help: str, group: str, key: str = "", **columns: object) -> Flag:
    """Return a flag that may stand alone."""
    return flag(names, help, group, key, read=boolean, metavar="", **columns)


def fixed(names: str, only: bool, refuse: str) -> Flag:
    """Return a switch of which only one value means something that tqconv does."""
    return switch(names, refuse, FIXED, only=only, refuse=refuse)


def accepted(names: str, help: str) -> Flag:
    """Return a flag of the old tools that asks for nothing."""
    return flag(names, help, ACCEPTED, metavar="VALUE")


def refused(names: str, refuse: str, read: Reader = text) -> Flag:
    """Return a flag whose effect tqconv does not have."""
    return flag(names, refuse, REFUSED, read=read, refuse=refuse)
