"""What the nodes of one satellite process share: plans, sub-models, and the settings in force."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.protocol.identity import Envelope
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.satellite import (
    Action,
    Blocks,
    Ignore,
    Load,
    Publish,
    Refuse,
    SatelliteProtocol,
    Serve,
    Unload,
)
from satllm_ros.protocol.signals import SwitchState
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import Cause, plan_key
from satllm_ros.satellite.external_blocks import ExternalBlocks
from satllm_ros.satellite.submodels import SubModels


class SatelliteState:
    """Protocol and sub-models of one satellite behind one lock, shared by its callbacks and its workers.

    The stage node opens it at configure and closes it at cleanup; the compression node asks it about every batch.
    `on_change`, set by `watch`, is called from any thread whenever the satellite's status has changed; under the lock,
    so that the status told last is the newest.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.protocol: SatelliteProtocol | None = None
        self.submodels: SubModels | ExternalBlocks | None = None
        self.pinned: CodecSetting | None = None
        self.pinned_accuracy = 0.0
        self.waiting: Callable[[], int] = lambda: 0
        self.worker_age_s: Callable[[], float] = lambda: 0.0
        self._on_change: Callable[[], None] = _nobody_listens

    def open(self, protocol: SatelliteProtocol, submodels: SubModels | ExternalBlocks) -> None:
        """Begin a life with an empty memory."""
        with self._lock:
            self.protocol, self.submodels = protocol, submodels

    def close(self) -> None:
        """Forget plans and free the model."""
        with self._lock:
            submodels, self.submodels, self.protocol = self.submodels, None, None
        # Not under the lock: the loader may be about to take it.
        if submodels is not None:
            submodels.close()

    def watch(self, on_change: Callable[[], None] | None) -> None:
        """Call this on every change of status; None: nobody. Once this returns, the former one is not running."""
        with self._lock:
            self._on_change = on_change or _nobody_listens

    def tell(self) -> None:
        """Tell whoever watches how things stand."""
        with self._lock:
            self._on_change()

    # What is heard

    def take_proposal(self, plan: Plan) -> None:
        """A planner has proposed a plan."""
        with self._lock:
            if self.protocol is not None:
                self._carry_out(self.protocol.on_proposal(plan))

    def take_active(self, plan: Plan) -> None:
        """Sensing has committed a plan."""
        with self._lock:
            if self.protocol is not None:
                self._carry_out(self.protocol.on_active(plan))

    def take_switch(self, state: SwitchState) -> None:
        """Sensing says where it is between two plans."""
        with self._lock:
            if self.protocol is not None:
                self._carry_out(self.protocol.on_switch(state))

    def take_budget(self, budget_bytes: int) -> None:
        """The operator gives the sub-models more memory or less."""
        with self._lock:
            if self.protocol is not None and self.submodels is not None:
                self.submodels.budget_bytes = budget_bytes
                self._carry_out(self.protocol.on_budget(budget_bytes))
                # The budget is part of the status, whether or not anything follows from it.
                self._on_change()

    def on_batch(self, envelope: Envelope, cut: int) -> Serve | Refuse | Ignore:
        """What to do with a batch that `cut` blocks were already run on; without a stage, no plan is on board."""
        with self._lock:
            if self.protocol is None:
                return Refuse(Cause.UNKNOWN_EPOCH)
            decision, actions = self.protocol.on_batch(envelope, cut)
            self._carry_out(actions)
            return decision

    # The setting of the output

    def pin(self, setting: CodecSetting | None, *, accuracy: float) -> None:
        """An operator's setting, with its measured accuracy, from the next batch on; None obeys the plan again."""
        with self._lock:
            self.pinned, self.pinned_accuracy = setting, accuracy
            self._on_change()

    def setting_for(self, plan: Plan, stage: Stage) -> CodecSetting:
        """Setting of a stage's output: the operator's if it is pinned and keeps the plan's floor, else the plan's."""
        with self._lock:
            if self.pinned is None or self.pinned_accuracy < plan.accuracy_floor:
                return stage.setting
            return self.pinned

    @property
    def is_pinned(self) -> bool:
        """Whether an operator's setting is in force: one that breaks the newest plan's floor is not."""
        with self._lock:
            return self.pinned is not None and self.pinned_accuracy >= self.accuracy_floor

    @property
    def newest(self) -> Plan | None:
        """The newest plan that is served."""
        with self._lock:
            if self.protocol is None:
                return None
            served = [plan for plan in self.protocol.plans if plan_key(plan) in self.protocol.report.serves]
            return max(served, key=lambda plan: plan.epoch, default=None)

    @property
    def accuracy_floor(self) -> float:
        """The newest plan's accuracy floor; 0 without a plan."""
        newest = self.newest
        return newest.accuracy_floor if newest is not None else 0.0

    def _carry_out(self, actions: Sequence[Action]) -> None:
        submodels = self.submodels
        assert submodels is not None
        for action in actions:
            match action:
                case Load():
                    self._load(submodels, action.blocks)
                case Unload():
                    submodels.drop(*action.blocks)
                case Publish():
                    self._on_change()
                case _:
                    unhandled(action)

    def _load(self, submodels: SubModels | ExternalBlocks, blocks: Blocks) -> None:
        protocol = self.protocol

        def on_done(error: Exception | None) -> None:
            with self._lock:
                # A load of a former life says nothing of this one.
                if protocol is None or self.protocol is not protocol:
                    return
                if error is None:
                    self._carry_out(protocol.on_loaded(blocks))
                else:
                    self._carry_out(protocol.on_load_failed(blocks, str(error) or repr(error)))

        submodels.load(*blocks, on_done)


def _nobody_listens() -> None:
    pass
