"""What a measurement is valid for: the computer it was made on."""

import os
import platform
from pathlib import Path

UNKNOWN = "unknown processor"


def device_name() -> str:
    """Processor and number of its cores that this process may use, as people name it."""
    return f"{_processor()}, {len(os.sched_getaffinity(0))} cores"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Model"))]
    return next((name for name in named if name), platform.processor() or platform.machine() or UNKNOWN)
