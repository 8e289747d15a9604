"""Small messages between the machines of the protocol; each has a ROS message of the same content."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.protocol.identity import NO_EPOCH, BatchId, Epoch
from satllm_ros.protocol.vocabulary import NO_PLAN, Cause, PlanKey, Readiness, Verdict


@dataclass(frozen=True)
class Ack:
    """What became of a batch, as `sender` sees it (message `BatchAck`)."""

    batch: BatchId
    sender: str
    verdict: Verdict
    cause: Cause = Cause.NONE


@dataclass(frozen=True)
class Report:
    """What a satellite makes of the newest plan it was told of, and which plans it serves (`SatelliteStatus`).

    Attributes
    ----------
    about
        Epoch and hash of the plan that `readiness` is about.
    serves
        Epoch and hash of every plan whose batches are served at this moment.
    """

    satellite: str
    boot_id: int
    about: PlanKey = NO_PLAN
    readiness: Readiness = Readiness.NONE
    reason: str = ""
    serves: tuple[PlanKey, ...] = ()


@dataclass(frozen=True)
class SwitchState:
    """Where sensing is between two plans (message `SwitchState`, latched: the last one says all).

    Attributes
    ----------
    drained
        Proposal for which nothing is in flight and nothing will be sent until it is committed or withdrawn:
        members may unload all else. `NO_PLAN` when none is.
    withdrawn
        Proposals up to this epoch will not be committed any more.
    low_water
        Oldest epoch in flight: older plans may be forgotten.
    """

    drained: PlanKey = NO_PLAN
    withdrawn: Epoch = NO_EPOCH
    low_water: Epoch = NO_EPOCH


@dataclass(frozen=True)
class CustodyQuery:
    """Sensing asks a store what became of batches that it acknowledged as stored (message `CustodyQuery`)."""

    store: str
    batches: tuple[BatchId, ...]
