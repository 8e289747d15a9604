"""Smallest value within a window, for many windows at once."""

import numpy as np
from numpy.typing import NDArray

# So many values are handled together, to bound the memory.
_CHUNK = 2_000_000


def smallest_in_windows(
    values: NDArray[np.float64], first: NDArray[np.intp], last: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The minimum of `values[c, v, first:last + 1]` for every window, inf for an empty one.

    Every window is covered by two overlapping ones whose length is a power of two (a sparse table), so the
    cost is O(n log n) for the table and O(1) for each window.

    Parameters
    ----------
    values
        (C, V, n).
    first, last
        (C, m, H) or (1, m, H) integers, both ends inclusive; `first > last` is an empty window. last < n.

    Returns
    -------
    numpy.ndarray
        (C, V, m, H).
    """
    caps, many, count = values.shape
    length = last - first + 1
    empty = length <= 0
    levels = max(int(length.max()), 1).bit_length()
    table = np.full((caps, many, levels, count), np.inf)
    table[:, :, 0] = values
    for level in range(1, levels):
        half = 1 << (level - 1)
        before = table[:, :, level - 1]
        np.minimum(
            before[..., : count - 2 * half + 1],
            before[..., half : count - half + 1],
            out=table[:, :, level, : count - 2 * half + 1],
        )
    level = np.frexp(np.where(empty, 1, length))[1] - 1
    left = level * count + np.where(empty, 0, first)
    right = level * count + np.where(empty, 0, last + 1 - (1 << level))
    rows = table.reshape(-1)
    offset = (levels * count * np.arange(caps * many)).reshape(caps, many, 1, 1)
    smallest = np.minimum(rows[left[:, None] + offset], rows[right[:, None] + offset])
    return np.where(empty[:, None], np.inf, smallest)


def least_above(
    values: NDArray[np.float64],
    keys: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
) -> NDArray[np.float64]:
    """The least value in a window of rows whose key is not below a threshold, for many thresholds.

    Entries are taken in falling order of their keys, so that those above a threshold come first, and running
    minima answer every threshold at once: O(n G) for each window, whatever the number of thresholds.

    Parameters
    ----------
    values
        (C, V, n, G).
    keys
        (n, G).
    thresholds
        (C, m, H).
    first, last
        (m,) windows of rows, both ends inclusive.

    Returns
    -------
    numpy.ndarray
        (C, V, m, H), inf where nothing qualifies.
    """
    rising = keys.shape[1] == 1 and bool((keys[1:] >= keys[:-1]).all())
    if rising:
        from_key = np.searchsorted(keys[:, 0], thresholds)
        return smallest_in_windows(values[..., 0], np.maximum(from_key, first[:, None]), last[None, :, None])
    caps, levels, _, groups = values.shape
    result = np.full((caps, levels, len(first), thresholds.shape[2]), np.inf)
    widest = max(int((last - first).max()) + 1, 1)
    # Windows that lie side by side share one sorting; more of them at once would make each look at more rows.
    chunk = max(min(2 * widest, _CHUNK // (3 * widest * groups * caps * levels)), 1)
    for begin in range(0, len(first), chunk):
        part = slice(begin, begin + chunk)
        low, high = int(first[part].min()), int(last[part].max())
        if low <= high:
            inside = slice(low, high + 1)
            result[:, :, part] = _least_above(
                values[:, :, inside], keys[inside], thresholds[:, part], first[part] - low, last[part] - low
            )
    return result


def _least_above(
    values: NDArray[np.float64],
    keys: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    first: NDArray[np.intp],
    last: NDArray[np.intp],
) -> NDArray[np.float64]:
    caps, levels, rows, groups = values.shape
    order = np.argsort(-keys, axis=None, kind="stable")
    row = order // groups
    inside = (row >= first[:, None]) & (row <= last[:, None])
    ordered = values.reshape(caps, levels, 1, rows * groups)[..., order]
    running = np.where(inside, ordered, np.inf)
    np.minimum.accumulate(running, axis=3, out=running)
    above = np.searchsorted(-keys.ravel()[order], -thresholds, side="right")[:, None] - 1
    return np.where(above >= 0, np.take_along_axis(running, np.maximum(above, 0), axis=3), np.inf)
