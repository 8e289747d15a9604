"""Reads the sections `orbit`, `sites` and `budget` of a constellation file, or of a file that has nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import Any, TypeVar

from satllm_ros.documents.section import DocumentError, Section
from satllm_ros.interfaces import MAX_CLOCK_SPEED, MIN_CLOCK_SPEED
from satllm_ros.orbit.budget import Beam, Divergence, OpticalLink, RadioLink
from satllm_ros.orbit.elements import read_elements
from satllm_ros.orbit.scenario import Earth, ElementSet, Orbit, Propagator, Site, SiteKind, Walker

MAX_SATELLITES = 10_000
MAX_DURATION_S = 366 * 86_400.0
MAX_ALTITUDE_M = 1e9
_LARGEST = 1e18
_Choice = TypeVar("_Choice", Earth, Propagator, SiteKind, Beam, Divergence)


@dataclass(frozen=True)
class Budget:
    """Links to reckon; None: not in the file."""

    isl: OpticalLink | None
    s2g: RadioLink | None


def read_orbit(content: Mapping[str, Any], folder: Path, name: str) -> Orbit:
    """The orbit of a file that was read, with its sites, and the names of satellites on slots if it has some.

    Parameters
    ----------
    folder
        Where a file of element sets lies, if it is named without one.
    name
        Of the file, for complaints.

    Raises
    ------
    DocumentError
        In one sentence, with what is allowed.
    """
    section = Section(name, dict(content)).section("orbit")
    propagator = _choice(section, "propagator", Propagator)
    walker, elements = _satellites(section, propagator, folder)
    orbit = Orbit(
        epoch=_epoch(section),
        duration_s=section.above("duration_s", MAX_DURATION_S),
        propagator=propagator,
        earth=_choice(section, "earth", Earth),
        greenwich_deg=section.number("greenwich_deg", -360.0, 360.0) if "greenwich_deg" in section.keys else None,
        walker=walker,
        elements=elements,
        grazing_altitude_m=section.number("grazing_altitude_m", 0.0, MAX_ALTITUDE_M),
        isl_range_m=section.above("isl_range_m", _LARGEST),
        sites=_sites(content, name),
        members=_members(content, walker.total if walker is not None else len(elements), name),
        speed=section.number("speed", MIN_CLOCK_SPEED, MAX_CLOCK_SPEED, 1.0),
    )
    section.refuse_unknown()
    return orbit


def read_budget(content: Mapping[str, Any], name: str) -> Budget:
    """The section `budget` of a file that was read.

    Raises
    ------
    DocumentError
        In one sentence, with what is allowed.
    """
    section = Section(name, dict(content)).section("budget")
    isl = _optical(section.section("isl")) if "isl" in section.keys else None
    s2g = _radio(section.section("s2g")) if "s2g" in section.keys else None
    section.refuse_unknown()
    if isl is None and s2g is None:
        raise DocumentError(f"{section.where} names no link; isl, s2g or both are needed")
    return Budget(isl, s2g)


def _choice(section: Section, key: str, kind: type[_Choice]) -> _Choice:
    return kind(section.choice(key, tuple(str(member.value) for member in kind)))


def _epoch(section: Section) -> datetime:
    value = section.value("epoch")
    if isinstance(value, str):
        try:
            # Python 3.10 knows no Z.
            value = datetime.fromisoformat(value.removesuffix("Z") + ("+00:00" if value.endswith("Z") else ""))
        except ValueError:
            value = None
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise DocumentError(
            f"{section.where}: epoch is {section.value('epoch')!r}; a date in UTC is needed, as 2026-01-01T00:00:00Z"
        )
    return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


def _satellites(section: Section, propagator: Propagator, folder: Path) -> tuple[Walker | None, tuple[ElementSet, ...]]:
    has_walker, has_elements = "walker" in section.keys, "tle" in section.keys
    if has_walker == has_elements:
        given = "both walker and tle" if has_walker else "neither walker nor tle"
        raise DocumentError(f"{section.where} has {given}; one of them is needed")
    wanted = "tle" if propagator is Propagator.SGP4 else "walker"
    if has_walker != (wanted == "walker"):
        raise DocumentError(
            f"{section.where}: propagator is {propagator.value} and satellites are given by "
            f"{'walker' if has_walker else 'tle'}; {propagator.value} needs {wanted}"
        )
    if has_elements:
        return None, read_elements(folder / section.text("tle"))
    return _walker(section.section("walker")), ()


def _walker(section: Section) -> Walker:
    total = section.integer("total", 1, MAX_SATELLITES)
    planes = section.integer("planes", 1, MAX_SATELLITES)
    if total % planes:
        raise DocumentError(
            f"{section.where}: {total} satellites are no whole number in each of {planes} planes; total must be a "
            "multiple of planes"
        )
    walker = Walker(
        total=total,
        planes=planes,
        phasing=section.integer("phasing", 0, planes - 1),
        altitude_m=section.above("altitude_m", MAX_ALTITUDE_M),
        inclination_deg=section.number("inclination_deg", 0.0, 180.0),
        raan_deg=section.number("raan_deg", -360.0, 360.0, 0.0),
        argument_deg=section.number("argument_deg", -360.0, 360.0, 0.0),
    )
    section.refuse_unknown()
    return walker


def _sites(content: Mapping[str, Any], name: str) -> tuple[Site, ...]:
    if "sites" not in content:
        return ()
    sites = []
    for section in Section(name, dict(content)).sections("sites"):
        sites.append(
            Site(
                name=section.text("name"),
                kind=_choice(section, "kind", SiteKind),
                latitude_deg=section.number("latitude_deg", -90.0, 90.0),
                longitude_deg=section.number("longitude_deg", -360.0, 360.0),
                altitude_m=section.number("altitude_m", -1_000.0, 10_000.0, 0.0),
                elevation_deg=section.number("elevation_deg", 0.0, 90.0),
            )
        )
        section.refuse_unknown()
    names = [site.name for site in sites]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise DocumentError(f"{name}: sites: {twice!r} is named twice; once is allowed")
    return tuple(sites)


def _members(content: Mapping[str, Any], total: int, name: str) -> dict[int, str]:
    """Satellite of the file on each slot of the constellation; those without a slot are on none."""
    given = content.get("satellites")
    members: dict[int, str] = {}
    for number, item in enumerate(given if isinstance(given, list) else []):
        if not isinstance(item, dict) or "slot" not in item:
            continue
        section = Section(f"{name}: satellites[{number}]", item)
        slot, satellite = section.integer("slot", 0, total - 1), section.text("name")
        if slot in members:
            raise DocumentError(
                f"{name}: satellites {members[slot]} and {satellite} are both on slot {slot}; one on each is allowed"
            )
        members[slot] = satellite
    return members


def _optical(section: Section) -> OpticalLink:
    link = OpticalLink(
        power_w=section.above("power_w", _LARGEST),
        wavelength_m=section.above("wavelength_m", 1.0),
        divergence_rad=section.above("divergence_rad", math.pi),
        divergence=_choice(section, "divergence", Divergence),
        beam=_choice(section, "beam", Beam),
        aperture_m=section.above("aperture_m", 1_000.0),
        loss_db=section.number("loss_db", 0.0, 1_000.0),
        temperature_k=section.above("temperature_k", _LARGEST),
        bandwidth_hz=section.above("bandwidth_hz", _LARGEST),
        range_m=section.above("range_m", _LARGEST),
    )
    section.refuse_unknown()
    return link


def _radio(section: Section) -> RadioLink:
    link = RadioLink(
        frequency_hz=section.above("frequency_hz", _LARGEST),
        bandwidth_hz=section.above("bandwidth_hz", _LARGEST),
        power_dbm=section.number("power_dbm", -1_000.0, 1_000.0),
        gain_tx_dbi=section.number("gain_tx_dbi", -1_000.0, 1_000.0),
        gain_rx_dbi=section.number("gain_rx_dbi", -1_000.0, 1_000.0),
        exponent=section.number("exponent", 0.0, 100.0),
        reference_m=section.above("reference_m", _LARGEST),
        temperature_k=section.above("temperature_k", _LARGEST),
        ranges_m=_ranges(section),
    )
    section.refuse_unknown()
    return link


def _ranges(section: Section) -> tuple[float, ...]:
    ranges_m = section.numbers("ranges_m", 0.0, _LARGEST)
    if 0.0 in ranges_m:
        raise DocumentError(f"{section.where}: ranges_m[{ranges_m.index(0.0)}] is 0; a number above 0 is needed")
    return ranges_m
