"""Stage node: loads the blocks that plans give this satellite, and says what the satellite is, has and does."""

from __future__ import annotations

import threading
from typing import Any

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets_path import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes import conversions as convert
from satllm_ros.nodes.base import FlightNode, NotReadyError
from satllm_ros.nodes.parameters import CHECKPOINT, SATELLITES, Parameter
from satllm_ros.runtime.identity import new_boot_id
from satllm_ros.runtime.onboard import Onboard
from satllm_ros.runtime.plan import PlanError
from satllm_ros.runtime.plan_switch import PlanTable
from satllm_ros.runtime.submodels import ExternalBlocks, SubModels

STATUS_PERIOD_S = 1.0
HEARTBEAT_PERIOD_S = 0.5


class StageNode(FlightNode):
    """Owns the sub-models of its satellite; inference itself runs on the compression node's workers."""

    PARAMETERS = (
        CHECKPOINT,
        SATELLITES,
        Parameter("memory_budget_bytes", 8_000_000_000, "Bound on the parameters in memory", "byte", 1),
        Parameter("threads", 1, "Threads of one inference", "-", 1, 256),
        Parameter(
            "external", False, "Another node runs the blocks, through the topics activation/in and activation/out"
        ),
        Parameter("emulate", False, "Impose block_s, to stand for slower hardware; off on real hardware"),
        Parameter(
            "block_s",
            0.0,
            "Seconds one tile takes in one block, under emulation or in an external stage",
            "s",
            0.0,
            1e6,
            read_only=False,
        ),
    )

    def __init__(self, onboard: Onboard) -> None:
        super().__init__("stage", depth_below_root=1)
        self._onboard = onboard
        self._satellite = self.get_namespace().split("/")[-1]
        self._boot_id = new_boot_id()
        self._status: Any = None
        self._stop_heartbeat = threading.Event()
        self._heartbeat_thread: threading.Thread | None = None
        self.every(STATUS_PERIOD_S, self._publish_status)

    def configure(self) -> None:
        checkpoint = checkpoint_path(self.value("checkpoint"))
        spec = read_spec(checkpoint)
        satellites = self.value("satellites")
        if self._satellite not in satellites:
            raise ValueError(f"this node runs in namespace {self._satellite!r}; satellites are {', '.join(satellites)}")
        submodels: SubModels | ExternalBlocks
        if self.value("external"):
            submodels = ExternalBlocks(spec, self.value("block_s"))
        else:
            submodels = SubModels(
                checkpoint,
                spec,
                memory_budget_bytes=self.value("memory_budget_bytes"),
                block_s=self._imposed_block_s(),
                threads=self.value("threads"),
            )
        table = PlanTable(self._satellite, model_id=spec.model_id, blocks=spec.blocks, known=satellites)
        self._onboard.open(table, submodels)

    def activate(self) -> None:
        submodels = self._onboard.submodels
        if submodels is None or not submodels.ready:
            raise NotReadyError("torch is still being imported")
        self._status = self.publish_on(graph.STATUS, self._satellite)
        self._heartbeat = self.publish_on(graph.HEARTBEAT, self._satellite)
        self._onboard.on_change = self._publish_status
        self.listen_to(graph.PLAN_PROPOSED, self._on_plan)
        self.listen_to(graph.PLAN_ACTIVE, self._on_plan)
        self._stop_heartbeat.clear()
        self._heartbeat_thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heartbeat_thread.start()
        self._publish_status()

    def deactivate(self) -> None:
        self._onboard.on_change = lambda: None
        self._status = None
        self._stop_heartbeat.set()
        if self._heartbeat_thread is not None:
            self._heartbeat_thread.join()
            self._heartbeat_thread = None

    def cleanup(self) -> None:
        self._onboard.close()

    def parameters_changed(self, names: set[str]) -> None:
        submodels = self._onboard.submodels
        if "block_s" in names and isinstance(submodels, SubModels):
            submodels.block_s = self._imposed_block_s()
        elif "block_s" in names and submodels is not None:
            submodels.real_block_s = self.value("block_s")

    def _imposed_block_s(self) -> float | None:
        return self.value("block_s") if self.value("emulate") else None

    def _on_plan(self, message: m.Plan) -> None:
        try:
            plan = convert.plan_from(message)
        except PlanError as error:
            self.counters.add("bad_plan")
            self.get_logger().warning(f"plan refused: {error}")
            return
        self._onboard.take_plan(plan)

    def _beat(self) -> None:
        # A thread of its own: a satellite deep in inference must not look dead.
        sequence = 0
        while not self._stop_heartbeat.wait(HEARTBEAT_PERIOD_S):
            message = m.Heartbeat(satellite=self._satellite, boot_id=self._boot_id, sequence=sequence)
            message.header.stamp = self.get_clock().now().to_msg()
            self._heartbeat.publish(message)
            sequence += 1

    def _publish_status(self) -> None:
        table, submodels, publisher = self._onboard.table, self._onboard.submodels, self._status
        if publisher is None or table is None or submodels is None:
            return
        # Read once, since the loader may change it meanwhile.
        report, newest = table.report, table.newest
        stage = newest.stage if newest is not None else None
        message = m.SatelliteStatus(
            satellite=self._satellite,
            boot_id=self._boot_id,
            proposed=convert.epoch_to(report.epoch),
            proposed_hash=report.plan_hash,
            readiness=int(report.readiness),
            reason=report.reason,
            loaded=[convert.epoch_to(epoch) for epoch in table.epochs],
            model_id=submodels.spec.model_id,
            memory_bytes=submodels.memory_bytes,
            memory_budget_bytes=self.value("memory_budget_bytes"),
            block_s=submodels.real_block_s if submodels.block_s is None else submodels.block_s,
            block_real_s=submodels.real_block_s,
            emulated=submodels.block_s is not None,
            setting_pinned=self._onboard.is_pinned,
            inbox=self._onboard.waiting(),
        )
        if stage is not None:
            message.start, message.stop = stage.start, stage.stop
            message.setting = convert.setting_to(self._onboard.setting_for(newest))
        message.header.stamp = self.get_clock().now().to_msg()
        publisher.publish(message)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        submodels = self._onboard.submodels
        if submodels is not None:
            values = {**values, "memory_bytes": submodels.memory_bytes, "block_real_s": f"{submodels.real_block_s:.6f}"}
        return level, message, values
