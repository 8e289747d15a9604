"""A plan: which satellite runs which blocks, and what makes a plan acceptable."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace

from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.protocol.identity import Epoch

MAX_EPOCH = 2**63
# A chain that takes longer for one batch is not one that anybody waits for.
MAX_CYCLE_S = 3600.0


class PlanError(ValueError):
    """A plan that must not be activated; the message says why."""


@dataclass(frozen=True)
class Stage:
    """Blocks start+1 .. stop on one satellite; `setting` compresses the activation at cut `stop`."""

    satellite: str
    start: int
    stop: int
    setting: CodecSetting


@dataclass(frozen=True)
class Plan:
    """Message `Plan` without ROS. `explanation` and predicted makespans inform people and are not part of the hash.

    `predicted_cycle_s` is: sensing derives from it how long it waits for an acknowledgement.

    `signature` is Ed25519 over `content()`; empty when plans are not signed.
    """

    epoch: Epoch
    planner_id: str
    model_id: str
    source: str
    stages: tuple[Stage, ...]
    downlink: str
    accuracy_floor: float = 0.0
    predicted_makespan_s: float = 0.0
    predicted_paper_s: float = 0.0
    predicted_cycle_s: float = 0.0
    explanation: str = ""
    plan_hash: str = field(default="")
    signature: bytes = b""

    def sealed(self) -> Plan:
        """The same plan with its hash filled in."""
        return replace(self, plan_hash=self.digest())

    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 over `content()`."""
        return hashlib.sha256(self.content()).hexdigest()[:16]

    def content(self) -> bytes:
        """All that satellites obey, in one canonical form."""
        obeyed = {
            "epoch": [self.epoch.incarnation, self.epoch.counter],
            "planner_id": self.planner_id,
            "model_id": self.model_id,
            "source": self.source,
            "stages": [asdict(stage) for stage in self.stages],
            "downlink": self.downlink,
            "accuracy_floor": float(self.accuracy_floor),
            "predicted_cycle_s": float(self.predicted_cycle_s),
        }
        return json.dumps(obeyed, sort_keys=True).encode()

    @property
    def satellites(self) -> tuple[str, ...]:
        return tuple(stage.satellite for stage in self.stages)

    @property
    def members(self) -> frozenset[str]:
        """Every satellite that must be ready before the plan may fly."""
        return frozenset(self.satellites) | {self.downlink}

    def stage_of(self, satellite: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.satellite == satellite), None)

    def next_hop(self, satellite: str) -> str | None:
        """Satellite that takes this one's activation; None after the last stage."""
        order = self.satellites
        place = order.index(satellite)
        return order[place + 1] if place + 1 < len(order) else None


def check_plan(plan: Plan, *, model_id: str, blocks: int, known: Collection[str]) -> None:
    """Refuse a plan that must not be activated.

    Parameters
    ----------
    model_id, blocks
        The model on board and its number of blocks L.
    known
        Names of the satellites of the constellation.

    Raises
    ------
    PlanError
        With one sentence that names the first thing wrong.
    """
    if plan.epoch.incarnation < 1 or plan.epoch.counter < 1:
        raise PlanError(f"plan has epoch {plan.epoch}; incarnation and counter start at 1")
    if max(plan.epoch.incarnation, plan.epoch.counter) > MAX_EPOCH:
        # No planner could ever propose a later one.
        raise PlanError(f"plan has epoch {plan.epoch}; incarnation and counter end at 2^63")
    if plan.plan_hash != plan.digest():
        raise PlanError(
            f"plan {plan.epoch} carries hash {plan.plan_hash!r} but its content hashes to {plan.digest()!r}"
        )
    if plan.model_id != model_id:
        raise PlanError(f"plan {plan.epoch} is for model {plan.model_id!r}, on board is {model_id!r}")
    if not plan.stages:
        raise PlanError(f"plan {plan.epoch} has no stages")
    expected_start = 0
    for stage in plan.stages:
        if stage.satellite not in known:
            raise PlanError(
                f"plan {plan.epoch} names satellite {stage.satellite!r}; known are {', '.join(sorted(known))}"
            )
        if stage.start != expected_start or stage.stop <= stage.start:
            raise PlanError(
                f"plan {plan.epoch} gives {stage.satellite} blocks ({stage.start}, {stage.stop}];"
                f" stages must be contiguous, at least one block each, and the next block is {expected_start + 1}"
            )
        expected_start = stage.stop
    if expected_start != blocks:
        raise PlanError(f"plan {plan.epoch} ends at block {expected_start}, the model has {blocks}")
    if len(set(plan.satellites)) != len(plan.stages):
        raise PlanError(f"plan {plan.epoch} names a satellite twice")
    if plan.downlink not in known:
        raise PlanError(f"plan {plan.epoch} downlinks from {plan.downlink!r}; known are {', '.join(sorted(known))}")
    if not (math.isfinite(plan.accuracy_floor) and 0.0 <= plan.accuracy_floor <= 1.0):
        raise PlanError(f"plan {plan.epoch} has accuracy floor {plan.accuracy_floor}; allowed is 0 to 1")
    if not 0.0 <= plan.predicted_cycle_s <= MAX_CYCLE_S:
        raise PlanError(
            f"plan {plan.epoch} predicts {plan.predicted_cycle_s} s between batches; allowed is 0 to {MAX_CYCLE_S:g}"
        )
