"""Sensing's custody: a window of batches in flight, copies until the ground has written them, re-sends.

A pure state machine: the caller brings payloads, acknowledgements and the time [s, any steady clock], and obeys
the returned `Send` actions. Every batch is in exactly one state; `tally()` counts them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from satllm_ros.runtime.identity import BatchId, Epoch

Payload = TypeVar("Payload")


class Verdict(IntEnum):
    """What an acknowledgement says (message `BatchAck`)."""

    STORED = 1
    DELIVERED = 2
    REFUSED = 3


class Cause(IntEnum):
    """Why a batch was refused (message `BatchAck`)."""

    NONE = 0
    UNKNOWN_EPOCH = 1
    BAD_CRC = 2
    FULL = 3
    MALFORMED = 4
    INTERNAL = 5


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
        With no acknowledgement at all for so long, the oldest batch in flight is taken for lost.
    backoff_s, attempts
        First pause before a refused batch is sent again (doubled each time, 16-fold at most), and how often a
        batch is sent in all before it is dropped.
    delivery_s
        With no delivery at all for so long, the batches stored so long ago are taken for lost with their store.
    """

    window_batches: int
    copies_batches: int
    stall_s: float = 20.0
    backoff_s: float = 0.25
    attempts: int = 50
    delivery_s: float = 60.0


@dataclass
class _Held(Generic[Payload]):
    payload: Payload
    tiles: int
    state: State = State.WAITING
    sends: int = 0
    sent_s: float = 0.0
    not_before_s: float = 0.0
    stored_s: float = 0.0
    epoch: Epoch | None = None
    place: int = 0
    overtaken: int = 0


@dataclass(frozen=True)
class Send(Generic[Payload]):
    """Send these tiles now, under the current plan."""

    batch: BatchId
    payload: Payload


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
        self._held: dict[int, _Held[Payload]] = {}
        self._next_sequence = 0
        self._next_place = 0
        self._last_progress_s = 0.0
        self._last_delivery_s = 0.0
        self._tiles: Counter[str] = Counter()
        self._sent_batches = 0
        self._resent_batches = 0
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
        sequence = self._next_sequence
        self._next_sequence += 1
        self._held[sequence] = _Held(payload, tiles)
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
                held.place, held.overtaken = self._next_place, 0
                self._next_place += 1
                sends.append(Send(BatchId(self._boot_id, sequence, held.sends), held.payload))
                self._resent_batches += held.sends > 0
                self._sent_batches += held.sends == 0
                held.sends += 1
                room -= 1
        return sends

    def on_ack(self, batch: BatchId, verdict: Verdict, cause: Cause, now_s: float) -> None:
        """Take an acknowledgement; late, repeated and foreign ones change nothing but a counter.

        Foreign is one for another life of sensing, or for a batch or attempt that was never sent.
        """
        held = self._held.get(batch.sequence)
        if batch.boot_id != self._boot_id or batch.sequence >= self._next_sequence:
            self.causes["foreign_ack"] += 1
            return
        if held is None:
            self.causes["late_ack"] += 1
            return
        if batch.attempt >= held.sends:
            self.causes["foreign_ack"] += 1
            return
        if verdict is Verdict.REFUSED:
            # A refusal of an earlier attempt says nothing about the one in flight.
            if held.state is State.IN_FLIGHT and batch.attempt == held.sends - 1:
                self.causes[f"refused_{cause.name.lower()}"] += 1
                self._give_back(batch.sequence, held, now_s)
            return
        if verdict is Verdict.STORED and held.state is State.STORED:
            return
        if held.state is State.IN_FLIGHT and batch.attempt == held.sends - 1:
            # Only batches sent before this one: one that was sent again since is not late yet.
            for other in self._held.values():
                if other.state is State.IN_FLIGHT and other.place < held.place:
                    other.overtaken += 1
        self._last_progress_s = now_s
        if verdict is Verdict.DELIVERED:
            self._last_delivery_s = now_s
            self._tiles["delivered"] += held.tiles
            del self._held[batch.sequence]
        else:
            held.state, held.stored_s = State.STORED, now_s

    def on_tick(self, now_s: float) -> None:
        """Take for lost what the chain overtook by a window or holds at a standstill, and what no store delivers."""
        for sequence, held in self._in_state(State.IN_FLIGHT):
            if held.overtaken >= self._limits.window_batches:
                self._lose("overtaken", sequence, held, now_s)
        oldest = min(self._in_state(State.IN_FLIGHT), key=lambda item: item[1].place, default=None)
        if oldest is not None and now_s - max(oldest[1].sent_s, self._last_progress_s) > self._limits.stall_s:
            self._lose("stalled", *oldest, now_s)
        for sequence, held in self._in_state(State.STORED):
            if now_s - max(held.stored_s, self._last_delivery_s) > self._limits.delivery_s:
                self._lose("undelivered", sequence, held, now_s)

    def low_water(self, current: Epoch) -> Epoch:
        """Oldest epoch that some batch in flight still obeys."""
        epochs = [h.epoch for h in self._held.values() if h.state is State.IN_FLIGHT and h.epoch is not None]
        return min([current, *epochs])

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

    def _in_state(self, state: State) -> list[tuple[int, _Held[Payload]]]:
        return [(sequence, held) for sequence, held in self._held.items() if held.state is state]

    def _lose(self, cause: str, sequence: int, held: _Held[Payload], now_s: float) -> None:
        self.causes[cause] += 1
        self._give_back(sequence, held, now_s)

    def _give_back(self, sequence: int, held: _Held[Payload], now_s: float) -> None:
        if held.sends >= self._limits.attempts:
            self.causes["attempts_exhausted"] += 1
            self._tiles["dropped"] += held.tiles
            del self._held[sequence]
            return
        held.state = State.WAITING
        held.not_before_s = now_s + self._limits.backoff_s * min(16, 2 ** (held.sends - 1))
