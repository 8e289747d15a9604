"""Which links a contact plan opens at a time, and what they carry then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from satllm_ros.links.link_pairs import MAX_RATE_BPS, Pair
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.orbit.contact_plan import Contact


class ContactSchedule:
    """Follows a contact plan; a pure state machine: the caller brings the time [s, from the epoch], forward or back.

    Parameters
    ----------
    speed
        Seconds of the plan in a second of whoever sends: links carry that much more in it, and are that much shorter.
    """

    def __init__(self, contacts: Sequence[Contact], speed: float = 1.0) -> None:
        self._contacts, self._speed = contacts, speed
        self._edges = sorted({edge for contact in contacts for edge in (contact.start_s, contact.stop_s)})
        self._place: int | None = None
        self._open: dict[Pair, LinkRates] = {}

    def look(self, now_s: float) -> bool:
        """Take the time; whether an edge was passed, so that links may have changed."""
        place = bisect_right(self._edges, now_s)
        if place == self._place:
            return False
        self._place = place
        self._open = {
            (c.sender, c.receiver): rates_of(c, self._speed) for c in self._contacts if c.start_s <= now_s < c.stop_s
        }
        return True

    def rates(self, pair: Pair) -> LinkRates | None:
        """What a link carries since the last look; None while it is closed."""
        return self._open.get(pair)

    @property
    def next_edge_s(self) -> float | None:
        """When something changes next; None if nothing will any more."""
        place = self._place or 0
        return self._edges[place] if place < len(self._edges) else None


def rates_of(contact: Contact, speed: float) -> LinkRates:
    """Rate and delay in the seconds of whoever sends; no link carries less than a bit in one."""
    return LinkRates(min(MAX_RATE_BPS, max(1.0, contact.rate_bps * speed)), contact.delay_s / speed)


def first_rates(contacts: Sequence[Contact], pairs: Sequence[Pair], speed: float) -> dict[Pair, LinkRates]:
    """Of each link its rates in its first contact; of one that never opens the least there are: no plan takes it."""
    rates: dict[Pair, LinkRates] = dict.fromkeys(pairs, LinkRates(1.0))
    for contact in sorted(contacts, key=lambda contact: -contact.start_s):
        rates[contact.sender, contact.receiver] = rates_of(contact, speed)
    return rates
