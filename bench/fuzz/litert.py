"""Whether LiteRT runs what was written, and computes what it computes of the source."""

from __future__ import annotations

import os
import pickle
import resource
import signal
from collections.abc import Callable
from typing import Any

import numpy as np

ADDRESSES = 4 << 30
"""Address space of a run: damaged sizes may ask for any memory."""
SECONDS = 20
"""Most processor time of a run; a busy machine is no finding."""
LARGEST = 10**7
"""Elements of an input; models that want more are not run."""
TOLERANCE = 1e-3
"""Of the largest value: damaged weights are far apart, and rounding with them."""

Outputs = list[Any]


def judged(written: bytes, source: bytes | None) -> str:
    """Return what is wrong with a written model, or nothing.

    source: the .tflite file that it was made of, which says what is right where LiteRT runs it.
    Without one, and where LiteRT does not run it, what LiteRT prepares is right; sizes that are not
    known may need others than 1.
    """
    if source is not None:
        wanted = forked(lambda: _run(source))
        if isinstance(wanted, list):
            made = forked(lambda: _run(written))
            return _difference(wanted, made) if isinstance(made, list) else f"LiteRT: {made}"
    said = forked(lambda: _prepared(written))
    return f"LiteRT: {said}" if isinstance(said, str) and said else ""


def forked(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a process of its own, or how that ended, as text."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(work(), pipe)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        answer = pipe.read()
    status = os.waitpid(child, 0)[1]
    return pickle.loads(answer) if answer else f"signal {os.WTERMSIG(status)}"


def _interpreter(model: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=model, experimental_op_resolver_type=kernels, num_threads=1)


def _prepared(model: bytes) -> str:
    """Return why LiteRT does not prepare a model whose sizes are known, or nothing."""
    try:
        runner = _interpreter(model)
        inputs = runner.get_input_details()
        known = all(-1 not in d["shape_signature"] for d in inputs)
        if not known or sum(int(np.prod(d["shape"], dtype=np.float64)) for d in inputs) > LARGEST:
            return ""
        runner.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        return str(error).strip()[-200:]  # without a word where memory is short
    except MemoryError:
        return ""
    return ""


def _run(model: bytes) -> Outputs | str:
    """Return the outputs of random inputs, or why there are none."""
    try:
        runner = _interpreter(model)
        inputs = runner.get_input_details()
        if any(np.prod(d["shape"], dtype=np.float64) > LARGEST for d in inputs):
            return "too large"
        runner.allocate_tensors()
        rng = np.random.default_rng(1)
        for detail in inputs:
            dtype = detail["dtype"]
            if dtype in (np.bytes_, np.object_):
                return "strings"
            reals = np.issubdtype(dtype, np.inexact)
            x = (
                rng.uniform(-1, 1, detail["shape"])
                if reals
                else rng.integers(0, 2, detail["shape"])
            )
            runner.set_tensor(detail["index"], np.asarray(x).astype(dtype))
        runner.invoke()
        names = {
            d["index"]: d["name"] or f"tensor_{d['index']}" for d in runner.get_output_details()
        }
        outputs = sorted(runner.get_output_details(), key=lambda d: names[d["index"]])
        return [
            np.zeros(d["shape"]) if 0 in d["shape"] else runner.get_tensor(d["index"])
            for d in outputs
        ]
    except (ValueError, RuntimeError, MemoryError) as error:
        return str(error).strip()[-200:] or type(error).__name__


def _difference(wanted: Outputs, made: Outputs) -> str:
    if len(wanted) != len(made):
        return f"{len(made)} outputs, not {len(wanted)}"
    for want, have in zip(wanted, made, strict=True):
        if want.shape != have.shape:
            return f"an output of shape {list(have.shape)}, not {list(want.shape)}"
        if want.dtype.kind not in "fc":
            if want.size and not np.array_equal(want, have):
                return "an output with other integers"
            continue
        finite = np.isfinite(want)
        largest = np.abs(want[finite]).max(initial=1e-30)
        if largest > 1e30 or not finite.all():
            continue
        if not np.allclose(want, have, rtol=0, atol=TOLERANCE * largest):
            return f"an output that differs by {np.abs(want - have).max():.3g} of {largest:.3g}"
    return ""
