"""Write an ONNX model of 100 MB with its weights inside the file, and one with them beside it.

python make_onnx.py /tmp/speed        # inside.onnx, beside.onnx and beside.data
"""

import argparse
import pathlib

import numpy as np
import onnx
from onnx import helper, numpy_helper

SEED = 20
WIDE, LAYERS, CLASSES = 512, 9, 12_000
"""Eight 3 x 3 convolutions of 512 channels are 75 MB, the dense layer behind them is 25 MB."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    made = network()
    onnx.save(made, folder / "inside.onnx")
    onnx.save(made, folder / "beside.onnx", save_as_external_data=True, location="beside.data")


def network() -> onnx.ModelProto:
    """Return a chain of convolutions and a dense layer, with random weights."""
    rng = np.random.default_rng(SEED)
    nodes, constants, x = [], [], "image"
    for i in range(LAYERS):
        shape = (WIDE, 3 if i == 0 else WIDE, 3, 3)
        constants.append(numpy_helper.from_array(random(rng, shape), f"w{i}"))
        nodes.append(helper.make_node("Conv", [x, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        x = f"r{i}"
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["row"]))
    constants.append(numpy_helper.from_array(random(rng, (WIDE, CLASSES)), "w"))
    nodes.append(helper.make_node("MatMul", ["row", "w"], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, CLASSES])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def random(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(0, 0.02, shape).astype(np.float32)


if __name__ == "__main__":
    main()
