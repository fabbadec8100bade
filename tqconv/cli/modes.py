"""Which quantization a command line asks for, and which flags do not go with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tqconv.cli.arguments import Given
from tqconv.cli.flag import INTEGERS, Flag, spelled
from tqconv.config import type_by_toco
from tqconv.errors import UsageError

NEEDED = {
    "quantize.samples": ("quantize.calibration_data", "verify"),
    "quantize.method": ("quantize.calibration_data", "quantize.random"),
    "quantize.mean": ("quantize.calibration_data", "verify"),
    "quantize.std": ("quantize.calibration_data", "verify"),
    "min_sqnr": ("verify", "quantize.calibration_data"),
    "min_agreement": ("verify", "quantize.calibration_data"),
}
"""Key -> keys of which one must be given, for flags that say how something else is done."""

EXCLUSIVE = (
    ("quantize.calibration_data", "quantize.random"),
    ("means", "named_stats"),
    ("means", "input_ranges"),
    ("stds", "named_stats"),
    ("stds", "input_ranges"),
)
"""Keys that state the same fact: lists by position cover every input that the other may name."""


def mode_of(given: Given, notes: list[str]) -> tuple[str | None, str | None]:
    """Return the scheme, and the type of TOCO's own quantization when that is asked for.

    Flags that do not go with it are an error, or a note where old command lines give them anyway.
    """
    mode, toco_type = _asked(given, notes)
    labels = {mode or "float"} | ({"toco"} if toco_type is not None else set())
    for key, flag in given.flags.items():
        if given.get(key) is False or _has_effect(given, flag, labels):
            continue
        if not flag.noted:
            raise _misplaced(given.typed[key], flag, mode)
        where = "a float model" if mode is None else f"mode {mode}"
        notes.append(f"{given.typed[key]} has no effect on {where}")
    return mode, toco_type


def _has_effect(given: Given, flag: Flag, labels: set[str]) -> bool:
    if not flag.modes or labels & set(flag.modes):
        return True
    # Float inputs are what a float model has anyway.
    return any(given.get(key, ("float32",)) != ("float32",) for key in flag.also)


def _misplaced(typed: str, flag: Flag, mode: str | None) -> UsageError:
    if mode is None:
        asked = "int8" if "int8" in flag.modes else flag.modes[0]
        return UsageError(
            f"{typed} needs a quantization", hint=f"add --quantize {asked}, for instance"
        )
    return UsageError(
        f"{typed} does not go with {mode}",
        hint=f"leave it out; it has an effect with --quantize {listed(flag.modes)}",
    )


def listed(modes: Sequence[str]) -> str:
    """Return modes as "int8, int16x8 or uint8"."""
    *others, last = modes
    return f"{', '.join(others)} or {last}" if others else last


def check_company(given: Given, flags: Sequence[Flag]) -> None:
    """Raise UsageError for flags that need others (of the command's `flags`), or exclude them."""
    names = {flag.key: spelled(flag.name) for flag in flags}
    for key, needed in NEEDED.items():
        if key in given and not any(other in given for other in needed):
            wanted = " or ".join(names[k] for k in needed if k in names)
            raise UsageError(f"{given.typed[key]} has no effect without {wanted}")
    for first, second in EXCLUSIVE:
        if first in given and second in given:
            raise UsageError(
                f"{given.typed[first]} and {given.typed[second]} say the same thing",
                hint="give one of them",
            )


def _asked(given: Given, notes: list[str]) -> tuple[str | None, str | None]:
    asked_type = given.get("inference_type")
    if asked_type == "int16":
        raise UsageError(
            "`--inference_type QUANTIZED_INT16` is not supported by tqconv",
            hint="use --quantize int16x8",
        )
    asked = _asked_modes(given)
    if len(set(asked.values())) > 1:
        (first, *_), (second, *_) = _distinct(asked)
        raise UsageError(f"{first} and {second} ask for different quantizations")
    mode = next(iter(asked.values()), None)
    if asked_type == "float":
        if given.get("quantize") in INTEGERS:
            raise _contradiction(given)
        asked_type = None
    if asked_type in (None, mode):
        return (None if mode == "float" else mode), type_by_toco(mode, asked_type)
    if mode is None:
        return asked_type, asked_type
    if "quantize" in given:
        raise _contradiction(given)
    # TOCO's rule (toco_tooling.cc): weight quantization overrides a quantized inference type.
    notes.append(
        f"{given.typed['inference_type']} is overridden by weight quantization, as in TOCO: "
        f"the model becomes {mode}"
    )
    return mode, None


def _contradiction(given: Given) -> UsageError:
    return UsageError(
        f"{given.typed['inference_type']} and {given.typed['quantize']} ask for different types"
    )


def _distinct(asked: Mapping[str, str]) -> list[tuple[str, str]]:
    by_mode = {mode: flag for flag, mode in asked.items()}
    return [(flag, mode) for mode, flag in by_mode.items()][:2]


def _asked_modes(given: Given) -> dict[str, str]:
    """Return flag as typed -> scheme, for each flag that asks for one."""
    asked: dict[str, str] = {}
    if "quantize" in given:
        asked[given.typed["quantize"]] = given.get("quantize")
    if given.get("float16"):
        asked[given.typed["float16"]] = "float16"
    elif given.get("weights") and _op_set(given) == "float":
        asked[given.typed["weights"]] = "dynamic"
    if _op_set(given) != "float":
        asked[given.typed["op_sets"]] = _op_set(given)
    return asked


def _op_set(given: Given) -> str:
    sets = set(given.get("op_sets", ()))
    if "select" in sets:
        raise UsageError(
            f"`{given.typed['op_sets']}` with TensorFlow's operators is not supported by tqconv",
            hint="leave them out: what has no translation is listed; --allow_custom_ops keeps it",
        )
    return next((name for name in ("int8", "int16x8") if name in sets), "float")
