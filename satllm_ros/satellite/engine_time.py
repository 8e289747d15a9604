"""How long inference itself took, whatever else its process did meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

# Nanoseconds on a processor, nanoseconds in line for one, and how often it got one.
SCHEDULE = Path("/proc/thread-self/schedstat")


def engine_s() -> float:
    """Seconds for which the calling thread was on a processor or in line for one; differences of it mean something.

    Between its operations inference has to take Python's lock again. A thread that holds it, as one that publishes
    to a slow link does, makes it sleep: that is none of its time, while sharing a processor with others is. With
    several threads for one inference it is the time of the one that leads them. Where the kernel does not tell, what it
    stood in line is left out.
    """
    return time.thread_time() + _in_line_s()


def _in_line_s() -> float:
    try:
        return int(SCHEDULE.read_text(encoding="ascii").split()[1]) * 1e-9
    except (OSError, ValueError, IndexError):
        return 0.0
