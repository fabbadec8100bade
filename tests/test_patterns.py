"""Regular expressions from files: what they match, and that they take no longer than they are."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tqconv.errors import FormatError, UsageError
from tqconv.patterns import MOST, check_count, matcher, searched

PIECES = ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"[\W0-9]", "(a|bc)", "(?:b|)", "^", "$"]
REPEATS = ["", "*", "+", "?", "{2}", "{0,2}", "{1,}", "*?"]
parts = st.tuples(st.sampled_from(PIECES), st.sampled_from(REPEATS))


@given(
    st.lists(parts, max_size=5),
    st.sets(st.integers(0, 4), max_size=2),
    st.text("abc1/\n", max_size=6),
)
@settings(max_examples=1000, deadline=None)
def test_they_match_what_python_matches(
    pieces: list[tuple[str, str]], repeated: set[int], name: str
) -> None:
    """At most two nested groups repeat: Python's time grows with each as the length's power."""
    text = ""
    for index, (piece, repeat) in enumerate(pieces):
        text = f"({text}{piece}{repeat if piece not in '^$' else ''})" + "*" * (index in repeated)
    expected = re.fullmatch(text, name) is not None
    if "\n" in name and "$" in text:
        return  # for Python a last line end may follow `$`; names have none
    assert matcher(text).matches(name) == expected, text


@pytest.mark.parametrize("text", ["(a+)+b", "(a*)*b", "(a|aa)+b", ".*.*.*.*.*.*.*.*b", "(a?){99}b"])
def test_what_takes_forever_elsewhere_takes_no_time(text: str) -> None:
    start = time.process_time()
    assert not matcher(text).matches("a" * 2000)
    assert matcher(text).matches("a" * 99 + "b")
    assert time.process_time() - start < 10, "some milliseconds where it works"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(a", "is not a regular expression"),
        ("(" * 5000 + ")" * 5000, "is not a regular expression"),
        ("a{99999999999}", "is not a regular expression"),
        (f"a{{{'9' * 5000}}}", "is not a regular expression"),
        (r"(a)\1", "references to groups are not matched in linear time"),
        ("(?=a)a", "looks ahead and behind are not"),
        (r"\ba", "word boundaries are not"),
        ("(?i)a", "it has flags"),
        ("((a{99}){99}){99}", "it takes more than 1000 steps"),
    ],
)
def test_what_is_no_pattern_is_said(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        matcher(text, "entry 1")
    assert caught.value.where == "entry 1"


def test_a_file_has_so_many_patterns() -> None:
    check_count(MOST, "r.json")
    with pytest.raises(FormatError, match="more than 1000 patterns"):
        check_count(MOST + 1, "r.json")


@pytest.mark.parametrize("text", ["(a", "a{99999999999}", f"a{{{'9' * 5000}}}"])
def test_a_pattern_that_a_user_gave_is_refused_in_the_same_words(text: str) -> None:
    with pytest.raises(UsageError, match="is not a regular expression"):
        searched(text)
