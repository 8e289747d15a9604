from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.acquisition.source_buffer import FrameQueue, SourceBuffer


def test_a_source_is_asked_for_one_batch_ahead_and_loses_nothing() -> None:
    buffer: SourceBuffer[int] = SourceBuffer(3)
    assert buffer.wants_more and buffer.take(0.0) == []
    buffer.push(range(5), 0.0)
    assert not buffer.wants_more
    assert buffer.take(0.0) == [0, 1, 2]
    assert buffer.take(99.0) == []
    buffer.ended = True
    assert buffer.take(99.0) == [3, 4] and buffer.take(99.0) == []


def test_a_live_source_flushes_an_incomplete_batch() -> None:
    buffer: SourceBuffer[int] = SourceBuffer(4, flush_s=1.0)
    buffer.push([0, 1], 0.0)
    assert buffer.take(0.9) == [] and buffer.take(1.0) == [0, 1]


def test_what_the_chain_cannot_take_is_dropped_by_whole_frames_oldest_first() -> None:
    queue: FrameQueue[str] = FrameQueue(10)
    assert queue.push("a", 4) == queue.push("b", 4) == []
    assert queue.push("c", 4) == [("a", 4)] and queue.tiles == 8
    assert queue.push("large", 20) == [("b", 4), ("c", 4)]
    assert queue.pop() == ("large", 20) and queue.tiles == 0
    assert queue.pop() is None


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 5))
def test_every_tile_comes_out_once_and_in_order(pushes: list[int], batch_tiles: int) -> None:
    buffer: SourceBuffer[int] = SourceBuffer(batch_tiles)
    pushed, out = 0, []
    for size in pushes:
        buffer.push(range(pushed, pushed + size), 0.0)
        pushed += size
        taken = buffer.take(0.0)
        assert len(taken) in (0, batch_tiles)
        out += taken
    buffer.ended = True
    while taken := buffer.take(0.0):
        out += taken
    assert out == list(range(pushed))


@given(st.lists(st.integers(1, 9) | st.just(0), max_size=40), st.integers(1, 12))
def test_every_frame_is_cut_or_dropped_whole(steps: list[int], limit_tiles: int) -> None:
    queue: FrameQueue[int] = FrameQueue(limit_tiles)
    pushed: dict[int, int] = {}
    cut: list[tuple[int, int]] = []
    dropped: list[tuple[int, int]] = []
    for number, tiles in enumerate(steps):
        # 0: the chain takes one.
        if tiles:
            pushed[number] = tiles
            dropped += queue.push(number, tiles)
            assert queue.tiles <= limit_tiles or len(list(queue)) == 1
        elif waiting := queue.pop():
            cut.append(waiting)
    assert queue.tiles == sum(pushed[frame] for frame in queue)
    assert dict(cut) | dict(dropped) | {frame: pushed[frame] for frame in queue} == pushed
    assert len(cut) + len(dropped) + len(list(queue)) == len(pushed)
    assert cut == sorted(cut) and dropped == sorted(dropped)
