"""Tiles of a run in which sensing may have died and come back: every life keeps its books anew."""

from collections import Counter
from dataclasses import dataclass, field

LOST_WITH_SENSING = "lost_with_sensing"
# More than a run has.
MAX_LIVES = 64


@dataclass(frozen=True)
class Account:
    """The books of one life of sensing as it last published them; all in tiles.

    Attributes
    ----------
    dropped_before, dropped_after
        Drops by cause, of tiles that were never sent and of tiles that were.
    lost
        Tiles of a camera that died with earlier lives; not among the acquired ones.
    """

    boot_id: int
    acquired: int = 0
    delivered: int = 0
    dropped_before: dict[str, int] = field(default_factory=dict)
    dropped_after: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    @property
    def sent(self) -> int:
        """Acquired tiles but those that were dropped before they were sent."""
        return self.acquired - sum(self.dropped_before.values())


class Lives:
    """Adds up the lives of one sensing node, as far as they were heard; the books of the newest `MAX_LIVES` are kept.

    Parameters
    ----------
    rereads
        Whether each life acquires the same tiles again, as from a bag or folder; a camera's are new.
    """

    def __init__(self, *, rereads: bool) -> None:
        self._rereads = rereads
        # Heard last is last.
        self._accounts: dict[int, Account] = {}

    def note(self, account: Account) -> None:
        """Take the books of a life, the one that is heard now."""
        self._accounts.pop(account.boot_id, None)
        self._accounts[account.boot_id] = account
        if len(self._accounts) > MAX_LIVES:
            del self._accounts[next(iter(self._accounts))]

    @property
    def restarted(self) -> bool:
        """Whether more than one life was heard."""
        return len(self._accounts) > 1

    def sent(self) -> int:
        """Different tiles that left the camera side."""
        if not self._accounts:
            return 0
        *former, current = self._accounts.values()
        if self._rereads:
            return max(account.sent for account in self._accounts.values())
        # What else they had sent is lost, and counted by their successor as such, or was restored and acquired again.
        settled = sum(account.delivered + sum(account.dropped_after.values()) for account in former)
        return settled + current.lost + current.sent

    def dropped(self) -> dict[str, int]:
        """Drops by cause, with the tiles that were lost with sensing among them."""
        if not self._accounts:
            return {}
        *_, current = self._accounts.values()
        drops: Counter[str] = Counter()
        for account in [current] if self._rereads else self._accounts.values():
            drops += Counter(account.dropped_before) + Counter(account.dropped_after)
        if current.lost:
            drops[LOST_WITH_SENSING] = current.lost
        return dict(drops)
