"""Damage the bytes of every kind of file that is read, and report what must never happen.

    python bench/fuzz/bytes.py --seed 7 --count 10000 [--kinds tflite,images] [--keep FOLDER]

With `--models FOLDER` the models that lie there are damaged instead of the tests' own.
A finding is an exit code of 70, a signal, a minute of processor time, more than 1 GiB of memory, a
temporary file, or a result after an error; with `--run` also a result that LiteRT refuses, or of
which it computes something else than of the .tflite file that it was made of. The exit status is 1
where there is one. The same seed, kinds and number are the same trial; `--only NUMBER` runs it
alone.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2] / "tests"
sys.path[:0] = [str(TESTS), *(str(TESTS / "importers" / s) for s in ("tf", "onnx", "keras"))]

from damage import Trial, trials  # noqa: E402
from forks import import_all  # noqa: E402
from litert import judged  # noqa: E402
from sandbox import Sandbox  # noqa: E402
from seeds import all_seeds, seeds_of  # noqa: E402


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument("--count", type=int, default=1000, help="trials")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--kinds", default="", help="kinds of files, separated by commas")
    parser.add_argument("--models", type=Path, help="a folder of small models, the seeds instead")
    parser.add_argument("--only", type=int, help="the number of one trial")
    parser.add_argument("--run", action="store_true", help="run in LiteRT what is written")
    parser.add_argument("--keep", type=Path, help="where the files of findings go")
    return parser.parse_args()


def numbers(asked: argparse.Namespace) -> Iterator[int]:
    """Yield the numbers of the trials until the time is over."""
    if asked.only is not None:
        yield asked.only
        return
    end = time.monotonic() + asked.seconds
    yield from itertools.takewhile(lambda _: time.monotonic() < end, range(asked.count))


def keep(trial: Trial, box: Path, folder: Path) -> None:
    """Copy the files of a finding, and say what was run."""
    place = folder / f"{trial.seed.kind}-{trial.number}"
    shutil.copytree(box, place, dirs_exist_ok=True)
    facts = {
        "command": list(trial.command),
        "fault": trial.outcome.fault,
        "said": trial.outcome.said,
    }
    (place / "finding.json").write_text(json.dumps(facts, indent=1))


def said_by_litert(trial: Trial, box: Path) -> str:
    """Return what LiteRT has against a result, or nothing."""
    written = box / "out"
    if trial.outcome.code or trial.command[0] != "convert" or not written.exists():
        return ""
    source = box / "in" / trial.seed.damaged[0] if trial.seed.kind == "tflite" else None
    return judged(written.read_bytes(), None if source is None else source.read_bytes())


def main() -> int:
    """Run the trials and print a line for each finding, then counts of exit codes by kind."""
    asked = arguments()
    counts: Counter[tuple[str, int]] = Counter()
    findings = 0
    if asked.run:
        import_all()
    sandbox = Sandbox()
    with tempfile.TemporaryDirectory() as scratch:
        made, box = Path(scratch, "made"), Path(scratch, "box")
        made.mkdir()
        box.mkdir()
        seeds = all_seeds(made) if asked.models is None else seeds_of(asked.models)
        seeds = [s for s in seeds if not asked.kinds or s.kind in asked.kinds.split(",")]
        with contextlib.suppress(KeyboardInterrupt):  # what was found until then is said
            for trial in trials(seeds, box, asked.seed, numbers(asked), sandbox):
                counts[trial.seed.kind, trial.outcome.code] += 1
                if asked.run and not trial.outcome.fault:
                    outcome = replace(trial.outcome, fault=said_by_litert(trial, box))
                    trial = replace(trial, outcome=outcome)
                if trial.outcome.fault:
                    findings += 1
                    print(f"{trial.seed.kind} {trial.number}: {trial.outcome.fault}", flush=True)
                    if asked.keep is not None:
                        keep(trial, box / "in", asked.keep)
        sandbox.close()
    for kind in sorted({kind for kind, _ in counts}):
        codes = {code: n for (k, code), n in sorted(counts.items()) if k == kind}
        print(f"{kind:12s} {sum(codes.values()):7d} trials, exit codes {codes}")
    print(f"{findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
