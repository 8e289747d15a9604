"""The contact plan of those that fly: of every directed pair, from their places on the orbit and over the stations.

Who has a slot is aboard that satellite of the constellation; whoever has none is the ground, which hears with whichever
station sees. Rate and range are looked at once in `SAMPLE_S` from the epoch on and hold until the next look.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from satllm_ros.orbit.contact_plan import Contact
from satllm_ros.orbit.contacts import PASS_STEP_S, SIGHT_STEP_S, Geometry
from satllm_ros.orbit.scenario import Site, SiteKind
from satllm_ros.orbit.windows import windows

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Pair = tuple[str, str]
# Rate [bit/s] from the one to the other over a range [m].
RateOf = Callable[[str, str, float], float]

# The paper's step (VI-A).
SAMPLE_S = 15.0
# Figures that differ by less are the same: a ring's ranges are constant but for rounding.
_SAME = 1e-9
# Slots of a pair; None stands for the ground.
_Ends = tuple[int, int | None]


def fleet_contacts(
    geometry: Geometry, slots: Mapping[str, int], pairs: Iterable[Pair], rate_of: RateOf, duration_s: float
) -> list[Contact]:
    """Every contact of these directed pairs, by start.

    Parameters
    ----------
    slots
        Slot of every member that flies.
    rate_of
        Is asked for each look.

    Raises
    ------
    PropagationError
        If an element set cannot be followed for so long.
    """
    pairs = list(pairs)
    ends = {pair: _ends(*(slots.get(name) for name in pair)) for pair in pairs}
    looks = _Looks(geometry, duration_s)
    seen = looks.windows(sorted(set(ends.values()), key=lambda end: (end[0], -1 if end[1] is None else end[1])))
    found = []
    for sender, receiver in pairs:
        for start_s, stop_s in seen[ends[sender, receiver]]:
            if not start_s < stop_s:
                continue
            times_s, ranges_m = looks.sampled(ends[sender, receiver], start_s, stop_s)
            rows = [
                Contact(sender, receiver, begin_s, end_s, rate_of(sender, receiver, range_m), range_m)
                for begin_s, end_s, range_m in zip(times_s[:-1], times_s[1:], ranges_m, strict=True)
            ]
            found += _joined(rows)
    return sorted(found, key=lambda row: (row.start_s, row.sender, row.receiver))


def earliest_arrival_s(contacts: Sequence[Contact], source: str, target: str) -> float | None:
    """When something that is at the source at time 0 can be at the target, however small it is; None: never."""
    arrivals = {source: 0.0}
    is_settled = False
    while not is_settled:
        is_settled = True
        for contact in contacts:
            there_s = max(arrivals.get(contact.sender, math.inf), contact.start_s)
            if there_s < contact.stop_s and there_s < arrivals.get(contact.receiver, math.inf):
                arrivals[contact.receiver] = there_s
                is_settled = False
    return arrivals.get(target)


def _ends(one: int | None, other: int | None) -> _Ends:
    """The same for both directions."""
    known = sorted(slot for slot in (one, other) if slot is not None)
    return (known[0], known[1] if len(known) == 2 else None)


class _Looks:
    """Windows and ranges of pairs of slots, and of slots and the ground."""

    def __init__(self, geometry: Geometry, duration_s: float) -> None:
        self._geometry, self._duration_s = geometry, duration_s
        self._stations = [site for site in geometry.orbit.sites if site.kind is SiteKind.STATION]

    def windows(self, ends: Sequence[_Ends]) -> dict[_Ends, list[tuple[float, float]]]:
        found: dict[_Ends, list[tuple[float, float]]] = {end: [] for end in ends}
        for end in ends:
            if end[0] == end[1]:
                found[end].append((0.0, self._duration_s))
        apart = [(one, other) for one, other in ends if other is not None and one != other]
        ones, others = (np.array([end[k] for end in apart], dtype=np.intp) for k in (0, 1))

        def margin(lanes: Indices, times_s: Floats) -> Floats:
            return self._geometry.margin_m(ones[lanes], others[lanes], times_s)

        low = np.array([one for one, other in ends if other is None], dtype=np.intp)

        def above(lanes: Indices, times_s: Floats) -> Floats:
            heights: Floats = self._margins_deg(low[lanes], times_s).max(axis=0)
            return heights

        if apart:
            for window in windows(margin, len(apart), self._duration_s, SIGHT_STEP_S):
                found[apart[window.lane]].append((window.start_s, window.stop_s))
        if len(low) and self._stations:
            for window in windows(above, len(low), self._duration_s, PASS_STEP_S):
                found[int(low[window.lane]), None].append((window.start_s, window.stop_s))
        return found

    def sampled(self, ends: _Ends, start_s: float, stop_s: float) -> tuple[list[float], list[float]]:
        """Edges of the steps within a window, and the range at the start of each, which may be before the window."""
        first, last = math.floor(start_s / SAMPLE_S), math.ceil(stop_s / SAMPLE_S)
        looks: Floats = SAMPLE_S * np.arange(first, max(last, first + 1), dtype=np.float64)
        edges = [start_s, *looks[1:].tolist(), stop_s]
        ones = np.full(len(looks), ends[0], dtype=np.intp)
        if ends[1] is None:
            return edges, self._to_ground_m(ones, looks).tolist()
        return edges, self._geometry.range_m(ones, np.full_like(ones, ends[1]), looks).tolist()

    def _to_ground_m(self, satellites: Indices, times_s: Floats) -> Floats:
        """(n,) range to the nearest station that sees; where none does yet, to the one that will first."""
        margins = self._margins_deg(satellites, times_s)
        ranges = np.stack([self._geometry.site_range_m(site, satellites, times_s) for site in self._stations])
        nearest: Floats = np.where(margins >= np.minimum(0.0, margins.max(axis=0)), ranges, np.inf).min(axis=0)
        return nearest

    def _margins_deg(self, satellites: Indices, times_s: Floats) -> Floats:
        """(stations, n) degrees above each station's least elevation."""

        def above(site: Site) -> Floats:
            return self._geometry.elevation_deg(site, satellites, times_s) - site.elevation_deg

        return np.stack([above(site) for site in self._stations])


def _joined(rows: Sequence[Contact]) -> list[Contact]:
    """The same contacts, those one that differ in nothing but their times."""
    joined: list[Contact] = []
    for row in rows:
        last = joined[-1] if joined else None
        if last is not None and _is_same(last.rate_bps, row.rate_bps) and _is_same(last.range_m, row.range_m):
            joined[-1] = Contact(last.sender, last.receiver, last.start_s, row.stop_s, last.rate_bps, last.range_m)
        else:
            joined.append(row)
    return joined


def _is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_SAME)
