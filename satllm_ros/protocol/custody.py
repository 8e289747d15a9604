"""Sensing's custody: a window of batches in flight, copies until the ground has written them, re-sends.

A pure state machine: the caller brings payloads, acknowledgements and the time [s, any steady clock], and obeys
the returned `Send` actions. Every batch is in exactly one state; `tally()` counts them.
"""

# long: one state machine: every verdict, loss and timer moves batches of the same table

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from satllm_ros.interfaces import GROUND
from satllm_ros.protocol.identity import BatchId, Epoch
from satllm_ros.protocol.vocabulary import BLAMELESS, FINAL, Cause, Verdict

Payload = TypeVar("Payload")


# Batches that were dropped and may yet turn up on the ground.
REMEMBERED_DROPS = 4096


class State(IntEnum):
    """Where a batch is."""

    WAITING = 0
    IN_FLIGHT = 1
    STORED = 2


@dataclass(frozen=True)
class CustodyLimits:
    """Bounds of the window and of patience.

    Attributes
    ----------
    window_batches
        W: batches sent but not yet stored.
    copies_batches
        Batches of which sensing keeps a copy, whatever their state; a full store pushes back on the source.
    stall_s
        With no acknowledgement of a batch in flight for so long, the oldest of them is taken for lost.
    backoff_s, attempts
        First pause before a refused batch is sent again (doubled each time, 16-fold at most), and how often a
        batch may fail before it is dropped; refusals that do not blame the batch are not counted.
    delivery_s
        With no delivery at all, and no word from its store, for so long, a stored batch is taken for lost.
    query_s
        A store is asked about batches of which nothing was heard for so long.
    """

    window_batches: int
    copies_batches: int
    stall_s: float = 20.0
    backoff_s: float = 0.25
    attempts: int = 50
    delivery_s: float = 60.0
    query_s: float = 15.0


@dataclass
class Held(Generic[Payload]):
    """A batch in custody; read only outside of it."""

    payload: Payload
    tiles: int
    state: State = State.WAITING
    sends: int = 0
    failures: int = 0
    # Of these, what it was blamed for when it was last taken for lost: undeserved, should it turn up.
    doubts: int = 0
    where: str = ""
    sent_s: float = 0.0
    not_before_s: float = 0.0
    stored_s: float = 0.0
    asked_s: float = 0.0
    epoch: Epoch | None = None
    place: int = 0
    overtaken: int = 0


@dataclass(frozen=True)
class Send(Generic[Payload]):
    """Send these tiles now, under the current plan."""

    batch: BatchId
    payload: Payload


@dataclass(frozen=True)
class Place:
    """Where one batch is: in flight, `where` is the last satellite known to have passed it on; stored, its store."""

    batch: BatchId
    tiles: int
    state: State
    where: str


@dataclass(frozen=True)
class Tally:
    """Tiles by state, and batch counts; waiting + in_flight + stored + delivered + dropped = accepted."""

    accepted: int
    waiting: int
    in_flight: int
    stored: int
    delivered: int
    dropped: int
    sent_batches: int
    resent_batches: int


