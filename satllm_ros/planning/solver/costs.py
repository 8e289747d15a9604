"""A problem turned into arrays: what each choice of cuts and settings costs each resource."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.planning.problem.checks import ProblemError
from satllm_ros.planning.problem.problem import Problem, Setting, ratios_at_cuts

# Accuracies are interpolated: a setting that meets the floor exactly must not fail by a rounding error.
ACCURACY_ROUNDING = 1e-12
# 32 MB for each of a handful of tables.
MAX_ENTRIES = 4_000_000


@dataclass(frozen=True)
class Costs:
    """Times of one batch [s] and memory windows; cut c has c layers before it.

    The cuts 0 and L are the input and the output: a relay passes them on as they are, so there every setting
    has ratio 1 and no cost, and only the first may be named.

    Attributes
    ----------
    paper
        The objective is the paper's Eq. 13a/14, not the exact law.
    most_cuts
        As `Problem` has it.
    settings
        The Q settings worth choosing from, at any inner cut.
    elapsed_s
        (K, L+1) time satellite k needs for layers 1..c; a stage's layers cost the difference of two entries.
    link_s
        (K, L+1, Q') occupancy of the link behind each satellite by cut c under setting q, Q' = max(Q, 1); the
        last is the link to the ground, which carries cut L only.
    encode_s, decode_s
        (L+1, Q') time the sender and the receiver spend on cut c.
    allowed
        (L+1, Q') whether setting q may be named at cut c.
    first_start
        (K, L+1) the smallest start such that layers start+1..stop fit into satellite k's memory.
    relays
        (K,) whether the satellite may run no layer at all.
    losses
        (L+1, Q') accuracy that each setting loses at each cut; 0 at the input and the output.
    loss_budget
        What the losses of all inner cuts may add up to; None if a floor was applied to each instead.
    """

    paper: bool
    batches: int
    most_cuts: int
    settings: tuple[Setting, ...]
    elapsed_s: NDArray[np.float64]
    upload_s: float
    link_s: NDArray[np.float64]
    ground_s: float
    encode_s: NDArray[np.float64]
    decode_s: NDArray[np.float64]
    allowed: NDArray[np.bool_]
    first_start: NDArray[np.intp]
    relays: NDArray[np.bool_]
    losses: NDArray[np.float64]
    loss_budget: float | None
    propagation_s: float

    @property
    def satellites(self) -> int:
        """K."""
        return len(self.elapsed_s)

    @property
    def layers(self) -> int:
        """L."""
        return self.elapsed_s.shape[1] - 1

    def stage_times(
        self, cuts: Sequence[int], choice: Sequence[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Comp and comm of every satellite.

        Parameters
        ----------
        cuts
            (K+1,) boundaries, from 0 to L.
        choice
            (K-1,) index into `settings` for each inner boundary; 0 where the input or the output is relayed.

        Returns
        -------
        compute_s, link_s
            (K,) each: comp_k with decoding and encoding, and comm_k, the last one to the ground [s]. A relay
            passes on what it received: it computes, decodes and encodes nothing.
        """
        bounds, setting = np.asarray(cuts, dtype=int), np.asarray(choice, dtype=int)
        inner, rows = bounds[1:-1], np.arange(self.satellites)
        compute = self.elapsed_s[rows, bounds[1:]] - self.elapsed_s[rows, bounds[:-1]]
        compute[:-1] += self.encode_s[inner, setting]
        compute[1:] += self.decode_s[inner, setting]
        compute[bounds[1:] == bounds[:-1]] = 0.0
        link = np.append(self.link_s[rows[:-1], inner, setting], self.ground_s)
        return compute, link

    def loss(self, cuts: Sequence[int], choice: Sequence[int]) -> float:
        """Accuracy lost at all inner cuts; what a relay passes on is lost once."""
        stages = zip(cuts[:-2], cuts[1:-1], choice, strict=True)
        return float(sum(self.losses[stop, q] for start, stop, q in stages if start < stop < self.layers))


def usable_settings(problem: Problem) -> list[Setting]:
    """The settings that meet the accuracy floor, or whose loss alone is within the budget."""
    compression = problem.compression
    if compression.loss_budget is None:
        floor = (compression.accuracy_min or 0.0) - ACCURACY_ROUNDING
        return [s for s in compression.settings if s.accuracy >= floor]
    least = problem.losses().min(axis=1, initial=np.inf)
    # A setting better than none gives back what another may lose.
    gain = (len(problem.satellites) - 2) * max(0.0, -least.min(initial=0.0))
    limit = compression.loss_budget + gain + ACCURACY_ROUNDING
    return [s for s, loss in zip(compression.settings, least, strict=True) if loss <= limit]


def undominated(problem: Problem, settings: Sequence[Setting], paper: bool) -> list[Setting]:
    """Drop each setting that another one matches or beats in everything that counts, at every cut.

    For the exact objective that is ratio, encoding and decoding time, and the loss if there is a budget. Under
    Eq. 14 more bytes may pay, so there a setting is compared only with those of the same ratios.
    """
    if not settings:
        return []
    budget = problem.compression.loss_budget is not None
    # Where nothing varies, one cut stands for all.
    cuts = problem.model.layers - 1 if any(s.varies for s in settings) else 1
    ratios = ratios_at_cuts(settings, cuts)
    coding = np.array([(s.encode_s_per_byte, s.decode_s_per_byte) for s in settings])
    prices = [ratios, coding]
    if budget:
        prices.append(problem.compression.losses(settings, cuts))
    if paper:
        prices.append(-ratios)
    price = np.concatenate(prices, axis=1)
    # Of settings alike in all the first is kept.
    order = np.lexsort(price.T[::-1])
    beats = np.triu(np.ones((len(order), len(order)), dtype=bool), 1)
    for column in price[order].T:
        beats &= column[:, None] <= column
    return [settings[i] for i in order[~beats.any(axis=0)]]


def tabulate(problem: Problem, *, paper: bool = False) -> Costs:
    """Compute all times with comm = 8 bytes ratio / rate and comp = layers + decoding + encoding.

    Raises
    ------
    ProblemError
        If the tables would be too large.
    """
    settings = undominated(problem, usable_settings(problem), paper)
    columns = max(len(settings), 1)
    layers = problem.model.layers
    entries = len(problem.satellites) * (layers + 1) * columns
    if entries > MAX_ENTRIES:
        raise ProblemError(
            f"the problem has satellites x (layers + 1) x settings = {entries:,}; at most {MAX_ENTRIES:,} are allowed"
        )
    cut_bytes = np.asarray(problem.model.cut_bytes)
    rate_bps = np.array([link.rate_bps for link in problem.links])
    ratio = np.ones((layers + 1, columns))
    encode, decode = np.zeros((layers + 1, columns)), np.zeros((layers + 1, columns))
    allowed, losses = np.zeros((layers + 1, columns), dtype=bool), np.zeros((layers + 1, columns))
    allowed[[0, -1], 0] = True
    if settings:
        ratio[1:-1] = ratios_at_cuts(settings, layers - 1).T
        encode[1:-1] = [s.encode_s_per_byte for s in settings]
        decode[1:-1] = [s.decode_s_per_byte for s in settings]
        allowed[1:-1] = True
        losses[1:-1] = problem.compression.losses(settings, layers - 1).T
    sent_bits = 8 * cut_bytes[:, None] * ratio
    layer_s = problem.layer_seconds()
    elapsed = np.zeros((len(layer_s), layers + 1))
    np.cumsum(layer_s, axis=1, out=elapsed[:, 1:])
    return Costs(
        paper=paper,
        batches=problem.batches,
        most_cuts=problem.most_cuts,
        settings=tuple(settings),
        elapsed_s=elapsed,
        upload_s=float(8 * cut_bytes[0] / rate_bps[0]),
        link_s=sent_bits / rate_bps[1:, None, None],
        ground_s=float(8 * cut_bytes[-1] / rate_bps[-1]),
        encode_s=cut_bytes[:, None] * encode,
        decode_s=cut_bytes[:, None] * decode,
        allowed=allowed,
        first_start=_first_starts(problem),
        relays=np.array([s.may_relay for s in problem.satellites]),
        losses=losses,
        loss_budget=problem.compression.loss_budget,
        propagation_s=sum(link.propagation_s for link in problem.links),
    )


def _first_starts(problem: Problem) -> NDArray[np.intp]:
    held = memory_before(problem)
    rows = []
    for satellite in problem.satellites:
        free = satellite.memory_bytes - satellite.memory_overhead_bytes
        # Without room for even the overhead no start is early enough.
        fits = np.searchsorted(held, held - free, side="left")
        rows.append(fits if free >= 0 else np.full(len(held), len(held)))
    return np.array(rows)


def memory_before(problem: Problem) -> NDArray[np.float64]:
    """(L+1,) memory of layers 1..c; exact for whole bytes up to 2^53."""
    return np.concatenate([[0.0], np.cumsum(problem.model.layer_memory_bytes)])
