"""Time and peak memory of an ONNX model of 100 MB, against reading it and writing its weights.

Weights inside the model's file, and beside it. Every measurement is a whole process.

    python onnx_weights.py --workdir /tmp/speed

The aim: at most 2.2 times the size of the model and 100 MB in memory, and four times the seconds.
"""

import argparse
import pathlib
import sys

from measure import in_turn, medians, run, tqconv_command, write_json

HERE = pathlib.Path(__file__).parent
COPY = """
import sys
import onnx
model = onnx.load(sys.argv[1])
with open(sys.argv[2], "wb") as file:
    for tensor in model.graph.initializer:
        file.write(onnx.numpy_helper.to_array(tensor).tobytes())
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tqconv", help="the command to measure, if not this environment's")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    rows = [measured(title, path, options) for title, path in models(options.workdir).items()]
    write_json(options.json, rows)


def measured(title: str, path: pathlib.Path, options: argparse.Namespace) -> dict[str, float | str]:
    """Print and return the medians for one file."""
    target, weights = options.workdir / "out.tflite", options.workdir / "weights.bin"
    convert = [*tqconv_command(options.tqconv), "convert", str(path), "-o", str(target), "-q"]
    copy = [sys.executable, "-c", COPY, str(path), str(weights)]
    runs = in_turn({"tqconv": convert, "copy": copy}, options.rounds)
    ours, theirs = medians(runs["tqconv"]), medians(runs["copy"])
    size = sum(p.stat().st_size for p in path.parent.glob(f"{path.stem}.*")) / 2**20
    row = {
        "model": title,
        "size_mib": round(size, 1),
        "seconds": round(ours.seconds, 2),
        "peak_mib": round(ours.peak_mib),
        "times_copy": round(ours.seconds / theirs.seconds, 2),
        "allowed_mib": round(2.2 * size + 100),
    }
    print(row)
    return row


def models(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return the model in both forms, which another process writes: this one has to stay small."""
    inside, beside = folder / "inside.onnx", folder / "beside.onnx"
    if not beside.exists():
        run([sys.executable, str(HERE / "make_onnx.py"), str(folder)])
    return {"weights inside": inside, "weights beside": beside}


if __name__ == "__main__":
    main()
