"""The monotone curve nearest to measured accuracies (Eq. 12), by pooling adjacent violators."""

from collections.abc import Sequence

import numpy as np


def rising_fit(
    ratios: Sequence[float], accuracies: Sequence[float], weights: Sequence[float] | None = None
) -> np.ndarray:
    """Accuracies that never fall as the ratio grows, of least weighted square distance to the measured ones.

    Parameters
    ----------
    ratios, accuracies
        (n,) measured pairs, in any order; those of equal ratio count as one, with their weighted mean.
    weights
        (n,) positive; default: all alike.

    Returns
    -------
    numpy.ndarray
        (m, 2) rising ratios, each once, with the fitted accuracy.

    Raises
    ------
    ValueError
        If there are no pairs, or the lengths differ.
    """
    x, y = np.asarray(ratios, dtype=float), np.asarray(accuracies, dtype=float)
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    if not len(x) or len(x) != len(y) or len(x) != len(w):
        raise ValueError(
            f"{len(x)} ratios, {len(y)} accuracies and {len(w)} weights; allowed: equally many, at least one"
        )
    unique, group = np.unique(x, return_inverse=True)
    weight = np.bincount(group, w)
    mean = np.bincount(group, w * y) / weight
    pools: list[list[float]] = []
    for value, size in zip(mean, weight, strict=True):
        pools.append([value, size, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value_b, size_b, count_b = pools.pop()
            value_a, size_a, count_a = pools.pop()
            both = size_a + size_b
            pools.append([(value_a * size_a + value_b * size_b) / both, both, count_a + count_b])
    fitted = np.concatenate([np.full(int(count), value) for value, _, count in pools])
    return np.column_stack([unique, fitted])
