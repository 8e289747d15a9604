"""Bad links: outages of each kind, and loss, duplication and reordering of messages."""

import time

from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.kills import UNDER_WAY
from chaos.rig import BATCH_TILES, Rig
from satllm_ros.msg import LinkState

from satllm_ros import interfaces as graph


def outages(hangar: Hangar, scenario: str, *, tiles: int, kind: str, outages_s: tuple[float, ...]) -> Result:
    """The links of one kind are down for so long, once for each duration; 0: until it is noticed."""
    cargo = hangar.workshop.cargo(tiles)
    recoveries = []
    with hangar.fly(cargo) as rig:
        states = rig.observer.hear(graph.LINK_STATE)
        for outage_s in outages_s:
            rig.until_batches(UNDER_WAY)
            _set_up(rig, states, kind, False)
            rig.hold(outage_s)
            rig.until(lambda: _is_holding(rig, kind, states), "batches to wait for the link")
            recoveries.append(rig.until_recovered(_set_up(rig, states, kind, True)))
        return rig.result(
            scenario, cargo, rig.until_ended(), recovery_s=max(recoveries), note="counted from the end of the outage"
        )


def lossy(hangar: Hangar, scenario: str, *, tiles: int, share: float, window_batches: int) -> Result:
    """This share of the messages of every link is lost, the same share comes twice, and the same is overtaken."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo, window_batches=window_batches) as rig:
        for name in ("loss", "duplicate", "reorder"):
            assert rig.observer.set_parameter("link", name, share).successful
        start_s = time.monotonic()
        code = rig.until_ended()
        batches_per_s = len({key[:2] for key in rig.delivered_s}) / (time.monotonic() - start_s)
        return rig.result(scenario, cargo, code, note=f"{batches_per_s:.1f} batches/s")


def _set_up(rig: Rig, states: list[LinkState], kind: str, is_up: bool) -> float:
    """Take the links of a kind down or up; when that was done."""
    states.clear()
    assert rig.observer.set_parameter("link", f"{kind}_up", is_up).successful
    at_s = time.monotonic()
    rig.until(lambda: any(state.up == is_up and _kind_of(state) == kind for state in states), "the link to say so")
    return at_s


def _is_holding(rig: Rig, kind: str, states: list[LinkState]) -> bool:
    """Whether batches wait for links of this kind: before the wire, or in a store without contact to the ground."""
    if kind == "s2g":
        return rig.ledgers[-1].stored_tiles >= UNDER_WAY * BATCH_TILES
    return any(state.queued_messages and not state.up and _kind_of(state) == kind for state in states)


def _kind_of(state: LinkState) -> str:
    return "upload" if state.sender == graph.SENSING else "s2g" if state.receiver == graph.GROUND else "isl"
