"""What was measured of a satellite's device before the flight, and how live reports refresh it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from satllm_ros.planning.problem.problem import Setting

# Least that a new batch weighs in the average that satellites report.
NEW_WEIGHT = 0.2


@dataclass(frozen=True)
class DeviceTimes:
    """Times on one device.

    Attributes
    ----------
    layer_s
        (L,) seconds one tile takes in each layer, in batches as they are flown; all above 0.
    coding_s_per_byte
        By setting: seconds per fp32 byte to encode and to decode.
    first_blocks
        (start, stop] of the blocks that a satellite measures at its start.
    """

    layer_s: Sequence[float]
    coding_s_per_byte: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    first_blocks: tuple[int, int] = (0, 1)

    @property
    def block_s(self) -> float:
        """Seconds one tile takes in one block, mean over all."""
        return sum(self.layer_s) / len(self.layer_s)

    @property
    def layer_shares(self) -> tuple[float, ...]:
        """(L,) time of each layer as a multiple of `block_s`."""
        mean_s = self.block_s
        return tuple(s / mean_s for s in self.layer_s)

    def mean_s(self, start: int, stop: int) -> float:
        """Seconds one tile takes in one of the blocks start+1 .. stop; without any, in the `first_blocks`."""
        if start == stop:
            start, stop = self.first_blocks
        return sum(self.layer_s[start:stop]) / (stop - start)


class Pace:
    """How many times slower a satellite is than its device was when it was measured.

    A satellite reports a moving average over the blocks it ran, and these change with the plan; nobody says how many
    batches went into it. Until the average must have forgotten the blocks before, a change that the new ones explain
    is taken to come from them: a new share of unequal blocks does not look like another speed.
    """

    def __init__(self, device: DeviceTimes) -> None:
        self._device = device
        self._expected_s = 0.0
        self._reported_s: float | None = None

    def of(self, reported_s: float, start: int, stop: int) -> float:
        """The factor, by a report of `reported_s` seconds a tile and block from who runs blocks start+1 .. stop.

        Without blocks, it has measured the `first_blocks`.
        """
        expected_s = self._device.mean_s(start, stop)
        if self._reported_s is None:
            self._expected_s = expected_s
        elif reported_s != self._reported_s:
            before_s, factor = self._expected_s, self._reported_s / self._expected_s
            # Who has no blocks and another figure has begun a new life.
            least_s = before_s + NEW_WEIGHT * (expected_s - before_s) if start < stop else expected_s
            explained_s = reported_s / factor if factor > 0 else expected_s
            self._expected_s = min(max(explained_s, min(least_s, expected_s)), max(least_s, expected_s))
        self._reported_s = reported_s
        return reported_s / self._expected_s


def with_costs(settings: Sequence[Setting], devices: Iterable[DeviceTimes]) -> list[Setting]:
    """Settings with what coding costs on the slowest of these devices: a setting has one cost for all satellites.

    A setting that none of them measured keeps its own.
    """
    measured = [device.coding_s_per_byte for device in devices]
    priced = []
    for setting in settings:
        if costs := [costs[setting.name] for costs in measured if setting.name in costs]:
            encode_s, decode_s = (max(column) for column in zip(*costs, strict=True))
            setting = replace(setting, encode_s_per_byte=encode_s, decode_s_per_byte=decode_s)
        priced.append(setting)
    return priced
