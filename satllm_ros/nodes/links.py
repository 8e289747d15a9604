"""Link node: emulates the network between the nodes of the graph, faults included; not part of a flight."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.publisher import Publisher
from rclpy.serialization import deserialize_message

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.interfaces import Topic
from satllm_ros.links.contact_schedule import ContactSchedule
from satllm_ros.links.link_faults import Arrival, FaultShares, FaultyLink
from satllm_ros.links.link_pairs import MAX_PROPAGATION_S, MAX_RATE_BPS, Pair, all_pairs, kind_of, parsed
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.host_clock import host_clock
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.base.qos import message_class
from satllm_ros.nodes.base.shared_parameters import KINDS_OF_LINKS, LINK_PAIRS_MEANING, ClockParameters, FleetParameters
from satllm_ros.nodes.hop.courier import Carried, Courier, LinkSetting
from satllm_ros.orbit.contact_plan import read_plan

STATE_PERIOD_S = 1.0
# A clock that runs at many times real moves on by seconds in one of these.
CONTACT_PERIOD_S = 0.05


@dataclass(frozen=True)
class _Network:
    """What there is from activating to deactivating."""

    courier: Courier
    schedule: ContactSchedule | None
    transfers: Publisher[Any]
    states: Publisher[Any]


def _rate(kind: str) -> float:
    return parameter(5e8, f"Rate of {KINDS_OF_LINKS[kind]}", "bit/s", 1.0, MAX_RATE_BPS, read_only=False)


def _propagation(kind: str) -> float:
    return parameter(0.0, f"Propagation delay of {KINDS_OF_LINKS[kind]}", "s", 0.0, MAX_PROPAGATION_S, read_only=False)


def _up(kind: str) -> bool:
    return parameter(True, f"Whether {KINDS_OF_LINKS[kind]} exists at the moment", read_only=False)


def _share(what: str) -> float:
    return parameter(0.0, f"Share of messages {what}", "-", 0.0, 1.0, read_only=False)


@dataclass(frozen=True)
class LinkParameters(ClockParameters, FleetParameters):
    """What the emulated links are like."""

    upload_rate_bps: float = _rate("upload")
    upload_propagation_s: float = _propagation("upload")
    upload_up: bool = _up("upload")
    isl_rate_bps: float = _rate("isl")
    isl_propagation_s: float = _propagation("isl")
    isl_up: bool = _up("isl")
    s2g_rate_bps: float = _rate("s2g")
    s2g_propagation_s: float = _propagation("s2g")
    s2g_up: bool = _up("s2g")
    link_pairs: tuple[str, ...] = parameter((), LINK_PAIRS_MEANING, read_only=False)
    down: tuple[str, ...] = parameter(
        (),
        "Single links that do not exist at the moment, in both directions: 'sat2-sat3', 'sensing-sat1', "
        "'sat4-ground'; an empty string names none, so [''] brings all back",
        read_only=False,
    )
    loss: float = _share("that are lost after they crossed")
    duplicate: float = _share("that arrive twice")
    reorder: float = _share("that are held back for one to four times their time on the link, so that others overtake")
    seed: int = parameter(0, "Which messages the shares hit: the same seed, the same messages of each link", "-", 0)
    queue_batches: int = parameter(
        graph.MAX_CREDITS, "Messages a link may hold; more are dropped and counted", "batch", 1
    )
    contact_plan: str = parameter(
        "",
        "Contact plan (.csv, .yaml, .ionrc) that opens and closes every link, and gives its rate and delay in place of"
        " the parameters here; empty: links are always there",
    )
    contact_epoch: float = parameter(0.0, "ROS time that is time 0 of the contact plan", "s", 0.0)

    def complaint(self) -> str | None:
        """Links that are none."""
        parsed(self.link_pairs, self.satellites)
        ends = {graph.SENSING, graph.GROUND, *self.satellites}
        for name in self.down:
            pair = name.split("-")
            if name and (len(pair) != 2 or not ends.issuperset(pair) or pair[0] == pair[1]):
                return f"parameter down has {name!r}; allowed are two of {', '.join(sorted(ends))}, joined by -"
        return None

    @property
    def kinds(self) -> dict[str, tuple[LinkRates, bool]]:
        """Rates of the links of each kind, and whether they exist."""
        return {
            "upload": (LinkRates(self.upload_rate_bps, self.upload_propagation_s), self.upload_up),
            "isl": (LinkRates(self.isl_rate_bps, self.isl_propagation_s), self.isl_up),
            "s2g": (LinkRates(self.s2g_rate_bps, self.s2g_propagation_s), self.s2g_up),
        }


class LinkNode(FlightNode):
    """Carries each outbox message to the inbox it names: first in first out, at a rate, after a propagation delay.

    A message occupies its link for its serialized length; it is passed on as the bytes it came in. A link that is down
    loses what is on the wire; what waits for the wire waits until it is up again, up to `queue_batches`.

    By a contact plan a link is up while it is in contact, unless a parameter takes it down. Its times are those of the
    ROS clock; messages cross in real time, at `speed` times the plan's rates, so that a contact carries what it would.
    """

    KEYS = diagnostic_keys.LINK
    PARAMETERS = LinkParameters
    parameters: LinkParameters

    def __init__(self) -> None:
        super().__init__("link")
        self._active: _Network | None = None
        self.every(STATE_PERIOD_S, self._publish_states)
        if self.parameters.contact_plan:
            self.every(CONTACT_PERIOD_S, self._follow_plan)

    def activate(self) -> None:
        satellites = self.parameters.satellites
        transfers, states = self.publish_on(graph.LINK_TRANSFER), self.publish_on(graph.LINK_STATE)
        ground = {graph.GROUND: self.publish_on(graph.PREDICTIONS_INBOX, graph.GROUND)}
        images = {name: self.publish_on(graph.IMAGES_INBOX, name) for name in satellites}
        activations = {name: self.publish_on(graph.ACTIVATION_INBOX, name) for name in satellites}
        predictions = ground | {name: self.publish_on(graph.PREDICTIONS_INBOX, name) for name in satellites}
        rates, schedule = self._rates_of_links(), self._read_schedule()
        links = {pair: self._link(pair, rates(pair)) for pair in all_pairs(satellites)}
        courier = Courier(links, self._on_carried, tells_all=schedule is not None)
        self._active = _Network(courier, schedule, transfers, states)
        if schedule is not None:
            schedule.look(self._plan_s())
        self._apply_parameters(self._active)
        self._carry(graph.IMAGES_OUTBOX, graph.SENSING, images)
        for name in satellites:
            self._carry(graph.ACTIVATION_OUTBOX, name, activations)
            self._carry(graph.PREDICTIONS_OUTBOX, name, predictions)
        courier.start()

    def deactivate(self) -> None:
        if self._active is not None:
            self._active.courier.stop()
        self._active = None

    def parameters_changed(self, names: set[str]) -> None:
        network = self._active
        if network is not None:
            self._publish_states(self._apply_parameters(network))

    def _link(self, pair: Pair, rates: LinkRates) -> FaultyLink[Carried]:
        return FaultyLink(rates, self.parameters.queue_batches, f"{self.parameters.seed}:{'-'.join(pair)}")

    def _read_schedule(self) -> ContactSchedule | None:
        given, satellites = self.parameters.contact_plan, self.parameters.satellites
        if not given:
            return None
        contacts = read_plan(Path(given))
        ends = {graph.SENSING, graph.GROUND, *satellites}
        if strange := sorted({name for c in contacts for name in (c.sender, c.receiver)} - ends):
            raise ValueError(
                f"contact plan {given} has contacts of {strange[0]!r}; who flies here is {', '.join(sorted(ends))}"
            )
        # What goes up to satellites crosses no emulated link.
        carried = set(all_pairs(satellites))
        return ContactSchedule([c for c in contacts if (c.sender, c.receiver) in carried], self.parameters.speed)

    def _plan_s(self) -> float:
        """Time of the contact plan."""
        return self.now_s() - self.parameters.contact_epoch

    def _follow_plan(self) -> None:
        network = self._active
        if network is not None and network.schedule is not None and network.schedule.look(self._plan_s()):
            self._publish_states(self._apply_parameters(network))

    def _apply_parameters(self, network: _Network) -> list[Pair]:
        """Put plan and parameters in force on all links; gives the links whose state others should be told."""
        down = {frozenset(name.split("-")) for name in self.parameters.down}
        shares = FaultShares(self.parameters.loss, self.parameters.duplicate, self.parameters.reorder)
        rates, kinds, schedule = self._rates_of_links(), self.parameters.kinds, network.schedule

        def setting_of(pair: Pair) -> LinkSetting:
            _, is_up = kinds[kind_of(*pair)]
            planned = None if schedule is None else schedule.rates(pair)
            is_there = schedule is None or planned is not None
            return LinkSetting(planned or rates(pair), is_there and is_up and frozenset(pair) not in down, shares)

        return network.courier.set(setting_of)

    def _rates_of_links(self) -> Callable[[Pair], LinkRates]:
        """Rates by link: its own, or else those of its kind."""
        of_pairs = parsed(self.parameters.link_pairs, self.parameters.satellites)
        kinds = self.parameters.kinds

        def rates(pair: Pair) -> LinkRates:
            of_kind, _ = kinds[kind_of(*pair)]
            return of_pairs.get(pair, of_kind)

        return rates

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
        pair, courier = (sender, envelope.destination), self._network.courier
        if envelope.destination not in receivers or not courier.carries(pair):
            self.counters.add("unknown_destination")
            return
        courier.offer(pair, (serialized, envelope.batch, receivers[envelope.destination]))

    @property
    def _network(self) -> _Network:
        assert self._active is not None
        return self._active

    def _on_carried(self, pair: Pair, arrival: Arrival[Carried]) -> None:
        """On the courier's thread."""
        self.counters.add("carried")
        if not arrival.first:
            return
        self._network.transfers.publish(
            m.LinkTransfer(
                sender=pair[0],
                receiver=pair[1],
                batch=arrival.transfer.message[1],
                wire_bytes=arrival.transfer.wire_bytes,
                clock=host_clock(),
                start_s=arrival.transfer.start_s,
                stop_s=arrival.transfer.stop_s,
            )
        )

    def _publish_states(self, pairs: Iterable[Pair] | None = None) -> None:
        if self.state != "active":
            return
        for state in self._network.courier.states(pairs):
            state.header.stamp = self.stamp()
            self._network.states.publish(state)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        causes, down = self._active.courier.outcomes() if self._active is not None else (Counter[str](), [])
        values = {**values, **causes, "down": ", ".join(down)}
        schedule = self._active.schedule if self._active is not None else None
        if schedule is None:
            return level, message, values
        if schedule.next_edge_s is None:
            level, message = DiagnosticStatus.WARN, "the contact plan is over: every link stays closed"
        return level, message, {**values, "contact_s": f"{self._plan_s():.1f}"}


def main() -> int:
    return run(lambda _: [LinkNode()])


if __name__ == "__main__":
    sys.exit(main())
