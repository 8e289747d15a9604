"""Bugs in sensing: names of tiles, commits, drains, custody."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satllm_ros.protocol.custody import Custody, State
from satllm_ros.protocol.identity import BatchId, TileKey
from satllm_ros.protocol.plan_switch import PlanCommitter
from satllm_ros.protocol.sensing import Persist, SensingProtocol
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Verdict, plan_key
from satllm_ros.simulation.processes.images import Image
from satllm_ros.simulation.processes.messages import Tile
from satllm_ros.simulation.processes.sensing import Sensing


class StampSensing(Sensing):
    def identify(self, image: Image, place: int) -> TileKey | None:
        key = super().identify(image, place)
        return key and key._replace(frame=image.stamp)


class PlaceSensing(Sensing):
    def identify(self, image: Image, place: int) -> TileKey | None:
        key = super().identify(image, place)
        return key and (key._replace(frame=place + 1) if self.folder is not None else key)


class RenamingSensing(Sensing):
    def restored(self, tiles: tuple[Tile, ...]) -> tuple[Tile, ...]:
        # What an earlier life heard is taken for this one's.
        source_id = self.identity.source_id
        return tuple(tile._replace(key=tile.key._replace(source_id=source_id)) for tile in tiles)


class GlossingCustody(Custody[Any]):
    def _drop(self, sequence: int, held: Any, cause: str) -> None:
        self._tiles["delivered"] += held.tiles
        del self._held[sequence]


class GlossingSensing(SensingProtocol[Any]):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        # What the ground refused is not counted as dropped.
        self.custody = GlossingCustody(self.boot_id, self._limits.custody)


class HastyCommitter(PlanCommitter):
    @property
    def waiting_for(self) -> frozenset[str]:
        missing = super().waiting_for
        return missing if len(missing) > 1 else frozenset()


class HastySensing(SensingProtocol[Any]):
    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        committer = HastyCommitter.__new__(HastyCommitter)
        committer.__dict__ = self._committer.__dict__
        self._committer = committer


class CarelessSensing(SensingProtocol[Any]):
    def on_ack(self, ack: Ack, now_s: float) -> list[Any]:
        if ack.verdict is Verdict.STORED:
            # Stored once is taken for delivered.
            ack = Ack(ack.batch, ack.sender, Verdict.DELIVERED)
        return super().on_ack(ack, now_s)


class DeafSensing(SensingProtocol[Any]):
    def on_ack(self, ack: Ack, now_s: float) -> list[Any]:
        held = self.custody._held.get(ack.batch.sequence)
        if ack.cause is Cause.UNKNOWN_EPOCH and held is not None and held.state is State.IN_FLIGHT:
            # Refused, and never sent again.
            held.not_before_s, held.state = float("inf"), State.WAITING
            return []
        return super().on_ack(ack, now_s)


class ImpatientSensing(SensingProtocol[Any]):
    def _go_on_draining(self, now_s: float) -> list[Any]:
        # "Drained" is said as soon as the stream is paused.
        proposal = self._committer.proposal
        actions = super()._go_on_draining(now_s)
        if proposal is not None and self.draining:
            actions += self._tell(replace(self.switch, drained=plan_key(proposal)))
        return actions


class UnwrittenSensing(Sensing):
    def _carry_out(self, host: Any, actions: Any) -> None:
        before = self.disk.get("plan")
        super()._carry_out(host, actions)
        if any(isinstance(action, Persist) for action in actions) and before is not None:
            self.disk["plan"] = before


class TrustingCustody(Custody[Any]):
    def on_store_lost(self, store: str, now_s: float) -> None:
        # What a dead store holds stays where it is.
        return


class FaithfulCustody(Custody[Any]):
    def on_way_lost(self, is_lost: Any, now_s: float) -> None:
        # What was under way to the dead is still on its way.
        return


class BlithesomeCustody(Custody[Any]):
    def on_ack(self, *arguments: Any, **named: Any) -> None:
        super().on_ack(*arguments, **named)
        # That later batches came sooner says nothing.
        for held in self._held.values():
            held.overtaken = 0


class PatientCustody(Custody[Any]):
    def on_tick(self, now_s: float) -> None:
        # Silence is never a loss.
        self._last_progress_s = now_s
        super().on_tick(now_s)


class IncuriousCustody(Custody[Any]):
    def queries(self, now_s: float) -> dict[str, list[BatchId]]:
        # Nobody is asked.
        return {}


class SlackSensing(SensingProtocol[Any]):
    """Its custody does not notice something; slower ways round remain."""

    keeper: type[Custody[Any]]

    def __init__(self, *arguments: Any, **known: Any) -> None:
        super().__init__(*arguments, **known)
        self.custody = self.keeper(self.boot_id, self._limits.custody)


class TrustingSensing(SlackSensing):
    keeper = TrustingCustody


class FaithfulSensing(SlackSensing):
    keeper = FaithfulCustody


class BlithesomeSensing(SlackSensing):
    keeper = BlithesomeCustody


class PatientSensing(SlackSensing):
    keeper = PatientCustody


class IncuriousSensing(SlackSensing):
    keeper = IncuriousCustody
