"""kill -9 of every process, with and without somebody who starts it again."""

from chaos.hangar import Hangar
from chaos.judge import Result, count_rows, rows_complaints
from chaos.rig import BATCH_TILES, SATELLITES, Rig
from observer import Observer

# Six or so batches fill the chain of four satellites.
UNDER_WAY = 6


def killed_and_respawned(
    hangar: Hangar, scenario: str, *, tiles: int, names: tuple[str, ...], timed: bool = False
) -> Result:
    """`satllm up --respawn`: these processes die one after the other, each after the one before was replaced.

    `timed`: the bound of recovery counts.
    """
    cargo = hangar.workshop.cargo(tiles)
    recoveries, bound_s = [], None
    with hangar.fly(cargo, "--respawn") as rig:
        for name in names:
            rig.until_batches(UNDER_WAY)
            before = rig.plan
            recoveries.append(rig.until_recovered(rig.kill(name)))
            if name in before.members and rig.plan.epoch > before.epoch:
                bound_s = rig.bound_s(rig.plan)
        complaints = late(max(recoveries), bound_s) if timed else []
        return rig.result(
            scenario, cargo, rig.until_ended(), recovery_s=max(recoveries), bound_s=bound_s, complaints=complaints
        )


def killed_satellite(hangar: Hangar, scenario: str, *, tiles: int, name: str, timed: bool = False) -> Result:
    """Nobody starts it again: its blocks go to the others."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo) as rig:
        rig.until_batches(UNDER_WAY)
        fault_s = rig.kill(name)
        recovery_s = rig.until_recovered(fault_s)
        plan = rig.until_plan(lambda plan: name not in plan.members, f"a plan without {name}")
        bound_s = rig.bound_s(plan)
        return rig.result(
            scenario,
            cargo,
            rig.until_ended(),
            recovery_s=recovery_s,
            bound_s=bound_s,
            complaints=late(recovery_s, bound_s) if timed else [],
            note="blocks moved to " + ", ".join(plan.satellites),
        )


def killed_for_good(hangar: Hangar, scenario: str, *, tiles: int, name: str) -> Result:
    """A process that cannot be spared dies and nobody starts it again: the run ends with 1 and says why."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo) as rig:
        rig.until_batches(UNDER_WAY)
        rig.kill(name)
        code = rig.until_ended()
        complaints = [] if code == 1 else [f"exit code {code} instead of 1"]
        if name not in rig.flight.errors:
            complaints.append(f"{name} is not named on stderr")
        if rig.flight.pids():
            complaints.append("processes outlive it")
        rows = count_rows(rig.flight.latest / "predictions.sqlite", cargo.labels)
        complaints += rows_complaints(rows, exact=True, losses_told=rows.lost)
        return Result(
            scenario,
            tiles=tiles,
            lost=None,
            twice=rows.twice,
            wrong=rows.wrong,
            suppressed=rows.suppressed,
            plans=len(rig.committed),
            note=f"the run ends with 1 and names it; {tiles - rows.lost} tiles had come down",
            complaints=tuple(complaints),
        )


def too_little_memory(hangar: Hangar, scenario: str, *, tiles: int) -> Result:
    """The others cannot hold the dead satellite's blocks: the stream waits until it is back."""
    spec = hangar.workshop.spec
    budget = int(1.3 * sum(spec.layer_bytes) / len(SATELLITES))
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo, memory_bytes=budget) as rig:
        rig.until_batches(UNDER_WAY)
        fault_s = rig.kill("sat2")
        rig.until(lambda: "memory" in why(rig.observer, "planner"), "the planner to say why there is no plan")
        rig.until(lambda: "sat2" in why(rig.observer, "sensing"), "sensing to say what the stream waits for")
        complaints = [] if "memory" in log(rig, "planner") else ["the planner's log does not say why"]
        delivered = rig.ledgers[-1].delivered_tiles
        rig.processes.start_again("sat2")
        recovery_s = rig.until_recovered(fault_s)
        return rig.result(
            scenario,
            cargo,
            rig.until_ended(),
            recovery_s=recovery_s,
            complaints=complaints,
            note=f"waited at {delivered // BATCH_TILES} batches, went on when sat2 was started by hand",
        )


def late(recovery_s: float, bound_s: float | None) -> list[str]:
    """A complaint if the bound was missed."""
    if bound_s is None or recovery_s <= bound_s:
        return []
    return [f"{recovery_s:.1f} s until the first new prediction, the bound is {bound_s:.1f} s"]


def why(observer: Observer, node: str) -> str:
    """What a node says of itself in /diagnostics."""
    status = observer.diagnostics.get(f"/{node}")
    return status.message if status is not None else ""


def log(rig: Rig, name: str) -> str:
    """What a process has written."""
    return (rig.flight.latest / "logs" / f"{name}.log").read_text()
