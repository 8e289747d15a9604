from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.runtime.source_buffer import SourceBuffer


def test_a_source_that_can_wait_is_asked_for_one_batch_ahead_and_loses_nothing() -> None:
    buffer: SourceBuffer[int] = SourceBuffer(3)
    assert buffer.wants_more and buffer.take(0.0) == []
    assert buffer.push(range(5), 0.0) == [] and not buffer.wants_more
    assert buffer.take(0.0) == [0, 1, 2]
    assert buffer.take(99.0) == []
    buffer.ended = True
    assert buffer.take(99.0) == [3, 4] and buffer.take(99.0) == []


def test_a_live_source_flushes_and_drops_its_oldest() -> None:
    buffer: SourceBuffer[int] = SourceBuffer(4, live_tiles=5, flush_s=1.0)
    assert buffer.push([0, 1], 0.0) == []
    assert buffer.take(0.9) == [] and buffer.take(1.0) == [0, 1]
    assert buffer.push(range(7), 2.0) == [0, 1]
    assert list(buffer) == [2, 3, 4, 5, 6]


@given(
    st.lists(st.integers(0, 9), max_size=30),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 12)),
)
def test_every_tile_comes_out_once_and_in_order(pushes: list[int], batch_tiles: int, live: int | None) -> None:
    buffer: SourceBuffer[int] = SourceBuffer(batch_tiles, live_tiles=live)
    pushed, out, dropped = 0, [], []
    for size in pushes:
        dropped += buffer.push(range(pushed, pushed + size), 0.0)
        pushed += size
        taken = buffer.take(0.0)
        assert len(taken) in (0, batch_tiles)
        out += taken
    buffer.ended = True
    while taken := buffer.take(0.0):
        out += taken
    assert out == sorted(out) and sorted(out + dropped) == list(range(pushed))
    assert live is not None or not dropped
