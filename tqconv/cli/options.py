"""What was given on a command line, turned into the options of the public functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tqconv.cli.arguments import Given
from tqconv.cli.flags import CALIBRATE, CONVERT
from tqconv.cli.modes import check_company, mode_of
from tqconv.config import (
    CalibrateOptions,
    ConvertOptions,
    Dims,
    InspectOptions,
    LoadOptions,
    PictureOptions,
    QuantizeOptions,
    TocoOptions,
    parse_shapes,
)
from tqconv.errors import UsageError, counted


def load_options(given: Given, toco_type: str | None = None) -> LoadOptions:
    """Return what to read from the model file; `toco_type`: that of a result with TOCO's numbers.

    An input said to be quantized in that type is one of the result: the source has reals there.
    """
    fields = _fields(given, "load")
    shapes, named = _shapes(given)
    if "load.dtypes" in given:
        fields["dtypes"] = tuple(_source_type(t, toco_type) for t in given.get("load.dtypes"))
    _check_borders(given)
    return LoadOptions(
        **fields,
        shapes=shapes,
        named_shapes=named,
        values=_by_name(given, "values"),
        dims=_by_name(given, "dims"),
        rnn_states=given.get("rnn_states", ()),
    )


def _source_type(name: str, toco_type: str | None) -> str | None:
    stored = name.removeprefix("quantized_")
    return None if name != stored and stored == toco_type else stored


def _check_borders(given: Given) -> None:
    """Raise UsageError where a name is given twice, or as input and as output."""
    inputs, outputs = given.get("load.inputs") or (), given.get("load.outputs") or ()
    for key, names in (("load.inputs", inputs), ("load.outputs", outputs)):
        twice = [n for i, n in enumerate(names) if n in names[:i]]
        if twice:
            raise UsageError(f"{given.typed[key]} names `{twice[0]}` twice")
    both = [name for name in outputs if name in inputs]
    if both:
        raise UsageError(
            f"`{both[0]}` is an input and an output",
            hint="there is nothing to compute between them; leave it out of one of the lists",
        )


def _by_name(given: Given, key: str) -> dict[str, Any]:
    """Return pairs of name and fact as a dict; UsageError where one name has two facts."""
    facts: dict[str, Any] = {}
    for name, fact in given.get(key, ()):
        plain = name.removesuffix(":0")
        if facts.setdefault(plain, fact) != fact:
            raise UsageError(f"{given.typed[key]} says two things about `{name}`")
    return facts


def convert_options(given: Given) -> tuple[ConvertOptions, list[str]]:
    """Return the options of `convert`, and sentences about old flags that have no effect here."""
    notes: list[str] = []
    mode, toco_type = mode_of(given, notes)
    check_company(given, CONVERT)
    if "dedupe" in given:
        notes.append(f"{given.typed['dedupe']} has no effect: equal constants are always shared")
    quantize = replace(_quantize(given, mode), input_type=_input_type(given, toco_type))
    if given.get("target_format") == "graphdef":
        raise UsageError(
            "`--output_format TENSORFLOW_GRAPHDEF` is not supported by tqconv",
            hint="it writes TFLITE and GRAPHVIZ_DOT",
        )
    if given.get("dump_steps") and "dump_dir" not in given:
        raise UsageError("--dump_graphviz_video needs --dump_graphviz_dir")
    options = ConvertOptions(
        load=load_options(given, toco_type),
        quantize=quantize,
        toco=_toco(given, toco_type),
        target_format=given.get("target_format", "tflite"),
        dump_dir=given.get("dump_dir"),
        dump_steps=given.get("dump_steps", False),
        summary_dir=given.get("summary_dir"),
        report=given.get("report"),
        command=given.line,
        checks=given.get("checks", ()),
        verify=given.get("verify"),
        min_sqnr=given.get("min_sqnr"),
        min_agreement=given.get("min_agreement"),
        device=given.get("device"),
        allow_fallback=given.get("allow_fallback", False),
        logits=given.get("logits", False),
    )
    return options, notes


def sample_options(given: Given) -> QuantizeOptions:
    """Return which samples models are run on."""
    return QuantizeOptions(**_fields(given, "quantize"))


def inspect_options(given: Given) -> InspectOptions:
    """Return the options of `inspect` for one model."""
    return InspectOptions(
        load_options(given),
        nodes=given.get("nodes", False),
        device=given.get("device"),
        report=given.get("report"),
        command=given.line,
        reference=given.get("reference"),
        quantize=sample_options(given),
    )


def calibrate_options(given: Given) -> CalibrateOptions:
    """Return the options of `calibrate`."""
    check_company(given, CALIBRATE)
    fields = _fields(given, "quantize")
    samples = QuantizeOptions(**fields, input_ranges=_by_name(given, "input_ranges"))
    options = CalibrateOptions(load_options(given), samples, given.get("update"))
    return replace(options, report=given.get("report"), command=given.line)


def picture_options(given: Given) -> PictureOptions:
    """Return the options of `dot`."""
    fields = _fields(given, "picture")
    if given.get("optimize") and fields.setdefault("stage", "final") != "final":
        raise UsageError("--optimize is --stage final", hint="give one of them")
    if "picture.radius" in given and "picture.focus" not in given:
        raise UsageError("--radius is the distance from what --focus names")
    return PictureOptions(**fields, quantize=QuantizeOptions(**_fields(given, "quantize")))


def _fields(given: Given, prefix: str) -> dict[str, Any]:
    start = f"{prefix}."
    return {k[len(start) :]: v for k, v in given.values.items() if k.startswith(start)}


def _shapes(given: Given) -> tuple[tuple[Dims | None, ...] | None, Mapping[str, Dims]]:
    if "shapes" not in given:
        return None, {}
    try:
        return parse_shapes(given.get("shapes"))
    except UsageError as error:
        raise UsageError(f"{given.typed['shapes']}: {error.message}", hint=error.hint) from error


def _quantize(given: Given, mode: str | None) -> QuantizeOptions:
    fields = _fields(given, "quantize")
    if mode is not None and given.get("op_sets") == ("int8",):
        fields.setdefault("integer_only", True)
        fields.setdefault("output_type", "float32")  # as TensorFlow's converter does
    named, ranges = _by_name(given, "named_stats"), _by_name(given, "input_ranges")
    both = sorted(named.keys() & ranges.keys())
    if both:
        raise UsageError(
            f"{given.typed['named_stats']} and {given.typed['input_ranges']} say the same thing "
            f"about `{both[0]}`",
            hint="give one of them",
        )
    return QuantizeOptions(
        mode=mode,
        input_stats=_stats(given),
        named_stats=named,
        input_ranges=ranges,
        keep_float=given.get("keep_float", ()),
        int16=given.get("int16", ()),
        per_channel=not given.get("no_per_channel", False),
        improve=not given.get("no_improve", False),
        per_channel_dense=not given.get("no_per_channel_dense", False),
        **fields,
    )


def _stats(given: Given) -> tuple[tuple[float, float], ...] | None:
    """Return (mean, std) of each input; TOCO's defaults are 0 and 1 (model_flags.proto)."""
    means, stds = given.get("means"), given.get("stds")
    if means is None and stds is None:
        return None
    means = (0.0,) * len(stds) if means is None else means
    stds = (1.0,) * len(means) if stds is None else stds
    if len(means) != len(stds):
        raise UsageError(
            f"{given.typed['means']} has {counted(len(means), 'entry', 'entries')}, "
            f"{given.typed['stds']} has {len(stds)}"
        )
    if min(stds) <= 0:
        raise UsageError(f"{given.typed['stds']}: a standard deviation is above zero")
    inputs = given.get("load.inputs")
    if inputs is not None and len(inputs) != len(means):
        typed = given.typed.get("means") or given.typed["stds"]
        raise UsageError(
            f"{typed} has {counted(len(means), 'entry', 'entries')} for "
            f"{counted(len(inputs), 'input')}"
        )
    return tuple(zip(means, stds, strict=True))


