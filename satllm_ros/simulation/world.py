"""A world for the processes: virtual clock, network with faults, lives and deaths. Same seed, same history."""

# long: to be split: the network, and lives of processes

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from satllm_ros.protocol.delivery import BatchKey, batch_key
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.membership.ground_contact import GroundContact
from satllm_ros.protocol.membership.presence import Hello, HelloState, Presence, PresenceLimits, Sign
from satllm_ros.simulation.oracle import Oracle
from satllm_ros.simulation.processes.messages import Batch, Predictions, Receipt
from satllm_ros.simulation.processes.process import GROUND, SENSING, Process
from satllm_ros.simulation.processes.satellite import Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.processes.story import describe

TICK_S = 1.0
# As measured: a reader and a writer that are both up find each other after this long.
DISCOVERY_S = (0.4, 3.0)
DATA_DEPTH = 64
PRESENCE = PresenceLimits(period_s=1.0, contact_s=4.0)
# A link that was down for so long has to be found again.
LEASE_S = 10.0
# A hello comes within this or not at all.
LONGEST_HELLO_S = 1.0


class Killed(Exception):
    """The process was killed between two effects."""


@dataclass
class Weather:
    """Faults of the network; all probabilities are per message and receiver."""

    loss: float = 0.0
    # On top, of what links carry: batches, predictions and receipts.
    data_loss: float = 0.0
    duplication: float = 0.0
    corruption: float = 0.0
    # Messages are delayed by base + exponential(mean); independent draws reorder them.
    base_delay_s: float = 0.02
    mean_delay_s: float = 0.05
    block_s: float = 0.05
    load_s: float = 1.0
    write_s: float = 0.02


@dataclass
class _Life:
    up: bool = False
    stopped: bool = False
    number: int = 0
    born_s: float = 0.0
    # When it was last started or told to go on.
    disturbed_s: float = 0.0
    # Effects left until it is killed in the midst of them.
    fuse: int | None = None


