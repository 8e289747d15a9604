"""What one run left behind: the raw material of every table, figure and summary."""

from dataclasses import dataclass, field

from satllm_ros.report.record.audit import Audit

# Identity of a tile: (source_id, frame, tile_index).
Key = tuple[str, int, int]


@dataclass(frozen=True)
class StageRecord:
    """How one satellite spent its time on one batch; clock readings are of its own steady clock, named `clock` [s].

    `epoch` is that of the plan the batch obeyed. `clock` is empty in records of versions that knew one clock only.
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
    clock: str = ""


@dataclass(frozen=True)
class TransferRecord:
    """One message that crossed one link; clock readings are of the steady clock named `clock` [s]."""

    sender: str
    receiver: str
    boot_id: int
    sequence: int
    attempt: int
    wire_bytes: int
    start_s: float
    stop_s: float
    clock: str = ""


@dataclass(frozen=True)
class TileRecord:
    """One prediction written at the ground; `copies` counts arrivals, 1 if none had to be suppressed.

    `acquired_s` is what its batch said on the wire. `model_id`, `epoch` and `plan_hash` say what made it; empty and
    None in records of versions that did not ask.
    """

    source_id: str
    frame: int
    tile_index: int
    label: int
    acquired_s: float
    grounded_s: float
    copies: int
    model_id: str = ""
    epoch: tuple[int, int] | None = None
    plan_hash: str = ""

    @property
    def key(self) -> Key:
        """Its identity."""
        return self.source_id, self.frame, self.tile_index


@dataclass(frozen=True)
class FrameRecord:
    """One image that sensing acquired, or dropped before it was sent, as its journal says.

    Attributes
    ----------
    name
        File relative to its folder, `topic#position` of a bag, topic of a camera.
    height, width
        Size as it was cut [pixel]; 0 where nobody knows it.
    tiles
        Tiles it was cut into, or would have been.
    stamp_ns, arrival_ns
        Its own stamp, None without one, and when sensing had it [ns since 1970].
    cause
        Why it was dropped; empty if its tiles went to custody.
    """

    source_id: str
    frame: int
    name: str
    height: int
    width: int
    tiles: int
    stamp_ns: int | None
    arrival_ns: int
    cause: str


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
    """What a satellite last said of itself.

    Attributes
    ----------
    first_block_s
        Seconds a tile took in a block, as the satellite said before it had any blocks: the first plan was made with
        it; None under emulation, or if that was not heard.
    """

    name: str
    memory_bytes: int
    memory_budget_bytes: int
    block_s: float
    block_real_s: float
    emulated: bool
    first_block_s: float | None = None


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
    notes
        What else is worth a sentence, such as a comparison that was not made; costs no total.
    older_tiles
        Tiles at the ground of which only the number is known, beside those in `tiles`.
    tile_height, tile_width
        Size of a tile [pixel]; 0 when unknown.
    acquisition, acquisition_reason
        By which clock images count as acquired: "stamp", their own; "arrival", sensing's; "wire", as each batch said,
        where sensing's journal is on another computer; and why, in words. Empty in records of older versions.
    clock, clock_offsets
        Name of the recorder's steady clock, and of others, by name, how far they are ahead of it and the uncertainty of
        that [s]: (offset, uncertainty). One that is not there was not compared with it.
    acquisition_shift_s
        What has to be added to times of acquisition to have them on the ground's wall clock, and the uncertainty of
        that [s]; None: nobody knows, and delays are left out.
    audit
        Whether every tile is accounted for; None in records of older versions, and when nobody could tell.
    frames
        What is known of the images.
    truth
        True class of a tile, empty when unknown.
    reference
        Class the unsplit, uncompressed model gives a tile; empty when it was not run.
    """

    source: str = "sensing"
    ground: str = "ground"
    classes: tuple[str, ...] = ()
    tiles_per_batch: int = 1
    sent_tiles: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    in_custody: dict[str, int] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    older_tiles: int = 0
    tile_height: int = 0
    tile_width: int = 0
    acquisition: str = ""
    acquisition_reason: str = ""
    clock: str = ""
    clock_offsets: dict[str, tuple[float, float]] = field(default_factory=dict)
    acquisition_shift_s: tuple[float, float] | None = (0.0, 0.0)
    audit: Audit | None = None
    plans: list[PlanRecord] = field(default_factory=list)
    satellites: list[SatelliteRecord] = field(default_factory=list)
    links: list[LinkRecord] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)
    transfers: list[TransferRecord] = field(default_factory=list)
    tiles: list[TileRecord] = field(default_factory=list)
    frames: list[FrameRecord] = field(default_factory=list)
    truth: dict[Key, int] = field(default_factory=dict)
    reference: dict[Key, int] = field(default_factory=dict)
