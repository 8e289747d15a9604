"""Sensing and satellites switch plans while messages are lost, doubled and reordered, loads fail, planners double."""

import random
from collections.abc import Callable

import pytest
from flight_plans import BLOCKS, KNOWN, ORIGIN, make_plan

from satllm_ros.runtime.identity import Epoch
from satllm_ros.runtime.plan import Plan, PlanError
from satllm_ros.runtime.plan_switch import PlanCommitter, PlanTable

STEPS = 250
Batch = tuple[Plan, list[str]]


class World:
    """Virtual constellation: every message is an action that happens later, in any order, twice, or never."""

    def __init__(self, seed: int, *, restarts: bool) -> None:
        self.random = random.Random(seed)
        self.restarts = restarts
        self.faulty = True
        self.sensing = PlanCommitter(**ORIGIN)
        self.tables = {name: PlanTable(name, **ORIGIN) for name in KNOWN}
        self.lives = dict.fromkeys(KNOWN, 0)
        self.pending: list[Callable[[], None]] = []
        self.committed: list[Plan] = []
        self.counters = [0, 0]
        self.proposals: list[Plan] = []
        # In flight: the plan a batch obeys, and the satellites it has yet to visit.
        self.flying: list[Batch] = []
        self.refused = 0

    def post(self, action: Callable[[], None]) -> None:
        if self.faulty and self.random.random() < 0.25:
            return
        self.pending += [action] * (2 if self.faulty and self.random.random() < 0.1 else 1)

    # Planners: two that count by themselves, so they take the same epochs for different plans.

    def propose(self) -> None:
        planner = self.random.randrange(2) if self.faulty else 0
        self.counters[planner] += 1
        if not self.faulty:
            self.counters[0] = max(*self.counters, *(plan.epoch.counter for plan in self.proposals)) + 1
        names = self.random.sample(KNOWN, self.random.randint(1, len(KNOWN)))
        cuts = sorted(self.random.sample(range(1, BLOCKS), len(names) - 1)) + [BLOCKS]
        plan = make_plan(
            self.counters[planner],
            *zip(names, cuts, strict=True),
            planner_id=f"/planner{planner}",
            downlink=self.random.choice(KNOWN),
        )
        self.proposals.append(plan)
        self.announce(plan)

    def announce(self, plan: Plan) -> None:
        self.post(lambda: self.on_proposal(plan))
        for name in KNOWN:
            self.post(lambda name=name: self.on_plan(name, plan))

    # Satellites

    def on_plan(self, name: str, plan: Plan) -> None:
        table, life = self.tables[name], self.lives[name]
        stage = table.on_plan(plan)
        self.say(name)
        if stage is not None:
            # A load is never lost: it ends or fails.
            self.pending.append(lambda: self.on_load_end(name, life, plan))

    def on_load_end(self, name: str, life: int, plan: Plan) -> None:
        if life != self.lives[name]:
            return
        if self.faulty and self.random.random() < 0.2:
            self.tables[name].refuse(plan, "no memory")
        else:
            self.tables[name].on_loaded(plan.epoch)
        self.say(name)

    def say(self, name: str) -> None:
        said = self.tables[name].report
        self.post(lambda: self.on_status(name, said))

    def restart(self) -> None:
        name = self.random.choice(KNOWN)
        self.tables[name] = PlanTable(name, **ORIGIN)
        self.lives[name] += 1
        self.say(name)
        for plan in self.latched():
            self.post(lambda plan=plan: self.on_plan(name, plan))

    def latched(self) -> list[Plan]:
        active = [self.sensing.active] if self.sensing.active is not None else []
        return active + self.proposals[-1:]

    # Sensing

    def on_proposal(self, plan: Plan) -> None:
        try:
            self.commit(self.sensing.on_proposal(plan))
        except PlanError:
            self.refused += 1

    def on_status(self, name: str, said: object) -> None:
        self.commit(self.sensing.on_status(name, said.readiness, said.epoch, said.plan_hash))

    def commit(self, plan: Plan | None) -> None:
        if plan is None:
            return
        assert not self.committed or plan.epoch > self.committed[-1].epoch
        self.committed.append(plan)
        if not self.restarts:
            for name in plan.members:
                assert self.tables[name].entry(plan.epoch, plan.plan_hash), f"{name} does not have what was committed"
        for name in KNOWN:
            self.post(lambda name=name: self.on_plan(name, plan))

    # Batches

    def send(self) -> None:
        plan = self.sensing.active
        if plan is not None:
            self.flying.append((plan, [*plan.satellites, plan.downlink]))

    def low_water(self, plan: Plan) -> Epoch:
        return min([plan.epoch, *(flying.epoch for flying, _ in self.flying)])

    def move(self) -> None:
        if not self.flying:
            return
        batch = self.random.choice(self.flying)
        plan, route = batch
        table = self.tables[route.pop(0)]
        entry = table.entry(plan.epoch, plan.plan_hash)
        if not self.restarts:
            assert entry is not None, "a batch met a satellite without its plan"
            assert entry.plan == plan
        if entry is None or not route:
            self.flying.remove(batch)
        else:
            table.on_low_water(min(self.low_water(plan), plan.epoch))

    def step(self) -> None:
        actions = [self.happen] * 12 + [self.send, self.move, self.move, self.propose, self.repeat]
        if self.restarts:
            actions.append(self.restart)
        self.random.choice(actions)()

    def happen(self) -> None:
        if self.pending:
            self.pending.pop(self.random.randrange(len(self.pending)))()

    def repeat(self) -> None:
        for name in KNOWN:
            self.say(name)
        for plan in self.latched():
            self.announce(plan)

    def settle(self) -> None:
        """No more faults: what is said last arrives last, as the latched topics have it."""
        self.faulty = False
        while self.pending:
            self.happen()
        for _ in range(3):
            for plan in self.latched():
                self.announce(plan)
            while self.pending:
                self.pending.pop(0)()
            for name in KNOWN:
                self.say(name)


@pytest.mark.parametrize("restarts", [False, True], ids=["no restarts", "restarts"])
def test_sensing_and_satellites_never_disagree_and_always_recover(restarts: bool) -> None:
    switches = conflicts = 0
    for seed in range(130):
        world = World(seed, restarts=restarts)
        for _ in range(STEPS):
            world.step()
        world.settle()
        switches += len(world.committed)
        conflicts += world.refused
        # Whatever has happened, the next plan flies, and every member can serve it.
        world.propose()
        world.settle()
        plan = world.proposals[-1]
        assert world.sensing.active == plan, f"seed {seed}: stuck waiting for {set(world.sensing.waiting_for)}"
        assert all(world.tables[name].entry(plan.epoch, plan.plan_hash) for name in plan.members), f"seed {seed}"
        assert len({p.epoch for p in world.committed}) == len(world.committed)
    # Otherwise the walks would prove nothing.
    assert switches > 120 and conflicts > 120


def test_members_that_restart_under_the_active_plan_serve_it_again() -> None:
    for seed in range(60):
        world = World(seed, restarts=True)
        world.faulty = False
        world.propose()
        world.settle()
        active = world.sensing.active
        assert active is not None
        # A proposal that never completes must not keep a restarted satellite from the active plan.
        world.proposals.append(make_plan(99, ("sat1", 3), ("sat4", BLOCKS)))
        for _ in range(4):
            world.restart()
        while world.pending:
            world.happen()
        assert all(world.tables[name].entry(active.epoch, active.plan_hash) for name in active.members), f"seed {seed}"
