"""Circles of a Walker pattern, and how the Earth's bulge turns them: values worked out here."""

import math

import numpy as np
import pytest
from orbit_material import orbit

from satllm_ros.orbit.propagation import Circles, motion_of

A_M = 6_878_137.0


def circles(**changes: object) -> Circles:
    motion = motion_of(orbit(**changes))
    assert isinstance(motion, Circles)
    return motion


def test_a_ring_of_twelve_has_its_radius_its_spacing_and_its_period() -> None:
    ring = circles()
    assert ring.period_s == pytest.approx(2 * math.pi * math.sqrt(A_M**3 / 3.986004418e14))
    # 94.6 minutes, as every satellite in 500 km.
    assert ring.period_s / 60 == pytest.approx(94.6, abs=0.05)
    for time_s in (0.0, 1234.5, 86_400.0):
        positions = ring.positions(np.arange(12), np.full(12, time_s))
        assert np.linalg.norm(positions, axis=1) == pytest.approx(np.full(12, A_M))
        chords = np.linalg.norm(positions - np.roll(positions, 1, axis=0), axis=1)
        assert chords == pytest.approx(np.full(12, 2 * A_M * math.sin(math.radians(15))))
        # All in a plane of 53 degrees.
        normal = np.cross(positions[0], positions[3])
        assert math.degrees(math.acos(normal[2] / np.linalg.norm(normal))) == pytest.approx(53.0)
        assert positions @ normal == pytest.approx(np.zeros(12), abs=1e-3 * A_M**2)


def test_the_first_satellite_rises_through_its_node_at_the_epoch() -> None:
    (here,) = circles(raan_deg=30).positions(np.array([0]), np.array([0.0]))
    assert here == pytest.approx(A_M * np.array([math.cos(math.radians(30)), math.sin(math.radians(30)), 0.0]))
    (later,) = circles(raan_deg=30).positions(np.array([0]), np.array([60.0]))
    assert later[2] > 0
    (quarter,) = circles(argument_deg=90).positions(np.array([0]), np.array([0.0]))
    assert quarter[2] == pytest.approx(A_M * math.sin(math.radians(53)))


def test_planes_and_places_are_numbered_as_the_pattern_says() -> None:
    # 12/3/1: four a plane, planes 120 degrees apart, one plane ahead of the last by 30.
    pattern = circles(planes=3, phasing=1)
    assert np.degrees(pattern.node) == pytest.approx([0] * 4 + [120] * 4 + [240] * 4)
    expected = [0, 90, 180, 270, 30, 120, 210, 300, 60, 150, 240, 330]
    assert np.degrees(pattern.argument) == pytest.approx(expected)


def test_the_bulge_turns_the_plane_back_by_what_the_formula_says() -> None:
    turned = circles(propagator="j2")
    motion = math.sqrt(3.986004418e14 / A_M**3)
    k = 1.08262668e-3 * (6378.137 / 6878.137) ** 2
    cos = math.cos(math.radians(53))
    assert turned.node_rate == pytest.approx(-1.5 * motion * k * cos)
    # 4.6 degrees a day to the west; Vallado's figure 9-3 reads the same.
    assert math.degrees(turned.node_rate) * 86_400 == pytest.approx(-4.58, abs=0.03)
    u = motion * (1 + 1.5 * k * (1 - 1.5 * (1 - cos**2))) + 0.75 * motion * k * (5 * cos**2 - 1)
    assert turned.argument_rate == pytest.approx(u)
    assert circles().node_rate == 0.0


@pytest.mark.parametrize("inclination", [97.4])
def test_a_plane_that_follows_the_sun_turns_by_a_degree_a_day(inclination: float) -> None:
    turned = circles(propagator="j2", inclination_deg=inclination)
    assert math.degrees(turned.node_rate) * 86_400 == pytest.approx(360 / 365.2422, rel=0.01)
