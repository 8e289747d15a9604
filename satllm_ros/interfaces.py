"""Every topic and service of the graph: name, type, quality of service. The one home of these facts.

Names are relative to the *root*, the namespace the whole graph lives in; `{node}` stands for the name of a
satellite, of sensing or of the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Quality:
    """A named quality of service, without ROS types."""

    reliable: bool
    latched: bool
    depth: int
    purpose: str


# No more batches than this may be in flight: beyond the history depth, DDS would lose the oldest silently.
MAX_CREDITS = 64
# What parameters, constellation files and messages may say.
MAX_BATCH_TILES = 4096
MAX_THREADS = 256
# Seconds a tile takes in a block, and the speed of a bag against its recorded times.
MAX_BLOCK_S = 1e6
MAX_BAG_SPEED = 1e6
# Seconds of a clock that goes by an orbit, in a real one.
MIN_CLOCK_SPEED, MAX_CLOCK_SPEED = 0.01, 1e4
# Whole numbers up to here are exact as floats, too.
MAX_WHOLE = 2**53
SOURCE_KINDS = ("topic", "bag", "folder")
UPLOAD_ENCODINGS = ("jpeg", "rgb8")
LINK_KINDS = ("upload", "isl", "s2g")


class Qos(Enum):
    """The few profiles the graph uses."""

    DATA = Quality(True, False, MAX_CREDITS, "batches; never more in flight than the depth")
    PLAN = Quality(True, True, 1, "latched, so that a late joiner has it")
    STATE = Quality(True, True, 1, "latched last state")
    EVENT = Quality(True, False, 1000, "acknowledgements and timings, many small ones")
    CLOCK = Quality(True, False, 1, "simulated time; matches what nodes of every distribution listen with")
    HELLO = Quality(False, False, 64, "presence: a hint, not a promise")
    CAMERA = Quality(False, False, 5, "sensor data; matches every camera driver and rosbag")


@dataclass(frozen=True)
class Topic:
    """A topic: `name` below the root unless it begins with /, message type as `package/msg/Type`.

    Of one that is `watched`, each end counts what the middleware tells of losses and of other ends that do not fit. It
    costs time at every turn of an executor, so hints that come many times a second are not.
    """

    name: str
    type: str
    qos: Qos
    writers: str
    readers: str
    watched: bool = True

    def of(self, node: str = "") -> str:
        """Name below the root with the node filled in."""
        return self.name.format(node=node)

    def under(self, root: str, node: str = "") -> str:
        """Full name."""
        name = self.of(node)
        return name if name.startswith("/") else f"{root}/{name}"


IMAGES_INBOX = Topic("{node}/inbox/images", "satllm_ros/msg/ImageBatch", Qos.DATA, "sensing or link", "compression")
ACTIVATION_INBOX = Topic(
    "{node}/inbox/activation", "satllm_ros/msg/CompressedActivation", Qos.DATA, "compression or link", "compression"
)
PREDICTIONS_INBOX = Topic(
    "{node}/inbox/predictions", "satllm_ros/msg/Predictions", Qos.DATA, "downlink or link", "ground, downlink"
)
IMAGES_OUTBOX = Topic("{node}/outbox/images", "satllm_ros/msg/ImageBatch", Qos.DATA, "sensing", "link")
ACTIVATION_OUTBOX = Topic(
    "{node}/outbox/activation", "satllm_ros/msg/CompressedActivation", Qos.DATA, "compression", "link"
)
PREDICTIONS_OUTBOX = Topic("{node}/outbox/predictions", "satllm_ros/msg/Predictions", Qos.DATA, "downlink", "link")
ACTIVATION_IN = Topic("{node}/activation/in", "satllm_ros/msg/Activation", Qos.DATA, "compression", "external stage")
ACTIVATION_OUT = Topic("{node}/activation/out", "satllm_ros/msg/Activation", Qos.DATA, "external stage", "compression")
STAGE_ORDER = Topic("{node}/stage/order", "satllm_ros/msg/StageOrder", Qos.STATE, "stage", "external stage")
STAGE_ANSWER = Topic("{node}/stage/answer", "satllm_ros/msg/StageAnswer", Qos.STATE, "external stage", "stage")
BATCH_ACK = Topic(
    "batch_ack", "satllm_ros/msg/BatchAck", Qos.EVENT, "compression, downlink, ground", "sensing, downlink"
)
PLAN_PROPOSED = Topic("plan_proposed", "satllm_ros/msg/Plan", Qos.PLAN, "planner", "stage, sensing, planner")
PLAN_ACTIVE = Topic("plan_active", "satllm_ros/msg/Plan", Qos.PLAN, "sensing", "stage, planner, recorder, orbit_clock")
SWITCH_STATE = Topic("switch_state", "satllm_ros/msg/SwitchState", Qos.PLAN, "sensing", "stage")
CUSTODY_QUERY = Topic("custody_query", "satllm_ros/msg/CustodyQuery", Qos.EVENT, "sensing", "downlink")
LEDGER = Topic("ledger", "satllm_ros/msg/Ledger", Qos.STATE, "sensing", "planner, ground, recorder, sensing")
STATUS = Topic("{node}/status", "satllm_ros/msg/SatelliteStatus", Qos.STATE, "stage", "planner, sensing, recorder")
HELLO = Topic(
    "hello", "satllm_ros/msg/Hello", Qos.HELLO, "all but link and orbit_clock", "all but link and orbit_clock"
)
TIMING = Topic("{node}/timing", "satllm_ros/msg/BatchTiming", Qos.EVENT, "compression", "sensing, recorder")
LINK_STATE = Topic(
    "link_state",
    "satllm_ros/msg/LinkState",
    Qos.EVENT,
    "a modem's driver or link; sensing, compression, downlink (what they measured)",
    "planner, sensing, compression, downlink, recorder",
    watched=False,
)
LINK_RECEIPT = Topic(
    "{node}/link_receipt",
    "satllm_ros/msg/LinkReceipt",
    Qos.EVENT,
    "compression, downlink, ground",
    "sensing, compression, downlink",
    watched=False,
)
LINK_TRANSFER = Topic("link_transfer", "satllm_ros/msg/LinkTransfer", Qos.EVENT, "link", "recorder")
CLOCK = Topic("/clock", "rosgraph_msgs/msg/Clock", Qos.CLOCK, "orbit_clock", "every node under simulated time")
IMAGE = Topic("image", "sensor_msgs/msg/Image", Qos.CAMERA, "camera or rosbag", "sensing")
IMAGE_COMPRESSED = Topic(
    "image/compressed", "sensor_msgs/msg/CompressedImage", Qos.CAMERA, "camera or rosbag", "sensing"
)

TOPICS = (
    IMAGES_INBOX,
    ACTIVATION_INBOX,
    PREDICTIONS_INBOX,
    IMAGES_OUTBOX,
    ACTIVATION_OUTBOX,
    PREDICTIONS_OUTBOX,
    ACTIVATION_IN,
    ACTIVATION_OUT,
    STAGE_ORDER,
    STAGE_ANSWER,
    BATCH_ACK,
    PLAN_PROPOSED,
    PLAN_ACTIVE,
    SWITCH_STATE,
    CUSTODY_QUERY,
    LEDGER,
    STATUS,
    HELLO,
    TIMING,
    LINK_STATE,
    LINK_RECEIPT,
    LINK_TRANSFER,
    CLOCK,
    IMAGE,
    IMAGE_COMPRESSED,
)

REPLAN_SERVICE = "replan"

SENSING = "sensing"
GROUND = "ground"
PLANNER = "planner"


def external_stage_of(satellite: str) -> str:
    """What a stage written by someone else calls itself in its hellos."""
    return f"{satellite}/stage"
