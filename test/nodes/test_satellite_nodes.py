"""The stage and compression nodes of one satellite over real DDS: plans, drains, batches, lives, forged plans."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.compression.codec import decode
from satllm_ros.compression.tables.artefacts import Artefacts
from satllm_ros.compression.tables.measurement import Measurement
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.parameters import statements
from satllm_ros.nodes.base.qos import message_class, profile
from satllm_ros.nodes.compression import CompressionNode
from satllm_ros.nodes.downlink import DownlinkNode
from satllm_ros.nodes.stage import StageNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.checksum import seal
from satllm_ros.protocol.identity import NO_EPOCH, BatchId, Envelope, Epoch
from satllm_ros.protocol.membership.hello import PROTOCOL
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.signals import Ack, SwitchState
from satllm_ros.protocol.vocabulary import Cause, Readiness, Verdict, plan_key
from satllm_ros.satellite.satellite_state import SatelliteState
from satllm_ros.signing.signing import load_signing_key, make_key_file, sign

PATIENCE_S = 120.0
SPEC = read_spec(checkpoint_path("demo"))
RAW, INT8 = CodecSetting.parse("raw"), CodecSetting.parse("int8")
SUCCESS = TransitionCallbackReturn.SUCCESS
TILES = 2


def plan(counter: int, cut: int, **changes: Any) -> Plan:
    stages = (Stage("sat1", 0, cut, INT8), Stage("sat2", cut, SPEC.blocks, INT8))
    return replace(Plan(Epoch(1, counter), "/planner", SPEC.model_id, "sensing", stages, "sat2"), **changes).sealed()


class NoDownlink:
    """Stands where the plans of these tests never lead."""

    def take(self, *_: object) -> int:
        raise AssertionError("sat1 is not the last")


class Rest:
    """sat1, and all of the graph around it: says what the test tells it to, notes what it hears."""

    def __init__(self, context: rclpy.Context) -> None:
        self._context = context
        self.node = rclpy.create_node("rest", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._publishers: dict[str, Any] = {}
        self.statuses = self._hear(graph.STATUS, "sat1")
        self.hellos: list[m.Hello] = self._hear(graph.HELLO)
        self.acks = self._hear(graph.BATCH_ACK)
        self.activations = self._hear(graph.ACTIVATION_INBOX, "sat2")
        self.satellite_state = SatelliteState()
        self.nodes: list[FlightNode] = []
        self._sequence = 0

    def _hear(self, topic: graph.Topic, node: str = "") -> list[Any]:
        heard: list[Any] = []
        self.node.create_subscription(message_class(topic.type), f"/{topic.of(node)}", heard.append, profile(topic.qos))
        return heard

    def start(self, *, active: bool = True, **parameters: Any) -> tuple[StageNode, CompressionNode]:
        """The satellite's process, up to the lifecycle state."""
        values = {"satellites": ["sat1", "sat2"], "autostart": False} | parameters

        def made(kind: type[FlightNode], *args: Any) -> Any:
            known = statements(kind.PARAMETERS)
            overrides = [Parameter(name, value=value) for name, value in values.items() if name in known]
            node = kind(
                self.satellite_state, *args, context=self._context, namespace="/sat1", parameter_overrides=overrides
            )
            self._executor.add_node(node)
            return node

        # Of all that the downlink is, only its hellos are wanted here.
        self._downlink = DownlinkNode(
            context=self._context, namespace="/sat1", parameter_overrides=[Parameter("autostart", value=False)]
        )
        self._executor.add_node(self._downlink)
        self.stage = made(StageNode, self._downlink.hello)
        self.compression = made(CompressionNode, NoDownlink())
        self.nodes = [self.compression, self.stage]
        if active:
            self.up()
        return self.stage, self.compression

    def up(self) -> None:
        for node in (self.stage, self.compression):
            if node.state == "unconfigured":
                assert node.trigger_configure() is SUCCESS
            self.until(lambda node=node: node.trigger_activate() is SUCCESS, f"{node.get_name()} to be activated")
        self.until(lambda: self.statuses and self.ready_lives(), "its first words")

    def ready_lives(self) -> list[int]:
        """Lives that have said that they are ready."""
        return [hello.boot_id for hello in self.hellos if hello.state == m.Hello.STATE_READY]

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline_s = time.monotonic() + PATIENCE_S
        while not (met := condition()):
            assert time.monotonic() < deadline_s, f"waited in vain for {what}; last status {self.statuses[-1:]}"
            self._executor.spin_once(timeout_sec=0.05)
        return met

    def until_it_says(self, about: Plan, readiness: Readiness) -> m.SatelliteStatus:
        def says() -> bool:
            last = self.statuses[-1] if self.statuses else m.SatelliteStatus()
            return (last.proposed_hash, last.readiness) == (about.plan_hash, readiness)

        self.until(says, f"{readiness.name} for plan {about.epoch}")
        return self.statuses[-1]

    def say(self, topic: graph.Topic, message: Any, node: str = "") -> None:
        name = f"/{topic.of(node)}"
        if name not in self._publishers:
            self._publishers[name] = self.node.create_publisher(message_class(topic.type), name, profile(topic.qos))
        self.until(self._publishers[name].get_subscription_count, f"a listener on {name}")
        self._publishers[name].publish(message)

    def say_plan(self, topic: graph.Topic, said: Plan) -> None:
        self.say(topic, convert.plan_to(said, self.node.get_clock().now().to_msg()))

    def commit(self, said: Plan) -> None:
        self.say_plan(graph.PLAN_PROPOSED, said)
        self.until_it_says(said, Readiness.READY)
        self.say_plan(graph.PLAN_ACTIVE, said)

    def switch(self, **fields: Any) -> None:
        self.say(graph.SWITCH_STATE, convert.switch_to(SwitchState(**fields), self.node.get_clock().now().to_msg()))

    def send(
        self,
        obeyed: Plan,
        *,
        tiles: int = TILES,
        low_water: Epoch = NO_EPOCH,
        destination: str = "sat1",
        copies: int = 1,
    ) -> Any:
        """A batch of images from sensing, so many times."""
        self._sequence += 1
        pixels = np.random.default_rng(self._sequence).integers(
            0, 256, (tiles, SPEC.image_height, SPEC.image_width, 3), dtype=np.uint8
        )
        envelope = Envelope(
            batch=BatchId(5, self._sequence),
            sender="sensing",
            destination=destination,
            epoch=obeyed.epoch,
            plan_hash=obeyed.plan_hash,
            low_water=low_water,
            model_id=SPEC.model_id,
            run_id=8,
            source_id="bag",
            frames=tuple(range(tiles)),
            tile_indices=(0,) * tiles,
        )
        message = m.ImageBatch(
            envelope=convert.envelope_to(envelope),
            encoding=m.ImageBatch.ENCODING_RGB8,
            height=SPEC.image_height,
            width=SPEC.image_width,
            tile_bytes=[pixels[0].nbytes] * tiles,
            data=convert.to_bytes(pixels),
            crc32=seal(envelope, 0, pixels.tobytes()),
        )
        for _ in range(copies):
            self.say(graph.IMAGES_INBOX, message, "sat1")
        return envelope.batch

    def until_refused(self, batch: BatchId) -> Ack:
        return self.until(
            lambda: next((ack for ack in map(convert.ack_from, self.acks) if ack.batch == batch), None),
            f"a refusal of {batch}",
        )

    def until_sent_on(self, batch: BatchId) -> m.CompressedActivation:
        return self.until(
            lambda: next((a for a in self.activations if convert.batch_from(a.envelope.batch) == batch), None),
            f"the activation of {batch}",
        )

    def close(self) -> None:
        for node in self.nodes:
            node.close()
        self._executor.shutdown()
        for node in (*self.nodes, self._downlink, self.node):
            node.destroy_node()


