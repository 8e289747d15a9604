"""The sensing node over real DDS, with scripted satellites: plans, drains, restarts, and what a hostile graph says."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.acquisition.drop_causes import DROP_CAUSES
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.compression.wire.setting import CodecSetting
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base.qos import message_class, profile
from satllm_ros.nodes.custody import plan_file
from satllm_ros.nodes.images.camera import Camera
from satllm_ros.nodes.sensing import SensingNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.membership.hello import PROTOCOL
from satllm_ros.protocol.membership.presence import PresenceLimits
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.signals import Ack, Report
from satllm_ros.protocol.vocabulary import NO_PLAN, Cause, Readiness, Verdict
from satllm_ros.signing.signing import load_signing_key, make_key_file, sign
from satllm_ros.storage.run_identity import read_run

PATIENCE_S = 120.0
LAST_WORDS = 100
SATELLITES = ["sat1", "sat2"]
SPEC = read_spec(checkpoint_path("demo"))
RAW = CodecSetting.parse("raw")


def plan(counter: int, cut: int = 6, incarnation: int = 1) -> Plan:
    return Plan(
        epoch=Epoch(incarnation, counter),
        planner_id="planner",
        model_id=SPEC.model_id,
        source="sensing",
        stages=(Stage("sat1", 0, cut, RAW), Stage("sat2", cut, SPEC.blocks, RAW)),
        downlink="sat2",
    ).sealed()


class Rest:
    """All of the graph but sensing: says what the test tells it to, notes what it hears."""

    def __init__(self, context: rclpy.Context, folder: Path) -> None:
        self._context, self._folder = context, folder
        self.node = rclpy.create_node("rest", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._publishers: dict[str, Any] = {}
        self.heard: dict[str, list[Any]] = {}
        for topic in (graph.PLAN_ACTIVE, graph.SWITCH_STATE, graph.LEDGER, graph.CUSTODY_QUERY):
            self._hear(topic)
        for name in SATELLITES:
            self._hear(graph.IMAGES_INBOX, name)
        self.sensing: SensingNode | None = None
        self.boot_ids = {"sat1": 11, "sat2": 12}
        self.worker_age_s = {"sat1": 0.0, "sat2": 0.0}
        self._hellos, self._said = self.node.create_publisher(m.Hello, "/hello", profile(graph.HELLO.qos)), 0
        self.node.create_timer(0.2, self._say_hello)

    def _say_hello(self) -> None:
        self._said += 1
        for name, boot_id in self.boot_ids.items():
            self._hellos.publish(
                m.Hello(
                    name=name,
                    boot_id=boot_id,
                    protocol=PROTOCOL,
                    sequence=self._said,
                    state=m.Hello.STATE_READY,
                    worker_age_s=self.worker_age_s[name],
                )
            )

    def _hear(self, topic: graph.Topic, node: str = "") -> None:
        heard = self.heard[topic.of(node)] = []
        self.node.create_subscription(message_class(topic.type), f"/{topic.of(node)}", heard.append, profile(topic.qos))

    def start(self, *, until: str = "active", **parameters: Any) -> SensingNode:
        """A life of sensing."""
        values = {
            "satellites": SATELLITES,
            "batch_tiles": 2,
            "window_batches": 2,
            "state_directory": str(self._folder),
            "flush_s": 2 * PATIENCE_S,  # a batch of two is of the two images the test took, however slow the machine
        } | parameters
        self.sensing = SensingNode(
            context=self._context, parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
        )
        self._executor.add_node(self.sensing)
        self.until(lambda: self.sensing.state == until or self.sensing.failed_to_start, f"sensing to be {until}")
        return self.sensing

    def kill(self) -> None:
        """End its life without the courtesies of a shutdown."""
        if self.sensing is not None:
            self._executor.remove_node(self.sensing)
            self.sensing.destroy_node()
        self.sensing = None
        # What it said last has arrived by then: nothing comes from a life that is over.
        for _ in range(LAST_WORDS):
            self._executor.spin_once(timeout_sec=0.0)
        for heard in self.heard.values():
            heard.clear()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline_s = time.monotonic() + PATIENCE_S
        while not (met := condition()):
            assert time.monotonic() < deadline_s, f"waited in vain for {what}"
            self._executor.spin_once(timeout_sec=0.05)
        return met

    def say(self, topic: graph.Topic, message: Any, node: str = "") -> None:
        name = f"/{topic.of(node)}"
        if name not in self._publishers:
            self._publishers[name] = self.node.create_publisher(message_class(topic.type), name, profile(topic.qos))
        publisher = self._publishers[name]
        self.until(publisher.get_subscription_count, f"a listener on {name}")
        publisher.publish(message)

    def propose(self, proposal: Plan) -> None:
        self.say(graph.PLAN_PROPOSED, convert.plan_to(proposal, self.now()))

    def report(self, about: Plan, readiness: Readiness = Readiness.READY, only: str = "", serves: tuple = ()) -> None:
        for name in [only] if only else SATELLITES:
            message = m.SatelliteStatus()
            key = (about.epoch, about.plan_hash)
            served = (*serves, *([key] if readiness is Readiness.READY else []))
            convert.report_into(Report(name, self.boot_ids[name], key, readiness, "", served), message)
            self.say(graph.STATUS, message, name)

    def acknowledge(self, batch: m.BatchId, verdict: Verdict, sender: str, cause: Cause = Cause.NONE) -> None:
        self.say(graph.BATCH_ACK, convert.ack_to(Ack(convert.batch_from(batch), sender, verdict, cause), self.now()))

    def photograph(self, number: int) -> None:
        """A camera takes an image of one tile."""
        pixels = np.full((SPEC.image_height, SPEC.image_width, 3), number % 251, dtype=np.uint8)
        image = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", pixels)[1].tobytes())
        image.header.stamp.sec = 1_000 + number
        self.say(graph.IMAGE_COMPRESSED, image)

    def now(self) -> Any:
        return self.node.get_clock().now().to_msg()

    @property
    def active(self) -> list[str]:
        return [message.plan_hash for message in self.heard["plan_active"]]

    @property
    def batches(self) -> list[m.ImageBatch]:
        return self.heard["sat1/inbox/images"]

    @property
    def ledger(self) -> m.Ledger | None:
        ours = [message for message in self.heard["ledger"] if message.boot_id == self.sensing._life.protocol.boot_id]
        return ours[-1] if ours else None

    def fly(self, proposal: Plan) -> None:
        """Have a plan proposed, loaded and committed."""
        self.propose(proposal)
        self.report(proposal)
        self.until(lambda: proposal.plan_hash in self.active, f"plan {proposal.epoch} to be active")

    def until_diagnosed(self, words: str) -> None:
        self.until(lambda: words in self.sensing.diagnose()[1], f"the diagnosis {words!r}")


@pytest.fixture
def rest(context: rclpy.Context, tmp_path: Path) -> Iterator[Rest]:
    made = Rest(context, tmp_path)
    yield made
    made.kill()
    made._executor.shutdown()
    made.node.destroy_node()


def test_it_commits_what_all_are_ready_for_and_stamps_batches_with_it(rest: Rest, tmp_path: Path) -> None:
    rest.start()
    first = plan(1)
    rest.propose(first)
    rest.report(first, only="sat1")
    rest.until_diagnosed("waiting for sat2 to be ready")
    assert not rest.active
    rest.report(first, only="sat2")
    rest.until(lambda: rest.active, "the commit")
    rest.photograph(1)
    rest.photograph(2)
    batch = rest.until(lambda: rest.batches, "a batch")[0]

    assert batch.envelope.plan_hash == first.plan_hash
    assert list(batch.envelope.frames) == [1, 2]
    assert batch.envelope.source_id == f"camera-{rest.sensing._life.protocol.boot_id:016x}"
    assert batch.envelope.run_id == rest.ledger.run_id == read_run(tmp_path).run_id
    for verdict, sender in ((Verdict.STORED, "sat2"), (Verdict.DELIVERED, "ground")):
        rest.acknowledge(batch.envelope.batch, verdict, sender)
    rest.until(lambda: rest.ledger and rest.ledger.delivered_tiles == 2, "the delivery in the ledger")
    assert rest.ledger.acquired_tiles == 2


def test_what_the_ground_refuses_for_good_is_dropped_and_counted_in_the_ledger(rest: Rest) -> None:
    rest.start()
    rest.fly(plan(1))
    rest.photograph(1)
    rest.photograph(2)
    batch = rest.until(lambda: rest.batches, "a batch")[0].envelope.batch
    rest.acknowledge(batch, Verdict.STORED, "sat2")
    rest.acknowledge(batch, Verdict.REFUSED, "sat1", Cause.FOREIGN)
    rest.until(lambda: "foreign_ack" in rest.ledger.causes, "the count of a word that is not sat1's to say")
    assert (rest.ledger.stored_tiles, rest.ledger.dropped_tiles) == (2, 0)
    rest.acknowledge(batch, Verdict.REFUSED, "ground", Cause.FOREIGN)
    rest.until(lambda: rest.ledger.dropped_tiles == 2, "the drop in the ledger")
    counts = dict(zip(rest.ledger.causes, rest.ledger.cause_counts, strict=True))
    assert counts["refused_by_ground"] == 2 and "refused_by_ground" in DROP_CAUSES
    assert (rest.ledger.acquired_tiles, rest.ledger.stored_tiles) == (2, 0)


def test_it_drains_for_members_without_memory_for_two_sub_models(rest: Rest) -> None:
    rest.start()
    first, second = plan(1), plan(2, cut=8)
    rest.fly(first)
    rest.photograph(1)
    rest.photograph(2)
    batch = rest.until(lambda: rest.batches, "a batch")[0]
    key = (first.epoch, first.plan_hash)
    rest.propose(second)
    rest.report(second, Readiness.NEEDS_DRAIN, serves=(key,))
    rest.until_diagnosed("paused until nothing is in flight")
    assert all(not message.drained_hash for message in rest.heard["switch_state"])
    rest.acknowledge(batch.envelope.batch, Verdict.STORED, "sat2")
    rest.until(
        lambda: [s for s in rest.heard["switch_state"] if s.drained_hash == second.plan_hash],
        "the word that it is drained",
    )
    rest.report(second)
    rest.until(lambda: second.plan_hash in rest.active, "the commit")


def test_a_drain_that_takes_too_long_is_withdrawn_and_the_old_plan_goes_on(rest: Rest) -> None:
    rest.start(drain_s=1.0)
    first, second = plan(1), plan(2, cut=8)
    rest.fly(first)
    rest.propose(second)
    rest.report(second, Readiness.NEEDS_DRAIN, serves=((first.epoch, first.plan_hash),))
    rest.until(lambda: convert.switch_from(rest.heard["switch_state"][-1]).withdrawn == second.epoch, "the withdrawal")
    assert convert.switch_from(rest.heard["switch_state"][-1]).drained == NO_PLAN
    rest.photograph(1)
    rest.photograph(2)
    assert rest.until(lambda: rest.batches, "a batch")[0].envelope.plan_hash == first.plan_hash


def test_its_next_life_flies_the_same_plan_and_says_what_died_with_the_last(rest: Rest) -> None:
    rest.start()
    first = plan(1)
    rest.fly(first)
    for number in range(3):
        rest.photograph(number)
    rest.until(lambda: rest.ledger and rest.ledger.acquired_tiles == 3, "three tiles")
    rest.kill()
    rest.start()

    assert rest.until(lambda: rest.active, "the plan of the last life") == [first.plan_hash]
    assert rest.until(lambda: rest.ledger, "a ledger").lost_tiles == 3
    assert rest.ledger.acquired_tiles == 0


def test_with_a_durable_store_batches_outlive_it(rest: Rest) -> None:
    rest.start(durable=True)
    rest.fly(plan(1))
    for number in range(4):
        rest.photograph(number)
    rest.until(lambda: len(rest.batches) == 2, "two batches")
    rest.acknowledge(rest.batches[0].envelope.batch, Verdict.DELIVERED, "ground")
    rest.until(lambda: rest.ledger and rest.ledger.delivered_tiles == 2, "a delivery")
    before = rest.batches[1]
    frames = list(before.envelope.frames)
    # Looked at once a second: what is delivered is forgotten.
    rest.until(lambda: len(rest.sensing._life.copies._store.read()) == 1, "the store to forget what is delivered")
    rest.kill()
    rest.start(durable=True)
    rest.until(lambda: rest.batches, "the batch of the last life")

    assert list(rest.batches[0].envelope.frames) == frames
    rest.until(lambda: rest.ledger, "a ledger")
    # Its images are still those of the life that heard them.
    assert rest.batches[0].envelope.source_id == before.envelope.source_id != rest.ledger.source
    assert rest.batches[0].envelope.batch.boot_id != before.envelope.batch.boot_id
    assert bytes(rest.batches[0].data) == bytes(before.data)
    assert rest.until(lambda: rest.ledger, "a ledger").lost_tiles == 0


def test_a_store_that_holds_more_than_custody_may_is_taken_up_whole(rest: Rest) -> None:
    # As after a crash: what is delivered is forgotten a while later on disk than in memory.
    rest.start(durable=True)
    rest.fly(plan(1))
    for number in range(4):
        rest.photograph(number)
    rest.until(lambda: len(rest.batches) == 2, "two batches")
    rest.kill()
    rest.start(durable=True, copies_batches=1)
    rest.until(lambda: len(rest.batches) == 2, "both batches of the last life")
    assert rest.until(lambda: rest.ledger, "a ledger").lost_tiles == 0


def test_a_disk_that_fails_does_not_stop_the_stream(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(plan_file, "keep", fails)
    rest.start(durable=True)
    rest.sensing._life.copies._store._database.execute("PRAGMA query_only = 1")
    rest.fly(plan(1))
    rest.photograph(1)
    rest.photograph(2)
    batch = rest.until(lambda: rest.batches, "a batch")[0]
    rest.acknowledge(batch.envelope.batch, Verdict.DELIVERED, "ground")
    rest.until(lambda: rest.ledger and rest.ledger.delivered_tiles == 2, "the delivery")

    assert rest.sensing.counters["persist_failed"] == 1
    assert rest.sensing.counters["store_failed"] >= 1


def test_signed_plans_only(rest: Rest, tmp_path: Path) -> None:
    public = make_key_file(tmp_path / "key.pem")
    rest.start(plan_public_key=public)
    forged = plan(5)
    rest.propose(forged)
    rest.report(forged)
    rest.until(lambda: rest.sensing.counters["plan_refused"], "the refusal")
    genuine = sign(plan(1), load_signing_key(tmp_path / "key.pem"))
    rest.fly(genuine)

    assert rest.active == [genuine.plan_hash]


def test_a_second_graph_of_the_same_name_is_refused(rest: Rest) -> None:
    publisher = rest.node.create_publisher(m.Ledger, "/ledger", profile(graph.Qos.STATE))
    rest.node.create_timer(0.2, lambda: publisher.publish(m.Ledger(boot_id=99)))
    rest.start()

    assert rest.sensing.failed_to_start
    assert "another graph runs in namespace /" in rest.sensing._complaint


def test_nothing_said_by_a_hostile_graph_ends_it(rest: Rest) -> None:
    rest.start()
    first = plan(1)
    rest.fly(first)
    counters = rest.sensing.counters

    def refused(cause: str, topic: graph.Topic, message: Any, node: str = "") -> None:
        before = counters[cause]
        rest.say(topic, message, node)
        rest.until(lambda: counters[cause] == before + 1, f"{message} to be counted as {cause}")

    refused("malformed_ack", graph.BATCH_ACK, m.BatchAck(verdict=77, cause=200))
    for verdict in Verdict:
        refused("malformed_ack", graph.BATCH_ACK, m.BatchAck(verdict=int(verdict), sender="nobody"))
    refused("malformed_ack", graph.BATCH_ACK, m.BatchAck(verdict=int(Verdict.STORED), sender="ground"))
    refused("malformed_ack", graph.BATCH_ACK, m.BatchAck(verdict=int(Verdict.REFUSED), cause=3, sender="ground"))
    refused("hello_stranger", graph.HELLO, m.Hello(name="nobody", boot_id=2**64 - 1))
    refused("hello_protocol", graph.HELLO, m.Hello(name="sat2", boot_id=2**64 - 1, protocol=2**32 - 1))
    refused("hello_nonsense", graph.HELLO, m.Hello(name="sat2", boot_id=5, protocol=PROTOCOL, sent_s=float("nan")))
    refused("hello_nonsense", graph.HELLO, m.Hello(name="sat2", boot_id=5, protocol=PROTOCOL, executor_age_s=-1.0))
    refused("hello_double", graph.HELLO, m.Hello(name="sensing", boot_id=2**64 - 1))
    refused("malformed_status", graph.STATUS, m.SatelliteStatus(satellite="sat1", readiness=250), "sat1")
    refused("malformed_status", graph.STATUS, m.SatelliteStatus(satellite="sat2", readiness=2), "sat1")
    refused("malformed_status", graph.STATUS, m.SatelliteStatus(satellite="sat1", served=[m.Epoch()]), "sat1")
    far = m.Epoch(incarnation=2**64 - 1, counter=2**64 - 1)
    refused("plan_refused", graph.PLAN_PROPOSED, m.Plan(epoch=far))
    rest.say(graph.TIMING, m.BatchTiming(satellite="nobody"), "sat2")
    rest.report(first)
    rest.photograph(1)
    rest.photograph(2)
    rest.until(lambda: rest.batches, "a batch as if nothing had been said")


def test_a_satellite_that_says_hello_while_nothing_moves_is_dead(rest: Rest) -> None:
    rest.start()
    first = plan(1)
    rest.fly(first)
    assert not rest.sensing._life.protocol.obstacles
    # Its executor goes on, and with it its status; one of its workers does not.
    rest.worker_age_s["sat2"] = PresenceLimits().worker_s + 1.0
    rest.until(lambda: rest.sensing.counters["hello_stuck"], "the standstill to be heard")

    def dead() -> bool:
        rest.report(first)
        return rest.sensing._life.protocol.obstacles == {"sat2": "dead"}

    rest.until(dead, "sat2 to be taken for dead")
    assert rest.sensing.counters["stuck_status"]
    rest.worker_age_s["sat2"] = 0.0
    rest.until(lambda: rest.report(first) or not rest.sensing._life.protocol.obstacles, "sat2 to be back")


def test_a_journal_that_cannot_be_written_pushes_back(rest: Rest) -> None:
    rest.start()
    rest.fly(plan(1))
    rest.sensing._life.books._journal._database.execute("PRAGMA query_only = 1")
    for number in range(4):
        rest.photograph(number)
    rest.until(lambda: rest.sensing.counters["journal_failed"], "the complaint")
    assert not rest.batches
    rest.sensing._life.books._journal._database.execute("PRAGMA query_only = 0")
    rest.until(lambda: len(rest.batches) == 2, "what had waited")
    assert [frame for batch in rest.batches for frame in batch.envelope.frames] == [1, 2, 3, 4]


def test_a_plan_of_another_run_is_refused(rest: Rest, tmp_path: Path) -> None:
    rest.start()
    rest.fly(plan(1))
    rest.kill()
    (tmp_path / "run.json").unlink()
    for name in ("sensing.frames.sqlite", "sensing.journal"):
        (tmp_path / name).unlink()
    # Nobody takes a plan for that of a run that it is not of.
    rest.start()
    assert rest.sensing.failed_to_start and "sensing.plan but no run.json" in rest.sensing._complaint


def test_images_are_taken_from_one_topic_only(rest: Rest) -> None:
    rest.start()
    rest.fly(plan(1))
    rest.photograph(1)
    rest.until(lambda: rest.ledger and rest.ledger.acquired_tiles == 1, "the first image")
    name = f"/{graph.IMAGE.of()}"
    assert not [info for info in rest.node.get_subscriptions_info_by_topic(name) if info.node_name == "sensing"]
    rest.photograph(2)
    rest.until(lambda: rest.ledger.acquired_tiles == 2, "the second image")


def test_nobody_looks_for_the_end_of_a_stream_that_is_over(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(Camera, "publishers", property(lambda _: looks.append(1) or 1))
    rest.start(expected_images=2)
    rest.fly(plan(1))
    rest.photograph(1)
    rest.photograph(2)
    rest.until(lambda: rest.ledger and rest.ledger.end_of_stream, "the end of the stream")
    assert looks
    looks.clear()
    rest.heard["ledger"].clear()
    rest.until(lambda: len(rest.heard["ledger"]) >= 2, "a second of ticks")
    assert not looks


def test_a_camera_on_another_topic_is_heard_by_its_name(rest: Rest) -> None:
    rest.start(image_topic="/front/image_raw")
    rest.fly(plan(1))
    publisher = rest.node.create_publisher(Image, "/front/image_raw", profile(graph.Qos.CAMERA))
    rest.until(publisher.get_subscription_count, "sensing to find the topic's type")
    side = SPEC.image_height
    image = Image(height=side, width=side, encoding="rgb8", step=3 * side, data=bytes(3 * side * side))

    def heard() -> bool:
        publisher.publish(image)
        return bool(rest.ledger and rest.ledger.acquired_tiles)

    rest.until(heard, "an image")


def test_images_that_were_not_heard_are_counted(rest: Rest) -> None:
    rest.start()
    rest.fly(plan(1))
    camera = rest.sensing._stream.camera
    gid = {"data": b"1"}
    for number in (4, 5, 9):
        pixels = np.full((SPEC.image_height, SPEC.image_width, 3), number, dtype=np.uint8)
        message = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", pixels)[1].tobytes())
        info = {"publication_sequence_number": number, "publisher_gid": gid}
        camera._on_message(message, info, f"/{graph.IMAGE_COMPRESSED.of()}")
    rest.until(lambda: rest.ledger and rest.ledger.acquired_tiles == 3, "the images")
    assert rest.ledger.unheard_frames == 3
