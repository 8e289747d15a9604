"""When a batch goes to the middleware: the wire, not its queue, is where batches wait.

Flow controllers of Fast DDS are fixed when a process starts; this follows the rate in flight. A pure state machine:
the caller brings the time [s, any steady clock], and obeys the `Hand`s it answers with, in order.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from satllm_ros.interfaces import MAX_CREDITS
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.links.real_links import LONG_HEARTBEAT_S, goodput_bps, is_long
from satllm_ros.protocol.identity import BatchId

Message = TypeVar("Message")

# One on the wire, one behind it that is there when the wire falls free.
MOST_INSIDE = 2
# On a long link there are, beside, as many as leave while what was lost of one is asked for and sent, and that again.
ROUNDS = 2
# A controller that is so far off the rate in force wastes the link, or floods it.
TOLERANCE = 0.2
# What was not heard to be received so long after it should be, beside the time it takes, is not waited for: it may be
# lost with its receiver, or the word of its reception is.
PATIENCE_S = 5.0
# What a link may carry, whoever says so: beyond, times are none that can be waited for.
LEAST_RATE_BPS, MOST_RATE_BPS = 1.0, 1e15


@dataclass(frozen=True)
class Hand(Generic[Message]):
    """Give this message to the middleware now."""

    destination: str
    batch: BatchId
    message: Message


@dataclass
class _Waiting(Generic[Message]):
    batch: BatchId
    message: Message
    wire_bytes: int


@dataclass
class _Inside:
    due_s: float
    forgotten_s: float


@dataclass
class _Lane(Generic[Message]):
    """One directed link: `stated` is what its controller was made for, `rate_bps` the rate in force."""

    stated: LinkRates
    rate_bps: float
    # How long a batch may be inside, beside the time it takes, while what was lost of it is sent again.
    recovery_s: float
    waiting: deque[_Waiting[Message]] = field(default_factory=deque)
    inside: dict[BatchId, _Inside] = field(default_factory=dict)
    # Whether receptions are told here at all: without, time alone tells.
    is_told: bool = False

    @property
    def pace_bps(self) -> float:
        """What the controller lets out of batches, or would if it were made for the rate in force, if that is less."""
        return goodput_bps(min(self.stated.rate_bps, self.rate_bps), self.stated.propagation_s)

    def most_inside(self) -> int:
        time_s = 8.0 * self.waiting[0].wire_bytes / self.pace_bps
        return min(MAX_CREDITS, MOST_INSIDE + math.ceil(self.recovery_s / time_s))

    def leaves_s(self, inside: _Inside) -> float:
        return inside.forgotten_s if self.is_told else inside.due_s

    def next_s(self) -> float:
        """When the next batch may go at the latest, whatever is heard."""
        if not self.waiting:
            return math.inf
        if not self.inside:
            return -math.inf
        last = next(reversed(self.inside.values()))
        if len(self.inside) < self.most_inside():
            return last.due_s
        return max(last.due_s, min(map(self.leaves_s, self.inside.values())))


class Pacing(Generic[Message]):
    """Batches of one process on their way to any number of destinations.

    The next batch goes when nothing is inside any more, or when the last one's time at the rate in force is over and
    fewer than `MOST_INSIDE` are inside, on a long link more. Inside is what was handed over and neither received nor
    given up. Of a batch that waits, a newer copy takes the place. Overflow policy: beyond `MAX_CREDITS` batches that
    wait for one destination, the newest is dropped and counted; custody sends it again.

    Parameters
    ----------
    stated
        The link to each destination, as its flow controller was made for.
    """

    def __init__(self, stated: Mapping[str, LinkRates]) -> None:
        self._lanes: dict[str, _Lane[Message]] = {
            name: _Lane(link, link.rate_bps, _recovery_s(link.propagation_s)) for name, link in stated.items()
        }
        self.counts: Counter[str] = Counter()

    def on_send(
        self, destination: str, batch: BatchId, message: Message, wire_bytes: int, now_s: float
    ) -> list[Hand[Message]]:
        """A batch is to be sent."""
        lane = self._lanes[destination]
        if batch in lane.inside:
            # On its way: a second copy would only follow the first.
            self.counts["sent_already"] += 1
            return []
        for waiting in lane.waiting:
            if (waiting.batch.boot_id, waiting.batch.sequence) == (batch.boot_id, batch.sequence):
                waiting.batch, waiting.message, waiting.wire_bytes = batch, message, wire_bytes
                self.counts["unsent_replaced"] += 1
                return []
        if len(lane.waiting) >= MAX_CREDITS:
            self.counts["unsent_dropped"] += 1
            return []
        lane.waiting.append(_Waiting(batch, message, wire_bytes))
        return self._release(destination, now_s)

    def on_received(self, destination: str, batch: BatchId, now_s: float) -> list[Hand[Message]]:
        """The destination has said, in whatever way, that this batch arrived; what is not inside changes nothing."""
        lane = self._lanes.get(destination)
        if lane is None or lane.inside.pop(batch, None) is None:
            return []
        lane.is_told = True
        return self._release(destination, now_s)

    def on_settled(self, destination: str, batch: BatchId, now_s: float) -> list[Hand[Message]]:
        """The destination has said what became of a batch: of any attempt, nothing need be sent any more."""
        lane = self._lanes[destination]
        same = [w for w in lane.waiting if (w.batch.boot_id, w.batch.sequence) == (batch.boot_id, batch.sequence)]
        for waiting in same:
            lane.waiting.remove(waiting)
        return self.on_received(destination, batch, now_s)

    def on_rate(self, destination: str, rate_bps: float, now_s: float) -> list[Hand[Message]]:
        """The rate of a link in force now; it counts for what is handed over from now on.

        A rate that is none, from whoever, changes nothing but a counter.
        """
        lane = self._lanes.get(destination)
        if lane is None:
            return []
        if not LEAST_RATE_BPS <= rate_bps <= MOST_RATE_BPS:
            self.counts["malformed_rate"] += 1
            return []
        lane.rate_bps = rate_bps
        return self._release(destination, now_s)

    def on_gone(self, destination: str) -> None:
        """Nobody listens there any more: what waits for it is worth nothing to who comes next, and is dropped."""
        lane = self._lanes[destination]
        self.counts["unsent_dropped"] += len(lane.waiting)
        lane.waiting.clear()
        lane.inside.clear()
        lane.is_told = False

    def on_tick(self, now_s: float) -> list[Hand[Message]]:
        """Time passes."""
        return [hand for destination in self._lanes for hand in self._release(destination, now_s)]

    @property
    def next_s(self) -> float:
        """When `on_tick` is wanted next; infinite if nothing waits."""
        return min((lane.next_s() for lane in self._lanes.values()), default=math.inf)

    @property
    def waiting_batches(self) -> int:
        """Batches that have not been handed over."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def cautions(self) -> list[str]:
        """A sentence for each link whose rate in force is far from what its flow controller was made for."""
        return [
            f"the link to {name} carries {lane.rate_bps / 1e6:.3g} Mbit/s, its flow controller was made for "
            f"{lane.stated.rate_bps / 1e6:.3g}: write its rate into the constellation file and start this process again"
            for name, lane in self._lanes.items()
            if abs(lane.rate_bps - lane.stated.rate_bps) > TOLERANCE * lane.stated.rate_bps
        ]

    def _release(self, destination: str, now_s: float) -> list[Hand[Message]]:
        lane = self._lanes[destination]
        hands = []
        left = [batch for batch, inside in lane.inside.items() if now_s >= lane.leaves_s(inside)]
        for batch in left:
            del lane.inside[batch]
        if lane.is_told:
            self.counts["reception_unheard"] += len(left)
        while now_s >= lane.next_s():
            item = lane.waiting.popleft()
            hands.append(Hand(destination, item.batch, item.message))
            self._enter(lane, item, now_s)
        return hands

    def _enter(self, lane: _Lane[Message], item: _Waiting[Message], now_s: float) -> None:
        # Behind what is on the wire still.
        start_s = max([now_s, *(inside.due_s for inside in lane.inside.values())])
        time_s = 8.0 * item.wire_bytes / lane.pace_bps
        lane.inside[item.batch] = _Inside(start_s + time_s, start_s + 2 * time_s + PATIENCE_S + lane.recovery_s)


def _recovery_s(propagation_s: float) -> float:
    return ROUNDS * (LONG_HEARTBEAT_S + 2 * propagation_s) if is_long(propagation_s) else 0.0
