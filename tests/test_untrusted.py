"""What files may cost: limits, and what libraries raise for damaged bytes."""

from __future__ import annotations

import resource
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tqconv.config import LoadOptions
from tqconv.errors import FormatError, TqconvError, UnsupportedError
from tqconv.exporters.tflite import serialize
from tqconv.importers.tf.graphdef import load
from tqconv.importers.tflite.reader import parse
from tqconv.ir.arrays import (
    checksum,
    contiguous,
    converted,
    is_repeated,
    repeated,
    same_bytes,
    stored_bytes,
)
from tqconv.ir.graph import Graph, Model, Tensor
from tqconv.ops.emit import emit
from tqconv.quant.evidence import ranges
from tqconv.runtime.arrays import read_arrays
from tqconv.schema import proto
from tqconv.schema.flatbuf import read, write
from tqconv.untrusted import MIB, Budget, Mapped, parse_json, reading, whole

FLOAT, INT32 = 1, 3


def test_a_budget_is_spent_once() -> None:
    budget = Budget(bytes=100)
    budget.take(60, "it")
    budget.take(-1000, "nothing")
    with pytest.raises(FormatError, match="it takes 60 bytes in memory, far more than is stored"):
        budget.take(60, "it")
    assert not budget.affords(41, 0)
    assert budget.affords(40, 0)


def test_what_a_library_raises_is_a_format_error() -> None:
    expected = "photo is damaged: RuntimeError: boom$"
    with pytest.raises(FormatError, match=expected), reading("photo is damaged"):
        raise RuntimeError("boom\nmore")
    with pytest.raises(UnsupportedError, match="ours"), reading("photo is damaged"):
        raise UnsupportedError("ours")


def test_json_is_refused_by_its_depth_and_numbers() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}', "it") == {"a": 1}
    with pytest.raises(FormatError, match="it is not JSON: it is nested too deeply"):
        parse_json("[" * 100_000, "it")
    with pytest.raises(FormatError, match="it is not JSON"):
        parse_json('{"a": ' + "9" * 10_000 + "}", "it")
    with pytest.raises(FormatError, match="it is not JSON"):
        parse_json(b"\xff\xfe", "it")


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("0042", 42), ("٣", 3), ("9" * 19, 2**63 - 1), ("9" * 5000, 2**63 - 1)]
    + [(text, None) for text in ("", "-1", "+1", "1e3", "1_000", "²", " 1")],
)
def test_digits_of_any_length_are_a_number(text: str, number: int | None) -> None:
    """Python reads no number of thousands of digits, and `²` is a digit to `str.isdigit`."""
    assert whole(text) == number


def test_places_of_thousands_of_digits_are_places_that_do_not_exist(tmp_path: Path) -> None:
    digits = "9" * 5000
    x = "node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: DT_FLOAT } } }"
    y = f"node {{ name: 'y' op: 'Relu' input: 'x:{digits}' }}"
    (tmp_path / "g.pbtxt").write_text(f"{x}\n{y}")
    with pytest.raises(FormatError, match="its node has no such output"):
        load(tmp_path / "g.pbtxt", LoadOptions(shapes=((1,),)))


def test_one_value_is_stored_once() -> None:
    zeros = repeated(0, (1000, 1000), np.dtype(np.float32))
    assert stored_bytes(zeros) == 4
    assert stored_bytes(np.zeros((2, 3))) == 48
    assert stored_bytes(np.zeros((0, 3))) == 0
    assert is_repeated(converted(zeros, np.dtype(np.int8)))
    assert is_repeated(contiguous(zeros, np.dtype(np.int8)))
    dense = np.zeros((1000, 1000), np.float32)
    assert same_bytes(zeros, dense)
    assert not same_bytes(zeros, dense + 1)
    assert checksum(zeros) == checksum(dense)
    ones = repeated(1, (3, 5), np.dtype(np.float32))
    assert checksum(ones) == checksum(np.ones((3, 5), np.float32))
    assert not same_bytes(ones, repeated(2, (3, 5), np.dtype(np.float32)))


