"""The figures of a run, against runs whose figures are known."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.report.figures.sample import wilson_interval
from satllm_ros.report.figures.summary import summarize
from satllm_ros.report.record.audit import Audit
from satllm_ros.report.record.record import RunRecord, TileRecord


def test_interface_holds_every_promised_key(run: RunRecord) -> None:
    content = json.loads(json.dumps(summarize(run).to_json(), allow_nan=False))
    assert {"sent", "received", "duplicates", "lost"} <= content["tiles"].keys()
    assert {"flown", "reference"} <= content["accuracy"].keys()
    assert len(content["hops"]) == 3
    assert {"from", "to", "fp32_bytes", "wire_bytes", "ratio", "q"} <= content["hops"][0].keys()
    times = {"wait_s", "decode_s", "compute_s", "compute_real_s", "encode_s", "utilisation"}
    assert times | {"name", "start", "stop", "memory_bytes", "emulated"} <= content["satellites"][0].keys()
    assert content["delay_s"].keys() == {"p50", "p95", "uncertainty"}
    assert {"measured", "predicted_exact", "predicted_paper"} <= content["makespan_s"].keys()
    assert content["throughput"].keys() == {"tiles_per_s", "of_ideal"}
    assert {"isl", "s2g", "upload"} <= content["traffic_bytes"].keys()


def test_a_perfect_flow_line_reaches_its_ideal(run: RunRecord) -> None:
    summary = summarize(run)
    assert summary.makespan_s.measured == pytest.approx(summary.makespan_s.ideal, abs=1e-5)
    assert summary.throughput.of_ideal == pytest.approx(1.0, abs=1e-6)
    assert summary.throughput.tiles_per_s == pytest.approx(128 / summary.makespan_s.measured)
    assert (summary.makespan_s.predicted_exact, summary.makespan_s.predicted_paper) == (20.0, 25.0)
    assert summary.exit_ok


def test_hops_and_traffic_count_messages_on_links(run: RunRecord) -> None:
    summary = summarize(run)
    first = summary.hops[0]
    assert (first.sender, first.receiver, first.settings, first.messages) == ("sat1", "sat2", ["int8"], 8)
    assert (first.fp32_bytes, first.wire_bytes) == (25_000 * 128, 5000 * 128)
    assert first.ratio == 5.0 and first.q == 0.2
    assert first.effective_rate_bps == pytest.approx(8 * 5000 * 16 / 0.5)
    traffic = summary.traffic_bytes
    assert (traffic.isl, traffic.s2g, traffic.upload) == (3 * 5000 * 128, 100 * 128, 1000 * 128)


def test_resent_batches_count_as_traffic(run: RunRecord) -> None:
    before = summarize(run)
    again = replace(run.transfers[1], attempt=1)
    run.transfers.append(again)
    run.stages.append(replace(run.stages[0], attempt=1))
    after = summarize(run)
    assert after.traffic_bytes.isl - before.traffic_bytes.isl == again.wire_bytes
    assert after.hops[0].messages == before.hops[0].messages + 1
    assert after.makespan_s.ideal == pytest.approx(before.makespan_s.ideal)


def test_untimed_links_are_counted_from_what_stages_sent(run: RunRecord) -> None:
    timed = summarize(run)
    run.transfers.clear()
    untimed = summarize(run)
    assert untimed.hops[0].effective_rate_bps is None
    assert [hop.wire_bytes for hop in untimed.hops] == [hop.wire_bytes for hop in timed.hops]
    assert untimed.traffic_bytes.isl == timed.traffic_bytes.isl
    assert untimed.traffic_bytes.s2g == timed.traffic_bytes.s2g
    assert untimed.traffic_bytes.upload is None


def test_predictions_that_leave_from_another_satellite_are_no_hop(run: RunRecord) -> None:
    before = summarize(run)
    run.transfers = [replace(t, receiver="sat5") if t.receiver == "ground" else t for t in run.transfers]
    after = summarize(run)
    assert len(after.hops) == 3
    assert after.traffic_bytes.isl == before.traffic_bytes.isl + 100 * 128
    assert after.traffic_bytes.s2g == 0


def test_satellites_report_full_batches_and_all_busy_time(fly: Callable[..., RunRecord]) -> None:
    summary = summarize(fly(tiles=20, tiles_per_batch=16, compute_s=(1.5, 2.0), transfer_s=(0.1, 0.2, 0.1)))
    first = summary.satellites[0]
    assert (first.name, first.start, first.stop, first.tiles) == ("sat1", 0, 3, 16)
    assert (first.compute_s, first.compute_real_s) == (1.5, pytest.approx(0.3))
    assert first.encode_s + first.publish_s == pytest.approx(0.08)
    assert first.utilisation == pytest.approx(1.5 * 1.25 / summary.makespan_s.measured)
    assert first.utilisation_real == pytest.approx(0.2 * first.utilisation)
    assert first.emulated and summary.emulated


def test_idle_satellite_comes_last_without_times(run: RunRecord) -> None:
    run.satellites.insert(0, replace(run.satellites[0], name="spare"))
    spare = summarize(run).satellites[-1]
    assert (spare.name, spare.start, spare.compute_s) == ("spare", None, None)
    assert spare.memory_bytes == 11_000_000


def test_a_sleep_is_called_emulated_even_without_status(run: RunRecord) -> None:
    run.satellites.clear()
    assert all(satellite.emulated for satellite in summarize(run).satellites)


def test_accuracy_is_judged_on_tiles_that_came_down(run: RunRecord) -> None:
    wrong = run.tiles[0]
    run.tiles[0] = replace(wrong, label=(wrong.label + 1) % 10)
    run.truth["bag", 9999, 0] = 1
    run.reference["bag", 9999, 0] = 2
    accuracy = summarize(run).accuracy
    assert accuracy.flown == 127 / 128
    assert accuracy.reference == 1.0
    assert accuracy.agreement == 127 / 128


def test_unknown_classes_leave_accuracy_unknown(run: RunRecord) -> None:
    run.truth.clear()
    accuracy = summarize(run).accuracy
    assert (accuracy.flown, accuracy.reference, accuracy.agreement) == (None, None, 1.0)
    run.reference.clear()
    assert summarize(run).accuracy.agreement is None


@given(copies=st.lists(st.integers(0, 4), min_size=1, max_size=32), dropped=st.integers(0, 1))
def test_every_tile_is_received_lost_or_duplicated(copies: list[int], dropped: int) -> None:
    tiles = [c for c in copies if c]
    run = RunRecord(sent_tiles=len(copies), dropped={"unreadable": dropped})
    for frame, count in enumerate(copies):
        record = _tile(frame)
        # Arrivals may be one record that counts them or a record each.
        run.tiles += [replace(record, copies=count)] if frame % 2 and count else [record] * count
    summary = summarize(run)
    assert summary.tiles.received == len(tiles)
    assert summary.tiles.lost == copies.count(0)
    assert summary.tiles.duplicates == sum(tiles) - len(tiles)
    assert summary.exit_ok == (0 not in copies and not dropped)


def test_what_is_in_custody_or_was_given_up_is_not_lost() -> None:
    run = RunRecord(sent_tiles=10, tiles=[_tile(1)], in_custody={"in window": 5})
    run.dropped = {"attempts_exhausted": 2, "unreadable_image": 7}
    assert summarize(run).tiles.lost == 2, "what was never sent is not among the sent"
    run.audit = Audit("journal", 17, 1, lost=3)
    assert summarize(run).tiles.lost == 3


def test_a_run_that_does_not_add_up_is_not_complete(run: RunRecord) -> None:
    assert summarize(run).exit_ok
    run.audit = replace(run.audit, foreign=1)
    content = summarize(run).to_json()
    assert content["complete"] is False
    assert content["audit"]["adds_up"] is False and content["audit"]["foreign"] == 1
    assert content["audit"]["complaints"] == ["predictions at the ground of no tile that was acquired: 1"]


def test_a_sample_is_judged_by_what_was_flown_on_the_same_tiles(run: RunRecord) -> None:
    for tile in run.tiles[:32]:
        run.truth[tile.key] += 1
    run.reference = {tile.key: tile.label for tile in run.tiles[:64]}
    run.reference[run.tiles[0].key] += 1
    accuracy = summarize(run).accuracy
    assert (accuracy.flown, accuracy.flown_on_reference) == (0.75, 0.5)
    assert (accuracy.reference, accuracy.compared_tiles) == (33 / 64, 64)
    assert accuracy.agreement == 63 / 64 and accuracy.agreement_interval == pytest.approx(wilson_interval(63, 64))


@pytest.mark.parametrize("kind", ["stamp", "arrival", "wire"])
def test_times_are_all_of_one_clock(run: RunRecord, kind: str) -> None:
    run.acquisition = kind
    stamps_s, arrivals_s = ROS_ZERO_S - 5, ROS_ZERO_S - 2
    run.frames = [replace(f, stamp_ns=round(stamps_s * 1e9), arrival_ns=round(arrivals_s * 1e9)) for f in run.frames]
    began_s = {"stamp": stamps_s, "arrival": arrivals_s, "wire": ROS_ZERO_S}[kind]
    summary = summarize(run)
    delays_s = [tile.grounded_s - began_s for tile in run.tiles]
    assert summary.makespan_s.measured == pytest.approx(max(delays_s), abs=1e-6)
    assert summary.delay_s.p50 == pytest.approx(float(np.median(delays_s)), abs=1e-6)
    assert summary.to_json()["acquisition"] == kind


def test_a_tile_without_an_image_of_its_own_has_no_delay(run: RunRecord) -> None:
    run.acquisition = "arrival"
    run.frames = run.frames[1:]
    later = replace(run.frames[0], arrival_ns=round((run.tiles[1].grounded_s + 1) * 1e9))
    run.frames[0] = later
    delays_s = [tile.grounded_s - ROS_ZERO_S for tile in run.tiles[2:]]
    assert summarize(run).delay_s.p50 == pytest.approx(float(np.median(delays_s)), abs=1e-6)


def test_same_frame_of_another_source_is_another_tile() -> None:
    run = RunRecord(sent_tiles=2, tiles=[_tile(3), replace(_tile(3), source_id="other")])
    assert summarize(run).exit_ok


def test_more_tiles_than_were_sent_is_not_ok() -> None:
    assert not summarize(RunRecord(sent_tiles=1, tiles=[_tile(1), _tile(2)])).exit_ok


def test_delay_ignores_later_copies() -> None:
    late = replace(_tile(0), grounded_s=99.0)
    delay = summarize(RunRecord(sent_tiles=1, tiles=[late, _tile(0)])).delay_s
    assert (delay.p50, delay.p95) == (2.0, 2.0)


def test_empty_run_is_unknown_and_not_ok() -> None:
    summary = summarize(RunRecord())
    assert not summary.exit_ok
    assert summary.makespan_s.measured is None and summary.throughput.of_ideal is None
    assert summary.delay_s.p50 is None
    json.dumps(summary.to_json(), allow_nan=False)


def test_prediction_of_one_plan_is_not_held_against_two(run: RunRecord) -> None:
    run.plans.append(replace(run.plans[0], epoch=(1, 2)))
    assert summarize(run).makespan_s.predicted_exact == 20.0, "a plan that no batch flew does not count"
    run.stages.append(replace(run.stages[0], sequence=100, epoch=(1, 2)))
    makespan = summarize(run).makespan_s
    assert (makespan.predicted_exact, makespan.predicted_paper) == (None, None)


def test_an_unknown_plan_that_flew_leaves_no_prediction_either(run: RunRecord) -> None:
    run.stages.append(replace(run.stages[0], sequence=100, epoch=(9, 9)))
    assert summarize(run).makespan_s.predicted_exact is None


def test_what_was_not_recorded_is_unknown_and_what_was_is_kept(run: RunRecord) -> None:
    whole = summarize(run)
    run.stages, run.transfers = run.stages[8:], run.transfers[10:]
    run.gaps = ("the recorder started late",)
    summary = summarize(run)
    assert summary.exit_ok and summary.gaps == ["the recorder started late"]
    assert (summary.tiles, summary.delay_s, summary.accuracy) == (whole.tiles, whole.delay_s, whole.accuracy)
    assert summary.makespan_s.measured == whole.makespan_s.measured
    assert summary.hops[0].ratio == whole.hops[0].ratio
    makespan, traffic = summary.makespan_s, summary.traffic_bytes
    assert (makespan.ideal, makespan.predicted_exact, summary.throughput.of_ideal) == (None, None, None)
    assert (traffic.isl, traffic.s2g, traffic.upload) == (None, None, None)
    assert {s.utilisation for s in summary.satellites} == {None}
    assert [s.compute_s for s in summary.satellites] == [s.compute_s for s in whole.satellites]
    json.dumps(summary.to_json(), allow_nan=False)


def test_tiles_of_which_only_the_number_is_known_count_as_received(run: RunRecord) -> None:
    run.tiles, run.older_tiles, run.gaps = run.tiles[28:], 28, ("28 older tiles",)
    summary = summarize(run)
    assert (summary.tiles.received, summary.tiles.lost, summary.exit_ok) == (128, 0, True)
    assert (summary.makespan_s.measured, summary.throughput.tiles_per_s) == (None, None)


def test_predictions_stored_by_another_satellite_than_the_last_cross_twice(run: RunRecord) -> None:
    direct = summarize(replace(run, transfers=[])).traffic_bytes
    run.transfers.clear()
    run.plans[0] = replace(run.plans[0], downlink="sat2")
    relayed = summarize(run).traffic_bytes
    assert relayed.s2g == direct.s2g == 100 * 128
    assert relayed.isl == direct.isl + 100 * 128


ROS_ZERO_S = 1.7e9


def _tile(frame: int) -> TileRecord:
    return TileRecord("bag", frame, 0, 0, 10.0, 12.0, 1)
