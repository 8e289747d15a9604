"""An operator at work: a camera feeds three satellites, parameters and lifecycles change in flight, Ctrl-C ends it."""

import json
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy.time
from builtin_interfaces.msg import Time
from flight import Flight, constellation, started, up, write_constellation
from lifecycle_msgs.msg import State, Transition
from observer import Observer
from rclpy.client import Client
from rclpy.qos import QoSCompatibility, qos_check_compatible
from satllm_ros.msg import BatchTiming, CodecSetting, Predictions
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from tiny_material import SIDE, Material, picture

from satllm_ros import interfaces as graph
from satllm_ros.compression.wire.setting import Codec
from satllm_ros.nodes.base.diagnostic_keys import COMMON
from satllm_ros.nodes.base.qos import profile
from satllm_ros.nodes.reference import NODES as NODE_TYPES
from satllm_ros.nodes.wire.conversions import setting_from

BATCH_TILES = 4
SATELLITES = ("sat1", "sat2", "sat3")
NODES = [*(f"{s}/{n}" for s in SATELLITES for n in ("compression", "stage", "downlink"))]
NODES += ["sensing", "planner", "link", "ground", "recorder"]


class Camera:
    """A flight whose camera is this test; hears predictions, ledger, timings and activations from the start."""

    def __init__(self, flight: Flight, observer: Observer) -> None:
        self.flight = flight
        self.observer = observer
        self.predictions: list[Predictions] = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
        self.ledgers = observer.hear(graph.LEDGER)
        self.plans = observer.hear(graph.PLAN_ACTIVE)
        self.statuses = {name: observer.hear(graph.STATUS, name) for name in SATELLITES}
        self.timings: dict[str, list[BatchTiming]] = {name: observer.hear(graph.TIMING, name) for name in SATELLITES}
        self.activations = observer.hear(graph.ACTIVATION_INBOX, "sat3")
        self.images = observer.voice(graph.IMAGE)
        # Frames that must come down: every image that is heard has the next number, whatever becomes of it.
        self.shown: list[int] = []
        self.pictures = 0
        self.stamp_ns = observer.node.get_clock().now().nanoseconds

    @property
    def acquired(self) -> int:
        return self.ledgers[-1].acquired_tiles if self.ledgers else 0

    def message(self, encoding: str = "rgb8", channels: int = 3) -> Image:
        """The next image, with a stamp of its own."""
        number = self.pictures = self.pictures + 1
        pixels = picture(number)[:, :, :channels]
        message = Image(height=SIDE, width=SIDE, encoding=encoding, step=SIDE * channels, data=pixels.tobytes())
        message.header.stamp = self.stamp_of(number)
        return message

    def stamp_of(self, number: int) -> Time:
        return rclpy.time.Time(nanoseconds=self.stamp_ns + number).to_msg()

    def show(self, images: int) -> None:
        """Take pictures, each once the one before has arrived: a camera's topic is not reliable."""
        for _ in range(images):
            self.show_this(self.message())

    def show_this(self, message: Image) -> None:
        """Publish an image that must come down, and wait until it has arrived."""
        before = self.acquired
        self.images.publish(message)
        self.observer.until(lambda: self.acquired > before, "an image to be acquired")
        self.shown.append(self.acquired)

    def delivered(self) -> Counter[int]:
        """How often the prediction of each image arrived."""
        return Counter(frame for message in self.predictions for frame in message.envelope.frames)

    def until_all_delivered(self) -> None:
        """Everything shown has come down, once, and sensing knows it."""
        self.observer.until(lambda: self.delivered().keys() >= set(self.shown), f"predictions of images {self.shown}")
        self.observer.until(
            lambda: self.ledgers[-1].delivered_tiles + self.ledgers[-1].dropped_tiles == self.acquired,
            "sensing to know that all is delivered",
        )
        assert self.delivered() == Counter(self.shown)

    def codecs_of(self, satellite: str, first: int) -> set[int]:
        """Codecs of the satellite's output in the timings from place `first` on."""
        return {timing.setting.codec for timing in self.timings[satellite][first:]}


