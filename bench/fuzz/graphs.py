"""Convert random graphs and compare LiteRT's numbers with numpy's.

    python bench/fuzz/graphs.py --count 1000 --seed 1 [--quantize MODE]

Each graph is converted by the command line and run with and without LiteRT's default delegate, in a
process of its own, so that a crash costs one graph. MODE is one that `tqconv convert --quantize`
takes; integers at the borders are turned into reals by their parameters. A finding is: an exit code
other than 0, a file that LiteRT refuses, a crash, another shape, an error above 1e-4 of the largest
value (float), noise less than 15 dB below the mean power of all samples (quantized). Operators that
LiteRT cannot run on uint8 are none. Findings are printed with seed and number and kept; the exit
status is 1 when there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from forks import import_all
from graph_steps import MORE, TAME
from random_graphs import Array, Case, Grower

TOLERANCE = 1e-4
"""Of the largest value: up to eight float32 operators, each with a few roundings per element."""
LEAST_DB = 15.0
"""Eight operators in 8 bits keep far more; less is a wrong scale, not rounding."""
NO_KERNEL = "no uint8 kernel"
SECONDS = 60
"""Most processor time of a graph; a busy machine is no finding."""
FINE = {"right", NO_KERNEL}
CALIBRATED = ("int8", "int16x8", "uint8")
"""Modes that ask for samples."""
CALIBRATION = 16
"""Samples, of which the first two are judged."""


def main() -> int:
    options = _arguments()
    options.keep.mkdir(parents=True, exist_ok=True)
    outcomes: Counter[str] = Counter()
    import_all()
    for number in range(options.count) if options.only is None else [options.only]:
        said = _guarded(options, number)
        outcomes[said.partition(":")[0]] += 1
        if said not in FINE:
            print(f"{options.seed} {number}: {said}", flush=True)
    print(dict(outcomes))
    return int(not set(outcomes) <= FINE)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one graph")
    parser.add_argument("--quantize", default="", help="a mode of `tqconv convert --quantize`")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz_graphs")
    return parser.parse_args()


def _guarded(options: argparse.Namespace, number: int) -> str:
    """Judge one graph in a forked process; its death is an outcome, too."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            os.write(write, judged(options, number).encode()[:2000])
        except (ValueError, IndexError, TypeError, KeyError) as error:
            os.write(write, f"harness: {error!r}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    return said or f"died: signal {os.WTERMSIG(status)} {os.WEXITSTATUS(status)}"


def judged(options: argparse.Namespace, number: int) -> str:
    """Return "right", or what is wrong with the conversion of graph `number`."""
    samples = CALIBRATION if options.quantize else 2
    steps = TAME if options.quantize else TAME + MORE
    tame = bool(options.quantize)
    case = Grower([options.seed, number], steps, tame=tame, samples=samples).case()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        (place / "graph.pb").write_bytes(case.graph)
        said = _converted(case, place, options.quantize) or _compared(case, place, options.quantize)
    if NO_KERNEL in said:
        return NO_KERNEL
    if said:
        kept = options.keep / f"{options.seed}_{number}"
        kept.with_suffix(".pb").write_bytes(case.graph)
        kept.with_suffix(".json").write_text(json.dumps({"ops": case.ops, "said": said}))
    return f"{said} ({', '.join(case.ops)})" if said else "right"


def _converted(case: Case, place: Path, mode: str) -> str:
    from tqconv.cli.main import main as tqconv

    words = ["convert", str(place / "graph.pb"), "-o", str(place / "out.tflite")]
    words += ["--output_arrays", ",".join(case.outputs[0])]
    if case.inputs[0]:
        words += ["--input_arrays", ",".join(case.inputs[0])]
    if mode:
        words += ["--quantize", mode, *(["--min_weight_elements", "0"] * (mode == "dynamic"))]
    if mode in CALIBRATED:
        stacked = {n: np.stack([sample[n] for sample in case.inputs]) for n in case.inputs[0]}
        np.savez(place / "samples.npz", **stacked)
        words += ["--calibration_data", str(place / "samples.npz"), "--no_improve"]
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        code = tqconv(words)
    return f"exit {code}: {errors.getvalue().strip()[-300:]}" if code else ""


def _compared(case: Case, place: Path, mode: str) -> str:
    model = (place / "out.tflite").read_bytes()
    for delegate in (True, False):
        where = "with the delegate" if delegate else "with the builtin kernels"
        for fed, wanted in zip(case.inputs[:2], case.outputs[:2], strict=True):
            try:
                made = _run(model, fed, delegate)
            except (ValueError, RuntimeError) as error:
                return f"refused: {where}, {str(error).strip().splitlines()[-1]}"
            for (name, want), have in zip(wanted.items(), made, strict=True):
                said = _difference(want, have, _level(case, name) if mode and want.size else None)
                if said:
                    return f"wrong: {name} {where}: {said}"
    return ""


def _run(model: bytes, fed: dict[str, Array], delegate: bool) -> list[Array]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = "AUTO" if delegate else "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
    runner = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType[kernels], num_threads=1
    )
    details = runner.get_input_details()
    for detail in details:
        if tuple(detail["shape"]) != fed[detail["name"]].shape:
            runner.resize_tensor_input(detail["index"], fed[detail["name"]].shape)
    runner.allocate_tensors()
    for detail in details:
        runner.set_tensor(detail["index"], _stored(fed[detail["name"]], detail))
    runner.invoke()
    outputs = runner.get_output_details()
    return [
        _meant(
            np.zeros(d["shape"], d["dtype"]) if 0 in d["shape"] else runner.get_tensor(d["index"]),
            d,
        )
        for d in outputs
    ]


def _stored(array: Array, detail: dict[str, Any]) -> Array:
    """Return reals as the integers that stand for them at a border, where it has any."""
    scale, zero = detail["quantization"]
    if not scale or array.dtype != np.float32:
        return array
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.rint(array / scale) + zero, limits.min, limits.max).astype(detail["dtype"])


def _meant(array: Array, detail: dict[str, Any]) -> Array:
    """Return the reals that a border's integers stand for."""
    scale, zero = detail["quantization"]
    return (array.astype(np.float64) - zero) * scale if scale else array


def _level(case: Case, name: str) -> float:
    return float(np.mean([np.square(sample[name]) for sample in case.outputs]))


def _difference(want: Array, have: Array, level: float | None) -> str:
    """Return what is wrong with one output, or nothing.

    `level`: the mean square that the output has over all samples; one sample may be near zero.
    """
    if want.shape != have.shape:
        return f"shape {list(have.shape)}, not {list(want.shape)}"
    if want.dtype != np.float64:
        return "" if np.array_equal(want, have) else "integers differ"
    if not want.size:
        return ""
    error: Array = np.abs(have.astype(np.float64) - want)
    if level is not None:
        noise = float(np.mean(error**2))
        decibels = 10 * np.log10(max(level, 1e-12) / max(noise, 1e-30))
        return "" if decibels >= LEAST_DB else f"{decibels:.1f} dB"
    largest, worst = float(np.abs(want).max(initial=0)), float(error.max(initial=0))
    return "" if worst <= TOLERANCE * max(largest, 1.0) else f"error {worst:.2g} of {largest:.2g}"


if __name__ == "__main__":
    sys.exit(main())
