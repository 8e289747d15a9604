"""Hellos of the simulated processes: said and heard beside the process, which is only told what follows."""

from __future__ import annotations

import random
from collections.abc import Collection

from satllm_ros.protocol.membership.ground_contact import GroundContact
from satllm_ros.protocol.membership.hello import Hello, HelloState
from satllm_ros.protocol.membership.presence import Presence, PresenceLimits, Sign
from satllm_ros.simulation.network import NetworkFaults
from satllm_ros.simulation.processes.process import GROUND

PRESENCE = PresenceLimits(period_s=1.0, contact_s=4.0)
# A hello comes within this or not at all.
LONGEST_HELLO_S = 1.0


class Hellos:
    """Who says hello to whom, how long that takes, and what everybody makes of it.

    Attributes
    ----------
    random
        Hellos draw from their own, since there are many of them.
    """

    def __init__(self, seed: int, machine: type[Presence]) -> None:
        self.random = random.Random(f"hellos {seed}")
        self._machine = machine
        self._presence: dict[str, Presence] = {}
        self._contacts: dict[str, GroundContact] = {}
        self._satellites: list[str] = []
        # Who hears the hellos of satellites.
        self._observers: list[str] = [GROUND]

    def add(self, name: str, *, is_satellite: bool, is_observer: bool) -> None:
        """There is one more process."""
        if is_satellite:
            self._satellites.append(name)
        if is_observer:
            self._observers.append(name)

    def begin_life(self, name: str, boot_id: int, members: Collection[str], now_s: float) -> None:
        """A process is started."""
        self._presence[name] = self._machine(name, boot_id, members, PRESENCE)
        self._contacts[name] = GroundContact(now_s)

    def say(self, name: str, now_s: float) -> tuple[Hello, list[str]]:
        """The next hello of a process, and who hears it."""
        presence = self._presence[name]
        hello = presence.say(now_s, state=HelloState.READY)
        if name in self._satellites:
            self._contacts[name].look(presence.contact(GROUND, now_s), True, now_s)
            return hello, self._observers
        # Nobody here waits for those of sensing and of planners.
        return hello, self._satellites if name == GROUND else []

    def copies(self, faults: NetworkFaults) -> int:
        """How often the network delivers one."""
        return faults.copies(self.random)

    def is_lost(self, faults: NetworkFaults) -> bool:
        return faults.loses(self.random, on_link=False)

    def delay_s(self, faults: NetworkFaults) -> float:
        """How long one is on its way."""
        return min(LONGEST_HELLO_S, faults.delay_s(self.random))

    def hear(self, name: str, hello: Hello, now_s: float) -> list[Sign]:
        """A process hears a hello; gives the signs of life in it."""
        return [answer for answer in self._presence[name].on_hello(hello, now_s) if isinstance(answer, Sign)]

    def on_link(self, satellite: str, up: bool, now_s: float) -> None:
        """Whoever drives a satellite's radio says whether the link to the ground is up."""
        self._contacts[satellite].on_link(up, now_s)

    def in_contact(self, satellite: str, now_s: float) -> bool:
        return self._contacts[satellite].is_open(now_s)
