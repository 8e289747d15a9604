"""Masks and transforms from sample activations and from what the model's answer reacts to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from satllm_ros.compression.calibration.channel_statistics import ChannelStatistics
from satllm_ros.compression.calibration.digit_counts import DigitCounts
from satllm_ros.compression.calibration.sensitivity import Sensitivity
from satllm_ros.compression.calibration.transform import (
    ChannelTransform,
    channel_transform,
    quarter_octaves,
    token_transform,
)
from satllm_ros.compression.codecs.klt import quantize, step_scale
from satllm_ros.compression.coding.rans import CLASSES, LARGEST_DIGIT, table_of
from satllm_ros.compression.tables.coefficient_tables import CoefficientTables
from satllm_ros.compression.tables.cut_tables import TOKEN_UNIT, CutTables

Batches = Callable[[], Iterable[Mapping[int, NDArray[np.float32]]]]
# The symbol tables are made for steps from 8 to 24, two octaves around the usual one.
_COUNTED_STEPS = (8, 16, 24)
# Coefficients too small to be sent at this step are not kept.
_FINEST_KEPT_STEP = 4


@dataclass(eq=False)
class _Moments:
    """Sums over images: elements (S, D), and products of channels over patch tokens and over the others."""

    elements: ChannelStatistics
    patch_products: NDArray[np.float64]
    prefix_products: NDArray[np.float64]


@dataclass(eq=False)
class _Group:
    """The transform of one group of tokens, still float."""

    channels: ChannelTransform
    tokens: NDArray[np.float64]
    std: NDArray[np.float64]


def calibrate_tables(
    batches: Batches, sensitivity: Mapping[int, Sensitivity], prefix_tokens: int
) -> tuple[dict[int, CutTables], CoefficientTables]:
    """Tables of all cuts that the samples show, and what they share.

    Parameters
    ----------
    batches
        Gives, each time it is called, the same batches: the activation float32 (N, S, D) by cut. Called four times.
    prefix_tokens : int
        P, number of class and register tokens, which come first.
    """
    moments = _moments(batches, prefix_tokens)
    groups = {cut: _groups(found, sensitivity[cut], prefix_tokens) for cut, found in moments.items()}
    spreads = _decorrelate_tokens(batches, moments, groups, prefix_tokens)
    _measure_std(batches, moments, groups, prefix_tokens)
    coefficients = _count(batches, moments, groups, prefix_tokens)
    tables = {cut: _tables(moments[cut], groups[cut], sensitivity[cut], spreads[cut], prefix_tokens) for cut in moments}
    return tables, coefficients


def _moments(batches: Batches, prefix_tokens: int) -> dict[int, _Moments]:
    found: dict[int, _Moments] = {}
    for batch in batches():
        for cut, activation in batch.items():
            width = activation.shape[2]
            if cut not in found:
                found[cut] = _Moments(ChannelStatistics(), np.zeros((width, width)), np.zeros((width, width)))
            found[cut].elements.add(activation)
            for group, products in (
                (activation[:, prefix_tokens:], found[cut].patch_products),
                (activation[:, :prefix_tokens], found[cut].prefix_products),
            ):
                flat = group.reshape(-1, width)
                products += (flat.T @ flat).astype(np.float64)
    return found


def _groups(found: _Moments, sensitivity: Sensitivity, prefix_tokens: int) -> tuple[_Group, _Group]:
    """Patch tokens and the others; covariances are about the mean of each token."""
    mean, images = found.elements.mean, found.elements.count
    made = []
    for rows, products, metric in (
        (mean[prefix_tokens:], found.patch_products, sensitivity.metric),
        (mean[:prefix_tokens], found.prefix_products, sensitivity.prefix_metric),
    ):
        covariance = products / images - rows.T @ rows
        channels = channel_transform(metric if len(rows) else np.eye(len(covariance)), covariance)
        made.append(_Group(channels, np.eye(len(rows)), np.zeros((len(rows), len(covariance)))))
    return made[0], made[1]


def _coefficients(
    activation: NDArray[np.float32], found: _Moments, groups: tuple[_Group, _Group], prefix_tokens: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    centered = activation - found.elements.mean.astype(np.float32)
    patch = centered[:, prefix_tokens:] @ groups[0].channels.matrix()
    patch = np.matmul(groups[0].tokens.astype(np.float32), patch)
    return patch, centered[:, :prefix_tokens] @ groups[1].channels.matrix()


def _decorrelate_tokens(
    batches: Batches, moments: dict[int, _Moments], groups: dict[int, tuple[_Group, _Group]], prefix_tokens: int
) -> dict[int, NDArray[np.float64]]:
    """Set the token transforms; gives the largest deviation of each class and register token, and of patches."""
    covariances = {cut: np.zeros_like(group[0].tokens) for cut, group in groups.items()}
    for batch in batches():
        for cut, activation in batch.items():
            patch, _ = _coefficients(activation, moments[cut], groups[cut], prefix_tokens)
            flat = np.ascontiguousarray(patch.transpose(1, 0, 2)).reshape(patch.shape[1], -1)
            covariances[cut] += (flat @ flat.T).astype(np.float64)
    for cut, covariance in covariances.items():
        groups[cut][0].tokens = token_transform(covariance) / TOKEN_UNIT
    deviations = {cut: found.elements.largest_deviation for cut, found in moments.items()}
    return {
        cut: np.vstack([deviation[:prefix_tokens], deviation[prefix_tokens:].max(axis=0)])
        for cut, deviation in deviations.items()
    }


def _measure_std(
    batches: Batches, moments: dict[int, _Moments], groups: dict[int, tuple[_Group, _Group]], prefix_tokens: int
) -> None:
    for batch in batches():
        for cut, activation in batch.items():
            for group, values in zip(
                groups[cut], _coefficients(activation, moments[cut], groups[cut], prefix_tokens), strict=True
            ):
                group.std += np.square(values, dtype=np.float64).sum(axis=0)
    for cut, pair in groups.items():
        for group in pair:
            group.std = np.sqrt(group.std / moments[cut].elements.count)


def _count(
    batches: Batches, moments: dict[int, _Moments], groups: dict[int, tuple[_Group, _Group]], prefix_tokens: int
) -> CoefficientTables:
    counts = DigitCounts(), DigitCounts()
    for batch in batches():
        for cut, activation in batch.items():
            found = _coefficients(activation, moments[cut], groups[cut], prefix_tokens)
            for count, group, values in zip(counts, groups[cut], found, strict=True):
                for step in _COUNTED_STEPS:
                    _count_step(count, quarter_octaves(group.std), values / step_scale(step), step)
    return CoefficientTables(np.stack([c.frequencies() for c in counts]), np.stack([c.shifts() for c in counts]))


def _count_step(counts: DigitCounts, std: NDArray[np.uint8], values: NDArray[np.float32], step: int) -> None:
    quarter_octaves_above = std.reshape(-1).astype(np.int64) - 1 - step
    classes = np.where(quarter_octaves_above < 0, CLASSES, quarter_octaves_above >> 1)
    # A class with low bits has the table of one without, at a wider step; counting the latter is enough.
    counted = np.flatnonzero(classes < CLASSES)
    table, low_bits = table_of(classes[counted])
    counted, table = counted[low_bits == 0], table[low_bits == 0]
    chosen = values.reshape(len(values), -1)[:, counted]
    digits = quantize(chosen, np.zeros(len(counted), np.int64), np.float32(LARGEST_DIGIT))
    counts.add(chosen, digits, table)


def _tables(
    found: _Moments,
    groups: tuple[_Group, _Group],
    sensitivity: Sensitivity,
    spread: NDArray[np.float64],
    prefix_tokens: int,
) -> CutTables:
    patch, prefix = (_pruned(group) for group in groups)
    matters = (sensitivity.squares * np.square(found.elements.std))[prefix_tokens:].reshape(-1)
    return CutTables(
        token_mean=found.elements.mean,
        spread=spread,
        mask_order=np.argsort(-matters, kind="stable"),
        forward=patch.channels.forward,
        forward_scale=patch.channels.forward_scale,
        inverse=patch.channels.inverse,
        inverse_scale=patch.channels.inverse_scale,
        token_transform=np.rint(patch.tokens * TOKEN_UNIT).astype(np.int64),
        std=quarter_octaves(patch.std),
        prefix_forward=prefix.channels.forward,
        prefix_forward_scale=prefix.channels.forward_scale,
        prefix_inverse=prefix.channels.inverse,
        prefix_inverse_scale=prefix.channels.inverse_scale,
        prefix_std=quarter_octaves(prefix.std),
    )


def _pruned(group: _Group) -> _Group:
    kept = np.any(quarter_octaves(group.std) > _FINEST_KEPT_STEP, axis=0)
    return _Group(group.channels.only(kept), group.tokens, group.std[:, kept])
