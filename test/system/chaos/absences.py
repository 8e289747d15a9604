"""Processes that are only away: stopped satellites, a dead planner, a satellite that has become slow."""

import time

from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.kills import UNDER_WAY, late
from chaos.rig import BATCH_TILES, BLOCK_S, MEMORY_BYTES, PROPAGATION_S, RATE_BPS, SATELLITES, Rig

from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.planning.problem.solution import Solution
from satllm_ros.protocol.plan import Plan
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, SatelliteFacts
from satllm_ros.replanning.selection import best_selection

LEAST_SHARE = 0.85
SLOWER = 4


def stopped_briefly(hangar: Hangar, scenario: str, *, tiles: int, name: str, stop_s: float) -> Result:
    """SIGSTOP for less than the time that makes a satellite dead."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo) as rig:
        rig.until_batches(UNDER_WAY)
        rig.processes.stop(name)
        rig.hold(stop_s)
        rig.processes.go_on(name)
        rig.until_batches(UNDER_WAY)
        return rig.result(scenario, cargo, rig.until_ended(), note=f"{name} stopped for {stop_s:g} s")


def stopped_for_long(
    hangar: Hangar,
    scenario: str,
    *,
    tiles: int,
    name: str,
    stop_s: float = 0.0,
    block_s: float = BLOCK_S,
    timed: bool = False,
) -> Result:
    """SIGSTOP until the others have taken over and, if longer, for `stop_s`; then it returns and is offered work."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo, block_s=block_s) as rig:
        rig.until_batches(UNDER_WAY)
        rig.processes.stop(name)
        fault_s = time.monotonic()
        recovery_s = rig.until_recovered(fault_s)
        plan = rig.until_plan(lambda plan: name not in plan.members, f"a plan without {name}")
        rig.hold(stop_s - (time.monotonic() - fault_s))
        rig.processes.go_on(name)
        rig.until_plan(lambda plan: name in plan.members, f"a plan with {name} again")
        return rig.result(
            scenario,
            cargo,
            rig.until_ended(),
            recovery_s=recovery_s,
            bound_s=rig.bound_s(plan),
            complaints=late(recovery_s, rig.bound_s(plan)) if timed else [],
            note=f"{name} bypassed and back",
        )


def without_planner(hangar: Hangar, scenario: str, *, tiles: int, batches: int, away_s: float = 0.0) -> Result:
    """The planner is killed: throughput of as many batches before and after, and at least `away_s` without it."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo) as rig:
        rig.until_batches(UNDER_WAY)
        before = batches_per_s(rig, batches)
        fault_s = rig.kill("planner")
        after = batches_per_s(rig, batches)
        recovery_s = rig.until_recovered(fault_s)
        rig.hold(away_s - (time.monotonic() - fault_s))
        return rig.result(
            scenario,
            cargo,
            rig.until_ended(),
            recovery_s=recovery_s,
            note=f"{before:.1f} batches/s before, {after:.1f} without the planner",
        )


def slowed(hangar: Hangar, scenario: str, *, tiles: int, batches: int, timed: bool) -> Result:
    """A satellite takes four times as long: its blocks move.

    `timed`: throughput must then reach its share of the optimum.
    """
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo) as rig:
        rig.until_batches(UNDER_WAY)
        before = rig.plan
        slow = before.satellites[1]
        assert rig.observer.set_parameter(f"{slow}/stage", "block_s", SLOWER * BLOCK_S).successful
        held = blocks_of(before, slow)
        plan = rig.until_plan(lambda plan: blocks_of(plan, slow) < held, f"blocks to move away from {slow}")
        # What was under way when the plan changed is not the new plan's.
        rig.until_batches(2 * UNDER_WAY)
        flown = batches_per_s(rig, batches)
        optimum = 1 / best_cycle_s(hangar, slow, tiles)
        share = flown / optimum
        complaints = [f"only {share:.2f} of the new optimum"] if timed and share < LEAST_SHARE else []
        return rig.result(
            scenario,
            cargo,
            rig.until_ended(),
            complaints=complaints,
            note=f"{slow}: {held} blocks to {blocks_of(plan, slow)}; {flown:.1f} batches/s, {share:.2f} of the optimum",
        )


def batches_per_s(rig: Rig, batches: int) -> float:
    """Rate at which the next so many batches come down."""
    start_s = time.monotonic()
    rig.until_batches(batches)
    return batches / (time.monotonic() - start_s)


def blocks_of(plan: Plan, satellite: str) -> int:
    """Blocks that a plan gives to a satellite."""
    stage = plan.stage_of(satellite)
    return stage.stop - stage.start if stage is not None else 0


def best_cycle_s(hangar: Hangar, slow: str, tiles: int) -> float:
    """Seconds between batches of the proven optimum once `slow` is slow."""
    link = Link(RATE_BPS, PROPAGATION_S)
    facts = FlightFacts(
        spec=hangar.workshop.spec,
        batches=tiles // BATCH_TILES,
        batch_tiles=BATCH_TILES,
        upload_tile_bytes=0.0,
        satellites=[
            SatelliteFacts(name, BLOCK_S * (SLOWER if name == slow else 1), MEMORY_BYTES) for name in SATELLITES
        ],
        links=LinkFacts(link, link, link),
        settings=[Setting("raw", 1.0, 1.0)],
        accuracy_floor=0.0,
    )
    _, outcome = best_selection(facts)
    assert isinstance(outcome, Solution)
    return outcome.bottleneck.seconds
