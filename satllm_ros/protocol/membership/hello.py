"""What a process says of itself, a few times a second, and which of it cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import isfinite

# What is spoken here: raised whenever processes of two versions must not fly together.
PROTOCOL = 1
# Ages beyond this are nonsense [s].
MAX_AGE_S = 1e9
# More members than any graph has; a longer list is an attack or a mistake.
MAX_HEARD = 1024
# Characters of a stranger's name that are shown.
SHOWN = 32


class HelloState(IntEnum):
    """How far a process is."""

    STARTING = 0
    READY = 1
    # Not ready, and it will not be by itself.
    WAITING = 2


@dataclass(frozen=True)
class Heard:
    """The last hello that the sender of a hello has heard of somebody."""

    name: str
    boot_id: int
    sequence: int
    sent_s: float
    received_s: float


@dataclass(frozen=True)
class Hello:
    """What a process says of itself a few times a second."""

    name: str
    boot_id: int
    sequence: int
    sent_s: float
    protocol: int = PROTOCOL
    software: str = ""
    state: int = HelloState.READY
    executor_age_s: float = 0.0
    worker_age_s: float = 0.0
    heard: tuple[Heard, ...] = ()


def nonsense_in(hello: Hello) -> str:
    """What of a hello cannot be, in words; empty if all can."""
    if not hello.boot_id:
        return "boot id 0"
    if not isfinite(hello.sent_s):
        return f"sent_s {hello.sent_s}"
    for name in ("executor_age_s", "worker_age_s"):
        age_s = getattr(hello, name)
        if not 0.0 <= age_s <= MAX_AGE_S:
            return f"{name} {age_s:g}, which is not from 0 to {MAX_AGE_S:g}"
    if hello.state not in list(HelloState):
        return f"state {hello.state}"
    return f"{len(hello.heard)} members heard" if len(hello.heard) > MAX_HEARD else ""


def shown(text: str) -> str:
    """A stranger's word as it may stand in a log."""
    return repr(text[:SHOWN])
