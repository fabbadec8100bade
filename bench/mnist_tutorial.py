"""The network of TensorFlow's post-training integer quantization tutorial, on MNIST test digits.

28x28x1, convolution (12 filters, 3x3, ReLU), max pooling, flatten, dense 10. `train` runs in a
scratch environment with TensorFlow; `report` runs where tqconv is installed:

    scratch/bin/python mnist_tutorial.py train --data MNIST --workdir /tmp/mnist
    python mnist_tutorial.py report --workdir /tmp/mnist

MNIST is the folder with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz. 8,000 of these
10,000 digits train the network, the other 2,000 (drawn by seed) are never seen before `report`.
The tutorial trains on 60,000 digits, so its accuracy is higher; compare the four files with each
other.
"""

import argparse
import gzip
import os
import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from measure import obey, run, tqconv_command, two_commands, write_json

if TYPE_CHECKING:
    from tensorflow import Tensor

INPUT, OUTPUT = "image", "logits"
SEED = 1
HELD_OUT = 2000
CALIBRATION = 100  # the tutorial's number of representative samples
EPOCHS = 15
BATCH = 32


def main() -> None:
    parser, training = two_commands(__doc__, train, report)
    training.add_argument("--data", type=pathlib.Path, required=True)
    obey(parser)


def train(options: argparse.Namespace) -> None:
    """Write graph.pb, calibration.npz (reals) and test.npz (uint8 pixels, labels)."""
    images = idx(options.data / "t10k-images-idx3-ubyte.gz", header=16).reshape(-1, 28, 28, 1)
    labels = idx(options.data / "t10k-labels-idx1-ubyte.gz", header=8)
    order = np.random.default_rng(SEED).permutation(len(labels))
    test, rest = order[:HELD_OUT], order[HELD_OUT:]
    graph = trained_graph(reals(images[rest]), labels[rest])
    (options.workdir / "graph.pb").write_bytes(graph)
    calibration = reals(images[rest[:CALIBRATION]])
    np.savez(options.workdir / "calibration.npz", **{INPUT: calibration})
    np.savez(options.workdir / "test.npz", images=images[test], labels=labels[test])


def idx(path: pathlib.Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def reals(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / np.float32(255)


def trained_graph(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Train and freeze; the frozen graph has a fixed batch of 1, as the tutorial's model runs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tensorflow.compat import v1

    v1.disable_eager_execution()
    v1.disable_resource_variables()
    with v1.Graph().as_default():
        v1.set_random_seed(SEED)
        x, y = v1.placeholder("float32", [None, 28, 28, 1]), v1.placeholder("int32", [None])
        losses = v1.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=network(v1, x))
        variables = v1.global_variables()
        step = v1.train.AdamOptimizer(1e-3).minimize(v1.reduce_mean(losses))
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for chosen in batches(len(labels)):
                session.run(step, {x: images[chosen], y: labels[chosen]})
            values = session.run(variables)
    with v1.Graph().as_default() as graph, v1.Session() as session:
        network(v1, v1.placeholder("float32", [1, 28, 28, 1], name=INPUT))
        for variable, value in zip(v1.global_variables(), values, strict=True):
            session.run(variable.initializer, {variable.initializer.inputs[1]: value})
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [OUTPUT]
        )
    return frozen.SerializeToString(deterministic=True)


def batches(count: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(SEED)
    for _ in range(EPOCHS):
        yield from np.array_split(rng.permutation(count), count // BATCH)


def network(v1: ModuleType, x: "Tensor") -> "Tensor":
    """Logits [n, 10]; `v1` is tensorflow.compat.v1, which only `train` may import."""
    glorot, zeros = v1.glorot_uniform_initializer(), v1.zeros_initializer()
    filters = v1.get_variable("conv/kernel", [3, 3, 1, 12], initializer=glorot)
    x = v1.nn.conv2d(x, filters, [1, 1, 1, 1], "VALID")
    x = v1.nn.relu(v1.nn.bias_add(x, v1.get_variable("conv/bias", [12], initializer=zeros)))
    x = v1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    x = v1.reshape(x, [-1, 13 * 13 * 12])
    weights = v1.get_variable("dense/kernel", [13 * 13 * 12, 10], initializer=glorot)
    bias = v1.get_variable("dense/bias", [10], initializer=zeros)
    return v1.nn.bias_add(v1.matmul(x, weights), bias, name=OUTPUT)


CALIBRATED = ("--quantize", "int8", "--calibration_data", "{calibration}")
UINT8_IO = ("--inference_input_type", "UINT8", "--inference_output_type", "UINT8")
VARIANTS = {
    "float": (),
    "dynamic range": ("--quantize", "dynamic"),
    "int8, float I/O": CALIBRATED,
    "int8 only, uint8 I/O": (*CALIBRATED, "--integer_only", *UINT8_IO),
}


@dataclass(frozen=True)
class Result:
    """One converted file on the held-out digits."""

    variant: str
    accuracy: float
    bytes: int
    size_ratio: float  # of the float file


def report(options: argparse.Namespace) -> None:
    test = np.load(options.workdir / "test.npz")
    results: list[Result] = []
    for variant, flags in VARIANTS.items():
        model = convert(variant, flags, options)
        size = model.stat().st_size
        first = results[0].bytes if results else size
        accuracy = accuracy_of(model, test["images"], test["labels"])
        results.append(Result(variant, accuracy, size, size / first))
    print(f"{len(test['labels'])} held-out digits\n")
    print("| model | accuracy | bytes | of float |")
    print("|---|---|---|---|")
    for r in results:
        print(f"| {r.variant} | {r.accuracy:.2%} | {r.bytes} | {r.size_ratio:.1%} |")
    write_json(options.json, [asdict(r) for r in results])


def convert(variant: str, flags: tuple[str, ...], options: argparse.Namespace) -> pathlib.Path:
    model = options.workdir / f"{variant.translate(str.maketrans(' /', '__', ','))}.tflite"
    calibration = options.workdir / "calibration.npz"
    command = [
        *tqconv_command(options.tqconv),
        "convert",
        "--graph_def_file",
        str(options.workdir / "graph.pb"),
    ]
    command += ["--input_arrays", INPUT, "--output_arrays", OUTPUT, "--output_file", str(model)]
    command += [flag.format(calibration=calibration) for flag in flags]
    run(command)
    return model


def accuracy_of(model: pathlib.Path, pixels: np.ndarray, labels: np.ndarray) -> float:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    right = 0
    for image, label in zip(model_inputs(pixels, entry), labels, strict=True):
        interpreter.set_tensor(entry["index"], image[np.newaxis])
        interpreter.invoke()
        right += int(interpreter.get_tensor(exit_["index"]).argmax() == label)
    return right / len(labels)


def model_inputs(pixels: np.ndarray, entry: dict) -> np.ndarray:
    """Pixels as the model's input type, quantized with its own scale and zero point."""
    if entry["dtype"] == np.float32:
        return reals(pixels)
    scale, zero_point = entry["quantization"]
    limits = np.iinfo(entry["dtype"])
    steps = np.round(reals(pixels) / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(entry["dtype"])


if __name__ == "__main__":
    main()
