"""A world for the processes: virtual clock, messages on their way, lives and deaths. Same seed, same history."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

from satllm_ros.protocol.delivery import BatchKey
from satllm_ros.protocol.membership.hello import Hello
from satllm_ros.protocol.membership.presence import Presence
from satllm_ros.simulation.clock import Clock
from satllm_ros.simulation.hellos import PRESENCE, Hellos
from satllm_ros.simulation.life import Killed, Life
from satllm_ros.simulation.network import DISCOVERY_S, LEASE_S, Links, NetworkFaults
from satllm_ros.simulation.oracle import Oracle
from satllm_ros.simulation.processes.ends import Planner
from satllm_ros.simulation.processes.messages import Batch, Predictions, Receipt, batch_of
from satllm_ros.simulation.processes.process import GROUND, SENSING, Process
from satllm_ros.simulation.processes.satellite import Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.processes.story import describe

TICK_S = 1.0
DATA_DEPTH = 64


class World(Clock):
    """Runs processes against a heap of events. Implements `process.Host`."""

    def __init__(
        self,
        seed: int,
        faults: NetworkFaults,
        watcher: Oracle,
        story: list[str] | None = None,
        *,
        presence: type[Presence] = Presence,
    ) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.faults = faults
        self.watcher = watcher
        self.story = story
        self.processes: dict[str, Process] = {}
        self._lives: dict[str, Life] = {}
        self._latched: dict[tuple[str, str], Any] = {}
        self._readers: dict[str, list[str]] = defaultdict(list)
        # First in, first out for each writer, topic and reader.
        self._last_arrival_s: dict[tuple[str, str, str], float] = {}
        self._frozen: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        self._links = Links()
        self._hellos = Hellos(seed, presence)

    # Set up

    def add(self, process: Process) -> None:
        self.processes[process.name] = process
        self._lives[process.name] = Life()
        for topic in process.topics:
            self._readers[topic].append(process.name)
        self._hellos.add(
            process.name, is_satellite=isinstance(process, Satellite), is_observer="status" in process.topics
        )

    # Lives

    def is_up(self, name: str) -> bool:
        return self._lives[name].up

    def is_stopped(self, name: str) -> bool:
        return self._lives[name].stopped

    def disarm(self, name: str) -> None:
        """Whoever was to be killed amid its work is spared."""
        self._lives[name].fuse = None

    def act(self, name: str, action: Callable[[], None]) -> None:
        """Let a process do something, during which it may be killed."""
        try:
            action()
        except Killed:
            self.kill(name)

    def boot(self, name: str) -> None:
        """Start a process; no-op if it runs."""
        life = self._lives[name]
        if life.up:
            return
        life.up, life.stopped, life.fuse = True, False, None
        self.processes[name].alive = True
        life.number += 1
        life.born_s = life.disturbed_s = self.now_s
        self.tell(lambda: f"{name} starts (life {life.number})")
        boot_id = self.random.getrandbits(64) or 1
        self._hellos.begin_life(name, boot_id, list(self.processes), self.now_s)
        self.act(name, lambda: self.processes[name].start(self, boot_id))
        if not life.up:
            return
        self.at(self.now_s + self._hellos.random.random() * PRESENCE.period_s, self._greet, name, life.number)
        self.at(self.now_s + self.random.random() * TICK_S, self._tick, name, life.number)
        for (writer, topic), message in list(self._latched.items()):
            if name in self._readers[topic] and writer != name:
                self._deliver_latched(writer, topic, name, message, self.random.uniform(*DISCOVERY_S))

    def kill(self, name: str) -> None:
        """End a process at once: its memory, timers and latched messages are gone."""
        life = self._lives[name]
        if not life.up:
            return
        self.tell(lambda: f"{name} is killed")
        process = self.processes[name]
        if isinstance(process, Sensing):
            self.watcher.sensing_died(process)
        life.up = life.stopped = process.alive = False
        self._frozen.pop(name, None)
        for key in [key for key in self._latched if key[0] == name]:
            del self._latched[key]

    def kill_amid(self, name: str, effects: int) -> None:
        """Kill a process after so many more things it does, between two of them if need be."""
        self._lives[name].fuse = effects

    def stop(self, name: str) -> None:
        """SIGSTOP: it keeps its memory and does nothing; what arrives waits for it."""
        if self._lives[name].up:
            self.tell(lambda: f"{name} is stopped")
            self._lives[name].stopped = True

    def resume(self, name: str) -> None:
        """SIGCONT."""
        life = self._lives[name]
        if not life.stopped:
            return
        self.tell(lambda: f"{name} goes on")
        life.stopped, life.disturbed_s = False, self.now_s
        for kind, event in self._frozen.pop(name, []):
            if life.up and not life.stopped:
                self.act(name, self._meaning(name, kind, event))

    def _tick(self, name: str, number: int) -> None:
        life = self._lives[name]
        if not life.up or life.number != number:
            return
        self.at(self.now_s + TICK_S, self._tick, name, number)
        if not life.stopped:
            self.act(name, lambda: self.processes[name].tick(self))
            if name == SENSING and life.up:
                self.watcher.looked(self)

    # What processes ask for

    def send(self, sender: str, receiver: str, message: Any) -> None:
        self._lives[sender].spend()
        if receiver == GROUND and isinstance(message, Predictions):
            self.watcher.sent_into(sender, self._broken_for_s(sender, receiver))
        on_link = isinstance(message, (Batch, Predictions, Receipt))
        for _ in range(self.faults.copies(self.random)):
            lost = self.faults.loses(self.random, on_link=on_link)
            lost = lost or self._links.is_cut(sender, receiver, self.now_s)
            # Volatile: a writer and a reader that do not know each other yet lose it.
            acquainted = self.now_s - max(self._lives[sender].born_s, self._lives[receiver].born_s) >= DISCOVERY_S[0]
            if lost or not acquainted or not self._lives[receiver].up:
                self._links.lose(sender, receiver, self.now_s)
                self.tell(lambda: f"lost: {sender} to {receiver}: {describe(message)}")
                continue
            arriving = self.watcher.corrupt(message) if self.random.random() < self.faults.corruption else message
            self.at(self.now_s + self.faults.delay_s(self.random), self._arrive, receiver, arriving)

    def publish(self, sender: str, topic: str, message: Any) -> None:
        self._lives[sender].spend()
        self._latched[sender, topic] = message
        for reader in self._readers[topic]:
            if reader != sender and self._lives[reader].up:
                youth_s = self.now_s - max(self._lives[sender].born_s, self._lives[reader].born_s)
                self._deliver_latched(sender, topic, reader, message, max(0.0, DISCOVERY_S[0] - youth_s))

    def _deliver_latched(self, writer: str, topic: str, reader: str, message: Any, wait_s: float) -> None:
        key = (writer, topic, reader)
        arrival_s = max(self.now_s + self.faults.delay_s(self.random, wait_s), self._last_arrival_s.get(key, 0.0))
        self._last_arrival_s[key] = arrival_s
        self.at(arrival_s, self._arrive_latched, writer, topic, reader, self._lives[reader].number, message)

    def _arrive_latched(self, writer: str, topic: str, reader: str, life: int, message: Any) -> None:
        if self._links.is_cut(writer, reader, self.now_s):
            # Reliable: it comes through as soon as the two can talk, and keep-last leaves only the newest.
            if self._latched.get((writer, topic)) is message:
                self.at(self.now_s + 0.5, self._arrive_latched, writer, topic, reader, life, message)
            return
        if self._lives[reader].number == life:
            self._arrive(reader, message)

    def _arrive(self, receiver: str, message: Any) -> None:
        self._hand(receiver, "message", (message,))

    def _hand(self, name: str, kind: str, event: tuple[Any, ...]) -> None:
        life = self._lives[name]
        if not life.up:
            return
        if life.stopped:
            frozen = self._frozen[name]
            if kind != "message" or sum(k == "message" for k, _ in frozen) < DATA_DEPTH:
                frozen.append((kind, event))
            return
        self.act(name, self._meaning(name, kind, event))

    def _meaning(self, name: str, kind: str, event: tuple[Any, ...]) -> Callable[[], None]:
        process = self.processes[name]
        if kind == "message":
            self.tell(lambda: f"{name} hears {describe(event[0])}")
            return lambda: process.take(self, *event)
        return lambda: process.done(self, kind, *event)

    def later(self, process: Process, kind: str, work: float, *event: Any) -> None:
        self._lives[process.name].spend()
        done_s = self.now_s + self.faults.work_s(self.random, kind, work)
        self.at(done_s, self._done, process.name, self._lives[process.name].number, kind, event)

    def _done(self, name: str, number: int, kind: str, event: tuple[Any, ...]) -> None:
        if self._lives[name].number == number:
            self._hand(name, kind, event)

    # Hellos

    def _greet(self, name: str, number: int) -> None:
        life = self._lives[name]
        if not life.up or life.number != number:
            return
        self.at(self.now_s + PRESENCE.period_s, self._greet, name, number)
        if life.stopped:
            return
        hello, receivers = self._hellos.say(name, self.now_s)
        for receiver in receivers:
            for _ in range(self._hellos.copies(self.faults)):
                is_lost = self._hellos.is_lost(self.faults) or self._links.is_cut(name, receiver, self.now_s)
                if not is_lost and self._lives[receiver].up:
                    self.at(self.now_s + self._hellos.delay_s(self.faults), self._hear_hello, receiver, hello)

    def _hear_hello(self, receiver: str, hello: Hello) -> None:
        life = self._lives[receiver]
        if not life.up or life.stopped:
            return
        process = self.processes[receiver]
        for sign in self._hellos.hear(receiver, hello, self.now_s):
            if isinstance(process, (Sensing, Planner)):
                self.act(receiver, partial(process.hello, self, sign.name, sign.boot_id))

    # Links

    def cut(self, sender: str, receiver: str) -> None:
        """Let nothing more through from one to the other; what is under way arrives."""
        self.tell(lambda: f"nothing comes through from {sender} to {receiver}")
        self._links.cut(sender, receiver, self.now_s)

    def mend(self, one: str, other: str) -> None:
        """Let everything through again, in both directions."""
        since_s = self._links.mend(one, other, self.now_s)
        if since_s is None:
            return
        if self.now_s - since_s < LEASE_S:
            self.tell(lambda: f"link {one} - {other} is up")
            return
        wait_s = self._hellos.random.uniform(*DISCOVERY_S)
        self.tell(lambda: f"link {one} - {other} is up; they find each other again in {wait_s:.1f} s")
        self._links.forget(one, other, self.now_s + wait_s)
        for (writer, topic), message in list(self._latched.items()):
            reader = other if writer == one else one
            if writer in (one, other) and reader in self._readers[topic] and self._lives[reader].up:
                self._deliver_latched(writer, topic, reader, message, wait_s)

    def mend_all(self) -> None:
        for one, other in self._links.broken_pairs():
            self.mend(one, other)

    def say_link(self, satellite: str, up: bool) -> None:
        """Whoever drives the radio says, again and again, whether the link to the ground is up."""
        life = self._lives[satellite]
        if up == (self._links.broken_since_s(satellite, GROUND) is not None):
            # It has changed meanwhile, and somebody else says it.
            return
        if life.up and not life.stopped:
            self._hellos.on_link(satellite, up, self.now_s)
            process = self.processes[satellite]
            assert isinstance(process, Satellite)
            self.act(satellite, partial(process.contact, self))
        if not up:
            self.at(self.now_s + TICK_S, self.say_link, satellite, up)

    def in_contact(self, satellite: str) -> bool:
        return self._hellos.in_contact(satellite, self.now_s)

    def _broken_for_s(self, one: str, other: str) -> float:
        """Since when the first could have known that the two cannot talk both ways; 0 if they can."""
        since_s = self._links.broken_since_s(one, other)
        life = self._lives[one]
        return 0.0 if since_s is None else self.now_s - max(since_s, life.born_s, life.disturbed_s)

    # What really happened, for whoever judges

    def born_s(self, name: str) -> float:
        """When its present life, or its last one, began."""
        return self._lives[name].born_s

    def undisturbed_since_s(self, one: str, other: str) -> float:
        """Since when both live and go on, and no message between them was lost, nor their link cut."""
        if self._links.broken_since_s(one, other) is not None:
            return self.now_s
        lives = (self._lives[one].disturbed_s, self._lives[other].disturbed_s)
        return max(*lives, self._links.last_lost_s(one, other))

    def under_way(self) -> set[BatchKey]:
        """Batches of which a copy is on its way through the chain, or waits or is worked on in it."""
        events: list[tuple[Any, ...]] = []
        for action, arguments in self.to_come():
            # By name: a bound method is another object each time.
            kind = action.__name__
            if kind == "_arrive":
                events.append(arguments[1:])
            elif kind == "_done" and self._lives[arguments[0]].number == arguments[1]:
                events.append(arguments[3])
        for waiting in self._frozen.values():
            events += [event for _, event in waiting]
        for process in self.processes.values():
            if isinstance(process, Satellite) and process.alive:
                events += [(message,) for message, _, _ in process.inbox]
        keys = (batch_of(event[0]) for event in events if event)
        return {key for key in keys if key is not None}

    # Story

    def tell(self, text: Callable[[], str]) -> None:
        if self.story is not None:
            self.story.append(f"{self.now_s:9.3f} s  {text()}")
