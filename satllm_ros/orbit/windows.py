"""When something is the case: windows of time in which a smooth figure is not below zero.

A figure is looked at on a grid. Between two looks it may rise above zero and fall again, or the other way: a peak of
the grid below zero, or a valley above it, is looked at closely (golden section) before crossings are searched
(bisection). So a window is found however short it is, if the figure has one extremum at most between two looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
# Value of lane k at time k.
Figure = Callable[[Indices, Floats], Floats]

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
# Of a step of half a minute, a millisecond is left after so many halvings; golden sections take half as many again.
_HALVINGS, _SECTIONS = 24, 34
# So many values of a grid are held at a time.
MOST_VALUES = 500_000


@dataclass(frozen=True)
class Window:
    """A lane's figure is not below zero from `start_s` to `stop_s`."""

    lane: int
    start_s: float
    stop_s: float


def windows(figure: Figure, lanes: int, duration_s: float, step_s: float) -> list[Window]:
    """All windows of all lanes, cut at 0 and at the duration; by lane, then by time."""
    count = max(2, math.ceil(duration_s / step_s) + 1)
    times: Floats = np.linspace(0.0, duration_s, count, dtype=np.float64)
    at_once = max(1, MOST_VALUES // count)
    found: list[Window] = []
    for first in range(0, lanes, at_once):
        these = np.arange(first, min(lanes, first + at_once))
        grid = figure(np.repeat(these, count), np.tile(times, len(these))).reshape(len(these), count)
        extrema = _hidden_extrema(figure, these, times, grid)
        found += _of_lanes(
            figure,
            [_Track(int(lane), *_with(extrema.get(row, []), times, grid[row])) for row, lane in enumerate(these)],
        )
    return found


@dataclass(frozen=True)
class _Track:
    """A lane's figure at some times."""

    lane: int
    times_s: Floats
    values: Floats


def _hidden_extrema(
    figure: Figure, lanes: Indices, times: Floats, grid: Floats
) -> dict[int, list[tuple[float, float]]]:
    """By row of the grid: time and value of what crosses zero between looks that do not show it."""
    inner, before, after = grid[:, 1:-1], grid[:, :-2], grid[:, 2:]
    found: dict[int, list[tuple[float, float]]] = {}
    for sign in (1.0, -1.0):
        row, column = np.nonzero((sign * inner < 0) & (sign * (inner - before) >= 0) & (sign * (inner - after) >= 0))
        if not row.size:
            continue
        at, value = extremum(figure, lanes[row], times[column], times[column + 2], sign)
        for k in np.flatnonzero(sign * value >= 0):
            found.setdefault(int(row[k]), []).append((float(at[k]), float(value[k])))
    return found


def _with(extra: list[tuple[float, float]], times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Times and values with some more among them."""
    if not extra:
        return times, values
    more_times, more_values = map(np.array, zip(*extra, strict=True))
    places = np.searchsorted(times, more_times)
    return np.insert(times, places, more_times), np.insert(values, places, more_values)


def _of_lanes(figure: Figure, tracks: list[_Track]) -> list[Window]:
    insides = [track.values >= 0 for track in tracks]
    changes = [np.flatnonzero(inside[1:] != inside[:-1]) for inside in insides]
    # All at once: a figure of many lanes costs little more than that of one.
    crossings = crossing(
        figure,
        np.repeat([track.lane for track in tracks], [len(change) for change in changes]),
        np.concatenate([track.times_s[change] for track, change in zip(tracks, changes, strict=True)]),
        np.concatenate([track.times_s[change + 1] for track, change in zip(tracks, changes, strict=True)]),
        np.concatenate([inside[change] for inside, change in zip(insides, changes, strict=True)]),
    )
    found = []
    for track, inside, at in zip(
        tracks, insides, np.split(crossings, np.cumsum([len(change) for change in changes])[:-1]), strict=True
    ):
        first, last = track.times_s[[0]][inside[[0]]], track.times_s[[-1]][inside[[-1]]]
        edges = np.concatenate([first, at, last]).tolist()
        found += [Window(track.lane, *edge) for edge in zip(edges[::2], edges[1::2], strict=True)]
    return found


def crossing(figure: Figure, lanes: Indices, low: Floats, high: Floats, falls: npt.NDArray[np.bool_]) -> Floats:
    """(n,) times at which figures cross zero between `low` and `high`, by bisection; `falls`: from above."""
    low, high = low.copy(), high.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_before = (figure(lanes, middle) >= 0) == falls
        low, high = np.where(is_before, middle, low), np.where(is_before, high, middle)
    return (low + high) / 2


def extremum(figure: Figure, lanes: Indices, low: Floats, high: Floats, sign: float = 1.0) -> tuple[Floats, Floats]:
    """(n,) times and values of the greatest figures from `low` to `high`, the least with sign -1, by golden section."""
    low, high = low.copy(), high.copy()
    for _ in range(_SECTIONS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        is_left = sign * figure(lanes, left) >= sign * figure(lanes, right)
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
    at = (low + high) / 2
    return at, figure(lanes, at)
