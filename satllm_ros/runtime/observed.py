"""What a planner has heard of satellites, links and the stream, as the facts a plan is made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from satllm_ros.planning.flight import FlightFacts, SatelliteFacts
from satllm_ros.planning.problem import MAX_BATCHES, Link
from satllm_ros.runtime.steady_figure import SteadyFigure

MAX_BLOCK_S = 1e6
MAX_RATE_BPS = 1e15
MAX_PROPAGATION_S = 60.0
MAX_TILE_BYTES = 1e12


class NonsenseError(ValueError):
    """A figure that no honest sender would report."""


@dataclass
class _Satellite:
    memory_bytes: float = 0.0
    pinned: str | None = None
    block_s: SteadyFigure = field(default_factory=SteadyFigure)


@dataclass
class _Connection:
    propagation_s: float = 0.0
    rate_bps: SteadyFigure = field(default_factory=SteadyFigure)


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


class Observed:
    """Facts of today; speeds and rates are medians of the last reports.

    Parameters
    ----------
    prior
        What is known beforehand: model, settings, links by kind, and the batches to plan for if sensing does not
        know how many will come. Its satellites are ignored.
    """

    def __init__(self, prior: FlightFacts) -> None:
        self._prior = prior
        self._satellites: dict[str, _Satellite] = {}
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._stream: Stream | None = None

    def on_satellite(self, name: str, block_s: float, memory_bytes: float, pinned: str | None, now_s: float) -> None:
        """A satellite says how fast it is, what its sub-models may take, and the setting an operator pinned.

        Raises
        ------
        NonsenseError
            If its speed is no time.
        """
        if not 0.0 <= block_s <= MAX_BLOCK_S:
            raise NonsenseError(f"{name} takes {block_s} s a block; allowed is 0 to {MAX_BLOCK_S:g}")
        seen = self._satellites.setdefault(name, _Satellite())
        seen.memory_bytes, seen.pinned = memory_bytes, pinned
        seen.block_s.add(block_s, now_s)

    def on_link(self, sender: str, receiver: str, link: tuple[float, float], now_s: float) -> None:
        """Rate [bit/s] and propagation delay [s] of one link; an empty name stands for the source or the ground.

        Raises
        ------
        NonsenseError
            If they are none.
        """
        rate_bps, propagation_s = link
        if not (0.0 < rate_bps <= MAX_RATE_BPS and 0.0 <= propagation_s <= MAX_PROPAGATION_S):
            raise NonsenseError(f"link {sender!r} to {receiver!r} has {rate_bps} bit/s and {propagation_s} s")
        seen = self._connections.setdefault((sender, receiver), _Connection())
        seen.propagation_s = propagation_s
        seen.rate_bps.add(max(1.0, rate_bps), now_s)

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

    def facts(self, names: Sequence[str]) -> FlightFacts | None:
        """Facts of these satellites, in this order; None before sensing and one of them have reported."""
        heard = [(name, self._satellites[name]) for name in names if name in self._satellites]
        if self._stream is None or not heard:
            return None
        prior = self._prior
        measured = {pair: Link(seen.rate_bps.value, seen.propagation_s) for pair, seen in self._connections.items()}
        return replace(
            prior,
            batches=self._stream.batches_left(prior.batch_tiles, prior.batches),
            upload_tile_bytes=self._stream.tile_bytes,
            satellites=[SatelliteFacts(name, seen.block_s.value, seen.memory_bytes) for name, seen in heard],
            links=replace(prior.links, measured=measured),
        )
