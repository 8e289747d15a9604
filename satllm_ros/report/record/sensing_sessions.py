"""Tiles of a run in which sensing may have died and come back: every life keeps its books anew."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

LOST_WITH_SENSING = "lost_with_sensing"
# More than a run has.
MAX_LIVES = 64


def camera_source(boot_id: int) -> str:
    """Source of the images that one life of sensing heard from a camera."""
    return f"camera-{boot_id:016x}"


@dataclass(frozen=True)
class SessionTotals:
    """The books of one life of sensing as it last published them; all in tiles.

    Attributes
    ----------
    dropped_before, dropped_after
        Drops by cause, of tiles that were never sent and of tiles that were.
    lost
        Tiles of a camera that died with earlier lives; not among the acquired ones.
    restored
        Tiles of a camera among the acquired ones that an earlier life had acquired, and kept on disk for this one.
    in_custody
        Tiles neither delivered nor dropped, by where they were, in words.
    unheard_frames
        Images that a camera published and sensing did not hear, as far as the middleware tells.
    ended
        Whether the bag or folder was read to its end.
    closed
        Whether this is the last word of a life that ended in order.
    """

    boot_id: int
    acquired: int = 0
    delivered: int = 0
    dropped_before: dict[str, int] = field(default_factory=dict)
    dropped_after: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    restored: int = 0
    in_custody: dict[str, int] = field(default_factory=dict)
    unheard_frames: int = 0
    ended: bool = False
    closed: bool = False

    @property
    def sent(self) -> int:
        """Acquired tiles but those that were dropped before they were sent."""
        return self.acquired - sum(self.dropped_before.values())


class SensingSessions:
    """Adds up the lives of one sensing node, as far as they were heard; the books of the newest `MAX_LIVES` are kept.

    Parameters
    ----------
    rereads
        Whether each life acquires the same tiles again, as from a bag or folder; a camera's are new.
    """

    def __init__(self, *, rereads: bool) -> None:
        self._rereads = rereads
        # Heard last is last.
        self._accounts: dict[int, SessionTotals] = {}

    def note(self, account: SessionTotals) -> None:
        """Take the books of a life, the one that is heard now."""
        self._accounts.pop(account.boot_id, None)
        self._accounts[account.boot_id] = account
        if len(self._accounts) > MAX_LIVES:
            del self._accounts[next(iter(self._accounts))]

    def add_books(self, books: Sequence[SessionTotals]) -> None:
        """Take what the lives wrote down on this computer, in their order; of each life, what was said last counts.

        A life that was heard and wrote nothing here is the current one if it was heard last.
        """
        heard = self._accounts
        newest = next(reversed(heard), None)
        written = {account.boot_id: _later(heard.get(account.boot_id), account) for account in books}
        unwritten = {boot_id: account for boot_id, account in heard.items() if boot_id not in written}
        current = {newest: unwritten.pop(newest)} if newest in unwritten else {}
        self._accounts = unwritten | written | current

    @property
    def accounts(self) -> tuple[SessionTotals, ...]:
        """Books of all lives, that of the current one last."""
        return tuple(self._accounts.values())

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

    def dropped_before(self) -> dict[str, int]:
        """Drops by cause of tiles that were never sent, of all lives."""
        drops: Counter[str] = Counter()
        for account in self.accounts[-1:] if self._rereads else self.accounts:
            drops += Counter(account.dropped_before)
        return dict(drops)


def _later(heard: SessionTotals | None, written: SessionTotals) -> SessionTotals:
    if heard is None:
        return written
    # What died with earlier lives only the ledger says.
    written = replace(written, lost=max(heard.lost, written.lost))
    return written if written.closed or _told(written) >= _told(heard) else heard


def _told(account: SessionTotals) -> tuple[int, int]:
    return account.acquired, account.delivered + sum(account.dropped_after.values())
