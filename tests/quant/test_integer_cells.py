"""An LSTM in integers: its states, the range of its cells, and what keeps it float."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from graph_text import parse

import tqconv
from tqconv.config import QuantizeOptions
from tqconv.exporters.tflite import serialize
from tqconv.importers.tflite.reader import parse as read
from tqconv.ir.graph import Graph, Model, Op, Tensor
from tqconv.ir.types import Range
from tqconv.jobs.quantize import quantize
from tqconv.ops.emit import emit
from tqconv.passes.recurrent.steps import own_states
from tqconv.quant.params import cells
from tqconv.quant.refusals import MissingRangesError
from tqconv.quant.select import states
from tqconv.runtime import cells as inside
from tqconv.runtime.calibrate import calibrate
from tqconv.runtime.compare import difference
from tqconv.runtime.litert import Session

N, T, D, C = 2, 6, 3, 5
F = np.float32
KERNELS = {
    "xnnpack": OpResolverType.AUTO,
    "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
}


def layer(*, time_major: bool = False, given: bool = False, **parts: tuple[int, ...]) -> Graph:
    """An LSTM over a sequence. given: its first states are inputs; parts: more operands' shapes."""
    rng = np.random.default_rng(9)

    def reals(*shape: int) -> np.ndarray:
        return rng.normal(size=shape, scale=0.8).astype(F)

    graph = Graph("layer")
    x = graph.add_input("x", (T, N, D) if time_major else (N, T, D), np.dtype(F))
    matrices = [reals(C, D) for _ in range(4)] + [reals(C, C) for _ in range(4)]
    peepholes = (
        [reals(*parts["peepholes"]) for _ in range(3)] if "peepholes" in parts else [None] * 3
    )
    biases = [reals(C) for _ in range(4)]
    first = [np.zeros((N, C), F)] * 2
    if given:
        first = [graph.add_input(name, (N, C), np.dtype(F)) for name in ("h0", "c0")]
    made = emit(
        graph,
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        x,
        *matrices,
        *peepholes,
        *biases,
        None,
        None,
        *first,
        name="y",
        fused_activation_function="TANH",
        time_major=time_major,
    )
    graph.outputs.append(made)
    own_states(graph)
    graph.sort()
    return graph


