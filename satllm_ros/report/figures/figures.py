"""The figures of one run; `summary.json` is their written form, documented in docs/summary.md."""

from dataclasses import asdict, dataclass
from typing import Any

from satllm_ros.report.figures.satellites import SatelliteUse
from satllm_ros.report.record.audit import Audit

COUNTING_RULE = (
    "Serialized ROS messages ImageBatch (upload), CompressedActivation (ISL) and Predictions (S2G), re-sent "
    "batches and duplicates included; no DDS or UDP headers, acknowledgements, plans, status or hellos."
)


@dataclass(frozen=True)
class Tiles:
    """Tiles by fate; `received` counts identities, `duplicates` copies of them that the ground's store suppressed.

    `lost` are those in no place: neither received, nor dropped for a cause, nor in custody.
    """

    sent: int
    received: int
    duplicates: int
    lost: int
    dropped: dict[str, int]


@dataclass(frozen=True)
class AccuracyFigures:
    """Shares of 1 over the tiles that came down; None when unknown.

    Attributes
    ----------
    flown
        Share of right answers.
    reference, flown_on_reference
        Share of right answers of the unsplit, uncompressed model on the tiles it was run on, and of what was flown on
        the same ones.
    agreement
        Share of the tiles it was run on where both say the same class, right or wrong.
    compared_tiles
        On how many of the tiles that came down it was run.
    agreement_interval
        Of 95 % (Wilson), for the agreement on all tiles that came down; None if it was run on all, or on none.
    """

    flown: float | None
    reference: float | None
    agreement: float | None
    flown_on_reference: float | None = None
    compared_tiles: int = 0
    agreement_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class HopFigures:
    """All activations one satellite sent to another: totals over the run.

    `ratio` = fp32_bytes / wire_bytes (the "x" figure), `q` = wire_bytes / fp32_bytes (the paper's), and
    `effective_rate_bps` = 8 wire_bytes / time on the link, propagation included; None when nobody timed it.
    """

    sender: str
    receiver: str
    settings: list[str]
    messages: int
    fp32_bytes: int
    wire_bytes: int
    ratio: float
    q: float
    effective_rate_bps: float | None


@dataclass(frozen=True)
class Delay:
    """From acquisition of a tile to its prediction written at the ground [s], quantiles over tiles.

    `uncertainty` is that of all of them, where sensing and the ground have clocks of their own; 0 where they have one.
    """

    p50: float | None
    p95: float | None
    uncertainty: float | None = None


@dataclass(frozen=True)
class Makespan:
    """First acquisition to last write at the ground [s], as measured, as ideal, and as predicted.

    Predictions are None when none was made, or when more than one plan flew: each is of a whole run with one.
    """

    measured: float | None
    ideal: float | None
    predicted_exact: float | None
    predicted_paper: float | None


@dataclass(frozen=True)
class Throughput:
    """Received tiles over the measured makespan [1/s], and ideal over measured makespan [-]; None when unknown."""

    tiles_per_s: float | None
    of_ideal: float | None


@dataclass(frozen=True)
class Traffic:
    """Bytes on the links by kind, counted by `counting_rule`; None when nobody counted all of them."""

    isl: int | None
    s2g: int | None
    upload: int | None
    counting_rule: str = COUNTING_RULE


@dataclass(frozen=True)
class DroppedImage:
    """An image that was dropped before it was sent, by its name in the source, and why."""

    name: str
    cause: str


@dataclass(frozen=True)
class Summary:
    """The figures of one run.

    `in_custody` says where the tiles were that were neither delivered nor dropped when the run ended, `gaps` what was
    not recorded: totals that it would have been needed for are None. `notes` say what else is worth a sentence.
    `audit` is None where nobody could tell. `dropped_images` are the first of them, by name and cause. `acquisition`
    names the clock of all times: see `RunRecord`.
    """

    tiles: Tiles
    in_custody: dict[str, int]
    audit: Audit | None
    dropped_images: list[DroppedImage]
    gaps: list[str]
    notes: list[str]
    acquisition: str | None
    acquisition_reason: str
    accuracy: AccuracyFigures
    hops: list[HopFigures]
    satellites: list[SatelliteUse]
    delay_s: Delay
    makespan_s: Makespan
    throughput: Throughput
    traffic_bytes: Traffic

    @property
    def emulated(self) -> bool:
        """True if any satellite's compute time was imposed by emulation."""
        return any(satellite.emulated for satellite in self.satellites)

    @property
    def exit_ok(self) -> bool:
        """True only if tiles were sent, each is on the ground exactly once, nothing was dropped, and the audit adds up.

        Copies that the ground's store suppressed are no fault: after a failure, tiles are sent again.
        """
        tiles = self.tiles
        is_whole = tiles.received == tiles.sent > 0 and not any(tiles.dropped.values())
        return is_whole and (self.audit is None or self.audit.adds_up)

    def to_json(self) -> dict[str, Any]:
        """The content of `summary.json`: attributes under their own names, a hop's ends as from and to."""
        content = {"complete": self.exit_ok, "emulated": self.emulated} | asdict(self)
        for hop in content["hops"]:
            ends = {"from": hop.pop("sender"), "to": hop.pop("receiver")}
            hop |= ends
        if self.audit is not None:
            content["audit"] = {"adds_up": self.audit.adds_up, "complaints": list(self.audit.complaints)} | content[
                "audit"
            ]
        return content
