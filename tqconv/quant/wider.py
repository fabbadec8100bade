"""Where rounding makes noise, and plans that store some of these places in more bits.

Noise arises where a value is computed and rounded, not where it is moved afterwards. It is
gone where the operator that makes the value and all that read it, through moves, have 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tqconv.ir.graph import Graph, Op, Tensor, Use
from tqconv.quant.params import decode, encode
from tqconv.quant.plan import Plan, plan
from tqconv.quant.select import can_be_wide, is_same, operand_name, rule_of
from tqconv.records import dataclass


@dataclass(frozen=True)
class Site:
    """A source of noise: a tensor that is rounded, or the rounded weights of an operator.

    `wide`: operators that must have 16 bits to be rid of it; `real`: those that must be float, for
    lack of a kernel.
    """

    name: str
    tensor: Tensor | None
    op: Op | None
    wide: frozenset[Op]
    real: frozenset[Op]

    @property
    def ops(self) -> frozenset[Op]:
        """All operators that change."""
        return self.wide | self.real


def sites(graph: Graph, made: Plan) -> list[Site]:
    """Return the places where a plan's integers make noise, in the order of the graph.

    Those that cannot be rid of it are left out.
    """
    found = [*_of_tensors(graph, made), *_of_weights(made)]
    strict = made.request is not None and made.request.choice.integer_only
    return [site for site in found if site.ops and not (strict and site.real)]


def _of_tensors(graph: Graph, made: Plan) -> Iterator[Site]:
    if made.scheme.activation is None or made.scheme.activation.itemsize > 1:
        return
    for tensor in graph.tensors():
        if tensor not in made.tensors or _is_moved(tensor, made):
            continue
        ops = dict.fromkeys(_readers(tensor, made))
        if tensor.producer is not None:
            ops[tensor.producer] = None
        integer = [op for op in ops if op in made.types]
        wide = frozenset(op for op in integer if can_be_wide(op))
        yield Site(tensor.name, tensor, None, wide, frozenset(integer) - wide)


def _of_weights(made: Plan) -> Iterator[Site]:
    for op in made.types:
        if any(_weighs(op, index, made) for index in range(len(op.inputs))):
            name = f"weights of {op.output.name}"
            yield Site(name, None, op, frozenset(), frozenset([op]))


def _weighs(op: Op, index: int, made: Plan) -> bool:
    """Whether an input holds weights of 8 bits."""
    tensor, rule, params = op.inputs[index], rule_of(op), made.edges.get(Use(op, index))
    if tensor is None or not tensor.is_constant or rule is None or params is None:
        return False
    return operand_name(op, index) in rule.weight and params.dtype.itemsize == 1


def _is_moved(tensor: Tensor, made: Plan) -> bool:
    """Whether a tensor holds integers that were rounded before, in the same steps."""
    op = tensor.producer
    rule = rule_of(op) if op is not None else None
    if op is None or rule is None or op not in made.types:
        return False
    if not is_same(rule, made.types[op]) or rule.averages:
        return False
    params = made.tensors[tensor]
    read = [t for t in op.inputs if t in made.tensors]
    return bool(read) and all(params.equals(made.tensors[t]) for t in read if t is not None)


def _readers(tensor: Tensor, made: Plan) -> Iterator[Op]:
    """Yield the operators that read a value, through the moves that pass it on."""
    waiting, seen = [tensor], {tensor}
    while waiting:
        for use in waiting.pop().uses:
            yield use.op
            for output in use.op.outputs:
                if output in made.tensors and output not in seen and _passes(use.op, made):
                    seen.add(output)
                    waiting.append(output)


def _passes(op: Op, made: Plan) -> bool:
    rule = rule_of(op)
    return op in made.types and rule is not None and is_same(rule, made.types[op])


def widened(graph: Graph, made: Plan, chosen: Iterable[Site]) -> Plan:
    """Return the plan with more bits at these sites; fitted integers stay where they still fit."""
    request = made.request
    assert request is not None, "plans of TOCO's are not widened"
    wide, real = set(request.choice.wide), set(request.choice.real)
    for site in chosen:
        wide |= site.wide
        real |= site.real
    choice = replace(request.choice, wide=frozenset(wide - real), real=frozenset(real))
    fresh = plan(
        graph,
        made.scheme,
        request.found,
        choice,
        request.borders,
        request.wide,
        request.stored,
    )
    for use, codes in made.codes.items():
        old, new = made.edges.get(use), fresh.edges.get(use)
        if old is not None and new is not None:
            same = new.equals(old)
            fresh.codes[use] = codes if same else encode(decode(codes, old), new)
    fresh.notes = list(made.notes)
    return fresh
