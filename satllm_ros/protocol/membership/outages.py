"""Links of a chain that somebody says are down: an outage that is known is waited out; a pure state machine."""

from __future__ import annotations

from itertools import pairwise

from satllm_ros.interfaces import SENSING
from satllm_ros.protocol.membership.ground_contact import LINK_WORD_S
from satllm_ros.protocol.plan import Plan


class Outages:
    """What is said of links; a word that nobody repeats is forgotten."""

    def __init__(self) -> None:
        self._down_until_s: dict[tuple[str, str], float] = {}

    def on_link(self, sender: str, receiver: str, up: bool, now_s: float) -> None:
        """Somebody says whether a link is up."""
        if up:
            self._down_until_s.pop((sender, receiver), None)
        else:
            self._down_until_s[sender, receiver] = now_s + LINK_WORD_S

    def stop(self, plan: Plan, now_s: float) -> bool:
        """Whether one of the links that batches of this plan cross up to their store is down."""
        way = [SENSING, *plan.satellites]
        if plan.downlink != way[-1]:
            way.append(plan.downlink)
        return any(now_s < self._down_until_s.get(pair, now_s) for pair in pairwise(way))
