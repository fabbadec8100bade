"""Make toco_cases/: small networks, and what the real TOCO makes of them.

Runs in a scratch environment with Python 3.7 and tensorflow 1.15 (protobuf < 3.21, numpy < 1.19);
its `toco_from_protos` must be on the PATH:

    python make_toco_cases.py [NAME ...]

Weights and ranges are random with a fixed seed; nothing is trained. `cases.json` holds the flags.
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.lite.python.convert import toco_convert_protos
from tensorflow.lite.toco import model_flags_pb2, toco_flags_pb2, types_pb2

FOLDER = pathlib.Path(__file__).parent / "toco_cases"
relu, relu6 = tf.nn.relu, tf.nn.relu6
layers = tf.contrib.layers
DEFAULT = {"default_ranges_min": -4.0, "default_ranges_max": 6.0}
RANDOM = np.random.RandomState(0)
CASES = {}


def case(outputs="out", stats="127.5,127.5", trained=False, extra="", model=None, **flags):
    def add(build):
        CASES[build.__name__] = (build, outputs.split(), stats, trained, extra, model or {}, flags)

    return add


def image(name="image", channels=3):
    return tf.compat.v1.placeholder(tf.float32, (1, 8, 8, channels), name=name)


def fq(x, low, high, narrow=False, name=None):
    return tf.quantization.fake_quant_with_min_max_vars(
        x,
        tf.constant(low, tf.float32),
        tf.constant(high, tf.float32),
        narrow_range=narrow,
        name=name,
    )


def weights(*shape, quantized=False):
    values = tf.constant((RANDOM.randn(*shape) * 0.3).astype(np.float32))
    return (
        fq(values, -RANDOM.uniform(0.5, 0.9), RANDOM.uniform(0.5, 0.9), True)
        if quantized
        else values
    )


def vector(size):
    return tf.constant(RANDOM.randn(size).astype(np.float32))


def conv(
    x, filters, kernel=3, act=None, to=None, quantized=False, bias=True, padding="SAME", stride=1
):
    """Convolve; `to` is the range of a FakeQuant behind it, whose weights then have one, too."""
    w = weights(kernel, kernel, int(x.shape[-1]), filters, quantized=quantized or to is not None)
    y = tf.nn.conv2d(x, w, [1, stride, stride, 1], padding)
    y = tf.nn.bias_add(y, vector(filters)) if bias else y
    y = act(y) if act else y
    return fq(y, *to) if to is not None else y


def depthwise(x, act=None, to=None, padding="SAME"):
    w = weights(3, 3, int(x.shape[-1]), 1, quantized=to is not None)
    y = tf.nn.bias_add(
        tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], padding), vector(int(x.shape[-1]))
    )
    y = act(y) if act else y
    return fq(y, *to) if to is not None else y


def dense(x, units, quantized=False):
    return tf.matmul(x, weights(int(x.shape[-1]), units, quantized=quantized)) + vector(units)


def normalized(x):
    size = int(x.shape[-1])
    scale, variance = (tf.constant(RANDOM.uniform(0.5, 2, size).astype(np.float32)) for _ in "ab")
    return tf.compat.v1.nn.fused_batch_norm(
        x, scale, vector(size), vector(size), variance, is_training=False
    )[0]


def end(x, name="out"):
    return tf.identity(x, name=name)


@case()
def concat_own_range():
    x = image()
    y = tf.concat([conv(x, 4, act=relu6, to=(0, 6)), conv(x, 2, act=relu, to=(0, 3.3))], 3)
    end(conv(fq(y, 0, 5.1), 3, 1, to=(-3, 4)))


@case()
def concat_union():
    x = image()
    y = tf.concat([conv(x, 4, act=relu6, to=(0, 6)), conv(x, 2, act=relu, to=(0, 3.3))], 3)
    end(conv(y, 3, 1, to=(-3, 4)))


@case(model={"change_concat_input_ranges": True}, **DEFAULT)
def concat_changed():
    x = image()
    both = tf.concat([conv(x, 4, act=relu, to=(0, 3)), conv(x, 4)], 3)
    end(tf.concat([both, conv(both, 4)], 3))


@case()
def pools_and_mean():
    x = conv(image(), 4, act=relu6, to=(0, 5.5))
    x = tf.nn.max_pool2d(tf.nn.avg_pool2d(x, 2, 2, "SAME"), 2, 2, "VALID")
    y = fq(dense(tf.reduce_mean(x, [1, 2]), 5, quantized=True), -7, 7.5)
    tf.nn.softmax(y, name="out")


@case(**DEFAULT)
def resize_and_pad():
    x = conv(image(), 4, act=relu6, stride=2)
    y = tf.image.resize_bilinear(x, [8, 8]) + tf.image.resize_nearest_neighbor(x, [8, 8])
    end(conv(tf.pad(y, [[0, 0], [1, 1], [2, 2], [0, 0]]), 3, padding="VALID"))


@case()
def squeeze_excite():
    x = image()
    a = conv(x, 4, act=relu, to=(0, 5.5))
    gate = conv(tf.reduce_mean(a, [1, 2], keepdims=True), 2, 1, act=relu, to=(0, 2))
    gate = tf.nn.sigmoid(conv(gate, 4, 1, to=(-5, 5)))
    y = fq(a * gate, 0, 4.4) - conv(x, 4, to=(-3.3, 2.9))
    fq(relu(fq(y, -4, 5)), 0, 4.2, name="out")


def ending(name, last):
    def build():
        last(dense(tf.reduce_mean(conv(image(), 4, act=relu), [1, 2]), 5), name="out")

    build.__name__ = name
    case(**DEFAULT)(build)


ending("ends_in_softmax", tf.nn.softmax)
ending("ends_in_logistic", tf.nn.sigmoid)
ending("ends_in_tanh", tf.nn.tanh)
ending("ends_in_log_softmax", tf.nn.log_softmax)
ending("ends_in_l2_norm", lambda x, name: tf.nn.l2_normalize(x, -1, name=name))


@case(**DEFAULT)
def batch_norm_unfolded():
    x = relu6(normalized(conv(image(), 4, bias=False, stride=2)))
    w = weights(3, 3, 4, 1)
    x = relu6(normalized(tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME")))
    w = weights(3, 3, 4, 4)
    x = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME", dilations=[1, 2, 2, 1])
    end(relu(normalized(x)))


@case(**DEFAULT)
def batch_norm_before():
    x = conv(image(), 4, bias=False)
    y = conv(relu(normalized(x)), 4, bias=False)
    end(conv(relu(normalized(x + y)), 4))


@case(**DEFAULT)
def weights_shared_before_batch_norm():
    x, w = image(channels=4), weights(3, 3, 4, 4)
    x = relu(normalized(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")))
    end(relu(normalized(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"))))


def crossing():
    x = normalized(fq(conv(image(), 4, quantized=True, stride=2), -5, 5))
    y = fq(conv(fq(relu6(x), 0, 6), 3, 1, quantized=True), -6, 7)
    fq(relu(y), 0, 5.5, name="out")


@case(reorder_across_fake_quant=True)
def reorder_across_fake_quant():
    crossing()


@case(drop_fake_quant=True)
def drop_fake_quant():
    crossing()


@case()
def clamps_behind_fake_quant():
    x = relu6(fq(conv(image(), 4, quantized=True), -5, 5))
    x = relu(fq(conv(fq(x, 0, 4), 4, quantized=True), -3, 5))
    x = relu6(fq(conv(fq(x, 0, 2.7), 4, quantized=True), 0, 3))
    end(conv(fq(x, 0, 3), 3, to=(-2, 2)))


@case(**DEFAULT)
def moves_of_elements():
    x = relu(tf.transpose(conv(image(), 8), [0, 2, 1, 3]))
    x = relu6(tf.reshape(x, [1, 16, 4, 8]))
    x = tf.depth_to_space(tf.space_to_depth(x, 2), 2)
    a, b = tf.split(x, 2, axis=3)
    x = tf.slice((a + b)[:, 2:12, 0:4, :], [0, 1, 1, 0], [1, 6, 2, 4])
    x = tf.squeeze(tf.expand_dims(x, 1), [1])
    x = tf.reduce_max(x, [1, 2])
    end(tf.gather(tf.stack([x, x], axis=1), [1, 0], axis=1))


@case(**DEFAULT)
def flattened_for_dense():
    x = layers.flatten(conv(tf.nn.max_pool2d(image(), 2, 2, "SAME"), 4, act=relu))
    tf.nn.softmax(dense(relu(dense(x, 6)), 5), name="out")


@case(**DEFAULT)
def steps_around_linear():
    x = (image() - 0.5) * 2.0
    x = depthwise(conv(x, 4, act=relu, padding="VALID") - 1.0, padding="VALID")
    x = tf.reshape(x, [1, -1]) * 0.5 + 0.25
    end(dense(x, 4))


@case(**DEFAULT)
def activations():
    x = conv(tf.nn.leaky_relu(conv(image(), 4), 0.2), 4)
    slope = tf.constant(RANDOM.uniform(-0.3, 0.3, [1, 1, 4]).astype(np.float32))
    x = conv(relu(x) + (-slope) * relu(-x), 4)
    x = conv(tf.minimum(tf.maximum(x, -1.0), 1.0), 4)
    tf.nn.relu(x, name="out")


@case("first second", "127.5,127.5;0,255")
def two_inputs_and_outputs():
    a, b = conv(image("a"), 4, act=relu, to=(0, 3)), conv(image("b"), 4, act=relu, to=(0, 2))
    x = fq(a + b, 0, 5, name="first")
    fq(relu(conv(x, 4, to=(-4, 4))), 0, 3.7, name="second")


@case("out inner", **DEFAULT)
def inner_output():
    x = relu(end(conv(image(), 4), "inner"))
    end(conv(x, 4, act=relu6))


@case(**DEFAULT)
def transposed_convolution():
    x = conv(image(), 4, act=relu)
    x = tf.nn.conv2d_transpose(x, weights(3, 3, 3, 4), [1, 16, 16, 3], [1, 2, 2, 1])
    tf.nn.relu(tf.nn.bias_add(x, vector(3)), name="out")


@case(allow_nudging_weights_to_use_fast_gemm_kernel=True)
def nudged_weights():
    w = tf.constant((RANDOM.randint(0, 3, (3, 3, 3, 4)) * 1.37 - 1).astype(np.float32))
    x = fq(relu(tf.nn.conv2d(image(), w, [1, 1, 1, 1], "SAME")), 0, 6)
    w = tf.constant((RANDOM.randint(0, 2, (4, 9)) * 1.37 - 1).astype(np.float32))
    fq(tf.matmul(tf.reduce_mean(x, [1, 2]), w), -3, 3, name="out")


@case(
    extra="""entries { name: "first" min: 0 max: 4.5 }
