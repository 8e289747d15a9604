"""One life of a simulated process, and its end between two effects."""

from __future__ import annotations

from dataclasses import dataclass


class Killed(Exception):
    """The process was killed between two effects."""


@dataclass
class Life:
    """Whether a process runs, since when, and how much of its work it will still do."""

    up: bool = False
    stopped: bool = False
    number: int = 0
    born_s: float = 0.0
    # When it was last started or told to go on.
    disturbed_s: float = 0.0
    # Effects left until it is killed in the midst of them.
    fuse: int | None = None

    def spend(self) -> None:
        """One more effect.

        Raises
        ------
        Killed
            If that is the one before which it dies.
        """
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise Killed
