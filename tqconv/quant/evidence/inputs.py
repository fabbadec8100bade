"""What is said about graph inputs, and integer inputs of models that compute with reals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tqconv.config import QuantizeOptions
from tqconv.errors import UsageError, counted, suggestion
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Range, Source, type_name
from tqconv.quant.evidence.ranges import Ranges, names_of
from tqconv.quant.params import activation, limits
from tqconv.quant.schemes import INT16, UINT8, scheme

REAL = (None, "float32")
TINY, MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
SLACK = 0.02
"""Part of a range by which samples may leave it: a few steps of 8 bits."""


def computes_reals(options: QuantizeOptions) -> bool:
    """Whether activations stay float."""
    return options.mode is None or scheme(options.mode).activation is None


def check(options: QuantizeOptions) -> None:
    """Raise UsageError for border types that a model of float activations cannot have."""
    if not computes_reals(options):
        return
    without = "without --quantize" if options.mode is None else f"in mode {options.mode}"
    reason = f"is for integer activations, and {without} they stay as they are"
    quantize = "--quantize int8, int16x8 or uint8"
    if options.output_type not in REAL:
        raise UsageError(
            f"--inference_output_type {(options.output_type or '').upper()} {reason}",
            hint=f"add {quantize}, or leave it out",
        )
    if options.input_type not in REAL and not stated(options):
        raise UsageError(
            f"--inference_input_type {(options.input_type or '').upper()} {reason}",
            hint=f"add {quantize}; or say which reals the integers stand for, with --mean_values "
            "and --std_values, and they are dequantized first",
        )


def stated(options: QuantizeOptions) -> bool:
    """Whether it is said which reals the integers of an input stand for."""
    said = options.named_stats or options.input_ranges
    return options.input_stats is not None or bool(said)


def said_of_inputs(graph: Graph, options: QuantizeOptions, dtype: np.dtype) -> dict[Tensor, Range]:
    """Return what mean and standard deviation, or an explicit range, say about graph inputs.

    `dtype`: that of the stored numbers to which mean and deviation refer. They are divided in
    float32, as in TOCO's ResolveModelFlags.
    """
    inputs = {t.name.removesuffix(":0"): t for t in graph.inputs}
    stats: Mapping[str, tuple[float, float]] = options.named_stats
    if options.input_stats is not None:
        if len(options.input_stats) != len(inputs):
            raise UsageError(
                f"--mean_values and --std_values have "
                f"{counted(len(options.input_stats), 'entry', 'entries')} for "
                f"{counted(len(inputs), 'input')}",
                hint=f"one for each input, in the order {', '.join(inputs)}",
            )
        stats = {**dict(zip(inputs, options.input_stats, strict=True)), **stats}
    said: dict[Tensor, Range] = {}
    for name, (mean, std) in stats.items():
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            ends = (np.float32(end) - np.float32(mean) for end in limits(dtype))
            low, high = (float(end / np.float32(std)) for end in ends)
        said[_input(inputs, name)] = Range(low, high, "input_stats", f"mean {mean:g} std {std:g}")
    for name, (low, high) in options.input_ranges.items():
        said[_input(inputs, name)] = Range(low, high, "user", "--input_range")
    for tensor, known in said.items():
        _check_steps(tensor, known, dtype)
    return said


def _check_steps(tensor: Tensor, known: Range, dtype: np.dtype) -> None:
    """Raise UsageError where the steps of integers between the ends are no numbers of float32."""
    first, last = limits(dtype)
    step = (known.high - known.low) / (last - first)
    fits = step >= TINY and max(abs(known.low), abs(known.high)) <= MOST
    if not fits:
        raise UsageError(
            f"{known.detail} of input '{tensor.name}': no integers stand for the reals from "
            f"{known.low:g} to {known.high:g}",
            hint="real = (stored - mean) / std" if known.kind == "input_stats" else None,
        )


def _input(inputs: Mapping[str, Tensor], name: str) -> Tensor:
    tensor = inputs.get(name.removesuffix(":0"))
    if tensor is None:
        raise UsageError(
            f"`{name}` is not an input of the model{suggestion(name, inputs)}",
            hint=f"the inputs are {', '.join(inputs)}",
        )
    return tensor


def tell(model: Model, options: QuantizeOptions) -> None:
    """Set what is said about the inputs as their ranges: images are scaled to them."""
    for tensor, known in said_of_inputs(model.main, options, _stored(options)).items():
        if tensor.dtype == np.float32:
            tensor.range = known


def _stored(options: QuantizeOptions) -> np.dtype:
    """Return the type to which mean and deviation refer: at the border, inside, or TOCO's."""
    if options.input_type not in REAL:
        return np.dtype(options.input_type)
    return (scheme(options.mode).activation if options.mode is not None else None) or UINT8


