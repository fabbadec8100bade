"""What the networks of `small_networks.py` learn, and how they are built.

All data are generated. TensorFlow and tf_keras are handed in: only `train` has them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

SECOND = 16_000  # samples of a sound

Data = tuple[np.ndarray, np.ndarray]


def curve(rng: np.random.Generator) -> Data:
    x = rng.uniform(0, 2 * np.pi, (2000, 1))
    return x, np.sin(x) + rng.normal(0, 0.05, x.shape)


def motions(rng: np.random.Generator) -> Data:
    """Accelerations and turns of five movements: 128 steps of six sensors."""
    labels = rng.integers(0, 5, 1500)
    rate = np.array([0.5, 1.2, 2.0, 3.0, 5.0])[labels] * rng.uniform(0.9, 1.1, 1500)
    phase, size = rng.uniform(0, 6, (1500, 1, 6)), rng.uniform(0.5, 2, (1500, 1, 6))
    time = np.arange(128)[None, :, None] / 50
    waves = size * np.sin(2 * np.pi * rate[:, None, None] * time + phase)
    waves *= np.array([1, 1, 1, 60, 60, 60])
    return waves + rng.normal(0, 0.3, waves.shape) + np.array([0, 0, 9.8, 0, 0, 0]), labels


def sounds(rng: np.random.Generator) -> Data:
    """A second of a tone with overtones that swells, loud or soft, of one of four pitches."""
    labels = rng.integers(0, 4, 600)
    time = np.arange(SECOND) / SECOND
    found = np.zeros((600, SECOND), np.float32)
    for i, label in enumerate(labels):
        pitch = (100, 150, 220, 320)[label] * rng.uniform(0.93, 1.07)
        swell = np.clip(np.sin(2 * np.pi * rng.uniform(1, 4) * time + rng.uniform(0, 6)), 0, 1)
        for k in range(1, 20):
            share = rng.uniform(0.2, 1) / k
            found[i] += share * np.sin(2 * np.pi * pitch * k * time + rng.uniform(0, 6))
        found[i] *= swell**2 * rng.uniform(0.02, 0.3)
        found[i] += rng.normal(0, 10 ** rng.uniform(-4, -2.5), SECOND)
    return found, labels


def series(rng: np.random.Generator) -> Data:
    """Sixty steps around 100, of which the last twelve are foretold."""
    time = np.arange(60)
    period, phase = rng.uniform(8, 24, (1500, 1)), rng.uniform(0, 6, (1500, 1))
    y = 100 + 30 * np.sin(2 * np.pi * time / period + phase)
    y += time * rng.uniform(-0.5, 0.5, (1500, 1)) + rng.normal(0, 2, y.shape)
    return y[:, :48, None], y[:, 48:]


def words(rng: np.random.Generator) -> Data:
    """Lines of 32 words; more of the first kind than of the second, or not."""
    x = rng.integers(1, 800, (2500, 32))
    return x.astype(np.int32), (x < 120).sum(1) > ((x >= 120) & (x < 240)).sum(1)


def pictures(rng: np.random.Generator) -> Data:
    """Bright discs before noise, and where they are."""
    x = rng.uniform(0, 0.3, (800, 1, 1)) + rng.normal(0, 0.05, (800, 32, 32))
    discs = np.zeros(x.shape)
    rows, columns = np.mgrid[0:32, 0:32]
    for i in range(800):
        for _ in range(rng.integers(1, 3)):
            row, column, radius = *rng.uniform(6, 26, 2), rng.uniform(3, 7)
            inside = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
            x[i, inside] += rng.uniform(0.3, 0.7)
            discs[i, inside] = 1
    return x[..., None], discs[..., None]


def sizes(rng: np.random.Generator) -> Data:
    x, discs = pictures(rng)
    return x, discs.sum((1, 2, 3)) > 100


def coarse(rng: np.random.Generator) -> Data:
    x, _ = pictures(rng)
    return x.reshape(-1, 16, 2, 16, 2, 1).mean((2, 4)), x


def features(rng: np.random.Generator) -> Data:
    """A table of columns of unlike sizes."""
    columns = [rng.uniform(0, 1, 3000), rng.lognormal(8, 1, 3000), rng.integers(0, 2, 3000)]
    columns += [rng.normal(40, 12, 3000), rng.uniform(-1e-2, 1e-2, 3000)]
    a, b, c, d, e = columns
    return np.stack(columns, 1), (3 * a + np.log(b) / 4 + 2 * c - d / 30 + 100 * e)[:, None]


Build = Callable[[Any, Any, np.ndarray], Any]
"""(tensorflow, tf_keras, samples) -> a network."""


def _stack(*layers: Callable[[Any], Any]) -> Build:
    def build(tf: Any, keras: Any, x: np.ndarray) -> Any:
        dtype = "int32" if x.dtype.kind == "i" else "float32"
        made = [layer(keras.layers) for layer in layers]
        return keras.Sequential([keras.layers.Input(x.shape[1:], dtype=dtype), *made])

    return build


def listening(tf: Any, keras: Any, x: np.ndarray) -> Any:
    """A spectrogram in mel steps, its logarithm, and two convolutions."""
    layers, weights = (
        keras.layers,
        tf.signal.linear_to_mel_weight_matrix(40, 257, SECOND, 80.0, 7600.0),
    )

    def spectrogram(wave: Any) -> Any:
        bins = tf.abs(tf.signal.stft(wave, 512, 160, 512))
        return tf.math.log(tf.matmul(bins, weights) + 1e-6)[..., None]

    made = [layers.Input(x.shape[1:]), layers.Lambda(spectrogram), layers.BatchNormalization()]
    made += [layers.Conv2D(n, 3, strides=2, activation="relu") for n in (16, 24)]
    made += [layers.GlobalAveragePooling2D(), layers.Dense(4, "softmax")]
    return keras.Sequential(made)


def attention(tf: Any, keras: Any, x: np.ndarray) -> Any:
    layers = keras.layers
    entry = layers.Input(x.shape[1:], dtype="int32")
    y = layers.Embedding(800, 32)(entry) + layers.Embedding(32, 32)(tf.range(32)[None])
    y = layers.LayerNormalization()(y + layers.MultiHeadAttention(4, 8)(y, y))
    y = layers.LayerNormalization()(y + layers.Dense(32)(layers.Dense(64, "gelu")(y)))
    return keras.Model(entry, layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling1D()(y)))


def segmentation(tf: Any, keras: Any, x: np.ndarray) -> Any:
    layers = keras.layers

    def block(channels: int, y: Any) -> Any:
        y = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(y))
        return layers.Activation("relu")(y)

    entry = layers.Input(x.shape[1:])
    fine = block(8, entry)
    middle = block(16, layers.MaxPool2D()(fine))
    low = layers.UpSampling2D()(block(24, layers.MaxPool2D()(middle)))
    y = block(16, layers.Concatenate()([low, middle]))
    y = block(8, layers.Concatenate()([layers.Conv2DTranspose(8, 2, strides=2)(y), fine]))
    return keras.Model(entry, layers.Conv2D(1, 1, activation="sigmoid")(y))


def enlarging(tf: Any, keras: Any, x: np.ndarray) -> Any:
    layers = keras.layers
    entry = layers.Input(x.shape[1:])
    y = layers.Conv2D(24, 5, padding="same", activation="relu")(entry)
    for _ in range(2):
        inner = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(24, 3, padding="same")(y))
        y = layers.Add()([y, layers.Conv2D(24, 3, padding="same")(inner)])
    y = tf.nn.depth_to_space(layers.Conv2D(4, 3, padding="same")(y), 2)
    return keras.Model(entry, y + tf.image.resize(entry, (32, 32)))


def weighing(tf: Any, keras: Any, x: np.ndarray) -> Any:
    """Inverted residuals whose channels are weighed (EfficientNet)."""
    layers = keras.layers

    def swish(y: Any) -> Any:
        return layers.Activation("swish")(layers.BatchNormalization()(y))

    entry = layers.Input(x.shape[1:])
    y = swish(layers.Conv2D(16, 3, strides=2, padding="same")(entry))
    for _ in range(3):
        inner = swish(layers.DepthwiseConv2D(3, padding="same")(swish(layers.Conv2D(64, 1)(y))))
        share = layers.Dense(4, "swish")(layers.GlobalAveragePooling2D(keepdims=True)(inner))
        inner = inner * layers.Dense(64, "sigmoid")(share)
        y = y + layers.BatchNormalization()(layers.Conv2D(16, 1)(inner))
    return keras.Model(entry, layers.Dense(1, "sigmoid")(layers.GlobalAveragePooling2D()(y)))


def levelled(tf: Any, keras: Any, x: np.ndarray) -> Any:
    layers = keras.layers
    norm = layers.Normalization()
    norm.adapt(x)
    made = [layers.Input(x.shape[1:]), norm, layers.Dense(32, "elu"), layers.Dense(32, "elu")]
    return keras.Sequential([*made, layers.Dense(1)])


def _recurrent(kind: str) -> Build:
    return _stack(
        lambda k: k.Normalization(mean=100.0, variance=600.0),
        lambda k: getattr(k, kind)(24),
        lambda k: k.Dense(12),
        lambda k: k.Rescaling(25.0, 100.0),
    )


@dataclass(frozen=True)
class Task:
    """What a network learns; `measure`: of what it makes, `right` (a share) or `rmse`."""

    data: Callable[[np.random.Generator], Data]
    build: Build
    epochs: int
    measure: str


TASKS = {
    "a curve, dense": Task(
        curve,
        _stack(lambda k: k.Dense(16, "relu"), lambda k: k.Dense(16, "relu"), lambda k: k.Dense(1)),
        60,
        "rmse",
    ),
    "motions, convolutions": Task(
        motions,
        _stack(
            lambda k: k.BatchNormalization(),
            lambda k: k.Conv1D(16, 5, activation="relu"),
            lambda k: k.MaxPool1D(2),
            lambda k: k.Conv1D(24, 5, activation="relu"),
            lambda k: k.GlobalAveragePooling1D(),
            lambda k: k.Dense(5, "softmax"),
        ),
        12,
        "right",
    ),
    "motions, LSTM both ways": Task(
        motions,
        _stack(
            lambda k: k.BatchNormalization(),
            lambda k: k.Bidirectional(k.LSTM(12)),
            lambda k: k.Dense(5, "softmax"),
        ),
        8,
        "right",
    ),
    "sounds, log-mel spectrogram": Task(sounds, listening, 12, "right"),
    "series, GRU": Task(series, _recurrent("GRU"), 25, "rmse"),
    "series, LSTM": Task(series, _recurrent("LSTM"), 25, "rmse"),
    "words, embeddings": Task(
        words,
        _stack(
            lambda k: k.Embedding(800, 16),
            lambda k: k.GlobalAveragePooling1D(),
            lambda k: k.Dense(16, "relu"),
            lambda k: k.Dense(1, "sigmoid"),
        ),
        15,
        "right",
    ),
    "words, attention": Task(words, attention, 10, "right"),
    "pictures, U-Net": Task(pictures, segmentation, 8, "rmse"),
    "pictures, twice as large": Task(coarse, enlarging, 8, "rmse"),
    "pictures, squeeze and excite": Task(sizes, weighing, 8, "right"),
    "features of a table": Task(features, levelled, 30, "rmse"),
}