class World:
    """Runs processes against a heap of events. Implements `process.Host`."""

    def __init__(
        self,
        seed: int,
        weather: Weather,
        watcher: Oracle,
        story: list[str] | None = None,
        *,
        presence: type[Presence] = Presence,
    ) -> None:
        self.random = random.Random(seed)
        # Hellos draw from their own, since there are many of them.
        self._air = random.Random(f"hellos {seed}")
        self._presence_machine = presence
        self._presence: dict[str, Presence] = {}
        self._contacts: dict[str, GroundContact] = {}
        self.weather = weather
        self.watcher = watcher
        self.story = story
        self.now_s = 0.0
        self.processes: dict[str, Process] = {}
        self.events = 0
        self._lives: dict[str, _Life] = {}
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._latched: dict[tuple[str, str], Any] = {}
        self._readers: dict[str, list[str]] = defaultdict(list)
        # First in, first out for each writer, topic and reader.
        self._last_arrival_s: dict[tuple[str, str, str], float] = {}
        self._frozen: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        # From whom to whom nothing comes through, and since when a pair cannot talk both ways.
        self._cut: set[tuple[str, str]] = set()
        self._broken_s: dict[frozenset[str], float] = {}
        # Pairs that have forgotten each other, and until when they look.
        self._looking_until_s: dict[frozenset[str], float] = {}
        # Who hears the hellos of satellites.
        self._observers: list[str] = [GROUND]
        # When a message between two of them was last lost.
        self._lost_s: dict[frozenset[str], float] = {}

    # Set up

    def add(self, process: Process) -> None:
        self.processes[process.name] = process
        self._lives[process.name] = _Life()
        for topic in process.topics:
            self._readers[topic].append(process.name)
        if "status" in process.topics:
            self._observers.append(process.name)

    def at(self, time_s: float, action: Callable[..., None], *arguments: Any) -> None:
        """Let something happen at a time."""
        self._count += 1
        heapq.heappush(self._heap, (time_s, self._count, action, arguments))

    def run(self, until_s: float, finished: Callable[[], bool]) -> bool:
        """Let time pass; whether it finished before `until_s`."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            self.now_s, _, action, arguments = heapq.heappop(heap)
            self.events += 1
            action(*arguments)
            if finished():
                return True
        self.now_s = until_s
        return False

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
        self._presence[name] = self._presence_machine(name, boot_id, list(self.processes), PRESENCE)
        self._contacts[name] = GroundContact(self.now_s)
        self.act(name, lambda: self.processes[name].start(self, boot_id))
        if not life.up:
            return
        self.at(self.now_s + self._air.random() * PRESENCE.period_s, self._greet, name, life.number)
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

    def _effect(self, name: str) -> None:
        life = self._lives[name]
        if life.fuse is not None:
            life.fuse -= 1
            if life.fuse < 0:
                life.fuse = None
                raise Killed

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
        self._effect(sender)
        if receiver == GROUND and isinstance(message, Predictions):
            self.watcher.sent_into(sender, self._broken_for_s(sender, receiver))
        weather, draw = self.weather, self.random.random
        copies = 2 if draw() < weather.duplication else 1
        for _ in range(copies):
            lost = draw() < weather.loss or self._lost_on_link(message) or self._is_cut(sender, receiver)
            # Volatile: a writer and a reader that do not know each other yet lose it.
            acquainted = self.now_s - max(self._lives[sender].born_s, self._lives[receiver].born_s) >= DISCOVERY_S[0]
            if lost or not acquainted or not self._lives[receiver].up:
                self._lost_s[frozenset((sender, receiver))] = self.now_s
                self.tell(lambda: f"lost: {sender} to {receiver}: {describe(message)}")
                continue
            arriving = self.watcher.corrupt(message) if draw() < weather.corruption else message
            delay_s = weather.base_delay_s + self.random.expovariate(1.0) * weather.mean_delay_s
            self.at(self.now_s + delay_s, self._arrive, receiver, arriving)

    def _lost_on_link(self, message: Any) -> bool:
        # No draw where there is nothing to draw for: a seed keeps its history.
        share = self.weather.data_loss
        return share > 0.0 and isinstance(message, (Batch, Predictions, Receipt)) and self.random.random() < share

    def publish(self, sender: str, topic: str, message: Any) -> None:
        self._effect(sender)
        self._latched[sender, topic] = message
        for reader in self._readers[topic]:
            if reader != sender and self._lives[reader].up:
                youth_s = self.now_s - max(self._lives[sender].born_s, self._lives[reader].born_s)
                self._deliver_latched(sender, topic, reader, message, max(0.0, DISCOVERY_S[0] - youth_s))

    def _deliver_latched(self, writer: str, topic: str, reader: str, message: Any, wait_s: float) -> None:
        delay_s = wait_s + self.weather.base_delay_s + self.random.expovariate(1.0) * self.weather.mean_delay_s
        key = (writer, topic, reader)
        arrival_s = max(self.now_s + delay_s, self._last_arrival_s.get(key, 0.0))
        self._last_arrival_s[key] = arrival_s
        self.at(arrival_s, self._arrive_latched, writer, topic, reader, self._lives[reader].number, message)

    def _arrive_latched(self, writer: str, topic: str, reader: str, life: int, message: Any) -> None:
        if self._is_cut(writer, reader):
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
        self._effect(process.name)
        weather = self.weather
        mean_s = {"compute": work * weather.block_s, "load": weather.load_s}.get(kind, weather.write_s)
        self.at(
            self.now_s + mean_s * self.random.uniform(0.5, 1.5),
            self._done,
            process.name,
            self._lives[process.name].number,
            kind,
            event,
        )

    def _done(self, name: str, number: int, kind: str, event: tuple[Any, ...]) -> None:
        if self._lives[name].number == number:
            self._hand(name, kind, event)

    # Hellos: said and heard beside the process, which is only told what follows

    def _greet(self, name: str, number: int) -> None:
        life = self._lives[name]
        if not life.up or life.number != number:
            return
        self.at(self.now_s + PRESENCE.period_s, self._greet, name, number)
        if life.stopped:
            return
        presence = self._presence[name]
        hello = presence.say(self.now_s, state=HelloState.READY)
        if isinstance(self.processes[name], Satellite):
            self._contacts[name].look(presence.contact(GROUND, self.now_s), True, self.now_s)
            receivers = self._observers
        elif name == GROUND:
            receivers = [each.name for each in self.processes.values() if isinstance(each, Satellite)]
        else:
            # Nobody here waits for those of sensing and of planners.
            receivers = []
        for receiver in receivers:
            self._send_hello(name, receiver, hello)

    def _send_hello(self, sender: str, receiver: str, hello: Hello) -> None:
        weather, draw = self.weather, self._air.random
        for _ in range(2 if draw() < weather.duplication else 1):
            if draw() < weather.loss or self._is_cut(sender, receiver) or not self._lives[receiver].up:
                continue
            delay_s = min(LONGEST_HELLO_S, weather.base_delay_s + self._air.expovariate(1.0) * weather.mean_delay_s)
            self.at(self.now_s + delay_s, self._hear_hello, receiver, hello)

    def _hear_hello(self, receiver: str, hello: Hello) -> None:
        life = self._lives[receiver]
        if not life.up or life.stopped:
            return
        for answer in self._presence[receiver].on_hello(hello, self.now_s):
            if isinstance(answer, Sign) and "status" in self.processes[receiver].topics:
                process = self.processes[receiver]
                self.act(receiver, partial(process.hello, self, answer.name, answer.boot_id))

    # Links

    def cut(self, sender: str, receiver: str) -> None:
        """Let nothing more through from one to the other; what is under way arrives."""
        self.tell(lambda: f"nothing comes through from {sender} to {receiver}")
        self._cut.add((sender, receiver))
        self._broken_s.setdefault(frozenset((sender, receiver)), self.now_s)

    def mend(self, one: str, other: str) -> None:
        """Let everything through again, in both directions."""
        pair = frozenset((one, other))
        since_s = self._broken_s.pop(pair, None)
        if since_s is None:
            return
        self._cut -= {(one, other), (other, one)}
        self._lost_s[pair] = self.now_s
        if self.now_s - since_s < LEASE_S:
            self.tell(lambda: f"link {one} - {other} is up")
            return
        wait_s = self._air.uniform(*DISCOVERY_S)
        self.tell(lambda: f"link {one} - {other} is up; they find each other again in {wait_s:.1f} s")
        self._looking_until_s[pair] = self._lost_s[pair] = self.now_s + wait_s
        for (writer, topic), message in list(self._latched.items()):
            reader = other if writer == one else one
            if writer in pair and reader in self._readers[topic] and self._lives[reader].up:
                self._deliver_latched(writer, topic, reader, message, wait_s)

    def mend_all(self) -> None:
        for pair in sorted(map(sorted, self._broken_s)):
            self.mend(*pair)

    def say_link(self, satellite: str, up: bool) -> None:
        """Whoever drives the radio says, again and again, whether the link to the ground is up."""
        life = self._lives[satellite]
        if up == (frozenset((satellite, GROUND)) in self._broken_s):
            # It has changed meanwhile, and somebody else says it.
            return
        if life.up and not life.stopped:
            self._contacts[satellite].on_link(up, self.now_s)
            process = self.processes[satellite]
            assert isinstance(process, Satellite)
            self.act(satellite, partial(process.contact, self))
        if not up:
            self.at(self.now_s + TICK_S, self.say_link, satellite, up)

    def in_contact(self, satellite: str) -> bool:
        return self._contacts[satellite].is_open(self.now_s)

    def _is_cut(self, sender: str, receiver: str) -> bool:
        if (sender, receiver) in self._cut:
            return True
        return self.now_s < self._looking_until_s.get(frozenset((sender, receiver)), 0.0)

    def _broken_for_s(self, one: str, other: str) -> float:
        """Since when the first could have known that the two cannot talk both ways; 0 if they can."""
        since_s = self._broken_s.get(frozenset((one, other)))
        life = self._lives[one]
        return 0.0 if since_s is None else self.now_s - max(since_s, life.born_s, life.disturbed_s)

    # What really happened, for whoever judges

    def born_s(self, name: str) -> float:
        """When its present life, or its last one, began."""
        return self._lives[name].born_s

    def undisturbed_since_s(self, one: str, other: str) -> float:
        """Since when both live and go on, and no message between them was lost, nor their link cut."""
        pair = frozenset((one, other))
        if pair in self._broken_s:
            return self.now_s
        lives = (self._lives[one].disturbed_s, self._lives[other].disturbed_s)
        return max(*lives, self._lost_s.get(pair, 0.0))

    def under_way(self) -> set[BatchKey]:
        """Batches of which a copy is on its way through the chain, or waits or is worked on in it."""
        found: set[BatchKey] = set()
        for _, _, action, arguments in self._heap:
            # By name: a bound method is another object each time.
            kind = action.__name__
            if kind == "_arrive":
                _note_batch(found, arguments[1])
            elif kind == "_done" and self._lives[arguments[0]].number == arguments[1]:
                _note_batch(found, *arguments[3])
        for waiting in self._frozen.values():
            for _, event in waiting:
                _note_batch(found, *event)
        for process in self.processes.values():
            if isinstance(process, Satellite) and process.alive:
                for message, _, _ in process.inbox:
                    _note_batch(found, message)
        return found

    # Story

    def tell(self, text: Callable[[], str]) -> None:
        if self.story is not None:
            self.story.append(f"{self.now_s:9.3f} s  {text()}")


def _note_batch(found: set[BatchKey], *event: Any) -> None:
    if event and isinstance(event[0], Batch):
        found.add(batch_key(event[0].envelope.batch))
    elif event and isinstance(event[0], Predictions):
        found.add(batch_key(event[0].batch))
    elif event and isinstance(event[0], BatchId):
        found.add(batch_key(event[0]))


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Every link between two of them."""
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
