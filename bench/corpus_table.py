"""Operators and file size of our float conversions beside TensorFlow's, for a folder of cases.

A case is a folder with `case.json`; TensorFlow's figures come from a `tf_float.tflite` beside it,
else from `tf_converter.float` in it. `sample_models/` is such a folder.

    python corpus_table.py ../sample_models
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass

from ai_edge_litert import schema_py_generated as schema
from measure import tqconv_command, write_json

FORMAT_FLAGS = {
    "frozen_graphdef": "--graph_def_file",
    "saved_model": "--saved_model_dir",
    "keras_h5": "--keras_model_file",
    "keras_v3": "--keras_model_file",
}
BUILTIN_NAMES = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
}


@dataclass(frozen=True)
class Size:
    """Operators in all subgraphs, and bytes of the file."""

    ops: int
    bytes: int


@dataclass(frozen=True)
class Row:
    """One case; a side is None where there is no conversion."""

    name: str
    ours: Size | None
    tensorflow: Size | None
    note: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("-k", default="", help="only cases whose name contains this")
    parser.add_argument("--json", type=pathlib.Path, help="write the rows here")
    parser.add_argument("-v", action="store_true", help="also print the operators that differ")
    parser.add_argument("--tqconv", help="tqconv command; default: this interpreter's module")
    options = parser.parse_args()
    cases = sorted(
        p.parent for p in options.folder.glob("*/case.json") if options.k in p.parent.name
    )
    if not cases:
        sys.exit(f"no case in {options.folder}")
    tqconv = tqconv_command(options.tqconv)
    rows = [row_of(folder, tqconv, verbose=options.v) for folder in cases]
    print_table(rows)
    write_json(options.json, [asdict(row) for row in rows])


def row_of(folder: pathlib.Path, tqconv: list[str], *, verbose: bool) -> Row:
    case = json.loads((folder / "case.json").read_text())
    theirs = tensorflow_operators(folder, case)
    size_of_theirs = None if theirs is None else Size(theirs[0].total(), theirs[1])
    with tempfile.TemporaryDirectory() as scratch:
        output = pathlib.Path(scratch) / "model.tflite"
        command = [*tqconv, "convert", *model_flags(folder, case)]
        done = subprocess.run(
            [*command, "--output_file", str(output)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            first = (done.stderr.strip().splitlines() or ["no message"])[0]
            return Row(case["name"], None, size_of_theirs, f"exit {done.returncode}: {first}")
        ours = operators(output)
        note = differences(ours, theirs[0]) if verbose and theirs is not None else ""
        return Row(case["name"], Size(ours.total(), output.stat().st_size), size_of_theirs, note)


def model_flags(folder: pathlib.Path, case: dict) -> list[str]:
    """The flags that name the model and, for a frozen graph, its arrays and their shapes."""
    model = folder / case["model"]
    if case["format"] == "saved_model" and model.name == "saved_model.pb":
        model = model.parent
    flag = FORMAT_FLAGS.get(case["format"], "--input_file")
    if flag != "--graph_def_file":
        return [flag, str(model)]
    flags = [flag, str(model), "--output_arrays", ",".join(case["outputs"])]
    flags += ["--input_arrays", ",".join(i["name"] for i in case["inputs"])]
    shapes = [i["shape"] for i in case["inputs"]]
    if not case.get("dynamic") and all(None not in shape for shape in shapes):
        flags += ["--input_shapes", ":".join(",".join(map(str, shape)) for shape in shapes)]
    return flags


def tensorflow_operators(folder: pathlib.Path, case: dict) -> tuple[Counter[str], int] | None:
    """(operators by name, bytes) of TensorFlow's conversion, or None when it made none."""
    file = folder / "tf_float.tflite"
    if file.exists():  # first: its operators are counted as ours are, bodies of loops included
        return operators(file), file.stat().st_size
    recorded = case.get("tf_converter", {}).get("float")
    if isinstance(recorded, dict) and recorded.get("ok") and "ops" in recorded:
        return Counter(recorded["ops"]), recorded["bytes"]
    return None


def operators(path: pathlib.Path) -> Counter[str]:
    """Operators of the file by name, all subgraphs together; read with LiteRT's own binding."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    # Codes above 126 are only in the newer field; older files fill only the older one.
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes]
    used = (op.opcodeIndex for graph in model.subgraphs for op in graph.operators or ())
    return Counter(BUILTIN_NAMES[codes[index]] for index in used)


def differences(ours: Counter[str], theirs: Counter[str]) -> str:
    extra = [f"+{n} {op}" for op, n in (ours - theirs).items()]
    fewer = [f"-{n} {op}" for op, n in (theirs - ours).items()]
    return ", ".join(extra + fewer)


def print_table(rows: list[Row]) -> None:
    print("| model | ops | TensorFlow | kB | TensorFlow | size ratio | |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ours, theirs = row.ours, row.tensorflow
        ratio = f"{ours.bytes / theirs.bytes:.3f}" if ours and theirs else "-"
        cells = [ours and ours.ops, theirs and theirs.ops, kilobytes(ours), kilobytes(theirs)]
        shown = " | ".join("-" if cell is None else str(cell) for cell in cells)
        print(f"| {row.name} | {shown} | {ratio} | {row.note} |")
    both = [(r.ours, r.tensorflow) for r in rows if r.ours and r.tensorflow]
    converted = sum(row.ours is not None for row in rows)
    print(f"\n{converted} of {len(rows)} converted; with TensorFlow's figures: {len(both)}")
    print(f"not more operators: {sum(a.ops <= b.ops for a, b in both)}")
    print(f"not larger: {sum(a.bytes <= b.bytes for a, b in both)}")


def kilobytes(size: Size | None) -> str | None:
    return None if size is None else f"{size.bytes / 1000:.1f}"


if __name__ == "__main__":
    main()
