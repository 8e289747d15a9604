"""Sites on the turning Earth: where they are, and how high a satellite stands above their horizon."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from satllm_ros.orbit.constants import EARTH_FLATTENING, EARTH_RADIUS_M, EARTH_RATE
from satllm_ros.orbit.scenario import Earth, Site

Floats = npt.NDArray[np.float64]


def turned(positions: Floats, times_s: Floats, greenwich: float) -> Floats:
    """(…, 3) positions that turn with the Earth, of inertial ones at their times; `greenwich` is its angle at 0."""
    angle = greenwich + EARTH_RATE * times_s
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = positions[..., 0], positions[..., 1], positions[..., 2]
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)


def place(site: Site, earth: Earth) -> tuple[Floats, Floats]:
    """(3,) position of a site and (3,) its vertical, both turning with the Earth.

    On the sphere the vertical is geocentric. On the ellipsoid it is the normal, and the site is at (N + h) cos lat,
    (N (1 - e^2) + h) sin lat, with N = a / sqrt(1 - e^2 sin^2 lat).
    """
    latitude, longitude = math.radians(site.latitude_deg), math.radians(site.longitude_deg)
    up = np.array(
        [math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)]
    )
    if earth is Earth.SPHERE:
        return (EARTH_RADIUS_M + site.altitude_m) * up, up
    eccentricity2 = EARTH_FLATTENING * (2.0 - EARTH_FLATTENING)
    normal_m = EARTH_RADIUS_M / math.sqrt(1.0 - eccentricity2 * math.sin(latitude) ** 2)
    flat = np.array([1.0, 1.0, 1.0 - eccentricity2])
    return (normal_m * flat + site.altitude_m) * up, up


def elevations_deg(positions: Floats, site: Site, earth: Earth) -> Floats:
    """(…) elevation [deg] of positions that turn with the Earth."""
    here, up = place(site, earth)
    sight = positions - here
    sines: Floats = sight @ up / np.linalg.norm(sight, axis=-1)
    found: Floats = np.degrees(np.arcsin(np.clip(sines, -1.0, 1.0)))
    return found


def subsatellite_deg(positions: Floats) -> tuple[Floats, Floats]:
    """(…) geocentric latitude and longitude [deg] below positions that turn with the Earth."""
    x, y, z = positions[..., 0], positions[..., 1], positions[..., 2]
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))