class Graphs:
    """A GraphDef that is built node by node."""

    def __init__(self) -> None:
        self.message = proto.messages().GraphDef()

    def input(self, name: str, *dims: int) -> None:
        node = self.message.node.add(name=name, op="Placeholder")
        node.attr["dtype"].type = FLOAT
        node.attr["shape"].shape.SetInParent()
        for size in dims:
            node.attr["shape"].shape.dim.add(size=size)

    def constant(self, name: str, value: float, *dims: int, dtype: int = FLOAT) -> None:
        node = self.message.node.add(name=name, op="Const")
        node.attr["dtype"].type = dtype
        tensor = node.attr["value"].tensor
        tensor.dtype = dtype
        tensor.tensor_shape.SetInParent()
        for size in dims:
            tensor.tensor_shape.dim.add(size=size)
        (tensor.float_val if dtype == FLOAT else tensor.int_val).append(value)  # type: ignore[arg-type]

    def op(self, op: str, name: str, *inputs: str, **attrs: Any) -> None:
        node = self.message.node.add(name=name, op=op, input=inputs)
        for key, value in attrs.items():
            if key in ("T", "Tidx", "Tmultiples", "index_type"):
                node.attr[key].type = value
            elif isinstance(value, str):
                node.attr[key].s = value.encode()
            elif isinstance(value, list):
                node.attr[key].list.i.extend(value)
            else:
                node.attr[key].i = value

    def write(self, path: Path) -> Path:
        path.write_bytes(self.message.SerializeToString())
        return path


def test_constants_of_one_value_are_views(tmp_path: Path) -> None:
    graph = Graphs()
    graph.input("x", 1)
    graph.constant("c", 2.0, 1 << 22)
    graph.op("AddV2", "y", "x", "c", T=FLOAT)
    made = load(graph.write(tmp_path / "g.pb"), LoadOptions())
    (constant,) = [t for t in made.main.tensors() if t.is_constant]
    assert constant.data is not None
    assert constant.shape == (1 << 22,)
    assert stored_bytes(constant.data) == 4
    stored = parse(bytes(serialize(made)), "g").main.ops[0].inputs[1]
    assert stored is not None
    assert stored.data is not None
    assert np.all(stored.data == 2.0)


