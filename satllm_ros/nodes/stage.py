"""Stage node: loads the blocks that plans give this satellite, and says what the satellite is, has and does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.publisher import Publisher

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import artefacts_path, checkpoint_path
from satllm_ros.compression.tables.artefacts import Artefacts, load_artefacts
from satllm_ros.compression.tables.floor import below_floor
from satllm_ros.compression.wire.errors import ArtefactError
from satllm_ros.interfaces import MAX_BLOCK_S, MAX_THREADS
from satllm_ros.model.engines.choice import AUTO, DEVICES, KINDS, PRECISIONS, EngineRequest, choose_engine
from satllm_ros.model.engines.engine import Engine
from satllm_ros.model.spec import ModelSpec, read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode, NotReadyError
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.parameters import parameter
from satllm_ros.nodes.base.runs import facts_of, join_run
from satllm_ros.nodes.base.shared_parameters import (
    BatchParameters,
    CodecParameters,
    FleetParameters,
    ModelParameters,
    PlanParameters,
    StateParameters,
)
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.external import answer_from, order_to
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.satellite import SatelliteProtocol
from satllm_ros.satellite.external_blocks import ExternalBlocks, StageOrder
from satllm_ros.satellite.satellite_state import SatelliteState
from satllm_ros.satellite.submodels import SubModels

STATUS_PERIOD_S = 1.0
EXTERNAL_PERIOD_S = 0.5


@dataclass(frozen=True)
class _Fitness:
    """What there is from configuring on: by what a plan is judged."""

    artefacts: Artefacts
    gate: PlanGate


@dataclass(frozen=True)
class StageParameters(
    BatchParameters, StateParameters, PlanParameters, FleetParameters, CodecParameters, ModelParameters
):
    """What a stage is told."""

    memory_budget_bytes: int = parameter(8_000_000_000, "Bound on the parameters in memory", "byte", 1, read_only=False)
    threads: int = parameter(1, "Threads of one inference", "-", 1, MAX_THREADS)
    engine: str = parameter(
        AUTO, "What computes: onnx where a bundle of the model is, else torch; or one of them", choices=KINDS
    )
    engine_device: str = parameter(AUTO, "On what", choices=DEVICES)
    engine_precision: str = parameter(AUTO, "In what; auto: as the checkpoint has it", choices=PRECISIONS)
    bundle: str = parameter(
        "", "Folder of the model's ONNX graphs, made by `satllm export`; empty: beside the checkpoint"
    )
    external: bool = parameter(False, "A stage written by someone else runs the blocks: docs/external-stage.md")
    emulate: bool = parameter(False, "Impose block_s, to stand for slower hardware; off on real hardware")
    block_s: float = parameter(
        0.0,
        "Seconds one tile takes in one block, under emulation; of an external stage, until it is measured",
        "s",
        0.0,
        MAX_BLOCK_S,
        read_only=False,
    )


class StageNode(FlightNode):
    """Owns the sub-models of its satellite; inference itself runs on the compression node's workers."""

    KEYS = diagnostic_keys.STAGE
    PARAMETERS = StageParameters
    parameters: StageParameters

    def __init__(self, satellite_state: SatelliteState, hello: HelloThread, **kwargs: Any) -> None:
        super().__init__("stage", depth_below_root=1, **kwargs)
        self._satellite_state = satellite_state
        self._hello = hello
        hello.worker_age_s = lambda: satellite_state.worker_age_s()
        self._external_name = graph.external_stage_of(self.satellite)
        # Lives of an external stage: the one in use, and one that has failed and must be started anew.
        self._stage_life = self._failed_stage_life = 0
        self._configured: _Fitness | None = None
        # While active; of orders only with an external stage.
        self._status: Publisher[Any] | None = None
        self._orders: Publisher[Any] | None = None
        self.every(STATUS_PERIOD_S, self._satellite_state.tell)
        if self.parameters.external:
            self.every(EXTERNAL_PERIOD_S, self._look_after_external)

    def configure(self) -> None:
        checkpoint = checkpoint_path(self.parameters.checkpoint)
        spec = read_spec(checkpoint)
        gate = PlanGate(spec, self.parameters.satellites, self.parameters.plan_public_key)
        artefacts = load_artefacts(artefacts_path(self.parameters.artefacts), model_id=spec.model_id)
        self._configured = _Fitness(artefacts, gate)
        facts = facts_of(spec, artefacts_id=artefacts.artefact_id)
        join_run(self, Path(self.parameters.state_directory), facts)
        satellites = self.parameters.satellites
        if self.satellite not in satellites:
            raise ValueError(f"this node runs in namespace {self.satellite!r}; satellites are {', '.join(satellites)}")
        # A life begins with an empty memory: this is one, whether or not the process is a new one.
        boot_id = self._hello.begin_life()
        submodels: SubModels | ExternalBlocks
        if self.parameters.external:
            submodels = ExternalBlocks(spec, self.parameters.block_s, boot_id, self._send_order)
        else:
            submodels = SubModels(
                self._engine(checkpoint, spec),
                spec,
                memory_budget_bytes=self.parameters.memory_budget_bytes,
                block_s=self._imposed_block_s(),
                batch_tiles=self.parameters.batch_tiles,
                share=-(-spec.blocks // len(satellites)),
            )
        protocol = SatelliteProtocol(
            self.satellite,
            boot_id,
            model_id=spec.model_id,
            layer_bytes=submodels.layer_bytes,
            known=satellites,
            budget_bytes=self.parameters.memory_budget_bytes,
            objection=self._objection,
        )
        self._satellite_state.open(protocol, submodels)

    def activate(self) -> None:
        submodels = self._satellite_state.submodels
        if submodels is None:
            raise NotReadyError("it is not configured")
        if isinstance(submodels, SubModels) and not submodels.ready:
            raise NotReadyError(f"{submodels.engine_name.kind} is still being imported")
        if isinstance(submodels, ExternalBlocks):
            self._await_external()
            self._orders = self.publish_on(graph.STAGE_ORDER, self.satellite)
            self.listen_to(graph.STAGE_ANSWER, self._on_answer, self.satellite)
            self._send_order(submodels.order)
        self._status = self.publish_on(graph.STATUS, self.satellite)
        self._satellite_state.watch(self._publish_status)
        self._satellite_state.tell()
        self.listen_to(graph.PLAN_PROPOSED, lambda message: self._on_plan(message, self._satellite_state.take_proposal))
        self.listen_to(graph.PLAN_ACTIVE, lambda message: self._on_plan(message, self._satellite_state.take_active))
        self.listen_to(graph.SWITCH_STATE, self._on_switch)
        # After the first status: who hears of a life knows what it is.
        self._hello.set_ready(True)

    def deactivate(self) -> None:
        self._hello.set_ready(False)
        self._satellite_state.watch(None)
        self._status = self._orders = None

    def cleanup(self) -> None:
        self._satellite_state.close()
        self._configured = None

    def parameters_changed(self, names: set[str]) -> None:
        submodels = self._satellite_state.submodels
        if "memory_budget_bytes" in names:
            self._satellite_state.take_budget(self.parameters.memory_budget_bytes)
        if "block_s" in names and isinstance(submodels, SubModels):
            submodels.block_s = self._imposed_block_s()
        elif "block_s" in names and isinstance(submodels, ExternalBlocks):
            submodels.real_block_s = self.parameters.block_s

    def _engine(self, checkpoint: Path, spec: ModelSpec) -> Engine:
        told = self.parameters
        request = EngineRequest(told.engine, told.engine_device, told.engine_precision)
        engine, why = choose_engine(request, checkpoint, spec, bundle=told.bundle, threads=told.threads)
        self.get_logger().info(f"engine: {engine.name}: {why}")
        return engine

    # A stage written by someone else

    def _await_external(self) -> None:
        contact = self._hello.contact(self._external_name)
        # That may take for ever: nobody shall wait for this satellite with a first plan.
        self._hello.set_ready(False)
        if not contact.is_two_way:
            raise NotReadyError(
                f"external is true, and no stage that is ready and hears this one says hello as {self._external_name}"
            )
        if contact.boot_id == self._failed_stage_life:
            raise NotReadyError("the external stage has failed; it is used again once it is started anew")
        self._stage_life = contact.boot_id

    def _send_order(self, order: StageOrder) -> None:
        if self._orders is not None:
            message = order_to(order)
            message.header.stamp = self.stamp()
            self._orders.publish(message)

    def _on_answer(self, message: m.StageAnswer) -> None:
        submodels = self._satellite_state.submodels
        try:
            answer = answer_from(message)
        except convert.WireError:
            self.counters.add("malformed_answer")
            return
        if isinstance(submodels, ExternalBlocks):
            submodels.on_answer(answer)

    def _look_after_external(self) -> None:
        """End this life of the satellite if its stage is gone, stuck, another one, or has failed."""
        submodels = self._satellite_state.submodels
        if self.state != "active" or not isinstance(submodels, ExternalBlocks):
            return
        contact = self._hello.contact(self._external_name)
        trouble = submodels.trouble
        if trouble or self._hello.is_stuck(self._external_name):
            trouble = trouble or "its work stands still"
            self._failed_stage_life = self._stage_life
        elif not contact.is_heard:
            trouble = f"it was last heard {contact.heard_age_s or 0.0:.1f} s ago"
        elif contact.boot_id != self._stage_life:
            trouble = "it has begun anew"
        elif not contact.is_two_way:
            trouble = "it does not hear this satellite" if contact.is_ready else "it is not ready any more"
        if trouble:
            self.counters.add("external_failed")
            self.get_logger().error(f"the external stage is used no more: {trouble}")
            self.begin_anew()

    def _imposed_block_s(self) -> float | None:
        return self.parameters.block_s if self.parameters.emulate else None

    @property
    def _fitness(self) -> _Fitness:
        assert self._configured is not None
        return self._configured

    def _objection(self, plan: Plan) -> str:
        """Why the setting that a plan gives this satellite cannot be used here, or breaks the plan's own floor."""
        artefacts = self._fitness.artefacts
        stage = plan.stage_of(self.satellite)
        if stage is None or plan.next_hop(self.satellite) is None:
            return ""
        try:
            artefacts.check_can_code(stage.setting, stage.stop)
        except ArtefactError as error:
            return str(error)
        return below_floor(stage.setting, plan.accuracy_floor, artefacts)

    def _on_plan(self, message: m.Plan, take: Callable[[Plan], None]) -> None:
        # One that cannot be flown is taken all the same: the planner is told in the status that it is refused.
        plan = self._fitness.gate.hear(message, self).plan
        if plan is None:
            return
        take(plan)
        report = self._satellite_state.protocol.report if self._satellite_state.protocol is not None else None
        if report is not None:
            self.get_logger().debug(
                f"plan {plan.epoch} is heard: {report.readiness.name.lower()} {report.reason}".rstrip()
            )

    def _on_switch(self, message: m.SwitchState) -> None:
        self._satellite_state.take_switch(convert.switch_from(message))

    def _publish_status(self) -> None:
        # Under the state's lock: all that is said is of one moment.
        own = self._satellite_state
        protocol, submodels, newest, pinned = own.protocol, own.submodels, own.newest, own.pinned
        if protocol is None or submodels is None or self._status is None:
            return
        message = m.SatelliteStatus(
            model_id=submodels.spec.model_id,
            memory_bytes=submodels.memory_bytes,
            memory_budget_bytes=protocol.budget_bytes,
            block_s=submodels.real_block_s if submodels.block_s is None else submodels.block_s,
            block_real_s=submodels.real_block_s,
            emulated=submodels.block_s is not None,
            setting_pinned=own.is_pinned,
            inbox=own.waiting(),
        )
        convert.report_into(protocol.report, message)
        stage = newest.stage_of(self.satellite) if newest is not None else None
        if newest is not None and stage is not None:
            message.start, message.stop = stage.start, stage.stop
            message.setting = convert.setting_to(own.setting_for(newest, stage))
        elif pinned is not None and own.is_pinned:
            # A satellite without blocks will use it for those of the next plan.
            message.setting = convert.setting_to(pinned)
        message.header.stamp = self.stamp()
        self._status.publish(message)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        level, message, values = super().diagnose()
        submodels = self._satellite_state.submodels
        if isinstance(submodels, SubModels):
            values = {**values, "memory_bytes": submodels.memory_bytes, "engine": str(submodels.engine_name)}
        if submodels is not None and submodels.real_block_s:
            values = {**values, "block_real_s": f"{submodels.real_block_s:.6f}"}
        return level, message, values
