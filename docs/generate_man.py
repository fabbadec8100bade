"""Write the manual pages from the table that reads command lines: `make docs`.

python docs/generate_man.py [FOLDER]; without a folder, `docs/man`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tqconv import __version__
from tqconv.cli.command import FlagCommand
from tqconv.cli.commands import COMMANDS, command_of
from tqconv.cli.flag import ACCEPTED, FIXED, REFUSED, Flag, spelled

FOLDER = Path(__file__).parent / "man"
CODES = {
    0: "done",
    2: "the command line is wrong, a name or file does not exist, or an output cannot be written",
    3: "a file is damaged or of another kind",
    4: "the model holds something that has no translation",
    5: "the quantization cannot be reached",
    6: "a library that the request needs is not installed",
    7: "the result is not what was asked to be checked",
    70: "an error in tqconv",
}


def pages() -> dict[str, str]:
    """Return file name -> text of a manual page."""
    made = {}
    for name in COMMANDS:
        command = command_of(name)
        if isinstance(command, FlagCommand):
            made[f"tqconv-{name}.1"] = "\n".join(page(name, command)) + "\n"
    made["tqconv.1"] = "\n".join(overview()) + "\n"
    return made


def head(title: str, what: str) -> Iterator[str]:
    """Yield the lines that begin a page."""
    yield f'.TH {title.upper()} 1 "" "tqconv {__version__}" "User Commands"'
    yield ".SH NAME"
    yield f"{roff(title)} \\- {roff(what)}"


def overview() -> Iterator[str]:
    """Yield the lines of the page about all commands."""
    yield from head("tqconv", "convert trained models to TensorFlow Lite, without TensorFlow")
    yield ".SH SYNOPSIS"
    yield ".B tqconv\n.I COMMAND MODEL\n[FLAGS]"
    yield ".SH COMMANDS"
    for name in COMMANDS:
        text = (command_of(name).help or "").splitlines()[0]
        yield f".TP\n.B {name}\n{roff(text)}"
    yield ".SH EXIT STATUS"
    for code, meaning in CODES.items():
        yield f".TP\n.B {code}\n{roff(meaning)}"
    names = ", ".join(f"tqconv\\-{n} (1)" for n in COMMANDS if n != "completion")
    yield f".SH SEE ALSO\n{names}"


def page(name: str, command: FlagCommand) -> Iterator[str]:
    """Yield the lines of the page of a command."""
    paragraphs = (command.help or "").split("\n\n")
    yield from head(f"tqconv-{name}", paragraphs[0].rstrip("."))
    yield f".SH SYNOPSIS\n.B tqconv {name}\n.I {command.argument}\n[FLAGS]"
    yield ".SH DESCRIPTION"
    yield "\n.PP\n".join(roff(" ".join(text.split())) for text in paragraphs)
    yield ".SH EXAMPLES"
    yield ".nf\n" + "\n".join(roff(line) for line in command.examples) + "\n.fi"
    for group in dict.fromkeys(flag.group for flag in command.table):
        yield f".SH {roff(group.upper())}"
        for flag in (f for f in command.table if f.group == group):
            yield entry(flag)
    yield ".SH SEE ALSO\ntqconv (1)"


def entry(flag: Flag) -> str:
    """Return what a page says of a flag."""
    names = ", ".join(spelled(name) for name in flag.names)
    value = "" if flag.group in (ACCEPTED, FIXED, REFUSED) else flag.metavar
    line = f".TP\n.B {roff(names)}"
    return f"{line}\n{roff(f'{value}: ' if value else '')}{roff(flag.refuse or flag.help)}"


def roff(text: str) -> str:
    """Return text with the characters escaped that roff reads as commands."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
