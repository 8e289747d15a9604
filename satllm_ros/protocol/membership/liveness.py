"""Who is alive, judged by N of the last M hellos missed; a pure state machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

# Messages of a life that ended may still arrive; not of one that ended so many lives ago.
REMEMBERED_LIVES = 16
# So many in a row, with nothing from the life taken for the present one, are not late messages.
PERSISTENCE = 3


class Lives:
    """Which life of a process is its present one, told by the boot ids of messages that may come late.

    Attributes
    ----------
    boot_id
        Of the present life; 0 before the first message.
    """

    def __init__(self) -> None:
        self.boot_id = 0
        self._denied = 0
        self._former: deque[int] = deque(maxlen=REMEMBERED_LIVES)

    def take(self, boot_id: int) -> bool:
        """A message of this life has come; False if that life is over."""
        if boot_id in self._former:
            self._denied += 1
            if self._denied < PERSISTENCE:
                return False
            # It is the other one that came late: a life that is over cannot go on like this.
            self._former.remove(boot_id)
        self._denied = 0
        if self.boot_id not in (0, boot_id):
            self._former.append(self.boot_id)
        self.boot_id = boot_id
        return True

    def is_over(self, boot_id: int) -> bool:
        """Whether this life came before the present one."""
        return boot_id in self._former


class Life(Enum):
    """What an observer thinks of a satellite. Nothing heard yet is not death: it may still be starting."""

    UNHEARD = "unheard"
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"


@dataclass(frozen=True)
class Change:
    """A satellite's life as seen now differs from before.

    `restarted`: it has another boot id than when last heard, so its memory is empty. A satellite that was only
    stopped returns with the same one, and with all it had.
    """

    satellite: str
    before: Life
    after: Life
    restarted: bool = False


@dataclass(frozen=True)
class LivenessLimits:
    """Period of hellos, and misses among the last `window` periods that make a suspect and a dead one."""

    period_s: float = 0.5
    window: int = 8
    suspect_misses: int = 4
    dead_misses: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.suspect_misses <= self.dead_misses <= self.window:
            raise ValueError(
                f"liveness: misses to suspect {self.suspect_misses}, to declare dead {self.dead_misses} and the window"
                f" {self.window} must rise in this order, from 1"
            )


@dataclass
class _Seen:
    life: Life = Life.UNHEARD
    lives: Lives = field(default_factory=Lives)
    heard: bool = False
    # One bit a period, newest lowest; set when something was heard in it.
    past: int = 0


class Liveness:
    """Judges every satellite by its signs of life; `on_tick` at least once a period of hellos."""

    def __init__(self, satellites: Iterable[str], limits: LivenessLimits) -> None:
        self._limits = limits
        self._seen = {name: _Seen() for name in satellites}
        self._full = (1 << limits.window) - 1
        self._period_end_s: float | None = None

    def on_sign(self, satellite: str, boot_id: int) -> Change | None:
        """A hello, or any other message of a satellite, has arrived; late ones of a former life say nothing."""
        seen = self._seen.get(satellite)
        if seen is None:
            return None
        known = seen.lives.boot_id
        if not seen.lives.take(boot_id):
            return None
        seen.heard = True
        before, restarted = seen.life, known not in (0, boot_id)
        if before is Life.ALIVE and not restarted:
            return None
        if before is Life.SUSPECT and not restarted:
            # One hello does not clear a suspect that misses most of them; a tick will.
            return None
        seen.life, seen.past = Life.ALIVE, self._full
        return Change(satellite, before, Life.ALIVE, restarted)

    def on_tick(self, now_s: float) -> list[Change]:
        """Close the periods that are over.

        Whoever has not looked for a while (stopped, swapped out) must not take its own absence for that of all
        others: however long it was away, it closes one period.
        """
        if self._period_end_s is None:
            self._period_end_s = now_s + self._limits.period_s
        if now_s < self._period_end_s:
            return []
        on_time = now_s < self._period_end_s + self._limits.period_s
        self._period_end_s = (self._period_end_s if on_time else now_s) + self._limits.period_s
        return [change for name, seen in self._seen.items() if (change := self._close_period(name, seen)) is not None]

    def life(self, satellite: str) -> Life:
        return self._seen[satellite].life

    def is_former(self, satellite: str, boot_id: int) -> bool:
        """Whether a message with this boot id comes from a life that is over, or from nobody known."""
        seen = self._seen.get(satellite)
        return seen is None or seen.lives.is_over(boot_id)

    def boot_id(self, satellite: str) -> int:
        """Boot id last heard; 0 before the first sign."""
        return self._seen[satellite].lives.boot_id

    def in_state(self, *lives: Life) -> frozenset[str]:
        """Satellites in one of these states."""
        return frozenset(name for name, seen in self._seen.items() if seen.life in lives)

    def _close_period(self, name: str, seen: _Seen) -> Change | None:
        if seen.life in (Life.UNHEARD, Life.DEAD):
            return None
        seen.past = (seen.past << 1 | seen.heard) & self._full
        seen.heard = False
        misses = self._limits.window - bin(seen.past).count("1")
        before = seen.life
        seen.life = (
            Life.DEAD
            if misses >= self._limits.dead_misses
            else Life.SUSPECT
            if misses >= self._limits.suspect_misses
            else Life.ALIVE
        )
        return Change(name, before, seen.life) if seen.life is not before else None
