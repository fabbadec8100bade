"""Write MobileNetV1 or MobileNetV2 (1.0, 224) as a frozen TensorFlow 1 graph with random weights.

Runs in a scratch environment with TensorFlow; the product never imports it. The weights are seeded
and untrained: such a graph measures time, memory and size, never accuracy.

    python make_mobilenet.py v2 mobilenet_v2.pb
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

INPUT, OUTPUT = "input", "probabilities"
SEED = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", choices=["v1", "v2"])
    parser.add_argument("output", type=pathlib.Path)
    options = parser.parse_args()
    keras.utils.set_random_seed(SEED)
    networks = {"v1": keras.applications.MobileNet, "v2": keras.applications.MobileNetV2}
    model = networks[options.version](weights=None)
    settle_batch_norms(model)
    options.output.write_bytes(frozen(model).SerializeToString(deterministic=True))


def settle_batch_norms(model: keras.Model) -> None:
    """Set every moving mean and variance from one random batch.

    With the initial 0 and 1 the signal fades layer by layer and calibration would see zeros.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    batch = np.random.default_rng(SEED).uniform(-1, 1, [8, 224, 224, 3]).astype(np.float32)
    model(batch, training=True)


def frozen(model: keras.Model) -> tf.compat.v1.GraphDef:
    """The inference graph: Placeholder `input` [1, 224, 224, 3], Const weights, `probabilities`."""
    spec = tf.TensorSpec([1, 224, 224, 3], tf.float32, name=INPUT)
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