@pytest.fixture
def rest(context: rclpy.Context) -> Iterator[Rest]:
    made = Rest(context)
    yield made
    made.close()


def served(status: m.SatelliteStatus) -> list[tuple[Epoch, str]]:
    return list(zip(map(convert.epoch_from, status.served), status.served_hashes, strict=True))


def test_a_proposal_is_loaded_committed_and_its_batches_served(rest: Rest) -> None:
    rest.start()
    first = rest.statuses[0]
    assert (first.readiness, first.memory_bytes, served(first)) == (Readiness.NONE, 0, [])
    chosen = plan(1, 2)
    assert rest.until_refused(rest.send(chosen)).cause is Cause.UNKNOWN_EPOCH
    rest.commit(chosen)
    status = rest.statuses[-1]
    assert served(status) == [plan_key(chosen)]
    assert (status.start, status.stop, status.memory_bytes) == (0, 2, sum(SPEC.layer_bytes[:2]))
    assert convert.setting_from(status.setting) == INT8 and not status.setting_pinned
    sent = rest.until_sent_on(rest.send(chosen))
    assert (sent.envelope.sender, sent.envelope.destination, sent.cut) == ("sat1", "sat2", 2)
    assert sent.envelope.plan_hash == chosen.plan_hash


def test_a_batch_is_sent_on_under_its_own_plan_not_under_the_newest(rest: Rest) -> None:
    rest.start()
    old, new = plan(1, 2), plan(2, 3)
    rest.commit(old)
    rest.commit(new)
    assert rest.until_sent_on(rest.send(old)).cut == 2
    assert rest.until_sent_on(rest.send(new, low_water=old.epoch)).cut == 3
    assert rest.until_sent_on(rest.send(new, low_water=new.epoch)).cut == 3
    refusal = rest.until_refused(rest.send(old))
    assert (refusal.sender, refusal.verdict, refusal.cause) == ("sat1", Verdict.REFUSED, Cause.UNKNOWN_EPOCH)
    assert rest.until(lambda: rest.statuses[-1].memory_bytes == sum(SPEC.layer_bytes[:3]), "memory to be freed")


