"""The audit of a run against worlds in which every tile's fate is known."""

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satllm_ros.report.record.audit import (
    NOT_TOLD,
    OF_EARLIER_LIFE,
    TO_READ_AGAIN,
    Audit,
    audit_journal,
    audit_ledger,
)
from satllm_ros.report.record.record import FrameRecord
from satllm_ros.report.record.sensing_sessions import LOST_WITH_SENSING, SessionTotals, camera_source

DELIVERED, GIVEN_UP, IN_WINDOW, IN_FLIGHT, STORED = (
    "delivered",
    "attempts_exhausted",
    "in window",
    "in flight",
    "stored",
)
UNREADABLE = "unreadable_image"
BAG = "0123456789abcdef"


def image(number: int, tiles: int = 1, cause: str = "", source_id: str = BAG) -> FrameRecord:
    return FrameRecord(source_id, number, f"image#{number}", 0, 0, tiles, None, 0, cause)


@dataclass
class World:
    """One life of sensing: fates of all tiles, and what each side wrote down of them."""

    frames: list[FrameRecord] = field(default_factory=list)
    arrived: list[tuple[str, int, int]] = field(default_factory=list)
    fates: Counter = field(default_factory=Counter)
    # Tiles that came down although sensing knows better, by what it thinks of them.
    unheard: Counter = field(default_factory=Counter)

    def account(self, boot_id: int = 1) -> SessionTotals:
        """What sensing thinks: an acknowledgement that it did not hear leaves a tile where it was."""
        thought = self.fates + self.unheard
        return SessionTotals(
            boot_id,
            acquired=sum(frame.tiles for frame in self.frames),
            delivered=thought[DELIVERED],
            dropped_before=+Counter({UNREADABLE: thought[UNREADABLE]}),
            dropped_after=+Counter({GIVEN_UP: thought[GIVEN_UP]}),
            in_custody=+Counter({place: thought[place] for place in (IN_WINDOW, IN_FLIGHT, STORED)}),
            closed=True,
        )


@st.composite
def worlds(draw: st.DrawFn, source_id: str = BAG) -> World:
    world = World()
    fate = st.sampled_from([DELIVERED, GIVEN_UP, IN_WINDOW, IN_FLIGHT, STORED])
    for number in range(1, 1 + draw(st.integers(0, 12))):
        tiles = draw(st.integers(1, 6))
        if draw(st.integers(0, 4)) == 0:
            world.frames.append(image(number, tiles, UNREADABLE, source_id))
            world.fates[UNREADABLE] += tiles
            continue
        world.frames.append(image(number, tiles, "", source_id))
        for index in range(tiles):
            became = draw(fate)
            if became == DELIVERED:
                world.arrived.append((source_id, number, index))
            elif draw(st.integers(0, 5)) == 0:
                world.arrived.append((source_id, number, index))
                world.unheard[became] += 1
                continue
            world.fates[became] += 1
    return world


def total(audit: Audit) -> int:
    return audit.delivered + sum(audit.dropped.values()) + sum(audit.in_custody.values()) + audit.lost


@given(worlds(), st.booleans())
def test_every_tile_of_an_honest_world_is_accounted_for(world: World, rereads: bool) -> None:
    if not rereads:
        world.frames = [replace(frame, source_id=camera_source(1)) for frame in world.frames]
        world.arrived = [(camera_source(1), *rest) for _, *rest in world.arrived]
    audit = audit_journal(world.frames, world.arrived, [world.account()], rereads=rereads)
    assert audit.adds_up, audit.complaints
    assert audit.acquired == total(audit) == sum(frame.tiles for frame in world.frames)
    assert audit.delivered == len(world.arrived)
    # What came down counts as such, whatever sensing thinks of it.
    assert sum(audit.dropped.values()) + sum(audit.in_custody.values()) == audit.acquired - len(world.arrived)
    assert audit.dropped.get(UNREADABLE, 0) == world.fates[UNREADABLE]


@given(worlds(), st.data())
def test_a_tile_that_vanishes_is_lost_and_by_how_much_is_said(world: World, data: st.DataObject) -> None:
    if not world.arrived or world.unheard:
        return
    gone = data.draw(st.sets(st.sampled_from(world.arrived), min_size=1))
    audit = audit_journal(world.frames, set(world.arrived) - gone, [world.account()], rereads=True)
    assert (audit.adds_up, audit.lost) == (False, len(gone))
    assert f"of {audit.acquired} acquired tiles, {len(gone)} neither" in audit.complaints[0]
    assert audit.acquired == total(audit)


