"""SavedModel folders, from the messages and the checkpoint format that TensorFlow writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flow import function
from graphs import Message
from saved_models import SERVE, TF2, WRAPPER, W, X, meta_graph, objects, runs, save, signature, tf2

from tqconv import api
from tqconv.config import LoadOptions, QuantizeOptions
from tqconv.errors import FormatError, QuantizationError, TqconvError, UnsupportedError, UsageError
from tqconv.importers.tf.bundle import OBJECT_GRAPH, open_bundle
from tqconv.importers.tf.saved_model import outline
from tqconv.importers.tf.stored import slice_of
from tqconv.jobs.quantize import quantize


def test_captured_variables_are_found_by_their_objects(tmp_path: Path) -> None:
    model = api.load(tf2(tmp_path / "m"))
    assert [t.name for t in model.main.inputs] == ["x"]
    assert [t.name for t in model.main.outputs] == ["y"]
    (found,) = runs(api.optimize(model), {"x": X})
    np.testing.assert_array_equal(found["y"], X @ W + [1, 2, 3])


def test_the_file_itself_names_the_model(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    assert len(api.load(folder / "saved_model.pb").main.ops) == len(api.load(folder).main.ops)


def test_names_inside_functions_are_places_to_cut(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    model = api.load(folder, LoadOptions(outputs=("dense/MatMul",)))
    assert [t.name for t in model.main.outputs] == ["dense/MatMul"]
    (found,) = runs(api.optimize(model), {"x": X})
    np.testing.assert_array_equal(found["dense/MatMul"], X @ W)


@pytest.mark.parametrize("key", ["serve", "serving_default"])
def test_the_signature_that_is_asked_for_has_the_names(tmp_path: Path, key: str) -> None:
    """Keras 3 writes two that call one function, and each has copies of its nodes."""
    call = TF2.strip().splitlines()[-1].strip()
    again = call.replace("StatefulPartitionedCall", "StatefulPartitionedCall_1", 1)
    meta = meta_graph(f"{TF2}\n{again}", WRAPPER, SERVE)
    signature(meta, "serve", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall:0"})
    signature(meta, "serving_default", {"x": "x_0:0"}, {"y": "StatefulPartitionedCall_1:0"})
    for name in ("wrapper", "serve"):
        meta.object_graph_def.concrete_functions[name].bound_inputs.extend([1, 2])
    stored = {"b/value": np.array([1, 2, 3], np.float32), "w/value": W}
    stored[OBJECT_GRAPH] = objects(**{"b/value": 1, "w/value": 2})
    model = api.load(save(tmp_path / "m", meta, **stored), LoadOptions(signature=key))
    assert [op.source.node for op in model.main.ops if op.type == "FULLY_CONNECTED"] == [
        "dense/MatMul"
    ]


def test_shapes_go_by_the_names_of_the_signature(tmp_path: Path) -> None:
    model = api.load(tf2(tmp_path / "m"), LoadOptions(named_shapes={"x": (5, 2)}))
    assert model.main.inputs[0].shape == (5, 2)
    assert model.main.outputs[0].shape == (5, 3)


def test_a_wrong_checksum_names_the_tensor(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    data = folder / "variables" / "variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[content.find(W.tobytes())] ^= 1
    data.write_bytes(bytes(content))
    with pytest.raises(FormatError, match=r"'w/value' in .* is damaged: its checksum is"):
        api.load(folder)


def test_a_damaged_block_of_the_index_is_found(tmp_path: Path) -> None:
    index = tf2(tmp_path / "m") / "variables" / "variables.index"
    content = bytearray(index.read_bytes())
    content[10] ^= 0x40
    index.write_bytes(bytes(content))
    with pytest.raises(FormatError, match="a block has another checksum"):
        open_bundle(index)


def test_a_model_without_its_variables_says_what_is_missing(tmp_path: Path) -> None:
    folder = tf2(tmp_path / "m")
    (folder / "variables" / "variables.index").unlink()
    with pytest.raises(FormatError, match=r"lacks .*variables\.index") as caught:
        api.load(folder)
    assert caught.value.hint == "copy the whole folder, with `variables`"


TF1 = """
    x = Placeholder dtype=f32 shape=(2,2)
    w = VariableV2 dtype=f32 shape=(2,3) container='' shared_name=''
    w/read = Identity w T=f32
    y = MatMul x w/read T=f32
    n = Neg y T=f32
    file = Const 0
    slices = Const
    names = Const
    restore = RestoreV2 file names slices
    assign = Assign w restore T=f32
