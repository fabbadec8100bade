"""The import of one model, whatever its format: handlers are called, problems are collected.

An importer walks its nodes in an order in which inputs come first. For each node it makes a builder
and asks for the translation:

    translation = Translation(REGISTRY, path.name, model.notes, options.allow_custom_ops)
    for node in nodes:
        b = Builder(graph, Source(path.name, node.name, node.op), node.name)
        values[node.name] = translation.translate(b, [values[i] for i in node.inputs], node.decode)
    translation.raise_failures([values[o] for o in outputs], reads)

A node whose translation fails does not stop the walk: it makes `Failed`, what depends on it fails
silently, and only failures that reach an output are reported, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from tqconv.compose.builder import Builder
from tqconv.compose.dims import Origins
from tqconv.config import ArrayRange
from tqconv.errors import FormatError, TqconvError, UnsupportedError, counted
from tqconv.importers.cuts import Advice
from tqconv.importers.registry import Handler, Registry
from tqconv.ir.graph import Graph, Op, Tensor
from tqconv.ops.table import known, spec
from tqconv.records import dataclass

SHOWN_NODES = 4
"""Node names listed per missing operator."""

MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What a handler stumbles over in a node whose inputs or attributes are not its operator's."""

Reads = Callable[[str], Iterable[tuple[str, str]]]
"""Returns what a node reads: the name of each computed tensor, and of the node that makes it."""
Advise = Callable[[Mapping[str, str], Collection[str], Sequence[str]], Advice]
"""Returns what helps where nodes have no translation; `Cuts.advice` says of what."""


def no_advice(missing: Mapping[str, str], lost: Collection[str], frontier: Sequence[str]) -> Advice:
    """Advise nothing, where a model is only tried."""
    return Advice()


@dataclass(frozen=True)
class Failed:
    """What depends on a node that could not be translated; `node` is that node."""

    node: str


class ReportedError(TqconvError):
    """A node cannot be made because of `node`, whose failure is recorded already."""

    def __init__(self, node: str) -> None:
        super().__init__(f"depends on '{node}', which cannot be translated")
        self.node = node


