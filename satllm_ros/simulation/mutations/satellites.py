"""Bugs in what a satellite serves and holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satllm_ros.protocol.identity import Envelope
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.satellite import SatelliteProtocol, Serve
from satllm_ros.protocol.vocabulary import Readiness


class CredulousSatellite(SatelliteProtocol):
    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Any, list[Any]]:
        # A low water above the batch's own epoch is believed.
        decision, actions = super().on_batch(envelope, cut)
        if isinstance(decision, Serve) and envelope.low_water > self._low_water:
            self._low_water = envelope.low_water
            actions += self._reconcile()
        return decision, actions


class HalfCredulousSatellite(CredulousSatellite):
    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Any, list[Any]]:
        # It is believed as far as the batch's own epoch.
        return super().on_batch(replace(envelope, low_water=min(envelope.low_water, envelope.epoch)), cut)


class NewestPlanSatellite(SatelliteProtocol):
    def on_batch(self, envelope: Envelope, cut: int) -> tuple[Any, list[Any]]:
        decision, actions = super().on_batch(envelope, cut)
        newest = max((p for p in self.plans if self._has(p)), key=lambda plan: plan.epoch, default=None)
        if isinstance(decision, Serve) and newest is not None:
            stage = newest.stage_of(self.satellite)
            if stage is not None and stage.start == cut:
                return Serve(newest, stage), actions
        return decision, actions


class TidySatellite(SatelliteProtocol):
    def on_active(self, plan: Plan) -> list[Any]:
        # Old sub-models go as soon as a new plan is active, whatever is in flight.
        self._low_water = max(self._low_water, plan.epoch)
        return super().on_active(plan)


class GreedySatellite(SatelliteProtocol):
    def fitting(self) -> set[tuple[int, int]]:
        return {blocks for blocks in self._wanted()}


class EagerSatellite(SatelliteProtocol):
    def _readiness(self, plan: Plan) -> tuple[Readiness, str]:
        # Ready is said when the loading begins.
        readiness, reason = super()._readiness(plan)
        return (Readiness.READY, "") if readiness is Readiness.LOADING else (readiness, reason)
