"""Conversions by tqconv and by TensorFlow's converter in turn: CPU, wall-clock time, peak memory.

Every measurement is a whole process, from `exec` to exit. Networks are made in --workdir by the
interpreter that has TensorFlow; graphs that are there already need none. Without --tf-python,
tqconv is measured alone. Both sides of int8 see the same samples and write int8 with float inputs
and outputs; TensorFlow takes ranges as measured, as `--no_improve` does here.

The limit of a float conversion is a process that imports numpy, maps the graph, multiplies all of
its bytes once and writes them.

    python pairs.py --tf-python scratch/bin/python --workdir /tmp/pairs
    python pairs.py --workdir /tmp/pairs --networks resnet50 --modes float --rounds 3
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping
from dataclasses import asdict

from measure import Run, in_turn, medians, ratio, run, tqconv_command, write_json

HERE = pathlib.Path(__file__).parent
NETWORKS = {
    "mobilenet_v1": (224, 224, 3),
    "mobilenet_v2": (224, 224, 3),
    "mobilenet_v3": (224, 224, 3),
    "efficientnet_b0": (224, 224, 3),
    "bert": (128, 256),
    "lstm": (128, 12),
    "inception_v3": (299, 299, 3),
    "resnet50": (224, 224, 3),
}
"""Network -> shape of a sample; the last two have 100 MB."""
MODES = {
    "float": [],
    "int8": ["--quantize", "int8"],
    "int8 --no_improve": ["--quantize", "int8", "--no_improve"],
}
LIMIT = """
import mmap, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
values = np.frombuffer(content, np.float32, len(content) // 4)
with open(sys.argv[2], "wb") as file:
    for start in range(0, values.size, 1 << 20):
        file.write((values[start : start + (1 << 20)] * np.float32(0.5)).data)
"""


def main() -> None:
    options = arguments()
    options.workdir.mkdir(parents=True, exist_ok=True)
    rows = []
    print(
        "| network | mode | side | CPU s | s | peak MiB | CPU ratio | time ratio | memory ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for network in options.networks:
        graph = graph_of(network, options)
        for mode in options.modes:
            sides = commands(network, graph, mode, options)
            rows.append(row := compared(network, mode, in_turn(sides, options.rounds)))
            print_row(row)
    write_json(options.json, rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tf-python", help="interpreter that has TensorFlow")
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    parser.add_argument("--samples", type=int, default=100, help="for int8")
    parser.add_argument("--rounds", type=int, default=5, help="measured runs of each side")
    parser.add_argument("--tqconv", help="tqconv command; default: this interpreter's module")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    return parser.parse_args()


def graph_of(network: str, options: argparse.Namespace) -> pathlib.Path:
    """The network in --workdir, made there unless it exists."""
    graph = options.workdir / f"{network}.pb"
    if not graph.exists():
        if options.tf_python is None:
            sys.exit(f"{graph} is made by TensorFlow: --tf-python says where that is")
        run([options.tf_python, str(HERE / "make_network.py"), network, str(graph)])
    return graph


def samples_of(network: str, options: argparse.Namespace) -> pathlib.Path:
    """Uniform noise in [-1, 1) of the network's shape, made unless it exists."""
    path = options.workdir / f"{network}_{options.samples}.npz"
    if not path.exists():
        shape = ",".join(map(str, NETWORKS[network]))
        count = str(options.samples)
        run([sys.executable, str(HERE / "make_images.py"), count, str(path), "--shape", shape])
    return path


def commands(
    network: str, graph: pathlib.Path, mode: str, options: argparse.Namespace
) -> dict[str, list[str]]:
    """The same conversion as a command of each side."""
    names = ["--input_arrays", "input", "--output_arrays", "probabilities"]
    shared = ["--graph_def_file", str(graph), *names]
    if mode != "float":
        shared += ["--calibration_data", str(samples_of(network, options))]
    results = {side: str(options.workdir / f"{side}.tflite") for side in SIDES}
    ours = [*tqconv_command(options.tqconv), "convert", *shared, *MODES[mode]]
    sides = {"tqconv": [*ours, "--output_file", results["tqconv"]]}
    if options.tf_python is not None:
        theirs = [options.tf_python, str(HERE / "tf_convert.py"), *shared]
        sides["tensorflow"] = [*theirs, "--output_file", results["tensorflow"]]
    if mode == "float":
        sides["limit"] = [sys.executable, "-c", LIMIT, str(graph), results["limit"]]
    return sides


SIDES = ("tqconv", "tensorflow", "limit")


def compared(network: str, mode: str, runs: Mapping[str, list[Run]]) -> dict[str, object]:
    """Medians of all sides, and of what the other ones take in terms of tqconv in each round."""
    row: dict[str, object] = {"network": network, "mode": mode}
    for side, found in runs.items():
        row[side] = asdict(medians(found))
        if side != "tqconv":
            pairs = {
                "cpu": "cpu_seconds",
                "time": "seconds",
                "memory": "peak_mib",
            }
            row[f"{side} / tqconv"] = {
                name: ratio(
                    [getattr(r, key) for r in found], [getattr(r, key) for r in runs["tqconv"]]
                )
                for name, key in pairs.items()
            }
    return row


def print_row(row: Mapping[str, object]) -> None:
    """A line for each side."""
    for side in SIDES:
        if side not in row:
            continue
        spent, times = row[side], row.get(f"{side} / tqconv")
        ratios = "| | |" if times is None else " | ".join(f"{times[k]:.2f}" for k in times) + " |"
        print(
            f"| {row['network']} | {row['mode']} | {side} | {spent['cpu_seconds']:.2f} "
            f"| {spent['seconds']:.2f} | {spent['peak_mib']:.0f} | {ratios}",
            flush=True,
        )


if __name__ == "__main__":
    main()
