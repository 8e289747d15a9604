"""Parameters that several nodes share, with one meaning: a node's own struct takes from here what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.interfaces import MAX_BATCH_TILES, MAX_CLOCK_SPEED, MIN_CLOCK_SPEED, SOURCE_KINDS
from satllm_ros.nodes.base.parameters import NodeParameters, parameter

# What links there are, in words.
KINDS_OF_LINKS = {
    "upload": "the link from sensing to the first satellite",
    "isl": "each inter-satellite link",
    "s2g": "the link to the ground",
}
LINK_PAIRS_MEANING = (
    "Rate [bit/s] and propagation delay [s] of single directed links, where they differ from those of their kind: "
    "'sat1-sat2=8e6,0.01'; an empty string names none"
)


@dataclass(frozen=True)
class FleetParameters(NodeParameters):
    """Who flies."""

    satellites: tuple[str, ...] = parameter((), "Names of all satellites of the constellation")


@dataclass(frozen=True)
class ModelParameters(NodeParameters):
    """What is flown."""

    checkpoint: str = parameter("demo", "Checkpoint of the whole model (safetensors); 'demo' is the one shipped here")


@dataclass(frozen=True)
class CodecParameters(NodeParameters):
    """What codecs know of the model."""

    artefacts: str = parameter(
        "demo", "Codec artefacts made for that checkpoint (safetensors); 'demo' is the one shipped here"
    )


@dataclass(frozen=True)
class BatchParameters(NodeParameters):
    """How many tiles are a batch."""

    batch_tiles: int = parameter(10, "Tiles N that travel together", "tile", 1, MAX_BATCH_TILES)


@dataclass(frozen=True)
class PlanParameters(NodeParameters):
    """Whose plans are obeyed."""

    plan_public_key: str = parameter(
        "",
        "Ed25519 key, 64 hexadecimal digits: plans that it did not sign are refused; empty: unsigned plans fly",
    )


@dataclass(frozen=True)
class ClockParameters(NodeParameters):
    """How fast the graph's clock goes."""

    speed: float = parameter(1.0, "Seconds of the graph's clock in a real one", "-", MIN_CLOCK_SPEED, MAX_CLOCK_SPEED)


@dataclass(frozen=True)
class StateParameters(NodeParameters):
    """What outlives the process."""

    state_directory: str = parameter(
        "", "Folder of what the next life of this node must know; empty: the working directory"
    )


@dataclass(frozen=True)
class SendingParameters(NodeParameters):
    """How batches leave."""

    emulate_links: bool = parameter(
        False, "Send to the outbox, for the link node to carry, instead of straight to the next inbox"
    )
    link_controllers: tuple[str, ...] = parameter(
        (),
        "Real links with a flow controller in this process's Fast DDS profile, destination=rate,delay in bit/s and s: "
        "batches go to DDS as the link takes them; to other destinations at once",
    )


@dataclass(frozen=True)
class SourceParameters(NodeParameters):
    """Where images come from, and what is stated of their pixels."""

    source: str = parameter("topic", "Where sensing gets images", choices=SOURCE_KINDS)
    path: str = parameter(
        "",
        "Bag or folder that sensing reads, and the recorder for true classes and the unsplit reference; 'demo' is the "
        "bag shipped here",
    )
    recursive: bool = parameter(False, "Descend into the folders of a folder of images too")
    image_topic: str = parameter(
        "",
        "Image topic: inside a bag, empty: the only one there is; of a camera, empty: image or image/compressed",
    )
    bands: str = parameter(
        "",
        "Bands of an image to take as red, green, blue, such as 4,3,2, or one as gray; empty: as the checkpoint says, "
        "or the image declares",
    )
    pixel_scale: float = parameter(
        0.0,
        "Factor from a sample that is not 8 bits unsigned to 0..255; 0: as the checkpoint says, else such are refused",
        "-",
        0.0,
        1e12,
    )
    resize: int = parameter(
        0,
        "Side of the square that the middle of each frame is resampled to; 0: frames are cut into tiles",
        "pixel",
        0,
        16384,
    )
