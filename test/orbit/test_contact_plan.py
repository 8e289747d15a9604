"""Contact plans: what is written is read, in every form; what is none is refused by row and field."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.documents.section import DocumentError
from satllm_ros.orbit.contact_plan import Contact, read_plan, write_plan

PLAN = [
    Contact("sat1", "sat2", 0.0, 600.0, 6e9, 3.56e6),
    Contact("sat2", "ground", 100.5, 400.25, 0.5e9, 700e3),
    Contact("sat2", "ground", 6_000.0, 6_300.0, 0.5e9, 800e3),
]


@pytest.mark.parametrize("suffix", [".csv", ".yaml", ".yml"])
def test_what_is_written_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"plan{suffix}"
    write_plan(path, PLAN)
    assert read_plan(path) == PLAN


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)), max_size=8))
def test_any_plan_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int]]
) -> None:
    plan = [Contact(f"a{n}", "b", start / 7, (start + length) / 7, 1e6, 1e6) for n, (start, length) in enumerate(spans)]
    path = tmp_path_factory.mktemp("plans") / "plan.csv"
    write_plan(path, plan)
    assert sorted(read_plan(path), key=lambda c: c.sender) == sorted(plan, key=lambda c: c.sender)


def test_ions_form_has_whole_seconds_within_the_contact_bytes_and_light_seconds(tmp_path: Path) -> None:
    path = tmp_path / "plan.ionrc"
    write_plan(path, PLAN)
    assert path.read_text().splitlines() == [
        "# node 1 sat1",
        "# node 2 sat2",
        "# node 3 ground",
        "a contact +0 +600 1 2 750000000",
        "a range +0 +600 1 2 1",
        "a contact +101 +400 2 3 62500000",
        "a range +101 +400 2 3 1",
        "a contact +6000 +6300 2 3 62500000",
        "a range +6000 +6300 2 3 1",
    ]
    read = read_plan(path)
    assert [(c.sender, c.receiver, c.start_s, c.stop_s, c.rate_bps) for c in read] == [
        ("sat1", "sat2", 0.0, 600.0, 6e9),
        ("sat2", "ground", 101.0, 400.0, 0.5e9),
        ("sat2", "ground", 6_000.0, 6_300.0, 0.5e9),
    ]
    assert read[0].delay_s == pytest.approx(1.0)


ROW = "sat1,sat2,0,600,6e9,3.56e6"
HEAD = "sender,receiver,start_s,stop_s,rate_bps,range_m"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{HEAD}\nsat1,sat2,600,0,6e9,1", "row 1: the contact ends at 0 s and begins at 600 s"),
        (f"{HEAD}\n{ROW}\nsat1,sat2,10,900,6e9,1", "from sat1 to sat2 overlap at 10 s"),
        (f"{HEAD}\n{ROW}\nsat1,sat1,700,900,6e9,1", "row 2: sat1 has a contact with itself"),
        (f"{HEAD}\nsat1,sat2,0,600,0,1", "rate_bps is 0"),
        (f"{HEAD}\nsat1,sat2,0,soon,6e9,1", "stop_s is 'soon'"),
        (f"{HEAD}\nsat1,sat2,-1,600,6e9,1", "start_s is -1"),
        (f"{HEAD}\nsat1,sat2,0,nan,6e9,1", "stop_s is nan"),
        (f"{HEAD}\nsat1,sat2,0,600,6e9", "range_m is missing"),
        (f"{HEAD},color\n{ROW},red", "unknown field 'color'"),
    ],
)
def test_what_is_none_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.csv"
    path.write_text(text)
    with pytest.raises(DocumentError, match=words):
        read_plan(path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("plan.txt", "", "allowed are .csv, .yaml, .yml, .ionrc"),
        ("plan.yaml", "a: [", "is not YAML"),
        ("plan.yaml", "[1]", "is list; a mapping is needed"),
        ("plan.yaml", "a: 1", "has no list of contacts"),
        ("plan.yaml", "contacts: []\nranges: []", "unknown field 'ranges'; known are contacts"),
        ("plan.yaml", "contacts: [1]", r"contacts\[0\] is int"),
        ("plan.ionrc", "s", "line 1 is 's'"),
        ("plan.ionrc", "a contact 2026/01/01-00:00:00 +9 1 2 5", "seconds from the epoch"),
        ("plan.ionrc", "a contact +0 +9 1 2 fast", "rate is 'fast'"),
    ],
)
def test_other_forms_are_refused_by_what_is_wrong_in_them(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DocumentError, match=words):
        read_plan(tmp_path / name)
