"""Shell completion: commands, flags and the values of flags, from the table of flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from tqconv.cli.command import FlagCommand
from tqconv.cli.commands import COMMANDS, COMPLETE, cli, command_of, intended
from tqconv.cli.flag import REFUSED, Flag, spelled
from tqconv.cli.values import Choice, ListOf

SHELLS = ("bash", "zsh", "fish")

FILES = CompletionItem("", type="file")
FOLDERS = CompletionItem("", type="dir")
PLACES = {"PATH": FILES, "FILE": FILES, "DATA": FILES, "PREFIX": FILES, "DIR": FOLDERS}
"""What the metavar of a flag says about its value -> what the shell itself completes."""

HELP = """Print a script with which a shell completes tqconv's words.

It completes commands, flags and their values. In ~/.zshrc it stands after compinit.

\b
bash, ~/.bashrc:    eval "$(tqconv completion bash)"
zsh, ~/.zshrc:      eval "$(tqconv completion zsh)"
fish, config.fish:  tqconv completion fish | source"""


@click.command("completion", help=HELP)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print the script of a shell."""
    click.echo(_completer(shell).source())


def answer(instruction: str) -> int:
    """Print the completions that a script asks for; nothing where it is none of ours.

    `instruction`: `bash_complete` and the like; the words are in COMP_WORDS.
    """
    shell, _, _ = instruction.partition("_")
    if shell in SHELLS:
        click.echo(_completer(shell).complete())
    return 0


def _completer(shell: str) -> ShellComplete:
    base = get_completion_class(shell)
    assert base is not None
    words = {"get_completions": lambda self, args, incomplete: completions(args, incomplete)}
    made: ShellComplete = type(base.__name__, (base,), words)(cli, {}, "tqconv", COMPLETE)
    return made


def completions(words: Sequence[str], begun: str) -> list[CompletionItem]:
    """Return what may stand at the place of `begun`, behind `words`."""
    if not words and not begun.startswith("-"):
        found = [
            CompletionItem(name, help=command_of(name).get_short_help_str(70)) for name in COMMANDS
        ]
        # Bash takes words or its own files, not both.
        return [item for item in found if item.value.startswith(begun)] or [FILES]
    words = intended(words) if words else ["convert"]
    asked = command_of(words[0]) if words[0] in COMMANDS else None
    if not isinstance(asked, FlagCommand):
        return [CompletionItem(name) for name in SHELLS if name.startswith(begun)]
    return [*_of_flags(asked.table, words[1:], begun)]


def _of_flags(table: Sequence[Flag], words: Sequence[str], begun: str) -> Iterator[CompletionItem]:
    by_name = {_plain(spelled(name)): row for row in table for name in row.names}
    words = [word for word in words if word != "="]  # bash makes a word of it
    begun = "" if begun == "=" else begun
    row = by_name.get(_plain(words[-1])) if words and words[-1].startswith("-") else None
    typed, separator, value = begun.partition("=")
    if separator and _plain(typed) in by_name:
        yield from _of_value(by_name[_plain(typed)], value, f"{typed}=")
    elif row is not None and not row.is_switch and row.key:
        yield from _of_value(row, begun, "")
    elif begun.startswith("-"):
        yield from _names(table, begun)
    else:
        yield FILES


def _plain(typed: str) -> str:
    return typed.replace("-", "_")


def _names(table: Sequence[Flag], begun: str) -> Iterator[CompletionItem]:
    """Yield our own spellings, and the others of a flag once they are begun."""
    yield from (
        CompletionItem(name, help="show the help") for name in ("--help",) if name.startswith(begun)
    )
    for row in table:
        if row.group == REFUSED:
            continue
        names = [spelled(name) for name in row.names]
        fitting = [name for name in names if _plain(name).startswith(_plain(begun))]
        for name in fitting[: 1 if names[0] in fitting else None]:
            yield CompletionItem(name, help=row.help)


def _of_value(row: Flag, begun: str, before: str) -> Iterator[CompletionItem]:
    """Yield the words that a flag takes, or let the shell find files."""
    reader = row.read
    if isinstance(reader, ListOf):
        done, comma, begun = begun.rpartition(",")
        before, reader = f"{before}{done}{comma}", reader.one
    if isinstance(reader, Choice):
        for word in reader.choices:
            if word.lower().startswith(begun.lower()):
                yield CompletionItem(before + word)
    elif row.metavar in PLACES:
        yield PLACES[row.metavar]
