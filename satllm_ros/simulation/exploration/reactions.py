"""What each process of the small world does in each of its states at each event: run once, then remembered."""

from __future__ import annotations

import io
import pickle
from typing import Any, NamedTuple

from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Verdict
from satllm_ros.simulation.exploration.one_event import Cut, Host, LocalOracle
from satllm_ros.simulation.exploration.small_world import (
    BLOCKS,
    GROUND_PLACE,
    HEARINGS,
    LIMITS,
    NAMES,
    PLANNER,
    PLANS,
    SATELLITES,
    SENSING_PLACE,
    heard_by,
    mask,
    ready_bit,
    spoken_by,
)
from satllm_ros.simulation.oracle import Violation
from satllm_ros.simulation.processes.images import Folder, make_image
from satllm_ros.simulation.processes.messages import Active, Proposed
from satllm_ros.simulation.processes.process import MODEL_ID, RUN_ID, Process
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.processes.story import describe
from satllm_ros.simulation.run import Parts

# Long enough for every time-out there is.
AGE_S = 100.0


class Reaction(NamedTuple):
    """What a process does at an event.

    Attributes
    ----------
    state
        The one that it is in then.
    sent
        Events that are on their way then.
    due
        Hearings that are due then, as bits.
    ready
        Members that have said that they are ready, as bits.
    commits
        Counters of plans that were committed.
    """

    state: int
    sent: tuple[int, ...]
    due: int
    ready: int
    commits: tuple[int, ...]


