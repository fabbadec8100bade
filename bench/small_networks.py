"""Small networks of a dozen kinds in int8: what is left of what they learned.

`train` runs in a scratch environment with TensorFlow and its tf_keras (a process for each network);
`report` runs where tqconv is installed:

    scratch/bin/python small_networks.py train --workdir /tmp/small
    python small_networks.py report --workdir /tmp/small

The data are generated: a curve, motions, sounds, series, words, pictures, features. Each network
learns in seconds; 100 of the samples that it learned calibrate, 200 others decide.
"""

import argparse
import os
import pathlib
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from measure import obey, run, tqconv_command, two_commands, write_json
from small_tasks import TASKS, Task

SEED = 1
CALIBRATION, HELD_OUT = 100, 200


def main() -> None:
    parser, training = two_commands(__doc__, train, report)
    training.add_argument("--only", choices=TASKS, help="one network, in this process")
    obey(parser)


def folder_of(name: str, options: argparse.Namespace) -> pathlib.Path:
    return options.workdir / name.replace(",", "").replace(" ", "_")


def train(options: argparse.Namespace) -> None:
    """Train each network in a process of its own: TensorFlow's converter ends some of them."""
    if options.only is not None:
        make(options.only, folder_of(options.only, options))
        return
    for name in TASKS:
        command = [sys.executable, __file__, "train", "--only", name]
        done = subprocess.run([*command, "--workdir", str(options.workdir)], check=False)
        print(f"{name}: {'made' if done.returncode == 0 else f'ended with {done.returncode}'}")


def make(name: str, folder: pathlib.Path) -> None:
    """Write a SavedModel, samples and, where TensorFlow's converter makes one, its int8 file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf
    import tf_keras as keras

    task = TASKS[name]
    keras.utils.set_random_seed(SEED)
    x, y = task.data(np.random.default_rng(SEED))
    x = x if x.dtype.kind == "i" else x.astype(np.float32)
    model = task.build(tf, keras, x)
    classes = model.output_shape[-1] > 1
    loss = (
        "mse"
        if task.measure == "rmse"
        else ("sparse_categorical" if classes else "binary") + "_crossentropy"
    )
    model.compile(keras.optimizers.Adam(2e-3), loss)
    model.fit(
        x[:-HELD_OUT],
        y[:-HELD_OUT].astype(np.float32),
        batch_size=16,
        epochs=task.epochs,
        verbose=0,
    )
    folder.mkdir(exist_ok=True)
    spec = tf.TensorSpec((1, *x.shape[1:]), x.dtype, name="x")
    serve = tf.function(lambda x: {"y": model(x, training=False)}, input_signature=[spec])
    module = tf.Module()
    module.model, module.serve = model, serve
    tf.saved_model.save(module, str(folder / "saved_model"), signatures=serve)
    wanted = model.predict(x[-HELD_OUT:], batch_size=1, verbose=0)
    np.savez(folder / "held_out.npz", x=x[-HELD_OUT:], y=y[-HELD_OUT:], wanted=wanted)
    np.savez(folder / "calibration.npz", x=x[:CALIBRATION, None])
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved_model"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[i : i + 1]] for i in range(CALIBRATION))
    sets = tf.lite.OpsSet
    converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS_INT8, sets.TFLITE_BUILTINS]
    (folder / "tensorflow.tflite").write_bytes(converter.convert())


@dataclass(frozen=True)
class Result:
    """One network in int8; `tensorflow_*` are None where its converter made no file."""

    name: str
    measure: str
    float_model: float
    tensorflow: float | None
    tqconv: float
    tensorflow_db: float | None
    tqconv_db: float
    tensorflow_bytes: int | None
    tqconv_bytes: int


def report(options: argparse.Namespace) -> None:
    results = []
    for name, task in TASKS.items():
        folder = folder_of(name, options)
        if not (folder / "held_out.npz").exists():
            print(f"{name} is not trained", file=sys.stderr)
            continue
        convert(folder, options)
        theirs = folder / "tensorflow.tflite"
        held = np.load(folder / "held_out.npz")
        mine = judged(folder / "tqconv.tflite", held, task)
        other = judged(theirs, held, task) if theirs.exists() else (None, None, None)
        real = worth(held["wanted"], held["y"], task)
        results.append(
            Result(
                name, task.measure, real, other[0], mine[0], other[1], mine[1], other[2], mine[2]
            )
        )
    print("| network | measure | float | TensorFlow int8 | tqconv int8 | dB | dB | kB | kB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in results:
        cells = [f"{r.float_model:.3g}", shown(r.tensorflow, ".3g"), shown(r.tqconv, ".3g")]
        cells += [shown(r.tensorflow_db, ".1f"), shown(r.tqconv_db, ".1f")]
        sizes = [r.tensorflow_bytes, r.tqconv_bytes]
        cells += [shown(None if n is None else n / 1000, ".1f") for n in sizes]
        print(f"| {r.name} | {r.measure} | {' | '.join(cells)} |")
    write_json(options.json, [asdict(r) for r in results])


def shown(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)


def convert(folder: pathlib.Path, options: argparse.Namespace) -> None:
    command = [*tqconv_command(options.tqconv), "convert", str(folder / "saved_model")]
    command += ["--output_file", str(folder / "tqconv.tflite"), "--quantize", "int8"]
    command += ["--calibration_data", str(folder / "calibration.npz")]
    run(command)


def judged(model: pathlib.Path, held: Any, task: Task) -> tuple[float, float, int]:
    """Return what is left of a network, its noise in dB below the signal, and its size."""
    wanted = held["wanted"].astype(np.float64)
    made = outputs(model, held["x"]).reshape(wanted.shape)
    ratio = np.square(wanted - wanted.mean()).sum() / np.square(made - wanted).sum()
    return worth(made, held["y"], task), float(10 * np.log10(ratio)), model.stat().st_size


def worth(made: np.ndarray, y: np.ndarray, task: Task) -> float:
    """Return the share of right answers, or the root of the mean squared error."""
    if task.measure == "rmse":
        return float(np.sqrt(np.square(made - y).mean()))
    answers = made.argmax(-1) if made.shape[-1] > 1 else made[:, 0] > 0.5
    return float((answers == y).mean())


def outputs(model: pathlib.Path, samples: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    interpreter.allocate_tensors()
    entry, exit_ = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    made = []
    for sample in samples:
        interpreter.set_tensor(entry["index"], sample[None])
        interpreter.invoke()
        made.append(interpreter.get_tensor(exit_["index"]).copy())
    return np.concatenate(made)


if __name__ == "__main__":
    main()
