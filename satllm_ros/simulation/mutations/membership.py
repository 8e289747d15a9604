"""Bugs in what is made of hellos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satllm_ros.protocol.membership.presence import Contact, Presence
from satllm_ros.simulation.network import LEASE_S


class OneEaredPresence(Presence):
    def contact(self, name: str, now_s: float) -> Contact:
        # Whoever is heard is taken for one who hears.
        return replace(super().contact(name, now_s), hears_us=True)


class FaithfulPresence(Presence):
    def contact(self, name: str, now_s: float) -> Contact:
        # Whoever was heard once is heard for ever.
        return replace(super().contact(name, now_s), is_heard=True)


class GraphBelievingPresence(Presence):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        self._lost: set[tuple[str, int]] = set()

    def contact(self, name: str, now_s: float) -> Contact:
        # As it was by names in the graph: whoever is found again after its lease has run out has lost its name.
        found = super().contact(name, now_s)
        if found.heard_age_s is not None and found.heard_age_s > LEASE_S:
            self._lost.add((name, found.boot_id))
        return replace(found, is_heard=False) if (name, found.boot_id) in self._lost else found
