"""Where every tile of a run is, proved at its end from what each side wrote down by itself.

acquired = delivered + dropped + in custody. What was acquired says sensing's journal, image by image; what was
delivered say the rows of the ground's store, and each must be a tile of an image that was acquired. Sensing's own words
on where the rest are (dropped for a cause, in flight, stored at a satellite) are *claims*: an acknowledgement may still
have been under way, and a batch that was given up may come down after all. So a claim explains at most so many tiles
that are not on the ground, and what no claim explains is lost: the run does not add up then, and by how much is said.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from satllm_ros.report.record.sensing_sessions import LOST_WITH_SENSING, SessionTotals, camera_source

JOURNAL, LEDGER = "journal", "ledger"
TO_READ_AGAIN = "to be read again"
# The cause under which sensing drops what it cannot read on.
BROKEN_OFF = "source_damaged"
NOT_TOLD = "at sensing, after its last word"
OF_EARLIER_LIFE = ", of an earlier life of sensing"


class AcquiredFrame(Protocol):
    """What an audit must know of an image: its identity, its tiles, and why it was dropped before it was sent."""

    @property
    def source_id(self) -> str: ...
    @property
    def frame(self) -> int: ...
    @property
    def tiles(self) -> int: ...
    @property
    def cause(self) -> str: ...


@dataclass(frozen=True)
class Audit:
    """Tiles of a run by where they are: acquired = delivered + dropped + in_custody + lost.

    Attributes
    ----------
    basis
        "journal": checked image by image; "ledger": against sensing's counts alone, as its journal is on another
        computer.
    lost
        Tiles that are in no place.
    foreign
        Predictions at the ground of no tile that was acquired; not among the delivered ones.
    uncounted
        Tiles in the journal less those that sensing counted, where both must be the same.
    unread_frames
        Images of the bag or folder that were neither acquired nor dropped; no fault of a run that was stopped.
    unheard_frames
        Images that a camera published and sensing did not hear, as far as the middleware tells; not acquired.
    ended
        Whether the source was read to its end, not to a place where it is damaged.
    """

    basis: str
    acquired: int
    delivered: int
    dropped: dict[str, int] = field(default_factory=dict)
    in_custody: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    foreign: int = 0
    uncounted: int = 0
    unread_frames: int = 0
    unheard_frames: int = 0
    ended: bool = False

    @property
    def adds_up(self) -> bool:
        """Whether every tile is accounted for."""
        return not self.complaints

    @property
    def complaints(self) -> tuple[str, ...]:
        """What does not add up and by how much, in words; empty if all does."""
        words = []
        if self.lost:
            words.append(
                f"of {self.acquired} acquired tiles, {self.lost} neither delivered, nor dropped, nor in custody"
            )
        if self.foreign:
            words.append(f"predictions at the ground of no tile that was acquired: {self.foreign}")
        if self.uncounted:
            words.append(f"sensing counted {self.acquired - self.uncounted} tiles, its journal has {self.acquired}")
        if self.ended and self.unread_frames:
            words.append(f"images of the source neither acquired nor dropped: {self.unread_frames}")
        return tuple(words)


class _Claim(NamedTuple):
    """At most so many tiles that are not on the ground are explained by this."""

    is_drop: bool
    name: str
    tiles: int


def audit_journal(
    frames: Iterable[AcquiredFrame],
    arrived: Iterable[tuple[str, int, int]],
    accounts: Sequence[SessionTotals],
    *,
    rereads: bool,
    older_tiles: int = 0,
    frames_total: int | None = None,
) -> Audit:
    """Audit a run whose journal is at hand.

    Parameters
    ----------
    frames
        Rows of sensing's journal, all lives; each (source_id, frame) once.
    arrived
        Identities of the tiles in the ground's store: (source_id, frame, tile_index).
    accounts
        Books of the lives of sensing, the last one last.
    rereads
        Whether each life acquires the same tiles again, as from a bag or folder.
    older_tiles
        Tiles at the ground that are not among `arrived`, of which only the number is known.
    frames_total
        Images the manifest of the source names, or that a player was to publish; None if unknown.
    """
    rows = {(f.source_id, f.frame): f for f in frames}
    came: Counter[tuple[str, int]] = Counter()
    foreign = 0
    for source_id, number, index in set(arrived):
        frame = rows.get((source_id, number))
        # A frame that was dropped may have come down in an earlier life, when it could still be read.
        if frame is None or (not frame.cause and index >= frame.tiles):
            foreign += 1
        else:
            came[source_id, number] += 1
    current = accounts[-1] if accounts else SessionTotals(0)
    newest = camera_source(current.boot_id)
    dropped: Counter[str] = Counter()
    acquired_by: Counter[bool] = Counter()
    missing: Counter[bool] = Counter()
    for key, frame in rows.items():
        is_of_now = rereads or frame.source_id == newest
        if frame.cause:
            dropped[frame.cause] += max(0, frame.tiles - came[key])
            acquired_by[is_of_now] += max(frame.tiles, came[key])
        else:
            missing[is_of_now] += frame.tiles - came[key]
            acquired_by[is_of_now] += frame.tiles
    # Nobody knows whose life these are of: of the earlier ones first.
    unnamed = older_tiles
    for is_of_now in (False, True):
        known = min(unnamed, missing[is_of_now])
        missing[is_of_now] -= known
        unnamed -= known
    acquired = acquired_by.total()
    delivered = came.total() + older_tiles - unnamed
    foreign += unnamed

    # Images that a camera's life heard and has not cut yet, which have no row; of a bag or folder there are none.
    later = acquired_by[True] + current.restored - current.acquired
    uncut = max(0, -later) if not rereads else 0
    acquired += uncut
    missing[True] += uncut

    claims = _claims(current)
    if later > 0 and not current.ended:
        if rereads and len(accounts) > 1:
            claims.append(_Claim(False, TO_READ_AGAIN, later))
        elif not current.closed:
            claims.append(_Claim(False, NOT_TOLD, later))
    missing[True], unused = _allocate(missing[True], claims)
    former = [claim._replace(tiles=min(claim.tiles, current.restored)) for claim in unused if not claim.is_drop]
    if not rereads:
        for account in accounts[:-1]:
            of_life = sum(f.tiles for f in rows.values() if f.source_id == camera_source(account.boot_id))
            former += _claims_of_a_dead_life(account, of_life)
        heard = {camera_source(account.boot_id) for account in accounts}
        unheard_life = sum(f.tiles for f in rows.values() if f.source_id not in heard)
        former.append(_Claim(True, LOST_WITH_SENSING, unheard_life))
    missing[False], spared = _allocate(missing[False], former)
    in_custody: Counter[str] = Counter()
    for used in (*_used(claims, unused), *_used(former, spared)):
        (dropped if used.is_drop else in_custody)[used.name] += used.tiles

    unread_frames = max(0, (frames_total or 0) - len(rows))
    is_broken_off = any(frame.cause == BROKEN_OFF for frame in rows.values())
    return Audit(
        basis=JOURNAL,
        acquired=acquired,
        delivered=delivered,
        dropped=dict(+dropped),
        in_custody=dict(+in_custody),
        lost=missing.total(),
        foreign=foreign,
        uncounted=_uncounted(later, accounts, rereads=rereads),
        unread_frames=unread_frames,
        # Where it is known how many there are, those are among the unread.
        unheard_frames=(
            0
            if frames_total is not None
            else sum(account.unheard_frames for account in (accounts if not rereads else accounts[-1:]))
        ),
        # What follows a place where reading broke off was not expected to be read.
        ended=current.ended and not is_broken_off,
    )


def _uncounted(later: int, accounts: Sequence[SessionTotals], *, rereads: bool) -> int:
    """Tiles that are in the journal and not in the current life's count, where the two must agree."""
    current = accounts[-1] if accounts else None
    if current is None or not (current.closed or (rereads and current.ended)):
        return 0
    if not rereads:
        return max(0, later)
    # An earlier life may have read further than this one, until it has read all.
    return later if len(accounts) == 1 or current.ended else min(0, later)


