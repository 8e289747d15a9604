"""Link node: emulates the network between the nodes of the graph, faults included; not part of a flight."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any, TypeAlias

from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.interfaces import Topic
from satllm_ros.links.link_faults import Arrival, FaultShares, FaultyLink
from satllm_ros.links.link_pairs import Pair, all_pairs, kind_of, parsed
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.parameters import KINDS, LINK_PAIRS, SATELLITES, Parameter
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.base.qos import message_class

STATE_PERIOD_S = 1.0
# In quotes: before Kilted a publisher has no type of message.
Carried: TypeAlias = "tuple[bytes, m.BatchId, Publisher[Any]]"


def _rate(kind: str, what: str) -> Parameter:
    return Parameter(f"{kind}_rate_bps", 5e8, f"Rate of {what}", "bit/s", 1.0, 1e15, read_only=False)


def _propagation(kind: str, what: str) -> Parameter:
    return Parameter(f"{kind}_propagation_s", 0.0, f"Propagation delay of {what}", "s", 0.0, 60.0, read_only=False)


def _up(kind: str, what: str) -> Parameter:
    return Parameter(f"{kind}_up", True, f"Whether {what} exists at the moment", read_only=False)


def _share(name: str, what: str) -> Parameter:
    return Parameter(name, 0.0, f"Share of messages {what}", "-", 0.0, 1.0, read_only=False)


class LinkNode(FlightNode):
    """Carries each outbox message to the inbox it names: first in first out, at a rate, after a propagation delay.

    A message occupies its link for its serialized length; it is passed on as the bytes it came in. A link that is down
    loses what is on the wire; what waits for the wire waits until it is up again, up to `queue_batches`.
    """

    KEYS = diagnostic_keys.LINK
    PARAMETERS = (
        SATELLITES,
        *(make(kind, what) for kind, what in KINDS.items() for make in (_rate, _propagation, _up)),
        LINK_PAIRS,
        Parameter(
            "down",
            [],
            "Single links that do not exist at the moment, in both directions: 'sat2-sat3', 'sensing-sat1', "
            "'sat4-ground'; an empty string names none, so [''] brings all back",
            read_only=False,
        ),
        _share("loss", "that are lost after they crossed"),
        _share("duplicate", "that arrive twice"),
        _share("reorder", "that are held back for one to four times their time on the link, so that others overtake"),
        Parameter("seed", 0, "Which messages the shares hit: the same seed, the same messages of each link", "-", 0),
        Parameter(
            "queue_batches", graph.MAX_CREDITS, "Messages a link may hold; more are dropped and counted", "batch", 1
        ),
    )

    def __init__(self) -> None:
        super().__init__("link")
        self._links: dict[Pair, FaultyLink[Carried]] = {}
        self._pair_rates: dict[Pair, LinkRates] = {}
        self._sent: dict[Pair, tuple[int, int]] = {}
        # Links whose state is worth telling: those to the ground, and any that carried something or was ever down.
        self._told: set[Pair] = set()
        self._changed = threading.Condition()
        self._courier: threading.Thread | None = None
        self._stopping = False
        self.every(STATE_PERIOD_S, self._publish_states)

    def activate(self) -> None:
        satellites = self.value("satellites")
        self._transfers = self.publish_on(graph.LINK_TRANSFER)
        self._states = self.publish_on(graph.LINK_STATE)
        ground = {graph.GROUND: self.publish_on(graph.PREDICTIONS_INBOX, graph.GROUND)}
        images = {name: self.publish_on(graph.IMAGES_INBOX, name) for name in satellites}
        activations = {name: self.publish_on(graph.ACTIVATION_INBOX, name) for name in satellites}
        predictions = ground | {name: self.publish_on(graph.PREDICTIONS_INBOX, name) for name in satellites}
        pairs = all_pairs(satellites)
        self._pair_rates = parsed(self.value(LINK_PAIRS.name), satellites)
        self._links = {pair: self._link(pair) for pair in pairs}
        self._sent = dict.fromkeys(pairs, (0, 0))
        self._told = {pair for pair in pairs if kind_of(*pair) == "s2g"}
        self._apply_parameters()
        self._carry(graph.IMAGES_OUTBOX, graph.SENSING, images)
        for name in satellites:
            self._carry(graph.ACTIVATION_OUTBOX, name, activations)
            self._carry(graph.PREDICTIONS_OUTBOX, name, predictions)
        # A thread that sleeps until the next arrival: a polling timer would cost a tenth of a core.
        self._stopping = False
        self._courier = threading.Thread(target=self._deliver, name="courier", daemon=True)
        self._courier.start()

    def deactivate(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._courier is not None:
            self._courier.join()
            self._courier = None
        self._links.clear()

    def parameter_complaint(self, candidate: dict[str, Any]) -> str | None:
        parsed(candidate[LINK_PAIRS.name] or (), self.value("satellites"))
        ends = {graph.SENSING, graph.GROUND, *self.value("satellites")}
        for name in candidate["down"] or ():
            pair = name.split("-")
            if name and (len(pair) != 2 or not ends.issuperset(pair) or pair[0] == pair[1]):
                return f"parameter down has {name!r}; allowed are two of {', '.join(sorted(ends))}, joined by -"
        return None

    def parameters_changed(self, names: set[str]) -> None:
        self._pair_rates = parsed(self.value(LINK_PAIRS.name), self.value("satellites"))
        self._publish_states(self._apply_parameters())

    def _link(self, pair: Pair) -> FaultyLink[Carried]:
        return FaultyLink(self._rates(*pair), self.value("queue_batches"), f"{self.value('seed')}:{'-'.join(pair)}")

    def _apply_parameters(self) -> list[Pair]:
        """Put all parameters in force on all links; gives the links whose state others should be told."""
        down = {frozenset(name.split("-")) for name in self.value("down")}
        shares = FaultShares(self.value("loss"), self.value("duplicate"), self.value("reorder"))
        changed = []
        with self._changed:
            now_s = time.monotonic()
            for pair, link in self._links.items():
                link.shares = shares
                rates = self._rates(*pair)
                is_told = pair in self._told and rates != link.rates
                link.set_rates(rates, now_s)
                if link.set_up(self.value(f"{kind_of(*pair)}_up") and frozenset(pair) not in down, now_s) or is_told:
                    changed.append(pair)
            self._told.update(changed)
            self._changed.notify()
        return changed

    def _carry(self, outbox: Topic, sender: str, receivers: dict[str, Publisher[Any]]) -> None:
        callback = partial(self._on_outbox, message_class(outbox.type), sender, receivers)
        self.listen_to(outbox, callback, sender, raw=True)

    def _on_outbox(self, type_: type, sender: str, receivers: dict[str, Publisher[Any]], serialized: bytes) -> None:
        # Raw, so that it is passed on as it came; bytes that are no message end in rmw's own error, a RuntimeError.
        try:
            heard: Any = deserialize_message(serialized, type_)
        except RuntimeError:
            self.counters.add("malformed")
            return
        envelope = heard.envelope
        pair = (sender, envelope.destination)
        if envelope.destination not in receivers or pair not in self._links:
            self.counters.add("unknown_destination")
            return
        message = (serialized, envelope.batch, receivers[envelope.destination])
        with self._changed:
            self._links[pair].offer(message, len(serialized), time.monotonic())
            self._told.add(pair)
            self._changed.notify()

    def _deliver(self) -> None:
        """Courier thread: publishes each message when its last bit has arrived."""
        while True:
            with self._changed:
                if self._stopping:
                    return
                now_s = time.monotonic()
                arrived = [(pair, arrival) for pair, link in self._links.items() for arrival in link.due(now_s)]
                if not arrived:
                    arrivals = [t for link in self._links.values() if (t := link.next_arrival_s) is not None]
                    self._changed.wait(timeout=max(0.0, min(arrivals) - now_s) if arrivals else None)
                    continue
            self._hand_over(arrived)

    def _hand_over(self, arrived: Iterable[tuple[Pair, Arrival[Carried]]]) -> None:
        for pair, arrival in arrived:
            serialized, batch, publisher = arrival.transfer.message
            publisher.publish(serialized)
            messages, total = self._sent[pair]
            self._sent[pair] = (messages + 1, total + arrival.transfer.wire_bytes)
            self.counters.add("carried")
            if arrival.first:
                self._report(pair, batch, arrival)

    def _report(self, pair: Pair, batch: m.BatchId, arrival: Arrival[Carried]) -> None:
        self._transfers.publish(
            m.LinkTransfer(
                sender=pair[0],
                receiver=pair[1],
                batch=batch,
                wire_bytes=arrival.transfer.wire_bytes,
                clock=host_clock(),
                start_s=arrival.transfer.start_s,
                stop_s=arrival.transfer.stop_s,
            )
        )

    def _rates(self, sender: str, receiver: str) -> LinkRates:
        if (own := self._pair_rates.get((sender, receiver))) is not None:
            return own
        kind = kind_of(sender, receiver)
        return LinkRates(self.value(f"{kind}_rate_bps"), self.value(f"{kind}_propagation_s"))

    def _publish_states(self, pairs: Iterable[Pair] | None = None) -> None:
        if self.state != "active":
            return
        with self._changed:
            states = [self._state(pair) for pair in (sorted(self._told) if pairs is None else pairs)]
        for state in states:
            self._states.publish(state)

    def _state(self, pair: Pair) -> m.LinkState:
        link, (messages, total) = self._links[pair], self._sent[pair]
        state = m.LinkState(
            sender=pair[0],
            receiver=pair[1],
            up=link.up,
            rate_bps=link.rates.rate_bps,
            propagation_s=link.rates.propagation_s,
            queued_messages=link.queued_messages,
            queued_bytes=link.queued_bytes,
            sent_messages=messages,
            sent_bytes=total,
            dropped_messages=link.dropped_messages,
        )
        state.header.stamp = self.stamp()
        return state

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        with self._changed:
            causes: Counter[str] = sum((link.counts for link in self._links.values()), Counter())
            down = sorted("-".join(pair) for pair, link in self._links.items() if not link.up)
        return level, message, {**values, **causes, "down": ", ".join(down)}


def main() -> int:
    return run(lambda _: [LinkNode()])


if __name__ == "__main__":
    sys.exit(main())
