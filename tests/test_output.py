"""Files are replaced in one step, whatever they are called and whatever links lead to them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tqconv.errors import UsageError
from tqconv.output import write_atomically


@pytest.mark.parametrize("name", ["a" * 255, "中" * 85, "é" * 127, "x.tflite", " ", "new\nline"])
def test_long_and_odd_names(tmp_path: Path, name: str) -> None:
    assert write_atomically(tmp_path / name, b"content") == 7
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"content"


@pytest.mark.skipif(os.name != "posix", reason="file names that are bytes")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"out\xff.tflite")
    write_atomically(path, b"content")
    assert [*tmp_path.iterdir()] == [path]


def test_a_loop_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(UsageError, match="a cannot be written: Too many levels of symbolic links"):
        write_atomically(tmp_path / "a", b"content")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_links_stay_and_modes_too(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.write_bytes(b"old")
    real.chmod(0o640)
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (b"new", 0o640)


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(path, [object()])  # type: ignore[arg-type]
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("m", b"old")]
