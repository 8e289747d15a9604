"""Numbers as people read them; in ASCII, so that a report prints on any terminal."""

UNKNOWN = "-"


def size(size_bytes: float | None) -> str:
    """Bytes in decimal units: 1 MB is 10^6 bytes."""
    return _scaled(size_bytes, 1000.0, ("B", "kB", "MB", "GB", "TB"))


def rate(rate_bps: float | None) -> str:
    """Bits per second in decimal units."""
    return _scaled(rate_bps, 1000.0, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"))


def seconds(time_s: float | None) -> str:
    """Seconds to the millisecond, to the tenth from 100 s on."""
    if time_s is None:
        return UNKNOWN
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    return f"{round(time_s, 3) + 0.0:.3f}" if abs(time_s) < 100 else f"{time_s:.1f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of 1 in percent."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f} %"


def clock(time_s: float) -> str:
    """A duration as m:ss or h:mm:ss."""
    minutes, second = divmod(round(time_s), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _scaled(value: float | None, step: float, units: tuple[str, ...]) -> str:
    if value is None:
        return UNKNOWN
    power = 0
    while round(value, 1) >= step and power < len(units) - 1:
        value /= step
        power += 1
    return f"{value:.0f} {units[power]}" if power == 0 else f"{value:.1f} {units[power]}"
