"""Older runtimes: the operators that a release of TensorFlow Lite has no kernel for.

A release refuses an operator in a version that a later one brought; the writer always takes the
lowest version that says what the operator does. `passes/legal/older` knows other forms of some.
LiteRT counts its own releases from 1.0, cut with TensorFlow 2.17; the table of versions counts
TensorFlow's, and no record says which of LiteRT's brought what those after 2.17 did.
"""

from __future__ import annotations

import re

from tqconv.ir.graph import Op
from tqconv.ops.table import known, spec
from tqconv.ops.versions import released, runtime_version
from tqconv.targets.device import Device, Refusal
from tqconv.targets.rules import data, type_name

TENSORFLOW, LITERT = "tflite-", "litert-"
"""Prefixes of targets: the runtime in a release of TensorFlow, and LiteRT's own releases."""
_NAME = re.compile(rf"({TENSORFLOW}|{LITERT})(\d{{1,4}})\.(\d{{1,4}})(?:\.(\d{{1,4}}))?")
RECORDED = (2, 21, 0)
"""The release of TensorFlow whose table of versions this is."""

Release = tuple[int, int, int]


def parse(name: str) -> Device | None:
    """Return the runtime that a name such as `tflite-2.4` means; None where it is none."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    release = (int(found[2]), int(found[3]), int(found[4] or 0))
    word = ".".join(found.group(i) for i in (2, 3, 4) if found.group(i))
    if found[1] == LITERT:
        return Device(name, f"LiteRT {word}", None, (_unknown,))

    def old(op: Op) -> Refusal | None:
        return _too_new(op, release)

    return Device(name, f"the runtime of TensorFlow {word}", None, (_unknown, old))


def _version(op: Op) -> int:
    return op.version if op.version is not None else spec(op.type).version(op)


def _unknown(op: Op) -> Refusal | None:
    if op.type == "CUSTOM":
        return Refusal(
            f"custom operator {op.options.get('custom_code', '')}", "register its kernel"
        )
    return None if known(op.type) else Refusal(f"{op.type} is not an operator that tqconv knows")


def _too_new(op: Op, release: Release) -> Refusal | None:
    if not known(op.type):
        return None
    version = _version(op)
    if not released(op.type, version):
        if release > RECORDED:
            return None
        return Refusal(
            f"version {version} of {op.type} needs more than TensorFlow 2.21", _remedy(op)
        )
    needed = runtime_version(op.type, version)
    if tuple(map(int, needed.split("."))) <= release:
        return None
    return Refusal(f"version {version} of {op.type} needs TensorFlow {needed}", _remedy(op))


def _remedy(op: Op) -> str:
    """Return what gives an older version of an operator."""
    kinds = {type_name(t) for t in data(op)}
    if "int4" in kinds:
        return "--weight_bits 8"
    if "int16" in kinds:
        return "--quantize int8"
    if kinds & {"int8", "uint8"} and "float32" in kinds:
        return "--quantize int8, or no --quantize"
    return "--inference_type QUANTIZED_UINT8" if "int8" in kinds else ""