@given(worlds(), st.integers(1, 5))
def test_tiles_that_two_images_share_are_lost_though_sensing_says_all_came_down(world: World, images: int) -> None:
    """179 of 180 camera images under one identity: each was acknowledged, one row is there."""
    shared = [image(1000 + n) for n in range(images)]
    account = replace(world.account(), acquired=world.account().acquired + images)
    account = replace(account, delivered=account.delivered + images)
    arrived = [*world.arrived, (BAG, 1000, 0)]
    audit = audit_journal([*world.frames, *shared], arrived, [account], rereads=True)
    # Claims of tiles that came down all the same may hide as many.
    assert audit.lost >= images - 1 - sum(world.unheard.values())
    assert audit.lost <= images - 1


@given(worlds(), st.sets(st.tuples(st.just("elsewhere"), st.integers(1, 9), st.integers(0, 3)), min_size=1))
def test_predictions_of_nobody_s_tiles_do_not_add_up(world: World, strange: set) -> None:
    audit = audit_journal(world.frames, [*world.arrived, *strange], [world.account()], rereads=True)
    assert audit.foreign == len(strange) and not audit.adds_up and audit.delivered == len(world.arrived)


def test_a_tile_beyond_its_image_is_nobody_s() -> None:
    account = SessionTotals(1, acquired=2, delivered=2, closed=True)
    audit = audit_journal([image(1, 2)], [(BAG, 1, 0), (BAG, 1, 1), (BAG, 1, 2)], [account], rereads=True)
    assert (audit.delivered, audit.foreign) == (2, 1)


def test_rows_that_are_missing_in_the_journal_are_noticed() -> None:
    account = SessionTotals(1, acquired=5, delivered=3, in_custody={IN_WINDOW: 2}, closed=True)
    arrived = [(BAG, number, 0) for number in (1, 2, 3)]
    audit = audit_journal([image(n) for n in (1, 2, 3, 4)], arrived, [account], rereads=True)
    assert audit.complaints == ("sensing counted 5 tiles, its journal has 4",)


def test_images_of_the_manifest_that_nobody_saw_are_a_fault_only_at_the_end() -> None:
    account = SessionTotals(1, acquired=2, delivered=2, closed=True)
    frames, arrived = [image(1), image(2)], [(BAG, 1, 0), (BAG, 2, 0)]
    stopped = audit_journal(frames, arrived, [account], rereads=True, frames_total=5)
    assert stopped.adds_up and stopped.unread_frames == 3
    ended = audit_journal(frames, arrived, [replace(account, ended=True)], rereads=True, frames_total=5)
    assert ended.complaints == ("images of the source neither acquired nor dropped: 3",)
    # Where reading broke off, that is the cause, and it is in the sum.
    broken = [*frames, image(3, cause="source_damaged")]
    account = replace(account, acquired=3, dropped_before={"source_damaged": 1}, ended=True)
    assert audit_journal(broken, arrived, [account], rereads=True, frames_total=5).adds_up


def test_a_life_that_was_killed_before_its_last_word_leaves_the_rest_where_it_was() -> None:
    account = SessionTotals(1, acquired=3, delivered=1, in_custody={IN_FLIGHT: 2})
    frames = [image(number) for number in range(1, 6)]
    audit = audit_journal(frames, [(BAG, 1, 0)], [account], rereads=True)
    assert audit.adds_up and audit.in_custody == {IN_FLIGHT: 2, NOT_TOLD: 2}


def test_what_an_earlier_life_had_read_is_to_be_read_again() -> None:
    frames = [image(number) for number in range(1, 11)]
    lives = [
        SessionTotals(1, acquired=10, delivered=4, in_custody={IN_FLIGHT: 6}),
        SessionTotals(2, acquired=3, closed=True),
    ]
    lives[1] = replace(lives[1], delivered=2, in_custody={IN_FLIGHT: 1})
    arrived = [(BAG, number, 0) for number in (1, 2, 3, 4)]
    audit = audit_journal(frames, arrived, lives, rereads=True)
    assert audit.adds_up and audit.in_custody == {IN_FLIGHT: 1, TO_READ_AGAIN: 5}
    # At its end, the source has been read again.
    lives[1] = SessionTotals(2, acquired=10, delivered=10, ended=True)
    assert audit_journal(frames, arrived, lives, rereads=True).lost == 6
    lives[1] = replace(lives[1], acquired=9, delivered=9)
    assert audit_journal(frames, [(BAG, f.frame, 0) for f in frames], lives, rereads=True).uncounted == 1


def test_an_image_that_came_down_before_it_was_spoilt_is_delivered_not_dropped() -> None:
    lives = [SessionTotals(1, 1, 1), SessionTotals(2, 1, 0, {"source_changed": 1}, closed=True, ended=True)]
    audit = audit_journal([image(1, 1, "source_changed")], [(BAG, 1, 0)], lives, rereads=True)
    assert audit.adds_up and (audit.acquired, audit.delivered, audit.dropped) == (1, 1, {})


