"""Which tiles came down, how often, and whether they were right."""

from dataclasses import replace

from satllm_ros.report.record import RunRecord, TileRecord


def unique_tiles(run: RunRecord) -> list[TileRecord]:
    """One record per tile identity (source_id, frame, tile_index), in order of acquisition.

    Records that share an identity become the one that was written first, with all their copies.
    """
    merged: dict[tuple[str, int, int], TileRecord] = {}
    for tile in run.tiles:
        identity = (tile.source_id, tile.frame, tile.tile_index)
        known = merged.get(identity)
        if known is None:
            merged[identity] = tile
        else:
            first = min(known, tile, key=lambda t: t.grounded_s)
            merged[identity] = replace(first, copies=known.copies + tile.copies)
    return sorted(merged.values(), key=lambda t: (t.acquired_s, t.source_id, t.frame, t.tile_index))


def share_right(pairs: list[tuple[int, int]]) -> float | None:
    """Share of pairs whose two classes are equal [-]; None without pairs."""
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else None
