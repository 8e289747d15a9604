"""Which tiles came down, how often, when they were acquired, and whether they were right."""

from dataclasses import replace

from satllm_ros.report.record.record import FrameRecord, Key, RunRecord, TileRecord

# By which clock images count as acquired.
STAMP, ARRIVAL, WIRE = "stamp", "arrival", "wire"


def unique_tiles(run: RunRecord) -> list[TileRecord]:
    """One record per tile identity (source_id, frame, tile_index), in order of acquisition as it was on the wire.

    Records that share an identity become the one that was written first, with all their copies.
    """
    merged: dict[Key, TileRecord] = {}
    for tile in run.tiles:
        known = merged.get(tile.key)
        if known is None:
            merged[tile.key] = tile
        else:
            first = min(known, tile, key=lambda t: t.grounded_s)
            merged[tile.key] = replace(first, copies=known.copies + tile.copies)
    return sorted(merged.values(), key=lambda t: (t.acquired_s, *t.key))


class Acquisitions:
    """When each tile was acquired, all by the one clock that the run was found to have."""

    def __init__(self, run: RunRecord) -> None:
        self._kind = run.acquisition
        shift_s = run.acquisition_shift_s
        self._shift_s = None if shift_s is None else shift_s[0]
        self._frames = {(f.source_id, f.frame): f for f in run.frames}

    def frame(self, tile: TileRecord) -> FrameRecord | None:
        """The image a tile was cut from, if the journal knows it."""
        return self._frames.get((tile.source_id, tile.frame))

    def of(self, tile: TileRecord) -> float | None:
        """Time of acquisition [s since 1970]; None if unknown.

        An image that was read again after its tile had come down, by a later life of sensing, has none that fits.
        """
        if self._kind not in (STAMP, ARRIVAL):
            return tile.acquired_s
        frame = self.frame(tile)
        acquired_ns = None if frame is None else frame.stamp_ns if self._kind == STAMP else frame.arrival_ns
        if acquired_ns is None or acquired_ns * 1e-9 > tile.grounded_s:
            return None
        return acquired_ns * 1e-9

    def delay_s(self, tile: TileRecord) -> float | None:
        """From acquisition to the ground's write [s]; None if unknown, or by clocks that nobody compared."""
        acquired_s = self.of(tile)
        if acquired_s is None or self._shift_s is None:
            return None
        return tile.grounded_s - (acquired_s + self._shift_s)


def share_right(pairs: list[tuple[int, int]]) -> float | None:
    """Share of pairs whose two classes are equal [-]; None without pairs."""
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None
