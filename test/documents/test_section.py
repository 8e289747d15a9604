"""Whatever reads a document: the same sentence for the same mistake, with where, what and what is allowed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from satllm_ros.documents.section import DocumentError, Section, shown
from satllm_ros.documents.yaml_file import parse_yaml, read_yaml

Read = Callable[[Section], Any]


@pytest.mark.parametrize(
    ("read", "value", "sentence"),
    [
        (lambda s: s.number("a", 0, 1), "x", "f: a is 'x'; a number from 0 to 1 is needed"),
        (lambda s: s.number("a", 0, 1), float("nan"), "f: a is nan; a number from 0 to 1 is needed"),
        (lambda s: s.number("a", 0, 1), True, "f: a is True; a number from 0 to 1 is needed"),
        (lambda s: s.number("a", 0, 1), 16**5000, "f: a is a huge int; a number from 0 to 1 is needed"),
        (lambda s: s.integer("a", 0, 9), 2.5, "f: a is 2.5; a whole number is needed"),
        (lambda s: s.above("a", 1), 0, "f: a is 0; a number above 0 is needed"),
        (lambda s: s.above("a", 1), -1, "f: a is -1; a number from 0 to 1 is needed"),
        (lambda s: s.numbers("a", 0, 1), [], "f: a is []; a list of at least one number is needed"),
        (lambda s: s.numbers("a", 0, 1), [0, 2], "f: a[1] is 2; a number from 0 to 1 is needed"),
        (lambda s: s.text("a"), 7, "f: a is 7; a string is needed (in quotes)"),
        (lambda s: s.texts("a"), ["x", 1], "f: a is ['x', 1]; a list of at least one string is needed"),
        (lambda s: s.flag("a"), 1, "f: a is 1; true or false is needed"),
        (lambda s: s.choice("a", ("x", "y")), ["x"], "f: a is ['x']; allowed are x, y"),
        (lambda s: s.section("a"), [], "f: a is list; a mapping is needed"),
        (lambda s: s.sections("a"), [{}, 1], "f: a[1] is int; a mapping is needed"),
        (lambda s: s.fields(("b",)), 1, "f: b is missing"),
        (lambda s: s.fields(()), 1, "f: unknown field 'a'; known are "),
    ],
    # pytest cannot print one of the values.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_named(read: Read, value: object, sentence: str) -> None:
    with pytest.raises(DocumentError) as caught:
        read(Section("f", {"a": value}))
    assert str(caught.value) == sentence


def test_a_whole_number_is_exact_beyond_what_a_float_holds() -> None:
    assert Section("f", {"a": 2**53 + 1}).integer("a", 0, 2**62) == 2**53 + 1


def test_what_is_not_required_may_be_left_out() -> None:
    assert Section("f", {"a": 1, "b": None}).fields(("a",), ("b", "c")) == {"a": 1, "b": None}


def test_a_name_that_is_no_text_is_unknown_too() -> None:
    with pytest.raises(DocumentError, match="unknown field a huge int; known are "):
        Section("f", {16**5000: 1}).refuse_unknown()


def test_aliases_do_not_make_a_sentence_of_gigabytes() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert len(shown(parse_yaml(bomb, "f")["i"])) < 2**20


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 5000, "is nested too deeply"),
        ("a: 2026-99-99", "is not YAML: month must be in 1..12"),
        ("a: " + "9" * 5000, "is not YAML: Exceeds the limit"),
        ("a: [", "is not YAML: while parsing"),
        ("[1]", "is list; a mapping is needed"),
    ],
)
def test_a_file_that_holds_no_mapping_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DocumentError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path} {sentence}") and "\n" not in str(caught.value)
