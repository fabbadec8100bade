"""Where tqconv can be installed, and with what."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("system", "machine", "python", "implementation", "has_wheel"),
    [
        ("linux", "x86_64", "3.10", "CPython", True),
        ("linux", "aarch64", "3.14", "CPython", True),
        ("darwin", "arm64", "3.14", "CPython", True),
        ("win32", "AMD64", "3.10", "CPython", True),
        ("win32", "AMD64", "3.14", "CPython", True),
        ("win32", "ARM64", "3.14", "CPython", False),
        ("darwin", "x86_64", "3.13", "CPython", False),  # the last wheel is of 1.0.1
        ("linux", "armv7l", "3.12", "CPython", False),
        ("linux", "x86_64", "3.15", "CPython", False),
        ("linux", "x86_64", "3.11", "PyPy", False),
    ],
)
def test_litert_is_required_where_it_has_wheels(
    system: str, machine: str, python: str, implementation: str, has_wheel: bool
) -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    found = re.search(r'"(ai-edge-litert[^"]*)"', text)
    assert found is not None
    marker = Requirement(found[1]).marker
    assert marker is not None
    place = {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "platform_python_implementation": implementation,
    }
    assert marker.evaluate(place) is has_wheel


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text("utf-8")
    text = (ROOT / "LICENSE").read_bytes().replace(b"\r\n", b"\n")
    # Of https://www.apache.org/licenses/LICENSE-2.0.txt
    expected = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256(text).hexdigest() == expected
