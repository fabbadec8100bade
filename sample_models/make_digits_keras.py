"""Make digits_keras and digits_rows: a Keras file and a SavedModel that classify 8x8 digits.

Runs in a scratch environment with TensorFlow (Keras 3) and scikit-learn:

    python make_digits_keras.py
"""

import json
import os
import pathlib
import shutil
from collections import Counter
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import digits
import keras
import numpy as np
import tensorflow as tf
from cases import OUTPUT, SHOWN, Case, Labelled, case_facts, readme
from keras import layers

SEED, EPOCHS = 5, 60


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    training, test, calibration = digits.split(peak=16, mean=0, std=1)
    for case, build in ((CNN, cnn), (ROWS, rows)):
        keras.utils.set_random_seed(SEED)
        model = build()
        train(model, training)
        fresh = build()  # without the optimizer's state
        fresh.set_weights(model.get_weights())
        write(fresh, case, test, calibration)


def cnn() -> keras.Model:
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16, name="rescaling")(image)
    x = block(x, 12, "stem")
    x = layers.Add(name="join")([x, block(x, 12, "residual")])
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.SeparableConv2D(24, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(image, layers.Dense(10, "softmax", name=OUTPUT)(x), name="digits")


def block(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))


def rows() -> keras.Model:
    """An LSTM that reads the image from top to bottom, a row of eight pixels a step."""
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 16, name="rescaling")(image)
    x = layers.Reshape((8, 8), name="rows")(x)
    x = layers.LSTM(18, name="reader")(x)
    return keras.Model(image, layers.Dense(10, "softmax", name=OUTPUT)(x), name="rows")


def train(model: keras.Model, samples: Labelled) -> None:
    rate = keras.optimizers.schedules.CosineDecay(5e-3, EPOCHS * len(samples.labels) // 32)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(samples.reals, samples.labels, 32, EPOCHS, verbose=0)


def write(model: keras.Model, case: Case, test: Labelled, calibration: np.ndarray) -> pathlib.Path:
    """Write the folder of a sample model beside this file; prints its float accuracy."""
    folder = pathlib.Path(__file__).parent / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / case.model
    if case.format == "saved_model":
        export(model, path)
    else:
        model.save(path)
    probabilities = model.predict(test.reals, verbose=0)
    accuracy = round(float(np.mean(probabilities.argmax(axis=1) == test.labels)), 4)
    shown = model(test.reals[:SHOWN], training=False).numpy()
    np.savez_compressed(folder / "inputs.npz", **{case.input_name: test.reals[:SHOWN]})
    np.savez_compressed(folder / "expected.npz", **{OUTPUT: shown})
    np.savez_compressed(folder / "calibration.npz", **{case.input_name: calibration})
    labels = test.labels.astype(np.uint8)
    np.savez_compressed(folder / "labels.npz", features=test.features, labels=labels)
    facts = case_facts(case, test, accuracy) | {"tf_converter": tf_converter(model)}
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "README.md").write_text(readme(case, accuracy, len(test.labels)))
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{case.name}: float accuracy {accuracy}, {size} bytes in all")
    return folder


def export(model: keras.Model, path: pathlib.Path) -> None:
    """Write a SavedModel with one signature, which is what a server needs and no more."""
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    spec = tf.TensorSpec(model.inputs[0].shape, tf.float32, "image")
    serve = tf.function(lambda image: {OUTPUT: model(image, training=False)}, [spec])
    options = tf.saved_model.SaveOptions(save_debug_info=False)
    signatures = {"serving_default": serve.get_concrete_function()}
    tf.saved_model.save(module, str(path), signatures, options)
    (path / "fingerprint.pb").unlink()
    (path / "assets").rmdir()


def tf_converter(model: keras.Model) -> dict[str, object]:
    """What TensorFlow's own converter makes of the model, for comparison."""
    try:
        content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    except Exception as error:  # what it raises for lists of unknown shape has no class of its own
        why = str(error).split(". ")[0].rsplit("error: ", 1)[-1]
        return {"version": tf.__version__, "float": {"ok": False, "error": why}}
    ops = tf.lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )._get_ops_details()  # the only list of operators the interpreter has
    counts = dict(Counter(op["op_name"] for op in ops))
    return {"version": tf.__version__, "float": {"ok": True, "bytes": len(content), "ops": counts}}


CNN = Case(
    name="digits_keras",
    task="Classify 8x8 handwritten digits with a Keras model",
    made_by="make_digits_keras.py",
    how="A file of Keras 3 with layers of many kinds: Rescaling, Conv2D, BatchNormalization, ReLU, "
    "Add, MaxPooling2D, SeparableConv2D, GlobalAveragePooling2D, Dense. Pixels are 0..16; "
    "the model divides them itself. The batch is open.",
    data=digits.DATA,
    input_name="image",
    shape=(None, 8, 8, 1),
    format="keras_v3",
    model="model.keras",
)
ROWS = replace(
    CNN,
    name="digits_rows",
    task="Classify 8x8 handwritten digits row by row with an LSTM, as a SavedModel",
    how="A SavedModel of TensorFlow 2 with one signature: Rescaling, Reshape, LSTM over the eight "
    "rows, Dense. Pixels are 0..16; the model divides them itself. The batch is open.",
    format="saved_model",
    model="saved_model",
)

if __name__ == "__main__":
    main()
