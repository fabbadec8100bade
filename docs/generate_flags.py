"""Print the flag reference from the table that reads command lines.

python docs/generate_flags.py > docs/flags.md
"""

from __future__ import annotations

from collections.abc import Iterator

from tqconv.cli.flag import ACCEPTED, FIXED, REFUSED, TOCO_ONLY, Flag, spelled
from tqconv.cli.flags import CALIBRATE, CONVERT, DOT, INSPECT
from tqconv.cli.modes import listed

INTRODUCTION = """# Flags

This page is generated from the table in `tqconv/cli/flags/` (`make docs`).

* `-` and `_` are alike in long flags; a value stands behind `=` or in the next word.
* A switch may stand alone, or with `true` or `false`.
* A flag may be given once, under one of its spellings; flags marked *repeatable* collect.
* The model is the bare argument, or the value of `--input_file`.
* Lists are separated by commas, shapes by colons: `--input_arrays a,b --input_shapes 1,8:1,10`.
  `?` is a size that stays unknown. Shapes may also go by name: `--input_shapes a=1,8;b=1,10`.
* A tensor is named `node`, `node:0` or `node:1`.
* An unknown flag or value ends with exit code 2 and a suggestion; nothing is ignored in silence.
"""

DIFFERENCES = """
## Where old command lines behave differently

| Old tool | tqconv |
|---|---|
| `tflite_convert` ignored unknown flags | they are errors |
| flags that the chosen mode does not read were ignored | a note; for flags of tqconv an error |
| `--inference_type FLOAT` with uint8 inputs took mean 0 and std 1 | they have to be given |
| `--inference_type FLOAT` made floats of a quantized .tflite | an error |
| `toco` refused `name:0` | it is the same as `name` |
| `tflite_convert` parsed `--mean_values` as integers | as real numbers |
| `tflite_convert --output_format GRAPHVIZ_DOT` wrote a .tflite in version 2 | a picture |
| `--quantize_to_float16` alone had no effect | it is `--quantize float16` |
| `--inference_type` with `--post_training_quantize`: the latter won, with a warning | the same |
| uint8 without ranges stopped at the first tensor | all tensors without a range are listed |
| files of `--dump_graphviz` | the same names, and one more for each stage |
"""


def main() -> None:
    """Print the page."""
    print(INTRODUCTION)
    print("## tqconv convert")
    for group in dict.fromkeys(flag.group for flag in CONVERT):
        flags = [flag for flag in CONVERT if flag.group == group]
        print(f"\n### {group}\n")
        print("\n".join(rows_of(group, flags)))
    for name, table in (("calibrate", CALIBRATE), ("inspect", INSPECT), ("dot", DOT)):
        print(f"\n## tqconv {name}\n")
        print("\n".join(rows_of("", list(table))))
    print(DIFFERENCES, end="")


def rows_of(group: str, flags: list[Flag]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    if group in (FIXED, REFUSED):
        yield "| Flag | Instead |"
        yield "|---|---|"
        for flag in flags:
            value = "" if flag.only is None else f"={str(flag.only).lower()}"
            yield f"| `{spelled(flag.name)}{value}` | {cell(flag.refuse)} |"
        return
    yield "| Flag | Also | Meaning |"
    yield "|---|---|---|"
    for flag in flags:
        metavar = "" if group == ACCEPTED else flag.metavar
        others = ", ".join(f"`{spelled(name)}`" for name in flag.names[1:])
        name = cell(f"{spelled(flag.name)} {metavar}".strip())
        yield f"| `{name}` | {others} | {meaning(flag)} |"


def meaning(flag: Flag) -> str:
    """Return what a flag does, with the remarks that its row makes."""
    remarks = [cell(flag.help)]
    if flag.many:
        remarks.append("repeatable")
    if flag.modes and flag.modes != TOCO_ONLY:
        remarks.append(f"for {listed(flag.modes)}")
    return "; ".join(remarks)


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
