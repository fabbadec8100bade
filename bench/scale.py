"""CPU seconds of graphs with many nodes: chains, trees, diamonds and wide ones of one operator.

Each is made as a GraphDef in --workdir, at half of the size and at all of it, and converted in a
process of its own: what is linear takes twice the time (less the start-up, which both have).

    python scale.py --workdir /tmp/scale
    python scale.py --workdir /tmp/scale --nodes 2000 --shapes tree --operators Mul Neg
"""

import argparse
import itertools
import pathlib
from collections.abc import Callable

import numpy as np
from measure import run, tqconv_command, write_json

from tqconv.schema import proto

FLOAT, INT = 1, 3
WIDTH = 4
"""Channels of every tensor, which are images of 1 x 1 for convolutions."""
BINARY = ("Add", "Mul")
OPERATORS = (*BINARY, "Neg", "Tanh", "Conv2D", "MatMul", "Reshape")
READERS = 3
"""Operators that read each tensor of a diamond, and whose results the next layer adds."""
LIMIT = 5.0
"""CPU seconds that no graph may take."""


class Network:
    """A GraphDef that grows by one operator at a time."""

    def __init__(self, operator: str) -> None:
        self.message = proto.messages().GraphDef()
        self.message.versions.producer = 1987
        self.operator = operator
        self.shape = [1, WIDTH] if operator in ("MatMul", "Reshape") else [1, 1, 1, WIDTH]
        self.turned: set[str] = set()
        """Results of reshapes that have the other shape."""
        if operator == "Conv2D":
            self.constant("w", np.full((1, 1, WIDTH, WIDTH), 0.25, np.float32), FLOAT)
        if operator == "MatMul":
            self.constant("w", np.full((WIDTH, WIDTH), 0.25, np.float32), FLOAT)
        if operator == "Reshape":
            self.constant("there", np.array([WIDTH, 1], np.int32), INT)
            self.constant("back", np.array([1, WIDTH], np.int32), INT)

    def __len__(self) -> int:
        """Return the number of nodes."""
        return len(self.message.node)

    def constant(self, name: str, value: np.ndarray, kind: int) -> None:
        """Add a Const of this data type."""
        node = self.message.node.add(name=name, op="Const")
        node.attr["dtype"].type = kind
        tensor = node.attr["value"].tensor
        tensor.dtype = kind
        for size in value.shape:
            tensor.tensor_shape.dim.add(size=size)
        tensor.tensor_content = value.tobytes()

    def input(self) -> str:
        """Add a Placeholder."""
        node = self.message.node.add(name=f"x{len(self)}", op="Placeholder")
        node.attr["dtype"].type = FLOAT
        for size in self.shape:
            node.attr["shape"].shape.dim.add(size=size)
        return node.name

    def add(self, op: str, *inputs: str, **types: int) -> str:
        """Add an operator."""
        node = self.message.node.add(name=f"n{len(self)}", op=op, input=inputs)
        for name, number in {"T": FLOAT, **types}.items():
            node.attr[name].type = number
        if op == "Conv2D":
            node.attr["strides"].list.i.extend([1, 1, 1, 1])
            node.attr["padding"].s = b"SAME"
        return node.name

    def step(self, x: str, other: str) -> str:
        """One more operator behind x; binary ones read `other`, too."""
        if self.operator in BINARY:
            return self.add(self.operator, x, other)
        if self.operator in ("Conv2D", "MatMul"):
            return self.add(self.operator, x, "w")
        if self.operator == "Reshape":
            y = self.add("Reshape", x, "back" if x in self.turned else "there", Tshape=INT)
            self.turned |= set() if x in self.turned else {y}
            return y
        return self.add(self.operator, x)

    def join(self, xs: list[str]) -> str:
        """The sum of some tensors, of two at a time."""
        while len(xs) > 1:
            pairs = itertools.zip_longest(xs[::2], xs[1::2])
            op = "Mul" if self.operator == "Mul" else "Add"
            xs = [a if b is None else self.sum(op, a, b) for a, b in pairs]
        return xs[0]

    def sum(self, op: str, a: str, b: str) -> str:
        """Add a binary operator."""
        y = self.add(op, a, b)
        self.turned |= {y} if a in self.turned else set()
        return y


def chain(net: Network, nodes: int) -> str:
    x = y = net.input()
    while len(net) < nodes:
        y = net.step(y, x)
    return y


def tree(net: Network, nodes: int) -> str:
    leaves = [net.input() for _ in range(nodes // 3)]
    return net.join([net.step(x, x) for x in leaves])


def diamond(net: Network, nodes: int) -> str:
    y = net.input()
    while len(net) < nodes:
        y = net.join([net.step(y, y) for _ in range(READERS)])
    return y


def wide(net: Network, nodes: int) -> str:
    x = net.input()
    return net.join([net.step(x, x) for _ in range(nodes // 2)])


SHAPES: dict[str, Callable[[Network, int], str]] = {
    "chain": chain,
    "tree": tree,
    "diamond": diamond,
    "wide": wide,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--shapes", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--operators", nargs="*", choices=OPERATORS, default=OPERATORS)
    parser.add_argument("--tqconv", help="tqconv command; default: this interpreter's module")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    options = parser.parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    rows = []
    print("| graph | nodes | CPU s of half | CPU s | peak MiB | |\n|---|---|---|---|---|---|")
    for shape, operator in itertools.product(options.shapes, options.operators):
        half, whole = (cost(shape, operator, n, options) for n in (options.nodes // 2, None))
        rows.append({"graph": f"{shape} of {operator}", "half": half[1], **whole[0]})
        row = rows[-1]
        mark = "TOO SLOW" if row["cpu"] > LIMIT else ""
        print(
            f"| {row['graph']} | {row['nodes']} | {half[1]:.2f} | {row['cpu']:.2f} "
            f"| {row['peak']:.0f} | {mark} |",
            flush=True,
        )
    write_json(options.json, rows)


def cost(
    shape: str, operator: str, nodes: int | None, options: argparse.Namespace
) -> tuple[dict[str, float], float]:
    """What a conversion of such a graph takes, and its CPU seconds alone."""
    net = Network(operator)
    output = SHAPES[shape](net, options.nodes if nodes is None else nodes)
    graph = options.workdir / "graph.pb"
    graph.write_bytes(net.message.SerializeToString())
    flags = ["--output_arrays", output, "--output_file", str(options.workdir / "m.tflite")]
    spent = run([*tqconv_command(options.tqconv), "convert", str(graph), *flags])
    found = {"nodes": len(net), "cpu": spent.cpu_seconds, "peak": spent.peak_mib}
    return found, spent.cpu_seconds


if __name__ == "__main__":
    main()
