"""What has changed since a split was last looked at, beyond what measurements jitter by."""

from __future__ import annotations

from collections.abc import Iterator

from satllm_ros.replanning.flight import FlightFacts

# Relative change below which a figure counts as the same.
BAND = 0.1


def drift(before: FlightFacts, now: FlightFacts) -> str:
    """Changes that may make another split better, in words; empty if there are none.

    A satellite that is gone is none: without it, no split is better than the one that does without it.
    """
    return "; ".join(_changes(before, now))


def _changes(before: FlightFacts, now: FlightFacts) -> Iterator[str]:
    known = {s.name: s for s in before.satellites}
    for satellite in now.satellites:
        old = known.get(satellite.name)
        if old is None:
            yield f"{satellite.name} can be planned with"
            continue
        if _differ(old.block_s, satellite.block_s):
            yield f"{satellite.name} takes {satellite.block_s:.3g} s a block, it was {old.block_s:.3g} s"
        if _differ(old.memory_bytes, satellite.memory_bytes):
            yield f"{satellite.name} may use {satellite.memory_bytes:,.0f} bytes, it was {old.memory_bytes:,.0f}"
    yield from _link_changes(before, now, {s.name for s in now.satellites} | {""})


def _link_changes(before: FlightFacts, now: FlightFacts, ends: set[str]) -> Iterator[str]:
    for pair in sorted(now.links.measured):
        if not ends.issuperset(pair):
            continue
        sender, receiver = pair
        new, old = now.link(sender, receiver), before.link(sender, receiver)
        if _differ(old.rate_bps, new.rate_bps):
            name = f"link {sender or 'the source'} to {receiver or 'the ground'}"
            yield f"{name} carries {new.rate_bps:.3g} bit/s, it was {old.rate_bps:.3g} bit/s"


def _differ(old: float, new: float) -> bool:
    return max(old, new) > min(old, new) * (1 + BAND)
