"""One seed, one run: either all promises held, or the first broken one and the story that led to it."""

from __future__ import annotations

import random
import traceback
from collections import Counter
from dataclasses import dataclass, field, replace

from satllm_ros.protocol.membership.presence import Presence
from satllm_ros.simulation.network import NetworkFaults
from satllm_ros.simulation.oracle import Oracle, Violation
from satllm_ros.simulation.processes.ends import Ground, Planner
from satllm_ros.simulation.processes.images import Folder, make_image
from satllm_ros.simulation.processes.process import GROUND, MODEL_ID, RUN_ID, SENSING, Process
from satllm_ros.simulation.processes.satellite import INBOX_BATCHES, Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.recovery import RecoveryWatch
from satllm_ros.simulation.scenario import BLOCKS, PLANNER, RESEND_S, Fault, Scenario, Splitter, make_scenario
from satllm_ros.simulation.world import World

# Once faults stop, everything must be delivered within this much virtual time.
PROGRESS_S = 400.0
OTHER_MODEL_ID = "another model"


@dataclass(frozen=True)
class Parts:
    """Classes of the processes to run; a mutation replaces one."""

    sensing: type[Sensing] = Sensing
    satellite: type[Satellite] = Satellite
    ground: type[Ground] = Ground
    planner: type[Planner] = Planner
    presence: type[Presence] = Presence


@dataclass
class Outcome:
    """What one run came to; `broken` is empty if every promise held."""

    seed: int
    broken: str = ""
    events: int = 0
    virtual_s: float = 0.0
    settled_s: float = 0.0
    tiles: int = 0
    resent_batches: int = 0
    commits: int = 0
    drains: int = 0
    kills: int = 0
    refusals: int = 0
    hop_resends: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    story: list[str] = field(default_factory=list)


