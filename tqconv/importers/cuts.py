"""Where a model can be cut, so that what has no translation lies outside."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from tqconv.config import Dims, LoadOptions
from tqconv.errors import TqconvError
from tqconv.ir.graph import Model
from tqconv.records import dataclass

SHOWN = 8
"""Tensors that an advice names; a cut of more is none."""


@dataclass(frozen=True)
class Advice:
    """What helps where nodes have no translation.

    cut: flags that leave such nodes out, or nothing. unkept: what goes wrong where they are kept
    with --allow_custom_ops, or nothing.
    """

    cut: str = ""
    unkept: str = ""


@dataclass(frozen=True)
class Cuts:
    """Tries to cut a model; only what was seen to work is advised.

    options: those that failed. inputs, outputs: the borders that failed, inputs in the order of
    shapes by position. maker: the node that makes a tensor, None where none does. read: the tensors
    that a node reads. attempt: imports the model with other options. asked: the shape that the
    readers of a tensor ask for, where the file does not say it.
    """

    options: LoadOptions
    inputs: Sequence[str]
    outputs: Sequence[str]
    maker: Callable[[str], str | None]
    read: Callable[[str], Iterable[str]]
    attempt: Callable[[LoadOptions], Model]
    asked: Callable[[str], Dims | None] = lambda _: None

    def advice(
        self, missing: Iterable[str], lost: Iterable[str], frontier: Sequence[str]
    ) -> Advice:
        """Return the flags that leave the most of the model, and why what is missing may not stay.

        missing: nodes without a translation; lost: what cannot be made because of them; frontier:
        tensors that can be made and that something lost reads.
        """
        best, text = 0, ""
        for options in (*self._ends(set(lost), frontier), *self._heads(set(missing))):
            model = self._tried(options)
            size = 0 if model is None else sum(len(graph.ops) for graph in model.all_graphs())
            if model is not None and size > best:
                best, text = size, self._flags(options, model)
        return Advice(text, self._unkept())

    def _ends(self, lost: set[str], frontier: Sequence[str]) -> Iterator[LoadOptions]:
        """Yield the outputs before what is lost, with those of the outputs that are not."""
        made = [t for t in self.outputs if not {t, self.maker(t)} & lost]
        computed = [t for t in frontier if t not in self.inputs and self._needed([t])]
        names = tuple(dict.fromkeys([*made, *computed]))
        if 0 < len(names) <= SHOWN:
            ended = replace(self.options, outputs=names)
            yield ended
            yield from self._narrowed(ended, self._needed(names))

    def _narrowed(self, options: LoadOptions, needed: Collection[str]) -> Iterator[LoadOptions]:
        """Yield options for the inputs that are still needed, where others have a shape or type."""
        places = [i for i, name in enumerate(self.inputs) if name in needed]
        named = {n: s for n, s in options.named_shapes.items() if n.removesuffix(":0") in needed}
        narrowed = replace(
            options,
            shapes=options.shapes and tuple(options.shapes[i] for i in places),
            dtypes=options.dtypes and tuple(options.dtypes[i] for i in places),
            named_shapes=named,
        )
        if narrowed != options:
            yield replace(narrowed, inputs=tuple(self.inputs[i] for i in places))

    def _heads(self, missing: set[str]) -> Iterator[LoadOptions]:
        """Yield the inputs behind what is missing; types by position say nothing of these."""
        if self.options.dtypes is not None:
            return
        heads = {t for t in self._upward(self.outputs, missing) if self.maker(t) in missing}
        kept = [name for name in self.inputs if name in self._needed(self.outputs, missing)]
        names = (*kept, *sorted(heads))
        if not heads or len(names) > SHOWN:
            return
        named = {n: s for n, s in self.options.named_shapes.items() if n.removesuffix(":0") in kept}
        if self.options.shapes is not None:
            pairs = zip(self.inputs, self.options.shapes, strict=True)
            named |= {name: s for name, s in pairs if name in kept and s is not None}
        fed = replace(self.options, inputs=names, shapes=None, named_shapes=named)
        yield fed
        asked = {name: shape for name in sorted(heads) if (shape := self.asked(name)) is not None}
        if asked:
            yield replace(fed, named_shapes={**named, **asked})

    def _needed(self, tensors: Iterable[str], ends: Collection[str] = ()) -> set[str]:
        """Return the inputs that tensors are computed from, but for those before some nodes."""
        return self._upward(tensors, ends) & set(self.inputs)

    def _upward(self, tensors: Iterable[str], ends: Collection[str]) -> set[str]:
        """Return the tensors that these are computed from, and these; `ends`: nodes to stop at."""
        seen: set[str] = set()
        stack = list(tensors)
        while stack:
            tensor = stack.pop()
            if tensor in seen:
                continue
            seen.add(tensor)
            node = self.maker(tensor)
            if node is not None and node not in ends and tensor not in self.inputs:
                stack += self.read(node)
        return seen

    def _flags(self, options: LoadOptions, model: Model) -> str:
        """Return the flags in which options differ that made a model, as a shell reads them."""
        words, before = [], self.options
        if options.inputs != before.inputs:
            words += ["--input_arrays", ",".join(options.inputs or ())]
        if options.outputs != before.outputs:
            words += ["--output_arrays", ",".join(options.outputs or ())]
        if (options.shapes, options.named_shapes) != (before.shapes, before.named_shapes):
            words += ["--input_shapes", _shapes_text(options, model)]
        if options.dtypes != before.dtypes:
            words += ["--input_data_types", ",".join(t or "" for t in options.dtypes or ())]
        return " ".join(word if word.startswith("--") else shlex.quote(word) for word in words)

    def _unkept(self) -> str:
        """Return why nodes without a translation cannot be kept as custom operators."""
        try:
            self.attempt(replace(self.options, allow_custom_ops=True))
        except TqconvError as error:
            return str(error)
        return ""

    def _tried(self, options: LoadOptions) -> Model | None:
        """Return the model that a cut leaves, where it works."""
        try:
            return self.attempt(options)
        except TqconvError:
            return None


def _shapes_text(options: LoadOptions, model: Model) -> str:
    """Return --input_shapes for a model, also where it only takes the place of an older one."""
    inputs = model.main.inputs
    if options.shapes is not None:
        return ":".join(_sizes(tensor.shape) for tensor in inputs)
    names = options.inputs or [tensor.name for tensor in inputs]
    named = dict(zip(names, (tensor.shape for tensor in inputs), strict=True))
    return ";".join(f"{n}={_sizes(s)}" for n, s in (options.named_shapes or named).items())


def _sizes(shape: Dims) -> str:
    return ",".join("?" if size is None else str(size) for size in shape)
