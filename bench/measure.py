"""Whole-process time and memory of commands, run in turn.

Standard library only, and no large data in the caller: Linux counts the caller's own peak memory
towards a child until the child has started its program, so a thin caller keeps the figures true.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

MEBIBYTE = 1024.0  # ru_maxrss is in KiB on Linux
# pip writes the bytecode of what it installs; a checkout has it after the first run, where this
# variable does not forbid it: with it, tqconv alone would be compiled anew in each run (0.3 s).
ENVIRONMENT = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True)
class Run:
    """One process from start to exit; CPU time is user and system together."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


def run(command: Sequence[str]) -> Run:
    """One run of `command`; stops this program with the command's messages when it fails."""
    with tempfile.TemporaryFile() as printed:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=printed, stderr=subprocess.STDOUT, env=ENVIRONMENT
        )
        # wait4 gives this child's usage; RUSAGE_CHILDREN holds the maximum over all of them.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            printed.seek(0)
            messages = printed.read().decode(errors="replace")[-2000:]
            sys.exit(f"`{' '.join(command)}` failed with {process.returncode}\n{messages}")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEBIBYTE)


def in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """Run every command `rounds` times, interleaved, the order reversed every other round.

    One uncounted run of each first fills the file cache and writes Python's bytecode.
    """
    for command in commands.values():
        run(command)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for index in range(rounds):
        for name in list(commands)[:: -1 if index % 2 else 1]:
            runs[name].append(run(commands[name]))
    return runs


def medians(runs: Sequence[Run]) -> Run:
    columns = zip(*(asdict(r).values() for r in runs), strict=True)
    return Run(*(statistics.median(c) for c in columns))


def comparison(title: str, ours: Sequence[Run], theirs: Sequence[Run]) -> dict[str, object]:
    """Medians of both sides, and the median over the rounds of theirs / ours."""
    return {
        "what": title,
        "tqconv": asdict(medians(ours)),
        "tensorflow": asdict(medians(theirs)),
        "time_ratio": ratio([r.seconds for r in theirs], [r.seconds for r in ours]),
        "memory_ratio": ratio([r.peak_mib for r in theirs], [r.peak_mib for r in ours]),
        "rounds": len(ours),
    }


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def print_comparisons(rows: Sequence[Mapping[str, object]]) -> None:
    print("| | tqconv s | TensorFlow s | time ratio | tqconv MiB | TensorFlow MiB | memory ratio |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ours, theirs = row["tqconv"], row["tensorflow"]
        print(
            f"| {row['what']} | {ours['seconds']:.2f} | {theirs['seconds']:.2f} "
            f"| {row['time_ratio']:.1f} | {ours['peak_mib']:.0f} | {theirs['peak_mib']:.0f} "
            f"| {row['memory_ratio']:.1f} |"
        )


def comparison_parser(description: str | None) -> argparse.ArgumentParser:
    """The flags of programs that measure both sides."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tf-python", required=True, help="interpreter that has TensorFlow")
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7, help="measured runs of each side")
    parser.add_argument("--tqconv", help="tqconv command; default: this interpreter's module")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    return parser


def tqconv_command(given: str | None) -> list[str]:
    """The command to measure: `given`, else the tqconv of this interpreter."""
    return [sys.executable, "-m", "tqconv"] if given is None else [given]


def write_json(path: pathlib.Path | None, result: object) -> None:
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n")


def two_commands(
    description: str | None,
    train: Callable[[argparse.Namespace], None],
    report: Callable[[argparse.Namespace], None],
) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return a parser of `train` and `report`, for `obey`, and that of `train`, to which to add."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    training, reporting = commands.add_parser("train"), commands.add_parser("report")
    reporting.add_argument("--tqconv", help="tqconv command; default: this interpreter's module")
    reporting.add_argument("--json", type=pathlib.Path, help="write the rows here")
    for command, action in ((training, train), (reporting, report)):
        command.add_argument("--workdir", type=pathlib.Path, required=True)
        command.set_defaults(action=action)
    return parser, training


def obey(parser: argparse.ArgumentParser) -> None:
    """Do what the command line asks of such a parser, in a folder that exists then."""
    options = parser.parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    options.action(options)
