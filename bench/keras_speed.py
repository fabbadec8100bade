"""Time and peak memory of the float conversion of Keras files and SavedModels of 100 MB.

Every measurement is a whole process, from `exec` to exit. The models are made in --workdir first:

    python keras_speed.py --tf-python scratch/bin/python --workdir /tmp/speed
"""

import argparse
import pathlib

from measure import (
    comparison,
    comparison_parser,
    in_turn,
    print_comparisons,
    run,
    tqconv_command,
    write_json,
)

HERE = pathlib.Path(__file__).parent
FORMS = {
    "ResNet50.h5": ("--keras_model_file", "resnet50.h5"),
    "ResNet50.keras": ("--keras_model_file", "resnet50.keras"),
    "ResNet50, SavedModel": ("--saved_model_dir", "resnet50"),
}
WEIGHTS_MIB = 25_636_712 * 4 / 2**20
"""ResNet50 has so many parameters, of 4 bytes."""


def main() -> None:
    options = comparison_parser(__doc__).parse_args()
    options.workdir.mkdir(parents=True, exist_ok=True)
    if not (options.workdir / "resnet50").exists():
        run([options.tf_python, str(HERE / "make_keras_models.py"), str(options.workdir)])
    rows = [compare(title, *form, options) for title, form in FORMS.items()]
    print_comparisons(rows)
    for row in rows:
        beyond = (row["tqconv"]["peak_mib"] - 100) / WEIGHTS_MIB
        print(f"{row['what']}: peak memory is {beyond:.2f} times the weights, plus 100 MiB")
    write_json(options.json, rows)


def compare(title: str, flag: str, name: str, options: argparse.Namespace) -> dict[str, object]:
    shared = [flag, str(options.workdir / name), "--output_file"]
    ours, theirs = (str(options.workdir / f"{s}.tflite") for s in ("tqconv", "tensorflow"))
    runs = in_turn(
        {
            "tqconv": [*tqconv_command(options.tqconv), "convert", *shared, ours],
            "tensorflow": [options.tf_python, str(HERE / "tf_convert.py"), *shared, theirs],
        },
        options.rounds,
    )
    return comparison(title, runs["tqconv"], runs["tensorflow"])


if __name__ == "__main__":
    main()
