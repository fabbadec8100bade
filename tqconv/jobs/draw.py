"""A model as a picture: which part of it, in which state, with which facts, in which format."""

from __future__ import annotations

from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqconv.config import LoadOptions, PictureOptions
from tqconv.errors import UsageError, counted
from tqconv.importers.source import SourceFile, source_of
from tqconv.ir.graph import Model
from tqconv.jobs import footprint
from tqconv.jobs.stages import check_stage, staged
from tqconv.output import bytes_of, write_atomically
from tqconv.records import dataclass

if TYPE_CHECKING:
    from tqconv.exporters.drawing.scene import Scene
    from tqconv.importers.outline import Outline
    from tqconv.runtime.compare import Difference

ALL = -1
"""The depth of a picture that shows every operator."""


@dataclass
class Drawn:
    """A picture: its text (of Graphviz or Model Explorer), the bytes written, and notes."""

    text: str
    written: int = 0
    notes: list[str] = field(default_factory=list)


def draw(
    path: str | Path,
    options: LoadOptions | None = None,
    picture: PictureOptions | None = None,
    *,
    target: str | Path | None = None,
) -> Drawn:
    """Return a model as a picture; one without translation node by node.

    `target`: a file that gets it; .svg, .png and .pdf are drawn by Graphviz. Raises what `load`
    raises where nodes do not help, UsageError for names that are not there and for a target whose
    suffix says another format, DependencyError where Graphviz is needed and missing.
    """
    options = LoadOptions() if options is None else options
    picture = PictureOptions() if picture is None else picture
    source = source_of(Path(path), options)
    place = None if target is None else Path(target)
    kind = _check(source, options, picture, place)
    scene, notes = _scene(source, options, picture)
    if picture.format == "model_explorer":
        from tqconv.exporters.drawing import explorer

        drawn = Drawn(explorer.graphs_json(scene), notes=notes)
    else:
        drawn = _dot(scene, picture, kind, notes)
    if picture.node_data is not None:
        drawn.notes.append(_write_overlays(scene, Path(picture.node_data)))
    if place is not None:
        from tqconv.exporters.graphviz import as_file

        drawn.written = write_atomically(place, as_file(drawn.text, kind))
    return drawn


def _check(
    source: SourceFile, options: LoadOptions, picture: PictureOptions, target: Path | None
) -> str:
    """Return the kind of file that is asked for; UsageError for what does not go together."""
    check_stage(source, picture.stage)
    kind = _kind(target, picture.format)
    if picture.color_by == "error" and picture.error is None:
        raise UsageError("errors are measured on samples", hint="add --error DATA")
    if picture.reference is not None and picture.error is None:
        raise UsageError("a float model is what errors are measured by", hint="add --error DATA")
    if picture.diff is not None and picture.error is not None:
        raise UsageError("a picture shows errors or changes", hint="leave out --error or --diff")
    overlays = [] if picture.node_data is None else overlay_files(Path(picture.node_data))
    footprint.of_picture(source, target, options, picture, overlays).check()
    return kind


def _kind(target: Path | None, format: str) -> str:
    """Return what a file of this name holds; UsageError where its suffix says something else."""
    from tqconv.exporters.graphviz import kind_of

    if format != "model_explorer":
        return kind_of(target)
    if target is not None and target.suffix.lower() not in ("", ".json"):
        raise UsageError(f"{target} is no name for Model Explorer's graphs",
                         hint="its suffix is .json")  # fmt: skip
    return "text"


def _scene(
    source: SourceFile, options: LoadOptions, picture: PictureOptions
) -> tuple[Scene, list[str]]:
    """Return what can be drawn, with everything that is known about it, and notes."""
    found = staged(source, options, picture.stage)
    scene, notes = _gathered(source, found, options, picture)
    if picture.diff is not None:
        from tqconv.exporters.drawing.changes import compared

        other = source_of(Path(picture.diff), LoadOptions())
        theirs = staged(other, LoadOptions(), picture.stage)
        after, more = _gathered(other, theirs, LoadOptions(), replace(picture, error=None))
        if scene.title == after.title:  # model.pb of one folder, and of another
            scene.title, after.title = (f"{p.absolute().parent.name}/{p.name}"
                                        for p in (source.path, other.path))  # fmt: skip
        scene, notes = compared(scene, after), [*notes, *more]
    return scene, notes


def _gathered(
    source: SourceFile, found: Model | Outline, options: LoadOptions, picture: PictureOptions
) -> tuple[Scene, list[str]]:
    from tqconv.exporters.drawing.gather import Known, gather
    from tqconv.exporters.drawing.nodes import gather_nodes

    if not isinstance(found, Model):
        borders = (found.inputs, found.outputs)
        scene = gather_nodes(found.origin, found.nodes, borders, found.untranslated)
        return scene, [found.reason] if found.reason else []
    from tqconv.jobs.measure import errors_of, unranged

    errors: list[Difference] = []
    if picture.error is not None:
        samples = replace(picture.quantize, calibration_data=picture.error)
        errors = errors_of(source, found, samples, picture.reference)
    known = Known(
        errors={d.name: d.sqnr for d in errors},
        unranged=unranged(found, source, options),
        size=bytes_of(source.path),
        digests=picture.diff is not None,
    )
    return gather(found, known), list(found.notes)


def _dot(scene: Scene, picture: PictureOptions, kind: str, notes: list[str]) -> Drawn:
    """Return the part that is asked for as text, folded as far as that is asked for or needed."""
    from tqconv.exporters.drawing import dot, folding, narrow, repeats

    if picture.starts or picture.ends:
        scene = narrow.between(scene, picture.starts, picture.ends)
    if picture.focus is not None:
        scene = narrow.around(scene, picture.focus, picture.radius)
    usual = "family" if picture.diff is None else "change"
    color_by = picture.color_by or (usual if picture.error is None else "error")
    alike = picture.focus is None and picture.diff is None and picture.error is None
    if alike and picture.depth != ALL:
        scene = repeats.draw_once(scene)
    scene = folding.unfolded(scene) if picture.depth == ALL else folding.fold(scene, picture.depth)
    style = dot.Style(color_by, picture.rankdir, picture.compact)
    return Drawn(dot.dot_text(scene, style), notes=[*notes, *scene.notes, *_too_large(scene, kind)])


def _too_large(scene: Scene, kind: str) -> list[str]:
    """Return a note about a picture that Graphviz would not lay out in reasonable time."""
    from tqconv.exporters.graphviz import MOST_BOXES

    if len(scene.boxes) <= MOST_BOXES:
        return []
    return [
        f"a picture of {counted(len(scene.boxes), 'box', 'boxes')}, which Graphviz may not lay out "
        "in reasonable time; less is drawn with --depth auto, --focus NAME, --from and --to"
    ]


def overlay_files(path: Path) -> list[tuple[str, Path]]:
    """Return the quantities that Model Explorer colours nodes by, and the file of each."""
    from tqconv.exporters.drawing.explorer import AMOUNTS

    return [(key, path.with_name(f"{path.stem}.{key}{path.suffix or '.json'}")) for key in AMOUNTS]


def _write_overlays(scene: Scene, path: Path) -> str:
    """Write an overlay for each quantity that is known, and return a note that names them."""
    from tqconv.exporters.drawing.explorer import overlays

    texts = overlays(scene)
    files = {key: file for key, file in overlay_files(path) if key in texts}
    for key, file in files.items():
        write_atomically(file, texts[key].encode())
    return f"overlays for Model Explorer: {', '.join(map(str, files.values())) or 'none'}"
