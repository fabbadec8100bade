"""Time and peak memory of a float conversion: tqconv against TensorFlow's converter.

Every measurement is a whole process, from `exec` to exit. Without --graph it makes MobileNetV1 and
MobileNetV2 (1.0, 224, random weights) in --workdir first.

    python convert_speed.py --tf-python scratch/bin/python --workdir /tmp/speed
    python convert_speed.py --tf-python scratch/bin/python --workdir /tmp/speed \
        --graph net.pb --input_arrays image --output_arrays scores
"""

import argparse
import pathlib
from dataclasses import asdict

from measure import (
    comparison,
    in_turn,
    medians,
    print_comparisons,
    run,
    tqconv_command,
    write_json,
)

HERE = pathlib.Path(__file__).parent
MOBILENETS = {"MobileNetV1 1.0 224": "v1", "MobileNetV2 1.0 224": "v2"}


def main() -> None:
    options = arguments()
    options.workdir.mkdir(parents=True, exist_ok=True)
    if options.graph is None:
        graphs = {
            t: mobilenet(v, options.tf_python, options.workdir) for t, v in MOBILENETS.items()
        }
    else:
        graphs = {options.graph.name: options.graph}
    rows = [compare(title, graph, options) for title, graph in graphs.items()]
    print_comparisons(rows)
    start_up = in_turn({"help": [*tqconv_command(options.tqconv), "--help"]}, options.rounds)[
        "help"
    ]
    shown = medians(start_up)
    print(f"\n`tqconv --help`: {shown.seconds:.3f} s, {shown.peak_mib:.0f} MiB")
    write_json(options.json, {"conversions": rows, "help": asdict(shown)})


def arguments() -> argparse.Namespace:
    parser = comparison_parser(__doc__)
    parser.add_argument("--graph", type=pathlib.Path, help="frozen GraphDef")
    parser.add_argument("--input_arrays", default="input")
    parser.add_argument("--output_arrays", default="probabilities")
    return parser.parse_args()


def comparison_parser(description: str | None) -> argparse.ArgumentParser:
    """The flags that this program and `calibration_speed` share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tf-python", required=True, help="interpreter that has TensorFlow")
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7, help="measured runs of each side")
    parser.add_argument("--tqconv", help="tqconv command; default: this interpreter's module")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    return parser


def compare(title: str, graph: pathlib.Path, options: argparse.Namespace) -> dict[str, object]:
    names = ["--input_arrays", options.input_arrays, "--output_arrays", options.output_arrays]
    sides = both_sides(graph, names, options)
    runs = in_turn(sides, options.rounds)
    return comparison(title, runs["tqconv"], runs["tensorflow"])


def both_sides(
    graph: pathlib.Path, flags: list[str], options: argparse.Namespace
) -> dict[str, list[str]]:
    """The same conversion as two commands; `tqconv convert` and `tf_convert.py` share the flags."""
    shared = ["--graph_def_file", str(graph), *flags, "--output_file"]
    ours, theirs = (str(options.workdir / f"{s}.tflite") for s in ("tqconv", "tensorflow"))
    return {
        "tqconv": [*tqconv_command(options.tqconv), "convert", *shared, ours],
        "tensorflow": [options.tf_python, str(HERE / "tf_convert.py"), *shared, theirs],
    }


def mobilenet(version: str, tf_python: str, workdir: pathlib.Path) -> pathlib.Path:
    """MobileNet `version` in `workdir`, made there unless it exists."""
    graph = workdir / f"mobilenet_{version}.pb"
    if not graph.exists():
        run([tf_python, str(HERE / "make_mobilenet.py"), version, str(graph)])
    return graph


if __name__ == "__main__":
    main()
