"""What is flown on hosts of their own, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hosts.topology import End, Shape

MBIT = 1.0e6
# Side of a tile and of a patch: few tiles with wide activations.
SIDE, PATCH = 64, 4
_TOKENS, _CHANNELS, _CLASSES = (SIDE // PATCH) ** 2 + 1, 48, 5
# Bytes of a tile, uncompressed: uploaded as RGB, between satellites, and to the ground.
UPLOAD_TILE_BYTES, ACTIVATION_TILE_BYTES, LOGITS_TILE_BYTES = 3 * SIDE * SIDE, 4 * _TOKENS * _CHANNELS, 4 * _CLASSES


@dataclass(frozen=True)
class Outage:
    """A host's line ends in one of the ways, for so long [s], once `after_batches` more batches are down."""

    host: str
    how: End
    seconds: float
    after_batches: int = 5


@dataclass(frozen=True)
class Return:
    """A host's processes are killed; it comes back after so long [s] with another address, and goes on."""

    host: str
    seconds: float
    after_batches: int = 5


class Discovery(Enum):
    """How processes find each other; all but the first on a network that carries no multicast."""

    MULTICAST = "multicast"
    PEERS = "static peers"
    SERVER = "discovery server"


class Memory(Enum):
    """How many satellites the model needs at least: the share of its bytes that each may hold."""

    THREE = 0.45
    TWO = 0.7


@dataclass(frozen=True)
class Plan:
    """One flight.

    Attributes
    ----------
    batches, batch_tiles
        What is flown, uncompressed; a tile is `UPLOAD_TILE_BYTES` and `ACTIVATION_TILE_BYTES`.
    line
        Of every host but those of `lines`.
    rate_bps
        What the constellation file says of all links; the line's rate up if 0.
    compute_s
        Emulated time of all blocks for one batch.
    window
        Batches sent and not yet stored.
    codec
        Setting of the codec, the only one that the planner may choose.
    constellations
        How many of them fly on the network, in namespaces of their own; only the first is judged by time.
    is_steady
        Whether prediction and traffic are held against what was measured.
    """

    batches: int
    batch_tiles: int
    line: Shape
    lines: Mapping[str, Shape] = field(default_factory=dict)
    rate_bps: float = 0.0
    compute_s: float = 0.3
    window: int = 4
    satellites: int = 3
    memory: Memory = Memory.THREE
    codec: str = "raw"
    discovery: Discovery = Discovery.MULTICAST
    constellations: int = 1
    faults: tuple[Outage | Return, ...] = ()
    is_steady: bool = False
    patience_s: float = 600.0

    @property
    def tiles(self) -> int:
        return self.batches * self.batch_tiles

    @property
    def payload_bytes(self) -> int:
        """What a chain of all satellites must send once: uploads, activations, predictions."""
        hops = self.satellites - 1
        return self.tiles * (UPLOAD_TILE_BYTES + hops * ACTIVATION_TILE_BYTES + LOGITS_TILE_BYTES)


@dataclass(frozen=True)
class Scenario:
    """A row of the table, flown by `make hosts` as `long`; `short` is flown by `make test`.

    `minutes` is what the long flight takes, about; `is_long_running` says that it is flown only when it is named.
    """

    name: str
    long: Plan | None
    short: Plan | None = None
    minutes: float = 1.0
    is_long_running: bool = False


def both_ways(mbit: float, **more: float) -> Shape:
    """The same rate in both directions [Mbit/s]."""
    return Shape(mbit * MBIT, mbit * MBIT, **more)


__all__ = ["Memory", "Discovery", "End", "MBIT", "Outage", "Plan", "Return", "Scenario", "Shape", "both_ways"]
