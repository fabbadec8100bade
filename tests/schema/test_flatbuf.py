"""Reading and writing of flatbuffers: round trips, layout of the file, errors."""

import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as binding
from ai_edge_litert.interpreter import Interpreter

from tqconv.errors import FormatError
from tqconv.schema import flatbuf


def add_model(constant):
    """y = x + constant, as a dict without any field at its default."""
    return {
        "version": 3,
        "operator_codes": [{"version": 2}],
        "subgraphs": [
            {
                "tensors": [
                    {"shape": list(constant.shape), "buffer": 1, "name": "x"},
                    {"shape": list(constant.shape), "buffer": 2, "name": "c"},
                    {"shape": list(constant.shape), "buffer": 1, "name": "y·"},
                ],
                "inputs": [0],
                "outputs": [2],
                "operators": [
                    {
                        "inputs": [0, 1],
                        "outputs": [2],
                        "builtin_options": ("AddOptions", {"fused_activation_function": 1}),
                        "mutating_variable_inputs": [False, True],
                    }
                ],
                "name": "main",
            }
        ],
        "buffers": [{}, {}, {"data": constant}],
        "metadata": [{"name": "m", "buffer": 1}],
    }


def plain(value):
    """The same with lists for arrays, and constants as lists of bytes."""
    if isinstance(value, dict):
        return {
            name: list(bytes(item)) if name == "data" else plain(item)
            for name, item in value.items()
        }
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def run(file, x):
    interpreter = Interpreter(model_content=bytes(file))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.fixture
def model(rng):
    return add_model(rng.normal(size=(4, 7)).astype(np.float32))


def test_round_trip(model):
    assert plain(flatbuf.read(flatbuf.write(model))) == plain(model)


def test_litert_computes_what_was_written(model):
    constant = model["buffers"][2]["data"]
    x = np.ones_like(constant)
    np.testing.assert_array_equal(run(flatbuf.write(model), x), np.maximum(x + constant, 0))


def test_the_bytes_depend_on_the_values_only(model):
    reordered = dict(reversed(model.items()))
    assert bytes(flatbuf.write(model)) == bytes(flatbuf.write(reordered))


def test_defaults_and_none_are_left_out():
    options = {"dilation_w_factor": 1, "dilation_h_factor": 2, "padding": 0, "stride_w": None}
    operator = {"builtin_options": ("Conv2DOptions", options), "debug_metadata_index": -1}
    file = flatbuf.write({"subgraphs": [{"operators": [operator]}]})
    (read,) = flatbuf.read(file)["subgraphs"][0]["operators"]
    assert read == {"builtin_options": ("Conv2DOptions", {"dilation_h_factor": 2})}


def test_buffers_are_aligned_and_not_copied_when_read(model):
    buffers = model["buffers"]
    buffers += [{"data": np.arange(n, dtype=np.uint8)} for n in (1, 3, 16, 17, 33)]
    file = bytearray(flatbuf.write(model))
    start = np.frombuffer(file, np.uint8).ctypes.data
    for buffer in flatbuf.read(file)["buffers"][2:]:
        assert (buffer["data"].ctypes.data - start) % 16 == 0
        assert not buffer["data"].flags.writeable
    assert file[4:8] == b"TFL3"


def test_equal_vectors_are_written_once_and_buffers_for_themselves():
    def size(points, buffers):
        quants = [{"zero_point": np.array(p, np.int64)} for p in points]
        tensors = [{"quantization": quant} for quant in quants]
        content = {"subgraphs": [{"tensors": tensors}], "buffers": [{"data": b} for b in buffers]}
        file = flatbuf.write(content)
        read = flatbuf.read(file)
        found = [t["quantization"]["zero_point"] for t in read["subgraphs"][0]["tensors"]]
        assert [f.tolist() for f in found] == [list(p) for p in points]
        assert [bytes(b["data"]) for b in read["buffers"]] == buffers
        return len(file)

    zeros, ones = [0] * 500, [1] * 500
    assert size([zeros, zeros], []) < size([zeros, ones], []) - 8 * 490
    assert size([], [bytes(500)] * 2) >= size([], [bytes(500)]) + 500