def feeds(graph: Graph, count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(10)
    shapes = {t.name: [2 if size is None else size for size in t.shape] for t in graph.inputs}
    return {name: rng.normal(size=(count, *shape)).astype(F) for name, shape in shapes.items()}


def in_integers(graph: Graph, path: Path, **more: object) -> Model:
    np.savez(path / "s.npz", **feeds(graph, 24))
    model = Model([graph])
    quantize(model, QuantizeOptions(mode="int8", calibration_data=str(path / "s.npz"), **more))  # type: ignore[arg-type]
    model.main.check()
    return model


def lstm(model: Model) -> Op:
    return next(op for op in model.main.ops if op.type == "UNIDIRECTIONAL_SEQUENCE_LSTM")


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize(
    "how", [{}, {"time_major": True}, {"given": True}], ids=["plain", "time first", "states given"]
)
def test_each_run_is_near_the_float_one(kind: str, how: dict[str, bool], tmp_path: Path) -> None:
    """The same runner three times: states of one run are not those that the next begins with."""
    ends = {"input_type": "float32", "output_type": "float32"}
    model = in_integers(layer(**how), tmp_path, integer_only=True, **ends)
    op = lstm(model)
    assert op.input(0).dtype == op.output.dtype == np.int8
    assert [state.dtype for state in (op.input(18), op.input(19))] == [np.int8, np.int16]
    samples = feeds(layer(**how), 3)
    plain = Session(serialize(Model([layer(**how)])))
    runner = Interpreter(
        model_content=serialize(model), experimental_op_resolver_type=KERNELS[kind]
    )
    runner.allocate_tensors()
    for i in range(3):
        sample = {name: values[i] for name, values in samples.items()}
        plain.run(sample)
        for detail in runner.get_input_details():
            runner.set_tensor(detail["index"], sample[detail["name"]])
        runner.invoke()
        got = runner.get_tensor(runner.get_output_details()[0]["index"])
        assert difference(plain.outputs()[0], got)[0] > 28


def reals_within(model: Model) -> set[str]:
    """The tensors of reals, but those of no element that the kernel asks for."""
    return {t.name for t in model.main.tensors() if t.dtype == np.float32 and t.shape != (0,)}


def test_what_a_layer_begins_with_may_be_computed_in_integers(tmp_path: Path) -> None:
    def begun() -> Graph:
        graph = layer(given=True)
        fills = [op for op in graph.ops if op.type == "MAXIMUM"]
        weights = np.random.default_rng(3).normal(size=(2, C, C), scale=0.2).astype(F)
        for fill, w in zip(fills, weights, strict=True):
            made = emit(graph, "FULLY_CONNECTED", fill.input(0), w, name=f"{fill.output.name}/made")
            graph.set_input(fill, 0, made)
            graph.set_input(fill, 1, made)
        graph.sort()
        return graph

    model = in_integers(begun(), tmp_path, integer_only=True, input_type="int8")
    assert not reals_within(model)
    sample = {name: values[0] for name, values in feeds(layer(given=True), 1).items()}
    plain, mine = Session(serialize(Model([begun()]))), Session(serialize(model))
    plain.run(sample)
    mine.run({t.name: stored(sample[t.name], t) for t in model.main.inputs})
    assert difference(plain.output(0), decode(mine.output(0), model.main.outputs[0]))[0] > 28


def stored(x: np.ndarray, tensor: Tensor) -> np.ndarray:
    assert tensor.quant is not None
    steps = np.rint(x / tensor.quant.scale[0]) + tensor.quant.zero_point[0]
    return np.clip(steps, -128, 127).astype(np.int8)


def decode(x: np.ndarray, tensor: Tensor) -> np.ndarray:
    assert tensor.quant is not None
    return ((x.astype(F) - tensor.quant.zero_point[0]) * tensor.quant.scale[0]).astype(F)


def test_first_states_of_an_open_number_of_rows_are_integers(tmp_path: Path) -> None:
    """As many rows of zeros as the input has: ZEROS_LIKE has no integer kernel."""
    graph = parse(
        """
        x: f32[?,3] -> y
        zeros = ZEROS_LIKE(x)
        y = CONCATENATION(x, zeros) {axis=1}"""
    )
    model = in_integers(graph, tmp_path, integer_only=True)
    assert not reals_within(model)
    session = Session(serialize(model))
    session.run({"x": np.array([[-90, 3, 127], [0, 1, -128]], np.int8)})
    np.testing.assert_array_equal(decode(session.output(0), model.main.outputs[0])[:, 3:], 0)


def test_cells_are_what_the_kernel_holds() -> None:
    graph = layer()
    ((variable, op),) = inside.measurable(graph)
    x, other = feeds(graph, 2)["x"]
    both = [inside.given(op, {"x": each}.__getitem__) for each in (x, other)]
    found, _ = inside.values(op, both)
    assert found.shape == (T + 1, N, C)
    runner = Interpreter(
        model_content=serialize(Model([graph])),
        experimental_op_resolver_type=KERNELS["builtin"],
        experimental_preserve_all_tensors=True,
    )
    runner.allocate_tensors()
    runner.set_tensor(runner.get_input_details()[0]["index"], x)
    runner.invoke()
    index = {d["name"]: d["index"] for d in runner.get_tensor_details()}
    np.testing.assert_allclose(runner.get_tensor(index[variable.name]), found[-1], atol=1e-5)


@pytest.mark.parametrize(
    ("peak", "exponent"), [(0.0, -15), (0.9, -15), (1.5, -14), (16, -11), (17, -10), (900, -9)]
)
def test_the_scale_of_cells_is_a_power_of_two(peak: float, exponent: int) -> None:
    made = cells(Range(-peak / 2, peak, "calibrated"))
    assert made.dtype == np.int16
    assert made.scale[0] == 2.0**exponent


def test_cells_are_asked_for_where_no_range_is_known(tmp_path: Path) -> None:
    graph = layer()
    (cell,) = [s.variable for op in graph.ops for s in states(op) if s.like is None]
    with pytest.raises(MissingRangesError, match=cell.name):
        quantize(Model([graph]), QuantizeOptions(mode="int8"))


def test_peepholes_keep_it_float(tmp_path: Path) -> None:
    model = in_integers(layer(peepholes=(C,)), tmp_path)
    assert lstm(model).output.dtype == np.float32
    assert any("peepholes, of which no range is measured" in note for note in model.notes)


@pytest.mark.parametrize("mode", ["int16x8", "uint8"])
def test_other_modes_keep_it_float_and_whole(mode: str, tmp_path: Path) -> None:
    graph = layer()
    np.savez(tmp_path / "s.npz", **feeds(graph, 8))
    model = Model([graph])
    quantize(model, QuantizeOptions(mode=mode, calibration_data=str(tmp_path / "s.npz")))
    assert lstm(model).output.dtype == np.float32


def test_it_is_read_and_written_again(tmp_path: Path) -> None:
    content = serialize(in_integers(layer(), tmp_path))
    again = serialize(read(content, "n"))
    x = feeds(layer(), 1)["x"][0]
    results = []
    for file in (content, again):
        session = Session(file)
        session.run({"x": x})
        results.append(session.outputs()[0])
    np.testing.assert_array_equal(*results)


def test_compilers_find_all_operands_and_what_the_kernel_needs(tmp_path: Path) -> None:
    op = lstm(in_integers(layer(), tmp_path))
    assert len(op.inputs) == 24  # Vela counts them
    assert [t.dtype for t in op.intermediates] == [np.float32] * 4 + [np.int8]
    assert op.intermediates[-1].quant is not None
    assert op.output.quant is not None
    assert op.intermediates[-1].quant.equals(op.output.quant)


def test_what_only_the_last_step_reaches_does_not_clip_the_others(tmp_path: Path) -> None:
    graph = layer()
    y = graph.outputs[0]
    last = emit(
        graph,
        "STRIDED_SLICE",
        y,
        np.array([0, T - 1, 0], np.int32),
        np.array([0, T, 0], np.int32),
        np.ones(3, np.int32),
        name="last",
        begin_mask=5,
        end_mask=5,
        shrink_axis_mask=2,
    )
    graph.outputs[:] = [last]
    op = lstm(in_integers(graph, tmp_path))
    whole = lstm(in_integers(layer(), tmp_path))
    assert op.output.quant is not None
    assert op.output.quant.equals(whole.output.quant)


def test_a_trained_network_is_integers_all_through_and_as_good() -> None:
    """95.00 % of 300 held-out digits in float, read row by row."""
    folder = Path(__file__).parents[2] / "sample_models" / "digits_rows"
    content = tqconv.convert(
        folder / "saved_model",
        quantize="int8",
        integer_only=True,
        input_type="float32",
        output_type="float32",
        shapes=((1, 8, 8, 1),),
        samples=dict(np.load(folder / "calibration.npz")),
    )
    model = read(content, "n")
    assert not [op.type for op in model.main.ops if op.type in ("WHILE", "GATHER")]
    reals = {t.name for t in model.main.tensors() if t.dtype == np.float32 and t.elements is None}
    assert {name for name in reals if "intermediate" not in name} == {"image", "probabilities"}
    held_out = np.load(folder / "labels.npz")
    session, right = Session(content), 0
    for image, label in zip(held_out["features"], held_out["labels"], strict=True):
        session.run({"image": image[None].astype(F)})
        right += int(session.output(0).argmax() == label)
    assert right / len(held_out["labels"]) >= 0.945


def test_cells_of_all_samples_are_seen_whatever_waits() -> None:
    graph = layer(given=True)
    ((variable, op),) = inside.measurable(graph)
    count = inside.TOGETHER + 3
    columns = feeds(graph, count)
    samples = [{name: array[i] for name, array in columns.items()} for i in range(count)]
    alone = [inside.values(op, [inside.given(op, feed.__getitem__)])[0] for feed in samples]
    seen = calibrate(Model([graph]), samples, serialize)[variable.name]
    assert seen.samples == count
    assert seen.low == pytest.approx(min(each.min() for each in alone), rel=1e-5)
    assert seen.high == pytest.approx(max(each.max() for each in alone), rel=1e-5)


def test_cells_of_sequences_of_several_lengths() -> None:
    graph = layer()
    ((_, op),) = inside.measurable(graph)
    x = feeds(graph, 1)["x"][0]
    both = [inside.given(op, {"x": each}.__getitem__) for each in (x, x[:, :4])]
    long, short = inside.values(op, both)
    assert len(short) == 5
    np.testing.assert_allclose(short, long[:5], atol=1e-6)
