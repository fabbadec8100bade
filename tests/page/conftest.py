"""The command line for the tests of reports."""

from __future__ import annotations

from cli.conftest import tqconv as tqconv
