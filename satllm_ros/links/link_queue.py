"""One emulated directed link: first in, first out, one message on the wire at a time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

Message = TypeVar("Message")


@dataclass(frozen=True)
class Transfer(Generic[Message]):
    """A message that has crossed: first bit out at `start_s`, last bit in at `stop_s` (caller's clock)."""

    message: Message
    wire_bytes: int
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class LinkRates:
    """Rate and one-way propagation delay of a link."""

    rate_bps: float
    propagation_s: float = 0.0


class LinkQueue(Generic[Message]):
    """Serializes messages onto a link: `comm = 8 * wire_bytes / rate_bps`, then the propagation delay.

    A pure state machine: the caller brings the time. Overflow policy: a message that finds `depth` others
    waiting is refused, newest first. A link that goes down loses what is on the wire; what waits, waits on, and so
    does what is offered meanwhile, up to `depth`.
    """

    def __init__(self, rates: LinkRates, depth: int) -> None:
        self.rates = rates
        self.up = True
        self._depth = depth
        self._pending: deque[Transfer[Message]] = deque()
        # While the link is down, never: whoever waits is scheduled for then.
        self._busy_until_s = -math.inf

    def offer(self, message: Message, wire_bytes: int, now_s: float) -> bool:
        """Queue a message; False when the queue is full."""
        if len(self._pending) >= self._depth:
            return False
        self._schedule(message, wire_bytes, now_s)
        return True

    def set_rates(self, rates: LinkRates, now_s: float) -> None:
        """Change the rate and delay; what is still waiting is rescheduled, what is on the wire keeps its arrival."""
        self.rates = rates
        waiting = self._take_waiting(now_s)
        if not waiting:
            return
        # Whoever waits starts at the moment the wire falls free.
        self._busy_until_s = waiting[0].start_s
        for transfer in waiting:
            self._schedule(transfer.message, transfer.wire_bytes, now_s)

    def set_up(self, up: bool, now_s: float) -> int:
        """Take the link down or up again; gives how many messages were on the wire and are lost.

        What has arrived by now, and was not fetched with `due` yet, is not lost.
        """
        if up == self.up:
            return 0
        self.up = up
        waiting = self._take_waiting(now_s)
        arrived = [t for t in self._pending if t.stop_s <= now_s]
        lost = len(self._pending) - len(arrived)
        self._pending = deque(arrived)
        self._busy_until_s = now_s if up else math.inf
        for transfer in waiting:
            self._schedule(transfer.message, transfer.wire_bytes, now_s)
        return lost

    def due(self, now_s: float) -> list[Transfer[Message]]:
        """Messages whose last bit has arrived, in order."""
        arrived = []
        while self._pending and self._pending[0].stop_s <= now_s:
            arrived.append(self._pending.popleft())
        return arrived

    @property
    def next_arrival_s(self) -> float | None:
        """When the next message arrives; None if nothing will before something changes."""
        return self._pending[0].stop_s if self._pending and self._pending[0].stop_s < math.inf else None

    @property
    def queued_messages(self) -> int:
        return len(self._pending)

    @property
    def queued_bytes(self) -> int:
        return sum(t.wire_bytes for t in self._pending)

    def _take_waiting(self, now_s: float) -> list[Transfer[Message]]:
        waiting = [t for t in self._pending if t.start_s > now_s]
        self._pending = deque(t for t in self._pending if t.start_s <= now_s)
        return waiting

    def _schedule(self, message: Message, wire_bytes: int, now_s: float) -> None:
        start_s = max(now_s, self._busy_until_s)
        self._busy_until_s = start_s + 8.0 * wire_bytes / self.rates.rate_bps
        arrival_s = self._busy_until_s + self.rates.propagation_s
        if self._pending:
            # After the delay was shortened, a later message may not overtake an earlier one.
            arrival_s = max(arrival_s, self._pending[-1].stop_s)
        self._pending.append(Transfer(message, wire_bytes, start_s, arrival_s))
