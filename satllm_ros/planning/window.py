"""Smallest value within a window, for many windows at once."""

import numpy as np


def smallest_in_windows(values: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The minimum of `values[first..last]` for every window, inf for an empty one.

    Every window is covered by two overlapping ones whose length is a power of two (a sparse table), so the
    cost is O(n log n) for the table and O(1) for each window.

    Parameters
    ----------
    values
        (n,).
    first, last
        Integer arrays of one shape, both ends inclusive; `first > last` is an empty window. 0 <= last < n.

    Returns
    -------
    numpy.ndarray
        The shape of `first`.
    """
    count = len(values)
    length = last - first + 1
    empty = length <= 0
    levels = max(int(length.max()), 1).bit_length()
    table = np.full((levels, count), np.inf)
    table[0] = values
    for level in range(1, levels):
        half = 1 << (level - 1)
        np.minimum(
            table[level - 1, : count - 2 * half + 1],
            table[level - 1, half : count - half + 1],
            out=table[level, : count - 2 * half + 1],
        )
    level = np.frexp(np.where(empty, 1, length))[1] - 1
    flat = table.ravel()
    row = level * count
    smallest = np.minimum(flat[row + np.where(empty, 0, first)], flat[row + last + 1 - (1 << level)])
    smallest[empty] = np.inf
    return smallest
