"""From a seed to a run: the constellation, the faults of the network, and what fails when."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.hop import HopLimits
from satllm_ros.protocol.identity import NO_EPOCH
from satllm_ros.protocol.membership.liveness import LivenessLimits
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.planner import PlannerLimits
from satllm_ros.protocol.sensing import SensingLimits
from satllm_ros.simulation.network import LEASE_S, NetworkFaults, pairs
from satllm_ros.simulation.processes.images import STAMPS
from satllm_ros.simulation.processes.process import GROUND, MODEL_ID, SENSING

BLOCKS = 8
LIVENESS = LivenessLimits(period_s=1.0, window=6, suspect_misses=3, dead_misses=5)
PLANNER = PlannerLimits(start_s=4.0, retry_s=12.0, yield_s=20.0, liveness=LIVENESS)
RESEND_S = 4.0
RAW = CodecSetting(Codec.RAW)
# The same run goes on; another run is flown, of the same, of a changed folder, of another model. Satellites keep their
# stores whichever run it is.
SEQUELS = ("same run", "same source", "changed source", "other model")


@dataclass(frozen=True)
class Fault:
    """At `time_s`, something goes wrong for `lasts_s`; None: until faults stop."""

    time_s: float
    kind: str
    names: tuple[str, ...]
    lasts_s: float | None = None
    effects: int = 0


@dataclass
class Scenario:
    """One run in full."""

    seed: int
    satellites: tuple[str, ...]
    planners: tuple[str, ...]
    budgets: dict[str, int]
    window_batches: int
    copies_batches: int
    tiles: int
    batch_tiles: tuple[int, ...]
    live_period_s: float | None
    live_tiles: int
    network: NetworkFaults
    faults_end_s: float
    faults: list[Fault] = field(default_factory=list)
    # Satellites that stay away once faults have ended.
    permanently_dead: frozenset[str] = frozenset()
    calm: bool = False
    # What images are called, and what becomes of a run.
    stamps: str = "rising"
    durable: bool = False
    # The ground is a computer of its own, which knows of the run only what sensing says.
    ground_apart: bool = False
    # The ground was given another model, and until when; None: it was not.
    wrong_ground_s: float | None = None
    # All processes end and are started again, as a run of this kind.
    sequel_s: float | None = None
    sequel: str = ""
    # How much longer than its least sensing waits before it takes silence for a loss.
    patience: float = 1.0
    # What is lost on a hop is sent again there; None: there are no receipts, custody does all.
    hop_limits: HopLimits | None = None

    @property
    def limits(self) -> SensingLimits:
        custody = CustodyLimits(
            self.window_batches,
            self.copies_batches,
            stall_s=8.0 * self.patience,
            delivery_s=25.0 * self.patience,
            query_s=5.0,
            attempts=60,
        )
        return SensingLimits(custody, LIVENESS, drain_s=10.0)


def make_scenario(seed: int) -> Scenario:
    """Draw everything from one seed."""
    draw = random.Random(seed)
    satellites = tuple(f"sat{i + 1}" for i in range(draw.choice((2, 3, 3, 4))))
    planners = ("planner-a", "planner-b")[: 1 + (draw.random() < 0.35)]
    share = -(-BLOCKS // len(satellites))
    tight = draw.random() < 0.45
    budgets = {
        name: draw.randint(share, share + 1) if tight and draw.random() < 0.7 else 2 * BLOCKS for name in satellites
    }
    calm = draw.random() < 0.1
    if calm:
        budgets = dict.fromkeys(satellites, 6 * BLOCKS)
    window = draw.randint(1, 4)
    live = draw.random() < 0.25
    scenario = Scenario(
        seed=seed,
        satellites=satellites,
        planners=planners[:1] if calm else planners,
        budgets=budgets,
        window_batches=window,
        copies_batches=window + draw.randint(0, 8),
        tiles=draw.randint(6, 36),
        batch_tiles=(1, 1, 2, 3),
        live_period_s=draw.uniform(0.2, 1.5) if live else None,
        live_tiles=draw.choice((3, 6, 100)),
        network=_network(draw, calm),
        faults_end_s=draw.uniform(5.0, 35.0),
        calm=calm,
    )
    _add_faults(scenario, draw)
    _add_identities(scenario, random.Random(f"identities {seed}"))
    _add_contacts(scenario, random.Random(f"contacts {seed}"))
    # As flown: a death is noticed long before patience ends, or one would do for the other.
    scenario.patience = random.Random(f"patience {seed}").choice((1.0, 4.0))
    hops = random.Random(f"hops {seed}")
    if hops.random() < 0.5:
        scenario.hop_limits = HopLimits(copies=hops.choice((2, 8)), resends=hops.choice((1, 3)))
    return scenario


def _network(draw: random.Random, calm: bool) -> NetworkFaults:
    faults = NetworkFaults(
        mean_delay_s=draw.choice((0.02, 0.1, 0.5)),
        block_s=draw.choice((0.02, 0.1, 0.3, 0.6)),
        load_s=draw.choice((0.2, 1.0, 3.0)),
        write_s=draw.choice((0.005, 0.05, 0.3)),
    )
    if calm:
        # One window may not overtake another by chance alone.
        return replace(faults, mean_delay_s=0.01, block_s=min(faults.block_s, 0.1))
    if draw.random() < 0.5:
        faults.loss = draw.choice((0.01, 0.05, 0.2))
    if draw.random() < 0.4:
        faults.duplication = draw.choice((0.05, 0.3))
    if draw.random() < 0.2:
        faults.corruption = 0.05
    return faults


def _add_faults(scenario: Scenario, draw: random.Random) -> None:
    end_s, satellites, planners = scenario.faults_end_s, scenario.satellites, scenario.planners
    processes = [*satellites, *planners, SENSING, GROUND]
    links = pairs([*satellites, SENSING]) + [(name, GROUND) for name in [*satellites, *satellites, SENSING]]
    for _ in range(draw.choice((0, 1, 2, 3, 5, 8))):
        scenario.faults.append(Fault(draw.uniform(2.0, end_s), "replan", (draw.choice(planners),)))
    if scenario.calm:
        return
    for _ in range(draw.choice((0, 1, 2, 2, 3, 4, 6))):
        kind = draw.choice(("kill",) * 6 + ("kill amid",) * 5 + ("kill and wipe",) + ("stop",) * 3 + ("outage",) * 4)
        lasts_s = draw.choice((0.2, 1.0, 3.0, 8.0, 20.0, None))
        victims = satellites if kind == "kill and wipe" else processes
        names = draw.choice(links) if kind == "outage" else (draw.choice(victims),)
        time_s = draw.uniform(0.0, end_s)
        scenario.faults.append(Fault(time_s, kind, tuple(names), lasts_s, draw.randint(0, 6)))
    candidates = sorted({f.names[0] for f in scenario.faults if f.kind.startswith("kill")} & set(satellites))
    if candidates and draw.random() < 0.4:
        dead = draw.choice(candidates)
        rest = sum(min(BLOCKS, scenario.budgets[name]) for name in satellites if name != dead)
        if rest >= BLOCKS:
            scenario.permanently_dead = frozenset({dead})
    if len(planners) == 2 and draw.random() < 0.5:
        # A planner that was away comes back with stale ideas.
        scenario.faults.append(Fault(draw.uniform(0.0, end_s), "stop", (planners[1],), draw.uniform(1.0, 20.0)))


def _add_identities(scenario: Scenario, draw: random.Random) -> None:
    scenario.stamps = draw.choice(STAMPS)
    scenario.ground_apart = draw.random() < 0.5
    if scenario.calm:
        return
    end_s = scenario.faults_end_s
    scenario.durable = scenario.live_period_s is not None and draw.random() < 0.6
    if draw.random() < 0.08:
        scenario.wrong_ground_s = draw.choice((draw.uniform(2.0, end_s), math.inf))
    if draw.random() < 0.25:
        scenario.sequel_s = draw.uniform(3.0, end_s)
        scenario.sequel = draw.choice(SEQUELS)
    if scenario.live_period_s is None and draw.random() < 0.35:
        for _ in range(draw.randint(1, 3)):
            how = draw.choice(("add", "replace", "remove"))
            scenario.faults.append(Fault(draw.uniform(1.0, end_s), "folder", (how,)))
        if draw.random() < 0.5:
            # Whoever lists it again sees the change.
            scenario.faults.append(Fault(draw.uniform(1.0, end_s), "kill", (SENSING,), draw.uniform(0.2, 5.0)))


def _add_contacts(scenario: Scenario, draw: random.Random) -> None:
    """Links that end with a word, that are away until they have to be found again, and that work one way."""
    if scenario.calm or draw.random() < 0.5:
        return
    down = [(name, GROUND) for name in scenario.satellites]
    links = [*pairs([*scenario.satellites, SENSING]), (SENSING, GROUND)]
    for _ in range(draw.randint(1, 3)):
        kind = draw.choice(("contact", "lease", "one way", "one way"))
        names = draw.choice(links if kind != "contact" and draw.random() < 0.35 else down)
        if kind == "one way" and draw.random() < 0.5:
            names = names[::-1]
        lasts_s = draw.uniform(LEASE_S, 2 * LEASE_S) if kind == "lease" else draw.choice((1.0, 5.0, 15.0, 25.0, None))
        scenario.faults.append(Fault(draw.uniform(0.0, scenario.faults_end_s), kind, names, lasts_s))


class Splitter:
    """A planner's idea of a good split: any that fits; another one whenever `variant` changes."""

    def __init__(self, scenario: Scenario, salt: int) -> None:
        self._scenario = scenario
        self._salt = salt
        self.variant = 0
        self.model_id = MODEL_ID

    def __call__(self, alive: tuple[str, ...]) -> Plan | None:
        key = f"{self._scenario.seed} {self._salt} {self.variant} {' '.join(alive)}"
        draw = random.Random(key)
        order = list(alive)
        draw.shuffle(order)
        caps = [min(BLOCKS, self._scenario.budgets[name]) for name in order]
        if sum(caps) < BLOCKS:
            return None
        stages: list[Stage] = []
        start = 0
        for place, name in enumerate(order):
            least = max(0, BLOCKS - start - sum(caps[place + 1 :]))
            size = draw.randint(least, min(caps[place], BLOCKS - start))
            if size:
                stages.append(Stage(name, start, start + size, RAW))
                start += size
        return Plan(
            epoch=NO_EPOCH,
            planner_id="",
            model_id=self.model_id,
            source=SENSING,
            stages=tuple(stages),
            downlink=draw.choice([stages[-1].satellite, *alive]),
        )
