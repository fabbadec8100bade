"""Train, freeze, run and store one small TensorFlow 1 graph.

Runs in a scratch environment with TensorFlow; the product and its tests never import it. Shared by
the `make_*.py` scripts of this folder. Everything is seeded and runs on one thread, so a script
writes the same bytes again on the same TensorFlow build and machine.
"""

import json
import os
import pathlib
from collections import Counter
from collections.abc import Callable, Mapping

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
from cases import OUTPUT, SHOWN, Case, Labelled, case_facts, readme

v1 = tf.compat.v1
v1.disable_eager_execution()
v1.disable_resource_variables()  # VariableV2 + Identity `read`, as TensorFlow 1 wrote

BATCH = 32

Build = Callable[[tf.Tensor, bool], tf.Tensor]  # (x, training) -> logits [n, classes]
Values = Mapping[str, np.ndarray]


def train(
    build: Build,
    samples: Labelled,
    *,
    steps: int,
    rate: float,
    seed: int,
    start: Values | None = None,
) -> dict[str, np.ndarray]:
    """Values of the variables after `steps` batches of Adam; the rate falls by 10 at 70 %.

    `start` overrides the initial value of the variables it names.
    """
    reals, rng = samples.reals, np.random.default_rng(seed)
    with tf.Graph().as_default():
        v1.set_random_seed(seed)
        x = v1.placeholder(tf.float32, (None, *reals.shape[1:]))
        y = v1.placeholder(tf.int32, (None,))
        learning_rate = v1.placeholder(tf.float32, ())
        logits = build(x, True)
        variables = v1.global_variables()
        loss = tf.reduce_mean(
            v1.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )
        with v1.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS)):
            step = v1.train.AdamOptimizer(learning_rate).minimize(loss)
        with session() as running:
            running.run(v1.global_variables_initializer())
            load(running, variables, start or {})
            for index in range(steps):
                chosen = rng.choice(len(reals), BATCH, replace=False)
                now = rate if index < 0.7 * steps else rate / 10
                feed = {x: reals[chosen], y: samples.labels[chosen], learning_rate: now}
                running.run(step, feed)
            return dict(zip([v.op.name for v in variables], running.run(variables), strict=True))


def freeze(build: Build, case: Case, values: Values) -> v1.GraphDef:
    """The inference graph with `values` as Const nodes and a softmax called `probabilities`."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, case.shape, name=case.input_name)
        tf.nn.softmax(build(x, False), name=OUTPUT)
        with session() as running:
            load(running, v1.global_variables(), values, every=True)
            return v1.graph_util.convert_variables_to_constants(
                running, graph.as_graph_def(), [OUTPUT]
            )


def session() -> v1.Session:
    one_thread = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    return v1.Session(config=one_thread)


def load(running: v1.Session, variables: list, values: Values, *, every: bool = False) -> None:
    for variable in variables:
        if every or variable.op.name in values:
            initial_value = variable.initializer.inputs[1]
            running.run(variable.initializer, {initial_value: values[variable.op.name]})


def run(graph: v1.GraphDef, case: Case, reals: np.ndarray) -> np.ndarray:
    """Probabilities [n, classes]; a graph with a fixed batch of 1 runs once per sample."""
    batches = [reals] if case.shape[0] is None else np.split(reals, len(reals))
    with tf.Graph().as_default():
        tf.import_graph_def(graph, name="")
        with session() as running:
            feed = f"{case.input_name}:0"
            return np.concatenate([running.run(f"{OUTPUT}:0", {feed: b}) for b in batches])


def write_case(
    graph: v1.GraphDef, case: Case, test: Labelled, calibration: np.ndarray
) -> pathlib.Path:
    """Write the folder of one sample model beside this file; prints its float accuracy."""
    folder = pathlib.Path(__file__).parent / case.name
    folder.mkdir(exist_ok=True)
    reals = test.reals
    probabilities = run(graph, case, reals)
    accuracy = round(float(np.mean(probabilities.argmax(axis=1) == test.labels)), 4)
    (folder / "graph.pb").write_bytes(graph.SerializeToString(deterministic=True))
    np.savez_compressed(folder / "inputs.npz", **{case.input_name: reals[:SHOWN]})
    np.savez_compressed(folder / "expected.npz", **{OUTPUT: probabilities[:SHOWN]})
    np.savez_compressed(folder / "calibration.npz", **{case.input_name: calibration})
    np.savez_compressed(
        folder / "labels.npz", features=test.features, labels=test.labels.astype(np.uint8)
    )
    facts = case_facts(case, test, accuracy) | {"tf_converter": tf_converter(graph, case)}
    (folder / "case.json").write_text(json.dumps(facts, indent=1) + "\n")
    (folder / "README.md").write_text(readme(case, accuracy, len(test.labels)))
    print(f"{case.name}: float accuracy {accuracy}, {(folder / 'graph.pb').stat().st_size} bytes")
    return folder


def tf_converter(graph: v1.GraphDef, case: Case) -> dict[str, object]:
    """What TensorFlow's own converter makes of the graph, for comparison."""
    with tf.Graph().as_default(), session() as running:
        tensors = tf.import_graph_def(
            graph, name="", return_elements=[f"{case.input_name}:0", f"{OUTPUT}:0"]
        )
        model = v1.lite.TFLiteConverter.from_session(running, tensors[:1], tensors[1:]).convert()
    ops = tf.lite.Interpreter(
        model_content=model,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )._get_ops_details()  # the only list of operators the interpreter has
    counts = dict(Counter(op["op_name"] for op in ops))
    return {"version": tf.__version__, "float": {"ok": True, "bytes": len(model), "ops": counts}}
