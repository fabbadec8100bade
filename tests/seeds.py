"""Small valid files of every kind that is read, and the command lines that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import bundles
import numpy as np
from flow import flow, function
from google.protobuf import text_format
from graphs import Message
from PIL import Image
from sandbox import in_this_process
from seeds_layers import keras_files, onnx_files

from tqconv.schema import proto

RNG_SEED = 5
CNN = """
    x = Placeholder dtype=f32 shape=(1,6,6,2)
    w = Const
    b = Const
    conv = Conv2D x w strides=[1,1,1,1] padding='SAME' data_format='NHWC' T=f32
    biased = BiasAdd conv b T=f32
    act = Relu6 biased T=f32
    pool = MaxPool act ksize=[1,2,2,1] strides=[1,2,2,1] padding='VALID' T=f32
    size = Const [-1,27]
    flat = Reshape pool size T=f32
    m = Const
    y = MatMul flat m transpose_a=False transpose_b=False T=f32
"""
SHAPES = """
    x = Placeholder dtype=f32 shape=(2,3,4)
    paddings = Const [[1,0],[0,2],[1,1]]
    padded = Pad x paddings T=f32
    perm = Const [2,0,1]
    t = Transpose padded perm T=f32
    begin = Const [0,1,0]
    end = Const [0,3,2]
    strides = Const [1,1,1]
    s = StridedSlice t begin end strides begin_mask=1 end_mask=1 T=f32
    axis = Const 1
    mean = Mean s axis keep_dims=True Tidx=i32 T=f32
    parts = Split axis s num_split=2 T=f32
    joined = ConcatV2 parts parts:1 mean axis N=3 T=f32
    wide = FakeQuantWithMinMaxArgs joined min=-3.0 max=3.0 num_bits=8
    depth = SpaceToDepth x4 block_size=2 T=f32
    x4 = Placeholder dtype=f32 shape=(1,4,4,1)
    indices = Const [0,2]
    g = GatherV2 wide indices axis T=f32
    hot = OneHot indices three on off axis=-1 T=f32
    three = Const 3
    on = Const 1.0
    off = Const 0.0
"""
LOOP = """
    x = Placeholder dtype=f32 shape=(3,)
    n = Const 0
    w = While n x cond=fn('test') body=fn('step')
    y = PartitionedCall w:1 f=fn('twice')
"""
VARIABLES = """
    x = Placeholder dtype=f32 shape=(2,2)
    kernel = VariableV2 dtype=f32 shape=(2,3) container='' shared_name=''
    read = Identity kernel T=f32
    y = MatMul x read transpose_a=False transpose_b=False T=f32
"""

KINDS = {
    ".h5": "keras",
    ".keras": "keras",
    ".onnx": "onnx",
    ".pb": "pb",
    ".pbtxt": "pbtxt",
    ".tflite": "tflite",
}
SMALL = 64 << 10
"""Bytes of a model: damage to a large one is most often to a number among millions."""


@dataclass(frozen=True)
class Seed:
    """Files by name, which of them are damaged, and a command line.

    In the command line `{dir}` is where the files are, `{out}` the result. text: the damaged files
    are text.
    """

    kind: str
    files: Mapping[str, bytes]
    damaged: tuple[str, ...]
    command: tuple[str, ...]
    text: bool = False


def all_seeds(folder: Path) -> list[Seed]:
    """Return the seeds; `folder` is empty, and may be used on the way."""
    graphs = _graphs()
    made = [_convert("pb", {"g.pb": m.SerializeToString()}, "g.pb") for m in graphs]
    texts = [text_format.MessageToString(m).encode() for m in graphs]
    made += [_convert("pbtxt", {"g.pbtxt": text}, "g.pbtxt", text=True) for text in texts]
    for mode in ("", "float16", "dynamic", "int8", "int16x8"):
        made += [_convert("tflite", {"g.tflite": c}, "g.tflite") for c in _written(folder, mode)]
    rng = np.random.default_rng(RNG_SEED)
    made += [_convert("onnx", {"g.onnx": content}, "g.onnx") for content in onnx_files(rng)]
    for content in keras_files(folder, rng):
        name = "g.keras" if content.startswith(b"PK") else "g.h5"
        made.append(_convert("keras", {name: content}, name))
    made += _looks(made)
    made += [*_evidence(folder), *_checkpoints(folder)]
    return made


def seeds_of(folder: Path) -> list[Seed]:
    """Return the small models in a folder, and in folders inside of it, as seeds."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name == "saved_model.pb":
            inside = [p for p in path.parent.rglob("*") if p.is_file()]
            files = {str(p.relative_to(path.parent)): p.read_bytes() for p in inside}
            damaged = tuple(sorted(n for n in files if n == path.name or "variables" in n))
            if sum(map(len, files.values())) <= SMALL:
                command = ("convert", "{dir}", "-o", "{out}")
                found.append(Seed("saved_model", files, damaged, command))
        elif path.suffix in KINDS and path.stat().st_size <= SMALL:
            kind, files = KINDS[path.suffix], {path.name: path.read_bytes()}
            found.append(_convert(kind, files, path.name, text=kind == "pbtxt"))
    return found


