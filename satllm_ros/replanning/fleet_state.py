"""What a planner has heard of satellites, links and the stream, as the facts a plan is made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from satllm_ros.interfaces import MAX_BLOCK_S
from satllm_ros.links.link_pairs import MAX_PROPAGATION_S, MAX_RATE_BPS
from satllm_ros.links.real_links import goodput_bps
from satllm_ros.planning.problem.problem import MAX_BATCHES, Link
from satllm_ros.replanning.drift import BAND
from satllm_ros.replanning.flight import FlightFacts, SatelliteFacts
from satllm_ros.replanning.measured import DeviceTimes, Pace, with_costs
from satllm_ros.replanning.median_filter import MedianFilter

MAX_TILE_BYTES = 1e12
# A link that was measured slow is used no more, and so never measured again: after so long its word counts again.
MEASURED_FOR_S = 600.0


class NonsenseError(ValueError):
    """A figure that no honest sender would report."""


@dataclass
class _Satellite:
    """The device and the pace are of who was measured beforehand and runs at its own speed."""

    memory_bytes: float = 0.0
    pinned: str | None = None
    block_s: MedianFilter = field(default_factory=MedianFilter)
    device: DeviceTimes | None = None
    pace: Pace | None = None

    def facts(self, name: str) -> SatelliteFacts:
        shares = () if self.device is None else self.device.layer_shares
        return SatelliteFacts(name, self.block_s.value, self.memory_bytes, shares)


@dataclass
class _Connection:
    """What a modem says of a link, and what its sender measured: rates [bit/s], and delays [s]."""

    word_bps: MedianFilter | None = None
    measured_bps: MedianFilter | None = None
    measured_s: float = -math.inf
    propagation_s: float = 0.0

    def link(self, now_s: float, *, is_real: bool) -> Link | None:
        """What to plan with: a measurement that is within the band of the modem's word only confirms it.

        A word is of all that crosses, a measurement of batches without headers; on real links both are made the latter.
        None if nothing is known any more.
        """
        word, measured = (None if f is None else f.value for f in (self.word_bps, self.measured_bps))
        if word is not None and is_real:
            word = goodput_bps(word, self.propagation_s)
        if now_s - self.measured_s > MEASURED_FOR_S:
            measured = None
        if word is None or (measured is not None and _differ(word, measured)):
            word = measured
        return None if word is None else Link(word, self.propagation_s)


@dataclass(frozen=True)
class Stream:
    """What sensing says of its stream; 0 expected batches: nobody knows how many will come."""

    expected_batches: int
    settled_tiles: int
    tile_bytes: float

    def batches_left(self, batch_tiles: int, horizon: int) -> int:
        """Batches still to be computed, at least 1; the horizon if their number is unknown."""
        if not self.expected_batches:
            return horizon
        return max(1, min(MAX_BATCHES, self.expected_batches - self.settled_tiles // batch_tiles))


class FleetState:
    """Facts of today; speeds and rates are medians of the last reports.

    Parameters
    ----------
    prior
        What is known beforehand: model, settings, links by kind, and the batches to plan for if sensing does not
        know how many will come. Its satellites are ignored.
    devices
        Times of the devices that were measured, by satellite: reports scale them. Others are planned with as if all
        their blocks took the same time.
    """

    def __init__(self, prior: FlightFacts, devices: Mapping[str, DeviceTimes] | None = None) -> None:
        self._prior = prior
        self._devices = devices or {}
        self._satellites: dict[str, _Satellite] = {}
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._stream: Stream | None = None
        # When something was heard last.
        self._now_s = -math.inf

    def on_satellite(
        self,
        name: str,
        block_s: float,
        memory_bytes: float,
        pinned: str | None,
        now_s: float,
        *,
        runs: tuple[int, int] = (0, 0),
        emulated: bool = False,
    ) -> None:
        """A satellite says how fast it is, what its sub-models may take, and the setting an operator pinned.

        Parameters
        ----------
        runs
            (start, stop] of the blocks its speed is of; (0, 0) if it has none yet.
        emulated
            Whether its speed is imposed: what its device can do then does not matter.

        Raises
        ------
        NonsenseError
            If its speed is no time, or its blocks are none of the model.
        """
        if not 0.0 <= block_s <= MAX_BLOCK_S:
            raise NonsenseError(f"{name} takes {block_s} s a block; allowed is 0 to {MAX_BLOCK_S:g}")
        if not 0 <= runs[0] <= runs[1] <= self._prior.spec.blocks:
            raise NonsenseError(f"{name} runs blocks ({runs[0]}, {runs[1]}] of {self._prior.spec.blocks}")
        self._now_s = max(self._now_s, now_s)
        seen = self._satellites.setdefault(name, _Satellite())
        seen.memory_bytes, seen.pinned = memory_bytes, pinned
        device = None if emulated else self._devices.get(name)
        if device is not seen.device:
            seen.device, seen.pace = device, None if device is None else Pace(device)
        if device is not None and seen.pace is not None:
            block_s = min(MAX_BLOCK_S, device.block_s * seen.pace.of(block_s, *runs))
        seen.block_s.add(block_s, now_s)

    def on_link(
        self, sender: str, receiver: str, link: tuple[float, float], now_s: float, *, measured: bool = False
    ) -> None:
        """Rate [bit/s] and propagation delay [s] of one link; an empty name stands for the source or the ground.

        What is `measured` is planned with if it contradicts the modem's word, until the modem has another word: what
        was measured before says nothing of that.

        Raises
        ------
        NonsenseError
            If they are none.
        """
        rate_bps, propagation_s = link
        if not (0.0 < rate_bps <= MAX_RATE_BPS and 0.0 <= propagation_s <= MAX_PROPAGATION_S):
            raise NonsenseError(f"link {sender!r} to {receiver!r} has {rate_bps} bit/s and {propagation_s} s")
        self._now_s = max(self._now_s, now_s)
        seen = self._connections.setdefault((sender, receiver), _Connection())
        rate_bps = max(1.0, rate_bps)
        if measured:
            seen.measured_s = now_s
            seen.measured_bps = seen.measured_bps or MedianFilter()
            seen.measured_bps.add(rate_bps, now_s)
        else:
            if seen.word_bps is not None and _differ(seen.word_bps.value, rate_bps):
                seen.measured_bps = None
            seen.word_bps = seen.word_bps or MedianFilter()
            seen.word_bps.add(rate_bps, now_s)
        if seen.word_bps is None or not measured:
            seen.propagation_s = propagation_s

    def on_stream(self, stream: Stream) -> None:
        """Sensing says how many batches it expects and what has become of its tiles.

        Raises
        ------
        NonsenseError
            If its tiles have no size.
        """
        if not (math.isfinite(stream.tile_bytes) and 0.0 <= stream.tile_bytes <= MAX_TILE_BYTES):
            raise NonsenseError(f"tiles of {stream.tile_bytes} bytes; allowed is 0 to {MAX_TILE_BYTES:g}")
        self._stream = stream

    @property
    def has_stream(self) -> bool:
        """Whether sensing has reported."""
        return self._stream is not None

    @property
    def pinned(self) -> dict[str, str]:
        """Settings that operators pinned, by satellite."""
        return {name: seen.pinned for name, seen in self._satellites.items() if seen.pinned is not None}

    @property
    def heard_s(self) -> float:
        """When something was heard last of a satellite or a link [s]."""
        return self._now_s

    def block_range_s(self, name: str) -> tuple[float, float]:
        """Least and greatest seconds a tile took in a block of a satellite of late."""
        return self._satellites[name].block_s.range

    @property
    def unused_profiles(self) -> list[str]:
        """Satellites whose device was measured in vain: they impose another speed."""
        return [name for name, seen in self._satellites.items() if name in self._devices and seen.device is None]

    def facts(self, names: Sequence[str]) -> FlightFacts | None:
        """Facts of these satellites, in this order; None before sensing and one of them have reported."""
        heard = [(name, self._satellites[name]) for name in names if name in self._satellites]
        if self._stream is None or not heard:
            return None
        prior = self._prior
        known = {pair: seen.link(self._now_s, is_real=prior.real_links) for pair, seen in self._connections.items()}
        measured = {pair: link for pair, link in known.items() if link is not None}
        return replace(
            prior,
            batches=self._stream.batches_left(prior.batch_tiles, prior.batches),
            upload_tile_bytes=self._stream.tile_bytes,
            satellites=[seen.facts(name) for name, seen in heard],
            links=replace(prior.links, measured=measured),
            settings=with_costs(prior.settings, [seen.device for _, seen in heard if seen.device is not None]),
        )


def _differ(one_bps: float, other_bps: float) -> bool:
    return max(one_bps, other_bps) > min(one_bps, other_bps) * (1 + BAND)
