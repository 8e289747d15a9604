"""Link budgets by values worked out here: the paper's links (VI-A3)."""

import math
from dataclasses import replace

import pytest

from satllm_ros.orbit.budget import (
    Beam,
    Divergence,
    OpticalLink,
    RadioLink,
    captured,
    optical_budget,
    path_loss_db,
    radio_budget,
)

ISL = OpticalLink(10.0, 1550e-9, 50e-6, Divergence.FULL, Beam.TOPHAT, 0.10, 6.0, 290.0, 0.5e9, 3_560_386.0)
S2G = RadioLink(40e9, 1e9, 35.0, 37.0, 0.0, 2.5, 1.0, 290.0, (500e3, 700e3))


def test_an_even_beam_gives_the_aperture_its_share_of_the_spot() -> None:
    # The spot is 50 urad x 3560 km = 178 m across; of it a mirror of 10 cm takes (0.1 / 178)^2.
    assert captured(ISL, ISL.range_m) == pytest.approx((0.1 / 178.0193) ** 2, rel=1e-6)
    # From the axis it is twice as wide, so that a fourth arrives.
    assert captured(replace(ISL, divergence=Divergence.HALF), ISL.range_m) == pytest.approx((0.1 / 356.0386) ** 2)
    assert captured(ISL, 100.0) == 1.0


def test_of_a_narrow_part_of_a_gaussian_beam_twice_as_much_arrives() -> None:
    gaussian = replace(ISL, beam=Beam.GAUSSIAN)
    assert captured(gaussian, ISL.range_m) == pytest.approx(2 * captured(ISL, ISL.range_m), rel=1e-5)
    # At the edge, 1/e^2 is outside.
    assert captured(gaussian, 0.1 / 50e-6) == pytest.approx(1 - math.exp(-2))


def test_the_optical_link_of_the_paper() -> None:
    found = optical_budget(ISL)
    received = 10.0 * (0.1 / 178.0193) ** 2 / 10**0.6
    noise = 1.380649e-23 * 290 * 0.5e9
    assert (found.received_w, found.noise_w) == pytest.approx((received, noise), rel=1e-6)
    assert found.snr_db == pytest.approx(10 * math.log10(received / noise))
    assert found.rate_bps == pytest.approx(0.5e9 * math.log2(1 + received / noise))
    assert optical_budget(ISL, 1e6).range_m == 1e6


def test_the_radio_link_of_the_paper() -> None:
    # 40 GHz over one meter: 64.5 dB; 25 dB a decade from there.
    assert path_loss_db(S2G, 1.0) == pytest.approx(64.489, abs=1e-3)
    assert path_loss_db(S2G, 500e3) == pytest.approx(64.489 + 25 * math.log10(500e3), abs=1e-3)
    found = radio_budget(S2G, 500e3)
    assert found.received_dbm == pytest.approx(35 + 37 - found.path_loss_db)
    noise_dbm = 10 * math.log10(1.380649e-23 * 290 * 1e9) + 30
    assert found.snr_db == pytest.approx(found.received_dbm - noise_dbm)
    assert found.rate_bps == pytest.approx(1e9 * math.log2(1 + 10 ** (found.snr_db / 10)))
