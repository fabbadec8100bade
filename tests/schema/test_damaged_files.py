"""Damaged and hostile .tflite files: always FormatError, always soon."""

import struct
import time

import flatbuffers
import numpy as np
import pytest

from tqconv.errors import FormatError
from tqconv.schema import flatbuf

MODEL = {
    "version": 3,
    "operator_codes": [{"builtin_code": 3}, {"custom_code": "Mine", "builtin_code": 32}],
    "subgraphs": [
        {
            "tensors": [
                {"shape": [1, 2], "name": "a", "quantization": {"scale": [0.5], "zero_point": [1]}},
                {"shape": [1, 2], "name": "b", "buffer": 1, "has_rank": True},
            ],
            "inputs": [0],
            "outputs": [1],
            "operators": [
                {"inputs": [0], "builtin_options": ("Conv2DOptions", {"stride_w": 2})},
                {"opcode_index": 1, "outputs": [1], "mutating_variable_inputs": [True]},
            ],
        }
    ],
    "buffers": [{}, {"data": np.arange(40, dtype=np.uint8)}],
    "signature_defs": [{"inputs": [{"name": "x", "tensor_index": 1}], "signature_key": "f"}],
}


@pytest.fixture(scope="module")
def file():
    return bytes(flatbuf.write(MODEL))


def read_or_refuse(data):
    """True if the file could be read; no other error than FormatError may come out."""
    try:
        flatbuf.read(data)
    except FormatError:
        return False
    return True


def test_every_truncation_is_refused(file):
    # The end of the file is the last buffer's data or what was written first: nothing is spare.
    assert read_or_refuse(file)
    readable = [n for n in range(len(file)) if read_or_refuse(file[:n])]
    assert all(len(file) - n < 8 for n in readable), readable


def test_flipped_bits_are_read_or_refused(file, rng):
    refused = 0
    for _ in range(3000):
        damaged = bytearray(file)
        for at in rng.integers(len(file), size=rng.integers(1, 4)):
            damaged[at] ^= 1 << int(rng.integers(8))
        refused += not read_or_refuse(damaged)
    assert 500 < refused < 3000


def test_random_words_are_read_or_refused(file, rng):
    for _ in range(3000):
        damaged = bytearray(file)
        at = int(rng.integers(len(file) // 4)) * 4
        word = rng.choice([0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF, len(file)])
        struct.pack_into("<I", damaged, at, int(word))
        read_or_refuse(damaged)


def test_random_bytes_are_refused(rng):
    assert not any(read_or_refuse(rng.bytes(int(n))) for n in rng.integers(200, size=500))
    assert not any(read_or_refuse(rng.bytes(4) + b"TFL3" + rng.bytes(500)) for _ in range(500))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no 'TFL3' at byte 4"),
        (b"\0\0\0\0TFL2" + bytes(40), "no 'TFL3' at byte 4, but b'TFL2'"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(40), "byte 2147483647 of 48 points outside the file"),
        (b"\x08\0\0\0TFL3" + bytes(40), "byte 8 of 48 is not a table"),
    ],
)
def test_the_message_names_the_byte(data, message):
    with pytest.raises(FormatError, match=message):
        flatbuf.read(data)


def test_text_that_is_not_utf8_is_refused(file):
    damaged = file.replace(b"Mine", b"M\xffne")
    place = damaged.index(b"\xffne")
    with pytest.raises(FormatError, match=f"byte {place} of {len(file)} is not UTF-8 text"):
        flatbuf.read(damaged)


def test_an_unknown_union_member_is_refused():
    builder = flatbuffers.Builder()
    builder.StartObject(0)
    options = builder.EndObject()
    builder.StartObject(14)
    builder.PrependUint8Slot(3, 200, 0)
    builder.PrependUOffsetTRelativeSlot(4, options, 0)
    operator = builder.EndObject()
    file = finish(builder, vector(builder, [operator]), slot=3)
    with pytest.raises(FormatError, match="BuiltinOptions has no member 200"):
        flatbuf.read(file)


def test_tables_shared_many_times_do_not_hang():
    """4000 subgraphs that are one, with 4000 tensors that are one: 16 million from 32 kB."""
    builder = flatbuffers.Builder()
    builder.StartObject(11)
    tensor = builder.EndObject()
    file = finish(builder, vector(builder, [tensor] * 4000), slot=0, copies=4000)
    start = time.perf_counter()
    with pytest.raises(FormatError, match="is shared by too many parents"):
        flatbuf.read(file)
    assert time.perf_counter() - start < 2


def test_strings_inside_strings_do_not_fill_the_memory():
    """2000 names that each reach to the end of the file."""
    count = 2000
    builder = flatbuffers.Builder()
    text = builder.CreateByteVector(struct.pack("<I", 8000) * 4 * count)
    end = builder.Offset()
    codes = []
    for i in range(count):
        builder.StartObject(4)
        builder.PrependUOffsetTRelativeSlot(1, text - 4 - 4 * i, 0)
        codes.append(builder.EndObject())
    assert end < builder.Offset()
    codes = vector(builder, codes)
    builder.StartObject(10)
    builder.PrependUOffsetTRelativeSlot(1, codes, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    with pytest.raises(FormatError, match="is shared by too many parents"):
        flatbuf.read(builder.Output())


def vector(builder, places):
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


def finish(builder, children, slot, copies=1):
    """A model of one subgraph, `copies` times, with `children` in `slot`."""
    builder.StartObject(6)
    builder.PrependUOffsetTRelativeSlot(slot, children, 0)
    subgraphs = vector(builder, [builder.EndObject()] * copies)
    builder.StartObject(10)
    builder.PrependUOffsetTRelativeSlot(2, subgraphs, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    return builder.Output()
