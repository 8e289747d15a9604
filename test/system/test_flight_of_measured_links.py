"""A flight whose uploads are the limit: sensing measures what its link carries, and is right."""

from pathlib import Path

import pytest
from flight import constellation, started, up, write_constellation
from observer import Observer
from tiny_material import Material

from satllm_ros import interfaces as graph
from satllm_ros import msg as m

# A batch of a few kilobytes takes most of a second: what the computer itself takes does not matter.
RATE_BPS = 2.5e4
FAST = {"rate_bps": 1.0e7, "propagation_s": 0.002}


def test_sensing_measures_the_rate_that_its_link_is_emulated_with(material: Material, tmp_path: Path) -> None:
    links = {"upload": {"rate_bps": RATE_BPS, "propagation_s": 0.05}, "isl": FAST, "s2g": FAST}
    content = constellation(material, (0.001, 0.001), links=links, batch_tiles=2)
    with started(up(write_constellation(tmp_path, content)), tmp_path) as flight, Observer(flight) as observer:
        states: list[m.LinkState] = observer.hear(graph.LINK_STATE)
        receipts: list[m.LinkReceipt] = observer.hear(graph.LINK_RECEIPT, graph.SENSING)
        transfers: list[m.LinkTransfer] = observer.hear(graph.LINK_TRANSFER)
        assert observer.until_ended() == 0, flight.story()
    crossed = {t.batch.sequence: t.wire_bytes for t in transfers if t.sender == graph.SENSING}
    arrived = {r.batch.sequence: r.wire_bytes for r in receipts if r.sender == graph.SENSING}
    # The observer may have discovered one topic after the other.
    uploads = crossed.keys() & arrived.keys()
    assert uploads and all(crossed[n] == arrived[n] for n in uploads)
    measured = [s for s in states if s.source == m.LinkState.SOURCE_MEASURED and s.sender == graph.SENSING]
    assert measured, f"nothing was measured of {len(uploads)} uploads"
    assert measured[-1].rate_bps == pytest.approx(RATE_BPS, rel=0.1)
