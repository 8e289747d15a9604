"""New plans in flight: the planner's and an operator's in turn, every one another split; and codecs set by hand."""

from dataclasses import replace

from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.rig import BATCH_TILES, Rig

# Satellites in flight order with their numbers of blocks, and the downlink where it is not the last of them.
SPLITS = (
    ((("sat2", 3), ("sat1", 1), ("sat4", 2), ("sat3", 2)), ""),
    ((("sat4", 4), ("sat2", 4)), "sat1"),
    ((("sat1", 1), ("sat2", 1), ("sat3", 1), ("sat4", 5)), "sat4"),
    ((("sat3", 8),), "sat2"),
    ((("sat4", 2), ("sat3", 2), ("sat2", 2), ("sat1", 2)), ""),
)
CODECS = ("int8", "raw", "plan")


def replans(hangar: Hangar, scenario: str, *, tiles: int, changes: int) -> Result:
    """As many changes of plan, spread over the bag."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo) as rig:
        spread = spread_of(tiles, changes)
        for change in range(changes):
            rig.until_batches(spread)
            change_plan(rig, change)
        return rig.result(scenario, cargo, rig.until_ended(), note=f"{changes} changes of plan in flight")


def codecs(hangar: Hangar, scenario: str, *, tiles: int, changes: int) -> Result:
    """Between changes of plan, a codec is pinned or released at one satellite after the other."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo, codecs=["raw", "int8"]) as rig:
        spread = spread_of(tiles, changes)
        for change in range(changes):
            rig.until_batches(spread)
            satellite = rig.plan.satellites[change % len(rig.plan.stages)]
            codec = CODECS[change % len(CODECS)]
            assert rig.observer.set_parameter(f"{satellite}/compression", "codec", codec).successful
            if change % 3 == 2:
                change_plan(rig, change)
        # int8 is not exact: how far predictions may differ is what an accuracy floor is for.
        result = rig.result(scenario, cargo, rig.until_ended(), exact=False)
        return replace(result, note=f"{1 - result.wrong / tiles:.1%} of the predictions as unsplit")


def spread_of(tiles: int, changes: int) -> int:
    """Batches between changes, such that the bag outlasts the last of them."""
    return max(1, tiles // BATCH_TILES // (changes + 4))


def change_plan(rig: Rig, number: int) -> None:
    """One more plan is active: the planner's own for even numbers, a hand-made one for odd ones."""
    before = rig.plan
    if number % 2 == 0:
        rig.replan()
        rig.until_plan(lambda plan: plan.epoch > before.epoch, "the planner's plan to be active")
    else:
        shares, downlink = SPLITS[number // 2 % len(SPLITS)]
        made = rig.propose(rig.by_hand(*shares, downlink=downlink))
        rig.until_plan(lambda plan: plan.plan_hash == made.plan_hash, "the hand-made plan to be active")