def test_batches_that_are_misrouted_or_too_large_are_not_served(rest: Rest) -> None:
    _, compression = rest.start(batch_tiles=TILES)
    chosen = plan(1, 2)
    rest.commit(chosen)
    stray = rest.send(chosen, destination="sat2")
    refusal = rest.until_refused(rest.send(chosen, tiles=TILES + 1))
    assert (refusal.sender, refusal.cause) == ("sat1", Cause.MALFORMED)
    assert compression.counters["misrouted"] == 1
    assert stray not in [ack.batch for ack in map(convert.ack_from, rest.acks)]


def test_a_copy_of_what_was_taken_on_costs_nothing_and_of_what_was_refused_is_looked_at(rest: Rest) -> None:
    _, compression = rest.start()
    chosen = plan(1, 2)
    refused = rest.send(chosen, copies=2)
    rest.until(lambda: len(rest.acks) == 2, "a refusal of each")
    assert {convert.ack_from(ack).batch for ack in rest.acks} == {refused}
    rest.commit(chosen)
    twice = rest.send(chosen, copies=2)
    last = rest.send(chosen)
    rest.until_sent_on(last)
    assert [convert.batch_from(a.envelope.batch) for a in rest.activations] == [twice, last]
    assert compression.counters["came_again"] == 1


def test_with_room_for_one_it_says_so_and_switches_once_drained(rest: Rest) -> None:
    rest.start(memory_budget_bytes=sum(SPEC.layer_bytes[:3]))
    old, new = plan(1, 2), plan(2, 3)
    rest.commit(old)
    rest.say_plan(graph.PLAN_PROPOSED, new)
    assert served(rest.until_it_says(new, Readiness.NEEDS_DRAIN)) == [plan_key(old)]
    rest.switch(drained=plan_key(new), low_water=old.epoch)
    status = rest.until_it_says(new, Readiness.READY)
    assert served(status) == [plan_key(new)] and status.memory_bytes == sum(SPEC.layer_bytes[:3])
    assert all(said.memory_bytes <= said.memory_budget_bytes for said in rest.statuses)
    assert rest.until_refused(rest.send(old)).cause is Cause.UNKNOWN_EPOCH
    assert rest.until_sent_on(rest.send(new)).cut == 3


def test_a_sub_model_that_goes_while_its_batch_waits_is_a_refusal(rest: Rest) -> None:
    stage, compression = rest.start(memory_budget_bytes=sum(SPEC.layer_bytes[:3]))
    old, new = plan(1, 2), plan(2, 3)
    rest.commit(old)
    rest.say_plan(graph.PLAN_PROPOSED, new)
    rest.until_it_says(new, Readiness.NEEDS_DRAIN)
    decoding, go_on = threading.Event(), threading.Event()
    prepare = rest.satellite_state.submodels.prepare_images

    def held_up(images: np.ndarray) -> Any:
        decoding.set()
        assert go_on.wait(PATIENCE_S)
        return prepare(images)

    rest.satellite_state.submodels.prepare_images = held_up
    batch = rest.send(old)
    rest.until(decoding.is_set, "the batch to be on board")
    rest.switch(drained=plan_key(new))
    rest.until_it_says(new, Readiness.READY)
    go_on.set()
    refusal = rest.until_refused(batch)
    assert (refusal.sender, refusal.cause) == ("sat1", Cause.FULL)
    assert rest.until_sent_on(rest.send(new)).cut == 3


