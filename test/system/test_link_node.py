"""The link node alone, over real DDS: outages, losses and copies on demand, and what it says of its links."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flight import started
from observer import Observer
from rclpy.publisher import Publisher

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.share import PACKAGE, share_directory

# Long enough on the wire for an outage to meet it there: a message of 100 kB takes a quarter of an hour.
SLOW_BPS, FAST_BPS = 1e3, 1e9
LONG_BYTES = 100_000


class Link:
    """A link node between two satellites, sensing and the ground."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.states: list[m.LinkState] = observer.hear(graph.LINK_STATE)
        self.transfers: list[m.LinkTransfer] = observer.hear(graph.LINK_TRANSFER)
        self.at_ground: list[m.Predictions] = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
        self.at_sat2: list[m.CompressedActivation] = observer.hear(graph.ACTIVATION_INBOX, "sat2")
        self.down: Publisher = observer.voice(graph.PREDICTIONS_OUTBOX, "sat1")
        self.across: Publisher = observer.voice(graph.ACTIVATION_OUTBOX, "sat1")
        inboxes = (
            observer.name(graph.PREDICTIONS_INBOX, graph.GROUND),
            observer.name(graph.ACTIVATION_INBOX, "sat2"),
            observer.name(graph.LINK_STATE),
        )
        for name in inboxes:
            observer.until(lambda name=name: observer.node.count_publishers(name), f"a publisher on {name}")

    def send_down(self, *sequences: int) -> None:
        for sequence in sequences:
            envelope = m.BatchEnvelope(sender="sat1", destination=graph.GROUND, batch=m.BatchId(sequence=sequence))
            self.down.publish(m.Predictions(envelope=envelope))

    def send_across(self, sequence: int, length: int = 0) -> None:
        envelope = m.BatchEnvelope(sender="sat1", destination="sat2", batch=m.BatchId(sequence=sequence))
        self.across.publish(m.CompressedActivation(envelope=envelope, payload=bytes(length)))

    def set(self, name: str, value: Any) -> None:
        result = self.observer.set_parameter("link", name, value)
        assert result.successful, result.reason

    def state(self, sender: str, receiver: str) -> m.LinkState | None:
        """The last word on a link."""
        found = [s for s in self.states if (s.sender, s.receiver) == (sender, receiver)]
        return found[-1] if found else None

    def until_up(self, sender: str, receiver: str, up: bool) -> None:
        def said() -> bool:
            state = self.state(sender, receiver)
            return state is not None and state.up is up

        self.observer.until(said, f"{sender}-{receiver} {'up' if up else 'down'}")

    def until_counted(self, cause: str, count: int) -> None:
        self.observer.until(lambda: self.observer.counter("link", cause) == count, f"{count} messages {cause}")


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    program = share_directory().parents[1] / "lib" / PACKAGE / "links"
    parameters = ["-p", "satellites:=['sat1','sat2']", *("-p", "queue_batches:=3")]
    with started([program, "--ros-args", *parameters], tmp_path) as flight, Observer(flight) as observer:
        yield Link(observer)


def sequences(heard: list[Any]) -> list[int]:
    return [message.envelope.batch.sequence for message in heard]


def test_contacts_are_told_before_anything_is_carried(link: Link) -> None:
    for name in ("sat1", "sat2"):
        link.until_up(name, graph.GROUND, True)
    # What has never carried anything and never was down is nobody's concern.
    assert {s.receiver for s in link.states} == {graph.GROUND}
    link.set("s2g_up", False)
    for name in ("sat1", "sat2"):
        link.until_up(name, graph.GROUND, False)
    link.set("s2g_up", True)
    link.until_up("sat2", graph.GROUND, True)


def test_what_waits_for_a_link_that_is_down_waits_until_it_is_up(link: Link) -> None:
    link.set("down", ["ground-sat1"])
    link.until_up("sat1", graph.GROUND, False)
    assert link.state("sat2", graph.GROUND) is None or link.state("sat2", graph.GROUND).up
    link.send_down(1, 2, 3, 4)
    # Three wait, and the newest is refused.
    link.until_counted("queue_full", 1)
    assert link.at_ground == []
    link.send_across(9)
    link.observer.until(lambda: link.at_sat2, "what goes another way")
    link.set("down", [""])
    link.observer.until(lambda: len(link.at_ground) == 3, "what has waited")
    assert sequences(link.at_ground) == [1, 2, 3]
    link.observer.until(lambda: link.state("sat1", graph.GROUND).sent_messages == 3, "the state after")
    assert link.state("sat1", graph.GROUND).dropped_messages == 1


def test_an_outage_loses_what_is_on_the_wire(link: Link) -> None:
    link.set("isl_rate_bps", SLOW_BPS)
    link.send_across(1, LONG_BYTES)
    link.send_across(2)

    def both_are_there() -> bool:
        state = link.state("sat1", "sat2")
        return state is not None and state.queued_messages == 2

    link.observer.until(both_are_there, "both messages at the link")
    link.set("isl_up", False)
    link.until_up("sat1", "sat2", False)
    # The way back has carried nothing, and is down as well.
    link.until_up("sat2", "sat1", False)
    link.until_counted("lost_in_outage", 1)
    link.set("isl_rate_bps", FAST_BPS)
    link.set("isl_up", True)
    link.observer.until(lambda: link.at_sat2, "what waited")
    assert sequences(link.at_sat2) == [2]
    link.observer.until(lambda: link.transfers, "word of its crossing")
    assert [t.batch.sequence for t in link.transfers] == [2]


def test_a_single_link_has_rates_of_its_own_in_one_direction(link: Link) -> None:
    link.set("link_pairs", ["sat1-ground=1e6,0.5"])

    def rates(sender: str) -> tuple[float, float] | None:
        state = link.state(sender, graph.GROUND)
        return None if state is None else (state.rate_bps, state.propagation_s)

    link.observer.until(lambda: rates("sat1") == (1e6, 0.5) and rates("sat2") == (5e8, 0.0), "one link's own rates")
    link.set("s2g_rate_bps", 3e8)
    link.observer.until(lambda: rates("sat2") == (3e8, 0.0), "the others' rates")
    assert rates("sat1") == (1e6, 0.5)
    link.set("link_pairs", [""])
    link.observer.until(lambda: rates("sat1") == (3e8, 0.0), "the kind's rates again")


def test_loss_and_copies_are_set_in_flight_and_counted(link: Link) -> None:
    link.set("loss", 1.0)
    link.send_down(1, 2)
    link.until_counted("lost", 2)
    link.set("loss", 0.0)
    link.set("duplicate", 1.0)
    link.send_down(3)
    link.observer.until(lambda: len(link.at_ground) == 2, "the message twice")
    assert sequences(link.at_ground) == [3, 3]
    link.until_counted("duplicated", 1)
    # It crossed once.
    link.observer.until(lambda: link.transfers, "word of its crossing")
    assert [t.batch.sequence for t in link.transfers] == [3]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("down", ["sat1-sat9"], "ground, sat1, sat2, sensing"),
        ("down", ["sat1"], "'sat1'"),
        ("down", ["sat1-sat1"], "joined by -"),
        ("link_pairs", ["sat1-sat9=1,0"], "'sat1-sat9' is no directed link"),
        ("link_pairs", ["sat1-sat2=0,0"], "1 to 1e+15 bit/s"),
        ("loss", 1.5, "loss"),
        ("seed", 5, "read-only"),
    ],
)
def test_faults_that_make_no_sense_are_refused(link: Link, name: str, value: Any, said: str) -> None:
    result = link.observer.set_parameter("link", name, value)
    assert not result.successful and said in result.reason
