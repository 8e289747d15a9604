"""A stamp is believed only where it can be one of the graph's clock."""

import pytest

from satllm_ros.acquisition.stamps import MAX_AGE_NS, Acquisition

NOW = 1_700_000_000 * 10**9
S = 10**9


@pytest.mark.parametrize(
    ("stamps", "believed"),
    [
        ([NOW - 3, NOW - 2, NOW - 1], [True, True, True]),
        ([None, None], [False, False]),
        ([NOW - S] * 3, [True, False, False]),
        ([NOW - 1, NOW - 5], [True, False]),
        ([NOW + 1], [False]),
        ([NOW - MAX_AGE_NS, NOW - MAX_AGE_NS - 1], [True, False]),
        ([NOW - 3, None, NOW - 1], [True, False, False]),
        ([100 * S, 101 * S], [False, False]),
    ],
    ids=["good", "none", "standing still", "backwards", "future", "too old", "without one between", "uptime"],
)
def test_stamps_of_all_kinds(stamps: list[int | None], believed: list[bool]) -> None:
    acquisition = Acquisition()
    taken = [acquisition.of(stamp, NOW) for stamp in stamps]
    assert taken == [stamp if good else NOW for stamp, good in zip(stamps, believed, strict=True)]