def test_a_late_joiner_serves_what_is_active_and_what_is_proposed(rest: Rest) -> None:
    rest.start(active=False)
    active, proposed = plan(1, 2), plan(2, 3)
    rest.up()
    rest.say_plan(graph.PLAN_ACTIVE, active)
    rest.say_plan(graph.PLAN_PROPOSED, proposed)
    rest.switch(low_water=active.epoch)
    rest.until(lambda: served(rest.statuses[-1]) == [plan_key(active), plan_key(proposed)], "it to serve both")
    # It went away and came back: what is latched tells it all again.
    for node in (rest.compression, rest.stage):
        assert node.trigger_deactivate() is SUCCESS and node.trigger_cleanup() is SUCCESS
    rest.statuses.clear()
    rest.up()
    rest.until(lambda: served(rest.statuses[-1]) == [plan_key(active), plan_key(proposed)], "it to serve both again")


def test_a_second_configuration_is_a_new_life(rest: Rest) -> None:
    stage, compression = rest.start()
    rest.commit(plan(1, 2))
    first = rest.statuses[-1].boot_id
    rest.until(lambda: rest.ready_lives()[-1] == first, "a hello of the same life")
    assert stage.trigger_deactivate() is SUCCESS
    assert stage.trigger_activate() is SUCCESS, "which is no new life"
    rest.statuses.clear()
    rest.until(lambda: rest.statuses, "a status")
    assert rest.statuses[-1].boot_id == first and rest.statuses[-1].memory_bytes > 0

    assert stage.trigger_deactivate() is SUCCESS and stage.trigger_cleanup() is SUCCESS
    rest._executor.spin_once(timeout_sec=0.05)
    # Compression stayed up above it: there is no plan on board meanwhile.
    assert rest.until_refused(rest.send(plan(1, 2))).cause is Cause.UNKNOWN_EPOCH
    rest.statuses.clear()
    rest.hellos.clear()
    assert stage.trigger_configure() is SUCCESS
    rest.until(lambda: stage.trigger_activate() is SUCCESS, "the stage to be activated again")
    rest.until(lambda: any(s.boot_id not in (0, first) for s in rest.statuses), "a status of the new life")
    second = rest.statuses[-1].boot_id
    rest.until(lambda: rest.ready_lives() and rest.ready_lives()[-1] == second, "a hello of the new life")
    rest.until_it_says(plan(1, 2), Readiness.READY)
    rest.until_sent_on(rest.send(plan(1, 2)))


def test_it_says_hello_before_the_model_is_imported_and_while_it_is_away(rest: Rest) -> None:
    rest.start(active=False)
    rest.until(lambda: rest.hellos, "a hello of a satellite that is not configured")
    assert {(h.name, h.state, h.protocol) for h in rest.hellos} == {("sat1", m.Hello.STATE_STARTING, PROTOCOL)}
    rest.up()
    first = rest.ready_lives()[-1]
    assert first == rest.statuses[-1].boot_id == rest.hellos[0].boot_id, "starting and ready are one life"
    assert rest.stage.trigger_deactivate() is SUCCESS
    rest.hellos.clear()
    rest.until(lambda: rest.hellos and rest.hellos[-1].state == m.Hello.STATE_WAITING, "the word that it is away")


def test_only_plans_that_are_signed_with_the_key_are_heard(rest: Rest, tmp_path: Path) -> None:
    public_key = make_key_file(tmp_path / "key.pem")
    key = load_signing_key(tmp_path / "key.pem")
    make_key_file(tmp_path / "other.pem")
    other = load_signing_key(tmp_path / "other.pem")
    stage, _ = rest.start(plan_public_key=public_key)
    good = sign(plan(1, 2), key)
    forged = [plan(7, 3), sign(plan(8, 3), other), replace(plan(9, 3), signature=good.signature)]
    for number, each in enumerate(forged):
        rest.say_plan(graph.PLAN_PROPOSED, each)
        rest.until(lambda number=number: stage.counters["plan_forged"] == 2 * number + 1, "the forgery to be counted")
        rest.say_plan(graph.PLAN_ACTIVE, each)
        rest.until(lambda number=number: stage.counters["plan_forged"] == 2 * number + 2, "the forgery to be counted")
    assert rest.satellite_state.protocol.plans == [] and rest.statuses[-1].readiness == Readiness.NONE
    rest.commit(good)
    assert stage.counters["plan_forged"] == 6


