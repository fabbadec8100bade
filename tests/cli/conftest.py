"""Run the command line in this process, as the console script does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tqconv.cli.main import main

MODELS = Path(__file__).parents[2] / "sample_models"


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


Tqconv = Callable[..., Result]


@pytest.fixture
def tqconv(capsys: pytest.CaptureFixture[str]) -> Tqconv:
    """Return `tqconv("convert", …)`, which runs a command line."""

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def digits() -> Path:
    """Return a small frozen graph: image [1,8,8,1] -> probabilities [1,10]."""
    return MODELS / "digits_cnn" / "graph.pb"


@pytest.fixture
def tflite(tqconv: Tqconv, digits: Path, tmp_path: Path) -> Path:
    """Return the digits network as .tflite."""
    target = tmp_path / "digits.tflite"
    result = tqconv("convert", digits, "-o", target)
    assert result.code == 0, result.err
    return target
