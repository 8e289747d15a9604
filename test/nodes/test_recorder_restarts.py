"""The recorder when the ground's process or sensing was killed and came back."""

import json
import signal
from pathlib import Path
from typing import Any

from other_nodes import PATIENCE_S, Others, kill, predictions

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.qos import profile
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.vocabulary import Verdict

TILES = 3


def ledger(boot_id: int, acquired: int, delivered: int, *, ended: bool = False, **changes: Any) -> m.Ledger:
    """What is not delivered is stored."""
    told = {"boot_id": boot_id, "acquired_tiles": acquired, "delivered_tiles": delivered, "end_of_stream": ended}
    return m.Ledger(**{**told, "stored_tiles": acquired - delivered, "clock": host_clock(), **changes})


def deliver(others: Others) -> None:
    others.until_ground_is_heard()
    others.say(graph.PREDICTIONS_INBOX, graph.GROUND, *(predictions(n, graph.GROUND) for n in range(TILES)))
    others.until(lambda: len(others.said(Verdict.DELIVERED, graph.GROUND)) == TILES, "the ground's acknowledgements")


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_a_recorder_that_was_killed_reports_what_it_knows_and_says_what_it_missed(others: Others) -> None:
    settings = ("source:=bag", "path:=elsewhere", "exit_when_done:=true", "satellites:=[sat1]")
    first = others.start_ground(*settings)
    sensing = others.node.create_publisher(m.Ledger, graph.LEDGER.of(), profile(graph.LEDGER.qos))
    sensing.publish(ledger(1, TILES, TILES - 1, sent_batches=TILES))
    deliver(others)
    kill(first)
    sensing.publish(ledger(1, TILES, TILES, sent_batches=TILES, ended=True))
    second = others.start_ground(*settings)
    others.until(lambda: second.poll() is not None, "the report")
    assert second.returncode == 0
    written = summary(others.folder)
    assert written["complete"]
    assert written["tiles"] == {"sent": TILES, "received": TILES, "duplicates": 0, "lost": 0, "dropped": {}}
    assert written["gaps"] == [f"the recorder started after {TILES} batches were sent: it knows no times of these"]
    assert written["traffic_bytes"]["isl"] is None and written["makespan_s"]["measured"] is not None


def test_the_end_is_that_of_the_last_life_of_sensing(others: Others) -> None:
    process = others.start_ground("source:=bag", "path:=elsewhere", "exit_when_done:=true")
    books = others.node.create_publisher(m.Ledger, graph.LEDGER.of(), profile(graph.LEDGER.qos))
    others.until(books.get_subscription_count, "the recorder")
    books.publish(ledger(1, TILES + 1, 1, ended=True, dropped_tiles=1, causes=["unreadable_image"], cause_counts=[1]))
    deliver(others)
    # It reads the bag again from its beginning.
    books.publish(ledger(2, 1, 1))
    others.until_next_diagnostics("/recorder")
    assert process.poll() is None
    books.publish(ledger(2, TILES, TILES, ended=True))
    others.until(lambda: process.poll() is not None, "the report")
    written = summary(others.folder)
    assert process.returncode == 0 and written["gaps"] == []
    assert written["tiles"] == {"sent": TILES, "received": TILES, "duplicates": 0, "lost": 0, "dropped": {}}


def test_tiles_that_died_with_sensing_are_counted_and_those_in_custody_are_placed(others: Others) -> None:
    process = others.start_ground("source:=topic")
    books = others.node.create_publisher(m.Ledger, graph.LEDGER.of(), profile(graph.LEDGER.qos))
    others.until(books.get_subscription_count, "the recorder")
    deliver(others)
    books.publish(ledger(1, 6, 2, causes=["stalled"], cause_counts=[9]))
    others.until_next_diagnostics("/recorder")
    last = {"epoch": m.Epoch(incarnation=3, counter=2), "plan_hash": "0123456789abcdef"}
    books.publish(ledger(2, 3, 1, lost_tiles=4, places=["stored at sat1, down"], place_tiles=[2], **last))
    others.until_next_diagnostics("/recorder")
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)
    written = summary(others.folder)
    assert not written["complete"]
    assert written["tiles"]["sent"] == 2 + 4 + 3 and written["tiles"]["dropped"] == {"lost_with_sensing": 4}
    assert written["in_custody"] == {"stored at sat1, down": 2}
    assert any("sensing flew plan 3.2, which was not heard here" in note for note in written["notes"])


def test_records_of_strangers_and_senseless_times_are_counted_not_kept(others: Others) -> None:
    process = others.start_ground("source:=topic", "satellites:=[sat1]")
    deliver(others)
    nan = float("nan")
    # Of all else, nothing could be refused; and one that divides by zero what is made of it.
    sane = {"satellite": "sat1", "stop": 1, "setting": convert.setting_to(CodecSetting(Codec.INT8))}
    timings = m.BatchTiming(**sane, tiles=1, compute_s=nan), m.BatchTiming(**sane), m.BatchTiming(satellite="nobody")
    others.say(graph.TIMING, "sat1", *timings)
    others.say(graph.LINK_TRANSFER, "", m.LinkTransfer(sender="sat1", receiver="ground", stop_s=nan))
    others.say(graph.LINK_STATE, "", m.LinkState(sender="sat1", receiver="ground", rate_bps=nan))
    others.say(graph.STATUS, "sat1", m.SatelliteStatus(satellite="sat1", block_s=nan))
    others.say(graph.LEDGER, "", ledger(1, 3, 1, in_flight_tiles=1))
    refused = ("malformed_timing", "malformed_transfer", "malformed_link_state", "malformed_status", "malformed_ledger")
    for cause in (*refused, "unknown_name"):
        others.until(lambda: others.counter(cause, "/recorder") != "0", cause)  # noqa: B023
    others.until(lambda: others.counter("malformed_timing", "/recorder") == "2", "both timings")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert summary(others.folder)["gaps"] == ["sensing was never heard: what it sent and dropped is not known"]


def test_the_ground_outlives_a_report_that_fails(others: Others) -> None:
    with Path("/dev/full").open("w") as terminal:
        process = others.start_ground("source:=bag", "path:=elsewhere", stdout=terminal)
    books = others.node.create_publisher(m.Ledger, graph.LEDGER.of(), profile(graph.LEDGER.qos))
    others.until(books.get_subscription_count, "the recorder")
    deliver(others)
    books.publish(ledger(1, TILES, TILES, ended=True, sent_batches=TILES))
    others.until(lambda: others.counter("display_failed", "/recorder") == "1", "the failure of the display")
    others.until(lambda: others.counter("report_failed", "/recorder") == "1", "the report's failure")
    assert summary(others.folder)["complete"]
    others.acks.clear()
    deliver(others)
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE_S)
    assert "No space left on device" in (others.folder / "errors.txt").read_text()


def test_a_report_that_cannot_be_written_ends_with_1(others: Others) -> None:
    (others.folder / "timeline.png").symlink_to("/dev/full")
    process = others.start_ground("source:=bag", "path:=elsewhere", "exit_when_done:=true")
    books = others.node.create_publisher(m.Ledger, graph.LEDGER.of(), profile(graph.LEDGER.qos))
    others.until(books.get_subscription_count, "the recorder")
    deliver(others)
    books.publish(ledger(1, TILES, TILES, ended=True))
    others.until(lambda: process.poll() is not None, "the report")
    assert process.returncode == 1 and summary(others.folder)["complete"]
    assert "timeline.png could not be written: [Errno 28]" in (others.folder / "errors.txt").read_text()
