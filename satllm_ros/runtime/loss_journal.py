"""How many tiles of a live camera died with earlier lives of sensing, at most: two numbers in a small file.

Kept up to date by plain writes, which outlive the process; not forced to disk, so a power cut may cost the last ones.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

# Tiles lost by lives that are over; tiles that would be lost if this one ended now.
_RECORD = struct.Struct("<QQ")


class LossJournal:
    """Opened by a new life: what was at risk when the last one ended is lost.

    Raises
    ------
    ValueError
        If the file is no such journal.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        content = os.read(self._file, _RECORD.size + 1)
        if len(content) not in (0, _RECORD.size):
            os.close(self._file)
            raise ValueError(f"{path} is no journal of lost tiles: it has not {_RECORD.size} bytes")
        lost, at_risk = _RECORD.unpack(content) if content else (0, 0)
        self.lost_tiles = lost + at_risk
        self._at_risk = -1
        self.note(0)

    def note(self, at_risk_tiles: int) -> None:
        """So many tiles would be lost if this life ended now."""
        if at_risk_tiles != self._at_risk:
            self._at_risk = at_risk_tiles
            os.pwrite(self._file, _RECORD.pack(self.lost_tiles, at_risk_tiles), 0)

    def close(self) -> None:
        os.close(self._file)
