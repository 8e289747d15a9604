"""Carries messages over emulated links, and publishes each when its last bit has arrived."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rclpy.publisher import Publisher

from satllm_ros import msg as m
from satllm_ros.links.link_faults import Arrival, FaultShares, FaultyLink
from satllm_ros.links.link_pairs import Pair, kind_of
from satllm_ros.links.link_queue import LinkRates

# In quotes: before Kilted a publisher has no type of message.
Carried: TypeAlias = "tuple[bytes, m.BatchId, Publisher[Any]]"


@dataclass(frozen=True)
class LinkSetting:
    """How one link is set at the moment."""

    rates: LinkRates
    is_up: bool
    shares: FaultShares


class Courier:
    """All emulated links, and a thread that sleeps until the next arrival: to poll would cost a tenth of a core.

    Parameters
    ----------
    links
        By sender and receiver, from now on the courier's own.
    tells_all
        Whether the state of every link is worth telling from the start; else of those to the ground, and of any that
        carried something or was ever down.
    on_carried
        Called from the thread after each message that was published.
    """

    def __init__(
        self,
        links: Mapping[Pair, FaultyLink[Carried]],
        on_carried: Callable[[Pair, Arrival[Carried]], None],
        *,
        tells_all: bool = False,
    ) -> None:
        self._links = dict(links)
        self._on_carried = on_carried
        self._sent = dict.fromkeys(self._links, (0, 0))
        self._told = {pair for pair in self._links if tells_all or kind_of(*pair) == "s2g"}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._deliver, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is on its way is lost."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def set(self, setting_of: Callable[[Pair], LinkSetting]) -> list[Pair]:
        """Put settings in force on all links; gives the links whose state others should be told."""
        changed = []
        with self._changed:
            now_s = time.monotonic()
            for pair, link in self._links.items():
                setting = setting_of(pair)
                link.shares = setting.shares
                is_told = pair in self._told and setting.rates != link.rates
                link.set_rates(setting.rates, now_s)
                if link.set_up(setting.is_up, now_s) or is_told:
                    changed.append(pair)
            self._told.update(changed)
            self._changed.notify()
        return changed

    def carries(self, pair: Pair) -> bool:
        """Whether there is a link from the one to the other."""
        return pair in self._links

    def offer(self, pair: Pair, message: Carried) -> None:
        """Send a message, already in its serialized form, over a link."""
        with self._changed:
            self._links[pair].offer(message, len(message[0]), time.monotonic())
            self._told.add(pair)
            self._changed.notify()

    def states(self, pairs: Iterable[Pair] | None = None) -> list[m.LinkState]:
        """States of these links, or of all that are worth telling, without a stamp."""
        with self._changed:
            return [self._state(pair) for pair in (sorted(self._told) if pairs is None else pairs)]

    def outcomes(self) -> tuple[Counter[str], list[str]]:
        """Messages by what became of them, and names of the links that are down."""
        with self._changed:
            causes: Counter[str] = sum((link.counts for link in self._links.values()), Counter())
            return causes, sorted("-".join(pair) for pair, link in self._links.items() if not link.up)

    def _state(self, pair: Pair) -> m.LinkState:
        link, (messages, total) = self._links[pair], self._sent[pair]
        return m.LinkState(
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

    def _deliver(self) -> None:
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
            for pair, arrival in arrived:
                self._hand_over(pair, arrival)

    def _hand_over(self, pair: Pair, arrival: Arrival[Carried]) -> None:
        serialized, _, publisher = arrival.transfer.message
        publisher.publish(serialized)
        messages, total = self._sent[pair]
        self._sent[pair] = (messages + 1, total + arrival.transfer.wire_bytes)
        self._on_carried(pair, arrival)
