"""Make digits_onnx and digits_onnx_qdq: a classifier of 8x8 digits as ONNX, float and quantized.

Runs in a scratch environment with TensorFlow, which trains it, scikit-learn, onnx and onnxruntime,
whose static quantization puts the pairs in:

    python make_digits_onnx.py
"""

import json
import pathlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace

import digits
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from onnx import helper, numpy_helper
from onnxruntime import quantization
from tf1_graph import OUTPUT, SHOWN, Case, Labelled, Values, case_facts, readme, train, v1

CLASSES, WIDTH, GATE, DEEP = 10, 16, 4, 24
HALF = WIDTH // 2
INPUT = "image"
OPSET = 17
FLOAT = Case(
    name="digits_onnx",
    task="Classify 8x8 handwritten digits with a network in ONNX, channels first",
    made_by="make_digits_onnx.py",
    how="A 3x3 convolution, a ShuffleNet unit (Split, pointwise and depthwise convolutions, "
    "Concat, channel shuffle by Reshape and Transpose), max pooling, a squeeze-and-excitation gate "
    "with HardSigmoid, a 3x3 convolution, Flatten, Gemm, Softmax. Pixels 0..16 are divided by 16. "
    "Opset 17, the batch is a named dimension.",
    data=digits.DATA,
    input_name=INPUT,
    shape=(None, 1, 8, 8),
)
QDQ = replace(
    FLOAT,
    name="digits_onnx_qdq",
    task="Classify 8x8 handwritten digits with the QuantizeLinear pairs of onnxruntime",
    how="digits_onnx after onnxruntime's static quantization: uint8 activations, int8 weights with "
    "a scale for each output channel, ranges from calibration.npz.",
)


def main() -> None:
    training, test, calibration = digits.split(peak=16, mean=0, std=16)
    values = train(network, training, steps=3000, rate=3e-3, seed=1)
    samples = np.moveaxis(calibration, -1, 1)
    made = as_onnx(values)
    onnx.checker.check_model(made, full_check=True)
    write(made, FLOAT, test, samples)
    write(quantized(made, samples), QDQ, test, samples)


def network(x: tf.Tensor, training: bool) -> tf.Tensor:
    """The network as TensorFlow trains it, channels last."""
    x = conv(x, "stem", WIDTH, 3)
    kept, x = tf.split(x, 2, axis=-1)
    x = conv(x, "expand", HALF, 1)
    x = v1.nn.depthwise_conv2d_native(x, weights("spatial", [3, 3, HALF, 1]), [1] * 4, "SAME")
    x = tf.concat([kept, conv(x, "project", HALF, 1)], axis=-1)
    x = tf.reshape(
        tf.transpose(tf.reshape(x, [-1, 8, 8, 2, HALF]), [0, 1, 2, 4, 3]), [-1, 8, 8, 16]
    )
    x = v1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    gate = conv(tf.reduce_mean(x, [1, 2], keepdims=True), "squeeze", GATE, 1)
    gate = conv(gate, "excite", WIDTH, 1, activation=lambda g: tf.nn.relu6(g + 3) / 6)
    x = conv(x * gate, "deep", DEEP, 3)
    x = v1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID")
    # Flattened channels first, as the ONNX network does.
    x = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [-1, DEEP * 4])
    return tf.matmul(x, weights("dense", [DEEP * 4, CLASSES])) + bias("dense", CLASSES)


def conv(x: tf.Tensor, name: str, channels: int, size: int, activation=tf.nn.relu) -> tf.Tensor:
    w = weights(name, [size, size, x.shape[-1], channels])
    return activation(v1.nn.conv2d(x, w, [1] * 4, "SAME") + bias(name, channels))


def weights(name: str, shape: list[int]) -> tf.Tensor:
    initial = v1.glorot_uniform_initializer()
    return v1.get_variable(f"{name}/weights", shape, initializer=initial)


def bias(name: str, channels: int) -> tf.Tensor:
    return v1.get_variable(f"{name}/bias", [channels], initializer=v1.zeros_initializer())


def as_onnx(values: Values) -> onnx.ModelProto:
    """The network as ONNX has it, channels first, with the trained values."""
    graph = helper.make_graph(
        list(nodes()),
        "digits",
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in constants(values).items()],
    )
    imports = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="tqconv")