def _input_type(given: Given, toco_type: str | None) -> str | None:
    types = set(given.get("input_types", ()))
    if not types:
        # With TensorFlow's set of int8 operators borders stay float where nothing else is said.
        return "float32" if toco_type is None and given.get("op_sets") == ("int8",) else None
    typed = given.typed["input_types"]
    if len(types) > 1:
        raise UsageError(f"{typed}: all inputs have the same type in TFLite's quantization")
    if toco_type is not None and types == {"float32"} and "inference_type" in given:
        raise UsageError(
            f"{typed} FLOAT does not go with --inference_type {toco_type.upper()}",
            hint=f"use --quantize {toco_type} for float inputs of a quantized model",
        )
    return str(next(iter(types)))


def _toco(given: Given, toco_type: str | None) -> TocoOptions:
    return TocoOptions(
        inference_type=toco_type,
        wants_float=given.get("inference_type") == "float",
        default_ranges=_ends(given, "default_min", "default_max", "--default_ranges"),
        default_int16_ranges=_ends(given, "int16_min", "int16_max", "--default_int16_ranges"),
        **_fields(given, "toco"),
    )


def _ends(given: Given, low: str, high: str, name: str) -> tuple[float, float] | None:
    ends = given.get(low), given.get(high)
    if ends == (None, None):
        return None
    if None in ends:
        raise UsageError(f"{name}_min and {name}_max go together")
    if ends[0] >= ends[1]:
        raise UsageError(f"{name}_min is not below {name}_max")
    return ends