@pytest.fixture(scope="module")
def camera(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Camera]:
    folder = tmp_path_factory.mktemp("camera_flight")
    content = constellation(material, (0.01, 0.01, 0.01), batch_tiles=BATCH_TILES, window_batches=2, accuracy_floor=0.8)
    with started(up(write_constellation(folder, content), "--camera"), folder) as flight, Observer(flight) as observer:
        made = Camera(flight, observer)
        observer.until(lambda: made.plans, "a plan")
        # A reader that has just been discovered may miss a first image.
        while not made.acquired:
            made.images.publish(made.message())
            heard = len(made.ledgers)
            observer.until(lambda: made.acquired or len(made.ledgers) >= heard + 2, "sensing to report")  # noqa: B023
        made.shown = [*range(1, made.acquired + 1)]
        yield made


def test_incomplete_batch_is_sent_after_a_pause(camera: Camera) -> None:
    camera.show(BATCH_TILES + 1)
    camera.until_all_delivered()
    assert max(len(message.envelope.frames) for message in camera.predictions) <= BATCH_TILES


def test_images_of_other_encodings_fly(camera: Camera) -> None:
    for encoding, channels in (("bgr8", 3), ("mono8", 1)):
        camera.show_this(camera.message(encoding, channels))
    camera.until_all_delivered()


def test_stamps_that_repeat_and_run_backwards_cost_nothing(camera: Camera) -> None:
    for seconds in (7, 7, 3, 2**31 - 1, 0):
        message = camera.message()
        message.header.stamp.sec, message.header.stamp.nanosec = seconds, 0
        camera.show_this(message)
    camera.until_all_delivered()


def test_a_camera_is_heard_on_one_topic(camera: Camera) -> None:
    heard = camera.observer.node.get_subscriptions_info_by_topic(f"/{graph.IMAGE_COMPRESSED.of()}")
    assert not [end for end in heard if end.node_name == "sensing"]


def test_broken_images_are_counted_and_dropped(camera: Camera) -> None:
    before = camera.acquired
    broken = Image(height=SIDE, width=SIDE, encoding="rgb8", step=SIDE * 3, data=b"too short")
    broken.header.stamp.sec = 7
    camera.images.publish(broken)
    camera.observer.until(lambda: camera.acquired == before + 1, "a broken image to be counted")
    camera.observer.until(lambda: camera.observer.counter("sensing", "unreadable_image") == 1, "its counter")
    small = Image(height=8, width=8, encoding="rgb8", step=24, data=bytes(8 * 24))
    camera.images.publish(small)
    camera.observer.until(lambda: camera.acquired == before + 2, "a small image to be counted")
    # No clock was ever set to this.
    early = camera.message()
    early.header.stamp.sec = -5
    camera.show_this(early)
    camera.until_all_delivered()


def test_codec_takes_effect_at_the_next_batch_and_is_released(camera: Camera) -> None:
    observer, status = camera.observer, camera.statuses["sat2"]
    assert status[-1].setting.codec == CodecSetting.CODEC_INT8 and not status[-1].setting_pinned

    assert observer.set_parameter("sat2/compression", "codec", "raw").successful
    observer.until(lambda: status[-1].setting_pinned, "the pinned setting in the status")
    assert status[-1].setting.codec == CodecSetting.CODEC_RAW
    timed = len(camera.timings["sat2"]), len(camera.timings["sat1"]), len(camera.activations)
    camera.show(2 * BATCH_TILES)
    camera.until_all_delivered()
    observer.until(lambda: len(camera.timings["sat2"]) > timed[0], "a timing of sat2")
    assert camera.codecs_of("sat2", timed[0]) == {CodecSetting.CODEC_RAW}
    assert camera.codecs_of("sat1", timed[1]) == {CodecSetting.CODEC_INT8}
    assert {a.setting.codec for a in camera.activations[timed[2] :]} == {CodecSetting.CODEC_RAW}

    assert observer.set_parameter("sat2/compression", "codec", "plan").successful
    observer.until(lambda: not status[-1].setting_pinned, "the released setting in the status")
    first = len(camera.timings["sat2"])
    camera.show(BATCH_TILES)
    camera.until_all_delivered()
    observer.until(lambda: len(camera.timings["sat2"]) > first, "a timing of sat2")
    assert camera.codecs_of("sat2", first) == {CodecSetting.CODEC_INT8}


