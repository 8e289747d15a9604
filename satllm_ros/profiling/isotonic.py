"""The monotone curve nearest to measured accuracies (Eq. 12), by pooling adjacent violators."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rising_fit(ratios: Sequence[float], accuracies: Sequence[float]) -> NDArray[np.float64]:
    """Accuracies that never fall as the ratio grows, of least square distance to the measured ones.

    Parameters
    ----------
    ratios, accuracies
        (n,) measured pairs, in any order; those of equal ratio count as one, with their mean.

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
    if not len(x) or len(x) != len(y):
        raise ValueError(f"{len(x)} ratios and {len(y)} accuracies; allowed: equally many, at least one")
    unique, group = np.unique(x, return_inverse=True)
    weight = np.bincount(group)
    mean = np.bincount(group, y) / weight
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
