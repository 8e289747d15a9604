from satllm_ros.acquisition.unheard import MAX_PUBLISHERS, SequenceGaps


def test_gaps_are_counted_for_each_publisher() -> None:
    gaps = SequenceGaps()
    # What came before anybody listened is no gap.
    assert gaps.note(b"a", 17) == 0
    assert gaps.note(b"a", 18) == 0
    assert gaps.note(b"b", 3) == 0
    assert gaps.note(b"a", 25) == 6
    assert gaps.note(b"b", 4) == 0
    assert gaps.missing == 6


def test_what_the_middleware_says_by_itself_is_not_counted_twice() -> None:
    gaps = SequenceGaps()
    gaps.said_lost += 4
    assert gaps.missing == 4
    gaps.note(b"a", 1)
    gaps.note(b"a", 8)
    assert gaps.missing == 6


def test_a_publisher_that_begins_anew_has_missed_nothing() -> None:
    gaps = SequenceGaps()
    for number in (5, 1, 2, 2):
        assert gaps.note(b"a", number) == 0
    assert gaps.missing == 0


def test_publishers_without_end_are_forgotten() -> None:
    gaps = SequenceGaps()
    for publisher in range(10 * MAX_PUBLISHERS):
        gaps.note(str(publisher).encode(), 1)
    assert len(gaps._last) == MAX_PUBLISHERS
