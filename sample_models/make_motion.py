"""Make motion_conv1d: five kinds of motion from two seconds of a three-axis accelerometer.

Runs in a scratch environment with TensorFlow. The recordings are synthetic: each class is a family
of waveforms with random phase, rate, strength, sensor orientation and noise, and the families
overlap on purpose (a slow run against a fast walk), so the task is not solved by one threshold.

    python make_motion.py
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from cases import Case, Labelled
from make_digits import dense
from tf1_graph import freeze, train, v1, write_case

CLASSES = ("rest", "walk", "run", "shake", "tap")
RATE = 32  # samples per second
LENGTH = 64
COUNTS_PER_G = 1024  # of an int16 accelerometer; the model sees g

Waveform = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # (rng, seconds) -> [n, 3]

MOTION = Case(
    name="motion_conv1d",
    task=f"Classify two seconds of a three-axis accelerometer: {', '.join(CLASSES)}",
    made_by="make_motion.py",
    how="Two 1-D convolutions as TensorFlow 1 writes them (ExpandDims, Conv2D, Squeeze, BiasAdd), "
    "1-D max pooling, a flattening Reshape whose target comes from Shape, StridedSlice and Pack, "
    "one dense layer and softmax. The batch dimension is unknown.",
    data="The recordings are synthetic (CC0-1.0).",
    input_name="acceleration",
    shape=(None, LENGTH, 3),
)


def main() -> None:
    rng = np.random.default_rng(11)
    training, test = (recordings(rng, count) for count in (3000, 300))
    values = train(conv1d_net, training, steps=2000, rate=2e-3, seed=3)
    write_case(freeze(conv1d_net, MOTION, values), MOTION, test, training.reals[:100])


def recordings(rng: np.random.Generator, count: int) -> Labelled:
    labels = rng.integers(0, len(CLASSES), count)
    counts = [np.round(recording(rng, CLASSES[label]) * COUNTS_PER_G) for label in labels]
    limited = np.clip(counts, -32768, 32767).astype(np.int16)
    return Labelled(limited, labels, mean=0, std=COUNTS_PER_G)


def recording(rng: np.random.Generator, kind: str) -> np.ndarray:
    """Acceleration in g [LENGTH, 3]: gravity plus `kind`, seen by a sensor turned at random."""
    seconds = np.arange(LENGTH) / RATE + rng.uniform(0, 1)
    own = WAVEFORMS[kind](rng, seconds)
    gravity = np.array([0.0, 0.0, 1.0])
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return (own + gravity) @ rotation + rng.normal(scale=rng.uniform(0.02, 0.12), size=(LENGTH, 3))


def rest(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    sway = rng.uniform(0, 0.08) * np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * seconds)
    return np.outer(sway, rng.normal(size=3))


def steps_at(low: float, high: float, weak: float, strong: float) -> Waveform:
    """A gait: the step rate up and down, half of it sideways, and one overtone."""

    def gait(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * rng.uniform(low, high) * seconds
        phases = rng.uniform(0, 2 * np.pi, 2)
        vertical = np.sin(angle) + rng.uniform(0.1, 0.5) * np.sin(2 * angle + phases[0])
        sideways = rng.uniform(0.2, 0.5) * np.sin(angle / 2 + phases[1])
        forward = rng.uniform(0.1, 0.4) * np.cos(angle)
        return rng.uniform(weak, strong) * np.stack([forward, sideways, vertical], axis=1)

    return gait


def shake(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    wave = np.sin(2 * np.pi * rng.uniform(3.5, 8) * seconds + rng.uniform(0, 6))
    direction = rng.normal(size=3)
    return rng.uniform(0.3, 2) * np.outer(wave, direction / np.linalg.norm(direction))


def tap(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    """One to three decaying knocks."""
    motion = np.zeros((LENGTH, 3))
    for start in rng.integers(2, LENGTH - 8, rng.integers(1, 4)):
        after = np.arange(LENGTH - start) / RATE
        knock = np.exp(-after * rng.uniform(12, 30)) * np.cos(2 * np.pi * 11 * after)
        motion[start:] += rng.uniform(0.4, 2) * np.outer(knock, rng.normal(size=3))
    return motion


WAVEFORMS = {
    "rest": rest,
    "walk": steps_at(1.4, 2.3, 0.15, 0.6),
    "run": steps_at(2.1, 3.6, 0.4, 1.6),
    "shake": shake,
    "tap": tap,
}


def conv1d_net(x: tf.Tensor, training: bool) -> tf.Tensor:
    x = conv1d(x, "conv1", size=5, stride=2, channels=16)
    x = pool1d(x, "pool1")
    x = conv1d(x, "conv2", size=3, stride=1, channels=24)
    x = pool1d(x, "pool2")
    with v1.name_scope("flatten"):
        flat = tf.reshape(x, tf.stack([tf.shape(x)[0], x.shape[1] * x.shape[2]]))
    return dense(flat, "logits", len(CLASSES))


def conv1d(x: tf.Tensor, name: str, *, size: int, stride: int, channels: int) -> tf.Tensor:
    with v1.variable_scope(name):
        initial = v1.glorot_uniform_initializer()
        kernel = v1.get_variable("kernel", [size, x.shape[-1], channels], initializer=initial)
        bias = v1.get_variable("bias", [channels], initializer=v1.zeros_initializer())
        y = v1.nn.conv1d(x, kernel, stride=stride, padding="SAME", name="conv1d")
        return tf.nn.relu(v1.nn.bias_add(y, bias, name="BiasAdd"), name="Relu")


def pool1d(x: tf.Tensor, name: str) -> tf.Tensor:
    with v1.name_scope(name):
        images = tf.expand_dims(x, 2)
        pooled = v1.nn.max_pool(images, [1, 2, 1, 1], [1, 2, 1, 1], "VALID")
        return tf.squeeze(pooled, [2])


if __name__ == "__main__":
    main()
