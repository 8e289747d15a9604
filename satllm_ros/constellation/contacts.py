"""Contacts of those that fly, from what a constellation file says of orbit, budget and links."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from satllm_ros.documents.section import DocumentError
from satllm_ros.interfaces import GROUND, SENSING
from satllm_ros.links.link_pairs import Pair, all_pairs
from satllm_ros.orbit.budget import optical_budget, radio_budget
from satllm_ros.orbit.contact_plan import Contact
from satllm_ros.orbit.contacts import Geometry
from satllm_ros.orbit.document import Budget
from satllm_ros.orbit.fleet_contacts import earliest_arrival_s, fleet_contacts
from satllm_ros.orbit.scenario import Orbit

# Messages count seconds in 31 bits.
MAX_CLOCK_S = 2.0**31


def contacts_of(
    orbit: Orbit,
    budget: Budget | None,
    satellites: Sequence[str],
    sensing_slot: int,
    fixed_bps: Callable[[str, str], float],
    own: Collection[Pair],
) -> tuple[Contact, ...]:
    """Every contact of sensing, the satellites and the ground.

    Parameters
    ----------
    fixed_bps
        Rate that the file gives a directed link.
    own
        Links whose rate it gives by name, which no budget changes.

    Raises
    ------
    DocumentError
        If a satellite has no slot, sensing has one that there is not, or no clock can show the time.
    PropagationError
        If an element set cannot be followed for so long.
    """
    begin_s = orbit.epoch.timestamp()
    if not 0.0 <= begin_s < MAX_CLOCK_S - orbit.duration_s:
        raise DocumentError(f"orbit: epoch is {orbit.epoch:%Y-%m-%d}; the clock of a flight goes from 1970 to 2038")
    slots = {name: slot for slot, name in orbit.members.items()}
    if homeless := [name for name in satellites if name not in slots]:
        raise DocumentError(
            f"satellite {homeless[0]} has no slot; where links follow an orbit, each satellite needs one"
        )
    if sensing_slot >= orbit.satellites:
        raise DocumentError(
            f"source: slot is {sensing_slot}; a whole number from 0 to {orbit.satellites - 1} is needed, one of the"
            " constellation's satellites"
        )

    def rate_of(sender: str, receiver: str, range_m: float) -> float:
        # What is aboard one satellite is joined by no link of the budget's.
        if (sender, receiver) not in own and budget is not None and range_m > 0.0:
            if receiver == GROUND and budget.s2g is not None:
                return radio_budget(budget.s2g, range_m).rate_bps
            if receiver != GROUND and budget.isl is not None:
                return optical_budget(budget.isl, range_m).rate_bps
        return fixed_bps(sender, receiver)

    aboard = {name: slots[name] for name in satellites} | {SENSING: sensing_slot}
    return tuple(fleet_contacts(Geometry(orbit), aboard, all_pairs(satellites), rate_of, orbit.duration_s))


def check_way_down(contacts: Sequence[Contact], duration_s: float) -> None:
    """Refuse contacts by which nothing could ever come down.

    Raises
    ------
    ValueError
        In one sentence.
    """
    if not any(contact.receiver == GROUND for contact in contacts):
        raise ValueError(
            f"orbit: no satellite that flies sees a station within duration_s, {duration_s:g} s: nothing could come"
            " down; `satllm contacts` shows who sees one, and when"
        )
    if earliest_arrival_s(contacts, SENSING, GROUND) is None:
        raise ValueError(
            f"orbit: contacts lead from sensing to no station within duration_s, {duration_s:g} s: nothing could come"
            " down; `satllm contacts` shows who sees whom, and when"
        )