def test_a_key_that_is_none_keeps_it_from_starting(rest: Rest) -> None:
    stage, _ = rest.start(active=False, plan_public_key="beef")
    assert stage.trigger_configure() is not SUCCESS
    assert "64 hexadecimal digits" in stage._complaint
    assert rest.satellite_state.protocol is None


def test_plans_that_cannot_be_read_are_counted(rest: Rest) -> None:
    stage, _ = rest.start()
    message = convert.plan_to(plan(1, 2), rest.node.get_clock().now().to_msg())
    message.stages[0].setting.codec = 99
    rest.say(graph.PLAN_PROPOSED, message)
    rest.until(lambda: stage.counters["bad_plan"] == 1, "the plan to be counted")
    rest.commit(plan(2, 2))


def exchange_artefacts(stage: StageNode, compression: CompressionNode, artefacts: Artefacts) -> None:
    """Give a satellite that is active others than it has loaded, for what it accepts from now on."""
    stage._configured = replace(stage._configured, artefacts=artefacts)
    compression._configured = replace(compression._configured, artefacts=artefacts)


def without_tables(rest: Rest, **parameters: Any) -> tuple[StageNode, CompressionNode]:
    """sat1 with artefacts that hold no masks and no transforms."""
    stage, compression = rest.start(**parameters)
    exchange_artefacts(stage, compression, replace(stage._fitness.artefacts, tables={}, coefficients=None))
    return stage, compression


@pytest.mark.parametrize("setting", ["mask", "mask_dynamic", "klt:14"])
def test_a_plan_with_a_setting_that_it_cannot_code_is_refused(rest: Rest, setting: str) -> None:
    without_tables(rest)
    asked = plan(1, 2)
    first = replace(asked.stages[0], setting=CodecSetting.parse(setting))
    impossible = replace(asked, stages=(first, *asked.stages[1:])).sealed()
    rest.say_plan(graph.PLAN_PROPOSED, impossible)
    assert "needs masks and transforms" in rest.until_it_says(impossible, Readiness.REFUSED).reason
    rest.say_plan(graph.PLAN_ACTIVE, impossible)
    assert rest.until_refused(rest.send(impossible)).cause is Cause.UNKNOWN_EPOCH
    rest.commit(plan(2, 2))
    assert rest.until_sent_on(rest.send(plan(2, 2))).cut == 2


def test_a_plan_that_cuts_where_nothing_was_calibrated_is_refused(rest: Rest) -> None:
    stage, _ = rest.start()
    scales = {cut: held for cut, held in stage._fitness.artefacts.scales.items() if cut != 2}
    plain = replace(stage._fitness.artefacts, scales=scales, tables={}, coefficients=None)
    stage._configured = replace(stage._configured, artefacts=plain)
    rest.say_plan(graph.PLAN_PROPOSED, plan(1, 2))
    assert "have no scales for cut 2" in rest.until_it_says(plan(1, 2), Readiness.REFUSED).reason
    rest.commit(plan(2, 3))


def test_a_pin_that_it_cannot_code_is_refused(rest: Rest) -> None:
    _, compression = without_tables(rest)
    (result,) = compression.set_parameters([Parameter("codec", value="klt:14")])
    assert not result.successful and "needs masks and transforms" in result.reason


@pytest.mark.parametrize("name", ["mask", "mask:0.5:6", "mask_dynamic", "topk:0.2:8", "randtopk", "klt:16", "fp16"])
def test_the_operator_may_pin_every_codec(rest: Rest, name: str) -> None:
    _, compression = rest.start()
    rest.commit(plan(1, 2))
    (result,) = compression.set_parameters([Parameter("codec", value=name)])
    assert result.successful, result.reason
    sent = rest.until_sent_on(rest.send(plan(1, 2)))
    assert convert.setting_from(sent.setting) == CodecSetting.parse(name)
    found = decode(memoryview(sent.payload), compression._artefacts, max_elements=TILES * SPEC.tokens * SPEC.width)
    assert found.setting == CodecSetting.parse(name) and found.activation.shape == (TILES, SPEC.tokens, SPEC.width)


