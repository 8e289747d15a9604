"""Bugs at the ends of the downlink: in the ground, and in the stores of satellites."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from satllm_ros.protocol.delivery import Acknowledge, GroundProtocol, Origin, StoreProtocol, Write
from satllm_ros.protocol.identity import BatchId
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Verdict


class HastyGround(GroundProtocol[Any]):
    def on_predictions(self, batch: BatchId, origin: Origin, payload: Any) -> list[Any]:
        return [*self.on_written(batch), Write(batch, payload)]


class HastyStore(StoreProtocol[Any]):
    def on_predictions(self, batch: BatchId, payload: Any, now_s: float) -> list[Any]:
        return [
            Acknowledge(Ack(batch, self._satellite, Verdict.STORED)),
            *super().on_predictions(batch, payload, now_s),
        ]


class SilentGround(GroundProtocol[Any]):
    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name, **known)
        self._known: set[BatchId] = set()

    def on_written(self, batch: BatchId) -> list[Any]:
        if batch in self._known:
            return []
        self._known.add(batch)
        return super().on_written(batch)


class ForgetfulStore(StoreProtocol[Any]):
    def __init__(self, satellite: str, *, restored: Iterable[Any] = (), **limits: Any) -> None:
        # What is on disk is taken for delivered.
        super().__init__(satellite, **limits)
        self._delivered = dict.fromkeys((found.batch.boot_id, found.batch.sequence) for found in restored)


class ModelBlindGround(GroundProtocol[Any]):
    def on_predictions(self, batch: BatchId, origin: Origin, payload: Any) -> list[Any]:
        return super().on_predictions(batch, replace(origin, model_id=self._model_id), payload)


class RunBlindGround(GroundProtocol[Any]):
    def on_predictions(self, batch: BatchId, origin: Origin, payload: Any) -> list[Any]:
        return super().on_predictions(batch, replace(origin, run_id=self.run_id or 0), payload)


class MuteGround(GroundProtocol[Any]):
    def _refuse(self, batch: BatchId, cause: Cause) -> list[Any]:
        # As it was before refusals were answered.
        return []


class StubbornStore(StoreProtocol[Any]):
    def on_refused(self, batch: BatchId, cause: Cause, now_s: float) -> list[Any]:
        return []


class RelapsingStore(StoreProtocol[Any]):
    def __init__(self, satellite: str, *, restored: Iterable[Any] = (), **limits: Any) -> None:
        # What was set aside is taken for undelivered by the next life.
        super().__init__(
            satellite,
            restored=[replace(found, refused=None) for found in restored],
            **limits,
        )


class OnceOnlyStore(StoreProtocol[Any]):
    def on_tick(self, now_s: float) -> list[Any]:
        # What was lost on its way down is not sent again before the next contact.
        return self._send(now_s)
