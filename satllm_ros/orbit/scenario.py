"""What flies over what: satellites on their orbits, sites on the ground, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class Propagator(Enum):
    """How satellites move: on circles, on circles that the Earth's bulge turns, or by SGP4 from element sets."""

    KEPLER = "kepler"
    J2 = "j2"
    SGP4 = "sgp4"


class Earth(Enum):
    """Shape of the Earth for sites: a sphere, or the ellipsoid of WGS 84."""

    SPHERE = "sphere"
    WGS84 = "wgs84"


class SiteKind(Enum):
    """What a site is there for: it hears satellites, or is looked at by them."""

    STATION = "station"
    TARGET = "target"


@dataclass(frozen=True)
class Walker:
    """A Walker delta pattern i: T/P/F of circular orbits (Walker, 1984).

    Satellite n = p (T/P) + i, of plane p and place i, has at the epoch the right ascension raan + p 360/P and the
    argument of latitude argument + i 360 P/T + p F 360/T.
    """

    total: int
    planes: int
    phasing: int
    altitude_m: float
    inclination_deg: float
    raan_deg: float = 0.0
    argument_deg: float = 0.0

    @property
    def per_plane(self) -> int:
        return self.total // self.planes


@dataclass(frozen=True)
class ElementSet:
    """A two-line element set, as it stands in its file."""

    name: str
    line1: str
    line2: str


@dataclass(frozen=True)
class Site:
    """A place on the ground that sees satellites above `elevation_deg`.

    Latitude and height are geocentric on the sphere, geodetic on the ellipsoid.
    """

    name: str
    kind: SiteKind
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    elevation_deg: float


@dataclass(frozen=True)
class Orbit:
    """Everything that geometry needs.

    Attributes
    ----------
    epoch
        Time 0, in UTC.
    greenwich_deg
        Greenwich sidereal angle at the epoch; None: the true one.
    walker, elements
        Where the satellites are: one of both.
    grazing_altitude_m, isl_range_m
        An inter-satellite link needs a line of sight at least so high above the Earth, and at most so long.
    members
        Name of the satellite on each slot that the file gives one.
    speed
        Seconds of a flight's clock in a real one.
    """

    epoch: datetime
    duration_s: float
    propagator: Propagator
    earth: Earth
    greenwich_deg: float | None
    walker: Walker | None
    elements: tuple[ElementSet, ...]
    grazing_altitude_m: float
    isl_range_m: float
    sites: tuple[Site, ...] = ()
    members: dict[int, str] = field(default_factory=dict)
    speed: float = 1.0

    @property
    def satellites(self) -> int:
        return self.walker.total if self.walker is not None else len(self.elements)

    def planes(self) -> list[int] | None:
        """Plane of each satellite; None where nobody has said."""
        if self.walker is None:
            return None
        return [n // self.walker.per_plane for n in range(self.walker.total)]
