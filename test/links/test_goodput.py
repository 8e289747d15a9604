"""What a link carries, measured on one clock, against links whose rate is known."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satllm_ros.links.goodput import MAX_PENDING, Goodput, GoodputMeter

SIZE = 500_000


class Line:
    """A link that is first in, first out, and its sender, with so many messages at most on their way."""

    def __init__(self, rate_bps: float, trip_s: float, *, inside: int, seed: int = 0, jitter_s: float = 0.0) -> None:
        self.rate_bps, self.trip_s, self.jitter_s = rate_bps, trip_s, jitter_s
        self.meter = GoodputMeter()
        self._inside, self._random = inside, random.Random(seed)
        self._free_s = self._now_s = 0.0
        self._sent = 0
        self._receipts: list[tuple[float, int]] = []

    def send(self, sizes: Sequence[int], gap_s: float = 0.0, lost: float = 0.0) -> None:
        for size in sizes:
            self._now_s += gap_s * self._random.random()
            while len(self._receipts) >= self._inside:
                self._hear()
            self.meter.on_handed(self._sent, size, self._now_s)
            self._free_s = max(self._free_s, self._now_s) + 8 * size / self.rate_bps
            late_s = self.jitter_s * self._random.expovariate(1.0)
            if self._random.random() >= lost:
                after_s = self._receipts[-1][0] if self._receipts else 0.0
                self._receipts.append((max(after_s, self._free_s + self.trip_s + late_s), self._sent))
            self._sent += 1

    def measured(self) -> Goodput | None:
        while self._receipts:
            self._hear()
        return self.meter.estimate

    def _hear(self) -> None:
        received_s, batch = self._receipts.pop(0)
        self._now_s = max(self._now_s, received_s)
        assert self.meter.on_receipt(batch, received_s)


@settings(deadline=None)
@given(
    st.floats(1e5, 1e8),
    st.floats(0.0, 0.5),
    st.floats(0.0, 0.02),
    st.integers(2, 6),
    st.integers(0, 2**16),
)
def test_messages_of_one_size_that_wait_for_one_another_tell_the_rate(
    rate_bps: float, trip: float, jitter: float, inside: int, seed: int
) -> None:
    message_s = 8 * SIZE / rate_bps
    line = Line(rate_bps, trip * message_s, inside=inside, seed=seed, jitter_s=jitter * message_s)
    line.send([SIZE] * 60)
    measured = line.measured()
    assert measured is not None and measured.rate_bps == pytest.approx(rate_bps, rel=0.1)


@settings(deadline=None)
@given(st.floats(1e5, 1e8), st.floats(0.0, 3.0), st.integers(0, 2**16))
def test_messages_of_several_sizes_on_an_idle_link_tell_rate_and_round_trip(
    rate_bps: float, trip: float, seed: int
) -> None:
    message_s = 8 * SIZE / rate_bps
    line = Line(rate_bps, trip * message_s, inside=1, seed=seed)
    line.send([SIZE, SIZE // 5, SIZE // 50] * 12, gap_s=message_s)
    measured = line.measured()
    assert measured is not None and measured.rate_bps == pytest.approx(rate_bps, rel=0.1)
    assert measured.round_trip_s == pytest.approx(trip * message_s, abs=0.1 * message_s)


@settings(deadline=None)
@given(st.floats(1e5, 1e8), st.floats(0.0, 3.0), st.floats(0.0, 5.0), st.integers(1, 6), st.integers(0, 2**16))
def test_whatever_is_told_is_right(rate_bps: float, trip: float, gap: float, inside: int, seed: int) -> None:
    message_s = 8 * SIZE / rate_bps
    line = Line(rate_bps, trip * message_s, inside=inside, seed=seed)
    draw = random.Random(seed)
    line.send([draw.choice((SIZE, SIZE // 2)) for _ in range(60)], gap_s=gap * message_s)
    measured = line.measured()
    assert measured is None or measured.rate_bps == pytest.approx(rate_bps, rel=0.15)


def test_messages_of_one_size_on_an_idle_link_tell_nothing() -> None:
    line = Line(8e6, 0.3, inside=1)
    line.send([SIZE] * 40)
    assert line.measured() is None


def test_messages_that_cross_faster_than_receipts_jitter_tell_nothing() -> None:
    line = Line(8e6, 0.02, inside=2, jitter_s=0.5)
    line.send([SIZE // 10] * 60)
    assert line.measured() is None


def test_late_receipts_change_nothing() -> None:
    line = Line(8e6, 0.02, inside=2)
    line.send([SIZE] * 20)
    line.trip_s = 3.0
    line.send([SIZE] * 2)
    line.trip_s = 0.02
    line.send([SIZE] * 20)
    measured = line.measured()
    assert measured is not None and measured.rate_bps == pytest.approx(8e6, rel=0.05)


@pytest.mark.parametrize("rate_bps", [3e6, 30e6])
def test_a_rate_that_changes_in_flight_is_followed(rate_bps: float) -> None:
    line = Line(8e6, 0.02, inside=2)
    line.send([SIZE] * 40)
    before = line.meter.estimate
    assert before is not None and before.rate_bps == pytest.approx(8e6, rel=0.05)
    line.rate_bps = rate_bps
    line.send([SIZE] * 40)
    after = line.measured()
    assert after is not None and after.rate_bps == pytest.approx(rate_bps, rel=0.1)


@pytest.mark.parametrize("trip_s", [0.1, 0.3])
def test_a_link_that_has_become_longer_is_measured_again(trip_s: float) -> None:
    line = Line(8e6, 0.01, inside=1, seed=3)
    sizes = [random.Random(number).randrange(SIZE // 20, SIZE) for number in range(300)]
    line.send(sizes[:40], gap_s=0.2)
    before = line.measured()
    assert before is not None and before.rate_bps == pytest.approx(8e6, rel=0.1)
    line.trip_s = trip_s
    for size in sizes[40:]:
        line.send([size], gap_s=0.2)
        after = line.measured()
    assert after is not None and after.rate_bps == pytest.approx(8e6, rel=0.1)
    assert after.round_trip_s == pytest.approx(trip_s, rel=0.1)


@pytest.mark.parametrize("lost", [0.05, 0.2])
def test_what_was_lost_is_left_out(lost: float) -> None:
    line = Line(8e6, 0.02, inside=3, seed=5)
    line.send([SIZE] * 120, lost=lost)
    measured = line.measured()
    assert measured is not None and measured.rate_bps == pytest.approx(8e6, rel=0.1)


def test_a_copy_sent_again_spoils_what_was_on_its_way_and_nothing_else() -> None:
    line = Line(8e6, 0.02, inside=3, seed=5)
    line.send([SIZE] * 40)
    before = line.measured()
    for number in range(6):
        line.meter.on_handed(f"slow {number}", SIZE, 100.0 + 100 * number)
        line.meter.on_disturbed()
        assert not line.meter.on_receipt(f"slow {number}", 190.0 + 100 * number)
    assert line.meter.estimate == before


def test_receipts_of_nothing_and_second_ones_are_known_as_such() -> None:
    meter = GoodputMeter()
    assert not meter.on_receipt("never sent", 1.0)
    meter.on_handed("a", 100, 1.0)
    assert meter.on_receipt("a", 2.0) and not meter.on_receipt("a", 3.0)
    for number in range(3 * MAX_PENDING):
        meter.on_handed(number, 100, 4.0)
    assert not meter.on_receipt(0, 5.0), "what nobody answers is forgotten"
    assert meter.on_receipt(3 * MAX_PENDING - 1, 5.0)
    assert meter.estimate is None


def test_times_and_sizes_that_say_nothing_are_no_figure() -> None:
    meter = GoodputMeter()
    for number in range(40):
        meter.on_handed(number, 0 if number % 2 else 100, 1.0)
        meter.on_receipt(number, 1.0)
    assert meter.estimate is None
