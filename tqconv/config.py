"""Options of the public functions, and the text forms that the command line accepts for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from tqconv.errors import UsageError
from tqconv.patterns import matcher
from tqconv.records import dataclass
from tqconv.untrusted import whole

if TYPE_CHECKING:
    from tqconv.ir.types import Range

Dims = tuple["int | None", ...]

Progress = Callable[[int, "int | None"], None]
"""Told how many samples are done, and of how many, where that is known."""

Watch = Callable[[str, str], "Progress | None"]
"""Told that a phase of a job begins: what is done ("fitting"), and what is counted ("steps").

"" where nothing is counted. Who is returned, if anybody, is told how far the phase is; it lasts
until the next one begins.
"""

FORMATS = ("graphdef", "saved_model", "keras", "onnx", "tflite")
"""Formats of `--input_format`; without it the format is found by content."""


@dataclass(frozen=True)
class ArrayRange:
    """A range that the user says for tensors: one named `name`, and all that `pattern` matches."""

    name: str
    pattern: str
    range: Range

    def matches(self, name: str) -> bool:
        """Return whether a tensor of the source model is meant."""
        by_pattern = bool(self.pattern) and matcher(self.pattern).matches(name)
        return name == self.name or by_pattern


@dataclass(frozen=True)
class LoadOptions:
    """What to read from a model file.

    inputs, outputs: names of tensors (`name` or `name:1`); None: what the model declares.
    shapes: one per input in order, None where the model's own shape holds; `None` in a shape is
    unknown.
    quantizing: FakeQuant nodes are evidence for a quantizer, which drops them. rounds_products: a
    quantizer follows that rounds what is multiplied, in the place of nodes that round it by the
    range of each run.
    stored_grid: constants behind them are rounded to the grid of the type that will store them, as
    TOCO did, where `num_bits` says less, too.
    array_ranges: ranges by the names of the source model, constants' too; the last one counts.
    dtypes: numpy names, one per input or None. values: name -> text of a constant to put in its
    place. dims: name of a dimension of the inputs -> its size. keras_config: the file with the
    architecture of a Keras model (JSON), where the model file holds weights alone. nhwc_io: what
    `convert` and `calibrate` make of the model takes and returns images channels last. shown: the
    model is looked at as it is, so that operators for which LiteRT has no kernel may stand in it.
    """

    format: str | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    shapes: tuple[Dims | None, ...] | None = None
    named_shapes: Mapping[str, Dims] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    dtypes: tuple[str | None, ...] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    allow_custom_ops: bool = False
    allow_nonexistent_arrays: bool = False
    checkpoint: str | None = None
    keras_config: str | None = None
    rnn_states: tuple[Mapping[str, str], ...] = ()
    tags: tuple[str, ...] = ("serve",)
    signature: str | None = None
    nhwc_io: bool = False
    quantizing: bool = False
    rounds_products: bool = False
    stored_grid: bool = False
    shown: bool = False
    array_ranges: tuple[ArrayRange, ...] = ()


FOUR_BITS = ("weights", "dynamic", "int8")
BLOCKS = (32, 64, 128, 256)
"""Sizes of blocks that share a scale: XNNPACK takes multiples of 32."""
"""Modes whose kernels take weights of 4 bits; beside int16 they compute wrong (LiteRT 2.3.0)."""


@dataclass(frozen=True)
class QuantizeOptions:
    """Which integers stand for the reals, and where their ranges come from.

    mode: a scheme's name (float16, weights, dynamic, int8, int16x8, uint8); None: the model stays
    float.
    integer_only: no float tensor may remain.
    input_type, output_type: numpy names of the border types ("float32", "uint8"); None: the mode's
    own.
    calibration_data, ranges: files or folders with evidence; samples: at most so many of the data.
    method: how calibration turns values into a range (minmax, percentile, mse, entropy).
    mean, std: normalization of image data, in the units of its pixels, one number or one per
    channel.
    input_stats: (mean, std) of each input in order, real = (stored - mean) / std.
    named_stats, input_ranges: input name -> (mean, std), input name -> (min, max).
    keep_float, int16: regular expressions over source node names.
    min_weight_elements: smaller weights stay float in modes weights and dynamic.
    weight_bits: 8, or 4 where a kernel takes weights of 4 bits (modes int8, dynamic, weights).
    weight_block: so many weights of 4 bits in a row share a scale in dense layers of mode dynamic;
    0: all of a channel.
    ranges_template: where to write the names of the tensors that lack a range.
    improve: fit ranges, rounding and biases to the calibration samples, where some that are held
    back confirm it.
    """

    mode: str | None = None
    integer_only: bool = False
    input_type: str | None = None
    output_type: str | None = None
    calibration_data: str | None = None
    samples: int | None = None
    random: int | None = None
    method: str = "minmax"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    ranges: str | None = None
    input_stats: tuple[tuple[float, float], ...] | None = None
    named_stats: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    input_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    keep_float: tuple[str, ...] = ()
    int16: tuple[str, ...] = ()
    per_channel: bool = True
    per_channel_dense: bool = True
    min_weight_elements: int = 1024
    weight_bits: int = 8
    weight_block: int = 0
    ranges_template: str | None = None
    improve: bool = True


@dataclass(frozen=True)
class TocoOptions:
    """What TOCO could be told about quantization; its numbers follow when `inference_type` is set.

    inference_type: "uint8" or "int8": the whole graph in this type with one scale per tensor.
    wants_float: a float result was asked for by name, which a quantized source is not.
    default_ranges, default_int16_ranges: (min, max) of tensors for which nothing else says a range.
    change_concat_input_ranges: None where no flag was given; TOCO's default was true, that of
    tflite_convert false.
    """

    inference_type: str | None = None
    wants_float: bool = False
    default_ranges: tuple[float, float] | None = None
    default_int16_ranges: tuple[float, float] | None = None
    arrays_extra_info_file: str | None = None
    reorder_across_fake_quant: bool = False
    drop_fake_quant: bool = False
    change_concat_input_ranges: bool | None = None
    propagate_fake_quant_num_bits: bool = False
    allow_nudging_weights: bool = False


def type_by_toco(mode: str | None, asked: str | None) -> str | None:
    """Return the type that TOCO's own rules make, or None; its rules are the only ones for uint8.

    mode: of `QuantizeOptions`; asked: the `inference_type` of `TocoOptions`.
    """
    return "uint8" if mode == "uint8" and asked is None else asked


@dataclass(frozen=True)
class Count:
    """A claim about the result: `type` (an operator, `Total` or `Arrays`) occurs so often."""

    type: str
    least: int
    most: int | None = None


@dataclass(frozen=True)
class ConvertOptions:
    """Everything that `convert` can be asked for.

    target_format: "tflite" or "dot". dump_dir: folder for a picture after each stage;
    dump_steps: after each pass that changed something, too. verify: data to compare float and
    quantized model on. min_sqnr (in dB), min_agreement (a share of 1): what each output must reach
    on the samples of `verify`, else on those of the calibration. summary_dir: folder for a
    description of the result as text and JSON. report: a file for a report as HTML; command: what
    it says that was typed. device: what must run the result (a name of
    `targets.devices`); allow_fallback: it need not run all of it. logits: outputs end before a last
    SOFTMAX, LOG_SOFTMAX or LOGISTIC.
    """

    load: LoadOptions = field(default_factory=LoadOptions)
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)
    toco: TocoOptions = field(default_factory=TocoOptions)
    target_format: str = "tflite"
    dump_dir: str | None = None
    dump_steps: bool = False
    summary_dir: str | None = None
    report: str | None = None
    command: str = ""
    checks: tuple[Count, ...] = ()
    verify: str | None = None
    min_sqnr: float | None = None
    min_agreement: float | None = None
    device: str | None = None
    allow_fallback: bool = False
    logits: bool = False


@dataclass(frozen=True)
class PictureOptions:
    """What is drawn of a model, and how.

    stage: "source" (the nodes of the file), "import", the name of a stage of the conversion, or
    "final". format: "dot" or "model_explorer"; node_data: file of overlays for Model Explorer.
    depth: scopes that are shown, None: as many as stay legible, -1: all. focus: name of what is in
    the middle, with all that is at most `radius` lines away; starts, ends: names between which the
    rest lies. rankdir: "TB" or "LR". color_by: a word of `drawing.colors.WAYS`. error: samples on
    which each value is compared with the float model, which is in `reference`, or, where that is
    None, is the model itself computed with reals; quantize: how those samples are read. diff: a
    model that is compared with this one.
    """

    stage: str = "import"
    format: str = "dot"
    node_data: str | None = None
    depth: int | None = None
    focus: str | None = None
    radius: int = 3
    starts: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    rankdir: str = "TB"
    compact: bool = False
    color_by: str | None = None
    error: str | None = None
    reference: str | None = None
    diff: str | None = None
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)


@dataclass(frozen=True)
class InspectOptions:
    """What is looked at in a model.

    nodes: as the file states them, without translation. device: what shall run it (a name of
    `targets.devices`). report: a file for a report as HTML; command: what it says that was typed;
    quantize: `calibration_data` and how its samples are read, on which the report compares each
    value with the float model, which is in `reference`, or, where that is None, is the model itself
    computed with reals.
    """

    load: LoadOptions = field(default_factory=LoadOptions)
    nodes: bool = False
    device: str | None = None
    report: str | None = None
    command: str = ""
    reference: str | None = None
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)


@dataclass(frozen=True)
class CalibrateOptions:
    """How ranges are measured: on which model, and on which samples (fields of `QuantizeOptions`).

    update: a ranges file whose statistics the new ones are merged with. report, command: see
    `ConvertOptions`.
    """

    load: LoadOptions = field(default_factory=LoadOptions)
    quantize: QuantizeOptions = field(default_factory=QuantizeOptions)
    update: str | None = None
    report: str | None = None
    command: str = ""


def parse_dims(text: str) -> Dims:
    """Read "1,224,224,3"; `?`, `None` and -1 are unknown; empty text is a scalar."""
    dims: list[int | None] = []
    for word in filter(None, (w.strip() for w in text.split(","))):
        if word in ("?", "-1", "None"):
            dims.append(None)
        elif (size := whole(word)) is not None and size < 2**31:
            dims.append(size)
        else:
            raise UsageError(
                f"`{word}` in shape `{text}` is not a size", hint="write sizes as 1,224,224,3 or ?"
            )
    return tuple(dims)


def parse_shapes(text: str) -> tuple[tuple[Dims | None, ...] | None, dict[str, Dims]]:
    """Read "1,224,224,3:1,10" (by position) or "name:1,224,224,3" pairs separated by `;`.

    Returns the positional shapes (or None) and the named ones.
    """
    if "=" in text or ";" in text or _looks_named(text):
        return None, _named_shapes(text)
    return tuple(parse_dims(part) for part in text.split(":")), {}


def _looks_named(text: str) -> bool:
    first = text.split(":", 1)[0].strip()
    return ":" in text and not all(
        w.strip() in ("?", "None", "") or _is_int(w) for w in first.split(",")
    )


def _is_int(word: str) -> bool:
    return word.strip().lstrip("-").isdecimal()


def _named_shapes(text: str) -> dict[str, Dims]:
    shapes: dict[str, Dims] = {}
    for part in filter(None, text.split(";")):
        name, separator, dims = part.partition("=") if "=" in part else part.rpartition(":")
        if not separator or not name:
            raise UsageError(f"`{part}` is not a named shape", hint="write name=1,224,224,3")
        size = parse_dims(dims)
        if shapes.setdefault(name.strip(), size) != size:
            raise UsageError(f"the shape of `{name.strip()}` is given twice")
    return shapes


def parse_names(text: str) -> tuple[str, ...]:
    """Read a comma separated list of names; blanks around a name are dropped."""
    return tuple(filter(None, (name.strip().strip("'\"") for name in text.split(","))))
