"""The command line for tests of what people run into."""

from __future__ import annotations

from cli.conftest import tqconv as tqconv