@dataclass
class Translation:
    """What the nodes of one model became so far, and what went wrong."""

    registry: Registry
    file: str
    notes: list[str] = field(default_factory=list)
    allow_custom_ops: bool = False
    """Operators without a handler go to the registry's handler `*`."""
    array_ranges: Sequence[ArrayRange] = ()
    """Ranges that the user said for names of the source."""
    opset: int = 0
    missing: dict[str, str] = field(default_factory=dict)
    """Node -> its operator, which has no handler."""
    problems: dict[str, TqconvError] = field(default_factory=dict)
    """Node -> why its handler refused it."""
    lost: dict[str, None] = field(default_factory=dict)
    """Nodes that cannot be made, and tensors of others that cannot, in order."""
    unshaped: dict[int, Tensor] = field(default_factory=dict)
    """What custom operators make, where their nodes do not say its shape."""
    origins: Origins = field(default_factory=dict)
    """What was found of open sizes; graphs only grow while their nodes are translated."""

    def translate(
        self,
        b: Builder,
        inputs: Sequence[Any],
        attributes: Callable[[], Mapping[str, Any]],
        op: str | None = None,
    ) -> Sequence[Any] | Failed:
        """Call the handler of the node that `b` stands for; a failure is recorded and returned.

        attributes: decodes those of the node, whose problem it is where that fails. op: the
        operator's name in the registry, where it is not the one that people read. The tensors that
        the handler makes get the builder's name, from the second on with `:1` and so on.
        """
        made = self._made(b, inputs, attributes, b.source.op_type if op is None else op)
        node = b.source.node
        if isinstance(made, Failed):
            self.lost[node] = None
            return made
        lost = [i for i, value in enumerate(made) if isinstance(value, Failed)]
        self.lost |= {f"{node}:{i}" if i else node: None for i in lost}
        return made

    def _made(
        self,
        b: Builder,
        inputs: Sequence[Any],
        attributes: Callable[[], Mapping[str, Any]],
        op: str,
    ) -> Sequence[Any] | Failed:
        handler = self.handler(b.source.node, op)
        failed = next((x for x in inputs if isinstance(x, Failed)), None)
        if failed is not None:
            return failed
        if handler is None:
            return Failed(b.source.node)
        operands = [x for x in inputs if not isinstance(x, Failed)]
        needs_shape = self._shape_error(op, operands)
        count = len(b.graph.ops)
        try:
            made = self.registry.call(handler, b, operands, attributes())
            if needs_shape is not None and not all(map(_is_by_element, b.graph.ops[count:])):
                raise needs_shape
        except ReportedError as error:
            return Failed(error.node)
        except TqconvError as error:
            return self.failed(b, needs_shape or error)
        except MemoryError as error:
            return self.failed(b, caused("it needs more memory than there is", error))
        except MALFORMED as error:
            problem = caused(f"the node does not fit its operator: {error}", error)
            return self.failed(b, needs_shape or problem)
        self._name_outputs(b.graph, b.name, made, count)
        if needs_shape is not None:
            self.unshaped |= {id(t): t for t in made if isinstance(t, Tensor)}
        return made

    def failed(self, b: Builder, problem: TqconvError) -> Failed:
        """Record why a node cannot be translated."""
        problem.where = b.source if problem.where is None else problem.where
        self.problems[b.source.node] = problem
        self.lost[b.source.node] = None
        return Failed(b.source.node)

    def handler(self, node: str, op: str) -> Handler | None:
        """Return the handler of a node; one that is missing is noted for the report."""
        handler = self.registry.find(op, self.opset)
        if handler is None and self.allow_custom_ops:
            handler = self.registry.find("*")
        if handler is None:
            self.missing[node] = op
        return handler

    def _shape_error(self, op: str, inputs: Sequence[Tensor | None]) -> TqconvError | None:
        """Return the error of a node that reads a tensor whose shape nobody knows, else None."""
        if not self.unshaped:
            return None
        unknown = next((t for t in inputs if t is not None and id(t) in self.unshaped), None)
        looks = self.registry.find(op, self.opset) is not None and op not in self.registry.pass_on
        if unknown is None or not looks:
            return None
        return UnsupportedError(
            f"the shape of '{unknown.name}' is not known: the custom operator that makes it "
            "does not say it",
            hint="give its node the attribute `_output_shapes` (ONNX: a value_info), or let the "
            "model end there",
        )

    def _name_outputs(self, graph: Graph, name: str, made: Sequence[Any], count: int) -> None:
        """Give what this node made the node's name; values that only pass through keep theirs."""
        fresh = {id(op) for op in graph.ops[count:]}
        for index, tensor in enumerate(made):
            if not isinstance(tensor, Tensor):
                continue
            wanted = name if index == 0 else f"{name}:{index}"
            is_new = tensor.producer is not None and id(tensor.producer) in fresh
            if is_new or (tensor.is_constant and tensor.name.startswith(name + "/")):
                graph.release(tensor.name)
                tensor.name = graph.unique(wanted)
            self.say_range(wanted, tensor)

    def say_range(self, name: str, tensor: Tensor) -> None:
        """Set the range that the user said for this name, where no name said one before."""
        for said in self.array_ranges:
            if said.matches(name) and (tensor.range is None or tensor.range.kind != "user"):
                tensor.range = said.range

    def raise_failures(
        self, values: Iterable[object], reads: Reads, advise: Advise = no_advice
    ) -> None:
        """Raise one error for everything that keeps these values from being made."""
        if not any(isinstance(v, Failed) for v in values):
            return
        error = self._failure(reads, advise)
        if isinstance(error, UnsupportedError):
            why = {node: problem.message for node, problem in self.problems.items()}
            error.nodes = {**dict.fromkeys(self.missing, "no translation"), **why}
        raise error

    def _failure(self, reads: Reads, advise: Advise) -> TqconvError:
        """Return the one error for everything that went wrong."""
        if self.missing:
            advice = advise(self.missing, self.lost, self._frontier(reads))
            return missing_error(self.missing, self.file, advice)
        problems = list(self.problems.values())
        if len(problems) == 1:
            return problems[0]
        lines = [f"  {problem}" for problem in problems]
        return UnsupportedError(
            f"{len(problems)} nodes of {self.file} cannot be translated\n" + "\n".join(lines),
            hint=next((p.hint for p in problems if p.hint), None),
        )

    def _frontier(self, reads: Reads) -> list[str]:
        """Return the computed tensors that can be made and that a node reads which cannot."""
        read = dict.fromkeys(operand for node in self.lost for operand in reads(node))
        return [tensor for tensor, node in read if not {tensor, node} & self.lost.keys()]


def caused(message: str, error: Exception) -> FormatError:
    """Return the error of a node that made a handler stumble."""
    problem = FormatError(
        message, hint="is the graph damaged? if not, report this with the output of --debug"
    )
    problem.__cause__ = error
    return problem


def missing_error(missing: Mapping[str, str], file: str, advice: Advice) -> UnsupportedError:
    """Return the report of all operators without a translation: counts and node names."""
    by_op: dict[str, list[str]] = {}
    for name, op in missing.items():
        by_op.setdefault(op, []).append(name)
    width = max(len(op) for op in by_op)
    lines = []
    for op, names in sorted(by_op.items()):
        more = f", … {len(names) - SHOWN_NODES} more" if len(names) > SHOWN_NODES else ""
        lines.append(f"  {op:<{width}} x{len(names):<3} {', '.join(names[:SHOWN_NODES])}{more}")
    verb = "have" if len(by_op) > 1 else "has"
    return UnsupportedError(
        f"{counted(len(by_op), 'operator')} of {file} {verb} no TFLite translation\n"
        + "\n".join(lines),
        hint=_ways(advice),
    )


ELSE = "let the model end before them (--output_arrays), or begin behind them (--input_arrays)"


def _ways(advice: Advice) -> str:
    """Return what can be done about operators without a translation."""
    ways = [f"cut them off with `{advice.cut}`"] if advice.cut else []
    if advice.unkept:
        return f"{(ways or [ELSE])[0]}; --allow_custom_ops does not do here: {advice.unkept}"
    return ", or ".join([*ways, "keep them with `--allow_custom_ops`"])


def _is_by_element(op: Op) -> bool:
    """Whether an operator changes the elements of one tensor, each by itself."""
    row = spec(op.type) if known(op.type) else None
    others = [t for t in op.inputs if t is not None and not t.is_constant]
    numbers = all(t is None or not t.is_constant or t.size == 1 for t in op.inputs)
    return row is not None and row.layout.kind == "elementwise" and len(others) == 1 and numbers
