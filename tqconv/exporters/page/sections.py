"""The sections of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from tqconv.exporters.drawing.words import readable, size
from tqconv.exporters.page.charts import bar, histogram, share_bar
from tqconv.exporters.page.facts import Distribution, Frame, Layer, Page
from tqconv.exporters.page.words import Raw, fold, section, table, text
from tqconv.exporters.report import TensorFacts

WORST = 10
"""Layers of which the likely cause is said."""
CHARTS = 100
"""Histograms of a kind that are drawn; a page of a thousand is read by nobody."""
LISTED = 400
"""Rows of a long table."""


def identity(page: Frame) -> str:
    """Return what the file is."""
    return section("identity", "The model", table(("", ""), page.identity))


def borders(page: Page) -> str:
    """Return inputs and outputs, and how their numbers are read."""
    main = page.facts.main
    rows = [
        (kind, tensor.name, tensor.type, shape_text(tensor.shape), formula(tensor))
        for kind, tensors in (("input", main.inputs), ("output", main.outputs))
        for tensor in tensors
    ]
    heads = ("", "name", "type", "shape", "what its numbers mean")
    keys = [
        f"{key}: {', '.join(s['inputs'])} → {', '.join(s['outputs'])}"
        for key, s in page.facts.signatures.items()
    ]
    signatures = f"<p>signatures: {text('; '.join(keys))}</p>" if keys else ""
    return section("borders", "Inputs and outputs", table(heads, rows), signatures)


def shape_text(shape: Sequence[int | None] | None) -> str:
    """Return a shape; None: not even the number of dimensions is known."""
    if shape is None:
        return "?"
    return " × ".join(map(size, shape)) or "one number"


def formula(tensor: TensorFacts) -> str:
    """Return how stored numbers become reals, and the other way round."""
    if not tensor.scale:
        return "reals" if tensor.type.startswith("float") else "numbers as they are"
    scale = f"{tensor.scale[0]:.9g}"
    zero = tensor.zero_point[0]
    if len(tensor.scale) > 1:
        return f"{len(tensor.scale)} scales along axis {tensor.axis}"
    if not zero:
        return f"real = {scale} × q;  q = round(real / {scale})"
    sign = "−" if zero > 0 else "+"
    back = "+" if zero > 0 else "−"
    return f"real = {scale} × (q {sign} {abs(zero)});  q = round(real / {scale}) {back} {abs(zero)}"


def operators(page: Page) -> str:
    """Return what operators there are, with their share of weights and work."""
    ops = [op for graph in page.facts.graphs for op in graph.ops]
    whole = max(1, page.facts.macs)
    rows = []
    for kind, count in page.facts.op_counts.items():
        same = [op for op in ops if op.type == kind]
        versions = ", ".join(map(str, sorted({op.version for op in same})))
        macs, weights = sum(op.macs for op in same), sum(op.weight_bytes for op in same)
        share = Raw(share_bar(macs / whole)) if macs else ""
        rows.append((kind, count, versions, readable(weights) if weights else "",
                     readable(macs, "") if macs else "", share))  # fmt: skip
    heads = ("operator", "count", "version", "weights", "MACs", "share of the MACs")
    return section("operators", "Operators", table(heads, rows, (1, 2, 3, 4)))


def sizes(page: Page) -> str:
    """Return the bytes of constants by their type."""
    found: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for tensor in (t for graph in page.facts.graphs for t in graph.tensors if t.constant):
        found[tensor.type] += tensor.bytes
        counts[tensor.type] += 1
    whole = max(1, sum(found.values()))
    rows = [
        (kind, counts[kind], readable(count), Raw(share_bar(count / whole)))
        for kind, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    peak = f"<p>Activations take at most {readable(page.facts.main.peak_bytes)} at once.</p>"
    heads = ("type", "tensors", "bytes", "share")
    return section("sizes", "Constants by type", table(heads, rows, (1, 2)) if rows else "", peak)


def errors(page: Page) -> str:
    """Return the signal-to-noise ratio of each layer, the worst with their likely cause."""
    if not page.layers:
        return ""
    worst = page.layers[:WORST]
    table_of_worst = table(
        ("value", "made by", "dB", "", "likely cause"),
        [(_named(x), x.op, f"{x.sqnr:.1f}", Raw(bar(x)), x.cause) for x in worst],
        (2,),
    )
    about = (
        "<p>Signal-to-noise ratio of each value beside the float model’s, on the worst sample: "
        "40 dB are noise of 1 % of the signal, 20 dB of 10 %, 10 dB of a third.</p>"
    )
    rows = [(_named(x), f"{x.sqnr:.1f}", Raw(bar(x))) for x in in_order(page)[:LISTED]]
    every = fold(f"all {len(page.layers)} values, in the order of the model",
                 table(("value", "dB", ""), rows, (1,)))  # fmt: skip
    return section("errors", "What quantization costs", about, table_of_worst, every)


def _named(layer: Layer) -> str:
    return f"{layer.name} (output)" if layer.is_output else layer.name


def in_order(page: Page) -> list[Layer]:
    """Return the layers as the model computes them."""
    graph = page.facts.main
    places = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    return sorted(page.layers, key=lambda layer: (places.get(layer.name, len(places)), layer.name))


def floats(page: Page) -> str:
    """Return what stays float, and why."""
    if not page.floats:
        return ""
    rows = page.floats[:LISTED]
    more = f"<p>… {len(page.floats) - LISTED} more</p>" if len(page.floats) > LISTED else ""
    return section("floats", "What is float", table(("operator", "because"), rows), more)


def fitted(page: Page) -> str:
    """Return what was tried on the samples, and what it brought."""
    items = "".join(f"<li>{text(line)}</li>" for line in page.fitted)
    return section("fitted", "What was fitted", f"<ul>{items}</ul>" if items else "")


def distributions(page: Page) -> str:
    """Return the histograms."""
    parts = [*_charts("Activations", page.activations), *_charts("Weights", page.weights)]
    about = (
        "<p>Heights are square roots of counts. The frame is the range that the integers stand "
        "for; red is what lies outside.</p>"
    )
    return section("distributions", "Distributions", about, *parts) if parts else ""


def _charts(title: str, found: Sequence[Distribution]) -> Iterator[str]:
    if not found:
        return
    cards = "\n".join(map(_card, found[:CHARTS]))
    left = len(found) - CHARTS
    more = f"<p>… {left} more</p>" if left > 0 else ""
    yield fold(f"{title} ({len(found)})", f'<div class="cards">{cards}</div>{more}', open=True)


def _card(found: Distribution) -> str:
    lines = [f"{found.low:.4g} … {found.high:.4g}"]
    if found.chosen is not None:
        lines.append(f"range {found.chosen[0]:.4g} … {found.chosen[1]:.4g}")
    if found.beyond > 0:
        lines.append(f"{100 * found.beyond:.3g} % outside")
    lines += [found.about] if found.about else []
    return (
        f"<figure>{histogram(found)}<figcaption><b>{text(found.name)}</b>"
        f"<br>{text(' · '.join(lines))}</figcaption></figure>"
    )


def notes(page: Frame) -> str:
    """Return what was said about the run."""
    items = "".join(f"<li>{text(note)}</li>" for note in page.notes)
    return section("notes", "Notes", f"<ul>{items}</ul>" if items else "")


def origin(page: Frame) -> str:
    """Return the command and the versions of what carried it out."""
    command = f"<pre><code>{text(page.command)}</code></pre>" if page.command else ""
    versions = table(("", ""), page.versions)
    return section("origin", "How it was made", command, versions)
