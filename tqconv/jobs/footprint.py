"""All files that a run reads and writes: what is read is never replaced, nothing is written twice.

Every job says its files here before any work is done.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import field
from fnmatch import fnmatch
from pathlib import Path

from tqconv.config import (
    CalibrateOptions,
    ConvertOptions,
    InspectOptions,
    LoadOptions,
    PictureOptions,
)
from tqconv.errors import UsageError
from tqconv.importers.source import SourceFile
from tqconv.jobs.pictures import PICTURES
from tqconv.output import STDOUT, check_target, real
from tqconv.records import dataclass

SUMMARY = "conversion_summary.json"
"""The file that --conversion_summary_dir gets."""
RESULTS = ("*.tflite", "*.dot")
"""Files in a model's folder that are results of earlier runs; no format keeps its own so."""


@dataclass
class Footprint:
    """What a run reads and writes, by what it is to the user.

    reads: files with what they are ("what --ranges reads"), looked at only where something exists
    that would be replaced; writes: what a file is ("the result") -> its path; pictures: a folder
    that gets files whose names match `PICTURES`.
    """

    reads: list[tuple[str, Iterable[Path]]] = field(default_factory=list)
    writes: dict[str, Path] = field(default_factory=dict)
    pictures: Path | None = None

    def check(self) -> None:
        """Raise UsageError where a file cannot be written, is read as well, or written twice."""
        for path in (*self.writes.values(), *self._pictures()):
            check_target(path)
        if self.pictures is not None:
            check_target(self.pictures / PICTURES)
        self._check_outputs()
        replaced = {_identity(path): path for path in self._replaced()}
        replaced.pop(None, None)
        for what, files in self.reads if replaced else ():
            for path in files:
                target = replaced.get(_identity(path))
                if target is not None:
                    raise UsageError(f"{target} is {what}", hint="give the result another name")

    def _pictures(self) -> Iterator[Path]:
        return iter(()) if self.pictures is None else self.pictures.glob(PICTURES)

    def _replaced(self) -> Iterator[Path]:
        yield from (path for path in self.writes.values() if path != STDOUT)
        yield from self._pictures()

    def _check_outputs(self) -> None:
        seen: dict[Path, str] = {}
        for what, path in self.writes.items():
            place = STDOUT if path == STDOUT else real(path)
            if place in seen and (place == STDOUT or place.is_file() or not place.exists()):
                raise UsageError(f"{path} is {seen[place]}", hint="give each output its own name")
            seen[place] = what
            drawn = self.pictures is not None and place.parent == real(self.pictures)
            if drawn and fnmatch(place.name, PICTURES):
                raise UsageError(
                    f"{path} is a picture of --dump_graphviz_dir",
                    hint="give each output its own name",
                )


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what all names and links of a file share; None where nothing would be lost."""
    try:
        found = os.stat(path)
    except OSError:  # it does not exist, or whoever reads it will say what is wrong
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def of_conversion(source: SourceFile, target: Path, options: ConvertOptions) -> Footprint:
    """Return what `convert` reads and writes."""
    asked, found = options.quantize, Footprint(_model(source, options.load))
    found.reads += [
        *_samples("--calibration_data", asked.calibration_data),
        *_samples("--verify", options.verify),
        *_file("--ranges", asked.ranges),
        *_file("--arrays_extra_info_file", options.toco.arrays_extra_info_file),
    ]
    found.writes["the result"] = target
    if asked.ranges_template is not None:
        found.writes["the template of --write_ranges_template"] = Path(asked.ranges_template)
    if options.summary_dir is not None:
        found.writes["the summary of the conversion"] = Path(options.summary_dir) / SUMMARY
    if options.report is not None:
        found.writes["the report of --report"] = Path(options.report)
    if options.dump_dir is not None:
        found.pictures = Path(options.dump_dir)
    return found


def of_calibration(source: SourceFile, target: Path, options: CalibrateOptions) -> Footprint:
    """Return what `calibrate` reads and writes; the file of --update may be its result, too."""
    reads = [*_model(source, options.load), *_samples("--data", options.quantize.calibration_data)]
    found = Footprint(reads, {"the result": target})
    if options.report is not None:
        found.writes["the report of --report"] = Path(options.report)
    return found


def of_look(source: SourceFile, options: InspectOptions) -> Footprint:
    """Return what `inspect` reads and writes."""
    found = Footprint(_model(source, options.load))
    found.reads += [
        *_samples("--data", options.quantize.calibration_data),
        *_file("--reference", options.reference),
    ]
    if options.report is not None:
        found.writes["the report of --report"] = Path(options.report)
    return found


def of_picture(
    source: SourceFile,
    target: Path | None,
    options: LoadOptions,
    picture: PictureOptions,
    overlays: Iterable[tuple[str, Path]],
) -> Footprint:
    """Return what `dot` reads and writes; overlays: what they show, and their files."""
    reads = [
        *_model(source, options),
        *_samples("--error", picture.error),
        *_file("--reference", picture.reference),
        *_file("--diff", picture.diff),
    ]
    found = Footprint(reads, {} if target is None else {"the result": target})
    found.writes |= {f"the overlay of {key}": path for key, path in overlays}
    return found


def _model(source: SourceFile, options: LoadOptions) -> list[tuple[str, Iterable[Path]]]:
    return [
        ("the model itself", _of_model(source.path)),
        ("a file that the model is read with", source.companions(options)),
    ]


def _of_model(path: Path) -> Iterator[Path]:
    """Yield a model's file, or the files below its folder."""
    if not path.is_dir():
        yield path
        return
    for file in path.rglob("*"):
        if not any(fnmatch(file.name, result) for result in RESULTS):
            yield file


def _samples(flag: str, path: str | None) -> list[tuple[str, Iterable[Path]]]:
    return [] if path is None else [(f"what {flag} reads", _of_samples(Path(path)))]


def _of_samples(path: Path) -> Iterator[Path]:
    from tqconv.runtime.samples import files_below

    return files_below(path) if path.is_dir() else iter((path,))


def _file(flag: str, path: str | None) -> list[tuple[str, Iterable[Path]]]:
    return [] if path is None else [(f"what {flag} reads", (Path(path),))]
