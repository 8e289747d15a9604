"""How fast satellites load parameters, measured from their reports."""

from __future__ import annotations

from collections.abc import Mapping

from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import PlanKey, Readiness
from satllm_ros.replanning.median_filter import MedianFilter

# Shorter than this is the time a report takes, not a load.
LEAST_LOAD_S = 0.01


class LoadRates:
    """Times each load from the first report that says loading to the one that says ready."""

    def __init__(self, assumed_bytes_per_s: float) -> None:
        self._assumed_bytes_per_s = assumed_bytes_per_s
        self._rates: dict[str, MedianFilter] = {}
        self._key: PlanKey | None = None
        self._stage_bytes: Mapping[str, float] = {}
        self._since_s: dict[str, float] = {}

    def on_proposal(self, key: PlanKey, stage_bytes: Mapping[str, float]) -> None:
        """A plan was proposed that gives each satellite so many bytes."""
        self._key, self._stage_bytes = key, dict(stage_bytes)
        self._since_s.clear()

    def on_report(self, report: Report, now_s: float) -> None:
        """A satellite says how far it is."""
        if report.about != self._key or report.satellite not in self._stage_bytes:
            return
        if report.readiness is Readiness.LOADING:
            self._since_s.setdefault(report.satellite, now_s)
        elif report.readiness is Readiness.READY and report.satellite in self._since_s:
            took_s = max(LEAST_LOAD_S, now_s - self._since_s.pop(report.satellite))
            rate = self._stage_bytes[report.satellite] / took_s
            self._rates.setdefault(report.satellite, MedianFilter()).add(max(1.0, rate), now_s)

    def bytes_per_s(self, satellite: str) -> float:
        """Median of what was measured of this satellite, or the assumed rate."""
        measured = self._rates.get(satellite)
        return measured.value if measured is not None else self._assumed_bytes_per_s
