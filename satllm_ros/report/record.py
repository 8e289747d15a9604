"""What one run left behind: the raw material of every table, figure and summary."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StageRecord:
    """How one satellite spent its time on one batch; clock readings are of one steady clock [s].

    `epoch` is that of the plan the batch obeyed.
    """

    satellite: str
    boot_id: int
    sequence: int
    attempt: int
    epoch: tuple[int, int]
    start: int
    stop: int
    tiles: int
    received_s: float
    compute_start_s: float
    compute_stop_s: float
    sent_s: float
    wait_s: float
    decode_s: float
    compute_s: float
    compute_real_s: float
    encode_s: float
    publish_s: float
    fp32_bytes: int
    frame_bytes: int
    wire_bytes: int
    setting: str


@dataclass(frozen=True)
class TransferRecord:
    """One message that crossed one link; clock readings are of the same steady clock [s]."""

    sender: str
    receiver: str
    boot_id: int
    sequence: int
    attempt: int
    wire_bytes: int
    start_s: float
    stop_s: float


@dataclass(frozen=True)
class TileRecord:
    """One prediction written at the ground; `copies` counts arrivals, 1 if none had to be suppressed."""

    source_id: str
    frame: int
    tile_index: int
    label: int
    acquired_s: float
    grounded_s: float
    copies: int


@dataclass(frozen=True)
class PlanRecord:
    """A committed plan: stages are (satellite, start, stop, setting); predictions are None when not made."""

    epoch: tuple[int, int]
    plan_hash: str
    stages: tuple[tuple[str, int, int, str], ...]
    downlink: str
    explanation: str
    predicted_exact_s: float | None = None
    predicted_paper_s: float | None = None


@dataclass(frozen=True)
class SatelliteRecord:
    """What a satellite last said of itself."""

    name: str
    memory_bytes: int
    memory_budget_bytes: int
    block_s: float
    block_real_s: float
    emulated: bool


@dataclass(frozen=True)
class LinkRecord:
    """Configuration of one directed link."""

    sender: str
    receiver: str
    rate_bps: float
    propagation_s: float


@dataclass
class RunRecord:
    """Everything recorded of one run.

    Attributes
    ----------
    source, ground
        Names of the two ends of the chain, as they appear in transfers.
    tiles_per_batch
        N.
    sent_tiles, dropped
        From sensing's ledger: tiles that left the camera side, and drops by cause.
    in_custody
        Tiles that were neither delivered nor dropped when the record ended, by where they were, in words.
    gaps
        What this record does not hold, in sentences; empty if it holds the whole run.
    older_tiles
        Tiles at the ground of which only the number is known, beside those in `tiles`.
    truth
        True class of (frame, tile_index), empty when unknown.
    reference
        Class the unsplit, uncompressed model gives (frame, tile_index); empty when it was not run.
    """

    source: str = "sensing"
    ground: str = "ground"
    classes: tuple[str, ...] = ()
    tiles_per_batch: int = 1
    sent_tiles: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    in_custody: dict[str, int] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    older_tiles: int = 0
    plans: list[PlanRecord] = field(default_factory=list)
    satellites: list[SatelliteRecord] = field(default_factory=list)
    links: list[LinkRecord] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)
    transfers: list[TransferRecord] = field(default_factory=list)
    tiles: list[TileRecord] = field(default_factory=list)
    truth: dict[tuple[int, int], int] = field(default_factory=dict)
    reference: dict[tuple[int, int], int] = field(default_factory=dict)