def test_vectors_of_equal_bytes_but_other_elements_are_apart():
    content = {
        "subgraphs": [
            {
                "inputs": [0, 0],
                "tensors": [{"quantization": {"zero_point": np.array([0], np.int64)}}],
            }
        ]
    }
    (graph,) = flatbuf.read(flatbuf.write(content))["subgraphs"]
    assert list(graph["inputs"]) == [0, 0]
    assert list(graph["tensors"][0]["quantization"]["zero_point"]) == [0]


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (b"ab", b"ab"),
        (memoryview(b"ab"), b"ab"),
        ([1, 2], b"\1\2"),
        (np.array([1, 2], np.int16), b"\1\0\2\0"),
        (np.array([1, 2], ">i2"), b"\1\0\2\0"),
        (np.array([[1, 2], [3, 4]], np.int8).T, b"\1\3\2\4"),
        (np.array([1.0], ml_dtypes.bfloat16), b"\x80\x3f"),
        (np.array(1, np.float32), b"\0\0\x80\x3f"),
        (b"", b""),
        ([], b""),
    ],
)
def test_what_a_buffer_takes(data, stored):
    (buffer,) = flatbuf.read(flatbuf.write({"buffers": [{"data": data}]}))["buffers"]
    assert bytes(buffer["data"]) == stored


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"versoin": 3}, "Model has no field versoin; it has: version, operator_codes"),
        ({"version": 2**32}, "Model.version: uint cannot hold 4294967296"),
        ({"version": 1.5}, "Model.version: uint cannot hold 1.5"),
        ({"metadata_buffer": [1, 2**31]}, "Model.metadata_buffer: .int. cannot hold"),
        ({"metadata_buffer": [1.5]}, "Model.metadata_buffer: .int. cannot hold"),
        ({"metadata_buffer": [[1]]}, "Model.metadata_buffer: .int. cannot hold"),
        ({"description": 3}, "Model.description: string cannot hold 3"),
        ({"buffers": [{"data": np.array([None])}]}, "Buffer.data: .ubyte. cannot hold"),
        (
            {"subgraphs": [{"operators": [{"builtin_options": ("Nonsense", {})}]}]},
            "Operator.builtin_options: BuiltinOptions cannot hold 'Nonsense'",
        ),
        (
            {"subgraphs": [{"operators": [{"builtin_options": ("AddOptions", {"x": 1})}]}]},
            "AddOptions has no field x",
        ),
    ],
)
def test_a_wrong_dict_is_an_error(model, message):
    with pytest.raises(ValueError, match=message):
        flatbuf.write(model)


def test_writing_needs_little_more_than_the_file():
    model = {"buffers": [{}, *({"data": np.zeros((512, 1024), np.float32).T} for _ in range(8))]}
    tracemalloc.start()
    file = flatbuf.write(model)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * len(file)


def test_large_data_goes_behind_the_flatbuffer(rng):
    constant = rng.normal(size=(301, 7)).astype(np.float32)
    model = add_model(constant)
    model["buffers"] += [{"data": b"short"}, {"data": rng.bytes(3001)}]
    inside = flatbuf.write(model)
    behind = flatbuf.write(model, limit=4000)

    native = binding.Model.GetRootAs(bytes(behind))
    first = native.Buffers(2)
    assert first.DataIsNone()
    assert first.Size() == constant.nbytes
    assert first.Offset() % 16 == native.Buffers(4).Offset() % 16 == 0
    assert bytes(behind)[first.Offset() :][: first.Size()] == constant.tobytes()
    assert native.Buffers(4).Offset() + 3001 == len(behind)
    assert not native.Buffers(3).DataIsNone()

    assert plain(flatbuf.read(behind)) == plain(flatbuf.read(inside))
    x = np.ones_like(constant)
    np.testing.assert_array_equal(run(behind, x), run(inside, x))


def test_offsets_of_0_and_1_are_no_data():
    file = flatbuf.write({"buffers": [{"offset": 1, "size": 1}, {"offset": 0, "size": 9}]})
    assert flatbuf.read(file)["buffers"] == [{}, {}]


def test_data_behind_the_end_is_an_error():
    file = flatbuf.write({"buffers": [{"offset": 2, "size": 10**6}]})
    with pytest.raises(FormatError, match="refers to 1000000 bytes at 2"):
        flatbuf.read(file)


def test_enum_lookups():
    schema = flatbuf.tflite()
    assert flatbuf.enum_number(schema, "Padding", "VALID") == 1
    assert flatbuf.enum_name(schema, "BuiltinOperator", 209) == "STABLEHLO_CASE"
    with pytest.raises(ValueError, match="'FULL' is not in Padding: SAME, VALID"):
        flatbuf.enum_number(schema, "Padding", "FULL")
    with pytest.raises(ValueError, match="2 is not a value of Padding"):
        flatbuf.enum_name(schema, "Padding", 2)


def test_field_lookups():
    assert flatbuf.defaults("GatherOptions") == {"axis": 0, "batch_dims": 0}
    assert list(flatbuf.fields("ResizeBilinearOptions")) == ["align_corners", "half_pixel_centers"]
    assert flatbuf.defaults("ReshapeOptions") == {}
