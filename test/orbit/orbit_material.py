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
