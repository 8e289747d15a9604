"""An emulated link with faults on demand: loss, duplication, reordering, outage. Seeded; no clock."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, replace
from typing import Generic

from satllm_ros.links.link_queue import LinkQueue, LinkRates, Message, Transfer

# A message that is overtaken, and one that comes twice, is late by up to so many times its own time on the link.
LATEST_MESSAGE_TIMES = 4
# Causes for which a message does not reach its receiver.
LOSSES = ("queue_full", "lost", "lost_in_outage")


@dataclass(frozen=True)
class FaultShares:
    """Share of messages that are lost, come twice, or are held back so that later ones overtake them; each 0..1."""

    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


@dataclass(frozen=True)
class Arrival(Generic[Message]):
    """A message at the receiver; `first` is False for the second copy of a duplicated one."""

    transfer: Transfer[Message]
    first: bool = True


class FaultyLink(Generic[Message]):
    """A link queue whose messages may be lost, doubled or held back after they crossed.

    The n-th message of a link has the same fate in every run with the same seed and shares, whatever other links
    carry. `counts` holds messages by what became of them: `queue_full`, `lost`, `lost_in_outage`, `duplicated`,
    `held_back`.
    """

    def __init__(self, rates: LinkRates, depth: int, seed: str) -> None:
        self.shares = FaultShares()
        self.counts: Counter[str] = Counter()
        self._queue: LinkQueue[Message] = LinkQueue(rates, depth)
        self._random = random.Random(seed)
        self._held: list[tuple[float, int, Arrival[Message]]] = []
        self._order = itertools.count()

    @property
    def rates(self) -> LinkRates:
        return self._queue.rates

    @property
    def up(self) -> bool:
        return self._queue.up

    @property
    def queued_messages(self) -> int:
        return self._queue.queued_messages

    @property
    def queued_bytes(self) -> int:
        return self._queue.queued_bytes

    @property
    def dropped_messages(self) -> int:
        return sum(self.counts[cause] for cause in LOSSES)

    @property
    def next_arrival_s(self) -> float | None:
        """When to ask `due` again; None if nothing will arrive before something changes."""
        times = [self._held[0][0]] if self._held else []
        if self._queue.next_arrival_s is not None:
            times.append(self._queue.next_arrival_s)
        return min(times, default=None)

    def offer(self, message: Message, wire_bytes: int, now_s: float) -> bool:
        """Queue a message; False when the queue is full."""
        taken = self._queue.offer(message, wire_bytes, now_s)
        self.counts["queue_full"] += not taken
        return taken

    def set_rates(self, rates: LinkRates, now_s: float) -> None:
        """Change rate and delay for what is not on the wire yet."""
        if rates != self.rates:
            self._queue.set_rates(rates, now_s)

    def set_up(self, up: bool, now_s: float) -> bool:
        """Take the link down or up again; whether that changed anything.

        Going down loses what is on the wire or held back; what has arrived by now has, and what waits for the wire
        waits on.
        """
        if up == self.up:
            return False
        self._cross(now_s)
        lost = self._queue.set_up(up, now_s)
        if not up:
            lost += sum(arrival.first for at_s, _, arrival in self._held if at_s > now_s)
            self._held = [held for held in self._held if held[0] <= now_s]
            heapq.heapify(self._held)
            self.counts["lost_in_outage"] += lost
        return True

    def due(self, now_s: float) -> list[Arrival[Message]]:
        """What the receiver gets by now, in the order in which it gets it."""
        self._cross(now_s)
        arrived = []
        while self._held and self._held[0][0] <= now_s:
            arrived.append(heapq.heappop(self._held)[2])
        return arrived

    def _cross(self, now_s: float) -> None:
        for transfer in self._queue.due(now_s):
            self._decide(transfer)

    def _decide(self, transfer: Transfer[Message]) -> None:
        # Always as many draws, so that changing one share leaves the other fates of later messages alone.
        loss, duplicate, reorder, first_late, second_late = (self._random.random() for _ in range(5))
        if loss < self.shares.loss:
            self.counts["lost"] += 1
            return
        message_s = transfer.stop_s - transfer.start_s
        late_s = 0.0
        if reorder < self.shares.reorder:
            self.counts["held_back"] += 1
            late_s = self._lateness_s(first_late, message_s)
        self._hold(Arrival(replace(transfer, stop_s=transfer.stop_s + late_s)))
        if duplicate < self.shares.duplicate:
            self.counts["duplicated"] += 1
            second_s = transfer.stop_s + late_s + self._lateness_s(second_late, message_s)
            self._hold(Arrival(replace(transfer, stop_s=second_s), first=False))

    @staticmethod
    def _lateness_s(draw: float, message_s: float) -> float:
        # At least one message time, or nothing that follows could overtake it.
        return (1.0 + draw * (LATEST_MESSAGE_TIMES - 1.0)) * message_s

    def _hold(self, arrival: Arrival[Message]) -> None:
        heapq.heappush(self._held, (arrival.transfer.stop_s, next(self._order), arrival))