def test_every_codec_can_be_switched_to_in_flight_and_nothing_is_lost(camera: Camera) -> None:
    observer, timings = camera.observer, camera.timings["sat2"]
    resent, heard = camera.ledgers[-1].resent_batches, len(camera.activations)
    for name, whole in (
        ("mask", "mask:0.2:8"), ("klt:16", "klt:16"), ("topk:0.2:8", "topk:0.2:8"), ("randtopk", "randtopk:0.2:8"),
        ("mask_dynamic", "mask_dynamic:0.2:8"), ("fp16", "fp16"), ("raw", "raw"),
    ):  # fmt: skip
        camera.show(BATCH_TILES)
        # This batch is on its way while the codec changes.
        assert observer.set_parameter("sat2/compression", "codec", name).successful
        camera.show(BATCH_TILES)
        observer.until(lambda: str(setting_from(timings[-1].setting)) == whole, f"a batch as {whole}")  # noqa: B023
    assert observer.set_parameter("sat2/compression", "codec", "plan").successful
    camera.show(BATCH_TILES)
    camera.until_all_delivered()
    assert {a.setting.codec for a in camera.activations[heard:]} == {int(codec) for codec in Codec}
    assert camera.ledgers[-1].resent_batches == resent
    assert not observer.counter("sat2/compression", "refused_internal")


@pytest.mark.parametrize(
    ("node", "name", "value", "said"),
    [
        ("sat2/compression", "codec", "zip", "codec setting 'zip' is unknown"),
        ("sat2/compression", "codec", 8, ""),
        ("sat2/compression", "codec", "klt:64", "step 64 is not offered by klt"),
        ("sat2/compression", "codec", "mask:0.2:9", "9 bits are not offered by mask"),
        ("sat2/compression", "codec", "klt:20", "was never measured, the floor is 0.8000"),
        ("sat2/compression", "artefacts", "other", "read-only"),
        ("sat2/stage", "block_s", -1.0, ""),
        ("link", "isl_rate_bps", 0.0, ""),
        ("sensing", "window_batches", 3, "read-only"),
    ],
)
def test_unacceptable_parameters_are_refused(camera: Camera, node: str, name: str, value: Any, said: str) -> None:
    before = camera.observer.get_parameter(node, name)
    result = camera.observer.set_parameter(node, name, value)
    assert not result.successful and said in result.reason and result.reason
    assert camera.observer.get_parameter(node, name) == before


def test_link_takes_a_new_rate_in_flight(camera: Camera) -> None:
    states = camera.observer.hear(graph.LINK_STATE)
    assert camera.observer.set_parameter("link", "isl_rate_bps", 3.0e6).successful
    camera.observer.until(
        lambda: any(s.sender == "sat1" and s.rate_bps == 3.0e6 for s in states), "the new rate in the link's state"
    )
    camera.show(BATCH_TILES)
    camera.until_all_delivered()


def test_satellite_that_pauses_loses_nothing(camera: Camera) -> None:
    observer, transfers = camera.observer, camera.observer.hear(graph.LINK_TRANSFER)
    assert observer.transition("sat2/compression", Transition.TRANSITION_DEACTIVATE)
    assert observer.state("sat2/compression").id == State.PRIMARY_STATE_INACTIVE
    camera.show(BATCH_TILES)
    # This batch reaches a satellite where nobody listens.
    observer.until(lambda: any(t.receiver == "sat2" for t in transfers), "a batch on its way to the paused satellite")
    lost = next(t.batch for t in transfers if t.receiver == "sat2")
    assert observer.transition("sat2/compression", Transition.TRANSITION_ACTIVATE)
    # Nobody has received it: sat1 sends it again, or sensing, once batches that overtake it show that it is lost.
    camera.show(2 * BATCH_TILES)
    camera.until_all_delivered()
    assert sum(t.receiver == "sat2" and t.batch == lost for t in transfers) > 1


def test_replan_in_flight_loses_nothing(camera: Camera) -> None:
    client: Client[Any, Any] = camera.observer.node.create_client(Trigger, f"/{graph.REPLAN_SERVICE}")
    camera.observer.until(client.service_is_ready, "the replan service")
    before = len(camera.plans)
    camera.show(BATCH_TILES)
    answer = client.call_async(Trigger.Request())
    camera.show(BATCH_TILES)
    camera.observer.until(answer.done, "an answer of the planner")
    assert answer.result().success, answer.result().message
    camera.observer.until(lambda: len(camera.plans) > before, "the new plan to be active")
    camera.show(BATCH_TILES)
    camera.until_all_delivered()
    old, new = camera.plans[-2:]
    assert new.epoch.counter == old.epoch.counter + 1 and new.plan_hash != old.plan_hash


