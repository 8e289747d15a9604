"""The small world that is explored: who is in it, what they hear, and the plans they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.membership.liveness import LivenessLimits
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.sensing import SensingLimits
from satllm_ros.simulation.processes.process import GROUND, MODEL_ID, SENSING

BLOCKS = 3
SATELLITES = ("sat1", "sat2", "sat3")
NAMES = (*SATELLITES, SENSING, GROUND)
SENSING_PLACE, GROUND_PLACE = 3, 4
PLANNER = -1
LIMITS = SensingLimits(
    CustodyLimits(window_batches=2, copies_batches=2, stall_s=10.0, delivery_s=1000.0, query_s=10.0),
    LivenessLimits(period_s=1.0, window=4, suspect_misses=4, dead_misses=4),
    drain_s=10.0,
)
RAW = CodecSetting(Codec.RAW)


class Hearing(NamedTuple):
    """Who hears a latched topic of whom, by their places in `NAMES`."""

    writer: int
    topic: str
    reader: int


HEARINGS = (
    *(Hearing(PLANNER, "plan_proposed", reader) for reader in range(4)),
    *(Hearing(SENSING_PLACE, "plan_active", reader) for reader in range(3)),
    *(Hearing(SENSING_PLACE, "switch_state", reader) for reader in range(3)),
    *(Hearing(writer, "status", SENSING_PLACE) for writer in range(3)),
)


def mask(wanted: Callable[[Hearing], bool]) -> int:
    """The hearings that are wanted, as bits."""
    return sum(1 << bit for bit, hearing in enumerate(HEARINGS) if wanted(hearing))


def spoken_by(place: int) -> int:
    """What others hear of this one, as bits."""
    return mask(lambda hearing: hearing.writer == place)


def heard_by(place: int) -> int:
    """What this one hears of others, as bits."""
    return mask(lambda hearing: hearing.reader == place)


PROPOSED_TO = mask(lambda hearing: hearing.topic == "plan_proposed")


def _plan(counter: int, *parts: tuple[str, int], downlink: str) -> Plan:
    starts = [0, *(stop for _, stop in parts)]
    stages = tuple(Stage(name, start, stop, RAW) for start, (name, stop) in zip(starts, parts, strict=False))
    return Plan(Epoch(1, counter), "planner", MODEL_ID, SENSING, stages, downlink).sealed()


PLANS = (
    _plan(1, ("sat1", 1), ("sat2", 2), ("sat3", 3), downlink="sat3"),
    _plan(2, ("sat1", 2), ("sat2", 3), downlink="sat1"),
)


def ready_bit(name: str, counter: int) -> int:
    """Whether this satellite was ready for this plan, as a bit."""
    return 1 << (SATELLITES.index(name) + len(SATELLITES) * (counter - 1))
