"""No damage to a file ends in an internal error, a signal, 1 GiB of memory or a file left over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sandbox as boxes
from damage import trials
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import encoded, fields, mutated
from sandbox import Sandbox
from seeds import all_seeds, command_of, write

FIRST = 1
"""The seed of the random numbers: the same in every run, the fuzzer takes any."""
TRIALS = 400
"""Some ten seconds; `bench/fuzz/bytes.py` runs as many as one likes."""


def test_damaged_files_end_in_an_error_or_a_result(tmp_path: Path) -> None:
    made, box = tmp_path / "made", tmp_path / "box"
    made.mkdir()
    box.mkdir()
    sandbox = Sandbox()
    try:
        found = list(trials(all_seeds(made), box, FIRST, iter(range(TRIALS)), sandbox))
    finally:
        sandbox.close()
    wrong = [(t.number, t.seed.kind, t.outcome) for t in found if t.outcome.fault]
    assert wrong == [], f"python bench/fuzz/bytes.py --seed {FIRST} --only NUMBER"
    codes = {t.outcome.code for t in found}
    assert {0, 3} <= codes, "both happen"


def test_every_seed_is_a_good_file(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    sandbox = Sandbox()
    try:
        for number, seed in enumerate(all_seeds(made)):
            box = tmp_path / str(number)
            write(seed, box)
            outcome = sandbox.run(command_of(seed, box, box / "out"))
            assert (outcome.code, outcome.fault) == (0, ""), f"{seed.kind}: {outcome.said}"
    finally:
        sandbox.close()


@pytest.mark.parametrize("number", range(20))
def test_damage_is_the_same_for_the_same_number(number: int) -> None:
    data = bytes(range(100))
    text = number % 2 == 0
    one, two = (mutated(data, random.Random(number), [data], text=text) for _ in range(2))
    assert one == two


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 2**64 - 1))))
@settings(max_examples=50, deadline=None)
def test_messages_are_taken_apart_and_put_together(numbers: list[tuple[int, int]]) -> None:
    message = [(number, 0, value) for number, value in numbers]
    inner = encoded(message)
    outer = encoded([(1, 2, inner), (2, 5, b"abcd")])
    assert encoded(fields(outer) or []) == outer


def test_what_the_sandbox_calls_a_fault(tmp_path: Path) -> None:
    sandbox = Sandbox()
    try:
        assert sandbox.run(["inspect", str(tmp_path / "none")]).code == 2
        assert sandbox.run(["--no-such-flag"]).fault == ""
    finally:
        sandbox.close()


def _spin() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "waits", "said"),
    [
        (_spin, 1000, "no end within 0.1 s of processor time"),
        (lambda: time.sleep(60), 3, "no end within 3 waits of 0.02 s"),
        (lambda: time.sleep(0.3), 1000, ""),
    ],
)
def test_only_processor_time_and_a_standstill_are_faults(
    work: Callable[[], None], waits: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxes, "SECONDS", 0.1)
    monkeypatch.setattr(boxes, "WAIT", 0.02)
    monkeypatch.setattr(boxes, "WAITS", waits)
    monkeypatch.setattr(
        boxes, "in_this_process", lambda _: work() or {"code": 0, "said": "", "fault": ""}
    )
    sandbox = Sandbox()
    try:
        assert sandbox.run([]).fault == said
    finally:
        sandbox.close()
