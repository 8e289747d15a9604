"""Passes and inter-satellite windows against a scan, second by second, with geometry written down here once more."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from orbit_material import SETS, STATION, TARGET, orbit
from skyfield import api

from satllm_ros.orbit.contacts import Geometry, passes, sights

Floats = npt.NDArray[np.float64]
HOURS = 6
SECONDS = np.arange(0.0, HOURS * 3600 + 1)


def turn_z(angle: Floats, vector: Floats) -> Floats:
    c, s = np.cos(angle), np.sin(angle)
    return np.stack(
        [c * vector[..., 0] - s * vector[..., 1], s * vector[..., 0] + c * vector[..., 1], vector[..., 2]], -1
    )


def inertial(raan_deg: float, argument_deg: float, inclination_deg: float, altitude_m: float, *, j2: bool) -> Floats:
    """(T, 3) positions at whole seconds: a circle in the equator, tilted about x, turned to its node."""
    a = 6_378_137.0 + altitude_m
    n, i = math.sqrt(3.986004418e14 / a**3), math.radians(inclination_deg)
    node_rate, rate = 0.0, n
    if j2:
        k = 1.08262668e-3 * (6_378_137.0 / a) ** 2
        node_rate = -1.5 * n * k * math.cos(i)
        rate = n * (1 + 1.5 * k * (1 - 1.5 * math.sin(i) ** 2)) + 0.75 * n * k * (5 * math.cos(i) ** 2 - 1)
    u = math.radians(argument_deg) + rate * SECONDS
    flat = a * np.stack([np.cos(u), np.sin(u) * math.cos(i), np.sin(u) * math.sin(i)], -1)
    return turn_z(math.radians(raan_deg) + node_rate * SECONDS, flat)


def edges(inside: npt.NDArray[np.bool_]) -> list[tuple[float, float]]:
    """First and last second of each run."""
    change = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(int)))
    return [(SECONDS[a], SECONDS[b - 1]) for a, b in zip(change[::2], change[1::2], strict=True)]


def within_a_second(found: list[tuple[float, float]], scanned: list[tuple[float, float]]) -> bool:
    return len(found) == len(scanned) and all(
        0 <= first - start < 1.0001 and 0 <= stop - last < 1.0001
        for (start, stop), (first, last) in zip(found, scanned, strict=True)
    )


@pytest.mark.parametrize("propagator", ["kepler", "j2"])
def test_passes_are_those_of_a_scan(propagator: str) -> None:
    sites = [STATION | {"elevation_deg": 10}, TARGET | {"elevation_deg": 20}]
    over = orbit(propagator=propagator, planes=3, phasing=1, greenwich_deg=77, sites=sites)
    rows = passes(Geometry(over), HOURS * 3600)
    scanned = 0
    for n in range(12):
        at = inertial(n // 4 * 120, n % 4 * 90 + n // 4 * 30, 53, 500e3, j2=propagator == "j2")
        turned = turn_z(-(math.radians(77) + 7.292115e-5 * SECONDS), at)
        for site in sites:
            latitude, longitude = math.radians(float(site["latitude_deg"])), math.radians(float(site["longitude_deg"]))
            up = np.array(
                [
                    math.cos(latitude) * math.cos(longitude),
                    math.cos(latitude) * math.sin(longitude),
                    math.sin(latitude),
                ]
            )
            sight = turned - 6_378_137.0 * up
            elevation = np.degrees(np.arcsin(sight @ up / np.linalg.norm(sight, axis=1)))
            windows = edges(elevation >= float(site["elevation_deg"]))
            mine = [row for row in rows if row.index == n and row.site == site["name"]]
            assert within_a_second([(row.rise_s, row.set_s) for row in mine], windows)
            for row, (first, last) in zip(mine, windows, strict=True):
                # Overhead it changes by almost a degree a second.
                assert 0 <= row.max_elevation_deg - elevation[int(first) : int(last) + 1].max() < 0.5
            scanned += len(windows)
    assert scanned == len(rows) > 10


@pytest.mark.parametrize("propagator", ["kepler", "j2"])
def test_sights_are_those_of_a_scan(propagator: str) -> None:
    over = orbit(propagator=propagator, total=6, planes=3, phasing=1, isl_range_m=4.4e6, grazing_altitude_m=300e3)
    rows = sights(Geometry(over), HOURS * 3600)
    at = [inertial(n // 2 * 120, n % 2 * 180 + n // 2 * 60, 53, 500e3, j2=propagator == "j2") for n in range(6)]
    scanned = 0
    for a in range(6):
        for b in range(a + 1, 6):
            length = np.linalg.norm(at[a] - at[b], axis=1)
            # The lowest of many points between the two.
            share = np.linspace(0, 1, 201)[:, None, None]
            lowest = np.min(np.linalg.norm((1 - share) * at[a][None, ::10] + share * at[b][None, ::10], axis=2), axis=0)
            middle = np.linalg.norm((at[a] + at[b]) / 2, axis=1)
            # Of two on circles of one radius the nearest point is the middle.
            assert lowest == pytest.approx(middle[::10], rel=1e-4)
            windows = edges((length <= 4.4e6) & (middle >= 6_378_137.0 + 300e3))
            mine = [row for row in rows if (row.from_index, row.to_index) == (a, b)]
            assert within_a_second([(row.start_s, row.stop_s) for row in mine], windows)
            for row, (first, last) in zip(mine, windows, strict=True):
                there = length[int(first) : int(last) + 1]
                assert row.range_min_m == pytest.approx(there.min(), abs=10e3)
                assert row.range_max_m == pytest.approx(there.max(), abs=10e3)
            scanned += len(windows)
    assert scanned == len(rows) > 10


def test_neighbors_of_a_ring_see_each_other_always_and_others_never() -> None:
    rows = sights(Geometry(orbit()), 86_400)
    assert {(r.from_index, r.to_index) for r in rows} == {(n, n + 1) for n in range(11)} | {(0, 11)}
    assert {(r.start_s, r.stop_s) for r in rows} == {(0.0, 86_400.0)}
    assert rows[0].range_min_m == pytest.approx(2 * 6_878_137 * math.sin(math.radians(15)))
    assert not sights(Geometry(orbit(isl_range_m=3.5e6)), 86_400)


def test_pairs_of_one_plane_alone() -> None:
    rows = sights(Geometry(orbit(total=24, planes=2)), 3_600, within_planes=True)
    assert {(r.from_index // 12, r.to_index // 12) for r in rows} == {(0, 0), (1, 1)}


def test_a_site_on_the_ellipsoid_is_where_geodesy_has_it() -> None:
    # Straight above a place at 45 degrees north (geodetic) is 90 degrees of elevation there, and less at the
    # geocentric place: the two verticals are 0.19 degrees apart.
    from satllm_ros.orbit.ground import elevations_deg, place
    from satllm_ros.orbit.scenario import Earth, Site, SiteKind

    site = Site("here", SiteKind.STATION, 45.0, 10.0, 0.0, 0.0)
    here, up = place(site, Earth.WGS84)
    # Of WGS 84 at 45 degrees: 4 517 590.9 m from the axis, 4 487 348.4 m above the equator.
    assert (np.hypot(here[0], here[1]), here[2]) == pytest.approx((4_517_590.88, 4_487_348.41), abs=0.01)
    above = here + 500e3 * up
    assert elevations_deg(above, site, Earth.WGS84) == pytest.approx(90.0, abs=1e-4)
    assert elevations_deg(above, site, Earth.SPHERE) < 89.0


@pytest.mark.parametrize("name", SETS)
def test_passes_of_element_sets_are_those_of_skyfield(name: str, tmp_path: Path) -> None:
    epoch, *lines = SETS[name]
    (tmp_path / "sets.tle").write_text("\n".join([name, *lines]) + "\n")
    sites = [
        STATION | {"name": "berlin", "latitude_deg": 52.5, "longitude_deg": 13.4, "altitude_m": 40, "elevation_deg": 5},
        STATION
        | {"name": "quito", "latitude_deg": -0.2, "longitude_deg": -78.5, "altitude_m": 2850, "elevation_deg": 10},
    ]
    given = {"propagator": "sgp4", "earth": "wgs84", "greenwich_deg": None, "walker": None, "tle": "sets.tle"}
    over = orbit(tmp_path, epoch=epoch, sites=sites, **given)
    rows = passes(Geometry(over), 86_400)
    scale = api.load.timescale(builtin=True)
    begin = scale.from_datetime(over.epoch)
    end = scale.tt_jd(begin.tt + 1.0)
    satellite = api.EarthSatellite(*lines, name, scale)
    compared = 0
    for site in sites:
        there = api.wgs84.latlon(site["latitude_deg"], site["longitude_deg"], site["altitude_m"])
        times, events = satellite.find_events(there, begin, end, altitude_degrees=float(site["elevation_deg"]))
        at = [(float(t.tt - begin.tt) * 86_400, int(e)) for t, e in zip(times, events, strict=True)]
        rises, falls = [t for t, e in at if e == 0], [t for t, e in at if e == 2]
        # Passes that are on at the beginning or the end are cut by us and told in part by skyfield.
        pairs = [(rise, next((f for f in falls if f > rise), math.inf)) for rise in rises]
        whole = [(rise, fall) for rise, fall in pairs if fall - rise > 20 and math.isfinite(fall)]
        mine = [(r.rise_s, r.set_s) for r in rows if r.site == site["name"] and 0 < r.rise_s and r.set_s < 86_400]
        mine = [(rise, fall) for rise, fall in mine if fall - rise > 20]
        assert len(mine) == len(whole)
        for (rise, fall), (their_rise, their_fall) in zip(mine, whole, strict=True):
            assert (rise, fall) == pytest.approx((their_rise, their_fall), abs=1.0)
        compared += len(whole)
    assert compared > 2
