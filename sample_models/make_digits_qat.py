"""Make digits_qat: a graph trained with fake quantization, in contrib.quantize's form.

Runs in a scratch environment with TensorFlow and scikit-learn. First the float network is trained
with batch normalization; then, with the moving statistics frozen, it is trained on in the folded,
fake-quantized form that is stored. TensorFlow 1's rewriter is gone, so the script lays out its
result by hand: `mul_fold`, `weights_quant`, `add_fold`, `act_quant`, `conv_quant`, `add_quant`.

    python make_digits_qat.py
"""

from dataclasses import dataclass

import digits
import numpy as np
import tensorflow as tf
from cases import Case
from make_digits import CLASSES, EPSILON, bn_relu6, conv, dense, depthwise
from tf1_graph import freeze, train, v1, write_case

RANGE_DECAY = 0.99
MEAN, STD = 128, 128  # uint8 128 is 0.0, so the zero that SAME pads with is exact

QAT = Case(
    name="digits_qat",
    task="Classify 8x8 handwritten digits; trained for QUANTIZED_UINT8",
    made_by="make_digits_qat.py",
    how="The evaluation graph of contrib.quantize: batch normalization folded into the weights in "
    "the graph, FakeQuantWithMinMaxVars with narrow_range on every weight and without it on every "
    "activation, a residual addition, max pooling and one dense layer. The placeholder has no "
    "FakeQuant: uint8 q stands for (q - 128) / 128. Batch fixed at 1. expected.npz is what the "
    "graph itself computes, fake quantization included.",
    data=digits.DATA,
    input_name="image",
    shape=(1, 8, 8, 1),
    tqconv_flags=("--mean_values", str(MEAN), "--std_dev_values", str(STD)),
)


def main() -> None:
    training, test, calibration = digits.split(peak=255, mean=MEAN, std=STD)
    values = train(float_net, training, steps=2000, rate=3e-3, seed=5)
    values = train(quantized_net, training, steps=2000, rate=3e-4, seed=6, start=values)
    write_case(freeze(quantized_net, QAT, values), QAT, test, calibration)


def float_net(x: tf.Tensor, training: bool) -> tf.Tensor:
    x = bn_relu6(conv(x, "conv1", 3, 16), "conv1", training)
    y = bn_relu6(depthwise(x, "depthwise", 1), "depthwise", training)
    y = batch_norm(conv(y, "pointwise", 1, 16), "pointwise", training)
    x = tf.nn.relu6(x + y)
    x = bn_relu6(conv(pool(x), "conv2", 3, 24), "conv2", training)
    return dense(flatten(pool(x)), "logits", CLASSES)


def quantized_net(x: tf.Tensor, training: bool) -> tf.Tensor:
    """`float_net` with the same variables, every layer folded and fake-quantized."""
    x = relu6_quant(folded(x, "conv1", CONV3, 16, training), "conv1", training)
    y = relu6_quant(folded(x, "depthwise", DEPTHWISE, 1, training), "depthwise", training)
    y = folded(y, "pointwise", CONV1, 16, training)
    y = fake_quant(y, "pointwise/conv_quant", training=training)
    x = tf.raw_ops.Add(x=x, y=y, name="residual/add")
    x = fake_quant(x, "residual/add_quant", training=training)
    x = relu6_quant(x, "residual", training)
    x = relu6_quant(folded(pool(x), "conv2", CONV3, 24, training), "conv2", training)
    return quantized_dense(flatten(pool(x)), "logits", CLASSES, training)


@dataclass(frozen=True)
class Kind:
    """A square convolution; `op` is TensorFlow's name."""

    op: str
    size: int


CONV1, CONV3, DEPTHWISE = Kind("Conv2D", 1), Kind("Conv2D", 3), Kind("DepthwiseConv2dNative", 3)