class Custody(Generic[Payload]):
    """Answers for every batch it accepted until the ground has it."""

    def __init__(self, boot_id: int, limits: CustodyLimits) -> None:
        self._boot_id = boot_id
        self._limits = limits
        self._stall_s = limits.stall_s
        self._held: dict[int, Held[Payload]] = {}
        self._next_sequence = 0
        self._next_place = 0
        self._last_progress_s = 0.0
        self._last_delivery_s = 0.0
        self._tiles: Counter[str] = Counter()
        self._sent_batches = 0
        self._resent_batches = 0
        # Of each its tiles, how often it was sent, and the cause it is counted under; the oldest first.
        self._dropped: dict[int, tuple[int, int, str]] = {}
        self.causes: Counter[str] = Counter()

    @property
    def has_room(self) -> bool:
        """Whether another batch may be accepted."""
        return len(self._held) < self._limits.copies_batches

    @property
    def idle(self) -> bool:
        """Whether every accepted batch is delivered or dropped."""
        return not self._held

    def accept(self, payload: Payload, tiles: int) -> BatchId:
        """Take custody of a new batch.

        Raises
        ------
        RuntimeError
            If there is no room; ask `has_room` first.
        """
        if not self.has_room:
            raise RuntimeError(f"custody is full: {len(self._held)} of {self._limits.copies_batches} batches held")
        return self.restore(payload, tiles)

    def restore(self, payload: Payload, tiles: int) -> BatchId:
        """Take custody again of a batch that the store of an earlier life holds, room or not.

        The store forgets what was delivered a while after custody does, so that it may hold more batches than custody
        ever did. None of them may be lost: nothing new is accepted until there is room.
        """
        sequence = self._next_sequence
        self._next_sequence += 1
        self._held[sequence] = Held(payload, tiles)
        self._tiles["accepted"] += tiles
        return BatchId(self._boot_id, sequence)

    def sendable(self, epoch: Epoch, now_s: float) -> list[Send[Payload]]:
        """Batches to send now under plan `epoch`: oldest first, as far as the window allows."""
        room = self._limits.window_batches - sum(h.state is State.IN_FLIGHT for h in self._held.values())
        sends = []
        for sequence, held in self._held.items():
            if room <= 0:
                break
            if held.state is State.WAITING and held.not_before_s <= now_s:
                held.state, held.sent_s, held.epoch = State.IN_FLIGHT, now_s, epoch
                held.place, held.overtaken, held.where = self._next_place, 0, ""
                self._next_place += 1
                sends.append(Send(BatchId(self._boot_id, sequence, held.sends), held.payload))
                self._resent_batches += held.sends > 0
                self._sent_batches += held.sends == 0
                held.sends += 1
                held.doubts = 0
                room -= 1
        return sends

    def on_ack(self, batch: BatchId, verdict: Verdict, cause: Cause, now_s: float, sender: str = "") -> None:
        """Take an acknowledgement of `sender`; late, repeated and foreign ones change nothing but a counter.

        Foreign is one for another life of sensing, or for a batch or attempt that was never sent.
        """
        held = self._held.get(batch.sequence)
        is_ours = batch.boot_id == self._boot_id and batch.sequence < self._next_sequence
        if not is_ours or (held is not None and batch.attempt >= held.sends):
            self.causes["foreign_ack"] += 1
        elif held is None:
            self._on_late_ack(batch, verdict)
        elif verdict is Verdict.REFUSED:
            self._on_refused(batch, held, cause, now_s, sender)
        elif cause is Cause.FOREIGN:
            self.causes["foreign_ack"] += 1
        elif verdict is Verdict.STORED:
            self._on_stored(batch, held, now_s, sender)
        else:
            self._on_delivered(batch, held, now_s)

    def on_passed(self, batch: BatchId, satellite: str) -> None:
        """A satellite has sent a batch on; only the ledger wants to know."""
        held = self._held.get(batch.sequence)
        if batch.boot_id == self._boot_id and held is not None and batch.attempt == held.sends - 1:
            if held.state is State.IN_FLIGHT:
                held.where = satellite

    def on_store_lost(self, store: str, now_s: float) -> None:
        """A store is dead: what it holds is sent again. If it returns with its disk, those are duplicates."""
        for sequence, held in self._in_state(State.STORED):
            if held.where == store:
                self._lose("store_lost", sequence, held, now_s, blamed=False)

    def on_way_lost(self, is_lost: Callable[[Epoch, str], bool], now_s: float) -> None:
        """A satellite is dead or began anew, and what was under way to it is gone.

        `is_lost` is asked with the epoch of each batch in flight and the last satellite known to have passed it on,
        empty if none. One that had come further than was known is sent twice, which does no harm.
        """
        for sequence, held in self._in_state(State.IN_FLIGHT):
            if held.epoch is not None and is_lost(held.epoch, held.where):
                self._lose("way_lost", sequence, held, now_s, blamed=False)

    def queries(self, now_s: float) -> dict[str, list[BatchId]]:
        """Batches to ask their stores about now: an acknowledgement of their delivery may have been lost."""
        due: dict[str, list[BatchId]] = {}
        for sequence, held in self._in_state(State.STORED):
            if now_s - max(held.stored_s, held.asked_s) >= self._limits.query_s:
                held.asked_s = now_s
                due.setdefault(held.where, []).append(BatchId(self._boot_id, sequence, held.sends - 1))
        return due

    def on_tick(self, now_s: float) -> None:
        """Take for lost what the chain overtook by a window or holds at a standstill, and what no store delivers."""
        for sequence, held in self._in_state(State.IN_FLIGHT):
            if held.overtaken >= self._limits.window_batches:
                self._lose("overtaken", sequence, held, now_s)
        oldest = min(self._in_state(State.IN_FLIGHT), key=lambda item: item[1].place, default=None)
        if oldest is not None and now_s - max(oldest[1].sent_s, self._last_progress_s) > self._stall_s:
            self._lose("stalled", *oldest, now_s)
        for sequence, held in self._in_state(State.STORED):
            if now_s - max(held.stored_s, self._last_delivery_s) > self._limits.delivery_s:
                self._lose("undelivered", sequence, held, now_s, blamed=False)

    def on_outage(self, now_s: float) -> None:
        """It is known that the chain is cut: that nothing comes through says nothing of a batch."""
        self._last_progress_s = now_s

    def low_water(self, current: Epoch) -> Epoch:
        """Oldest epoch that some batch in flight still obeys."""
        epochs = [h.epoch for h in self._held.values() if h.state is State.IN_FLIGHT and h.epoch is not None]
        return min([current, *epochs])

    @property
    def in_flight_batches(self) -> int:
        """Batches sent and not yet stored."""
        return sum(held.state is State.IN_FLIGHT for held in self._held.values())

    def set_minimum_stall(self, stall_s: float) -> None:
        """Wait at least so long before a silent chain is taken for one that lost its oldest batch."""
        self._stall_s = max(self._limits.stall_s, stall_s)

    @property
    def waiting_batches(self) -> int:
        """Batches that are to be sent, or to be sent again."""
        return sum(held.state is State.WAITING for held in self._held.values())

    def held_batches(self) -> Collection[Held[Payload]]:
        """Batches that are neither delivered nor dropped."""
        return self._held.values()

    def places(self) -> list[Place]:
        """Where every batch is that is neither delivered nor dropped."""
        return [
            Place(BatchId(self._boot_id, sequence, max(0, held.sends - 1)), held.tiles, held.state, held.where)
            for sequence, held in self._held.items()
        ]

    def tally(self) -> Tally:
        """Where every accepted tile is."""
        tiles = Counter({state: 0 for state in State})
        for held in self._held.values():
            tiles[held.state] += held.tiles
        return Tally(
            accepted=self._tiles["accepted"],
            waiting=tiles[State.WAITING],
            in_flight=tiles[State.IN_FLIGHT],
            stored=tiles[State.STORED],
            delivered=self._tiles["delivered"],
            dropped=self._tiles["dropped"],
            sent_batches=self._sent_batches,
            resent_batches=self._resent_batches,
        )

    def _in_state(self, state: State) -> list[tuple[int, Held[Payload]]]:
        return [(sequence, held) for sequence, held in self._held.items() if held.state is state]

    def _lose(self, cause: str, sequence: int, held: Held[Payload], now_s: float, *, blamed: bool = True) -> None:
        self.causes[cause] += 1
        held.doubts = int(blamed)
        self._give_back(sequence, held, now_s, held.doubts)

    def _is_final(self, held: Held[Payload], cause: Cause, sender: str) -> bool:
        """Whether it is the ground that will not have it, or the store that was told so and is asked."""
        return cause in FINAL and (sender == GROUND or (held.state is State.STORED and sender == held.where))

    def _on_refused(self, batch: BatchId, held: Held[Payload], cause: Cause, now_s: float, sender: str) -> None:
        if self._is_final(held, cause, sender):
            self._refuse_for_good(batch, held, cause, now_s)
        elif cause is Cause.FOREIGN:
            # Not for this sender to say.
            self.causes["foreign_ack"] += 1
        else:
            # A refusal of an earlier attempt says nothing about the one in flight.
            expected = State.STORED if cause is Cause.NOT_HELD else State.IN_FLIGHT
            is_his = cause is not Cause.NOT_HELD or sender == held.where
            if held.state is expected and is_his and batch.attempt == held.sends - 1:
                self._refuse(batch.sequence, held, cause, now_s)

    def _on_stored(self, batch: BatchId, held: Held[Payload], now_s: float, sender: str) -> None:
        if held.state is State.STORED:
            # Only an answer to a question: a repeated acknowledgement may be old.
            if held.asked_s > held.stored_s:
                held.where, held.stored_s = sender, now_s
            return
        self._on_progress(batch, held, now_s)
        held.failures, held.doubts = held.failures - held.doubts, 0
        held.state, held.stored_s, held.asked_s, held.where = State.STORED, now_s, now_s, sender

    def _on_delivered(self, batch: BatchId, held: Held[Payload], now_s: float) -> None:
        self._on_progress(batch, held, now_s)
        self._last_delivery_s = now_s
        self._tiles["delivered"] += held.tiles
        del self._held[batch.sequence]

    def _on_progress(self, batch: BatchId, held: Held[Payload], now_s: float) -> None:
        """A batch has come through the chain; what a store delivers late says nothing of that."""
        if held.state is not State.IN_FLIGHT:
            return
        self._last_progress_s = now_s
        if batch.attempt == held.sends - 1:
            # Only batches sent before this one: one that was sent again since is not late yet.
            for other in self._held.values():
                if other.state is State.IN_FLIGHT and other.place < held.place:
                    other.overtaken += 1

    def _refuse_for_good(self, batch: BatchId, held: Held[Payload], cause: Cause, now_s: float) -> None:
        if held.state is State.WAITING or batch.attempt != held.sends - 1:
            return
        if cause is Cause.FOREIGN:
            self._drop(batch.sequence, held, "refused_by_ground")
        else:
            # Computed anew, it may be right.
            self._refuse(batch.sequence, held, cause, now_s)

    def _refuse(self, sequence: int, held: Held[Payload], cause: Cause, now_s: float) -> None:
        self.causes[f"refused_{cause.name.lower()}"] += 1
        # What arrives whole and still cannot be read will not get better: three times are enough.
        third = max(1, -(-self._limits.attempts // 3))
        blame = 0 if cause in BLAMELESS else third if cause is Cause.MALFORMED else 1
        self._give_back(sequence, held, now_s, blame)

    def _drop(self, sequence: int, held: Held[Payload], cause: str) -> None:
        # Drops are counted in tiles, refusals in batches.
        self.causes[cause] += held.tiles
        self._tiles["dropped"] += held.tiles
        del self._held[sequence]
        self._dropped[sequence] = (held.tiles, held.sends, cause)
        if len(self._dropped) > REMEMBERED_DROPS:
            del self._dropped[next(iter(self._dropped))]

    def _on_late_ack(self, batch: BatchId, verdict: Verdict) -> None:
        tiles, sends, cause = self._dropped.get(batch.sequence, (0, None, ""))
        if sends is not None and batch.attempt >= sends:
            self.causes["foreign_ack"] += 1
            return
        self.causes["late_ack"] += 1
        if verdict is Verdict.DELIVERED and sends is not None:
            # An earlier attempt was on its way all the time: what is on the ground is not lost.
            del self._dropped[batch.sequence]
            self.causes[cause] -= tiles
            self.causes = +self.causes
            self._tiles["dropped"] -= tiles
            self._tiles["delivered"] += tiles

    def _give_back(self, sequence: int, held: Held[Payload], now_s: float, blame: int) -> None:
        held.failures += blame
        if held.failures >= self._limits.attempts:
            self._drop(sequence, held, "attempts_exhausted")
            return
        held.state, held.where = State.WAITING, ""
        held.not_before_s = now_s + self._limits.backoff_s * min(16, 2 ** min(4, held.sends - 1))
