"""What each process of the small world does in each of its states at each event: run once, then remembered."""

# long: one table of states and events

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.membership.liveness import LivenessLimits
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.satellite import Blocks
from satllm_ros.protocol.sensing import SensingLimits
from satllm_ros.protocol.signals import Ack, Report
from satllm_ros.protocol.vocabulary import Readiness, Verdict
from satllm_ros.simulation.oracle import Oracle, Violation
from satllm_ros.simulation.processes.images import Folder, make_image
from satllm_ros.simulation.processes.messages import Active, Proposed, Tile
from satllm_ros.simulation.processes.process import GROUND, MODEL_ID, RUN_ID, SENSING, Process
from satllm_ros.simulation.processes.satellite import Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.processes.story import describe
from satllm_ros.simulation.run import Parts

BLOCKS = 3
SATELLITES = ("sat1", "sat2", "sat3")
NAMES = (*SATELLITES, SENSING, GROUND)
PLANNER = -1
# Long enough for every time-out there is.
AGE_S = 100.0
LIMITS = SensingLimits(
    CustodyLimits(window_batches=2, copies_batches=2, stall_s=10.0, delivery_s=1000.0, query_s=10.0),
    LivenessLimits(period_s=1.0, window=4, suspect_misses=4, dead_misses=4),
    drain_s=10.0,
)
RAW = CodecSetting(Codec.RAW)

# (writer, topic, reader) of every latched topic.
HEARINGS: tuple[tuple[int, str, int], ...] = (
    *((PLANNER, "plan_proposed", reader) for reader in range(4)),
    *((3, "plan_active", reader) for reader in range(3)),
    *((3, "switch_state", reader) for reader in range(3)),
    *((writer, "status", 3) for writer in range(3)),
)

# New state, events sent, hearings due, members ready, plans committed.
Reaction = tuple[int, tuple[int, ...], int, int, tuple[int, ...]]


def _mask(wanted: Callable[[tuple[int, str, int]], bool]) -> int:
    return sum(1 << bit for bit, hearing in enumerate(HEARINGS) if wanted(hearing))


def _is_at(end: int, place: int, hearing: tuple[int, str, int]) -> bool:
    """Whether the speaker (end 0) or the hearer (end 2) is this one."""
    return hearing[end] == place


PROPOSED_TO = _mask(lambda hearing: hearing[1] == "plan_proposed")


def _plan(counter: int, *parts: tuple[str, int], downlink: str) -> Plan:
    starts = [0, *(stop for _, stop in parts)]
    stages = tuple(Stage(name, start, stop, RAW) for start, (name, stop) in zip(starts, parts, strict=False))
    return Plan(Epoch(1, counter), "planner", MODEL_ID, SENSING, stages, downlink).sealed()


PLANS = (
    _plan(1, ("sat1", 1), ("sat2", 2), ("sat3", 3), downlink="sat3"),
    _plan(2, ("sat1", 2), ("sat2", 3), downlink="sat1"),
)


class _Cut(Exception):
    """Killed between two effects."""


class _Host:
    """The host of one process for one event: notes what it does; all but loading is done at once."""

    def __init__(
        self, process: Process, watcher: Oracle, now_s: float, effects_left: int | None, slow_loads: bool
    ) -> None:
        self._slow_loads = slow_loads
        self._process = process
        self.watcher = watcher
        self.now_s = now_s
        self._effects_left = effects_left
        self.effects = 0
        self.sent: list[tuple[str, Any]] = []
        self.topics: list[str] = []
        self.loads: list[Blocks] = []
        self._work: list[tuple[str, tuple[Any, ...]]] = []

    def send(self, sender: str, receiver: str, message: Any) -> None:
        self._count()
        self.sent.append((receiver, message))

    def publish(self, sender: str, topic: str, message: Any) -> None:
        self._count()
        self.topics.append(topic)

    def later(self, process: Process, kind: str, work: float, *event: Any) -> None:
        self._count()
        if kind == "load" and self._slow_loads:
            self.loads.append(event[0])
        else:
            self._work.append((kind, event))

    def finish(self) -> None:
        """Do the work that was begun."""
        while self._work:
            kind, event = self._work.pop(0)
            self._process.done(self, kind, *event)

    def in_contact(self, satellite: str) -> bool:
        return True

    def tell(self, text: Callable[[], str]) -> None:
        """Nobody listens."""

    def _count(self) -> None:
        self.effects += 1
        if self._effects_left is not None and self.effects > self._effects_left:
            raise _Cut


class _LocalOracle(Oracle):
    """Judges what one process can be judged by alone, and notes the rest for the state of the world."""

    def __init__(self, process: Process) -> None:
        super().__init__(LIMITS.custody.window_batches)
        self.ready = 0
        self.commits: list[int] = []
        self.committed_plans = {plan.epoch: plan for plan in PLANS}
        if isinstance(process, Satellite):
            self.satellites = {process.name: process}
        elif isinstance(process, Sensing):
            self.sensing = process

    def committed(self, plan: Plan) -> None:
        self.commits.append(plan.epoch.counter)

    def announced(self, plan: Plan) -> None:
        """Only what was committed can be announced: its disk is its own."""

    def reported(self, report: Report) -> None:
        super().reported(report)
        if report.readiness is Readiness.READY:
            self.ready |= _ready_bit(report.satellite, report.about[0].counter)

    def check_names(self, tiles: tuple[Tile, ...]) -> None:
        """Needs to know what was read; the simulation judges it."""

    def unloaded(self, satellite: Satellite, blocks: Blocks) -> None:
        """Needs to know what is in flight; the simulation judges it."""


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
        self.spoken = [_mask(partial(_is_at, 0, place)) for place in range(len(NAMES))]
        self.heard = [_mask(partial(_is_at, 2, place)) for place in range(len(NAMES))]
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
        return sum(_ready_bit(name, counter) for name in PLANS[counter - 1].members)

    def is_finished(self, states: tuple[int, ...]) -> bool:
        """Whether sensing takes everything for delivered; it must be on the ground then."""
        key = (states[3], states[4])
        known = self._finished.get(key)
        if known is None:
            sensing, ground = self._thaw(states[3]), self._thaw(states[4])
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
        oracle = _LocalOracle(process)
        host = _Host(process, oracle, clock * AGE_S, effects_left, self._slow_loads)
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
        except _Cut:
            process.end()
        oracle.check_ledger()
        sent = [self._event(NAMES.index(receiver), "message", message) for receiver, message in host.sent]
        sent += [self._event(place, "load", blocks) for blocks in host.loads]
        due = _mask(lambda hearing: hearing[0] == place and hearing[1] in host.topics)
        number = self._freeze(process)
        return (number, tuple(sorted(sent)), due, oracle.ready, tuple(oracle.commits)), host.effects

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


def _age(process: Process, host: _Host) -> None:
    if isinstance(process, Sensing):
        for name in SATELLITES:
            # The life it knows of; of another it hears by its report.
            if boot_id := process.protocol.liveness.boot_id(name):
                process.hello(host, name, boot_id)
    process.tick(host)


def _ready_bit(name: str, counter: int) -> int:
    return 1 << (SATELLITES.index(name) + len(SATELLITES) * (counter - 1))


def _one() -> int:
    return 1
