"""Where satellites are: inertial positions [m], z along the Earth's axis.

Circular orbits are computed here; element sets by the sgp4 package. Neither precession nor nutation is modeled: the
frame is that of the epoch for circles, and TEME for SGP4, which Greenwich mean sidereal time turns into the Earth's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt

from satllm_ros.orbit.constants import EARTH_J2, EARTH_MU, EARTH_RADIUS_M, TURN
from satllm_ros.orbit.scenario import ElementSet, Orbit, Propagator, Walker

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_DAY_S = 86_400.0


class PropagationError(ValueError):
    """An element set that SGP4 cannot follow for so long; says which, and why."""


class Motion(Protocol):
    """The way of every satellite."""

    def positions(self, satellites: Indices, times_s: Floats) -> Floats:
        """(n, 3) positions of satellite k at time k."""
        ...

    @property
    def period_s(self) -> float:
        """Of the first satellite: from one ascending node to the next."""
        ...

    @property
    def semi_major_axis_m(self) -> float:
        """Of the first satellite."""
        ...

    @property
    def node_rate(self) -> float:
        """Drift of the first satellite's ascending node [rad/s]."""
        ...


@dataclass(frozen=True)
class Circles:
    """Circular orbits of one altitude and inclination.

    Attributes
    ----------
    node, argument
        (N,) right ascension of the ascending node and argument of latitude at time 0 [rad].
    argument_rate, node_rate
        [rad/s].
    """

    semi_major_axis_m: float
    inclination: float
    node: Floats
    argument: Floats
    argument_rate: float
    node_rate: float

    @classmethod
    def of(cls, walker: Walker, *, with_j2: bool) -> Circles:
        """The circles of a Walker pattern; with J2, they turn as its secular terms say (Vallado, 9.6)."""
        axis_m = EARTH_RADIUS_M + walker.altitude_m
        motion, inclination = math.sqrt(EARTH_MU / axis_m**3), math.radians(walker.inclination_deg)
        number = np.arange(walker.total)
        plane, place = number // walker.per_plane, number % walker.per_plane
        step = 360.0 / walker.total
        argument_rate, node_rate = motion, 0.0
        if with_j2:
            k = EARTH_J2 * (EARTH_RADIUS_M / axis_m) ** 2
            node_rate = -1.5 * motion * k * math.cos(inclination)
            argument_rate = motion * (1.0 + 1.5 * k * (1.0 - 1.5 * math.sin(inclination) ** 2))
            argument_rate += 0.75 * motion * k * (5.0 * math.cos(inclination) ** 2 - 1.0)
        return cls(
            axis_m,
            inclination,
            np.radians(walker.raan_deg + plane * 360.0 / walker.planes),
            np.radians(walker.argument_deg + place * step * walker.planes + plane * walker.phasing * step),
            argument_rate,
            node_rate,
        )

    def positions(self, satellites: Indices, times_s: Floats) -> Floats:
        node = self.node[satellites] + self.node_rate * times_s
        argument = self.argument[satellites] + self.argument_rate * times_s
        across = np.sin(argument) * math.cos(self.inclination)
        return self.semi_major_axis_m * np.stack(
            [
                np.cos(node) * np.cos(argument) - np.sin(node) * across,
                np.sin(node) * np.cos(argument) + np.cos(node) * across,
                np.sin(argument) * math.sin(self.inclination),
            ],
            axis=-1,
        )

    @property
    def period_s(self) -> float:
        return TURN / self.argument_rate


class ElementSets:
    """Satellites by SGP4.

    Raises
    ------
    PropagationError
        At once, if a set is none; from `positions`, if SGP4 gives up on it.
    """

    def __init__(self, elements: tuple[ElementSet, ...], epoch: datetime) -> None:
        # Only where element sets are used.
        from sgp4.api import Satrec, jday

        self._elements = elements
        self._satellites = []
        for element in elements:
            try:
                satellite = Satrec.twoline2rv(element.line1, element.line2)
            except ValueError as error:
                raise PropagationError(f"{element.name} is no two-line element set: {error}") from error
            self._satellites.append(satellite)
        second = epoch.second + epoch.microsecond / 1e6
        self._day, self._fraction = jday(epoch.year, epoch.month, epoch.day, epoch.hour, epoch.minute, second)

    def positions(self, satellites: Indices, times_s: Floats) -> Floats:
        satellites, times_s = np.broadcast_arrays(satellites, times_s)
        found = np.empty((*times_s.shape, 3))
        for number in np.unique(satellites):
            chosen = satellites == number
            fractions = self._fraction + times_s[chosen] / _DAY_S
            days = np.full(len(fractions), self._day)
            errors, kilometers, _ = self._satellites[number].sgp4_array(days, fractions)
            if errors.any():
                at = int(np.flatnonzero(errors)[0])
                raise PropagationError(
                    f"{self._elements[number].name} cannot be followed to {times_s[chosen][at]:.0f} s after the epoch: "
                    f"{_explained(int(errors[at]))}"
                )
            found[chosen] = 1000.0 * kilometers
        return found

    def ages_days(self) -> Floats:
        """(N,) how long before the epoch each set was made; negative: after it."""
        made: Floats = np.array([s.jdsatepoch + s.jdsatepochF for s in self._satellites])
        ages: Floats = self._day + self._fraction - made
        return ages

    @property
    def semi_major_axis_m(self) -> float:
        return float(self._satellites[0].a * self._satellites[0].radiusearthkm * 1000.0)

    @property
    def period_s(self) -> float:
        first = self._satellites[0]
        return 60.0 * TURN / float(first.mdot + first.argpdot)

    @property
    def node_rate(self) -> float:
        return float(self._satellites[0].nodedot) / 60.0


def _explained(error: int) -> str:
    from sgp4.api import SGP4_ERRORS

    return str(SGP4_ERRORS.get(error, f"error {error} of SGP4"))


def motion_of(orbit: Orbit) -> Motion:
    """The way of the satellites of an orbit.

    Raises
    ------
    PropagationError
        If an element set is none.
    """
    if orbit.walker is not None:
        return Circles.of(orbit.walker, with_j2=orbit.propagator is Propagator.J2)
    return ElementSets(orbit.elements, orbit.epoch)


def greenwich(orbit: Orbit) -> float:
    """Greenwich sidereal angle at the epoch [rad]: as given, or mean sidereal time (IAU 1982), UT1 taken as UTC."""
    if orbit.greenwich_deg is not None:
        return math.radians(orbit.greenwich_deg)
    from sgp4.api import jday
    from sgp4.propagation import gstime

    epoch = orbit.epoch
    second = epoch.second + epoch.microsecond / 1e6
    return float(gstime(sum(jday(epoch.year, epoch.month, epoch.day, epoch.hour, epoch.minute, second))))