def outside_notes(graph: Graph, options: QuantizeOptions, seen: Ranges) -> list[str]:
    """Return a note for each input whose samples do not fit the range that is said of it.

    Samples that reach outside, or that fill less than half of it, were scaled otherwise: bytes for
    0 … 1, or 0 … 1 for -1 … 1.
    """
    notes = []
    for tensor in graph.inputs:
        found = seen.find(names_of(tensor))
        ends = found[1].observed if found is not None else None
        if ends is not None and ends[0] == ends[1]:
            notes.append(
                f"input '{tensor.name}': every sample holds {ends[0]:g} and nothing else, so what "
                "was measured behind it says little about other values"
            )
    for tensor, said in said_of_inputs(graph, options, _stored(options)).items():
        found = seen.find(names_of(tensor))
        if found is None:
            continue
        low, high = found[1].observed or (found[1].low, found[1].high)
        slack = SLACK * (said.high - said.low)
        fills_little = min(high, said.high) - max(low, said.low) < (said.high - said.low) / 2
        if low < said.low - slack or high > said.high + slack or fills_little:
            notes.append(
                f"input '{tensor.name}': the samples reach from {low:g} to {high:g}, the range "
                f"that is said of it ({said.detail}) from {said.low:g} to {said.high:g}"
            )
    return notes


def dequantize_inputs(model: Model, options: QuantizeOptions) -> None:
    """Let float inputs of a float model be fed as integers, in place: `x -> DEQUANTIZE -> x/float`.

    TOCO's meaning of --inference_type FLOAT with --inference_input_type QUANTIZED_UINT8. Raises
    UsageError for an input of which it is not said which reals the integers stand for.
    """
    if options.input_type in REAL or not computes_reals(options):
        return
    graph, dtype = model.main, np.dtype(options.input_type)
    said = said_of_inputs(graph, options, dtype)
    reals = [tensor for tensor in graph.inputs if tensor.dtype == np.float32]
    if not reals:
        raise UsageError(f"--inference_input_type {type_name(dtype)}: the model has no float input")
    for tensor in reals:
        if tensor not in said:
            raise UsageError(
                f"it is not known which reals the {type_name(dtype)} input '{tensor.name}' "
                "stands for",
                hint=f"add --quantized_input_stats {tensor.name}:MEAN,STD",
            )
        _dequantize(graph, tensor, said[tensor], dtype)
    graph.sort()


def _dequantize(graph: Graph, tensor: Tensor, known: Range, dtype: np.dtype) -> None:
    name = tensor.name
    graph.release(name)
    tensor.name = graph.unique(f"{name}/float")
    outer = Tensor(graph.unique(name), tensor.shape, dtype)
    outer.quant = activation(known.low, known.high, dtype, symmetric=dtype == INT16).quant
    graph.inputs[:] = [outer if t is tensor else t for t in graph.inputs]
    graph.add(Op("DEQUANTIZE", (outer,), (tensor,), source=Source("", name, "Dequantize")))
