"""Which tiles are compared, and what a share of a sample says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.report.figures.sample import ALL, NONE, even_sample, parse_reference, wilson_interval


@given(st.integers(0, 3000), st.integers(1, 700))
def test_a_sample_is_even_and_the_same_every_time(size: int, wanted: int) -> None:
    items = list(range(size))
    sample = even_sample(items, wanted)
    assert sample == even_sample(items, wanted) == sorted(set(sample))
    assert len(sample) == min(size, wanted)
    if wanted < size:
        # One of each stretch.
        assert [place * wanted // size for place in sample] == pytest.approx(range(wanted), abs=1)


def test_a_sample_does_not_follow_what_repeats() -> None:
    """Ten columns of tiles and a sample of every tenth: a fixed step would see one column only."""
    columns = [place % 10 for place in even_sample(range(5000), 500)]
    assert all(30 <= columns.count(column) <= 75 for column in range(10))


def test_all_and_none_and_a_number_are_understood_and_nothing_else() -> None:
    assert [parse_reference(word) for word in ("500", " 1 ", "all", "None")] == [500, 1, ALL, NONE]
    assert even_sample(range(7), ALL) == list(range(7))
    for word in ("", "0", "-1", "1.5", "true", "some", "٣"):
        with pytest.raises(ValueError, match="allowed are a number of tiles from 1, all, and none"):
            parse_reference(word)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Newcombe 1998, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_the_literature(hits: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(hits, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_interval_holds_the_share(trials: int, share: float) -> None:
    hits = round(trials * share)
    low, high = wilson_interval(hits, trials)
    assert 0.0 <= low <= hits / trials <= high <= 1.0
