"""Why a model has no plan: values without a range, and operators without an integer form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tqconv.errors import QuantizationError, counted
from tqconv.ir.graph import Op, Tensor

WITH_FLOATS = "without --integer_only such operators stay float, and `note: float:` names them"


class MissingRangesError(QuantizationError):
    """Tensors of which no range is known, all of them."""

    def __init__(self, tensors: Sequence[Tensor], *, pairs: bool = False) -> None:
        """Name the tensors. pairs: the source itself says ranges, of other tensors."""
        self.tensors, self.pairs = list(tensors), pairs
        each = list(dict.fromkeys(tensors))
        lines = list(_by_node(each))
        more = [f"  … {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        count = counted(len(each), "tensor")
        hint = (
            "give samples with `--calibration_data`, or ranges with `--ranges FILE` "
            "(`--write_ranges_template FILE` writes one to fill in); only to try speed and size, "
            "one guess for all of them: `--default_ranges_min` and `--default_ranges_max`"
        )
        if pairs:
            hint += "; without `--integer_only` the operators that the source rounds nothing of "
            hint += "stay float, and nothing is missing"
        super().__init__(
            "\n".join([f"{count} without a range of values", *lines[:SHOWN], *more]), hint=hint
        )


SHOWN = 10
"""Lines of the report."""


def _by_node(tensors: Sequence[Tensor]) -> Iterator[str]:
    """Yield a line for each node of the source that makes some of the tensors."""
    nodes: dict[tuple[str, str] | Tensor, list[Tensor]] = {}
    for tensor in tensors:
        origin = tensor.producer.source if tensor.producer is not None else None
        key = (origin.op_type, origin.node) if origin is not None and origin.node else tensor
        nodes.setdefault(key, []).append(tensor)
    for made in nodes.values():
        first, rest = made[0], f" and {len(made) - 1} more" if len(made) > 1 else ""
        yield f"  '{first.name}'{rest}, {_origin(first)}"


def _origin(tensor: Tensor) -> str:
    """Return the operator that makes a tensor, and of which node it is a part."""
    op = tensor.producer
    if op is None:
        return "an input"
    node = op.source
    part = node.node and node.op_type.upper() not in (op.type, op.type.replace("_", ""))
    whole = f" for {node.op_type} '{node.node}'" if part else ""
    return f"made by {op.type}{whole}"


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
