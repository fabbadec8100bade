"""What was given on a command line, turned into the options of the public functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tqconv.cli.arguments import Given
from tqconv.config import (
    CalibrateOptions,
    ConvertOptions,
    Dims,
    LoadOptions,
    QuantizeOptions,
    TocoOptions,
    parse_shapes,
)
from tqconv.errors import UsageError


def source_of(given: Given) -> str:
    """Return the model's path: the bare word or the flag. UsageError when there are none or two."""
    words = list(given.words)
    if "source" in given:
        if words:
            raise UsageError(
                f"the model is given twice: `{words[0]}` and {given.typed['source']} "
                f"`{given.get('source')}`"
            )
        words = [given.get("source")]
    if not words:
        raise UsageError("no model is given", hint="name its file, or use --input_file")
    if len(words) > 1:
        raise UsageError(
            f"one model at a time: `{words[0]}`, then `{words[1]}`",
            hint="a value with blanks needs quotes",
        )
    return str(words[0])


def target_of(given: Given, example: str = "model.tflite") -> str:
    """Return the path of the result; UsageError when it is missing."""
    if "target" not in given:
        raise UsageError("the result has no name", hint=f"add --output_file {example}")
    return str(given.get("target"))


def load_options(given: Given) -> LoadOptions:
    """Return what to read from the model file."""
    fields = _fields(given, "load")
    shapes, named = _shapes(given)
    values = dict(given.get("values", ()))
    return LoadOptions(
        **fields,
        shapes=shapes,
        named_shapes=named,
        values=values,
        rnn_states=given.get("rnn_states", ()),
    )


def convert_options(given: Given) -> tuple[ConvertOptions, list[str]]:
    """Return the options of `convert`, and sentences about old flags that have no effect here."""
    notes: list[str] = []
    mode, toco_type = _mode(given, notes)
    if mode is None:
        _check_float(given, notes)
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
        load=load_options(given),
        quantize=quantize,
        toco=_toco(given, toco_type),
        target_format=given.get("target_format", "tflite"),
        dump_dir=given.get("dump_dir"),
        dump_steps=given.get("dump_steps", False),
        summary_dir=given.get("summary_dir"),
        checks=given.get("checks", ()),
        verify=given.get("verify"),
    )
    return options, notes


def calibrate_options(given: Given) -> CalibrateOptions:
    """Return the options of `calibrate`."""
    samples = QuantizeOptions(**_fields(given, "quantize"))
    return CalibrateOptions(load_options(given), samples, given.get("update"))


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


def _mode(given: Given, notes: list[str]) -> tuple[str | None, str | None]:
    """Return the scheme, and the type of TOCO's own quantization when that is asked for."""
    toco_type = given.get("inference_type")
    if toco_type == "int16":
        raise UsageError(
            "`--inference_type QUANTIZED_INT16` is not supported by tqconv",
            hint="use --quantize int16x8",
        )
    asked = _asked_modes(given)
    if len(set(asked.values())) > 1:
        (first, *_), (second, *_) = _distinct(asked)
        raise UsageError(f"{first} and {second} ask for different quantizations")
    mode = next(iter(asked.values()), None)
    if toco_type is None or mode in (toco_type, "uint8"):
        return (None if mode == "float" else mode), (toco_type or _uint8(mode))
    if mode is None:
        return toco_type, toco_type
    if "quantize" in given:
        raise UsageError(f"{given.typed['inference_type']} and --quantize ask for different types")
    # TOCO's rule (toco_tooling.cc): weight quantization overrides a quantized inference type.
    notes.append(
        f"{given.typed['inference_type']} is overridden by weight quantization, as in TOCO: "
        f"the model becomes {mode}"
    )
    return mode, None


def _uint8(mode: str | None) -> str | None:
    return "uint8" if mode == "uint8" else None


def _distinct(asked: Mapping[str, str]) -> list[tuple[str, str]]:
    by_mode = {mode: flag for flag, mode in asked.items()}
    return [(flag, mode) for mode, flag in by_mode.items()][:2]


def _asked_modes(given: Given) -> dict[str, str]:
    """Return flag as typed -> scheme, for each flag that asks for one."""
    asked: dict[str, str] = {}
    if "quantize" in given:
        asked[given.typed["quantize"]] = given.get("quantize")
    if given.get("float16"):
        asked[given.typed["float16"]] = "float16"
    elif given.get("weights") and _op_set(given) == "float":
        asked[given.typed["weights"]] = "dynamic"
    if _op_set(given) != "float":
        asked[given.typed["op_sets"]] = _op_set(given)
    return asked


def _op_set(given: Given) -> str:
    sets = set(given.get("op_sets", ()))
    if "select" in sets:
        raise UsageError(
            f"`{given.typed['op_sets']}` with TensorFlow's operators is not supported by tqconv",
            hint="keep single operators with --allow_custom_ops",
        )
    return next((name for name in ("int8", "int16x8") if name in sets), "float")


def _check_float(given: Given, notes: list[str]) -> None:
    """Flags that only quantization reads are an error on a float model, or a note for TOCO's."""
    for key, flag in given.flags.items():
        if flag.quantized == "needs" and given.get(key):
            raise UsageError(
                f"{given.typed[key]} needs a quantization", hint="add --quantize int8, for instance"
            )
        if flag.quantized == "notes":
            notes.append(f"{given.typed[key]} has no effect on a float model")


def _quantize(given: Given, mode: str | None) -> QuantizeOptions:
    fields = _fields(given, "quantize")
    if mode is not None and given.get("op_sets") == ("int8",):
        fields.setdefault("integer_only", True)
    if fields.get("integer_only") and mode not in ("int8", "int16x8", "uint8"):
        raise UsageError(f"--integer_only does not go with {mode}", hint="add --quantize int8")
    return QuantizeOptions(
        mode=mode,
        input_stats=_stats(given),
        named_stats=dict(given.get("named_stats", ())),
        input_ranges=dict(given.get("input_ranges", ())),
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
            f"{given.typed['means']} has {len(means)} entries, "
            f"{given.typed['stds']} has {len(stds)}"
        )
    if min(stds) <= 0:
        raise UsageError(f"{given.typed['stds']}: a standard deviation is above zero")
    inputs = given.get("load.inputs")
    if inputs is not None and len(inputs) != len(means):
        typed = given.typed.get("means") or given.typed["stds"]
        raise UsageError(f"{typed} has {len(means)} entries for {len(inputs)} inputs")
    return tuple(zip(means, stds, strict=True))


def _input_type(given: Given, toco_type: str | None) -> str | None:
    types = set(given.get("input_types", ()))
    if not types:
        return None
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