entries { name_regexp: "o.*" min: -2.5 max: 3 }
"""
)
def arrays_extra_info():
    w = tf.identity(weights(1, 1, 4, 3), name="own")
    x = tf.nn.relu6(conv(image(), 4), name="first")
    tf.nn.relu(tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME"), name="out")


@case(stats="128,127", default_ranges_min=0.0, default_ranges_max=6.0)
def one_channel():
    tf.nn.relu6(conv(conv(image(channels=1), 4, act=relu), 4), name="out")


@case(trained=True)
def rewritten_for_training():
    folded = {"normalizer_fn": layers.batch_norm, "normalizer_params": {"is_training": False}}
    x = layers.conv2d(image(), 4, 3, 2, activation_fn=relu6, **folded)
    x = layers.separable_conv2d(x, None, 3, 1, 1, activation_fn=relu6, **folded)
    y = layers.conv2d(layers.avg_pool2d(x, 3, 1, "SAME"), 4, 1, activation_fn=relu6, **folded)
    x = tf.concat([layers.conv2d(x, 4, 1, activation_fn=relu6, **folded), y], 3)
    y = layers.conv2d(x, 8, 1, activation_fn=None, **folded)
    x = layers.avg_pool2d(relu6(x + y), 4, 4)
    x = tf.squeeze(layers.conv2d(x, 5, 1, activation_fn=None), [1, 2])
    tf.nn.softmax(tf.reshape(x, [-1, 5]), name="out")


@case(**DEFAULT)
def dilated_sequence():
    """Dilation in one dimension, which TensorFlow spells out over the batch.

    Without padding TOCO's file pads all the same, and computes something else.
    """
    x = tf.compat.v1.placeholder(tf.float32, (1, 24, 4), name="image")
    x = tf.nn.convolution(x, weights(3, 4, 4), "SAME", dilation_rate=[2])
    x = relu(tf.nn.bias_add(x, vector(4)))
    x = tf.nn.convolution(x, weights(3, 4, 4), "SAME", dilation_rate=[4])
    x = fq(relu6(tf.nn.bias_add(x, vector(4))), 0, 5.5)
    end(dense(tf.reduce_mean(x, [1]), 3))


P = "TFLite_Detection_PostProcess"


@case(f"{P} {P}:1 {P}:2 {P}:3", allow_custom_ops=True)
def detection():
    """A detector as its export script writes it; the last node is no operator of TensorFlow."""
    x = conv(image(), 4, act=relu6, to=(0, 6), stride=4)
    boxes = tf.reshape(conv(x, 4, 1, to=(-6, 6)), [1, 4, 4], name="boxes")
    scores = tf.sigmoid(tf.reshape(conv(x, 3, 1, to=(-9, 8)), [1, 4, 3]), name="scores")
    places = np.abs(RANDOM.uniform(0.1, 1, (4, 4))).astype(np.float32)
    anchors = tf.constant(places, name="anchors")
    node = tf.compat.v1.NodeDef(name=P, op=P)
    node.input.extend(t.op.name for t in (boxes, scores, anchors))
    for name, value in {"max_detections": 3, "num_classes": 2, "detections_per_class": 3}.items():
        node.attr[name].i = value
    node.attr["max_classes_per_detection"].i = 1
    for side, scale in {"y": 10, "x": 10, "h": 5, "w": 5}.items():
        node.attr[f"{side}_scale"].f = scale
    node.attr["nms_score_threshold"].f, node.attr["nms_iou_threshold"].f = 0.1, 0.6
    node.attr["_output_quantized"].b = True
    node.attr["_support_output_type_float_in_quantized_op"].b = True
    node.attr["_output_types"].list.type.extend([1] * 4)
    return node


def frozen(build, outputs, trained):
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session() as session:
        last = build()
        if trained:
            tf.contrib.quantize.create_eval_graph()
        session.run(tf.compat.v1.global_variables_initializer())
        for variable in tf.compat.v1.global_variables():
            session.run(variable.assign(invented(variable)))
        freeze = tf.compat.v1.graph_util.convert_variables_to_constants
        nodes = freeze(session, graph.as_graph_def(), outputs if last is None else last.input)
        nodes.node.extend([last] if last is not None else [])
        return nodes


def invented(variable):
    name, shape = variable.op.name, [int(size) for size in variable.shape]
    if name.endswith("/min"):
        return -RANDOM.uniform(0.3, 1) if "weights_quant" in name or "conv_quant" in name else 0.0
    if name.endswith("/max"):
        return RANDOM.uniform(0.3, 1) if "weights_quant" in name else RANDOM.uniform(1, 5)
    return RANDOM.uniform(0.3, 1.5, shape) if "variance" in name else RANDOM.randn(*shape) * 0.4


def convert(nodes, outputs, stats, extra, model, flags):
    told = model_flags_pb2.ModelFlags(output_arrays=outputs, change_concat_input_ranges=False, **{})
    for key, value in model.items():
        setattr(told, key, value)
    inputs = [node for node in nodes.node if node.op == "Placeholder"]
    for node, pair in zip(inputs, stats.split(";")):  # noqa: B905  (Python 3.7)
        mean, std = map(float, pair.split(","))
        array = told.input_arrays.add(name=node.name, mean_value=mean, std_value=std)
        array.data_type = types_pb2.FLOAT
        array.shape.dims.extend(d.size for d in node.attr["shape"].shape.dim)
    text_format.Parse(extra, told.arrays_extra_info)
    toco = toco_flags_pb2.TocoFlags(
        input_format=toco_flags_pb2.TENSORFLOW_GRAPHDEF,
        output_format=toco_flags_pb2.TFLITE,
        inference_type=types_pb2.QUANTIZED_UINT8,
        drop_control_dependency=True,
        **flags,
    )
    messages = (told, toco, nodes)
    return toco_convert_protos(*(message.SerializeToString() for message in messages))


def main():
    FOLDER.mkdir(exist_ok=True)
    index = {}
    for name, (build, outputs, stats, trained, extra, model, flags) in CASES.items():
        RANDOM.seed(sum(map(ord, name)))
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        nodes = frozen(build, outputs, trained)
        converted = convert(nodes, outputs, stats, extra, model, flags)
        (FOLDER / (name + ".pb")).write_bytes(nodes.SerializeToString())
        (FOLDER / (name + ".tflite")).write_bytes(converted)
        index[name] = {
            "outputs": outputs,
            "stats": stats,
            "extra": extra,
            "flags": {**model, **flags},
        }
        print(name, len(converted))
    if not sys.argv[1:]:
        (FOLDER / "cases.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
