"""Bugs on the hops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satllm_ros.protocol.hop import HopLimits, HopSender
from satllm_ros.protocol.identity import BatchId


class TirelessHop(HopSender[Any]):
    def tick(self, now_s: float) -> list[Any]:
        # However often: it never gives up.
        for copy in self._copies.values():
            copy.resends = min(copy.resends, self.limits.resends - 1)
        return super().tick(now_s)


class ForgetfulHop(HopSender[Any]):
    def receipt(self, receiver: str, batch: BatchId, wire_bytes: int, now_s: float) -> None:
        # The copy is kept although it has arrived.
        return


class HoardingHop(HopSender[Any]):
    def __init__(self, limits: HopLimits) -> None:
        # Without a bound on the copies.
        super().__init__(replace(limits, copies=10**6))
