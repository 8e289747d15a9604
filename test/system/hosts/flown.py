"""What was seen of one flight from outside its hosts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Flown:
    """Observations of a flight.

    Attributes
    ----------
    exit_codes
        Of the ground of each constellation; None if it did not end in time and was stopped.
    seconds
        From the first tile on the ground to the last one.
    data_bytes, control_bytes
        Bytes of frames that all hosts sent, by host.
    control_s
        Time over which `control_bytes` were counted [s].
    missed_frames, dropped_packets
        Frames that came faster than they could be counted; packets that queues had no room for.
    silence_s
        The longest time without a new tile, from the beginning of the first fault on.
    recoveries_s
        From the end of each fault to the next new tile, or None if there was none.
    """

    exit_codes: list[int | None]
    seconds: float
    data_bytes: dict[str, int]
    control_bytes: dict[str, int]
    control_s: float
    missed_frames: int
    dropped_packets: int
    silence_s: float | None
    recoveries_s: list[float | None]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Flown:
        return cls(**json.loads(path.read_text()))
