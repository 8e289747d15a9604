"""Sensing node: frames to batches of tiles, custody of them, and the commit of plans."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.publisher import Publisher

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.acquisition.played import READY_FOR_IMAGES, PlayedStream
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.data.tiles import Tile
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base import diagnostic_keys
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.hello import HelloThread
from satllm_ros.nodes.base.process import run
from satllm_ros.nodes.custody.life import SensingLife, begin_life
from satllm_ros.nodes.custody.link_words import hear_of_outages
from satllm_ros.nodes.custody.parameters import SensingParameters
from satllm_ros.nodes.hop.hop_publisher import HopPublisher
from satllm_ros.nodes.images.camera import Camera
from satllm_ros.nodes.images.parameters import rules_of
from satllm_ros.nodes.images.run_source import join_source
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.image_batch import image_batch_to
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.protocol import sensing as act
from satllm_ros.protocol.plan import Plan, PlanError
from satllm_ros.protocol.sensing import SendBatch
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.protocol.vocabulary import FINAL, Verdict
from satllm_ros.supervisor.parent import PLAN, tell_parent

TICK_PERIOD_S = 0.1
LEDGER_PERIOD_S = 1.0


@dataclass(frozen=True)
class _Stream:
    """What there is from activating to deactivating; `played`: of a camera of which is known how many images come."""

    hop: HopPublisher
    plan_active: Publisher[Any]
    switch_state: Publisher[Any]
    custody_query: Publisher[Any]
    ledger: Publisher[Any]
    camera: Camera | None
    played: PlayedStream | None
    close: Callable[[], None]


class SensingNode(FlightNode):
    """Reads a bag, a folder or a camera topic, sends batches to the first satellite, answers for every tile.

    A shell around `SensingProtocol`: what is heard goes in, what it answers is carried out in order.
    """

    KEYS = diagnostic_keys.SENSING
    PARAMETERS = SensingParameters
    parameters: SensingParameters

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("sensing", **kwargs)
        self._hello = HelloThread(self, graph.SENSING, self.parameters.satellites)
        # A reader of images has a thread of its own; everything else happens on the executor's.
        self._pump_wanted = self.create_guard_condition(self._pump)
        self._ledger_dirty = False
        self._started = False
        self._configured: SensingLife | None = None
        self._active: _Stream | None = None
        self.every(TICK_PERIOD_S, self._tick)
        self.every(LEDGER_PERIOD_S, self._mark_ledger)

    def configure(self) -> None:
        spec = read_spec(checkpoint_path(self.parameters.checkpoint))
        pixels = rules_of(self.parameters, spec)
        gate = PlanGate(spec, self.parameters.satellites, self.parameters.plan_public_key)
        run_source = join_source(self, self.parameters, spec, pixels)
        # Configured anew, it counts batches anew: they must not be taken for those of before.
        boot_id = self._hello.begin_life()
        self._started = False
        self._configured = begin_life(
            self,
            self.parameters,
            boot_id,
            spec,
            gate,
            run_source,
            pixels,
            on_tiles=self._pump_wanted.trigger,
            has_planner=self._has_planner,
        )

    def activate(self) -> None:
        life = self._life
        life.rivals.check()
        with ExitStack() as opened:
            hop = HopPublisher(
                self,
                graph.IMAGES_INBOX,
                graph.IMAGES_OUTBOX,
                graph.SENSING,
                life.satellites,
                emulated=self.parameters.emulate_links,
                controllers=self.parameters.link_controllers,
            )
            opened.callback(hop.close)
            camera, expected = None, self.parameters.expected_images
            if life.is_live:
                camera = Camera(self, self.parameters.image_topic, self._on_image, life.gaps)
                opened.callback(camera.close)
            self._active = _Stream(
                hop=hop,
                plan_active=self.publish_on(graph.PLAN_ACTIVE),
                switch_state=self.publish_on(graph.SWITCH_STATE),
                custody_query=self.publish_on(graph.CUSTODY_QUERY),
                ledger=self.publish_on(graph.LEDGER),
                camera=camera,
                played=PlayedStream(expected) if expected and camera is not None else None,
                close=opened.pop_all().close,
            )
        self.listen_to(graph.BATCH_ACK, self._on_ack)
        self.listen_to(graph.PLAN_PROPOSED, self._on_plan)
        hear_of_outages(self, life.protocol.outages, life.satellites)
        for satellite in life.satellites:
            self.listen_to(graph.STATUS, partial(self._on_status, satellite), satellite)
            self.listen_to(graph.TIMING, partial(self._on_timing, satellite), satellite)
        now_s = time.monotonic()
        if not self._started:
            self._started = True
            life.protocol.on_connections(self._unconnected(), now_s)
            self._carry_out(life.protocol.start(now_s))
        else:
            # The publishers are new ones: what was latched on the old ones is gone.
            plan = life.protocol.active
            self._carry_out(
                [act.PublishSwitchState(life.protocol.switch), *([act.Announce(plan)] if plan is not None else [])]
            )
        self._publish_ledger()
        self._hello.signs()
        self._hello.set_ready(True)

    def deactivate(self) -> None:
        self._hello.set_ready(False)
        stream, self._active = self._active, None
        if stream is not None:
            stream.close()
        self._life.source.stop()
        if stream is not None:
            self._life.books.publish(stream.ledger, closed=True)

    def cleanup(self) -> None:
        life, self._configured = self._configured, None
        if life is not None:
            life.close()

    @property
    def _life(self) -> SensingLife:
        assert self._configured is not None
        return self._configured

    @property
    def _stream(self) -> _Stream:
        assert self._active is not None
        return self._active

    # What is heard

    def _on_plan(self, message: m.Plan) -> None:
        plan = self._life.gate.hear(message, self).sound
        if plan is None:
            self.counters.add("plan_refused")
            return
        try:
            actions = self._life.protocol.on_proposal(plan, time.monotonic())
        except PlanError as error:
            self.ignore("plan_refused", f"plan refused: {error}")
            return
        self._carry_out(actions)
        self._pump()

    def _on_status(self, satellite: str, message: m.SatelliteStatus) -> None:
        try:
            report = convert.report_from(message)
        except convert.WireError:
            self.counters.add("malformed_status")
            return
        if report.satellite != satellite:
            self.counters.add("malformed_status")
            return
        if self._hello.is_stuck(satellite):
            # Its executor goes on, or a worker does; not both.
            self.counters.add("stuck_status")
            return
        self._carry_out(self._life.protocol.on_report(report, time.monotonic()))

    def _take_signs(self, now_s: float) -> None:
        for sign in self._hello.signs():
            self._carry_out(self._life.protocol.on_hello(sign.name, sign.boot_id, now_s))

    def _on_timing(self, satellite: str, message: m.BatchTiming) -> None:
        self._life.protocol.custody.on_passed(convert.batch_from(message.batch), satellite)

    def _on_ack(self, message: m.BatchAck) -> None:
        try:
            ack = convert.ack_from(message)
        except convert.WireError:
            self.counters.add("malformed_ack")
            return
        # Delivered or refused for good says the ground, or a store that heard it from the ground; all else only
        # satellites say.
        of_ground = ack.verdict is Verdict.DELIVERED or (ack.verdict is Verdict.REFUSED and ack.cause in FINAL)
        if ack.sender not in self._life.satellites and not (of_ground and ack.sender == graph.GROUND):
            self.counters.add("malformed_ack")
            return
        why = f" ({ack.cause.name.lower()})" if ack.verdict is Verdict.REFUSED else ""
        self.get_logger().debug(f"{ack.batch} is {ack.verdict.name.lower()}{why}, says {ack.sender}")
        self._carry_out(self._life.protocol.on_ack(ack, time.monotonic()))
        self._pump()

    def _on_image(self, message: Any, topic: str) -> None:
        self._life.source.on_image(message, self._life.identity, topic)
        # At once: killed before its tiles are in custody, it is lost, and the next life must say so.
        self._note_risk()

    def _tick(self) -> None:
        if self.state != "active":
            return
        life, camera, now_s = self._life, self._stream.camera, time.monotonic()
        if camera is not None:
            camera.tick()
        self._look_for_the_end(now_s)
        self._take_signs(now_s)
        self._carry_out(life.protocol.on_connections(self._unconnected(), now_s))
        self._carry_out(life.protocol.on_tick(now_s))
        self._pump()
        life.standing.tell(camera, now_s)
        if self._ledger_dirty:
            self._publish_ledger()

    def _look_for_the_end(self, now_s: float) -> None:
        """Of a stream whose length is known."""
        camera, played, source = self._stream.camera, self._stream.played, self._life.source
        if camera is None or played is None or source.is_over:
            return
        if played.is_over(camera.heard_images, camera.publishers, now_s):
            source.end()

    def _has_planner(self) -> bool:
        return graph.PLANNER in self._hello.present()

    def _unconnected(self) -> list[str]:
        return [name for name in self._life.satellites if not self._stream.hop.connected(name)]

    # What is done

    def _carry_out(self, actions: Sequence[act.Action[list[Tile]]]) -> None:
        for action in actions:
            self._ledger_dirty = True
            match action:
                case act.SendBatch():
                    self._send(action)
                case act.Persist():
                    self.counters.add("plans_committed")
                    self._life.plan_file.write(action.plan)
                case act.Announce():
                    self._announce(action.plan)
                case act.PublishSwitchState():
                    self._stream.switch_state.publish(convert.switch_to(action.state, self.stamp()))
                case act.QueryStore():
                    self.counters.add("asked", len(action.query.batches))
                    self._stream.custody_query.publish(convert.query_to(action.query, self.stamp()))
                case _:
                    unhandled(action)

    def _announce(self, plan: Plan) -> None:
        """Tell all of the active plan, and let images flow."""
        # The first batch of an empty chain may take the time of its slowest resource at each of them, twice under load.
        cycle_s = 2 * plan.predicted_cycle_s
        self._life.protocol.set_minimum_stall((2 * len(plan.stages) + 1) * cycle_s, cycle_s)
        chain = " -> ".join(f"{s.satellite} ({s.start}, {s.stop}]" for s in plan.stages)
        self.get_logger().info(f"plan {plan.epoch} {plan.plan_hash} is active: {chain}")
        self._stream.plan_active.publish(convert.plan_to(plan, self.stamp()))
        tell_parent(PLAN)
        self._life.source.start()
        if self._stream.camera is not None:
            self.get_logger().info(f"{READY_FOR_IMAGES} of {' or '.join(self._stream.camera.topics)}")

    def _pump(self) -> None:
        """Hand complete batches to custody, as long as nothing older waits to be sent."""
        if self.state != "active":
            return
        protocol, copies, now_s = self._life.protocol, self._life.copies, time.monotonic()
        custody = protocol.custody
        while custody.has_room and not custody.waiting_batches and (tiles := self._taken(now_s)):
            copies.keep(custody.accept(tiles, len(tiles)), tiles)
            self._ledger_dirty = True
            self._carry_out(protocol.on_accepted(now_s))
        self._note_risk()

    def _note_risk(self) -> None:
        # A bag or folder is read again: nothing of it is at risk.
        if self._life.is_live:
            self._life.copies.note_risk(self._life.source.counts().waiting_tiles)

    def _taken(self, now_s: float) -> list[Tile]:
        try:
            return self._life.source.take(now_s)
        except sqlite3.Error as error:
            # What the journal does not know of is not sent: the source waits, or a camera drops and counts.
            self.complain("journal_failed", f"nothing new is sent until the journal can be written: {error}")
            return []

    def _send(self, send: SendBatch[list[Tile]]) -> None:
        receiver = send.plan.satellites[0]
        message = image_batch_to(send, self._life.spec, run_id=self._life.run_id, jpeg=self._life.jpeg)
        self._stream.hop.send(message, receiver, send.batch)
        self.counters.add("sent")
        self.get_logger().debug(
            f"{send.batch} of {len(send.payload)} tiles goes to {receiver} under plan {send.plan.epoch}"
        )

    # What it says of itself

    def _mark_ledger(self) -> None:
        self._ledger_dirty = True

    def _publish_ledger(self) -> None:
        self._ledger_dirty = False
        self._life.books.publish(self._stream.ledger)

    def diagnose(self) -> tuple[bytes, str, dict[str, Any]]:
        return self._life.standing.diagnose() if self.state == "active" else super().diagnose()


def main() -> int:
    return run(lambda _: [SensingNode()])


if __name__ == "__main__":
    sys.exit(main())
