"""Plans over a small constellation: four satellites, a model of eight blocks."""

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan, Stage

MODEL_ID = "0123456789abcdef"
BLOCKS = 8
KNOWN = ("sat1", "sat2", "sat3", "sat4")
ORIGIN = {"model_id": MODEL_ID, "blocks": BLOCKS, "known": KNOWN}


def make_plan(counter: int, *parts: tuple[str, int], incarnation: int = 1, **changes: object) -> Plan:
    """Sealed plan of (satellite, last block) parts; without parts, sat1 and sat2 share the model."""
    parts = parts or (("sat1", 4), ("sat2", BLOCKS))
    stages, start = [], 0
    for satellite, stop in parts:
        stages.append(Stage(satellite, start, stop, CodecSetting(Codec.INT8)))
        start = stop
    fields: dict[str, object] = {
        "epoch": Epoch(incarnation, counter),
        "planner_id": "/planner",
        "model_id": MODEL_ID,
        "source": "sensing",
        "stages": tuple(stages),
        "downlink": parts[-1][0],
    }
    return Plan(**{**fields, **changes}).sealed()
