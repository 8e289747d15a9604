"""A flight to be disturbed: what was sent, delivered and committed, and when; and the disturbances themselves."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from chaos.judge import Result, books_complaints, count_rows, rows_complaints
from chaos.processes import Processes
from chaos.workshop import Cargo
from flight import Flight
from observer import Observer
from rclpy.client import Client
from satllm_ros.msg import BatchAck, ImageBatch, Ledger, Plan, SatelliteStatus
from std_srvs.srv import Trigger

from satllm_ros import interfaces as graph
from satllm_ros.nodes.base.qos import profile
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol import plan as plans

SATELLITES = ("sat1", "sat2", "sat3", "sat4")
# Two blocks of each of two tiles: a cycle of 40 ms.
BLOCK_S = 0.01
BATCH_TILES = 2
MEMORY_BYTES = 8_000_000
RATE_BPS = 40.0e6
PROPAGATION_S = 0.002
# Eight periods of half a second without a hello, counted from the end of the one in which the last came; and the
# planner, which looks every quarter of a second.
DETECTION_S = 8 * 0.5 + 0.5 + 0.25
PATIENCE_S = 600.0

BatchKey = tuple[int, int, int]


class Rig:
    """One flight under observation. All times are of this process's steady clock [s]."""

    def __init__(self, flight: Flight, observer: Observer) -> None:
        self.flight = flight
        self.observer = observer
        self.processes = Processes(flight)
        self.ledgers: list[Ledger] = []
        self.statuses: dict[str, list[SatelliteStatus]] = {n: observer.hear(graph.STATUS, n) for n in SATELLITES}
        # Hashes of plans that sensing said it flies, or that a batch it sent was stamped with.
        self.flown: set[str] = set()
        self.proposed_s: dict[str, float] = {}
        self.sent_s: dict[BatchKey, float] = {}
        self.delivered_s: dict[BatchKey, float] = {}
        self._active: dict[str, tuple[float, plans.Plan]] = {}
        self._hear(graph.LEDGER, Ledger, self._on_ledger)
        self._hear(graph.PLAN_ACTIVE, Plan, self._on_active)
        self._hear(graph.PLAN_PROPOSED, Plan, self._on_proposed)
        self._hear(graph.BATCH_ACK, BatchAck, self._on_ack)
        self._hear(graph.IMAGES_OUTBOX, ImageBatch, self._on_sent, graph.SENSING)
        self._plan_voice = observer.node.create_publisher(
            Plan, observer.name(graph.PLAN_PROPOSED), profile(graph.PLAN_PROPOSED.qos)
        )

    def _hear(self, topic: graph.Topic, type_: type, callback: Callable[[Any], None], node: str = "") -> None:
        self.observer.node.create_subscription(type_, self.observer.name(topic, node), callback, profile(topic.qos))

    def _on_ledger(self, message: Ledger) -> None:
        self.ledgers.append(message)
        if message.plan_hash:
            self.flown.add(message.plan_hash)

    def _on_active(self, message: Plan) -> None:
        # Anybody may publish there: what is no plan at all is not sensing's.
        with suppress(plans.PlanError):
            self._active.setdefault(message.plan_hash, (time.monotonic(), convert.plan_from(message)))

    def _on_proposed(self, message: Plan) -> None:
        self.proposed_s.setdefault(message.plan_hash, time.monotonic())

    def _on_ack(self, message: BatchAck) -> None:
        if message.verdict == BatchAck.DELIVERED and message.sender == graph.GROUND:
            self.delivered_s.setdefault(_key(message.batch), time.monotonic())

    def _on_sent(self, message: ImageBatch) -> None:
        self.sent_s.setdefault(_key(message.envelope.batch), time.monotonic())
        self.flown.add(message.envelope.plan_hash)

    # How things stand

    @property
    def batches(self) -> int:
        """Batches of which the ground has said that it has them."""
        return len({key[:2] for key in self.delivered_s})

    @property
    def committed(self) -> dict[str, tuple[float, plans.Plan]]:
        """When the commit of each plan was heard, and the plan, by hash."""
        return {plan_hash: heard for plan_hash, heard in self._active.items() if plan_hash in self.flown}

    @property
    def plan(self) -> plans.Plan:
        """The plan that was committed last, as far as heard."""
        return max((plan for _, plan in self.committed.values()), key=lambda plan: plan.epoch)

    def committed_s(self, plan: plans.Plan) -> float:
        """When its commit was heard."""
        return self.committed[plan.plan_hash][0]

    # Waiting

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        return self.observer.until(condition, what, patience_s=PATIENCE_S)

    def until_batches(self, more: int) -> None:
        """So many more batches have come down."""
        wanted = self.batches + more
        self.until(lambda: self.batches >= wanted, f"{more} more batches on the ground")

    def until_plan(self, accept: Callable[[plans.Plan], Any], what: str) -> plans.Plan:
        """A plan like this is the active one."""
        self.until(lambda: self.committed and accept(self.plan), what)
        return self.plan

    def until_recovered(self, fault_s: float) -> float:
        """A batch that was sent after the fault has come down; seconds from the fault to then."""

        def first_s() -> float | None:
            after = (at_s for key, at_s in self.delivered_s.items() if self.sent_s.get(key, 0.0) > fault_s)
            return min(after, default=None)

        return self.until(first_s, "a batch sent after the fault to come down") - fault_s

    def until_ended(self) -> int:
        """Exit code of the flight."""
        self.observer.until(
            lambda: self.flight.process.poll() is not None,
            "the end of the flight",
            graph_may_end=True,
            patience_s=PATIENCE_S,
        )
        return self.flight.process.wait()

    def interrupt(self) -> int:
        """Ctrl-C; exit code of the flight."""
        self.flight.process.send_signal(signal.SIGINT)
        return self.until_ended()

    def hold(self, seconds: float) -> None:
        """Leave a fault in place for so long; for the long flights, whose faults are given in seconds."""
        until_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= until_s, "time to pass")

    # Doing

    def kill(self, name: str) -> float:
        """SIGKILL a process; the time of it."""
        self.processes.kill(name)
        return time.monotonic()

    def propose(self, plan: plans.Plan) -> plans.Plan:
        """Publish a plan as an operator would, sealed."""
        sealed = plan.sealed()
        self._plan_voice.publish(convert.plan_to(sealed, self.observer.node.get_clock().now().to_msg()))
        return sealed

    def by_hand(self, *shares: tuple[str, int], downlink: str = "") -> plans.Plan:
        """A plan under the next epoch: satellites in flight order, each with the number of its blocks."""
        setting = self.plan.stages[-1].setting
        stages, start = [], 0
        for satellite, blocks in shares:
            stages.append(plans.Stage(satellite, start, start + blocks, setting))
            start += blocks
        epoch = replace(self.plan.epoch, counter=self.plan.epoch.counter + 1)
        return replace(
            self.plan,
            epoch=epoch,
            planner_id="by hand",
            stages=tuple(stages),
            downlink=downlink or shares[-1][0],
            signature=b"",
        )

    def replan(self) -> None:
        """Ask the planner for a new plan."""
        client: Client[Any, Any] = self.observer.node.create_client(
            Trigger, self.observer.name(graph.LEDGER).replace("ledger", "replan")
        )
        self.until(client.service_is_ready, "the replan service")
        answer = client.call_async(Trigger.Request())
        self.until(answer.done, "an answer of the planner")
        self.observer.node.destroy_client(client)
        assert answer.result().success, answer.result().message

    # Judging

    def bound_s(self, plan: plans.Plan) -> float:
        """Detection, loading as it was seen, and a batch's way through the whole chain of the plan that followed."""
        load_s = self.committed_s(plan) - self.proposed_s.get(plan.plan_hash, self.committed_s(plan))
        return DETECTION_S + load_s + plan.predicted_cycle_s * (2 * len(plan.stages) + 1)

    def result(
        self,
        scenario: str,
        cargo: Cargo,
        exit_code: int,
        *,
        expected_code: int = 0,
        exact: bool = True,
        losses_told: int = 0,
        **more: Any,
    ) -> Result:
        """What became of it, once it has ended; `losses_told`: tiles that the flight itself said were lost."""
        rows = count_rows(self.flight.latest / "predictions.sqlite", cargo.labels)
        complaints = [*books_complaints(self.ledgers), *rows_complaints(rows, exact=exact, losses_told=losses_told)]
        if exit_code != expected_code:
            complaints.append(f"exit code {exit_code} instead of {expected_code}")
        self.processes.close()
        self.observer.close()
        processes, segments = self.flight.pids(), self.flight.segments_left()
        if processes or segments:
            complaints.append(f"left behind: {len(processes)} processes, {len(segments)} segments of shared memory")
        if "Traceback" in self.flight.errors + self.flight.logs:
            complaints.append("an exception in a log")
        lives = {ledger.boot_id: ledger for ledger in self.ledgers}
        return Result(
            scenario=scenario,
            tiles=len(cargo.labels),
            lost=rows.lost,
            twice=rows.twice,
            wrong=rows.wrong,
            suppressed=rows.suppressed,
            sent_again=sum(ledger.resent_batches for ledger in lives.values()),
            plans=len(self.committed),
            complaints=(*complaints, *more.pop("complaints", ())),
            **more,
        )


def _key(batch: Any) -> BatchKey:
    return batch.boot_id, batch.sequence, batch.attempt
