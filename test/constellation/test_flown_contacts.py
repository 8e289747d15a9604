"""A constellation file with an orbit: contacts of those that fly, and the processes that follow them."""

from pathlib import Path
from typing import Any

import pytest
from orbit_material import BUDGET, STATION, document

from satllm_ros.constellation import preflight
from satllm_ros.constellation.file import Constellation
from satllm_ros.constellation.processes import CONTACT_PLAN, ProcessSpec, processes, write_contacts
from satllm_ros.documents.section import DocumentError
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.orbit.budget import optical_budget
from satllm_ros.orbit.contact_plan import read_plan
from satllm_ros.orbit.document import read_budget

RUN = Path("/runs/now")
# In the equator satellite 0 stands above it at the epoch.
BELOW = STATION | {"latitude_deg": 0, "longitude_deg": 0, "elevation_deg": 10}
EPOCH_S = 1767225600.0


@pytest.fixture
def over_equator(shipped: dict[str, Any]) -> dict[str, Any]:
    """The shipped constellation, on slots 0 to 3 of a ring above the equator."""
    satellites = [{**satellite, "slot": slot} for slot, satellite in enumerate(shipped["satellites"])]
    orbit = document(inclination_deg=0, duration_s=600, sites=[BELOW])
    orbit["orbit"]["speed"] = 60
    return shipped | {"satellites": satellites} | orbit


def specs_of(constellation: Constellation) -> dict[str, ProcessSpec]:
    return {spec.name: spec for spec in processes(constellation, RUN, exit_when_done=True)}


def test_links_follow_the_orbit_at_the_rates_of_the_file(over_equator: dict[str, Any], load: Any) -> None:
    constellation = load(over_equator)
    first = {(c.sender, c.receiver): c for c in reversed(constellation.contacts)}
    # Neighbors, sensing aboard the first one or beside it, and who comes over the station within ten minutes.
    neighbors = {(f"sat{a}", f"sat{b}") for a, b in [(1, 2), (2, 1), (2, 3), (3, 2), (3, 4), (4, 3)]}
    assert set(first) == neighbors | {("sensing", "sat1"), ("sensing", "sat2"), ("sat1", "ground")}
    assert {contact.rate_bps for contact in first.values()} == {2e6}
    assert first["sensing", "sat1"].range_m == 0.0
    # A minute a second: sixty times as much, and a sixtieth of the way of 3,560 km.
    rates = constellation.link_pairs["sat2", "sat3"]
    assert (rates.rate_bps, rates.propagation_s) == pytest.approx((1.2e8, 3_560_386 / 299_792_458 / 60), rel=1e-6)
    assert constellation.link_pairs["sat1", "sat3"] == LinkRates(1.0)


def test_a_budget_gives_rates_but_where_the_file_names_a_link(over_equator: dict[str, Any], load: Any) -> None:
    pairs = {"sat2-sat3": {"rate_bps": 5, "propagation_s": 0}}
    content = over_equator | {"budget": BUDGET, "links": over_equator["links"] | {"pairs": pairs}}
    first = {(c.sender, c.receiver): c for c in reversed(load(content).contacts)}
    isl = optical_budget(read_budget({"budget": BUDGET}, "f").isl, first["sat1", "sat2"].range_m).rate_bps
    # Within a ten-thousandth of the paper's 3.56e6 m, and far from the 2e6 of the file.
    assert first["sat1", "sat2"].rate_bps == isl > 1e9
    assert first["sensing", "sat2"].rate_bps == isl and first["sensing", "sat1"].rate_bps == 2e6
    assert first["sat2", "sat3"].rate_bps == 5.0
    assert first["sat1", "ground"].rate_bps != 2e6


def test_sensing_is_aboard_the_satellite_of_its_slot(over_equator: dict[str, Any], load: Any) -> None:
    content = over_equator | {"source": over_equator["source"] | {"slot": 3}}
    ranges = {c.receiver: c.range_m for c in load(content).contacts if c.sender == "sensing"}
    assert set(ranges) == {"sat3", "sat4"} and ranges["sat4"] == 0.0


def test_the_graph_has_a_clock_and_the_link_node_a_plan(
    over_equator: dict[str, Any], load: Any, tmp_path: Path
) -> None:
    constellation = load(over_equator)
    specs = specs_of(constellation)
    link = specs["link"].parameters["link"]
    assert (link["contact_plan"], link["contact_epoch"], link["speed"]) == (str(RUN / CONTACT_PLAN), EPOCH_S, 60.0)
    clock = specs.pop("orbit_clock").parameters["orbit_clock"]
    assert clock == {"epoch": EPOCH_S, "speed": 60.0, "state_directory": str(RUN)}
    assert all(values["use_sim_time"] for spec in specs.values() for values in spec.parameters.values())
    write_contacts(constellation, tmp_path)
    assert tuple(read_plan(tmp_path / CONTACT_PLAN)) == constellation.contacts
    with pytest.raises(ValueError, match="gives the graph its clock"):
        processes(constellation, RUN, exit_when_done=True, use_sim_time=True)


@pytest.mark.parametrize("what", ["without an orbit", "over real links"])
def test_all_else_flies_as_it_did(what: str, over_equator: dict[str, Any], shipped: dict[str, Any], load: Any) -> None:
    real = over_equator | {"emulate": {"compute": False, "links": False}}
    constellation = load(shipped if what == "without an orbit" else real)
    assert constellation.contacts == () and constellation.link_pairs == {}
    specs = specs_of(constellation)
    assert "orbit_clock" not in specs
    assert not any("use_sim_time" in v or "contact_plan" in v for s in specs.values() for v in s.parameters.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slot": None}, "satellite sat2 has no slot"),
        ({"source": 12}, "source: slot is 12; a whole number from 0 to 11"),
        ({"speed": 0}, "speed is 0; a number from 0.01 to 10000"),
        ({"epoch": "2038-01-20"}, "epoch is 2038-01-20; the clock of a flight goes from 1970 to 2038"),
        ({"epoch": "1969-12-31"}, "epoch is 1969-12-31"),
    ],
)
def test_what_no_link_could_follow_is_refused(
    changes: dict[str, Any], words: str, over_equator: dict[str, Any], load: Any
) -> None:
    if "slot" in changes:
        del over_equator["satellites"][1]["slot"]
    if "source" in changes:
        over_equator["source"]["slot"] = changes["source"]
    over_equator["orbit"] |= {key: changes[key] for key in ("speed", "epoch") if key in changes}
    with pytest.raises(DocumentError, match=words):
        load(over_equator)


def test_a_flight_from_which_nothing_could_come_down_is_refused(over_equator: dict[str, Any], load: Any) -> None:
    preflight.check(load(over_equator))
    with pytest.raises(ValueError, match="no satellite that flies sees a station within duration_s, 600 s"):
        preflight.check(load(over_equator | {"sites": [BELOW | {"longitude_deg": 180}]}))
    # Six slots on, sensing sees none of those that fly.
    astray = over_equator | {"source": over_equator["source"] | {"slot": 7}}
    with pytest.raises(ValueError, match="lead from sensing to no station"):
        preflight.check(load(astray))
