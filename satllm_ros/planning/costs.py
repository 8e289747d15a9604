"""A problem turned into arrays: what each choice of cuts and settings costs each resource."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from satllm_ros.planning.problem import Problem, Setting

# Accuracies are interpolated: a setting that meets the floor exactly must not fail by a rounding error.
ACCURACY_ROUNDING = 1e-12


@dataclass(frozen=True)
class Costs:
    """Times of one batch [s] and memory windows; cut c has c layers before it.

    Attributes
    ----------
    settings
        The Q settings worth choosing from, at any cut.
    elapsed_s
        (K, L+1) time satellite k needs for layers 1..c; a stage's layers cost the difference of two entries.
    link_s
        (K-1, L+1, Q) occupancy of each inter-satellite link by cut c under setting q.
    encode_s, decode_s
        (L+1, Q) time the sender and the receiver spend on cut c.
    first_start
        (K, L+1) the smallest start such that layers start+1..stop fit into satellite k's memory.
    """

    batches: int
    settings: tuple[Setting, ...]
    elapsed_s: np.ndarray
    upload_s: float
    link_s: np.ndarray
    ground_s: float
    encode_s: np.ndarray
    decode_s: np.ndarray
    first_start: np.ndarray
    propagation_s: float

    @property
    def satellites(self) -> int:
        """K."""
        return len(self.elapsed_s)

    @property
    def layers(self) -> int:
        """L."""
        return self.elapsed_s.shape[1] - 1

    def stage_times(self, cuts: Sequence[int], choice: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Comp and comm of every satellite.

        Parameters
        ----------
        cuts
            (K+1,) boundaries, from 0 to L.
        choice
            (K-1,) index into `settings` for each inner cut.

        Returns
        -------
        compute_s, link_s
            (K,) each: comp_k with decoding and encoding, and comm_k, the last one to the ground [s].
        """
        inner, setting = np.asarray(cuts[1:-1], dtype=int), np.asarray(choice, dtype=int)
        rows = np.arange(self.satellites)
        compute = self.elapsed_s[rows, cuts[1:]] - self.elapsed_s[rows, cuts[:-1]]
        compute[:-1] += self.encode_s[inner, setting]
        compute[1:] += self.decode_s[inner, setting]
        link = np.append(self.link_s[rows[:-1], inner, setting], self.ground_s)
        return compute, link


def usable_settings(problem: Problem) -> list[Setting]:
    """The settings that meet the accuracy floor."""
    floor = problem.compression.accuracy_min - ACCURACY_ROUNDING
    return [s for s in problem.compression.settings if s.accuracy >= floor]


def undominated(settings: Sequence[Setting]) -> list[Setting]:
    """Drop each setting that another one matches or beats in ratio, encoding and decoding time alike."""
    kept: list[Setting] = []
    for setting in sorted(settings, key=_price):
        if not any(all(a <= b for a, b in zip(_price(k), _price(setting), strict=True)) for k in kept):
            kept.append(setting)
    return kept


def _price(setting: Setting) -> tuple[float, float, float]:
    return setting.ratio, setting.encode_s_per_byte, setting.decode_s_per_byte


def tabulate(problem: Problem, settings: Sequence[Setting]) -> Costs:
    """Compute all times with comm = 8 bytes ratio / rate and comp = layers + decoding + encoding."""
    cut_bytes = np.asarray(problem.model.cut_bytes)
    rate_bps = np.array([link.rate_bps for link in problem.links])
    ratio, encode, decode = (np.array([_price(s)[i] for s in settings], dtype=float).reshape(-1) for i in range(3))
    layer_s = problem.layer_seconds()
    return Costs(
        batches=problem.batches,
        settings=tuple(settings),
        elapsed_s=np.pad(np.cumsum(layer_s, axis=1), ((0, 0), (1, 0))),
        upload_s=float(8 * cut_bytes[0] / rate_bps[0]),
        link_s=8 * cut_bytes[:, None] * ratio / rate_bps[1:-1, None, None],
        ground_s=float(8 * cut_bytes[-1] / rate_bps[-1]),
        encode_s=cut_bytes[:, None] * encode,
        decode_s=cut_bytes[:, None] * decode,
        first_start=_first_starts(problem),
        propagation_s=sum(link.propagation_s for link in problem.links),
    )


def _first_starts(problem: Problem) -> np.ndarray:
    held = memory_before(problem)
    rows = []
    for satellite in problem.satellites:
        free = satellite.memory_bytes - satellite.memory_overhead_bytes
        # Without room for even the overhead no start is early enough.
        fits = np.searchsorted(held, held - free, side="left")
        rows.append(fits if free >= 0 else np.full(len(held), len(held)))
    return np.array(rows)


def memory_before(problem: Problem) -> np.ndarray:
    """(L+1,) memory of layers 1..c; exact for whole bytes up to 2^53."""
    return np.concatenate([[0.0], np.cumsum(problem.model.layer_memory_bytes)])