class Reactions:
    """Gives processes' states and events numbers, and knows what follows from each pair of them."""

    def __init__(self, parts: Parts, *, tiles: int, tight: bool, slow_loads: bool) -> None:
        self._tiles = tiles
        self._slow_loads = slow_loads
        self._states: dict[bytes, int] = {}
        self._frozen: list[bytes] = []
        self._event_numbers: dict[tuple[int, str, Any], int] = {}
        self._events: list[tuple[int, str, Any]] = []
        self.place_of: list[int] = []
        # Acknowledgements of the ground to satellites.
        self.receipts: set[int] = set()
        # Acknowledgements to sensing, and the life of sensing they are meant for.
        self._acks_life: dict[int, int] = {}
        self._known_foreign: dict[tuple[tuple[int, ...], int], tuple[int, ...]] = {}
        self._known: dict[tuple[int, int, int], Reaction] = {}
        self._known_cuts: dict[tuple[int, int], list[Reaction]] = {}
        self._known_deaths: dict[int, int] = {}
        self._spoken: dict[tuple[int, str], int] = {}
        self._finished: dict[tuple[int, int], bool] = {}
        self.spoken = [spoken_by(place) for place in range(len(NAMES))]
        self.heard = [heard_by(place) for place in range(len(NAMES))]
        self.killing = [self._event(place, "killed", None) for place in range(len(NAMES))]
        self.proposing = self._event(PLANNER, "proposes", PLANS[1])
        self._proposals = [
            [self._event(reader, "message", Proposed(plan)) for reader in range(len(NAMES))] for plan in PLANS
        ]
        self._boots = [self._event(place, "boot", None) for place in range(len(NAMES))]
        self._ages = [self._event(place, "tick", None) for place in range(len(NAMES))]
        satellites = [
            parts.satellite(
                name,
                SATELLITES,
                layer_bytes=(1,) * BLOCKS,
                budget_bytes=2 if tight and name == "sat1" else 2 * BLOCKS,
                resend_s=10.0,
            )
            for name in SATELLITES
        ]
        folder = Folder([make_image(number, "equal") for number in range(tiles)])
        sensing = parts.sensing(SATELLITES, LIMITS, blocks=BLOCKS, batch_tiles=_one, folder=folder)
        sensing.begin(RUN_ID, MODEL_ID)
        ground = parts.ground(SATELLITES, model_id=MODEL_ID, known_run=RUN_ID)
        self.blank = tuple(map(self._freeze, (*satellites, sensing, ground)))

    # What is asked

    def react(self, state: int, event: int, clock: int = 0) -> Reaction:
        """What a process does at an event."""
        key = (state, event, clock)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._run(state, event, clock, None)[0]
        return known

    def cut_short(self, state: int, event: int) -> list[Reaction]:
        """What it has done by then, if it is killed before its first effect, after it, and so on."""
        key = (state, event)
        known = self._known_cuts.get(key)
        if known is None:
            effects = self._run(state, event, 0, None)[1]
            cuts = [self._run(state, event, 0, left)[0] for left in range(effects)]
            known = self._known_cuts[key] = list(dict.fromkeys(cuts))
        return known

    def boot(self, state: int, place: int) -> Reaction:
        """A new life begins."""
        return self.react(state, self._boots[place])

    def age(self, state: int, place: int, clock: int) -> Reaction:
        """Every time-out is over."""
        return self.react(state, self._ages[place], clock)

    def dead(self, state: int) -> int:
        """What is left of a process that was killed."""
        known = self._known_deaths.get(state)
        if known is None:
            process = self._thaw(state)
            process.end()
            known = self._known_deaths[state] = self._freeze(process)
        return known

    def hearing(self, bit: int, states: tuple[int, ...], proposals: int) -> int:
        """The event of hearing the last value of a latched topic."""
        writer, topic, reader = HEARINGS[bit]
        if writer == PLANNER:
            return self._proposals[proposals - 1][reader]
        key = (states[writer], f"{topic} {reader}")
        known = self._spoken.get(key)
        if known is None:
            known = self._spoken[key] = self._event(reader, "message", self._published(states[writer], topic))
        return known

    def without_foreign(self, events: tuple[int, ...], sensing: int) -> tuple[int, ...]:
        """Without acknowledgements for a life of sensing that is over: whenever they are heard, they say nothing."""
        key = (events, sensing)
        known = self._known_foreign.get(key)
        if known is None:
            boot_id = self._thaw(sensing).boot_id
            known = self._known_foreign[key] = tuple(e for e in events if self._acks_life.get(e, boot_id) == boot_id)
        return known

    def members(self, counter: int) -> int:
        """Who must be ready for a plan, as bits."""
        return sum(ready_bit(name, counter) for name in PLANS[counter - 1].members)

    def is_finished(self, states: tuple[int, ...]) -> bool:
        """Whether sensing takes everything for delivered; it must be on the ground then."""
        key = (states[SENSING_PLACE], states[GROUND_PLACE])
        known = self._finished.get(key)
        if known is None:
            sensing, ground = self._thaw(states[SENSING_PLACE]), self._thaw(states[GROUND_PLACE])
            assert isinstance(sensing, Sensing)
            known = self._finished[key] = sensing.finished
            rows = len(ground.disk["rows"])
            if known and rows != self._tiles:
                raise Violation(f"sensing takes all for delivered, the ground has {rows} of {self._tiles} tiles")
        return known

    def words(self, event: int) -> str:
        """An event as a line of a story."""
        place, kind, what = self._events[event]
        if kind == "message":
            return f"{NAMES[place]} hears {describe(what)}"
        if kind == "load":
            return f"{NAMES[place]} has loaded blocks ({what[0]}, {what[1]}]"
        return f"{NAMES[place] if place >= 0 else 'planner'} {kind}"

    # How it is answered

    def _run(self, state: int, event: int, clock: int, effects_left: int | None) -> tuple[Reaction, int]:
        process = self._thaw(state)
        place, kind, what = self._events[event]
        oracle = LocalOracle(process)
        host = Host(process, oracle, clock * AGE_S, effects_left, self._slow_loads)
        try:
            if kind == "boot":
                process.alive = True
                process.start(host, process.boot_id + 1)
            elif kind == "tick":
                _age(process, host)
            elif kind == "message":
                process.take(host, what)
            else:
                process.done(host, kind, what)
            host.finish()
        except Cut:
            process.end()
        oracle.check_ledger()
        sent = [self._event(NAMES.index(receiver), "message", message) for receiver, message in host.sent]
        sent += [self._event(place, "load", blocks) for blocks in host.loads]
        due = mask(lambda hearing: hearing.writer == place and hearing.topic in host.topics)
        number = self._freeze(process)
        return Reaction(number, tuple(sorted(sent)), due, oracle.ready, tuple(oracle.commits)), host.effects

    def _published(self, state: int, topic: str) -> Any:
        # What it has published last follows from the state it is in.
        process = self._thaw(state)
        if topic == "status":
            return process.protocol.report
        return Active(process.protocol.active) if topic == "plan_active" else process.protocol.switch

    def _event(self, place: int, kind: str, what: Any) -> int:
        key = (place, kind, what)
        number = self._event_numbers.get(key)
        if number is None:
            number = self._event_numbers[key] = len(self._events)
            self._events.append(key)
            self.place_of.append(place)
            if isinstance(what, Ack) and what.verdict is Verdict.DELIVERED and NAMES[place] in SATELLITES:
                self.receipts.add(number)
            elif isinstance(what, Ack):
                self._acks_life[number] = what.batch.boot_id
        return number

    def _freeze(self, process: Process) -> int:
        if isinstance(process, Sensing) and process.alive:
            # Counters tell of the past and change nothing that is to come.
            process.protocol.custody.causes.clear()
        file = io.BytesIO()
        pickler = pickle.Pickler(file, protocol=pickle.HIGHEST_PROTOCOL)
        # Equal states must give equal bytes, whether or not parts of them are the same object.
        pickler.fast = True
        pickler.dump(process)
        data = file.getvalue()
        number = self._states.get(data)
        if number is None:
            number = self._states[data] = len(self._frozen)
            self._frozen.append(data)
        return number

    def _thaw(self, state: int) -> Process:
        process: Process = pickle.loads(self._frozen[state])
        return process


def _age(process: Process, host: Host) -> None:
    if isinstance(process, Sensing):
        for name in SATELLITES:
            # The life it knows of; of another it hears by its report.
            if boot_id := process.protocol.liveness.boot_id(name):
                process.hello(host, name, boot_id)
    process.tick(host)


def _one() -> int:
    return 1
