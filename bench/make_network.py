"""Write a well-known network as a frozen TensorFlow graph with random weights.

Runs in a scratch environment with TensorFlow; the product never imports it. The weights are seeded
and untrained: such a graph measures time, memory and size, never accuracy.

    python make_network.py mobilenet_v2 mobilenet_v2.pb
"""

import argparse
import os
import pathlib
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

INPUT, OUTPUT = "input", "probabilities"
SEED = 20
SETTLING = 8
"""Samples in the batch that the batch norms take their statistics from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    keras.utils.set_random_seed(SEED)
    model = NETWORKS[options.network]()
    settle_batch_norms(model)
    options.output.write_bytes(frozen(model).SerializeToString(deterministic=True))


def image_network(name: str, **more: object) -> Callable[[], keras.Model]:
    return lambda: getattr(keras.applications, name)(weights=None, **more)


def bert(depth: int = 4, length: int = 128, width: int = 256, heads: int = 4) -> keras.Model:
    """An encoder over embedded words: attention and GELU layers, a classifier behind them."""
    image = layers.Input([length, width])
    x = image
    for _ in range(depth):
        seen = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization()(x + seen)
        wide = layers.Dense(4 * width, activation="gelu")(x)
        x = layers.LayerNormalization()(x + layers.Dense(width)(wide))
    return keras.Model(image, layers.Dense(16, activation="softmax")(x[:, 0]))


def lstm(length: int = 128, width: int = 64) -> keras.Model:
    """Two layers of LSTM, all steps spelled out: thousands of small operators."""
    signal = layers.Input([length, 12])
    x = layers.LSTM(width, unroll=True, return_sequences=True)(signal)
    x = layers.LSTM(width, unroll=True)(x)
    return keras.Model(signal, layers.Dense(6, activation="softmax")(x))


NETWORKS = {
    "mobilenet_v1": image_network("MobileNet"),
    "mobilenet_v2": image_network("MobileNetV2"),
    "mobilenet_v3": image_network("MobileNetV3Large", input_shape=(224, 224, 3)),
    "efficientnet_b0": image_network("EfficientNetB0"),
    "inception_v3": image_network("InceptionV3"),
    "resnet50": image_network("ResNet50"),
    "bert": bert,
    "lstm": lstm,
}
"""Name -> what builds the network."""


def settle_batch_norms(model: keras.Model) -> None:
    """Set every moving mean and variance from one random batch.

    With the initial 0 and 1 the signal fades layer by layer and calibration would see zeros.
    """
    found = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for layer in found:
        layer.momentum = 0.0
    if found:
        shape = [SETTLING, *model.inputs[0].shape[1:]]
        batch = np.random.default_rng(SEED).uniform(-1, 1, shape).astype(np.float32)
        model(batch, training=True)


def frozen(model: keras.Model) -> tf.compat.v1.GraphDef:
    """The inference graph: Placeholder `input` of one sample, Const weights, `probabilities`."""
    spec = tf.TensorSpec([1, *model.inputs[0].shape[1:]], tf.float32, name=INPUT)
    function = tf.function(lambda image: model(image, training=False))
    constants = convert_variables_to_constants_v2(function.get_concrete_function(spec))
    graph = constants.graph.as_graph_def()
    rename = {constants.inputs[0].op.name: INPUT, constants.outputs[0].op.name: OUTPUT}
    for node in graph.node:
        node.name = rename.get(node.name, node.name)
        # The control inputs only say "after the weights were read", which constants need not.
        data_inputs = [rename.get(i, i) for i in node.input if not i.startswith("^")]
        node.ClearField("input")
        node.input.extend(data_inputs)
    return tf.compat.v1.graph_util.extract_sub_graph(graph, [OUTPUT])


if __name__ == "__main__":
    main()
