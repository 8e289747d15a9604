"""A satellite whose blocks somebody else's program runs, and what may become of that program."""

import time

from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.kills import UNDER_WAY
from chaos.rig import MEMORY_BYTES, SATELLITES
from stage_program import EXAMPLE, STRANGE, stage

from satllm_ros.protocol.plan import Plan

# Slow enough that a satellite more is worth a move, and that what becomes of it can be seen.
BLOCK_S = 0.05
THEIRS = "sat2"


def external(hangar: Hangar, scenario: str, *, tiles: int, fault: str) -> Result:
    """The program joins a flight; with its fault the plan does without it, or gives it less if it is only slow."""
    cargo = hangar.workshop.cargo(tiles)
    satellites = [
        {"name": name, "memory_bytes": MEMORY_BYTES, "block_s": BLOCK_S, "external": name == THEIRS}
        for name in SATELLITES
    ]
    words = (EXAMPLE, THEIRS, "--checkpoint") if fault == "killed" else (STRANGE, fault, THEIRS)
    with hangar.fly(cargo, satellites=satellites) as rig:
        with stage(rig.flight.domain, hangar.folder("stage"), *words, cargo.material.checkpoint) as theirs:
            if fault == "silent":
                rig.observer.set_parameter(f"{THEIRS}/compression", "external_timeout_s", 1.0)
            joined = rig.until_plan(_blocks, "a plan with the external stage")
            given, fault_s = _blocks(joined), rig.committed_s(joined)
            if fault == "killed":
                rig.until_batches(UNDER_WAY)
                theirs.kill()
                fault_s = time.monotonic()
            fewer = rig.until_plan(lambda plan: _blocks(plan) < given, "a plan that gives it less")
            # Nothing has stopped where it is only slow.
            recovery_s = rig.until_recovered(rig.committed_s(fewer) if fault == "slow" else fault_s)
            left = _blocks(fewer)
            note = f"its blocks: {given}, then {left}" if left else "planned around"
            return rig.result(scenario, cargo, rig.until_ended(), recovery_s=recovery_s, note=note)


def _blocks(plan: Plan) -> int:
    return sum(stage.stop - stage.start for stage in plan.stages if stage.satellite == THEIRS)