@dataclass
class Totals:
    """Sums over runs."""

    runs: int = 0
    tiles: int = 0
    commits: int = 0
    drains: int = 0
    kills: int = 0
    refusals: int = 0
    resent_batches: int = 0
    hop_resends: int = 0
    events: int = 0
    virtual_s: float = 0.0
    longest_s: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one more run."""
        self.runs += 1
        for name in (
            "tiles", "commits", "drains", "kills", "refusals", "resent_batches", "hop_resends", "events", "virtual_s"
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(outcome, name))
        self.longest_s = max(self.longest_s, outcome.settled_s)


def simulate(seed: int, *, parts: Parts = Parts(), tell: bool = False) -> Outcome:  # noqa: B008
    """Run one seed.

    Parameters
    ----------
    tell
        Keep the story; a run goes the same way with and without.
    """
    scenario = make_scenario(seed)
    story: list[str] | None = [] if tell else None
    oracle = Oracle(scenario.window_batches, RecoveryWatch(scenario.limits, RESEND_S, INBOX_BATCHES))
    world = World(seed, scenario.network, oracle, story, presence=parts.presence)
    run = _Run(scenario, world, oracle, parts)
    outcome = Outcome(seed)
    try:
        run.go()
    except Violation as violation:
        outcome.broken = str(violation)
    # A machine that stumbles has failed as surely as one that breaks a promise, and its story is wanted too.
    except Exception as error:
        outcome.broken = f"{type(error).__name__}: {error}"
        world.tell(traceback.format_exc)
    outcome.events, outcome.virtual_s = world.events, world.now_s
    outcome.settled_s = max(0.0, world.now_s - scenario.faults_end_s)
    tally = run.sensing.protocol.custody.tally()
    outcome.tiles, outcome.resent_batches = len(run.ground.disk["rows"]), tally.resent_batches
    outcome.commits, outcome.drains = len(oracle.committed_plans), oracle.drains
    outcome.refusals = oracle.refusals
    outcome.hop_resends = oracle.hop_resends
    outcome.kills = sum(fault.kind.startswith("kill") for fault in scenario.faults)
    outcome.causes = +run.sensing.protocol.custody.causes
    outcome.causes["withdrawn_drains"] = run.sensing.protocol.withdrawn_drains
    outcome.story = story or []
    if story is not None and outcome.broken:
        story.append(f"{world.now_s:9.3f} s  BROKEN: {outcome.broken}")
    return outcome


class _Run:
    def __init__(self, scenario: Scenario, world: World, oracle: Oracle, parts: Parts) -> None:
        self._scenario = scenario
        self._world = world
        self._oracle = oracle
        self._exposed = scenario.live_period_s is None
        self._shown = 0
        # Of what the camera sees and what becomes of files; the network draws from its own.
        self._draw = random.Random(f"source {scenario.seed}")
        images = [make_image(number, scenario.stamps) for number in range(scenario.tiles)]
        self.sensing = parts.sensing(
            scenario.satellites,
            scenario.limits,
            blocks=BLOCKS,
            batch_tiles=lambda: world.random.choice(scenario.batch_tiles),
            folder=Folder(images) if scenario.live_period_s is None else None,
            live_tiles=None if scenario.live_period_s is None else scenario.live_tiles,
            durable=scenario.durable,
            hop_limits=scenario.hop_limits,
        )
        self.sensing.begin(RUN_ID, MODEL_ID)
        wrong_s = scenario.wrong_ground_s
        self.ground = parts.ground(
            scenario.satellites,
            model_id="given by mistake" if wrong_s is not None else MODEL_ID,
            known_run=None if scenario.ground_apart else RUN_ID,
            hop_limits=scenario.hop_limits,
        )
        self._satellites = [
            parts.satellite(
                name,
                scenario.satellites,
                layer_bytes=(1,) * BLOCKS,
                budget_bytes=scenario.budgets[name],
                resend_s=RESEND_S,
                hop_limits=scenario.hop_limits,
            )
            for name in scenario.satellites
        ]
        self._splitters = {name: Splitter(scenario, salt) for salt, name in enumerate(scenario.planners)}
        self._planners = [
            parts.planner(name, scenario.satellites, self._splitters[name], PLANNER) for name in self._splitters
        ]
        processes: list[Process] = [self.sensing, self.ground, *self._satellites, *self._planners]
        for process in processes:
            world.add(process)
            # They come up in any order.
            world.at(world.random.uniform(0.0, 1.0), world.boot, process.name)
        oracle.sensing, oracle.ground = self.sensing, self.ground
        oracle.satellites = {satellite.name: satellite for satellite in self._satellites}
        for fault in scenario.faults:
            world.at(fault.time_s, self._happen, fault)
        if wrong_s is not None and wrong_s <= scenario.faults_end_s:
            world.at(wrong_s, self._right_the_ground)
        if scenario.sequel_s is not None:
            world.at(scenario.sequel_s, self._begin_sequel, scenario.sequel)
        world.at(scenario.faults_end_s, self._stop_faults)
        if scenario.live_period_s is not None:
            world.at(1.5, self._expose, 0)

    def go(self) -> None:
        finished = self._world.run(self._scenario.faults_end_s + PROGRESS_S, self._is_finished)
        if not finished:
            raise Violation(self._why_not_finished())
        self._oracle.check_end()
        custody = self.sensing.protocol.custody
        # A network that reorders may let one batch overtake another; all else needs a fault.
        needless = {cause: n for cause, n in custody.causes.items() if cause not in ("late_ack", "overtaken")}
        if self._scenario.calm and needless:
            raise Violation(f"nothing failed, yet batches were sent again: {needless}")

    def _is_finished(self) -> bool:
        self._oracle.check_ledger()
        return (
            self._world.now_s > self._scenario.faults_end_s
            and self._exposed
            and self.sensing.alive
            and self.sensing.finished
            # Whatever a store holds comes down or is set aside: nothing is sent for ever.
            and not any(satellite.alive and satellite.store.undelivered for satellite in self._satellites)
        )

    def _why_not_finished(self) -> str:
        if self.sensing.finished:
            held = {s.name: s.store.undelivered for s in self._satellites if s.alive and s.store.undelivered}
            return (
                f"no end: {PROGRESS_S:g} s after the last fault stores still send what nobody will acknowledge: {held}"
            )
        tally, places = self.sensing.protocol.ledger()
        where = "; ".join(f"{place.batch} {words}" for place, words in places[:5])
        active, proposal = self.sensing.protocol.active, self.sensing.protocol.proposal
        return (
            f"no progress: {PROGRESS_S:g} s after the last fault {tally.waiting + tally.in_flight + tally.stored} tiles"
            f" are still in custody ({where}); active plan {active and active.epoch}, proposed"
            f" {proposal and proposal.epoch}, waiting for {sorted(self.sensing.protocol.waiting_for)},"
            f" obstacles {self.sensing.protocol.obstacles}"
        )

    def _expose(self, frame: int) -> None:
        last = frame + 1 == self._scenario.tiles
        # Nobody waits for a camera; but it goes on until someone has seen the end.
        if self.sensing.alive and not self._world.is_stopped(SENSING):
            image = make_image(frame, self._scenario.stamps)
            # Nobody knows that a camera repeats what it shows: each time it is another image.
            self._shown += 1
            image = replace(image, content=f"{image.content}, shown as {self._shown}")
            self._world.act(SENSING, lambda: self.sensing.expose(self._world, image, last=last))
            self._exposed = self.sensing.source_ended = last
        if not self._exposed:
            assert self._scenario.live_period_s is not None
            self._world.at(self._world.now_s + self._scenario.live_period_s, self._expose, frame if last else frame + 1)

    # Faults

    def _happen(self, fault: Fault) -> None:
        world, name = self._world, fault.names[0]
        back_s = None if fault.lasts_s is None else world.now_s + fault.lasts_s
        if fault.kind == "folder":
            assert self.sensing.folder is not None
            file = self.sensing.folder.change(name, self._draw)
            world.tell(lambda: f"{file} of the folder: {name}")
        elif fault.kind == "replan":
            self._splitters[name].variant += 1
            process = world.processes[name]
            assert isinstance(process, Planner)
            if world.is_up(name) and not world.is_stopped(name):
                world.act(name, lambda: process.replan(world))
        elif fault.kind in ("outage", "contact", "lease", "one way"):
            self._break_link(fault, back_s)
        elif fault.kind == "stop":
            world.stop(name)
            if back_s is not None:
                world.at(back_s, world.resume, name)
        else:
            world.kill_amid(name, fault.effects if fault.kind == "kill amid" else 0)
            if fault.kind != "kill amid":
                world.kill(name)
            if fault.kind == "kill and wipe":
                world.tell(lambda: f"the disk of {name} is lost")
                emptied = world.processes[name]
                assert isinstance(emptied, (Ground, Satellite))
                emptied.wipe()
                self._oracle.wiped(name)
            if back_s is not None and name not in self._scenario.permanently_dead:
                world.at(back_s, world.boot, name)

    def _break_link(self, fault: Fault, back_s: float | None) -> None:
        world, (one, other) = self._world, fault.names
        world.cut(one, other)
        if fault.kind != "one way":
            world.cut(other, one)
        if fault.kind == "contact":
            world.say_link(one, False)
        if back_s is not None:
            world.at(back_s, world.mend, one, other)
            if fault.kind == "contact":
                world.at(back_s, world.say_link, one, True)

    def _right_the_ground(self) -> None:
        self._world.tell(lambda: "the ground is given the right model")
        self.ground.model_id = self._oracle.model_id
        self._world.kill(GROUND)
        self._world.at(self._world.now_s + 0.5, self._world.boot, GROUND)

    def _begin_sequel(self, kind: str) -> None:
        """Everybody ends; then the same run is gone on with, or another one begins beside the stores of the old one."""
        world = self._world
        world.tell(lambda: f"all end, and are started again: {kind}")
        starting = [
            name for name in world.processes if world.is_up(name) or name not in self._scenario.permanently_dead
        ]
        for name in world.processes:
            world.kill(name)
        if kind != "same run":
            self._begin_run(kind)
        for name in starting:
            world.at(world.now_s + world.random.uniform(0.2, 2.0), world.boot, name)

    def _begin_run(self, kind: str) -> None:
        run_id, model_id = RUN_ID + 1, OTHER_MODEL_ID if kind == "other model" else MODEL_ID
        if kind == "changed source" and self.sensing.folder is not None:
            self.sensing.folder.change("add", self._draw)
        self._oracle.begin_run(run_id, model_id)
        self.sensing.begin(run_id, model_id)
        self.ground.wipe()
        self.ground.known_run = None if self._scenario.ground_apart else run_id
        others: list[Ground | Satellite | Splitter] = [self.ground, *self._satellites, *self._splitters.values()]
        for process in others:
            process.model_id = model_id
        for planner in self._planners:
            planner.disk.clear()
        if self._scenario.live_period_s is not None and self._exposed:
            # The camera had shown its last image.
            self._exposed = False
            self._world.at(self._world.now_s + 1.0, self._expose, 0)

    def _stop_faults(self) -> None:
        world = self._world
        world.tell(lambda: "no more faults from here on")
        faults = world.faults
        world.faults = NetworkFaults(
            base_delay_s=faults.base_delay_s,
            mean_delay_s=min(faults.mean_delay_s, 0.1),
            block_s=faults.block_s,
            load_s=faults.load_s,
            write_s=faults.write_s,
        )
        world.mend_all()
        for name in world.processes:
            world.resume(name)
            world.disarm(name)
            if name in self._scenario.permanently_dead:
                world.kill(name)
            else:
                world.boot(name)