@pytest.mark.parametrize("count", [1, 5])
def test_constants_may_not_grow_beyond_the_budget(tmp_path: Path, count: int) -> None:
    graph = Graphs()
    graph.input("x", 1)
    last = "x"
    for i in range(count):
        graph.constant(f"c{i}", i, (1 << 27) // count)
        graph.op("AddV2", f"y{i}", last, f"c{i}", T=FLOAT)
        last = f"y{i}"
    with pytest.raises(TqconvError, match=r"the constant `value` takes .*MiB in memory") as caught:
        load(graph.write(tmp_path / "g.pb"), LoadOptions())
    assert caught.value.exit_code in (3, 4)
    assert "Const 'c" in str(caught.value)


def test_folding_stops_at_its_budget() -> None:
    graph = Graph("main", budget=Budget(bytes=10 << 20, work=1 << 20))
    x = emit(graph, "FILL", np.array([1 << 18], np.int32), np.float32(1), name="x")
    assert x.is_constant  # one value: a view of 4 bytes, that counts as 1 MiB
    kept = []
    for i in range(20):
        kept.append(emit(graph, "TILE", x, np.array([2], np.int32), name=f"y{i}"))
    constants = [t.is_constant for t in kept]
    assert constants[0]
    assert not constants[-1]


def test_folding_stops_where_it_takes_long() -> None:
    graph = Graph("main", budget=Budget(work=1_000_000))
    one = np.ones((300, 300), np.float32)
    product = emit(graph, "BATCH_MATMUL", one, one, name="y")
    assert not product.is_constant  # 27 million multiplications
    assert emit(graph, "BATCH_MATMUL", one[:9], one, name="z").is_constant


def test_bodies_share_the_budget_of_their_model() -> None:
    graph = Graph("main", budget=Budget(bytes=5))
    assert graph.body("body").budget is graph.budget


@pytest.mark.parametrize("calls", [2, 10])
def test_functions_that_call_functions_expand_within_a_limit(tmp_path: Path, calls: int) -> None:
    graph = Graphs()
    graph.input("x", 1)
    levels = 6
    for level in range(levels):
        body = graph.message.library.function.add()
        body.signature.name = f"f{level}"
        body.signature.input_arg.add(name="a", type=FLOAT)
        body.signature.output_arg.add(name="o", type=FLOAT)
        last = "a"
        for i in range(calls):
            node = body.node_def.add(name=f"c{i}", op="Neg", input=[last])
            last = f"c{i}:y:0"
            if level + 1 < levels:
                node.op, last = "PartitionedCall", f"c{i}:output:0"
                node.attr["f"].func.name = f"f{level + 1}"
        body.ret["o"] = last
    graph.op("PartitionedCall", "y", "x")
    graph.message.node[-1].attr["f"].func.name = "f0"
    path = graph.write(tmp_path / "g.pb")
    if calls == 2:
        assert len(load(path, LoadOptions()).main.ops) == calls**levels
        return
    with pytest.raises(UnsupportedError, match="function `f5` makes the model too large"):
        load(path, LoadOptions())


@pytest.mark.parametrize("count", [10**6, 2**31 - 1])
def test_tensors_are_not_taken_into_any_number_of_parts(tmp_path: Path, count: int) -> None:
    graph = Graphs()
    graph.input("x", count)
    graph.op("Unpack", "y", "x", T=FLOAT, num=count, axis=0)
    with pytest.raises(TqconvError, match=r"`num` of .* makes the model too large") as caught:
        load(graph.write(tmp_path / "g.pb"), LoadOptions())
    assert "Unpack 'y' in g.pb" in str(caught.value)


@pytest.mark.parametrize("size", [1 << 31, 1 << 40])
def test_sizes_that_no_file_can_say(tmp_path: Path, size: int) -> None:
    graph = Graphs()
    graph.input("x", size // 2)
    graph.constant("axis", 0, dtype=INT32)
    graph.op("ConcatV2", "y", "x", "x", "axis", T=FLOAT, Tidx=INT32, N=2)
    with pytest.raises(TqconvError, match="31 bits"):
        load(graph.write(tmp_path / "g.pb"), LoadOptions())
    model = Model([Graph("main")])
    with pytest.raises(UnsupportedError, match=f"input 'x' has the shape .{size}."):
        model.main.add_input("x", (size,), np.dtype(np.float32))
    model.main.inputs.append(Tensor("x", (size,), np.dtype(np.float32)))
    with pytest.raises(UnsupportedError, match=f"'x' has the shape .{size}."):
        serialize(model)


@pytest.mark.parametrize("shape", [[2**31 - 1] * 3, [2**31 - 1, 0, 2**31 - 1]])
def test_shapes_that_no_memory_holds(shape: list[int]) -> None:
    with pytest.raises(
        UnsupportedError, match=r"tensor 'c0' has the shape .* more elements than LiteRT counts"
    ):
        parse(shared_tensors(1, b"", 0, shape), "m.tflite")


def test_shapes_of_more_dimensions_than_any_has() -> None:
    graph = Graph("main")
    sizes = graph.add_input("sizes", (300,), np.dtype(np.int32))
    with pytest.raises(UnsupportedError, match="'y' has 300 dimensions, a shape has 64 at most"):
        emit(graph, "FILL", sizes, np.float32(1), name="y")


def shared_tensors(count: int, buffer: bytes, kind: int, shape: list[int]) -> bytes:
    """Return a file of `count` tensors, each added to an input, that share one buffer."""
    tensors = [{"shape": np.array([1], np.int32), "type": kind, "name": "x"}]
    operators: list[dict[str, Any]] = []
    for i in range(count):
        array = np.array(shape, np.int32)
        tensors.append({"shape": array, "type": kind, "name": f"c{i}", "buffer": 1})
        tensors.append({"shape": array, "type": kind, "name": f"y{i}"})
        reads = np.array([0, 2 * i + 1], np.int32)
        operators.append({"inputs": reads, "outputs": np.array([2 * i + 2], np.int32)})
    graph = {
        "tensors": tensors,
        "inputs": np.array([0], np.int32),
        "outputs": np.array([2 * i + 2 for i in range(count)], np.int32),
        "operators": operators,
        "name": "main",
    }
    content = {
        "version": 3,
        "operator_codes": [{"deprecated_builtin_code": 0, "builtin_code": 0, "version": 1}],
        "buffers": [{}, {"data": buffer}],
        "subgraphs": [graph],
    }
    return bytes(write(content))


def test_shared_buffers_stay_shared() -> None:
    data = np.random.default_rng(0).normal(size=1 << 16).astype(np.float32).tobytes()
    source = shared_tensors(20, data, 0, [1 << 16])
    model = parse(source, "m.tflite")
    constants = [t for t in model.main.tensors() if t.is_constant]
    addresses = {t.data.__array_interface__["data"][0] for t in constants if t.data is not None}
    assert (len(constants), len(addresses)) == (20, 1)
    written = bytes(serialize(model))
    assert len(written) < 1.1 * len(source)
    assert sum(len(b.get("data", ())) > 1000 for b in read(written)["buffers"]) == 1


def test_what_many_tensors_share_is_bounded_by_the_file() -> None:
    count = 20_000
    offsets = range(4 * count + 8, 5 * count + 9)
    strings = np.array([count, *offsets], "<i4").tobytes() + b"x" * count
    with pytest.raises(FormatError, match="far more than is stored"):
        parse(shared_tensors(4000, strings, 5, [count]), "m.tflite")
    nibbles = bytes(1 << 20)
    with pytest.raises(FormatError, match="far more than is stored"):
        parse(shared_tensors(2000, nibbles, 17, [1 << 21]), "m.tflite")


def npy(shape: str, data: bytes = b"") -> bytes:
    """Return a .npy file whose header claims a shape."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "content",
    [
        npy("(1000000000000,)"),
        npy("(4,)", bytes(15)),
        npy("(-1,)", bytes(16)),
        npy("(4"),
        npy("(" * 3000),
        npy("4"),
        b"\x93NUMPY\x09\x00",
        b"PK\x03\x04" + bytes(100),
        b"",
    ],
)
def test_numpy_headers_are_checked_before_anything_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.npy"):
        read_arrays(path, Mapped(path))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(FormatError, match=r"b\.npz"):
        read_arrays(tmp_path / "b.npz", Mapped(tmp_path / "b.npz"))


def test_archives_may_not_unpack_to_far_more_than_they_are(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, x=np.zeros(80 * MIB, np.float32))
    assert path.stat().st_size < MIB
    with pytest.raises(FormatError, match=r"array 'x' of .* takes 320 MiB in memory"):
        read_arrays(path, Mapped(path))
    np.savez_compressed(path, x=np.zeros(MIB, np.float32))
    found = read_arrays(path, Mapped(path))
    assert isinstance(found, dict)
    assert found["x"].shape == (MIB,)


@pytest.mark.parametrize(
    "text",
    [
        '{"tensors": ' + "[" * 100_000,
        '{"tensors": [{"name": "x", "min": -1, "max": 1, "samples": 1e999}]}',
        '{"tensors": [{"name": "x", "min": -1, "max": 1, "observed": 5}]}',
        '{"tensors": [{"name": "x", "min": -1, "max": 1, "method": "minmux"}]}',
        '{"tensors": [{"pattern": "(", "min": -1, "max": 1}]}',
        '{"tensors": [7]}',
        "[]",
    ],
)
def test_ranges_files_that_are_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(FormatError):
        ranges.load(path)


HARD_LIMIT = 1 << 30
"""Bytes of memory that a small file may take."""


def test_a_bomb_is_refused_within_its_memory(tmp_path: Path) -> None:
    graph = Graphs()
    graph.input("x", 1)
    graph.constant("c", 1.0, (1 << 29) - 1)
    graph.constant("axis", 0, 1, dtype=INT32)
    graph.op("Sum", "s", "c", "axis", T=FLOAT, Tidx=INT32)
    graph.op("AddV2", "y", "x", "s", T=FLOAT)
    source = graph.write(tmp_path / "g.pb")
    command = [sys.executable, "-m", "tqconv", "convert", str(source), "-o", str(tmp_path / "o")]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (HARD_LIMIT, HARD_LIMIT))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 3, done.stderr
    assert "Const 'c' in g.pb: the constant `value` takes 2 GiB in memory" in done.stderr
    assert not (tmp_path / "o").exists()


def test_a_model_without_constants_costs_nothing() -> None:
    budget = Budget.of(1000, 10)
    assert budget == Budget(256 * MIB + 32_000, nodes=50_300)
    assert Model([Graph("main")]).main.budget == Budget()
