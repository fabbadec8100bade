"""What is drawn of a model, and how."""

from __future__ import annotations

from tqconv.cli import values
from tqconv.cli.flag import QUANTIZATION, Flag, flag, switch
from tqconv.cli.values import Choice

FORMATS = {"dot": "dot", "model_explorer": "model_explorer"}
COLORS = {name: name for name in ("family", "dtype", "bytes", "macs", "error")}
DIRECTIONS = {"TB": "TB", "LR": "LR"}
PICTURE = "The picture"

ROWS: tuple[Flag, ...] = (
    flag(
        "stage", "the nodes of the file, the imported graph, a stage of the conversion, the result",
        PICTURE, "picture.stage", metavar="source|import|STAGE|final",
    ),
    switch("optimize", "the same as --stage final", PICTURE, "optimize"),
    flag(
        "format", "text for Graphviz, or JSON for Model Explorer", PICTURE, "picture.format",
        read=Choice(FORMATS), metavar="|".join(FORMATS),
    ),
    flag(
        "node_data", "write overlays for Model Explorer: FILE.macs.json, FILE.error.json and so on",
        PICTURE, "picture.node_data", metavar="FILE",
    ),
    flag(
        "depth", "scopes that are shown; auto: as many as stay legible", PICTURE, "picture.depth",
        read=values.depth, metavar="N|auto|all",
    ),
    flag(
        "focus", "draw what is near a value, operator or scope", PICTURE, "picture.focus",
        metavar="NAME",
    ),
    flag(
        "radius", "how many steps away from it (3)", PICTURE, "picture.radius",
        read=values.integer, metavar="N",
    ),
    flag(
        "from", "draw what depends on these", PICTURE, "picture.starts", read=values.names,
        metavar="NAME,NAME",
    ),
    flag(
        "to", "draw what these depend on", PICTURE, "picture.ends", read=values.names,
        metavar="NAME,NAME",
    ),
    flag(
        "rankdir", "from top to bottom, or from left to right", PICTURE, "picture.rankdir",
        read=Choice(DIRECTIONS), metavar="|".join(DIRECTIONS),
    ),
    switch("compact", "draw operators with their types only", PICTURE, "picture.compact"),
    flag(
        "color_by", "what the colour of an operator says", PICTURE, "picture.color_by",
        read=Choice(COLORS), metavar="|".join(COLORS),
    ),
    flag(
        "error", "paint the signal-to-noise ratio of each value, measured on these samples",
        PICTURE, "picture.error", metavar="DATA",
    ),
    flag(
        "reference", "the float model for --error; without it, the model itself without rounding",
        PICTURE, "picture.reference", metavar="FILE",
    ),
    flag(
        "diff", "draw what is different in this model", PICTURE, "picture.diff", metavar="OTHER",
    ),
    flag(
        "samples", "use at most so many samples of --error", QUANTIZATION, "quantize.samples",
        read=values.positive, metavar="N",
    ),
    flag("mean", "mean of the pixels of images", QUANTIZATION, "quantize.mean",
         read=values.reals, metavar="X[,X,X]"),
    flag("std", "standard deviation of the pixels of images", QUANTIZATION, "quantize.std",
         read=values.deviations, metavar="X[,X,X]"),
)  # fmt: skip
