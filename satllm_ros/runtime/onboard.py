"""What the nodes of one satellite process share: plans, sub-models, and the settings in force."""

from __future__ import annotations

import threading
from collections.abc import Callable

from satllm_ros.compression.setting import CodecSetting
from satllm_ros.runtime.identity import Epoch
from satllm_ros.runtime.plan import Plan
from satllm_ros.runtime.plan_switch import Entry, PlanTable
from satllm_ros.runtime.submodels import ExternalBlocks, SubModels


class Onboard:
    """Plan table and sub-models of one satellite, shared by its callbacks and its workers.

    The stage node opens it at configure and closes it at cleanup; the compression node reads it per batch.
    `on_change` is called, from any thread, whenever the satellite's status has changed.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._table: PlanTable | None = None
        self.submodels: SubModels | ExternalBlocks | None = None
        self.pinned: CodecSetting | None = None
        self.pinned_accuracy = 0.0
        self.waiting: Callable[[], int] = lambda: 0
        self.on_change: Callable[[], None] = lambda: None

    def open(self, table: PlanTable, submodels: SubModels | ExternalBlocks) -> None:
        with self._lock:
            self._table, self.submodels = table, submodels

    def close(self) -> None:
        """Forget plans and free the model."""
        with self._lock:
            submodels, self.submodels, self._table = self.submodels, None, None
        if submodels is not None:
            submodels.close()

    @property
    def table(self) -> PlanTable | None:
        return self._table

    def take_plan(self, plan: Plan) -> None:
        """A plan was proposed or is active: load what it needs, then report ready."""
        with self._lock:
            if self._table is None or self.submodels is None:
                return
            stage = self._table.on_plan(plan)
            submodels = self.submodels
        self.on_change()
        if stage is not None:
            submodels.load(stage.start, stage.stop, lambda error: self._loaded(plan, error))

    def entry(self, epoch: Epoch, plan_hash: str, low_water: Epoch) -> Entry | None:
        """The plan a batch names; sub-models that no batch can need any more are dropped on the way."""
        with self._lock:
            if self._table is None or self.submodels is None:
                return None
            found = self._table.entry(epoch, plan_hash)
            if found is not None and self._table.epochs[0] < low_water:
                # A batch is itself in flight: a mark above its epoch is a damaged one, and must not cost its sub-model.
                self._table.on_low_water(min(low_water, epoch))
                self.submodels.keep_only(self._table.needed_blocks())
            return found

    def pin(self, setting: CodecSetting | None, *, accuracy: float) -> None:
        """An operator's setting, with its measured accuracy, from the next batch on; None obeys the plan again."""
        self.pinned, self.pinned_accuracy = setting, accuracy
        self.on_change()

    def setting_for(self, entry: Entry) -> CodecSetting:
        """Setting of a stage's output: the operator's if it is pinned and keeps the plan's floor, else the plan's."""
        if self.pinned is None or self.pinned_accuracy < entry.plan.accuracy_floor:
            return entry.stage.setting
        return self.pinned

    @property
    def is_pinned(self) -> bool:
        """Whether an operator's setting is in force: one that breaks the newest plan's floor is not."""
        return self.pinned is not None and self.pinned_accuracy >= self.accuracy_floor

    @property
    def accuracy_floor(self) -> float:
        """The newest plan's accuracy floor; 0 without a plan."""
        with self._lock:
            newest = self._table.newest if self._table is not None else None
            return newest.plan.accuracy_floor if newest is not None else 0.0

    def _loaded(self, plan: Plan, error: Exception | None) -> None:
        with self._lock:
            if self._table is None or self.submodels is None:
                return
            if error is None:
                self._table.on_loaded(plan.epoch)
                # While it was loading, the batches may have moved on to newer plans.
                self.submodels.keep_only(self._table.needed_blocks())
            else:
                self._table.refuse(plan, str(error))
        self.on_change()
