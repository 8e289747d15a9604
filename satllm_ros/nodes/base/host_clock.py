"""Which steady clock a process reads: times of two of them must not be subtracted."""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIME_NAMESPACE = "/proc/self/ns/time"
_DIGITS = 16


@cache
def host_clock() -> str:
    """Name of the steady clock of this process: that of its computer since it booted, then that of its time namespace.

    Two processes that give the same name read one steady clock; those whose names are the same before the dash have
    one wall clock. Where the system does not tell, the name is this process's alone.
    """
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")[:_DIGITS]
    except (OSError, UnicodeDecodeError):
        return f"{secrets.token_hex(_DIGITS // 2)}-0"
    try:
        # As "time:[4026531834]"; kernels before 5.6 have one for all.
        space = "".join(filter(str.isdigit, os.readlink(TIME_NAMESPACE)))
    except OSError:
        space = "0"
    return f"{boot}-{space}"
