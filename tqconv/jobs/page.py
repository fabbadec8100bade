"""The report of a run as one HTML file: what its pages show is gathered here."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tqconv import __version__
from tqconv.errors import TqconvError
from tqconv.exporters.drawing.gather import Known, gather, mode_of
from tqconv.exporters.drawing.nodes import gather_nodes
from tqconv.exporters.drawing.picture import arranged
from tqconv.exporters.drawing.words import readable, stored_ends
from tqconv.exporters.page.document import document, nodes_document
from tqconv.exporters.page.facts import Distribution, Layer, Nodes, Page
from tqconv.exporters.page.sections import shape_text
from tqconv.exporters.report import describe, is_parameter, op_name
from tqconv.importers.outline import Outline
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ir.histogram import Histogram
from tqconv.jobs.causes import cause
from tqconv.jobs.reals import reals_of
from tqconv.jobs.record import Record

if TYPE_CHECKING:
    from tqconv.quant.evidence.ranges import Record as Seen

BARS = 48
"""Bars of a histogram."""
LEAST_WEIGHTS = 16
"""Elements of a constant whose distribution says something."""
MOST_ELEMENTS = 1 << 17
"""Elements of a constant that are counted; of larger ones an even selection is."""


def page_of(
    model: Model,
    record: Record,
    *,
    title: str,
    done: str,
    identity: list[tuple[str, str]],
    command: str = "",
) -> bytes:
    """Return the file about a model and what a run left behind; the same facts, the same bytes."""
    errors = {d.name: d.sqnr for d in record.differences}
    scene = gather(model, Known(errors=errors, floats=record.floats))
    scene.title = title
    kind = mode_of(scene)
    scene = arranged(scene)
    main = model.main
    page = Page(
        title=title,
        done=done,
        identity=[*identity, ("computes with", kind)] if kind else identity,
        facts=describe(model),
        scene=scene,
        svg=_drawn(scene, measured=bool(errors)),
        layers=layers(main, record),
        activations=list(activations(main, record)),
        weights=list(weights(model)),
        floats=[*_floats(model, record)],
        fitted=record.fitted,
        notes=[note for note in model.notes if note not in record.fitted],
        command=command,
        versions=versions(record),
    )
    return document(page).encode()


def page_of_nodes(
    outline: Outline,
    why: Mapping[str, str],
    *,
    title: str,
    done: str,
    identity: list[tuple[str, str]],
    command: str = "",
) -> bytes:
    """Return the file about a model without translation; `why`: nodes that have none, and why."""
    ends = (outline.inputs, outline.outputs)
    scene = arranged(gather_nodes(title, outline.nodes, ends, outline.untranslated))
    missing = {n.name: "no translation" for n in outline.nodes if n.op in outline.untranslated}
    ops = {node.name: node.op for node in outline.nodes}
    made = Nodes(
        title=title,
        done=f"{done}; it has no translation" if outline.reason else done,
        identity=[*identity, (outline.version_of, str(outline.producer))],
        scene=scene,
        svg=_drawn(scene, measured=False),
        why=outline.reason,
        missing=[(node, ops.get(node, ""), text) for node, text in {**missing, **why}.items()],
        counts=outline.op_counts,
        untranslated=outline.untranslated,
        borders=[
            (word, node.name, node.op, node.type or "?", shape_text(node.shape))
            for word, nodes in zip(("input", "output"), ends, strict=True)
            for node in nodes
        ],
        command=command,
        versions=versions(Record()),
    )
    return nodes_document(made).encode()


def _drawn(scene: Any, *, measured: bool) -> str:
    """Return the picture as SVG, "" where Graphviz is missing or gives up."""
    from tqconv.exporters.drawing.dot import Style, dot_text
    from tqconv.exporters.graphviz import is_installed, render

    if not is_installed():
        return ""
    try:
        text = dot_text(scene, Style("error" if measured else "family"))
        return render(text, "svg").decode()
    except TqconvError:
        return ""


def identity_of(path: Path, content: bytes | memoryview | None = None) -> list[tuple[str, str]]:
    """Return name, size and checksum of a file, or of what will be written there."""
    if content is None and not path.is_file():
        return [("file", path.name)]
    body = path.read_bytes() if content is None else content
    digest = hashlib.sha256(body).hexdigest()
    return [("file", path.name), ("size", readable(len(body))), ("sha256", digest)]


def versions(record: Record) -> list[tuple[str, str]]:
    """Return what carried the run out."""
    found = [("tqconv", __version__), ("Python", platform.python_version())]
    found.append(("numpy", np.__version__))
    if record.ranges is not None or record.differences:
        from tqconv.runtime.litert import version

        found.append(("LiteRT", version()))
    return found


def layers(graph: Graph, record: Record) -> list[Layer]:
    """Return the measured values, the worst first, each with its likely cause."""
    errors = {d.name: d.sqnr for d in record.differences}
    tensors = {t.name: t for t in graph.tensors()}
    found = []
    for difference in sorted(record.differences, key=lambda d: d.sqnr):
        tensor = tensors.get(difference.name)
        why, op = "", ""
        if tensor is not None:
            why = cause(tensor, _seen(record, tensor.name), difference.sqnr, errors)
            op = "" if tensor.producer is None else op_name(tensor.producer)
        found.append(Layer(difference.name, op, difference.sqnr, difference.is_output, why))
    return found


def _seen(record: Record, name: str) -> Seen | None:
    return None if record.ranges is None else record.ranges.records.get(name)


def activations(graph: Graph, record: Record) -> Iterator[Distribution]:
    """Yield what was measured of activations, and the ranges that were chosen for them."""
    tensors = {t.name: t for t in graph.tensors()}
    for name, seen in {} if record.ranges is None else record.ranges.records.items():
        if seen.histogram is None or not seen.histogram.counts.size:
            continue
        tensor = tensors.get(name)
        chosen = (seen.low, seen.high)
        if tensor is not None and tensor.quant is not None:
            chosen = stored_ends(tensor, tensor.quant)
        beyond = seen.histogram.beyond(*chosen)
        low, high, counts = rebinned(seen.histogram)
        yield Distribution(name, low, high, counts, chosen, beyond, seen.method)


def rebinned(found: Histogram) -> tuple[float, float, tuple[int, ...]]:
    """Return the ends and few, equally wide bins of a histogram of many."""
    low, high = found.low, found.high
    if high <= low:
        return low, high, (found.total,)
    counts, _ = np.histogram(found.centers(), BARS, (low, high), weights=found.counts)
    return low, high, tuple(int(c) for c in counts)


def weights(model: Model) -> Iterator[Distribution]:
    """Yield the distributions of constants that stand for reals, each once."""
    seen: set[int] = set()
    for graph in model.all_graphs():
        for op in graph.ops:
            for tensor in op.inputs:
                if tensor is None or tensor.data is None or id(tensor.data) in seen:
                    continue
                seen.add(id(tensor.data))
                if is_parameter(tensor) and tensor.size >= LEAST_WEIGHTS:
                    yield from _of_constant(tensor, op_name(op))


def _of_constant(tensor: Tensor, op: str) -> Iterator[Distribution]:
    data, quant = tensor.data, tensor.quant
    assert data is not None
    if data.dtype.kind not in "iuf" and quant is None:
        return
    rows, quant = (data, None) if quant is None else quant.by_rows(data)
    some = _selection(rows, None if quant is None or quant.is_per_tensor else quant.axis)
    values: NDArray[Any] = some if quant is None else reals_of(some, quant)
    flat = np.asarray(values, np.float64).reshape(-1)
    flat = flat[np.isfinite(flat)]
    if not flat.size:
        return
    low, high = float(flat.min()), float(flat.max())
    counts = np.histogram(flat, BARS if high > low else 1, (low, high) if high > low else None)[0]
    scales = "" if quant is None else f"{quant.scale.size} scales, " if quant.scale.size > 1 else ""
    about = f"{op}, {scales}{tensor.dtype.name}"
    yield Distribution(tensor.name, low, high, tuple(int(c) for c in counts), about=about)


def _selection(data: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return an even selection of at most `MOST_ELEMENTS`, with all slices of an axis."""
    if data.size <= MOST_ELEMENTS:
        return data
    if axis is None:
        return data.reshape(-1)[:: data.size // MOST_ELEMENTS + 1]
    moved = np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)
    step = data.size // MOST_ELEMENTS + 1
    kept = moved[:, ::step]
    return np.moveaxis(kept.reshape(len(kept), *(1,) * (data.ndim - 2), -1), 0, axis)


def _floats(model: Model, record: Record) -> Iterator[tuple[str, str]]:
    """Yield the operators that are float in a model of integers, and why."""
    from tqconv.exporters.drawing.marks import Marks

    marks = Marks(model, record.floats, ())
    for graph in model.all_graphs():
        for op in graph.ops:
            for mark in marks.of_op(op):
                yield f"{op_name(op)} {op.name}", mark.removeprefix("float: ")
