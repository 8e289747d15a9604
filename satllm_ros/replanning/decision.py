"""Whether to leave a plan that flies: what another split would gain over the batches left, and what moving costs.

A computer that is shared makes its satellites faster and slower by turns. A small gain that is due to how fast they are
at this moment is none: it must be there also when each has the speed, of those it had of late, that speaks for the plan
that flies. A large gain is taken at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from satllm_ros.planning.solver.delay import exact_makespan
from satllm_ros.replanning.drift import BAND
from satllm_ros.replanning.flight import FlightFacts, flight_problem

# Gains beyond this share of the time that is left are no noise.
LARGE_GAIN = BAND
# After so long, a gain that may be noise is looked at again.
DOUBT_S = 10.0


class Assignment(NamedTuple):
    """Satellite `satellite` runs blocks start+1 .. stop and sends cut `stop` with the setting of this name."""

    satellite: str
    start: int
    stop: int
    setting: str


@dataclass(frozen=True)
class ReplanDecision:
    """The two sides of a decision.

    Attributes
    ----------
    gain_s
        Seconds by which the batches left end sooner; infinite if the plan that flies cannot go on.
    cost_s
        Seconds for which the stream is slowed or stopped meanwhile.
    batches, blocks
        Batches left; blocks that a satellite runs which did not run them before.
    drained
        Satellites whose memory does not hold the old and the new blocks at once.
    unfit
        Satellites whose memory no longer holds their blocks.
    """

    gain_s: float
    cost_s: float
    batches: int
    blocks: int
    drained: tuple[str, ...]
    unfit: tuple[str, ...]

    @property
    def is_worth_it(self) -> bool:
        return self.gain_s > self.cost_s

    def sentence(self, plan: str) -> str:
        """The decision with both figures, in one line."""
        drain = f", with a drain for {', '.join(self.drained)}" if self.drained else ""
        cost = f"moving {_count(self.blocks, 'block')} costs {self.cost_s:.3g} s{drain}"
        if self.unfit:
            return f"leave {plan}: {', '.join(self.unfit)} no longer has the memory for its blocks; {cost}"
        over = f"over {_count(self.batches, 'batch', 'batches')}"
        if self.is_worth_it:
            return f"leave {plan}: a new split gains {self.gain_s:.3g} s {over}, {cost}"
        return f"stay with {plan}: a new split would gain {max(0.0, self.gain_s):.3g} s {over}, {cost}"


def evaluate(
    facts: FlightFacts,
    flying: Sequence[Assignment],
    draft: Sequence[Assignment],
    load_bytes_per_s: Callable[[str], float],
) -> ReplanDecision:
    """Compare two splits under the facts of today.

    A sub-model is loaded beside inference, on the same processor: the stream counts as stopped while the slowest of
    the loads lasts, which is more than it costs where memory holds both. A drain adds one batch's way through the line.

    Parameters
    ----------
    facts
        Must know every satellite of both splits; `batches` is what is left.
    load_bytes_per_s
        Speed at which the satellite of this name loads parameters [byte/s].
    """
    before = {share.satellite: (share.start, share.stop) for share in flying}
    budget = {s.name: s.memory_bytes for s in facts.satellites}
    load_s, blocks, drained = [0.0], 0, []
    for share in draft:
        start, stop = before.get(share.satellite, (0, 0))
        if (start, stop) == (share.start, share.stop):
            continue
        blocks += share.stop - share.start - max(0, min(stop, share.stop) - max(start, share.start))
        needed_bytes = held_bytes(facts, share.start, share.stop)
        load_s.append(needed_bytes / load_bytes_per_s(share.satellite))
        if stop and needed_bytes + held_bytes(facts, start, stop) > budget[share.satellite]:
            drained.append(share.satellite)
    unfit = unfit_for(facts, flying)
    gain_s = math.inf if unfit else predicted_s(facts, flying) - predicted_s(facts, draft)
    way_s = predicted_s(replace(facts, batches=1), draft) if drained else 0.0
    return ReplanDecision(gain_s, max(load_s) + way_s, facts.batches, blocks, tuple(drained), unfit)


def is_noise(
    decision: ReplanDecision,
    facts: FlightFacts,
    flying: Sequence[Assignment],
    draft: Sequence[Assignment],
    load_bytes_per_s: Callable[[str], float],
    block_range_s: Callable[[str], tuple[float, float]],
) -> bool:
    """Whether a move is worth it only by what the satellites' speeds vary by.

    Parameters
    ----------
    decision
        What `evaluate` says of the other arguments.
    block_range_s
        Least and greatest seconds a tile took of late in a block of the satellite of this name.
    """
    if decision.unfit or decision.gain_s > LARGE_GAIN * predicted_s(facts, flying):
        return False
    before, after = ({share.satellite: share.stop - share.start for share in shares} for shares in (flying, draft))
    speeds = []
    for satellite in facts.satellites:
        more = after.get(satellite.name, 0) - before.get(satellite.name, 0)
        least_s, most_s = block_range_s(satellite.name)
        block_s = most_s if more > 0 else least_s if more < 0 else satellite.block_s
        speeds.append(replace(satellite, block_s=block_s))
    return not evaluate(replace(facts, satellites=speeds), flying, draft, load_bytes_per_s).is_worth_it


def predicted_s(facts: FlightFacts, shares: Sequence[Assignment]) -> float:
    """Makespan of `facts.batches` batches under a given split [s]; a setting nobody has measured counts as raw."""
    by_name = {s.name: s for s in facts.satellites}
    problem = flight_problem(replace(facts, satellites=[by_name[share.satellite] for share in shares]))
    settings = {s.name: s for s in facts.settings}
    compute_s = problem.layer_seconds()
    busy_s = [float(compute_s[k, share.start : share.stop].sum()) for k, share in enumerate(shares)]
    link_s = []
    for k, share in enumerate(shares):
        cut_bytes, ratio = problem.model.cut_bytes[share.stop], 1.0
        setting = settings.get(share.setting)
        if k + 1 < len(shares) and setting is not None:
            ratio = setting.ratio_at(share.stop)
            busy_s[k] += cut_bytes * setting.encode_s_per_byte
            busy_s[k + 1] += cut_bytes * setting.decode_s_per_byte
        link_s.append(8 * cut_bytes * ratio / problem.links[k + 1].rate_bps)
    upload_s = 8 * problem.model.cut_bytes[0] / problem.links[0].rate_bps
    propagation_s = sum(link.propagation_s for link in problem.links)
    return exact_makespan(upload_s, busy_s, link_s, facts.batches, propagation_s)


def unfit_for(facts: FlightFacts, shares: Sequence[Assignment]) -> tuple[str, ...]:
    """Satellites whose memory does not hold the blocks that a split gives them."""
    budget = {s.name: s.memory_bytes for s in facts.satellites}
    return tuple(
        share.satellite
        for share in shares
        if share.satellite in budget and held_bytes(facts, share.start, share.stop) > budget[share.satellite]
    )


def held_bytes(facts: FlightFacts, start: int, stop: int) -> float:
    """Bytes of parameters of blocks start+1 .. stop."""
    return float(sum(facts.spec.layer_bytes[start:stop]))


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