def test_sensing_that_pauses_goes_on_with_the_same_plan(camera: Camera) -> None:
    observer = camera.observer
    assert observer.transition("sensing", Transition.TRANSITION_DEACTIVATE)
    assert observer.transition("sensing", Transition.TRANSITION_ACTIVATE)
    observer.until(camera.images.get_subscription_count, "sensing to listen again")
    camera.show(BATCH_TILES)
    camera.until_all_delivered()


def test_every_node_reports_diagnostics(camera: Camera) -> None:
    observer = camera.observer
    observer.until(lambda: observer.diagnostics.keys() >= {f"/{n}" for n in NODES}, "diagnostics of all nodes")
    # Just after the start, some still say what they waited for.
    told = observer.diagnostics
    observer.until(lambda: all(told[f"/{n}"].level == told[f"/{n}"].OK for n in NODES), "diagnostics that are all well")
    for name in NODES:
        status = observer.diagnostics[f"/{name}"]
        assert status.hardware_id == socket.gethostname()
        # From the first message on, and none that the table does not know.
        (keys,) = observer.diagnostic_keys[f"/{name}"]
        table = NODE_TYPES[re.sub("^sat[0-9]+", "<satellite>", name)].KEYS
        assert set(keys) == {*table.values, *table.counters, *COMMON}
        assert not observer.counter(name, "incompatible_qos")
    # Where batches go. Of latched states and of the camera only the newest matters, and the older may be lost.
    for name in ("link", "ground", *(f"{s}/compression" for s in SATELLITES)):
        assert not observer.counter(name, "message_lost")
    assert not observer.counter("ground", "duplicate_tiles")


def test_every_publisher_and_subscription_is_as_documented(camera: Camera) -> None:
    node = camera.observer.node
    used = set()
    for topic in graph.TOPICS:
        for name in {topic.under("", n) for n in (*SATELLITES, graph.SENSING, graph.GROUND)}:
            publishers = node.get_publishers_info_by_topic(name)
            subscriptions = node.get_subscriptions_info_by_topic(name)
            for end in (*publishers, *subscriptions):
                expected = profile(topic.qos)
                assert end.topic_type == topic.type
                assert end.qos_profile.reliability == expected.reliability, name
                assert end.qos_profile.durability == expected.durability, name
            for publisher in publishers:
                for subscription in subscriptions:
                    verdict, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
                    assert verdict == QoSCompatibility.OK, f"{name}: {reason}"
            used |= {name} if {e.node_name for e in (*publishers, *subscriptions)} - {"observer"} else set()
    present = {name for name, _ in node.get_topic_names_and_types() if not name.endswith("/transition_event")}
    assert present - used == {"/diagnostics", "/parameter_events", "/rosout"}


def test_ledger_adds_up_at_every_message(camera: Camera) -> None:
    assert len(camera.ledgers) > 20
    for ledger in camera.ledgers:
        parts = ledger.waiting_tiles + ledger.in_flight_tiles + ledger.stored_tiles
        assert ledger.acquired_tiles == parts + ledger.delivered_tiles + ledger.dropped_tiles
        assert not ledger.end_of_stream


def test_interrupt_ends_every_process_and_leaves_a_report(camera: Camera) -> None:
    delivered = camera.delivered().total()
    assert camera.ledgers[-1].delivered_tiles == delivered
    camera.flight.process.send_signal(signal.SIGINT)
    assert camera.observer.until_ended() == 128 + signal.SIGINT
    camera.observer.close()
    assert camera.flight.left_behind() == ([], [])
    summary = json.loads((camera.flight.latest / "summary.json").read_text())
    assert summary["tiles"]["received"] == delivered and summary["tiles"]["duplicates"] == 0
    assert summary["tiles"]["dropped"] == {"unreadable_image": 1, "frame_too_small": 1}
    assert "Traceback" not in camera.flight.errors + camera.flight.logs
