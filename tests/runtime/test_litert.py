"""The cover of LiteRT's interpreter."""

from __future__ import annotations

import numpy as np

from tqconv.exporters.tflite import serialize
from tqconv.ir.graph import Graph, Model
from tqconv.ops.emit import emit
from tqconv.runtime.litert import Session


def test_strings_are_read_without_ending_the_process() -> None:
    """A view of them is a segmentation fault, which ended conversions to int8."""
    graph = Graph("labels")
    places = graph.add_input("places", (2,), np.dtype(np.int32))
    words = graph.constant("words", np.array([b"no", b"yes"], object))
    graph.outputs.append(emit(graph, "GATHER", words, places, name="label"))
    session = Session(serialize(Model([graph])))
    session.run({"places": np.array([1, 0], np.int32)})
    assert list(session.output(0)) == [b"yes", b"no"]
