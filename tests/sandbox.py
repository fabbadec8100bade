"""The command line in processes that may crash, hang or run out of memory without harm."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 1 << 20
MEMORY = 1024 * MIB
"""What a small file may take, beyond what the process has when it starts."""
ADDRESSES = 4096 * MIB
"""Address space of the process: a bomb ends in an error of its own, not in one of the machine."""
SECONDS = 60.0
"""Most processor time of a run, in seconds: some thousand times what the seeds take."""
WAITS = 60
WAIT = 10.0
"""Waits, of so many seconds, for a run that computes nothing. They are counted, not clocked: while
a machine stands still, however long, one passes."""
RENEWED = 300
"""Runs after which a process is replaced: peaks of memory do not shrink."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `fault`: what must never happen, or nothing."""

    code: int
    said: str
    fault: str = ""


class Sandbox:
    """A process that runs command lines one after the other; it is replaced when it dies."""

    def __init__(self) -> None:
        self._pid = 0
        self._runs = 0
        self._to = self._from = -1

    def run(self, arguments: Sequence[str]) -> Outcome:
        """Run one command line; a process that dies or hangs costs that run alone."""
        if not self._pid or self._runs >= RENEWED:
            self.close()
            self._start()
        self._runs += 1
        os.write(self._to, json.dumps(list(arguments)).encode() + b"\n")
        text, waits = b"", 0
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self._from], [], [], WAIT)
            if not ready:
                waits += 1
                if waits < WAITS:
                    continue
                os.kill(self._pid, signal.SIGKILL)
                self._wait()
                return Outcome(-1, "", f"no end within {waits} waits of {WAIT:g} s")
            piece = os.read(self._from, 1 << 16)
            if not piece:
                return Outcome(-1, "", self._wait())
            text += piece
        outcome = Outcome(**json.loads(text))
        if outcome.fault:
            self._runs = RENEWED  # a peak of memory would be the next run's, too
        return outcome

    def close(self) -> None:
        """End the process."""
        if self._pid:
            os.close(self._to)
            self._to = -1
            self._wait()

    def _wait(self) -> str:
        _, status = os.waitpid(self._pid, 0)
        self._pid = self._runs = 0
        for end in (self._to, self._from):
            if end >= 0:
                os.close(end)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number == signal.SIGPROF:
                return f"no end within {SECONDS:g} s of processor time"
            return f"signal {number}"
        return f"the process ended with {os.WEXITSTATUS(status)}"

    def _start(self) -> None:
        inner, self._to = os.pipe()
        self._from, outer = os.pipe()
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid:
            os.close(inner)
            os.close(outer)
            return
        try:
            os.close(self._to)
            os.close(self._from)
            _serve(inner, outer)
        finally:
            os._exit(0)


def _serve(inner: int, outer: int) -> None:
    """Run what arrives, in a process that may have `MEMORY` more than it has now."""
    import tqconv.cli.convert
    import tqconv.importers.tf.graphdef
    import tqconv.importers.tflite.reader  # noqa: F401

    has = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    with os.fdopen(inner, "rb") as lines:
        for line in lines:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)  # its signal ends the process
            outcome = in_this_process(json.loads(line))
            signal.setitimer(signal.ITIMER_PROF, 0)
            took = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - has
            if took > MEMORY and not outcome["fault"]:
                outcome["fault"] = f"{took // MIB} MiB of memory"
            os.write(outer, json.dumps(outcome).encode() + b"\n")


def in_this_process(arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command line; the fields of an `Outcome`. 70 is a fault, and so is what is raised."""
    from tqconv.cli.main import main

    said = io.StringIO()
    fault = ""
    code = -1
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            code = main(list(arguments))
        except SystemExit as stop:
            fault = f"SystemExit {stop.code}"
    text = said.getvalue()
    if code == 70:
        fault = text.strip().splitlines()[0][:200] if text.strip() else "70"
    return {"code": code, "said": text[-1000:], "fault": fault}


def left_behind(folder: Path, before: set[str], target: Path, code: int) -> str:
    """Return what a run left that it should not have: temporary files, a result of an error."""
    fresh = sorted({p.name for p in folder.iterdir()} - before - {target.name})
    if fresh:
        return f"left {', '.join(fresh)}"
    return "a result after an error" if code and target.exists() else ""


def sandboxed(work: Callable[[Sandbox], None]) -> None:
    """Call `work` with a sandbox, and close it."""
    sandbox = Sandbox()
    try:
        work(sandbox)
    finally:
        sandbox.close()