def _graphs() -> list[Message]:
    rng = np.random.default_rng(RNG_SEED)
    cnn = flow(
        CNN,
        w=rng.normal(size=(3, 3, 2, 3)).astype(np.float32),
        b=np.array([0.5, -0.5, 0], np.float32),
        m=rng.normal(size=(27, 4)).astype(np.float32),
    )
    test = function(
        "test(i, v) -> less:z:0", "limit = Const 4\n less = Less i limit:output:0 T=i32"
    )
    step = function(
        "step(i, v) -> next:z:0, half:z:0",
        """
        one = Const 1
        next = AddV2 i one:output:0 T=i32
        factor = Const 0.5
        half = Mul v factor:output:0 T=f32
        """,
    )
    twice = function("twice(v) -> sum:z:0", "sum = AddV2 v v T=f32")
    return [cnn, flow(SHAPES), flow(LOOP, test, step, twice)]


def _convert(
    kind: str, files: Mapping[str, bytes], name: str, *flags: str, text: bool = False
) -> Seed:
    command = ("convert", f"{{dir}}/{name}", "-o", "{out}", *flags)
    return Seed(kind, files, (name,), command, text)


def _written(folder: Path, mode: str) -> list[bytes]:
    """Return the graphs as .tflite files."""
    found = []
    flags = [] if not mode else ["--quantize", mode]
    if mode.startswith("int"):
        flags += ["--calibration_random", "1", "--no_improve"]
    for number, message in enumerate(_graphs()):
        source, target = folder / f"{number}.pb", folder / f"{number}.tflite"
        target.unlink(missing_ok=True)
        source.write_bytes(message.SerializeToString())
        outcome = in_this_process(["convert", str(source), "-o", str(target), *flags])
        if not outcome["code"]:
            found.append(target.read_bytes())
    return found


def _looks(made: list[Seed]) -> list[Seed]:
    """Return the same files for the commands that show them."""
    shown = []
    for seed in made:
        name = seed.damaged[0]
        inspect = ("inspect", f"{{dir}}/{name}", "--verbose")
        dot = ("dot", f"{{dir}}/{name}", "-o", "{out}")
        shown += [Seed("inspect", seed.files, seed.damaged, inspect, seed.text)]
        shown += [Seed("dot", seed.files, seed.damaged, dot, seed.text)]
    return shown


