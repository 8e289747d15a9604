"""Custody from the last stage to the ground: the store on a satellite, and the ground; pure state machines.

The order is the whole point: a batch is written before it is acknowledged, at both ends of the downlink.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import FINAL, Cause, Verdict

Payload = TypeVar("Payload")
# More than sensing can have questions about; of an older one it is told that it is not held, and sends it again.
REMEMBERED_DELIVERIES = 4096
# Boot id and sequence: every attempt carries the same tiles.
BatchKey = tuple[int, int]


def batch_key(batch: BatchId) -> BatchKey:
    """What all attempts of a batch have in common."""
    return (batch.boot_id, batch.sequence)


@dataclass(frozen=True)
class Write(Generic[Payload]):
    """Write the predictions durably (fsync), then answer with `on_written`; tiles already there are not added."""

    batch: BatchId
    payload: Payload


@dataclass(frozen=True)
class MarkDelivered:
    """Note durably that the ground has this batch; its payload may be freed. Losing this note costs a re-send."""

    batch: BatchId


@dataclass(frozen=True)
class SetAside:
    """Note durably that the ground refused this batch for good, and why: it is kept and never sent again."""

    batch: BatchId
    cause: Cause


@dataclass(frozen=True)
class AdoptRun:
    """Note durably which run this ground is of; whatever is of another one is refused from now on."""

    run_id: int


@dataclass(frozen=True)
class Origin:
    """What made predictions: the run and the model that the envelope names, and how many classes there are."""

    run_id: int
    model_id: str
    classes: int


@dataclass(frozen=True)
class SendToGround(Generic[Payload]):
    """Send the predictions over the S2G link."""

    batch: BatchId
    payload: Payload


@dataclass(frozen=True)
class Acknowledge:
    """Publish an acknowledgement on `batch_ack`."""

    ack: Ack


@dataclass(frozen=True)
class Restored(Generic[Payload]):
    """A batch found on disk at start; `payload` is None if the ground is known to have it, or has refused it.

    `refused` says why it is set aside.
    """

    batch: BatchId
    payload: Payload | None
    refused: Cause | None = None


StoreAction = Write[Payload] | MarkDelivered | SetAside | SendToGround[Payload] | Acknowledge
GroundAction = Write[Payload] | AdoptRun | Acknowledge


@dataclass
class _Stored(Generic[Payload]):
    batch: BatchId
    payload: Payload
    # None: not sent, or sent in a contact that is over.
    sent_s: float | None = None


class StoreProtocol(Generic[Payload]):
    """One life of the store of one satellite.

    Parameters
    ----------
    restored
        All that earlier lives wrote.
    resend_s
        Predictions that the ground has not acknowledged for so long are sent again; may be changed at any time.
    window_batches
        Batches sent to the ground and not yet acknowledged: as many as the S2G queue can hold.

    Memory is bounded by what the caller lets it hold: `undelivered` payloads, and the identities of
    `REMEMBERED_DELIVERIES` delivered batches and of as many that the ground refused.
    """

    def __init__(
        self,
        satellite: str,
        *,
        restored: Iterable[Restored[Payload]] = (),
        resend_s: float = 15.0,
        window_batches: int = 16,
    ) -> None:
        self._satellite = satellite
        self.resend_s = resend_s
        self._window_batches = window_batches
        self._in_contact = True
        self._writing: dict[BatchKey, list[BatchId]] = {}
        self._held: dict[BatchKey, _Stored[Payload]] = {}
        # Newest last.
        self._delivered: dict[BatchKey, None] = {}
        self._aside: dict[BatchKey, tuple[int, Cause]] = {}
        self.causes: Counter[str] = Counter()
        for found in restored:
            key = batch_key(found.batch)
            if found.refused is not None:
                self._set_aside(found.batch, found.refused)
            elif found.payload is None:
                self._remember(key)
            else:
                self._held[key] = _Stored(found.batch, found.payload)

    def on_predictions(self, batch: BatchId, payload: Payload, now_s: float) -> list[StoreAction[Payload]]:
        """The last stage has finished a batch. A duplicate is not written again, but acknowledged again.

        What the ground has refused is a duplicate too, unless it was computed anew since.
        """
        key = batch_key(batch)
        if key in self._writing:
            self._writing[key].append(batch)
            return []
        refused_attempt, _ = self._aside.get(key, (batch.attempt, Cause.NONE))
        answer = self._answer(batch) if batch.attempt <= refused_attempt else None
        if answer is not None:
            self.causes["duplicate"] += 1
            return [answer]
        self._writing[key] = [batch]
        return [Write(batch, payload)]

    def on_written(self, batch: BatchId, payload: Payload, now_s: float) -> list[StoreAction[Payload]]:
        """What `Write` asked for is on disk; `payload` is what `SendToGround` shall carry."""
        key = batch_key(batch)
        waiting = self._writing.pop(key, [batch])
        self._aside.pop(key, None)
        # The attempt that is on disk: it is this one that the ground judges.
        self._held[key] = _Stored(batch, payload)
        return [*(self._ack(each, Verdict.STORED) for each in waiting), *self._send(now_s)]

    def on_write_failed(self, batch: BatchId) -> list[StoreAction[Payload]]:
        """The disk is full or broken: sensing keeps the batch and sends it again, perhaps elsewhere."""
        waiting = self._writing.pop(batch_key(batch), [batch])
        return [
            Acknowledge(Ack(each, self._satellite, Verdict.REFUSED, Cause.FULL))
            for each in waiting
        ]  # fmt: skip

    def on_delivered(self, batch: BatchId, now_s: float) -> list[StoreAction[Payload]]:
        """The ground has acknowledged a batch, perhaps one stored by another satellite too."""
        key = batch_key(batch)
        # What was refused here may have been computed anew and come down another way.
        if self._held.pop(key, None) is None and self._aside.pop(key, None) is None:
            return []
        self._remember(key)
        return [MarkDelivered(batch), *self._send(now_s)]

    def on_refused(self, batch: BatchId, cause: Cause, now_s: float) -> list[StoreAction[Payload]]:
        """The ground has refused a batch for good: a refusal of what is not held in this attempt says nothing."""
        held = self._held.get(batch_key(batch))
        if cause not in FINAL or held is None or held.batch != batch:
            self.causes["foreign_refusal"] += 1
            return []
        del self._held[batch_key(batch)]
        self._set_aside(batch, cause)
        self.causes[f"refused_by_ground_{cause.name.lower()}"] += 1
        return [SetAside(batch, cause), *self._send(now_s)]

    def on_corrupted(self, batch: BatchId) -> None:
        """What was on disk is not whole any more: sensing, when it asks, is told that it is not held."""
        if self._held.pop(batch_key(batch), None) is not None:
            self.causes["corrupted"] += 1

    def on_query(self, batches: Iterable[BatchId]) -> list[StoreAction[Payload]]:
        """Sensing asks what became of batches that were acknowledged as stored."""
        answers: list[StoreAction[Payload]] = []
        for batch in batches:
            answer = self._answer(batch)
            if answer is not None:
                answers.append(answer)
            elif batch_key(batch) not in self._writing:
                answers.append(Acknowledge(Ack(batch, self._satellite, Verdict.REFUSED, Cause.NOT_HELD)))
        return answers

    def on_contact(self, in_contact: bool, now_s: float) -> list[StoreAction[Payload]]:
        """The S2G link has come up or gone down; told once more is no harm."""
        if self._in_contact and not in_contact:
            # Whether what was under way has arrived is unknown: it is sent first in the next contact.
            for held in self._held.values():
                held.sent_s = None
        self._in_contact = in_contact
        return self._send(now_s)

    def on_tick(self, now_s: float) -> list[StoreAction[Payload]]:
        """Time passes; about once a second."""
        overdue = [
            key for key, held in self._held.items() if held.sent_s is not None and now_s - held.sent_s >= self.resend_s
        ]
        for key in overdue:
            # Behind all others: what the ground will not have must not keep it from the rest.
            held = self._held[key] = self._held.pop(key)
            held.sent_s = None
            self.causes["resent"] += 1
        return self._send(now_s)

    @property
    def in_contact(self) -> bool:
        """Whether predictions are sent."""
        return self._in_contact

    @property
    def undelivered(self) -> int:
        """Batches on disk that the ground has not acknowledged."""
        return len(self._held)

    @property
    def set_aside(self) -> int:
        """Batches on disk that the ground has refused for good."""
        return len(self._aside)

    def _set_aside(self, batch: BatchId, cause: Cause) -> None:
        self._aside[batch_key(batch)] = (batch.attempt, cause)
        if len(self._aside) > REMEMBERED_DELIVERIES:
            del self._aside[next(iter(self._aside))]

    def _remember(self, key: BatchKey) -> None:
        self._delivered[key] = None
        if len(self._delivered) > REMEMBERED_DELIVERIES:
            del self._delivered[next(iter(self._delivered))]

    def _answer(self, batch: BatchId) -> Acknowledge | None:
        """The furthest that is known of a batch; None if it is not here."""
        key = batch_key(batch)
        if key in self._delivered:
            return self._ack(batch, Verdict.DELIVERED)
        if key in self._aside:
            return Acknowledge(Ack(batch, self._satellite, Verdict.REFUSED, self._aside[key][1]))
        return self._ack(batch, Verdict.STORED) if key in self._held else None

    def _send(self, now_s: float) -> list[StoreAction[Payload]]:
        if not self._in_contact:
            return []
        room = self._window_batches - sum(held.sent_s is not None for held in self._held.values())
        sends: list[StoreAction[Payload]] = []
        for held in self._held.values():
            if len(sends) >= room:
                break
            if held.sent_s is None:
                held.sent_s = now_s
                sends.append(SendToGround(held.batch, held.payload))
        return sends

    def _ack(self, batch: BatchId, verdict: Verdict) -> Acknowledge:
        return Acknowledge(Ack(batch, self._satellite, verdict))


class GroundProtocol(Generic[Payload]):
    """The ground needs little memory: its store tells new tiles from old ones, and both are acknowledged.

    It writes only what the model and the run that it is of have made. All else is answered, so that no store sends it
    for ever: a label of another model under this one would be worse than none.

    Parameters
    ----------
    model_id, classes
        Of the checkpoint that this ground knows.
    run_id
        The run that it is of; None until sensing says it.
    """

    def __init__(self, name: str, *, model_id: str, classes: int, run_id: int | None = None) -> None:
        self._name = name
        self._model_id = model_id
        self._classes = classes
        self.run_id = run_id
        self.causes: Counter[str] = Counter()

    def on_run(self, run_id: int) -> list[GroundAction[Payload]]:
        """Sensing says which run it flies; the first word counts, 0 is none."""
        if run_id and self.run_id is None:
            self.run_id = run_id
            return [AdoptRun(run_id)]
        if run_id not in (0, self.run_id):
            self.causes["foreign_run_heard"] += 1
        return []

    def on_predictions(self, batch: BatchId, origin: Origin, payload: Payload) -> list[GroundAction[Payload]]:
        """Predictions have come down whole and well-formed."""
        if (origin.model_id, origin.classes) != (self._model_id, self._classes):
            return self._refuse(batch, Cause.FOREIGN)
        if self.run_id is None:
            # Neither written nor refused: the store sends them again, and by then it may be known.
            self.causes["run_unknown"] += 1
            return []
        if origin.run_id != self.run_id:
            return self._refuse(batch, Cause.FOREIGN)
        return [Write(batch, payload)]

    def on_malformed(self, batch: BatchId) -> list[GroundAction[Payload]]:
        """What came down as it was sent, and still cannot be used: computed anew, it may be right."""
        return [Acknowledge(Ack(batch, self._name, Verdict.REFUSED, Cause.MALFORMED))]

    def on_written(self, batch: BatchId) -> list[GroundAction[Payload]]:
        """They are on disk, now or since an earlier copy: the first acknowledgement may have been lost."""
        return [Acknowledge(Ack(batch, self._name, Verdict.DELIVERED))]

    def _refuse(self, batch: BatchId, cause: Cause) -> list[GroundAction[Payload]]:
        self.causes[f"refused_{cause.name.lower()}"] += 1
        return [Acknowledge(Ack(batch, self._name, Verdict.REFUSED, cause))]