def test_a_pin_is_told_whole_by_a_satellite_without_blocks(rest: Rest) -> None:
    _, compression = rest.start()
    (result,) = compression.set_parameters([Parameter("codec", value="raw")])
    assert result.successful
    rest.until(lambda: rest.statuses and rest.statuses[-1].setting_pinned, "the pin to be told")
    assert convert.setting_from(rest.statuses[-1].setting) == RAW


def with_accuracies(rest: Rest, **accuracies: float) -> CompressionNode:
    """sat1, whose calibration has found these accuracies."""
    stage, compression = rest.start()
    measured = {name: Measurement(accuracy=accuracy, ratio=0.5) for name, accuracy in accuracies.items()}
    exchange_artefacts(stage, compression, replace(stage._fitness.artefacts, measurements=measured))
    return compression


def test_the_operators_pin_is_in_force_while_it_keeps_the_floor(rest: Rest) -> None:
    compression = with_accuracies(rest, int8=0.9, raw=0.8)
    rest.commit(plan(1, 2, accuracy_floor=0.5))
    (result,) = compression.set_parameters([Parameter("codec", value="raw")])
    assert result.successful
    rest.until(lambda: rest.statuses[-1].setting_pinned, "the pin to be told")
    assert convert.setting_from(rest.statuses[-1].setting) == RAW
    assert convert.setting_from(rest.until_sent_on(rest.send(plan(1, 2, accuracy_floor=0.5))).setting) == RAW
    rest.commit(plan(2, 3, accuracy_floor=0.85))
    assert not rest.statuses[-1].setting_pinned
    assert convert.setting_from(rest.until_sent_on(rest.send(plan(2, 3, accuracy_floor=0.85))).setting) == INT8
    (result,) = compression.set_parameters([Parameter("codec", value="raw")])
    assert not result.successful and "the plan asks for at least 0.8500" in result.reason


def test_a_plan_whose_setting_breaks_its_own_floor_is_refused(rest: Rest) -> None:
    with_accuracies(rest, int8=0.9)
    breaking = plan(1, 2, accuracy_floor=0.95)
    rest.say_plan(graph.PLAN_PROPOSED, breaking)
    said = rest.until_it_says(breaking, Readiness.REFUSED).reason
    assert "int8 has accuracy 0.9000, the plan asks for at least 0.9500" in said


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_transitions_leaves_it_able_to_serve(rest: Rest, seed: int) -> None:
    stage, compression = rest.start(active=False)
    dice = random.Random(seed)
    steps = {
        "unconfigured": ["trigger_configure"],
        "inactive": ["trigger_activate", "trigger_cleanup"],
        "active": ["trigger_deactivate"],
    }
    for _ in range(30):
        node = dice.choice((stage, compression))
        # What cannot be done yet is refused, and nothing is the worse for it.
        result = getattr(node, dice.choice(steps[node.state]))()
        assert result in (SUCCESS, TransitionCallbackReturn.FAILURE)
    rest.up()
    rest.commit(plan(1, 2))
    rest.until_sent_on(rest.send(plan(1, 2)))
    assert stage.counters["activate_failed"] + compression.counters["activate_failed"] == 0


@pytest.mark.parametrize("stage_first", [True, False])
@pytest.mark.parametrize("state", ["unconfigured", "inactive", "active"])
def test_shutdown_frees_the_board_from_every_state(rest: Rest, state: str, stage_first: bool) -> None:
    stage, compression = rest.start(active=state == "active")
    if state == "active":
        rest.commit(plan(1, 2))
        rest.send(plan(1, 2))
    elif state == "inactive":
        assert stage.trigger_configure() is SUCCESS and compression.trigger_configure() is SUCCESS
    submodels = rest.satellite_state.submodels
    for node in (stage, compression) if stage_first else (compression, stage):
        assert node.trigger_shutdown() is SUCCESS
    assert rest.satellite_state.protocol is None and rest.satellite_state.submodels is None
    assert submodels is None or submodels.memory_bytes == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "compute"]