def _evidence(folder: Path) -> list[Seed]:
    """Return samples, images, ranges and TOCO's ranges for the network."""
    rng = np.random.default_rng(RNG_SEED)
    graph = _graphs()[0].SerializeToString()
    samples = rng.normal(size=(3, 6, 6, 2)).astype(np.float32)
    np.savez(folder / "a.npz", x=samples)
    np.savez_compressed(folder / "z.npz", x=samples)
    np.save(folder / "a.npy", samples)
    (folder / "g.pb").write_bytes(graph)
    ranges = folder / "r.json"
    words = ["calibrate", str(folder / "g.pb"), "--data", str(folder / "a.npz"), "-o", str(ranges)]
    assert not in_this_process(words)["code"]

    def quantized(kind: str, name: str, flag: str, *more: str, text: bool = False) -> Seed:
        files = {"g.pb": graph, name: (folder / name).read_bytes()}
        flags = ("--quantize", "int8", "--no_improve", flag, f"{{dir}}/{name}", *more)
        return Seed(kind, files, (name,), ("convert", "{dir}/g.pb", "-o", "{out}", *flags), text)

    made = [quantized("samples", n, "--calibration_data") for n in ("a.npz", "z.npz", "a.npy")]
    made.append(quantized("ranges", "r.json", "--ranges", text=True))
    made += [_image(folder, rng, ending) for ending in ("png", "jpg", "bmp", "gif", "webp", "ppm")]
    extra = (
        b'entries { name: "x" min: -1 max: 1 }\nentries { name_regexp: ".*" min: -2.5 max: 4 }\n'
    )
    files = {"g.pb": graph, "e.pbtxt": extra}
    toco = ["--inference_type", "QUANTIZED_UINT8", "--mean_values", "128", "--std_values", "127"]
    toco += ["--arrays_extra_info_file", "{dir}/e.pbtxt"]
    command = ("convert", "{dir}/g.pb", "-o", "{out}", *toco)
    return [*made, Seed("extra", files, ("e.pbtxt",), command, text=True)]


def _image(folder: Path, rng: np.random.Generator, ending: str) -> Seed:
    name = f"i.{ending}"
    Image.fromarray(rng.integers(0, 255, (9, 7, 3)).astype(np.uint8)).save(folder / name)
    graph = flow(
        """
        x = Placeholder dtype=f32 shape=(1,6,6,3)
        y = Relu x T=f32
        """
    ).SerializeToString()
    files = {"g.pb": graph, name: (folder / name).read_bytes()}
    flags = ["--quantize", "int8", "--no_improve", "--mean", "127.5", "--std", "127.5"]
    command = (
        "convert",
        "{dir}/g.pb",
        "-o",
        "{out}",
        *flags,
        "--calibration_data",
        f"{{dir}}/{name}",
    )
    return Seed("images", files, (name,), command)


def _checkpoints(folder: Path) -> list[Seed]:
    """Return a MetaGraphDef with its checkpoint, and a SavedModel."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    meta = proto.messages().MetaGraphDef(graph_def=flow(VARIABLES))
    meta.meta_info_def.tags.append("serve")
    bundles.save(folder / "m", {"kernel": kernel})
    files = {p.name: p.read_bytes() for p in folder.glob("m.*")}
    files["m.meta"] = meta.SerializeToString()
    command = ("convert", "{dir}/m.meta", "--checkpoint", "{dir}/m", "--output_arrays", "y")
    made = [Seed("checkpoint", files, tuple(sorted(files)), (*command, "-o", "{out}"))]
    meta.signature_def["serving_default"].inputs["x"].name = "x:0"
    meta.signature_def["serving_default"].outputs["y"].name = "y:0"
    message = proto.messages().SavedModel(saved_model_schema_version=1, meta_graphs=[meta])
    stored = {n.replace("m.", "variables/variables."): c for n, c in files.items() if n != "m.meta"}
    whole = {"saved_model.pb": message.SerializeToString(), **stored}
    saved = ("convert", "{dir}", "-o", "{out}")
    return [*made, Seed("saved_model", whole, tuple(sorted(whole)), saved)]


def command_of(seed: Seed, folder: Path, target: Path) -> list[str]:
    """Return the command line for a folder with the seed's files."""
    return [word.format(dir=folder, out=target) for word in seed.command]


def write(seed: Seed, folder: Path) -> None:
    """Write the seed's files into a folder."""
    for name, content in seed.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
