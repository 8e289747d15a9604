"""Directed links by name, and what nodes are told of single ones."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.links.link_pairs import all_pairs, kind_of, pair_from, parsed, written
from satllm_ros.links.link_queue import LinkRates

NAMES = ["sat1", "sat2", "sat3"]
RATES = st.builds(LinkRates, st.floats(1.0, 1e15), st.floats(0.0, 60.0))


@given(st.dictionaries(st.sampled_from(all_pairs(NAMES)), RATES))
def test_what_is_written_is_read_as_it_was(rates: dict[tuple[str, str], LinkRates]) -> None:
    assert parsed([*written(rates), ""], NAMES) == rates


def test_every_link_of_a_plan_has_a_name_and_a_kind() -> None:
    pairs = all_pairs(NAMES)
    assert len(set(pairs)) == len(pairs) == 3 + 6 + 3
    assert [pair_from("-".join(pair), NAMES) for pair in pairs] == pairs
    assert [kind_of(*pair) for pair in pairs] == ["upload"] * 3 + ["isl"] * 6 + ["s2g"] * 3


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["sat1-sat9=1,0"], "'sat1-sat9' is no directed link; allowed are sender-receiver"),
        (["ground-sat1=1,0"], "'ground-sat1' is no directed link"),
        (["sat1-sat2"], "link sat1-sat2 has ''; allowed is rate,delay"),
        (["sat1-sat2=fast,0"], "link sat1-sat2 has 'fast,0'"),
        (["sat1-sat2=1"], "link sat1-sat2 has '1'"),
        (["sat1-sat2=1,2,3"], "link sat1-sat2 has '1,2,3'"),
        (["sat1-sat2=0.5,0"], "link sat1-sat2 has '0.5,0'"),
        (["sat1-sat2=1,61"], "link sat1-sat2 has '1,61'"),
        ([f"sat1-sat2={math.nan},0"], "link sat1-sat2 has 'nan,0'"),
        (["sat1-sat2=1,0", "sat1-sat2=2,0"], "link sat1-sat2 is given twice"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(texts: list[str], said: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parsed(texts, NAMES)
    assert str(refusal.value).startswith(said) and "\n" not in str(refusal.value)
