"""Facts of a small flight: three satellites, a model of six equal blocks of 100 bytes, fast links."""

from __future__ import annotations

from typing import Any

from satllm_ros.model.spec import ModelSpec
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.replanning.decision import Assignment
from satllm_ros.replanning.flight import FlightFacts, LinkFacts, SatelliteFacts

BLOCKS, BLOCK_BYTES = 6, 100
SPEC = ModelSpec(
    architecture="vit",
    arguments={},
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    classes=("a", "b"),
    model_id="0123456789abcdef",
    blocks=BLOCKS,
    tokens=5,
    prefix_tokens=1,
    width=8,
    image_height=8,
    image_width=8,
    layer_bytes=(BLOCK_BYTES,) * BLOCKS,
)
FAST = Link(1e9)


def make_facts(*block_s: float, memory_bytes: float = 1e6, **changes: Any) -> FlightFacts:
    """Satellites sat1, sat2, ... of these speeds; 20 batches of one tile."""
    fields: dict[str, Any] = {
        "spec": SPEC,
        "batches": 20,
        "batch_tiles": 1,
        "upload_tile_bytes": 100.0,
        "satellites": [SatelliteFacts(f"sat{i + 1}", s, memory_bytes) for i, s in enumerate(block_s)],
        "links": LinkFacts(FAST, FAST, FAST),
        "settings": [Setting("raw", 1.0, 0.9), Setting("int8", 0.25, 0.89)],
        "accuracy_floor": 0.0,
    }
    return FlightFacts(**(fields | changes))


def shares(*parts: tuple[str, int], setting: str = "int8") -> list[Assignment]:
    """Split of (satellite, last block) parts."""
    starts = [0, *[stop for _, stop in parts[:-1]]]
    return [Assignment(name, start, stop, setting) for (name, stop), start in zip(parts, starts, strict=True)]
