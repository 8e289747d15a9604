"""How many tiles of a live camera died with earlier lives of sensing, at most: two numbers in a small file.

Kept up to date by plain writes, which outlive the process; not forced to disk, so a power cut may cost the last ones.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from satllm_ros.storage.kept import check_header, header

# Tiles lost by lives that are over; tiles that would be lost if this one ended now.
_RECORD = struct.Struct("<QQ")


class LossJournal:
    """Opened by a new life: what was at risk when the last one ended is lost.

    Raises
    ------
    ValueError
        If the file is no such journal, or of another run.
    """

    def __init__(self, path: Path, run_id: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        mark = header(run_id)
        try:
            content = os.read(self._file, len(mark) + _RECORD.size + 1)
            if content:
                check_header(path, content, run_id)
            if len(content) not in (0, len(mark) + _RECORD.size):
                raise ValueError(f"{path} is no journal of lost tiles: it has not {len(mark) + _RECORD.size} bytes")
        except ValueError:
            os.close(self._file)
            raise
        lost, at_risk = _RECORD.unpack(content[len(mark) :]) if content else (0, 0)
        self.lost_tiles = lost + at_risk
        self._at_risk = 0
        self._place = len(mark)
        # In one piece: a file that breaks off is none.
        os.pwrite(self._file, mark + _RECORD.pack(self.lost_tiles, 0), 0)

    def note(self, at_risk_tiles: int) -> None:
        """So many tiles would be lost if this life ended now."""
        if at_risk_tiles != self._at_risk:
            self._at_risk = at_risk_tiles
            os.pwrite(self._file, _RECORD.pack(self.lost_tiles, at_risk_tiles), self._place)

    def close(self) -> None:
        os.close(self._file)
