"""The words that the machines of the protocol share: what is said of a batch, of a proposal, which plan is meant."""

from __future__ import annotations

from enum import IntEnum

from satllm_ros.protocol.identity import NO_EPOCH, Epoch
from satllm_ros.protocol.plan import Plan


class Verdict(IntEnum):
    """What an acknowledgement says (message `BatchAck`)."""

    STORED = 1
    DELIVERED = 2
    REFUSED = 3


class Cause(IntEnum):
    """Why a batch was refused (message `BatchAck`)."""

    NONE = 0
    UNKNOWN_EPOCH = 1
    BAD_CRC = 2
    FULL = 3
    MALFORMED = 4
    INTERNAL = 5
    NOT_HELD = 6
    FOREIGN = 7


# These say something of the satellite, nothing of the batch: they do not count as attempts of it.
BLAMELESS = frozenset({Cause.UNKNOWN_EPOCH, Cause.FULL, Cause.NOT_HELD})

# By these the ground refuses what came down whole: the store sets it aside.
FINAL = frozenset({Cause.FOREIGN, Cause.MALFORMED})


class Readiness(IntEnum):
    """What a satellite makes of a proposal (message `SatelliteStatus`)."""

    NONE = 0
    LOADING = 1
    READY = 2
    REFUSED = 3
    # Willing, but its memory does not hold the old and the new blocks at once.
    NEEDS_DRAIN = 4


PlanKey = tuple[Epoch, str]

NO_PLAN: PlanKey = (NO_EPOCH, "")


def plan_key(plan: Plan | None) -> PlanKey:
    """Epoch and hash of a plan."""
    return (plan.epoch, plan.plan_hash) if plan is not None else NO_PLAN
