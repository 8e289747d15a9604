"""Parameters of the sensing node."""

from __future__ import annotations

from satllm_ros import interfaces as graph
from satllm_ros.nodes.base.parameters import (
    BATCH_TILES,
    CHECKPOINT,
    EMULATE_LINKS,
    LINK_CONTROLLERS,
    PLAN_PUBLIC_KEY,
    RECURSIVE,
    SATELLITES,
    STATE_DIRECTORY,
    Parameter,
)
from satllm_ros.nodes.images.pixel_parameters import PIXEL_PARAMETERS

PARAMETERS = (
    CHECKPOINT,
    SATELLITES,
    EMULATE_LINKS,
    LINK_CONTROLLERS,
    BATCH_TILES,
    PLAN_PUBLIC_KEY,
    STATE_DIRECTORY,
    Parameter("source", "topic", "Where images come from", choices=("topic", "bag", "folder")),
    Parameter("path", "", "Bag or folder to read; 'demo' is the bag shipped here"),
    RECURSIVE,
    Parameter(
        "image_topic",
        "",
        "Image topic: inside a bag, empty: the only one there is; of a camera, empty: image or image/compressed",
    ),
    Parameter(
        "rate", 0.0, "Speed of a bag against its recorded times; 0: as fast as the chain takes it", "-", 0.0, 1e6
    ),
    Parameter(
        "expected_images",
        0,
        "Images that will be published on a camera's topic, as by a bag that is played; then the stream is over."
        " 0: nobody knows",
        "-",
        0,
    ),
    *PIXEL_PARAMETERS,
    Parameter("upload_encoding", "jpeg", "How tiles travel to the first satellite", choices=("jpeg", "rgb8")),
    Parameter("window_batches", 6, "Batches W in flight, sent and not yet stored", "batch", 1, graph.MAX_CREDITS),
    Parameter(
        "copies_batches",
        512,
        "Batches kept until the ground has them; when full, a bag waits, a camera drops",
        "batch",
        1,
    ),
    Parameter("durable", False, "Keep a camera's batches on disk too, so that they outlive this process"),
    Parameter(
        "camera_tiles",
        1024,
        "Tiles of a camera that may wait to be cut; beyond, the oldest images are dropped, whole",
        "tile",
        1,
    ),
    Parameter("flush_s", 1.0, "A camera's incomplete batch is sent after so long", "s", 0.01, 3600.0),
    Parameter(
        "stall_s", 20.0, "With no acknowledgement for so long, the oldest batch is sent again", "s", 0.1, 86400.0
    ),
    Parameter(
        "delivery_s",
        60.0,
        "With no delivery and no word from its store for so long, a stored batch is sent again",
        "s",
        1.0,
        86400.0,
    ),
    Parameter(
        "drain_s", 30.0, "The stream is paused no longer than this for a plan that needs memory", "s", 1.0, 3600.0
    ),
)
