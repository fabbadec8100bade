"""Time and peak memory of int8 conversion with 100 calibration images of MobileNetV2 1.0 224.

tqconv against TensorFlow's converter on the same frozen graph and the same images; both sides
write int8 with float inputs and outputs. TensorFlow takes ranges as measured, as `--no_improve`
does here; in the second row tqconv also fits ranges and rounding, which is its default. Whole
processes, run in turn.

    python calibration_speed.py --tf-python scratch/bin/python --workdir /tmp/speed
"""

import pathlib
import sys

from convert_speed import both_sides, comparison_parser, mobilenet
from measure import comparison, in_turn, print_comparisons, run, write_json

HERE = pathlib.Path(__file__).parent


def main() -> None:
    parser = comparison_parser(__doc__)
    parser.add_argument("--images", type=int, default=100)
    options = parser.parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    graph = mobilenet("v2", options.tf_python, options.workdir)
    images = options.workdir / f"images_{options.images}.npz"
    if not images.exists():
        run([sys.executable, str(HERE / "make_images.py"), str(options.images), str(images)])
    flags = ["--input_arrays", "input", "--output_arrays", "probabilities"]
    sides = both_sides(graph, [*flags, "--calibration_data", str(images)], options)
    sides["tqconv"] += ["--quantize", "int8"]
    fitted, measured = sides["tqconv"], [*sides["tqconv"], "--no_improve"]
    rows = []
    for title, command in (("as measured", measured), ("fitted to the samples", fitted)):
        runs = in_turn({**sides, "tqconv": command}, options.rounds)
        name = f"MobileNetV2 int8, {options.images} images, {title}"
        rows.append(comparison(name, runs["tqconv"], runs["tensorflow"]))
    print_comparisons(rows)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