def test_lives_of_a_camera_are_settled_one_by_one() -> None:
    first, second = camera_source(1), camera_source(2)
    frames = [image(n, source_id=first) for n in range(1, 11)] + [image(n, source_id=second) for n in (1, 2, 3)]
    lives = [
        SessionTotals(1, acquired=8, delivered=3, dropped_after={GIVEN_UP: 1}, in_custody={IN_FLIGHT: 2, STORED: 2}),
        SessionTotals(2, acquired=3, delivered=2, in_custody={IN_WINDOW: 1}, closed=True, unheard_frames=4),
    ]
    arrived = [(first, n, 0) for n in (1, 2, 3)] + [(second, 1, 0), (second, 2, 0)]
    audit = audit_journal(frames, arrived, lives, rereads=False)
    assert audit.adds_up and audit.unheard_frames == 4
    assert audit.in_custody == {IN_WINDOW: 1, STORED + OF_EARLIER_LIFE: 2}
    assert audit.dropped == {GIVEN_UP: 1, LOST_WITH_SENSING: 4}
    # A tile that the first life knew to be delivered, and that is not there, is lost.
    assert audit_journal(frames, arrived[1:], lives, rereads=False).lost == 1


def test_batches_that_a_life_took_up_from_the_one_before_are_in_its_custody() -> None:
    first, second = camera_source(1), camera_source(2)
    frames = [image(n, source_id=first) for n in (1, 2, 3)] + [image(1, source_id=second)]
    lives = [
        SessionTotals(1, acquired=3, in_custody={IN_FLIGHT: 3}),
        SessionTotals(2, acquired=4, restored=3, delivered=1, in_custody={IN_WINDOW: 3}, closed=True),
    ]
    audit = audit_journal(frames, [(second, 1, 0)], lives, rereads=False)
    assert audit.adds_up and audit.in_custody == {IN_WINDOW: 3} and not audit.dropped


def test_images_that_wait_to_be_cut_are_in_custody() -> None:
    """They have been heard, so they count, and have no row yet."""
    source = camera_source(1)
    account = SessionTotals(1, acquired=9, delivered=2, in_custody={IN_WINDOW: 7}, closed=True)
    audit = audit_journal([image(1, 4, source_id=source)], [(source, 1, 0), (source, 1, 1)], [account], rereads=False)
    assert audit.adds_up and (audit.acquired, audit.in_custody) == (9, {IN_WINDOW: 7})


@pytest.mark.parametrize("older", [0, 3, 9])
def test_tiles_of_which_only_the_number_is_known_count(older: int) -> None:
    frames = [image(number) for number in range(1, 9)]
    account = SessionTotals(1, acquired=8, delivered=8, closed=True, ended=True)
    arrived = [(BAG, number, 0) for number in range(1, 9)][min(older, 8) :]
    audit = audit_journal(frames, arrived, [account], rereads=True, older_tiles=older)
    assert (audit.delivered, audit.foreign, audit.lost) == (8, max(0, older - 8), 0)


def test_without_a_journal_sensing_s_counts_are_held_against_the_ground_s_rows() -> None:
    account = SessionTotals(1, acquired=10, delivered=6, dropped_before={UNREADABLE: 2}, in_custody={IN_FLIGHT: 2})
    kept = {"dropped_before": {UNREADABLE: 2}, "accounts": [account], "rereads": False}
    audit = audit_ledger(sent=8, received=7, **kept)
    assert audit.adds_up and (audit.acquired, audit.delivered, audit.in_custody) == (10, 7, {IN_FLIGHT: 1})
    assert audit_ledger(sent=8, received=1, **kept).complaints == (
        "of 10 acquired tiles, 5 neither delivered, nor dropped, nor in custody",
    )
    assert audit_ledger(sent=8, received=9, **kept).foreign == 1
    lives = [
        SessionTotals(1, acquired=9, delivered=1),
        SessionTotals(2, acquired=4, lost=3, delivered=2, in_custody={STORED: 2}),
    ]
    audit = audit_ledger(sent=1 + 3 + 4, received=3, dropped_before={}, accounts=lives, rereads=False)
    assert audit.adds_up and audit.dropped == {LOST_WITH_SENSING: 3} and audit.in_custody == {STORED: 2}
    again = [SessionTotals(1, acquired=9, delivered=5), SessionTotals(2, acquired=2, delivered=2)]
    audit = audit_ledger(sent=9, received=5, dropped_before={}, accounts=again, rereads=True)
    assert audit.adds_up and audit.in_custody == {TO_READ_AGAIN: 4}
