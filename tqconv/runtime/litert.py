"""The only module that runs models: a thin cover of LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tqconv.errors import DependencyError, UsageError, VerificationError
from tqconv.runtime.native_log import without_chatter

Array = NDArray[Any]
Feed = Mapping[str, Array]
"""One sample: an array for each graph input, by name."""


class Session:
    """A model that is ready to run.

    `delegate`: with XNNPACK, as users run it, or with the builtin kernels alone; `preserve`: every
    tensor can be read after a run, at the price of memory and, with the delegate, of its speed.
    One thread: two take a tenth to three times more processor time.
    Raises VerificationError where LiteRT refuses the model, DependencyError where it is missing.
    """

    def __init__(
        self,
        content: bytes,
        *,
        delegate: bool = True,
        preserve: bool = False,
    ) -> None:
        interpreter, resolvers = _runtime()
        kind = "AUTO" if delegate else "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
        try:
            with without_chatter():
                self._interpreter = interpreter(
                    model_content=content,
                    num_threads=1,
                    experimental_op_resolver_type=resolvers[kind],
                    experimental_preserve_all_tensors=preserve,
                )
        except (ValueError, RuntimeError) as error:
            raise _refused(error) from error
        self._inputs = {d["name"]: d for d in self._interpreter.get_input_details()}
        self._outputs = list(self._interpreter.get_output_details())
        self._shapes: dict[str, tuple[int, ...]] = {}

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, in order."""
        return list(self._inputs)

    def run(self, feed: Feed) -> None:
        """Run one sample; states of earlier samples are forgotten."""
        try:
            self._prepare(feed)
            for name, array in feed.items():
                self._interpreter.set_tensor(self._inputs[name]["index"], array)
            self._interpreter.reset_all_variables()
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise _refused(error) from error

    def _prepare(self, feed: Feed) -> None:
        if set(feed) != set(self._inputs):
            raise UsageError(f"the model reads {self.input_names}, got {list(feed)}")
        shapes = {name: array.shape for name, array in feed.items()}
        if shapes == self._shapes:
            return
        for name, shape in shapes.items():
            if self._shapes.get(name, tuple(self._inputs[name]["shape"])) != shape:
                self._interpreter.resize_tensor_input(self._inputs[name]["index"], shape)
        with without_chatter():
            self._interpreter.allocate_tensors()
        self._shapes = shapes

    def output(self, position: int) -> Array:
        """Return an output of the last run as a view: it is overwritten by the next run.

        Strings are copied: LiteRT's view of them ends the process.
        """
        wanted = self._outputs[position]
        try:
            if np.dtype(wanted["dtype"]).kind in "SUO":
                return np.asarray(self._interpreter.get_tensor(wanted["index"]))
            return np.asarray(self._interpreter.tensor(wanted["index"])())
        except ValueError as error:
            detail = self._interpreter.get_output_details()[position]
            if 0 in detail["shape"]:  # LiteRT has no views of tensors without elements
                return np.zeros(detail["shape"], detail["dtype"])
            raise _refused(error) from error

    def outputs(self) -> list[Array]:
        """Return copies of all outputs of the last run."""
        return [np.array(self.output(i)) for i in range(len(self._outputs))]


def run(content: bytes, feeds: Sequence[Feed], *, delegate: bool = True) -> list[list[Array]]:
    """Return the outputs of each sample."""
    session = Session(content, delegate=delegate)
    results = []
    for feed in feeds:
        session.run(feed)
        results.append(session.outputs())
    return results


def version() -> str:
    """Return the version of LiteRT that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ai-edge-litert")
    except PackageNotFoundError:
        return "unknown"


def _runtime() -> tuple[Any, Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError as error:
        raise DependencyError(
            "running a model needs LiteRT", hint="pip install ai-edge-litert"
        ) from error
    return Interpreter, OpResolverType


def _refused(error: Exception) -> VerificationError:
    lines = str(error).strip().splitlines()
    return VerificationError(f"LiteRT refuses the model: {lines[-1] if lines else error!r}")
