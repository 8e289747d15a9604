"""A relay between two network interfaces on layer 2 that delays frames and loses some, as netem would if it were here.

`python -m hosts.relay NEAR FAR DELAY_S LOSS`. It works on frames, since messages of the middleware carry addresses.
"""

from __future__ import annotations

import random
import select
import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from hosts.ring import Frame, Ring

# What one direction may hold: a quarter of a second at 500 Mbit/s.
_HELD_BYTES = 16_000_000
_PATIENCE_S = 1.0
_SLOTS = 1 << 12


class Side(Protocol):
    """One side of a relay: `hosts.ring.Ring` with offloads."""

    def fileno(self) -> int: ...

    def read(self) -> Iterable[Frame]: ...

    def send(self, content: bytes) -> None: ...


class Direction:
    """Frames in one direction: each lost with a probability, the others due after a delay, in order; pure.

    Parameters
    ----------
    delay_s, loss
        Delay [s]; share lost, 0 to 1.
    seed
        Of the random numbers.
    held_bytes
        Most that is held back; what comes beyond is lost and counted.
    """

    def __init__(self, delay_s: float, loss: float, seed: int, held_bytes: int = _HELD_BYTES) -> None:
        self._delay_s, self._loss, self._held_bytes = delay_s, loss, held_bytes
        self._random = random.Random(seed)
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self.lost = 0

    def on_frame(self, frame: bytes, now_s: float) -> None:
        """A frame came in."""
        if self._random.random() < self._loss or self._bytes + len(frame) > self._held_bytes:
            self.lost += 1
            return
        self._bytes += len(frame)
        self._waiting.append((now_s + self._delay_s, frame))

    def due(self, now_s: float) -> list[bytes]:
        """Frames whose time has come, oldest first; they are held no longer."""
        frames = []
        while self._waiting and self._waiting[0][0] <= now_s:
            frames.append(self._waiting.popleft()[1])
        self._bytes -= sum(map(len, frames))
        return frames

    def next_s(self) -> float | None:
        """When the next frame is due; None if none is held."""
        return self._waiting[0][0] if self._waiting else None


class Relay:
    """Two ends, and a `Direction` from each to the other."""

    def __init__(self, near: Side, far: Side, there: Direction, back: Direction) -> None:
        self._ways = ((near, far, there), (far, near, back))

    def step(self, patience_s: float) -> None:
        """Wait for a frame or for one that is due, at most so long, and move what can be moved."""
        times = [at_s for _, _, way in self._ways if (at_s := way.next_s()) is not None]
        if times:
            patience_s = min(patience_s, max(0.0, min(times) - time.monotonic()))
        select.select([source for source, _, _ in self._ways], [], [], patience_s)
        for source, target, way in self._ways:
            for frame in source.read():
                way.on_frame(frame.content, time.monotonic())
            for content in way.due(time.monotonic()):
                # A line without carrier, or with a full queue, loses frames.
                with suppress(OSError):
                    target.send(content)


def main() -> None:
    near, far, delay_s, loss = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    seed = int.from_bytes(near.encode(), "little")
    there, back = (Direction(delay_s, loss, seed + way) for way in range(2))
    with Ring(near, slots=_SLOTS, with_offloads=True) as one, Ring(far, slots=_SLOTS, with_offloads=True) as other:
        relay = Relay(one, other, there, back)
        while True:
            relay.step(_PATIENCE_S)


if __name__ == "__main__":
    main()