"""


def tf1(slices: str, name: str = "other/name") -> Message:
    texts = {
        "names": np.array([name.encode()], object),
        "slices": np.array([slices.encode()], object),
    }
    meta = meta_graph(TF1, **texts)
    signature(meta, "predict", {"x": "x:0"}, {"y": "y:0"})
    signature(meta, "negate", {"x": "x:0"}, {"n": "n:0"})
    return meta


def test_a_renamed_variable_is_found_behind_its_restore_operator(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", tf1(""), **{"other/name": W})
    (found,) = runs(api.load(folder, LoadOptions(signature="predict")), {"x": X})
    np.testing.assert_array_equal(found["y"], X @ W)


def test_a_part_of_a_variable_is_cut_from_the_whole(tmp_path: Path) -> None:
    whole = np.concatenate([W, W + 10])
    folder = save(tmp_path / "m", tf1("4 3 2,2:0,3"), **{"other/name": whole})
    (found,) = runs(api.load(folder, LoadOptions(signature="predict")), {"x": X})
    np.testing.assert_array_equal(found["y"], X @ (W + 10))


@pytest.mark.parametrize(
    ("spec", "extents"),
    [("", []), ("4 3 2,2:0,3", [(2, 2), (0, 3)]), ("4 3 0,2:-", [(0, 2), (0, -1)])],
)
def test_slices_are_read(spec: str, extents: list[tuple[int, int]]) -> None:
    assert slice_of(spec) == extents


def test_all_signatures_are_converted_where_none_is_the_default(tmp_path: Path) -> None:
    model = api.load(save(tmp_path / "m", tf1(""), **{"other/name": W}))
    assert [s.key for s in model.signatures] == ["negate", "predict"]
    assert "signatures: negate, predict" in model.notes
    (found,) = runs(model, {"x": X}, key="negate")
    np.testing.assert_array_equal(found["n"], -(X @ W))
    (found,) = runs(model, {"x": X}, key="predict")
    np.testing.assert_array_equal(found["y"], X @ W)


@pytest.mark.parametrize(
    ("options", "kind", "message", "hint"),
    [
        (
            LoadOptions(signature="predcit"),
            UsageError,
            "no signature `predcit`; did you mean",
            "negate",
        ),
        (LoadOptions(tags=("gpu",)), UsageError, "no graph with the tags gpu", "set: serve"),
        (LoadOptions(outputs=("y",)), UsageError, "for one signature only", "negate"),
    ],
)
def test_what_is_not_there_is_listed(
    tmp_path: Path, options: LoadOptions, kind: type[TqconvError], message: str, hint: str
) -> None:
    folder = save(tmp_path / "m", tf1(""), **{"other/name": W})
    with pytest.raises(kind, match=message) as caught:
        api.load(folder, options)
    assert hint in str(caught.value.hint)


def test_integers_are_refused_for_several_signatures(tmp_path: Path) -> None:
    model = api.optimize(api.load(save(tmp_path / "m", tf1(""), **{"other/name": W})))
    with pytest.raises(QuantizationError, match=r"2 signatures \(negate, predict\)"):
        quantize(model, QuantizeOptions(mode="int8", random=2))


def test_tags_choose_the_graph_as_a_set(tmp_path: Path) -> None:
    train, serve = tf1(""), tf1("")
    train.meta_info_def.tags[:] = ["train"]
    serve.meta_info_def.tags[:] = ["serve", "gpu"]
    folder = save(tmp_path / "m", train, serve, **{"other/name": W})
    model = api.load(folder, LoadOptions(tags=("gpu", "serve"), signature="negate"))
    assert [t.name for t in model.main.outputs] == ["n"]


def lookup(folder: Path, file: str, **columns: int) -> Path:
    wanted = " ".join(f"{k}={v}" for k, v in columns.items())
    meta = meta_graph(
        f"""
        word = Placeholder dtype=i64 shape=(3,)
        path = Placeholder dtype=None shape=()
        t = HashTableV2 key_dtype=i64 value_dtype=i64 container='' shared_name=''
        fill = InitializeTableFromTextFileV2 t path {wanted} vocab_size=-1 delimiter=','
        none = Const
        id = LookupTableFindV2 t word none
        """.replace("dtype=None shape=()", "shape=()"),
        none=np.array(-1, np.int64),
    )
    asset = meta.asset_file_def.add(filename=file)
    asset.tensor_info.name = "path:0"
    signature(meta, "serving_default", {"word": "word"}, {"id": "id"})
    save(folder, meta)
    (folder / "assets").mkdir()
    (folder / "assets" / "words.txt").write_text("7,1\n8,2\n9,3\n")
    return folder


@pytest.mark.parametrize(("value_index", "expected"), [(1, [3, -1, 1]), (-1, [2, -1, 0])])
def test_a_table_is_filled_from_an_asset(
    tmp_path: Path, value_index: int, expected: list[int]
) -> None:
    folder = lookup(tmp_path / "m", "words.txt", key_index=0, value_index=value_index)
    (found,) = runs(api.load(folder), {"word": np.array([9, 5, 7], np.int64)})
    np.testing.assert_array_equal(found["id"], expected)


@pytest.mark.parametrize(
    ("file", "column", "message"),
    [
        ("../../secret.txt", 0, "lies outside of the model's folder"),
        ("missing.txt", 0, "cannot be read"),
        ("words.txt", 2, "has lines without column 2"),
        ("words.txt", -2, "holds something else than int64 numbers"),
    ],
)
def test_assets_that_do_not_fit_are_refused(
    tmp_path: Path, file: str, column: int, message: str
) -> None:
    (tmp_path / "secret.txt").write_text("1,1\n")
    folder = lookup(tmp_path / "m", file, key_index=column, value_index=-1)
    with pytest.raises(FormatError, match=message):
        api.load(folder)


def test_an_outline_shows_signatures_where_something_has_no_translation(tmp_path: Path) -> None:
    body = function("serve(x, b, k) -> n:y:0", "n = NotAnOperator x")
    found = outline(tf2(tmp_path / "m", body), LoadOptions())
    assert found.signatures == {"serving_default": {"inputs": ("x",), "outputs": ("y",)}}
    assert found.untranslated == {"NotAnOperator": 1}


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    body = function("serve(x, b, k) -> c:output:0", "c = PartitionedCall x b k f=fn('serve')")
    with pytest.raises(UnsupportedError, match="function `serve` calls itself"):
        api.load(tf2(tmp_path / "m", body))


@pytest.mark.parametrize("key", [None, "quiet"])
def test_a_signature_without_outputs_computes_nothing(tmp_path: Path, key: str | None) -> None:
    meta = tf1("")
    for name in list(meta.signature_def):
        del meta.signature_def[name]
    signature(meta, "quiet", {"x": "x:0"}, {})
    save(tmp_path / "m", meta, **{"other/name": W})
    with pytest.raises(UsageError, match=r"no outputs|no signature"):
        api.load(tmp_path / "m", LoadOptions(signature=key))
