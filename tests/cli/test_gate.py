"""--min_sqnr and --min_agreement: a result that is too far from the float model is not written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from graph_text import parse

import tqconv as api
from tqconv.errors import UsageError, VerificationError
from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Model
from tqconv.runtime.compare import compare

if TYPE_CHECKING:
    from .conftest import Tqconv

COUNT = 12


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a model with two outputs."""
    model = Model([parse("x: f32[1,8] -> kept, lost\nkept = MUL(x, x)\nlost = ADD(x, x)")])
    api.save(model, tmp_path / "float.tflite")
    return tmp_path / "float.tflite"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return samples of one magnitude, each with a clear largest element."""
    samples = np.random.default_rng(3).uniform(0.2, 0.5, (COUNT, 8)).astype(np.float32)
    samples[np.arange(COUNT), np.arange(COUNT) % 8] = 1.0
    np.save(tmp_path / "good.npy", samples)
    return tmp_path / "good.npy"


@pytest.fixture
def poor(tmp_path: Path) -> Path:
    """Return samples of which one is a thousand times as large as the others: they become zeros."""
    samples = np.random.default_rng(4).uniform(0.1, 0.9, (COUNT, 8)).astype(np.float32)
    samples[:, 0] = 0.0
    samples[0] *= 1000
    np.save(tmp_path / "poor.npy", samples)
    return tmp_path / "poor.npy"


def int8(source: Path, data: Path, *words: str) -> list[str]:
    target = source.with_name("m.tflite")
    known = ["--quantize", "int8", "--no_improve", "--calibration_data", str(data)]
    return ["convert", str(source), "-o", str(target), *known, *words]


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize(
    ("gate", "code"),
    [
        (["--min_sqnr", "20"], 0),
        (["--min_sqnr", "90"], 7),
        (["--min_agreement", "1"], 0),
        (["--min_sqnr", "20", "--min_agreement", "0.9"], 0),
    ],
)
def test_a_result_is_written_where_it_is_good_enough(
    tqconv: Tqconv, source: Path, good: Path, gate: list[str], code: int, verify: bool
) -> None:
    words = [*gate, "--verify", str(good)] if verify else gate
    result = tqconv(*int8(source, good, *words))
    assert result.code == code, result.err
    assert source.with_name("m.tflite").exists() == (code == 0)
    assert "WARNING" not in result.err


def test_every_output_that_fails_is_named_and_the_target_stays(
    tqconv: Tqconv, source: Path, poor: Path
) -> None:
    target = source.with_name("m.tflite")
    target.write_bytes(b"an older result")
    result = tqconv(*int8(source, poor, "--min_sqnr", "20", "--min_agreement", "0.99"))
    assert result.code == 7
    assert result.out == ""
    for name in ("kept", "lost"):
        assert re.search(rf"output '{name}' keeps -?[\d.]+ dB \(--min_sqnr 20\)", result.err)
        assert re.search(rf"output '{name}' agrees on 0\.\d+ of the samples", result.err)
    assert f"on {COUNT} samples" in result.err
    assert "--keep_float" in result.err
    assert "--int16" in result.err
    assert target.read_bytes() == b"an older result"


def test_verify_judges_where_both_are_given(
    tqconv: Tqconv, source: Path, good: Path, poor: Path
) -> None:
    assert tqconv(*int8(source, poor, "--min_sqnr", "20")).code == 7
    result = tqconv(*int8(source, good, "--min_sqnr", "20", "--verify", str(poor)))
    assert result.code == 7
    assert tqconv(*int8(source, good, "--min_sqnr", "20", "--verify", str(good))).code == 0


@pytest.mark.parametrize("verify", [False, True])
def test_an_output_that_is_lost_is_a_warning(
    tqconv: Tqconv, source: Path, poor: Path, verify: bool
) -> None:
    result = tqconv(*int8(source, poor, *(["--verify", str(poor)] if verify else [])))
    assert result.code == 0
    seen = COUNT if verify else 8
    wanted = rf"note: WARNING: OUTPUT 'lost' KEEPS ONLY -?[\d.]+ DB OF ITS SIGNAL ON {seen} SAMPLES"
    assert re.search(wanted, result.err)


def test_who_says_how_much_is_enough_is_not_warned(
    tqconv: Tqconv, source: Path, poor: Path
) -> None:
    result = tqconv(*int8(source, poor, "--min_sqnr", "-200"))
    assert result.code == 0
    assert "WARNING" not in result.err


def test_weights_alone_are_judged_on_verify(tqconv: Tqconv, source: Path, good: Path) -> None:
    words = ["convert", source, "-o", source.with_name("m.tflite"), "--quantize", "dynamic"]
    result = tqconv(*words, "--min_sqnr", "20")
    assert result.code == 2
    assert "--min_sqnr has no effect without --verify or --calibration_data" in result.err
    assert tqconv(*words, "--min_sqnr", "20", "--verify", good).code == 0


def test_the_document_has_the_shares(tqconv: Tqconv, source: Path, good: Path) -> None:
    result = tqconv(*int8(source, good, "--min_agreement", "0.5", "--json"))
    assert json.loads(result.out)["agreement"] == {"kept": 1.0, "lost": 1.0}


@pytest.mark.parametrize("share", ["95", "-0.1", "nan"])
def test_a_share_is_from_0_to_1(tqconv: Tqconv, source: Path, good: Path, share: str) -> None:
    result = tqconv(*int8(source, good, f"--min_agreement={share}"))
    assert result.code == 2
    assert "--min_agreement" in result.err


def test_python_users_have_the_gate_too(source: Path, good: Path) -> None:
    samples = np.load(good)
    with pytest.raises(VerificationError, match=r"keeps .* dB"):
        api.convert(source, quantize="int8", samples=samples, min_sqnr=90.0)
    with pytest.raises(UsageError, match="there are none"):
        api.convert(source, quantize="dynamic", min_sqnr=9.0)
    with pytest.raises(UsageError, match="need a quantization"):
        api.convert(source, min_sqnr=9.0)


def test_a_model_without_reals_at_its_outputs_cannot_be_judged(
    tqconv: Tqconv, tmp_path: Path, good: Path
) -> None:
    text = "x: f32[1,8] -> y\na = ADD(x, x)\ny = ARG_MAX(a, 1) {output_type=INT32}"
    api.save(Model([parse(text)]), tmp_path / "classes.tflite")
    result = tqconv(*int8(tmp_path / "classes.tflite", good, "--min_sqnr", "20"))
    assert result.code == 2
    assert "no output of reals" in result.err
    assert not (tmp_path / "m.tflite").exists()


def test_noise_on_a_silent_sample_is_measured_against_the_others() -> None:
    one, other = (Model([parse("x: f32[1,2] -> y\ny = RELU(x)")]) for _ in range(2))
    other.main.ops[0].type = "ABS"
    feeds = [{"x": np.array([row], np.float32)} for row in ([10, 0], [-1, 0])]
    found = compare(one, other, feeds, serialize)[0]
    assert found.sqnr == pytest.approx(20.0)  # 10² / 1² is 20 dB
    assert found.largest == 1.0
    assert found.agreement == 1.0
    assert compare(one, other, feeds[1:], serialize)[0].sqnr == -200.0
