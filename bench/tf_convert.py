"""Convert a model with TensorFlow's own converter: the other side of the comparisons.

Runs in a scratch environment with TensorFlow. With --calibration_data the result is int8 with
float inputs and outputs.
"""

import argparse
import os
import pathlib
from collections.abc import Iterator, Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--graph_def_file")
    model.add_argument("--keras_model_file")
    model.add_argument("--saved_model_dir")
    parser.add_argument("--input_arrays", default="")
    parser.add_argument("--output_arrays", default="")
    parser.add_argument("--output_file", type=pathlib.Path, required=True)
    parser.add_argument("--calibration_data", type=pathlib.Path)
    options = parser.parse_args()
    inputs = options.input_arrays.split(",")
    converter = converter_of(options)
    if options.calibration_data is not None:
        samples = np.load(options.calibration_data)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: in_batches_of_one(samples, inputs)
    options.output_file.write_bytes(converter.convert())


def converter_of(options: argparse.Namespace) -> tf.lite.TFLiteConverter:
    if options.keras_model_file is not None:
        model = tf.keras.models.load_model(options.keras_model_file, compile=False)
        return tf.lite.TFLiteConverter.from_keras_model(model)
    if options.saved_model_dir is not None:
        return tf.lite.TFLiteConverter.from_saved_model(options.saved_model_dir)
    names = options.input_arrays.split(","), options.output_arrays.split(",")
    return tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(options.graph_def_file, *names)


def in_batches_of_one(
    samples: Mapping[str, np.ndarray], inputs: list[str]
) -> Iterator[list[np.ndarray]]:
    arrays = [samples[name] for name in inputs]
    for index in range(len(arrays[0])):
        yield [array[index : index + 1] for array in arrays]


if __name__ == "__main__":
    main()
