"""Why a model has no plan: values without a range, and operators without an integer form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tqconv.errors import QuantizationError, counted
from tqconv.ir.graph import Op, Tensor

WITH_FLOATS = "without --integer_only such operators stay float, and `note: float:` names them"


class MissingRangesError(QuantizationError):
    """Tensors of which no range is known, all of them."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.tensors = list(tensors)
        lines = list(dict.fromkeys(f"  '{t.name}', {_origin(t)}" for t in tensors))
        more = [f"  … {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        count = counted(len(lines), "tensor")
        super().__init__(
            "\n".join([f"{count} without a range of values", *lines[:SHOWN], *more]),
            hint="give samples with `--calibration_data`, or ranges with `--ranges FILE` "
            "(`--write_ranges_template FILE` writes one to fill in), or `--default_ranges_min` and "
            "`--default_ranges_max` for all of them",
        )


SHOWN = 10
"""Tensors that the report names."""


def _origin(tensor: Tensor) -> str:
    return "an input" if tensor.producer is None else f"made by {tensor.producer.type}"


def float_report(floats: Mapping[Op, str], hint: str | None = None) -> QuantizationError:
    """Return the error that lists the operators without an integer form, by reason."""
    by_reason: dict[str, list[Op]] = {}
    for op, reason in floats.items():
        by_reason.setdefault(f"{op.type} {reason}", []).append(op)
    lines = [f"{counted(len(floats), 'operator')} cannot run on integers"]
    for reason, ops in by_reason.items():
        names = ", ".join(f"'{op.name}'" for op in ops[:4])
        lines.append(f"  {reason}: {names}{f', … {len(ops) - 4} more' if len(ops) > 4 else ''}")
    return QuantizationError("\n".join(lines), hint=hint)
