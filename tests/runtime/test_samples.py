"""Sample data: what is read, and what is said of data that does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tqconv.errors import FormatError, TqconvError, UsageError
from tqconv.ir.graph import Tensor
from tqconv.ir.types import Range
from tqconv.runtime.images import Scaling
from tqconv.runtime.samples import SampleOptions, holds_images, random_samples, read_samples

FLOAT = np.dtype(np.float32)
IMAGE = Tensor("image", (1, 2, 3, 3), FLOAT)
VECTOR = Tensor("v:0", (None, 4), FLOAT)
SCALAR = Tensor("s", (), np.dtype(np.bool_))


def feeds(
    path: Path, inputs: Sequence[Tensor], options: SampleOptions | None = None
) -> list[dict[str, np.ndarray]]:
    return list(read_samples(path, inputs, options or SampleOptions()))


def saved(tmp_path: Path, **arrays: np.ndarray) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def test_arrays_go_by_name_and_are_split_along_the_first_axis(tmp_path: Path) -> None:
    path = saved(
        tmp_path, s=np.array([True, False]), v=np.arange(8, dtype=np.float32).reshape(2, 4)
    )
    first, second = feeds(path, [VECTOR, SCALAR])
    assert first["v:0"].tolist() == [[0, 1, 2, 3]]
    assert (bool(first["s"]), bool(second["s"])) == (True, False)


def test_a_sample_axis_before_the_batch_is_split_too(tmp_path: Path) -> None:
    path = saved(tmp_path, v=np.zeros((3, 5, 4), np.float32))
    assert [f["v:0"].shape for f in feeds(path, [VECTOR])] == [(5, 4)] * 3


def test_the_batch_of_the_model_stays_together(tmp_path: Path) -> None:
    pair = Tensor("p", (2, 4), FLOAT)
    path = saved(tmp_path, p=np.zeros((6, 4), np.float32))
    assert [f["p"].shape for f in feeds(path, [pair])] == [(2, 4)] * 3


def test_unknown_names_go_by_order_when_the_number_agrees(tmp_path: Path) -> None:
    path = saved(tmp_path, a=np.zeros((1, 4), np.float32), b=np.array([True]))
    assert set(feeds(path, [VECTOR, SCALAR])[0]) == {"v:0", "s"}


def test_the_limit_stops_reading(tmp_path: Path) -> None:
    path = saved(tmp_path, v=np.zeros((9, 4), np.float32))
    assert len(feeds(path, [VECTOR], SampleOptions(limit=4))) == 4


def test_a_folder_of_images_is_resized_and_scaled(tmp_path: Path) -> None:
    for name, value in (("b.png", 255), ("a.png", 0)):
        Image.new("RGB", (30, 20), (value, value, value)).save(tmp_path / name)
    scaling = Scaling((127.5,), (127.5,))
    found = feeds(tmp_path, [IMAGE], SampleOptions(scaling=scaling))
    assert [f["image"].shape for f in found] == [(1, 2, 3, 3)] * 2
    assert [float(f["image"].mean()) for f in found] == [-1.0, 1.0]


def test_pixels_span_the_known_range_of_the_input(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), (255, 255, 255)).save(tmp_path / "a.png")
    known = Tensor("image", (1, 2, 3, 3), FLOAT, range=Range(-2, 6, "user"))
    assert float(feeds(tmp_path, [known])[0]["image"].max()) == pytest.approx(6, abs=1e-5)
    with pytest.raises(UsageError, match="which reals the pixels"):
        feeds(tmp_path, [IMAGE])


def test_a_folder_of_raw_tensors(tmp_path: Path) -> None:
    np.arange(4, dtype=np.float32).tofile(tmp_path / "1.bin")
    np.save(tmp_path / "2.npy", np.ones((1, 4), np.float32))
    found = feeds(tmp_path, [VECTOR])
    assert [f["v:0"].tolist() for f in found] == [[[0, 1, 2, 3]], [[1, 1, 1, 1]]]


def test_folders_named_like_the_inputs(tmp_path: Path) -> None:
    for name in ("v", "w"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "0.npy", np.ones((2, 4), np.float32))
    other = Tensor("w", (1, 4), FLOAT)
    assert len(feeds(tmp_path, [VECTOR, other])) == 2
    np.save(tmp_path / "w" / "1.npy", np.ones((1, 4), np.float32))
    with pytest.raises(UsageError, match="different numbers of samples"):
        feeds(tmp_path, [VECTOR, other])


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((0, 4), np.float32), "holds no values for input 'v:0'"),
        (np.zeros((2, 5), np.float32), r"holds \[2, 5\] for input 'v:0', which takes \[\?, 4\]"),
        (np.array([[1, 2, np.nan, 4]], np.float32), "not finite for input 'v:0'"),
        (np.zeros((2, 4), np.complex64), "holds complex64 for input 'v:0'"),
    ],
)
def test_data_that_does_not_fit_names_file_and_input(
    tmp_path: Path, array: np.ndarray, says: str
) -> None:
    path = saved(tmp_path, v=array)
    with pytest.raises(UsageError, match=says) as caught:
        feeds(path, [VECTOR])
    assert str(path) in str(caught.value)


def test_integers_become_reals_but_not_the_other_way(tmp_path: Path) -> None:
    path = saved(tmp_path, v=np.arange(4).reshape(1, 4))
    assert feeds(path, [VECTOR])[0]["v:0"].dtype == FLOAT
    whole = Tensor("v", (1, 4), np.dtype(np.int32))
    with pytest.raises(UsageError, match="holds float64"):
        feeds(saved(tmp_path, v=np.full((1, 4), 0.5)), [whole])


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("a.npz", b"junk", FormatError, "not a numpy file"),
        ("a.png", b"junk", FormatError, "not an image"),
        ("a.txt", b"junk", UsageError, "of no known kind"),
        ("a.bin", b"12345678", UsageError, "holds 2 values"),
    ],
)
def test_unreadable_files_are_errors(
    tmp_path: Path, name: str, content: bytes, error: type[TqconvError], says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    tensor = IMAGE if name == "a.png" else VECTOR
    with pytest.raises(error, match=says):
        feeds(tmp_path / name, [tensor])


def damaged(tmp_path: Path, name: str) -> Path:
    """Return a file with an array `v` that cannot be read."""
    path = saved(tmp_path, v=np.zeros((2, 4), np.float32))
    content = bytearray(path.read_bytes())
    if name == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif name == "crc":
        content[200] ^= 0xFF
        path.write_bytes(content)
    elif name == "header":
        at = content.index(b"descr")
        content[at : at + 5] = b"desc("
        path.write_bytes(content)
    else:
        np.savez(path, v=np.array([1, "a", None], dtype=object))
    return path


@pytest.mark.parametrize("name", ["truncated", "crc", "header", "objects"])
def test_damaged_arrays_are_errors_that_name_the_file(tmp_path: Path, name: str) -> None:
    path = damaged(tmp_path, name)
    with pytest.raises(FormatError, match=r"not a numpy file|array 'v' of .* cannot be read"):
        feeds(path, [VECTOR])


@pytest.mark.parametrize("how", ["stored", "packed", "turned", "swapped", "alone"])
def test_arrays_are_read_as_they_were_saved(tmp_path: Path, how: str) -> None:
    wanted = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = tmp_path / ("v.npy" if how == "alone" else "v.npz")
    if how == "alone":
        np.save(path, wanted)
    else:
        given = {"turned": np.asfortranarray(wanted), "swapped": wanted.astype(">f4")}
        save = np.savez_compressed if how == "packed" else np.savez
        save(path, n=np.zeros(5), v=given.get(how, wanted))
    assert [f["v:0"].tolist() for f in feeds(path, [VECTOR])] == wanted[:, None].tolist()


def test_samples_that_are_stored_as_they_are_stay_in_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, v=np.zeros((3, 4), np.float32))
    assert not any(f["v:0"].flags.writeable for f in feeds(path, [VECTOR]))


def test_a_scalar_is_one_sample(tmp_path: Path) -> None:
    scalar = Tensor("x", (), FLOAT)
    assert [f["x"].tolist() for f in feeds(saved(tmp_path, x=np.float32(3)), [scalar])] == [3.0]


def test_arrays_of_different_first_sizes_are_one_sample(tmp_path: Path) -> None:
    other = Tensor("w", (None, 2), FLOAT)
    path = saved(tmp_path, v=np.zeros((3, 4), np.float32), w=np.ones((2, 2), np.float32))
    assert [(f["v:0"].shape, f["w"].shape) for f in feeds(path, [VECTOR, other])] == [
        ((3, 4), (2, 2))
    ]
    fixed = Tensor("w", (1, 2), FLOAT)
    with pytest.raises(UsageError, match="different numbers of samples"):
        feeds(path, [VECTOR, fixed])


@pytest.mark.parametrize(
    ("mean", "std", "says"),
    [
        ((0, 0), (1,), "--mean has 2 numbers for images of 3 channels"),
        ((0,), (1, 1, 1, 1), "--std has 4 numbers for images of 3 channels"),
    ],
)
def test_a_scaling_has_one_number_or_one_for_each_channel(
    tmp_path: Path, mean: tuple[float, ...], std: tuple[float, ...], says: str
) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match=says):
        feeds(tmp_path, [IMAGE], SampleOptions(scaling=Scaling(mean, std)))


def test_images_are_found_in_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not holds_images(tmp_path)
    Image.new("RGB", (3, 2)).save(tmp_path / "a" / "b.PNG")
    assert holds_images(tmp_path)
    assert not holds_images(saved(tmp_path, v=np.zeros(1)))


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"1")
    with pytest.raises(UsageError, match="holds no samples") as caught:
        feeds(tmp_path, [VECTOR])
    assert (caught.value.hint or "").startswith("files of samples end in .npy, .npz, .bin")
    with pytest.raises(UsageError, match="does not exist"):
        feeds(tmp_path / "none", [VECTOR])


def test_a_missing_name_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    path = saved(tmp_path, image=np.zeros((1, 4)), imagine=np.zeros(1), s=np.zeros(1))
    with pytest.raises(UsageError, match="has no array for input 'v'"):
        feeds(path, [VECTOR, SCALAR])


def test_random_samples_have_a_size_that_fits_into_memory() -> None:
    huge = Tensor("x", (2, 2**31 - 1), np.dtype(np.float32))
    with pytest.raises(UsageError, match="too large for random samples"):
        next(random_samples([huge], 1))


def test_random_samples_repeat_and_stay_in_the_known_range() -> None:
    known = Tensor("x", (None, 3), FLOAT, range=Range(-4, -2, "user"))
    one, other = (list(random_samples([known, SCALAR], 3)) for _ in range(2))
    assert all(np.array_equal(a["x"], b["x"]) for a, b in zip(one, other, strict=True))
    assert all(((f["x"] >= -4) & (f["x"] <= -2)).all() for f in one)