def folded(x: tf.Tensor, name: str, kind: Kind, channels: int, training: bool) -> tf.Tensor:
    """Convolution whose weights are multiplied by gamma / sqrt(variance + epsilon) in the graph."""
    outputs = channels * (x.shape[-1] if kind is DEPTHWISE else 1)
    with v1.variable_scope(name):
        weights = v1.get_variable("weights", [kind.size, kind.size, x.shape[-1], channels])
        with v1.variable_scope("BatchNorm"):
            gamma = v1.get_variable("gamma", [outputs])
            beta = v1.get_variable("beta", [outputs])
            mean = v1.get_variable("moving_mean", [outputs], trainable=False)
            variance = v1.get_variable("moving_variance", [outputs], trainable=False)
        with v1.name_scope("BatchNorm_Fold"):
            scale = tf.multiply(tf.math.rsqrt(variance + EPSILON), gamma, name="scale")
            bias = tf.subtract(beta, mean * scale, name="bias")
        per_weight = tf.reshape(scale, [-1, 1]) if kind is DEPTHWISE else scale
        folded_weights = tf.multiply(weights, per_weight, name="mul_fold")
        quantized = fake_quant(folded_weights, "weights_quant", training=training, weights=True)
        convolve = {
            "Conv2D": v1.nn.conv2d,
            "DepthwiseConv2dNative": v1.nn.depthwise_conv2d_native,
        }[kind.op]
        y = convolve(x, quantized, [1, 1, 1, 1], "SAME", name=f"{kind.op}_Fold")
        return tf.raw_ops.Add(x=y, y=bias, name="add_fold")


def quantized_dense(x: tf.Tensor, name: str, channels: int, training: bool) -> tf.Tensor:
    with v1.variable_scope(name):
        kernel = v1.get_variable("kernel", [x.shape[-1], channels])
        bias = v1.get_variable("bias", [channels])
        quantized = fake_quant(kernel, "weights_quant", training=training, weights=True)
        y = v1.nn.bias_add(tf.matmul(x, quantized, name="MatMul"), bias, name="BiasAdd")
        return fake_quant(y, "act_quant", training=training)


def relu6_quant(x: tf.Tensor, layer: str, training: bool) -> tf.Tensor:
    y = tf.nn.relu6(x, name=f"{layer}/Relu6")
    return fake_quant(y, f"{layer}/act_quant", training=training)


def fake_quant(x: tf.Tensor, scope: str, *, training: bool, weights: bool = False) -> tf.Tensor:
    """FakeQuantWithMinMaxVars with the range in variables `min` and `max`.

    While training, weights take the range they have now and activations a moving average of it,
    as contrib.quantize's LastValueQuantize and MovingAvgQuantize did; both ranges contain 0.
    """
    with v1.variable_scope(scope):
        low = v1.get_variable("min", [], initializer=v1.constant_initializer(-6.0), trainable=False)
        high = v1.get_variable("max", [], initializer=v1.constant_initializer(6.0), trainable=False)
        if training:
            seen = tf.stop_gradient(x)
            decay = 0.0 if weights else RANGE_DECAY
            low = moved(low, tf.minimum(tf.reduce_min(seen), 0.0), decay)
            high = moved(high, tf.maximum(tf.reduce_max(seen), 0.0), decay)
        return tf.quantization.fake_quant_with_min_max_vars(
            x, low, high, num_bits=8, narrow_range=weights, name="FakeQuantWithMinMaxVars"
        )


def moved(limit: tf.Variable, batch_limit: tf.Tensor, decay: float) -> tf.Tensor:
    return tf.stop_gradient(v1.assign(limit, decay * limit + (1 - decay) * batch_limit))


def batch_norm(x: tf.Tensor, name: str, training: bool) -> tf.Tensor:
    return bn_relu6(x, name, training).op.inputs[0]


def pool(x: tf.Tensor) -> tf.Tensor:
    return v1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID", name="pool")


def flatten(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [-1, int(np.prod(x.shape[1:]))], name="flatten")


if __name__ == "__main__":
    main()
