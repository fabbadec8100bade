"""tqconv convert: a model becomes a .tflite."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqconv.cli.arguments import Given
from tqconv.cli.command import FlagCommand
from tqconv.cli.facts import result_page
from tqconv.cli.flags import CONVERT
from tqconv.cli.layout import Block, size
from tqconv.cli.messages import also_written, print_notes, print_result, say
from tqconv.cli.options import convert_options
from tqconv.cli.places import model_file, source_of, target_of
from tqconv.cli.progress import Line, progress_line
from tqconv.errors import counted
from tqconv.output import bytes_of
from tqconv.records import dataclass

if TYPE_CHECKING:
    from tqconv.config import ConvertOptions
    from tqconv.exporters.report import Interface
    from tqconv.ir.graph import Graph
    from tqconv.runtime.compare import Difference

HELP = """Convert a model to TensorFlow Lite.

The format is found by content. Flags of TOCO and tflite_convert are understood; `-` and `_` are
alike. Where inputs and outputs are not named, placeholders and unread results are taken."""

EVERY_PASS = 2
"""The verbosity at which each pass is named as it happens."""


def run(given: Given) -> None:
    """Convert and print what came out."""
    began = time.perf_counter()
    source = source_of(given)
    options, notes = convert_options(given)
    ending = ".dot" if options.target_format == "dot" else ".tflite"
    target, more = target_of(given, source, ending)
    print_notes(given, [*notes, *more])
    from tqconv.exporters.report import describe, interface
    from tqconv.jobs.convert import convert
    from tqconv.jobs.phases import unwatched

    with (
        model_file(source) as path,
        progress_line(quiet=given.get("quiet", False)) as line,
    ):
        log = PassLog(given.get("verbosity", 0), line)
        report = convert(path, target, options, observe=log.observe, watch=line or unwatched)
        read = bytes_of(Path(path))
    log.finish()
    print_notes(given, report.notes)
    made = interface(report.model)
    spent = Spent(mode_word(options, made), read, report.size, time.perf_counter() - began)
    if given.get("json"):
        files = [target, *map(str, report.files)]
        document = {"file": target, "files": files, "source": source, **spent.as_dict()}
        document |= describe(report.model).as_dict()
        result: str | list[Block] = json.dumps(
            {**document, **measured(report.differences)}, indent=1
        )
    else:
        page = result_page(made, target, report.size)
        result = [*page, str(spent), *also_written(report.files)]
    print_result(given, result, target)


def measured(differences: Sequence[Difference]) -> dict[str, Any]:
    """Return what was compared, for programs; agreement: see `Difference`, by output."""
    if not differences:
        return {}
    names = ("name", "sqnr", "largest", "is_output")
    shares = {d.name: d.agreement for d in differences if d.is_output and d.agreement is not None}
    return {
        "verify": [{name: getattr(d, name) for name in names} for d in differences],
        "agreement": shares,
    }


@dataclass(frozen=True)
class Spent:
    """What a conversion cost and saved: its mode, bytes before and after, seconds."""

    mode: str
    read: int
    written: int
    seconds: float

    def __str__(self) -> str:
        share = f" ({100 * self.written / self.read:.0f} %)" if self.read else ""
        sizes = f"{size(self.read)} -> {size(self.written)}{share}"
        return f"{self.mode}: {sizes} in {self.seconds:.2f} s"

    def as_dict(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {
            "mode": self.mode,
            "source_bytes": self.read,
            "bytes": self.written,
            "seconds": round(self.seconds, 3),
        }


def mode_word(options: ConvertOptions, made: Interface) -> str:
    """Return the quantization that was asked for, or what the model was and still is."""
    if options.quantize.mode is not None:
        return options.quantize.mode
    return "quantized as before" if made.stored else "float"


class PassLog:
    """What the passes did, for -v (a summary) and -vv (as it happens)."""

    def __init__(self, verbosity: int, line: Line | None = None) -> None:
        self.verbosity = verbosity
        self.say = say if line is None else line.say
        self.rounds: Counter[str] = Counter()

    def observe(self, name: str, graph: Graph) -> None:
        """Record that a pass changed a graph."""
        self.rounds[name] += 1
        if self.verbosity >= EVERY_PASS:
            self.say(f"pass {name}: {graph.name} has {counted(len(graph.ops), 'operator')}")

    def finish(self) -> None:
        """Print the summary."""
        if self.verbosity > 0:
            names = (
                f"{name} ×{count}" if count > 1 else name for name, count in self.rounds.items()
            )
            say(f"passes that changed something: {', '.join(names) or 'none'}")


EXAMPLES = (
    "tqconv convert graph.pb -o model.tflite",
    "tqconv convert graph.pb -o model.tflite --quantize float16",
    "tqconv convert graph.pb -o model.tflite --quantize int8 --calibration_data calibration.npz",
    "tqconv convert graph.pb -o model.tflite --output_arrays pool --input_shapes ?,8,8,1",
)
"""Lines of the help, with the files of a sample model."""

command = FlagCommand("convert", CONVERT, "MODEL", examples=EXAMPLES, callback=run, help=HELP)
