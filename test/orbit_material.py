"""An orbit as its file says it, and the file of three that fly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from satllm_ros.orbit.document import read_orbit
from satllm_ros.orbit.scenario import Orbit

STATION = {
    "name": "station",
    "kind": "station",
    "latitude_deg": -53,
    "longitude_deg": 180,
    "altitude_m": 0,
    "elevation_deg": 50,
}
TARGET = STATION | {"name": "target", "kind": "target", "latitude_deg": 0, "longitude_deg": 0}
BUDGET: dict[str, Any] = {
    "isl": {
        "power_w": 10,
        "wavelength_m": 1550e-9,
        "divergence_rad": 50e-6,
        "divergence": "full",
        "beam": "tophat",
        "aperture_m": 0.1,
        "loss_db": 6,
        "temperature_k": 290,
        "bandwidth_hz": 0.5e9,
        "range_m": 3.56e6,
    },
    "s2g": {
        "frequency_hz": 40e9,
        "bandwidth_hz": 1e9,
        "power_dbm": 35,
        "gain_tx_dbi": 37,
        "gain_rx_dbi": 0,
        "exponent": 2.5,
        "reference_m": 1,
        "temperature_k": 290,
        "ranges_m": [500e3, 700e3],
    },
}


def document(**changes: Any) -> dict[str, Any]:
    """The paper's constellation (VI-A); keys of `orbit`, `walker` and the file itself are changed by name."""
    walker = {
        "total": 12,
        "planes": 1,
        "phasing": 0,
        "altitude_m": 500e3,
        "inclination_deg": 53,
        "raan_deg": 0,
        "argument_deg": 0,
    }
    orbit: dict[str, Any] = {
        "epoch": "2026-01-01T00:00:00Z",
        "duration_s": 86400,
        "propagator": "kepler",
        "earth": "sphere",
        "greenwich_deg": 0,
        "walker": walker,
        "grazing_altitude_m": 100e3,
        "isl_range_m": 5e6,
    }
    content: dict[str, Any] = {"orbit": orbit, "sites": [STATION, TARGET]}
    for key, value in changes.items():
        place = walker if key in walker else orbit if key in orbit or key == "tle" else content
        if value is None:
            del place[key]
        else:
            place[key] = value
    return content


def orbit(folder: Path = Path("."), **changes: Any) -> Orbit:
    return read_orbit(document(**changes), folder, "orbit.yaml")


SETS = {
    # From the verification of SGP4 by Vallado, Crawford, Hujsak and Kelso (2006), and from the sgp4 package.
    "iss": (
        "2019-12-09T17:00:00Z",
        "1 25544U 98067A   19343.69339541  .00001764  00000-0  38792-4 0  9991",
        "2 25544  51.6439 211.2001 0007417  17.6667  85.6398 15.50103472202482",
    ),
    "cbers": (
        "2006-06-26T20:00:00Z",
        "1 28057U 03049A   06177.78615833  .00000060  00000-0  35940-4 0  1836",
        "2 28057  98.4283 247.6961 0000884  88.1964 271.9322 14.35478080140550",
    ),
    "vanguard": (
        "2000-06-28T00:00:00Z",
        "1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753",
        "2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667",
    ),
}