def constants(values: Values) -> dict[str, np.ndarray]:
    """Weights in ONNX's order: [out, in, h, w], of the dense layer [out, in]."""
    arrays = {"groups": np.array([0, 2, HALF, 8, 8]), "channels": np.array([0, WIDTH, 8, 8])}
    for name, value in values.items():
        if name == "spatial/weights":
            value = value.transpose(2, 3, 0, 1)
        elif value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        arrays[name] = np.ascontiguousarray(value.T if name == "dense/weights" else value)
    return arrays


def nodes() -> Iterator[onnx.NodeProto]:
    yield from conv_relu(INPUT, "stem", 3)
    yield node("Split", ["stem"], ["kept", "moved"], axis=1)
    yield from conv_relu("moved", "expand", 1)
    yield node("Conv", ["expand", "spatial/weights"], ["spatial"], pads=[1] * 4, group=HALF)
    yield from conv_relu("spatial", "project", 1)
    yield node("Concat", ["kept", "project"], ["joined"], axis=1)
    yield node("Reshape", ["joined", "groups"], ["grouped"])
    yield node("Transpose", ["grouped"], ["mixed"], perm=[0, 2, 1, 3, 4])
    yield node("Reshape", ["mixed", "channels"], ["shuffled"])
    yield node("MaxPool", ["shuffled"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2])
    yield node("GlobalAveragePool", ["pooled"], ["mean"])
    yield from conv_relu("mean", "squeeze", 1)
    yield node("Conv", ["squeeze", "excite/weights", "excite/bias"], ["excite"])
    yield node("HardSigmoid", ["excite"], ["gate"], alpha=1 / 6, beta=0.5)
    yield node("Mul", ["pooled", "gate"], ["gated"])
    yield from conv_relu("gated", "deep", 3)
    yield node("MaxPool", ["deep"], ["small"], kernel_shape=[2, 2], strides=[2, 2])
    yield node("Flatten", ["small"], ["row"])
    yield node("Gemm", ["row", "dense/weights", "dense/bias"], ["logits"], transB=1)
    yield node("Softmax", ["logits"], [OUTPUT], axis=-1)


def conv_relu(x: str, name: str, size: int) -> Iterator[onnx.NodeProto]:
    operands = [x, f"{name}/weights", f"{name}/bias"]
    yield node("Conv", operands, [f"{name}/sum"], pads=[size // 2] * 4)
    yield node("Relu", [f"{name}/sum"], [name])


def node(op: str, inputs: list[str], outputs: list[str], **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, outputs, name=f"node/{outputs[0]}", **attributes)


class Samples(quantization.CalibrationDataReader):
    """Samples one by one, as the quantizer asks for them."""

    def __init__(self, samples: np.ndarray) -> None:
        self.feeds = iter([{INPUT: sample[np.newaxis]} for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next sample by the name of its input, None behind the last one."""
        return next(self.feeds, None)


def quantized(model: onnx.ModelProto, samples: np.ndarray) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        given, made = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "qdq.onnx"
        onnx.save(model, given)
        quantization.quantize_static(
            given,
            made,
            Samples(samples),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load(made)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The probabilities, node by node as the file has them: optimized pairs saturate elsewhere."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run([OUTPUT], {INPUT: x})[0]


def write(
    model: onnx.ModelProto, case: Case, test: Labelled, calibration: np.ndarray
) -> Mapping[str, object]:
    """Write the folder of one sample model beside this file; prints its accuracy."""
    folder = pathlib.Path(__file__).parent / case.name
    folder.mkdir(exist_ok=True)
    reals = np.moveaxis(test.reals, -1, 1)
    probabilities = run(model, reals)
    accuracy = round(float(np.mean(probabilities.argmax(axis=1) == test.labels)), 4)
    content = model.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(content)
    np.savez_compressed(folder / "inputs.npz", **{INPUT: reals[:SHOWN]})
    np.savez_compressed(folder / "expected.npz", **{OUTPUT: probabilities[:SHOWN]})
    np.savez_compressed(folder / "calibration.npz", **{INPUT: calibration})
    features, labels = np.moveaxis(test.features, -1, 1), test.labels.astype(np.uint8)
    np.savez_compressed(folder / "labels.npz", features=features, labels=labels)
    facts = case_facts(case, test, accuracy) | {"format": "onnx", "model": "model.onnx"}
    facts |= {"expected_from": f"onnxruntime {onnxruntime.__version__}, not optimized"}
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "README.md").write_text(readme(case, accuracy, len(test.labels)))
    print(f"{case.name}: accuracy {accuracy}, {len(content)} bytes")
    return facts


if __name__ == "__main__":
    main()
