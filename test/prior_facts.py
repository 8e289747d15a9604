"""What a planner knows beforehand of a model of six equal blocks and of two satellites."""

from satllm_ros.model.spec import ModelSpec
from satllm_ros.planning.problem.problem import Link, Setting
from satllm_ros.replanning.flight import FlightFacts, LinkFacts

NAMES = ("sat1", "sat2")
SPEC = ModelSpec("vit", {}, (0.5,) * 3, (0.5,) * 3, ("a", "b"), "0123456789abcdef", 6, 5, 1, 8, 8, 8, (100,) * 6)
FAST = Link(1e9)
PRIOR = FlightFacts(
    spec=SPEC,
    batches=64,
    batch_tiles=2,
    upload_tile_bytes=0.0,
    satellites=[],
    links=LinkFacts(FAST, FAST, FAST),
    settings=[Setting("raw", 1.0, 0.9), Setting("int8", 0.25, 0.89)],
    accuracy_floor=0.0,
)
