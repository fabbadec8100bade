"""Make digits_cnn and digits_dsconv: two float classifiers of 8x8 digits.

Runs in a scratch environment with TensorFlow and scikit-learn:

    python make_digits.py
"""

import digits
import tensorflow as tf
from cases import Case
from tf1_graph import freeze, train, v1, write_case

CLASSES = 10
EPSILON = 1e-3
BN_DECAY = 0.9


def main() -> None:
    training, test, calibration = digits.split(peak=16, mean=0, std=16)
    for case, build, steps in ((CNN, cnn, 1500), (DSCONV, dsconv, 3000)):
        values = train(build, training, steps=steps, rate=3e-3, seed=1)
        write_case(freeze(build, case, values), case, test, calibration)


CNN = Case(
    name="digits_cnn",
    task="Classify 8x8 handwritten digits",
    made_by="make_digits.py",
    how="Two 3x3 convolutions with bias and ReLU, max pooling, a flattening Reshape, one dense "
    "layer and softmax. Pixels 0..16 are divided by 16. Batch fixed at 1.",
    data=digits.DATA,
    input_name="image",
    shape=(1, 8, 8, 1),
)

DSCONV = Case(
    name="digits_dsconv",
    task="Classify 8x8 handwritten digits with depthwise-separable convolutions",
    made_by="make_digits.py",
    how="FusedBatchNorm in inference form (moving statistics from training) and ReLU6 after every "
    "convolution, one stride of 2, global average pooling by Mean, one dense layer and softmax. "
    "Pixels 0..16 are divided by 16. Batch fixed at 1.",
    data=digits.DATA,
    input_name="image",
    shape=(1, 8, 8, 1),
)


def cnn(x: tf.Tensor, training: bool) -> tf.Tensor:
    x = conv_bias_relu(x, "conv1", 16)
    x = conv_bias_relu(x, "conv2", 24)
    x = v1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID", name="pool")
    return dense(tf.reshape(x, [-1, 4 * 4 * 24], name="flatten"), "logits", CLASSES)


def dsconv(x: tf.Tensor, training: bool) -> tf.Tensor:
    x = bn_relu6(conv(x, "stem", 3, 16), "stem", training)
    for name, stride, channels in (("block1", 1, 24), ("block2", 2, 32), ("block3", 1, 32)):
        x = bn_relu6(depthwise(x, f"{name}/depthwise", stride), f"{name}/depthwise", training)
        x = bn_relu6(conv(x, f"{name}/pointwise", 1, channels), f"{name}/pointwise", training)
    return dense(tf.reduce_mean(x, [1, 2], name="global_pool"), "logits", CLASSES)


def conv_bias_relu(x: tf.Tensor, name: str, channels: int) -> tf.Tensor:
    y = conv(x, name, 3, channels)
    with v1.variable_scope(name, auxiliary_name_scope=False):
        bias = v1.get_variable("bias", [channels], initializer=v1.zeros_initializer())
    return tf.nn.relu(v1.nn.bias_add(y, bias, name=f"{name}/BiasAdd"), name=f"{name}/Relu")


def conv(x: tf.Tensor, name: str, size: int, channels: int) -> tf.Tensor:
    with v1.variable_scope(name, auxiliary_name_scope=False):
        shape = [size, size, x.shape[-1], channels]
        weights = v1.get_variable("weights", shape, initializer=v1.glorot_uniform_initializer())
    return v1.nn.conv2d(x, weights, [1, 1, 1, 1], "SAME", name=f"{name}/Conv2D")


def depthwise(x: tf.Tensor, name: str, stride: int) -> tf.Tensor:
    with v1.variable_scope(name, auxiliary_name_scope=False):
        initial = v1.random_normal_initializer(stddev=1 / 3)
        weights = v1.get_variable("weights", [3, 3, x.shape[-1], 1], initializer=initial)
    strides = [1, stride, stride, 1]
    return v1.nn.depthwise_conv2d_native(x, weights, strides, "SAME", name=f"{name}/depthwise")


def bn_relu6(x: tf.Tensor, name: str, training: bool) -> tf.Tensor:
    """Relu6(FusedBatchNorm(x)); the first generation of the op, as TensorFlow 1 models have it."""
    channels = [x.shape[-1]]
    with v1.variable_scope(f"{name}/BatchNorm"):
        gamma = v1.get_variable("gamma", channels, initializer=v1.ones_initializer())
        beta = v1.get_variable("beta", channels, initializer=v1.zeros_initializer())
        mean = v1.get_variable(
            "moving_mean", channels, initializer=v1.zeros_initializer(), trainable=False
        )
        variance = v1.get_variable(
            "moving_variance", channels, initializer=v1.ones_initializer(), trainable=False
        )
        y = tf.raw_ops.FusedBatchNorm(
            x=x,
            scale=gamma,
            offset=beta,
            mean=[] if training else mean,
            variance=[] if training else variance,
            epsilon=EPSILON,
            is_training=training,
        )
        if training:
            for moving, batch in ((mean, y.batch_mean), (variance, y.batch_variance)):
                update = v1.assign_sub(moving, (1 - BN_DECAY) * (moving - batch))
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update)
    return tf.nn.relu6(y.y, name=f"{name}/Relu6")


def dense(x: tf.Tensor, name: str, channels: int) -> tf.Tensor:
    with v1.variable_scope(name):
        shape = [x.shape[-1], channels]
        kernel = v1.get_variable("kernel", shape, initializer=v1.glorot_uniform_initializer())
        bias = v1.get_variable("bias", [channels], initializer=v1.zeros_initializer())
        return v1.nn.bias_add(tf.matmul(x, kernel, name="MatMul"), bias, name="BiasAdd")


if __name__ == "__main__":
    main()
