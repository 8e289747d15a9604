"""How far the clocks of a run's hosts are apart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire import records
from satllm_ros.report.record.clocks import have_one_wall_clock
from satllm_ros.report.record.record import RunRecord

# Two of one host are noted only if it started anew, or somebody makes names up.
MAX_CLOCKS = 64
# What two monotonic clocks may drift apart in a run, beside what is known of them [s]: a computer that starts anew is
# further off.
MOST_DRIFTED_S = 1.0

# How far the steady clock of another host, by its name, is ahead of this one, and the uncertainty of that [s].
OffsetOf = Callable[[str], tuple[float, float] | None]


class Clocks:
    """Names of the hosts' clocks, and their offsets, which are noted in the run's record."""

    def __init__(self, node: FlightNode, run: RunRecord, offset_of: OffsetOf) -> None:
        self._node, self._run, self._offset_of = node, run, offset_of
        self._clocks: dict[str, str] = {}

    def note(self, host: str, clock: str) -> None:
        """A host has told the name of its clock."""
        self._clocks[host] = clock

    def compare(self, message: m.Ledger) -> None:
        """Note how far the hosts' clocks are apart while they are there: at the end some may be gone."""
        try:
            self._clocks[graph.SENSING] = records.clock_of(message.clock)
        except ValueError:
            self._node.counters.add("malformed_ledger")
            return
        for host, clock in self._clocks.items():
            if clock in ("", self._run.clock) or (offset := self._offset_of(host)) is None:
                continue
            known_s, uncertainty_s = self._run.clock_offsets.get(clock, offset)
            # A host that has started anew has another clock, whose name its first record will tell.
            is_another = abs(offset[0] - known_s) > uncertainty_s + offset[1] + MOST_DRIFTED_S
            is_new = clock not in self._run.clock_offsets
            if not is_another and (not is_new or len(self._run.clock_offsets) < MAX_CLOCKS):
                self._run.clock_offsets[clock] = offset

    def acquisition_shift_s(self, ledger: m.Ledger | None, *, journal_is_here: bool) -> tuple[float, float] | None:
        """From sensing's wall clock to the ground's, with its uncertainty [s]; None if nobody can tell.

        Parameters
        ----------
        ledger
            The last one that was heard.
        journal_is_here
            Whether sensing ran on this computer.
        """
        clock = self._clocks.get(graph.SENSING, "")
        if not clock:
            return (0.0, 0.0) if journal_is_here else None
        if have_one_wall_clock(clock, self._run.clock) or self._node.get_parameter("use_sim_time").value:
            return 0.0, 0.0
        offset = self._run.clock_offsets.get(clock)
        if offset is None or ledger is None or not math.isfinite(ledger.steady_s):
            return None
        theirs_s = convert.seconds(ledger.header.stamp) - ledger.steady_s
        ours_s = self._node.now_s() - time.monotonic()
        return ours_s - theirs_s - offset[0], offset[1]
