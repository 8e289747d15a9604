"""The picture of an orbit: ground tracks with sites, and a timeline of contacts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from satllm_ros.orbit.contacts import Geometry, Pass, Sight
from satllm_ros.orbit.ground import subsatellite_deg
from satllm_ros.orbit.scenario import SiteKind

_TRACK_STEP_S = 30.0
# Beyond, names and lines are no longer told apart.
_MOST_TRACKS, _MOST_ROWS = 12, 40
_MARKERS = {SiteKind.STATION: "^", SiteKind.TARGET: "*"}
_HOUR_S = 3600.0


def draw(geometry: Geometry, passes: Sequence[Pass], sights: Sequence[Sight], duration_s: float) -> Figure:
    """Ground tracks of the first period above, windows below.

    Parameters
    ----------
    passes, sights
        What is drawn in the timeline, a row a site and a row a pair.
    """
    figure = Figure(figsize=(10, 9), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    _tracks(upper, geometry, duration_s)
    _timeline(lower, geometry, passes, sights, duration_s)
    return figure


def _tracks(axes: Axes, geometry: Geometry, duration_s: float) -> None:
    orbit = geometry.orbit
    shown_s = min(duration_s, geometry.motion.period_s)
    times: NDArray[np.float64] = np.arange(0.0, shown_s + _TRACK_STEP_S, _TRACK_STEP_S, dtype=np.float64)
    count = min(orbit.satellites, _MOST_TRACKS)
    for number in range(count):
        latitude, longitude = subsatellite_deg(geometry.on_earth(np.full(times.shape, number), times))
        # A line is broken where it leaves the map.
        broken = np.abs(np.diff(longitude, prepend=longitude[0])) > 180.0
        (line,) = axes.plot(np.where(broken, np.nan, longitude), latitude, lw=0.8)
        axes.plot(longitude[0], latitude[0], "o", color=line.get_color(), ms=5)
        axes.annotate(
            orbit.members.get(number, str(number)),
            (longitude[0], latitude[0]),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8,
        )
    for site in orbit.sites:
        longitude_deg = (site.longitude_deg + 180.0) % 360.0 - 180.0
        axes.plot(longitude_deg, site.latitude_deg, _MARKERS[site.kind], color="black", ms=9)
        axes.annotate(
            site.name, (longitude_deg, site.latitude_deg), xytext=(6, -10), textcoords="offset points", fontsize=9
        )
    shown = f"first {count} of {orbit.satellites} satellites" if count < orbit.satellites else f"{count} satellites"
    axes.set(
        xlim=(-180, 180),
        ylim=(-90, 90),
        xlabel="longitude [°]",
        ylabel="latitude [°]",
        title=f"Ground tracks of the first {times[-1] / 60:.0f} min: {shown}, dots at the epoch",
    )
    axes.set_xticks(range(-180, 181, 60))
    axes.set_yticks(range(-90, 91, 30))
    axes.grid(alpha=0.3)


def _timeline(
    axes: Axes, geometry: Geometry, passes: Sequence[Pass], sights: Sequence[Sight], duration_s: float
) -> None:
    names = geometry.orbit.members
    rows: dict[str, list[tuple[float, float]]] = {site.name: [] for site in geometry.orbit.sites}
    for seen in passes:
        rows[seen.site].append((seen.rise_s, seen.set_s))
    pairs: dict[str, list[tuple[float, float]]] = {}
    for sight in sights:
        ends = "–".join(names.get(index, str(index)) for index in (sight.from_index, sight.to_index))
        pairs.setdefault(ends, []).append((sight.start_s, sight.stop_s))
    rows |= dict(list(pairs.items())[: max(0, _MOST_ROWS - len(rows))])
    for place, (name, spans) in enumerate(rows.items()):
        color = "tab:blue" if name in pairs else "tab:orange"
        axes.broken_barh(
            [(start / _HOUR_S, max(stop - start, duration_s / 2000) / _HOUR_S) for start, stop in spans],
            (place - 0.35, 0.7),
            color=color,
        )
    axes.set_yticks(range(len(rows)), rows.keys(), fontsize=8)
    axes.set(xlim=(0, duration_s / _HOUR_S), xlabel="hours from the epoch")
    left_out = len(pairs) + len(geometry.orbit.sites) - len(rows)
    axes.set_title("Contacts" + (f" ({left_out} pairs of satellites left out)" if left_out else ""))
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
