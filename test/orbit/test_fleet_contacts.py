"""Contact plans of those that fly, over an equator where every angle can be written down."""

import math
from collections.abc import Sequence

import pytest
from orbit_material import BUDGET, STATION, TARGET, orbit

from satllm_ros.orbit.budget import radio_budget
from satllm_ros.orbit.contact_plan import Contact
from satllm_ros.orbit.contacts import Geometry
from satllm_ros.orbit.document import read_budget
from satllm_ros.orbit.fleet_contacts import RateOf, earliest_arrival_s, fleet_contacts

EARTH_M, A_M = 6_378_137.0, 6_878_137.0
# How fast a satellite in the equator moves over the turning Earth [rad/s].
RATE = math.sqrt(3.986004418e14 / A_M**3) - 7.292115e-5
HOUR_S = 3600.0
BELOW = STATION | {"latitude_deg": 0, "longitude_deg": 0, "elevation_deg": 10}
# Half of what a satellite flies over while it stands 10 degrees high.
HALF = math.acos(EARTH_M * math.cos(math.radians(10)) / A_M) - math.radians(10)


def always(*_: object) -> float:
    return 2e6


def plan(
    pairs: list[tuple[str, str]], rate_of: RateOf = always, sites: Sequence[dict] = (BELOW,), **slots: int
) -> list[Contact]:
    geometry = Geometry(orbit(inclination_deg=0, sites=list(sites)))
    return fleet_contacts(geometry, slots, pairs, rate_of, HOUR_S)


def range_m(angle: float) -> float:
    """From the station to a satellite that stands so far from its zenith, seen from the Earth's center."""
    return math.sqrt(EARTH_M**2 + A_M**2 - 2 * EARTH_M * A_M * math.cos(angle))


def windows(rows: list[Contact]) -> list[tuple[float, float]]:
    """Rows that touch are one window."""
    edges: list[list[float]] = []
    for row in rows:
        if edges and edges[-1][1] == row.start_s:
            edges[-1][1] = row.stop_s
        else:
            edges.append([row.start_s, row.stop_s])
    return [(start, stop) for start, stop in edges]


def test_neighbors_of_a_ring_have_one_contact_and_others_none() -> None:
    pairs = [("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")]
    rows = plan(pairs, a=0, b=1, c=2)
    assert [(r.sender, r.receiver, r.start_s, r.stop_s, r.rate_bps) for r in rows] == [
        ("a", "b", 0.0, HOUR_S, 2e6),
        ("b", "a", 0.0, HOUR_S, 2e6),
    ]
    # 60 degrees apart they are 6,878 km apart, which is too far.
    assert rows[0].range_m == pytest.approx(2 * A_M * math.sin(math.radians(15)), rel=1e-9)


def test_what_is_aboard_one_satellite_is_always_in_contact_and_not_apart() -> None:
    assert plan([("sensing", "a")], sensing=4, a=4) == [Contact("sensing", "a", 0.0, HOUR_S, 2e6, 0.0)]


def test_a_pass_is_cut_into_the_steps_of_its_rate_from_the_epoch_on() -> None:
    s2g = read_budget({"budget": BUDGET}, "f").s2g
    # 30 degrees behind the station.
    rows = plan([("a", "ground")], lambda _, to, r: radio_budget(s2g, r).rate_bps, sites=[BELOW, TARGET], a=11)
    start_s, stop_s = ((math.radians(30) + side * HALF) / RATE for side in (-1, 1))
    (window,) = windows(rows)
    assert window == pytest.approx((start_s, stop_s), abs=1e-3)
    assert [row.start_s for row in rows[1:]] == [
        15.0 * k for k in range(math.ceil(start_s / 15), math.ceil(stop_s / 15))
    ]
    for row in rows:
        far_m = range_m(RATE * 15.0 * math.floor(row.start_s / 15) - math.radians(30))
        assert row.range_m == pytest.approx(far_m, rel=1e-9)
        # 35 dBm + 37 dBi, 40 GHz: the path loss by its formula, noise k T B.
        loss_db = 20 * math.log10(4 * math.pi * 40e9 / 299_792_458) + 25 * math.log10(far_m)
        noise_dbm = 10 * math.log10(1.380649e-23 * 290 * 1e9) + 30
        assert row.rate_bps == pytest.approx(1e9 * math.log2(1 + 10 ** ((72 - loss_db - noise_dbm) / 10)), rel=1e-6)
    assert rows[0].delay_s == pytest.approx(rows[0].range_m / 299_792_458)


def test_the_ground_hears_with_whichever_station_sees() -> None:
    # The second one 5 degrees on: it sees a while longer, and is the nearer one after half of the way.
    east = BELOW | {"name": "east", "longitude_deg": 5}
    rows = plan([("a", "ground")], sites=[BELOW, east], a=0)
    (window,) = windows([row for row in rows if row.start_s < 1800])
    assert window == pytest.approx((0.0, (math.radians(5) + HALF) / RATE), abs=1e-3)
    for row in rows:
        angle = RATE * 15.0 * math.floor(row.start_s / 15)
        nearest = min(abs(angle), abs(angle - math.radians(5)))
        assert row.range_m == pytest.approx(range_m(nearest), rel=1e-9)


def test_without_a_station_nobody_has_contact_with_the_ground() -> None:
    assert plan([("a", "ground")], sites=[TARGET], a=0) == []


@pytest.mark.parametrize(
    ("windows", "at_s"),
    [
        ([("s", "a", 0, 10), ("a", "g", 20, 30)], 20.0),
        ([("a", "g", 0, 10), ("s", "a", 10, 20)], None),
        ([("b", "g", 50, 60), ("a", "b", 5, 40), ("s", "a", 30, 60)], 50.0),
        ([], None),
    ],
)
def test_what_comes_down_goes_from_contact_to_contact(windows: list[tuple], at_s: float | None) -> None:
    contacts = [Contact(sender, receiver, start, stop, 1.0, 0.0) for sender, receiver, start, stop in windows]
    assert earliest_arrival_s(contacts, "s", "g") == at_s
