"""The ranges file: read, edited, merged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tqconv.errors import FormatError, UsageError
from tqconv.ir.graph import Tensor
from tqconv.ir.histogram import Histogram
from tqconv.ir.types import Range
from tqconv.quant.evidence.ranges import (
    Ranges,
    Record,
    dump,
    evidence,
    load,
    template,
    unknown_notes,
)

RNG = np.random.default_rng(11)
SAMPLES = [RNG.normal(size=500).astype(np.float32) * scale for scale in (1, 3, 0.2, 2)]
FLOAT = np.dtype(np.float32)


def measured(samples: list[np.ndarray], method: str = "minmax") -> Ranges:
    seen = Histogram.of(samples[0])
    for sample in samples[1:]:
        seen = seen.merged(Histogram.of(sample))
    return Ranges.of({"conv": seen}, method)


def stored(tmp_path: Path, ranges: Ranges) -> Ranges:
    path = tmp_path / "ranges.json"
    path.write_text(dump(ranges))
    return load(path)


@pytest.mark.parametrize("method", ["minmax", "mse", "percentile", "entropy"])
def test_merging_the_files_of_two_shards_equals_calibrating_once(
    tmp_path: Path, method: str
) -> None:
    shards = [stored(tmp_path, measured(part, method)) for part in (SAMPLES[:1], SAMPLES[1:])]
    assert dump(shards[0].merged(shards[1])) == dump(measured(SAMPLES, method))


def test_the_file_has_one_line_for_each_tensor_with_what_people_need() -> None:
    lines = dump(measured(SAMPLES)).splitlines()
    assert [line[:10] for line in lines] == [
        '{"format":',
        '  {"name":',
        '], "histog',
        '  "conv": ',
        "}}",
    ]
    entry = json.loads(lines[1])
    assert entry["name"] == "conv"
    assert entry["min"] == pytest.approx(min(s.min() for s in SAMPLES))
    assert (entry["method"], entry["samples"], entry["clipped"]) == ("minmax", 4, 0.0)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "without its histogram"])
def test_numbers_that_a_person_changed_survive_a_merge(tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "ranges.json"
    content = json.loads(dump(measured(SAMPLES)))
    content["tensors"][0]["max"] = 5.5
    if not whole:
        del content["histograms"]
    path.write_text(json.dumps(content))
    merged = load(path).merged(measured(SAMPLES))
    assert merged.records["conv"].high == 5.5
    assert merged.with_method("mse").records["conv"].high == 5.5


def test_a_pattern_overrides_names_and_the_last_one_wins(tmp_path: Path) -> None:
    ranges = measured(SAMPLES)
    ranges.patterns += [("co.*", Record(0, 1)), (".*nv", Record(0, 2))]
    found = stored(tmp_path, ranges).find(["conv"])
    assert found is not None
    assert (found[0], found[1].high) == ("pattern .*nv", 2)


def test_a_name_is_found_with_and_without_its_port() -> None:
    tensor = Tensor("conv:0", (1,), FLOAT)
    assert evidence(tensor, measured(SAMPLES), wide=False) is not None


def test_a_trained_range_is_stronger_than_a_measured_one_and_a_person_than_both() -> None:
    tensor = Tensor("conv", (1,), FLOAT, range=Range(-1, 1, "fake_quant"))
    assert evidence(tensor, measured(SAMPLES), wide=False) == tensor.range
    told = evidence(tensor, Ranges({"conv": Record(0, 9)}), wide=False)
    assert told == Range(0, 9, "user", "conv")


def test_sixteen_bits_take_everything_that_was_seen() -> None:
    tensor = Tensor("conv", (1,), FLOAT)
    skewed = RNG.normal(size=50_000).astype(np.float32) ** 3
    ranges = measured([skewed], "mse")
    narrow, wide = (evidence(tensor, ranges, wide=w) for w in (False, True))
    assert narrow is not None
    assert wide is not None
    assert narrow.high < wide.high == float(skewed.max())


def test_a_template_without_numbers_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text(template([Tensor("conv", (1,), FLOAT)]))
    assert load(path).records == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a ranges file"),
        ('{"tensors": [{"min": 0, "max": 1}]}', "neither `name` nor `pattern`"),
        ('{"tensors": [{"name": "a", "min": 2, "max": 1}]}', "are not a range"),
        ('{"tensors": [{"name": "a", "min": "x", "max": 1}]}', "must be numbers"),
        ('{"tensors": [{"pattern": "(", "min": 0, "max": 1}]}', "not a regular expression"),
        ('{"tensors": [{"name": "a", "min": false, "max": true}]}', "must be numbers"),
        ('{"tensors": [{"name": "a", "min": 0}]}', r"entry 1 \('a'\): `min` and `max` must be"),
        (
            '{"tensors": [{"name": "a", "min": 0, "max": 1}, {"name": "a", "min": 0, "max": 2}]}',
            "entry 2: `a` has an entry already",
        ),
        ('{"format": "other", "tensors": []}', "is not a ranges file"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_where(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "ranges.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=says):
        load(path)


def test_entries_for_no_tensor_are_named() -> None:
    person, measured_one = Record(0, 1), Record(0, 1, "minmax")
    ranges = Ranges(
        {"pol": person, "pool:0": person, "fused": person, "gone": measured_one, "x": measured_one},
        [("po.*", person), ("z.*", person)],
    )
    assert unknown_notes(ranges, ["pool"], ["fused", "gone"], "r.json") == [
        "r.json: no tensor is named `pol`; did you mean `pool`?; its range has no effect",
        "r.json: no tensor is named `fused`; its range has no effect",
        "r.json: no tensor is named `x`; its range has no effect",
        "r.json: no tensor matches the pattern `z.*`; its range has no effect",
    ]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "none.json")
