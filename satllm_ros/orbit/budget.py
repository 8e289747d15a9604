"""Link budgets: what a link carries before any margin, from the power that reaches its receiver.

Noise is thermal, k T B; the rate is Shannon's, B log2(1 + SNR). Optical inter-satellite links lose by the spread of the
beam, links to the ground by a log-distance law.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from satllm_ros.orbit.constants import BOLTZMANN, LIGHT_M_PER_S


class Divergence(Enum):
    """Whether a beam's divergence is the whole angle, or from its axis."""

    FULL = "full"
    HALF = "half"


class Beam(Enum):
    """How power is spread over the beam: evenly, or as a Gaussian whose edge is where it has fallen to 1/e^2."""

    TOPHAT = "tophat"
    GAUSSIAN = "gaussian"


@dataclass(frozen=True)
class OpticalLink:
    """A free-space optical link; `loss_db` is all that pointing and optics lose.

    The wavelength is there to be read: with the divergence given, nothing depends on it.
    """

    power_w: float
    wavelength_m: float
    divergence_rad: float
    divergence: Divergence
    beam: Beam
    aperture_m: float
    loss_db: float
    temperature_k: float
    bandwidth_hz: float
    range_m: float


@dataclass(frozen=True)
class RadioLink:
    """A link to the ground; path loss follows `exponent` from `reference_m` on."""

    frequency_hz: float
    bandwidth_hz: float
    power_dbm: float
    gain_tx_dbi: float
    gain_rx_dbi: float
    exponent: float
    reference_m: float
    temperature_k: float
    ranges_m: tuple[float, ...]


@dataclass(frozen=True)
class OpticalBudget:
    """What of an optical link arrives."""

    range_m: float
    received_w: float
    noise_w: float
    snr_db: float
    rate_bps: float


@dataclass(frozen=True)
class RadioBudget:
    """What of a radio link arrives over one range."""

    range_m: float
    path_loss_db: float
    received_dbm: float
    snr_db: float
    rate_bps: float


def noise_w(temperature_k: float, bandwidth_hz: float) -> float:
    """Thermal noise k T B [W] (Nyquist, 1928)."""
    return BOLTZMANN * temperature_k * bandwidth_hz


def shannon_bps(bandwidth_hz: float, snr: float) -> float:
    """Capacity B log2(1 + SNR) [bit/s] (Shannon, 1948)."""
    return bandwidth_hz * math.log2(1.0 + snr)


def captured(link: OpticalLink, range_m: float) -> float:
    """Share of a beam that the receiver's aperture takes.

    The beam's radius at range R is w = theta R, theta from its axis. Of an even one the aperture of radius a takes
    (a / w)^2, at most all; of a Gaussian one 1 - exp(-2 a^2 / w^2) (Saleh and Teich, Fundamentals of Photonics, 3.1).
    """
    half = link.divergence_rad / 2 if link.divergence is Divergence.FULL else link.divergence_rad
    ratio = (link.aperture_m / 2) / (half * range_m)
    return min(1.0, ratio**2) if link.beam is Beam.TOPHAT else -math.expm1(-2.0 * ratio**2)


def optical_budget(link: OpticalLink, range_m: float | None = None) -> OpticalBudget:
    """Budget of an optical link over its range, or another."""
    range_m = link.range_m if range_m is None else range_m
    received = link.power_w * captured(link, range_m) * 10.0 ** (-link.loss_db / 10.0)
    noise = noise_w(link.temperature_k, link.bandwidth_hz)
    snr = received / noise
    return OpticalBudget(range_m, received, noise, 10.0 * math.log10(snr), shannon_bps(link.bandwidth_hz, snr))


def path_loss_db(link: RadioLink, range_m: float) -> float:
    """20 log10(4 pi d0 f / c) + 10 n log10(R / d0) (Rappaport, Wireless Communications, 4.9)."""
    free_db = 20.0 * math.log10(4.0 * math.pi * link.reference_m * link.frequency_hz / LIGHT_M_PER_S)
    return free_db + 10.0 * link.exponent * math.log10(range_m / link.reference_m)


def radio_budget(link: RadioLink, range_m: float) -> RadioBudget:
    """Budget of a link to the ground over one range."""
    loss_db = path_loss_db(link, range_m)
    received_dbm = link.power_dbm + link.gain_tx_dbi + link.gain_rx_dbi - loss_db
    noise_dbm = 10.0 * math.log10(noise_w(link.temperature_k, link.bandwidth_hz)) + 30.0
    snr_db = received_dbm - noise_dbm
    rate_bps = shannon_bps(link.bandwidth_hz, 10.0 ** (snr_db / 10.0))
    return RadioBudget(range_m, loss_db, received_dbm, snr_db, rate_bps)