def audit_ledger(
    *, sent: int, received: int, dropped_before: dict[str, int], accounts: Sequence[SessionTotals], rereads: bool
) -> Audit:
    """Audit a run of which only sensing's counts are known here.

    Parameters
    ----------
    sent, dropped_before
        Different tiles that went to custody over all lives, and those that were dropped before.
    received
        Different tiles in the ground's store.
    accounts
        As heard, the last one last; at least one.
    """
    current = accounts[-1]
    claims = _claims(current)
    if rereads and len(accounts) > 1 and not current.ended:
        claims.append(_Claim(False, TO_READ_AGAIN, max(0, sent - current.sent)))
    if not rereads:
        claims += [c for account in accounts[:-1] for c in _claims(account) if c.is_drop]
        claims.append(_Claim(True, LOST_WITH_SENSING, current.lost))
    lost, unused = _allocate(max(0, sent - received), claims)
    dropped, in_custody = Counter(dropped_before), Counter[str]()
    for used in _used(claims, unused):
        (dropped if used.is_drop else in_custody)[used.name] += used.tiles
    return Audit(
        basis=LEDGER,
        acquired=sent + sum(dropped_before.values()),
        delivered=min(sent, received),
        dropped=dict(+dropped),
        in_custody=dict(+in_custody),
        lost=lost,
        foreign=max(0, received - sent),
        unheard_frames=sum(account.unheard_frames for account in (accounts if not rereads else accounts[-1:])),
        ended=current.ended,
    )


def _claims(account: SessionTotals) -> list[_Claim]:
    drops = [_Claim(True, cause, tiles) for cause, tiles in account.dropped_after.items()]
    # What waits for its first way is certainly not on the ground; what is stored, next to the ground, perhaps.
    places = sorted(account.in_custody.items(), key=lambda place: (_nearness(place[0]), place[0]))
    return drops + [_Claim(False, place, tiles) for place, tiles in places]


def _nearness(place: str) -> int:
    return 2 if place.startswith("stored") else 1 if "flight" in place else 0


def _claims_of_a_dead_life(account: SessionTotals, acquired: int) -> list[_Claim]:
    """A store keeps what it had stored; all else that it had not delivered died with it."""
    made = []
    for claim in _claims(account):
        if claim.is_drop:
            made.append(claim)
        elif claim.name.startswith("stored"):
            made.append(_Claim(False, claim.name + OF_EARLIER_LIFE, claim.tiles))
        else:
            made.append(_Claim(True, LOST_WITH_SENSING, claim.tiles))
    made.append(_Claim(True, LOST_WITH_SENSING, max(0, acquired - account.acquired)))
    return made


def _allocate(tiles: int, claims: Sequence[_Claim]) -> tuple[int, list[_Claim]]:
    """Explain tiles by claims, the first ones first: tiles left unexplained, and what is unused of every claim."""
    unused = []
    for claim in claims:
        taken = min(tiles, claim.tiles)
        tiles -= taken
        unused.append(claim._replace(tiles=claim.tiles - taken))
    return tiles, unused


def _used(claims: Sequence[_Claim], unused: Sequence[_Claim]) -> list[_Claim]:
    return [made._replace(tiles=made.tiles - rest.tiles) for made, rest in zip(claims, unused, strict=True)]
