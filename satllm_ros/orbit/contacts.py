"""Who sees whom, and when: passes over sites, and windows of inter-satellite links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from satllm_ros.orbit.constants import EARTH_RADIUS_M
from satllm_ros.orbit.ground import elevations_deg, place, turned
from satllm_ros.orbit.propagation import Motion, greenwich, motion_of
from satllm_ros.orbit.scenario import Orbit, Site
from satllm_ros.orbit.windows import MOST_VALUES, Figure, Window, extremum, windows

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

# In the lowest orbit a satellite turns by one degree and a half in 20 s. Seen from another one it moves as fast at most
# twice over, but is in reach for minutes.
PASS_STEP_S, SIGHT_STEP_S = 20.0, 60.0


@dataclass(frozen=True)
class Pass:
    """A satellite stands above a site's least elevation; times in seconds from the epoch."""

    index: int
    site: str
    rise_s: float
    set_s: float
    max_elevation_deg: float


@dataclass(frozen=True)
class Sight:
    """Two satellites see each other, and are near enough."""

    from_index: int
    to_index: int
    start_s: float
    stop_s: float
    range_min_m: float
    range_max_m: float


class Geometry:
    """Figures of one orbit at any time: elevations, lengths, and what sight is blocked by."""

    def __init__(self, orbit: Orbit) -> None:
        self.orbit = orbit
        self.motion: Motion = motion_of(orbit)
        self._greenwich = greenwich(orbit)

    def on_earth(self, satellites: Indices, times_s: Floats) -> Floats:
        """(n, 3) positions that turn with the Earth [m]."""
        return turned(self.motion.positions(satellites, times_s), times_s, self._greenwich)

    def elevation_deg(self, site: Site, satellites: Indices, times_s: Floats) -> Floats:
        """(n,) elevation [deg] of satellite k at time k."""
        return elevations_deg(self.on_earth(satellites, times_s), site, self.orbit.earth)

    def site_range_m(self, site: Site, satellites: Indices, times_s: Floats) -> Floats:
        """(n,) distance of satellite k from a site at time k [m]."""
        here, _ = place(site, self.orbit.earth)
        lengths: Floats = np.linalg.norm(self.on_earth(satellites, times_s) - here, axis=-1)
        return lengths

    def range_m(self, ones: Indices, others: Indices, times_s: Floats) -> Floats:
        """(n,) distance of two satellites each [m]."""
        apart = self.motion.positions(others, times_s) - self.motion.positions(ones, times_s)
        lengths: Floats = np.linalg.norm(apart, axis=-1)
        return lengths

    def margin_m(self, ones: Indices, others: Indices, times_s: Floats) -> Floats:
        """(n,) how much higher and shorter than it must be a line of sight is [m]; below 0 there is no link.

        Of the segment from a to b, the point nearest the Earth's center is a + u (b - a), with
        u = -a (b - a) / |b - a|^2 between 0 and 1.
        """
        a, b = self.motion.positions(ones, times_s), self.motion.positions(others, times_s)
        along = b - a
        length2 = np.maximum(np.sum(along * along, axis=-1), np.finfo(float).tiny)
        nearest = np.clip(-np.sum(a * along, axis=-1) / length2, 0.0, 1.0)
        height_m = np.linalg.norm(a + nearest[..., None] * along, axis=-1) - EARTH_RADIUS_M
        margins: Floats = np.minimum(
            height_m - self.orbit.grazing_altitude_m, self.orbit.isl_range_m - np.sqrt(length2)
        )
        return margins


def passes(geometry: Geometry, duration_s: float) -> list[Pass]:
    """Every pass of every satellite over every site, targets too; by rise.

    Raises
    ------
    PropagationError
        If an element set cannot be followed for so long.
    """
    found = [row for site in geometry.orbit.sites for row in _over(geometry, site, duration_s)]
    return sorted(found, key=lambda row: (row.rise_s, row.index, row.site))


def _over(geometry: Geometry, site: Site, duration_s: float) -> Iterable[Pass]:
    def above(satellites: Indices, times_s: Floats) -> Floats:
        return geometry.elevation_deg(site, satellites, times_s) - site.elevation_deg

    seen = windows(above, geometry.orbit.satellites, duration_s, PASS_STEP_S)
    _, tops = _extremes(above, seen, PASS_STEP_S)
    for window, top in zip(seen, tops, strict=True):
        yield Pass(window.lane, site.name, window.start_s, window.stop_s, float(top) + site.elevation_deg)


def sights(geometry: Geometry, duration_s: float, *, within_planes: bool = False) -> list[Sight]:
    """Every window of every pair of satellites, once (from_index < to_index); by pair, then by time.

    Parameters
    ----------
    within_planes
        Only pairs of one plane; all are of one where the orbit has no planes.

    Raises
    ------
    PropagationError
        If an element set cannot be followed for so long.
    """
    planes = geometry.orbit.planes() if within_planes else None
    pairs = [
        (a, b) for a, b in combinations(range(geometry.orbit.satellites), 2) if planes is None or planes[a] == planes[b]
    ]
    if not pairs:
        return []
    ones, others = np.array(pairs).T

    def margin(lanes: Indices, times_s: Floats) -> Floats:
        return geometry.margin_m(ones[lanes], others[lanes], times_s)

    def length(lanes: Indices, times_s: Floats) -> Floats:
        return geometry.range_m(ones[lanes], others[lanes], times_s)

    seen = windows(margin, len(pairs), duration_s, SIGHT_STEP_S)
    shortest, longest = _extremes(length, seen, SIGHT_STEP_S)
    return [
        Sight(*pairs[window.lane], window.start_s, window.stop_s, float(low), float(high))
        for window, low, high in zip(seen, shortest, longest, strict=True)
    ]


def _extremes(figure: Figure, seen: Sequence[Window], step_s: float) -> tuple[Floats, Floats]:
    """(n,) least and (n,) greatest figure within each window: its best looks, looked at closely."""
    lanes = np.array([window.lane for window in seen], dtype=np.intp)
    starts = np.array([window.start_s for window in seen])
    lengths = np.array([window.stop_s for window in seen]) - starts
    looks = np.maximum(2, np.ceil(lengths / step_s)).astype(np.intp) + 1
    found = np.empty((2, len(seen)))
    for part in _parts(looks):
        count, step = looks[part], lengths[part] / (looks[part] - 1)
        begins = np.cumsum(count) - count
        number = np.arange(count.sum()) - np.repeat(begins, count)
        times = np.repeat(starts[part], count) + number * np.repeat(step, count)
        values = figure(np.repeat(lanes[part], count), times)
        for row, sign in enumerate((-1.0, 1.0)):
            tops = np.maximum.reduceat(sign * values, begins)
            # The first of equals: of a circle that is seen all along, any will do.
            highest = np.flatnonzero(sign * values == np.repeat(tops, count))
            place = number[highest[np.searchsorted(highest, begins)]]
            low = starts[part] + np.maximum(place - 1, 0) * step
            high = starts[part] + np.minimum(place + 1, count - 1) * step
            _, closer = extremum(figure, lanes[part], low, high, sign)
            found[row, part] = sign * np.maximum(tops, sign * closer)
    return found[0], found[1]


def _parts(looks: Indices) -> Iterator[slice]:
    """Windows that are looked at together, so that memory is bounded."""
    first, total = 0, 0
    for k, count in enumerate(looks):
        if total and total + count > MOST_VALUES:
            yield slice(first, k)
            first, total = k, 0
        total += int(count)
    if total:
        yield slice(first, len(looks))
