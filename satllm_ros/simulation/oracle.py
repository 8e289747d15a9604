"""What must hold at every moment of every run, whatever fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from satllm_ros.runtime.custody import State, Verdict
from satllm_ros.runtime.delivery import BatchKey, batch_key
from satllm_ros.runtime.identity import NO_EPOCH, BatchId, Epoch, TileKey
from satllm_ros.runtime.plan import Plan
from satllm_ros.runtime.plan_switch import Readiness
from satllm_ros.runtime.satellite_protocol import Blocks, SatelliteProtocol, plan_key
from satllm_ros.runtime.sensing_protocol import SensingProtocol
from satllm_ros.runtime.signals import PlanKey, Report
from satllm_ros.simulation.messages import Batch, Result, Step

if TYPE_CHECKING:
    from satllm_ros.runtime.signals import Ack
    from satllm_ros.simulation.end_processes import Ground
    from satllm_ros.simulation.satellite_process import Satellite
    from satllm_ros.simulation.sensing_process import Sensing


class Violation(AssertionError):
    """The protocol broke a promise; the message says which."""


class Oracle:
    """Told of everything that happens; raises `Violation` at the first broken promise."""

    def __init__(self, window_batches: int) -> None:
        self._window_batches = window_batches
        self.sensing: Sensing | None = None
        self.ground: Ground | None = None
        self.satellites: dict[str, Satellite] = {}
        self.committed_plans: dict[Epoch, Plan] = {}
        self._highest = NO_EPOCH
        self._ready: set[tuple[str, PlanKey]] = set()
        self._sent: dict[BatchKey, tuple[TileKey, ...]] = {}
        self.lost_with_sensing: set[TileKey] = set()
        self.drains = 0

    # Told by the processes

    def committed(self, plan: Plan) -> None:
        """Sensing persists a plan as the active one."""
        if plan.epoch <= self._highest:
            raise Violation(f"plan {plan.epoch} is committed after plan {self._highest}")
        missing = [name for name in sorted(plan.members) if (name, plan_key(plan)) not in self._ready]
        if missing:
            raise Violation(f"plan {plan.epoch} is committed though {', '.join(missing)} never reported ready for it")
        self._highest = plan.epoch
        self.committed_plans[plan.epoch] = plan

    def announced(self, plan: Plan) -> None:
        """Sensing publishes the active plan."""
        if plan.epoch < self._highest:
            raise Violation(f"plan {plan.epoch} is announced as active after plan {self._highest}")

    def told(self, protocol: SensingProtocol) -> None:
        """Sensing publishes the state of the switch."""
        if protocol.draining and protocol.switch.drained == plan_key(protocol.proposal):
            self.drains += 1
            if protocol.custody.in_flight_batches:
                raise Violation(
                    f"sensing says it is drained with {protocol.custody.in_flight_batches} batches in flight"
                )

    def sent(self, batch: BatchId, tiles: tuple[TileKey, ...]) -> None:
        """Sensing sends a batch."""
        self._sent[batch_key(batch)] = tiles

    def reported(self, report: Report) -> None:
        """A satellite publishes its report."""
        if report.readiness is Readiness.READY:
            if report.about not in report.serves:
                raise Violation(f"{report.satellite} reports ready for plan {report.about[0]}, and does not serve it")
            self._ready.add((report.satellite, report.about))

    def acknowledged(self, ack: Ack) -> None:
        """A satellite or the ground publishes an acknowledgement."""
        if ack.verdict is Verdict.DELIVERED and self.ground is not None:
            rows = self.ground.disk["rows"]
            if any(tile not in rows for tile in self._sent[batch_key(ack.batch)]):
                raise Violation(f"{ack.sender} acknowledges {ack.batch} as delivered, the ground has not written it")
        elif ack.verdict is Verdict.STORED:
            if batch_key(ack.batch) not in self.satellites[ack.sender].disk["batches"]:
                raise Violation(f"{ack.sender} acknowledges {ack.batch} as stored, its disk does not have it")

    def asked_to_load(self, protocol: SatelliteProtocol) -> None:
        """A satellite begins to load blocks."""
        if protocol.memory_bytes > protocol.budget_bytes:
            raise Violation(
                f"{protocol.satellite} takes {protocol.memory_bytes} bytes of memory,"
                f" allowed are {protocol.budget_bytes}"
            )

    def unloaded(self, satellite: Satellite, blocks: Blocks) -> None:
        """A satellite frees blocks."""
        protocol = satellite.protocol
        if self.sensing is None or protocol.is_drained or not self.sensing.alive:
            return
        if sum(stop - start for start, stop in {*protocol.fitting(), blocks}) > protocol.budget_bytes:
            # Three plans at once, and room for two: what had to go is refused and sent again.
            return
        for held in self.sensing.protocol.custody.held_batches():
            plan = self.committed_plans.get(held.epoch) if held.epoch is not None else None
            if held.state is not State.IN_FLIGHT or plan is None or plan.epoch not in satellite.heard_active:
                continue
            stage = plan.stage_of(satellite.name)
            if stage is not None and (stage.start, stage.stop) == blocks:
                raise Violation(
                    f"{satellite.name} frees blocks ({blocks[0]}, {blocks[1]}]"
                    f" that a batch in flight under plan {plan.epoch} needs"
                )

    def sensing_died(self, process: Sensing) -> None:
        """A live source's tiles that only sensing had die with it; whatever can be read again does not."""
        if process.is_live:
            self.lost_with_sensing |= process.held_tiles

    def written(self, result: Result) -> None:
        """The ground has written a result."""
        self.check_steps(result.steps)

    def corrupt(self, message: Any) -> Any:
        """The message, damaged in a way its checksum tells; small messages are not damaged."""
        return replace(message, intact=False) if isinstance(message, Batch) else message

    # Judged

    def check_steps(self, steps: tuple[Step, ...]) -> None:
        """Every block once, in order, all under one committed plan."""
        keys = {(step.epoch, step.plan_hash) for step in steps}
        plan = next((p for p in self.committed_plans.values() if keys == {(p.epoch, p.plan_hash)}), None)
        done = [(step.satellite, step.start, step.stop) for step in steps]
        if plan is None or done != [(s.satellite, s.start, s.stop) for s in plan.stages]:
            served = ", ".join(f"{s.satellite} ({s.start}, {s.stop}] of plan {s.epoch}" for s in steps)
            raise Violation(f"a batch was served by the wrong sub-model: {served}")

    def check_ledger(self) -> None:
        """Every tile that sensing has acquired is in exactly one place."""
        sensing = self.sensing
        if sensing is None or not sensing.alive:
            return
        tally = sensing.protocol.custody.tally()
        placed = tally.waiting + tally.in_flight + tally.stored + tally.delivered + tally.dropped
        if tally.accepted != placed or placed + sensing.waiting_tiles != sensing.read_tiles:
            raise Violation(f"the ledger does not add up: {sensing.read_tiles} tiles read, {tally}")
        if sensing.protocol.custody.in_flight_batches > self._window_batches:
            raise Violation(f"{sensing.protocol.custody.in_flight_batches} batches in flight: {tally}")

    def check_end(self, tiles: set[TileKey]) -> None:
        """Once all is quiet: every tile is on the ground once, or its loss is accounted for."""
        rows = self.ground.disk["rows"]
        excused = set(self.sensing.overflowed) | self.lost_with_sensing
        missing = tiles - rows.keys() - excused
        if missing:
            raise Violation(f"{len(missing)} tiles are lost, among them frame {min(missing).frame}")
        if both := rows.keys() & set(self.sensing.overflowed):
            raise Violation(f"frame {min(both).frame} was counted as dropped and delivered")
        if unknown := rows.keys() - tiles:
            raise Violation(f"frame {min(unknown).frame} was never acquired")
        if dropped := self.sensing.protocol.custody.tally().dropped:
            raise Violation(f"{dropped} tiles were dropped: {dict(self.sensing.protocol.custody.causes)}")
