"""Three satellites of a ring, at sixty times real: predictions come down in passes, and wait in between."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from flight import constellation, started, up, write_constellation
from observer import Observer
from orbit_material import BUDGET, STATION, document
from tiny_material import Material

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.constellation.processes import CONTACT_PLAN
from satllm_ros.orbit.contact_plan import Contact, read_plan
from satllm_ros.protocol.vocabulary import Verdict

SPEED = 60.0
EPOCH_S = 1_767_225_600
# The last of the three, the only one that is not in sight of sensing, is over the first station after 12 minutes and
# over the second one after 40; the last batch leaves the chain half a minute after the first plan. For a computer
# that is slower there is one more pass, in the second hour.
STATIONS = [
    STATION | {"name": name, "latitude_deg": 0, "longitude_deg": degrees, "elevation_deg": 10}
    for name, degrees in (("east", 102.6), ("west", -157.8))
]
# Words are late by a turn of the clock and one of whoever says them, on a busy machine by a second and a half. Whoever
# waited for a time-out would be late by five or fifteen.
LATE_S = 90.0


def over_stations(material: Material) -> dict[str, Any]:
    content = constellation(material, (0.25, 0.25, 0.25))
    content |= document(inclination_deg=0, duration_s=7200, sites=STATIONS)
    content["orbit"]["speed"] = SPEED
    content["budget"] = {"s2g": BUDGET["s2g"]}
    for slot, satellite in enumerate(content["satellites"]):
        satellite["slot"] = slot
    return content


def passes(rows: Sequence[Contact]) -> list[tuple[float, float]]:
    """Steps that touch are one pass."""
    starts = [row.start_s for before, row in pairwise([None, *rows]) if before is None or before.stop_s < row.start_s]
    stops = [row.stop_s for row, after in pairwise([*rows, None]) if after is None or row.stop_s < after.start_s]
    return list(zip(starts, stops, strict=True))


def time_s(message: Any) -> float:
    """Since the epoch, by the clock of the graph."""
    return message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec - EPOCH_S


def test_predictions_come_down_in_passes_and_wait_on_disk_in_between(material: Material, tmp_path: Path) -> None:
    with started(up(write_constellation(tmp_path, over_stations(material))), tmp_path) as flight:
        with Observer(flight) as observer:
            states: list[m.LinkState] = observer.hear(graph.LINK_STATE)
            acks: list[m.BatchAck] = observer.hear(graph.BATCH_ACK)
            plans: list[m.Plan] = observer.hear(graph.PLAN_ACTIVE)
            said = set()

            def is_over() -> bool:
                if status := observer.diagnostics.get("/sat3/downlink"):
                    said.add((status.level, status.message.partition(": ")[2]))
                return flight.process.poll() is not None

            observer.until(is_over, "the end of the flight", graph_may_end=True)
        assert flight.wait() == 0, flight.story()
        assert f"COMPLETE: all {material.bag_tiles} tiles came down exactly once" in flight.output
        tiles = json.loads((flight.latest / "summary.json").read_text())["tiles"]
        rows = [row for row in read_plan(flight.latest / CONTACT_PLAN) if row.receiver == graph.GROUND]
    assert tiles["received"] == material.bag_tiles and tiles["lost"] == 0
    # Passes of the others are none of its concern.
    windows = passes([row for row in rows if row.sender == "sat3"])
    assert len(windows) == 3 and windows[0][0] > 450 and windows[1][1] < 2700

    # The link is there as the plan says, at the rate of each step, and everybody is told at once.
    ours = [s for s in states if (s.sender, s.receiver) == ("sat3", graph.GROUND) and time_s(s) >= 0]
    edges = [(after.up, time_s(after)) for before, after in pairwise(ours) if before.up != after.up]
    wanted = [edge for start, stop in windows for edge in ((True, start), (False, stop))][: len(edges)]
    assert len(edges) >= 3 and not ours[0].up and [up for up, _ in edges] == [up for up, _ in wanted]
    assert all(0 <= is_s - edge_s < LATE_S for (_, is_s), (_, edge_s) in zip(edges, wanted, strict=True))
    steps = {row.rate_bps * SPEED for row in rows if row.sender == "sat3"}
    assert len({s.rate_bps for s in ours if s.up}) > 10 and {s.rate_bps for s in ours if s.up} <= steps

    # What comes down does so in both passes and at no other time; meanwhile it is stored.
    delivered = [time_s(a) for a in acks if a.verdict == int(Verdict.DELIVERED) and a.sender == graph.GROUND]
    of_pass = [[t for t in delivered if start <= t < stop + LATE_S] for start, stop in windows]
    assert all(of_pass[:2]) and sum(map(len, of_pass)) == len(delivered) >= material.bag_tiles // 4
    assert all(min(times) < start + 2 * LATE_S for (start, _), times in zip(windows[:2], of_pass[:2], strict=True))
    stored = [time_s(a) for a in acks if a.verdict == int(Verdict.STORED)]
    assert any(t < windows[0][0] for t in stored) and any(windows[0][1] < t < windows[1][0] for t in stored)

    # An outage that is known is no trouble, and no reason to plan anew.
    assert (b"\0", "link_state says that the link is down") in said and {level for level, _ in said} == {b"\0"}
    assert len({(p.epoch.incarnation, p.plan_hash) for p in plans}) == 1
