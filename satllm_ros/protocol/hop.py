"""What is lost on one hop is sent again there: copies of what was sent, until a link receipt says that they arrived.

Two pure state machines, one for each end of a hop. They only save time: what they give up, custody notices and sends
again from the beginning. The caller brings the time [s, any steady clock].
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from satllm_ros.protocol.identity import BatchId

Message = TypeVar("Message")
# As TCP smooths its round trips (RFC 6298): shares of a new sample, and deviations to wait beyond the mean.
ROUND_TRIP_SHARE = 0.125
DEVIATION_SHARE = 0.25
DEVIATIONS = 4.0
# The middleware fills what arrives up to a multiple of so many bytes.
PADDING_BYTES = 4


@dataclass(frozen=True)
class HopLimits:
    """Bounds of what a hop may keep and repeat.

    Attributes
    ----------
    copies, copies_bytes
        Messages kept without a receipt, over all receivers; beyond either, the oldest copy is let go.
    resends
        How often one message is sent again before custody has to notice.
    first_wait_s, least_wait_s
        Wait for a receipt after the last bit has left, before a round trip was measured and at the least. It doubles
        with each resend of a message.
    deaf_after
        So many messages in a row given up without any receipt: the receiver sends none, or the link works one way.
        Nothing is sent again to it before one comes.
    """

    copies: int = 16
    copies_bytes: int = 64 * 1024 * 1024
    resends: int = 4
    first_wait_s: float = 1.0
    least_wait_s: float = 0.2
    deaf_after: int = 3


@dataclass(frozen=True)
class Resend(Generic[Message]):
    """Send this message to its receiver again, as it was."""

    receiver: str
    batch: BatchId
    message: Message
    wire_bytes: int


@dataclass
class _Copy(Generic[Message]):
    receiver: str
    batch: BatchId
    message: Message
    wire_bytes: int
    transfer_s: float
    propagation_s: float
    order: int = 0
    # When the last bit has left, as far as the sender can tell, and when a receipt is overdue.
    left_s: float = 0.0
    due_s: float = 0.0
    resends: int = 0


@dataclass
class _Link:
    busy_until_s: float = -math.inf
    round_trip_s: float | None = None
    deviation_s: float = 0.0
    given_up: int = 0
    # Resends since a round trip was measured: waits stay that much longer (Karn), or a link that has become longer
    # would never be measured again, since of what was sent twice nobody knows which copy is meant. Not for one message
    # alone, which may have been lost: on a longer link none comes in time.
    backoff: int = 0
    late_in_a_row: int = 0


@dataclass
class HopSender(Generic[Message]):
    """Copies of what one process has sent over its links.

    `causes` counts messages: `resent`, `given_up`, `let_go` (no room for a copy), `superseded` (by a later attempt),
    `deaf` (given up at once); and receipts: `unknown_receipt` (late, doubled, forged, or of what another node of the
    process has sent), `false_receipt` (another size).
    """

    limits: HopLimits = HopLimits()
    causes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._copies: dict[tuple[str, BatchId], _Copy[Message]] = {}
        self._links: dict[str, _Link] = {}
        self._bytes = 0
        self._sent = 0

    def offer(
        self,
        receiver: str,
        batch: BatchId,
        message: Message,
        wire_bytes: int,
        now_s: float,
        *,
        rate_bps: float = math.inf,
        propagation_s: float = 0.0,
    ) -> None:
        """A message has been handed to the link, which carries it after all others to the same receiver.

        No receipt is waited for less than `propagation_s` twice.
        """
        for copy in self._copies_of(batch):
            if copy.batch.attempt <= batch.attempt:
                # Whoever sends it anew, perhaps another way, has given up the attempt before.
                self._release(copy, "superseded")
        copy = _Copy(receiver, batch, message, wire_bytes, 8.0 * wire_bytes / rate_bps, propagation_s)
        self._copies[receiver, batch] = copy
        self._bytes += wire_bytes
        self._leave(copy, now_s)
        while len(self._copies) > self.limits.copies or self._bytes > self.limits.copies_bytes:
            self._release(next(iter(self._copies.values())), "let_go")

    def receipt(self, receiver: str, batch: BatchId, wire_bytes: int, now_s: float) -> None:
        """A receiver says that a message has arrived; whatever fits nothing that is kept is counted, no more."""
        copy = self._copies.get((receiver, batch))
        if copy is None:
            self.causes["unknown_receipt"] += 1
            return
        if _padded(copy.wire_bytes) != _padded(wire_bytes):
            self.causes["false_receipt"] += 1
            return
        link = self._links[receiver]
        link.given_up = 0
        if not copy.resends:
            link.backoff = link.late_in_a_row = 0
            self._measure(link, max(0.0, now_s - copy.left_s))
        self._release(copy)
        for other in self._copies.values():
            if other.receiver == receiver and other.order > copy.order:
                # First in, first out: it cannot have been there before this one.
                other.due_s = max(other.due_s, now_s + other.transfer_s + self._wait_s(other))

    def settle(self, receiver: str, batch: BatchId) -> None:
        """The receiver has said more than that it arrived, perhaps of another attempt."""
        for copy in self._copies_of(batch):
            if copy.receiver == receiver:
                self._release(copy)

    def tick(self, now_s: float) -> list[Resend[Message]]:
        """What is to be sent again now; ask again at `next_due_s`, at the latest."""
        resends = []
        for copy in [copy for copy in self._copies.values() if copy.due_s <= now_s]:
            link = self._links[copy.receiver]
            if copy.resends >= self.limits.resends:
                link.given_up += 1
                self._release(copy, "given_up")
            elif link.given_up >= self.limits.deaf_after:
                self._release(copy, "deaf")
            else:
                copy.resends += 1
                link.late_in_a_row += copy.resends == 1
                if link.late_in_a_row > 1 or link.round_trip_s is None:
                    link.backoff = max(link.backoff, copy.resends)
                self.causes["resent"] += 1
                self._leave(copy, now_s)
                resends.append(Resend(copy.receiver, copy.batch, copy.message, copy.wire_bytes))
        return resends

    def busy(self, receiver: str, until_s: float) -> None:
        """The link says that what waits for it takes so long: what is offered now leaves after it."""
        link = self._links.setdefault(receiver, _Link())
        link.busy_until_s = max(link.busy_until_s, until_s)

    def forget(self, receiver: str) -> None:
        """What is sent there now is another matter: the link is down or has another rate, the receiver out of contact.

        Custody sends again what it had not received.
        """
        for copy in [copy for copy in self._copies.values() if copy.receiver == receiver]:
            self._release(copy)
        self._links.pop(receiver, None)

    @property
    def next_due_s(self) -> float | None:
        """When to call `tick` again; None if nothing is waited for."""
        return min((copy.due_s for copy in self._copies.values()), default=None)

    @property
    def copies(self) -> int:
        """Messages kept."""
        return len(self._copies)

    @property
    def copies_bytes(self) -> int:
        """Bytes of the messages kept."""
        return self._bytes

    def _copies_of(self, batch: BatchId) -> list[_Copy[Message]]:
        """Of all attempts."""
        wanted = (batch.boot_id, batch.sequence)
        return [copy for copy in self._copies.values() if (copy.batch.boot_id, copy.batch.sequence) == wanted]

    def _leave(self, copy: _Copy[Message], now_s: float) -> None:
        link = self._links.setdefault(copy.receiver, _Link())
        link.busy_until_s = copy.left_s = max(now_s, link.busy_until_s) + copy.transfer_s
        copy.order = self._sent
        self._sent += 1
        copy.due_s = copy.left_s + self._wait_s(copy)

    def _wait_s(self, copy: _Copy[Message]) -> float:
        link, limits = self._links[copy.receiver], self.limits
        wait_s = 2.0 * copy.propagation_s
        if link.round_trip_s is None:
            wait_s += limits.first_wait_s
        else:
            wait_s = max(wait_s + limits.least_wait_s, link.round_trip_s + DEVIATIONS * link.deviation_s)
        return wait_s * 2.0 ** max(copy.resends, link.backoff)

    @staticmethod
    def _measure(link: _Link, sample_s: float) -> None:
        if link.round_trip_s is None:
            link.round_trip_s, link.deviation_s = sample_s, sample_s / 2.0
            return
        link.deviation_s += DEVIATION_SHARE * (abs(sample_s - link.round_trip_s) - link.deviation_s)
        link.round_trip_s += ROUND_TRIP_SHARE * (sample_s - link.round_trip_s)

    def _release(self, copy: _Copy[Message], cause: str = "") -> None:
        if cause:
            self.causes[cause] += 1
        self._bytes -= copy.wire_bytes
        del self._copies[copy.receiver, copy.batch]


class HopReceiver:
    """Tells the second copy of a message from the first: a receipt may be lost, and then it comes again.

    Only what was taken on is noted: of one that was refused, sensing hears and sends another attempt.
    """

    def __init__(self, remembered: int = 256) -> None:
        self._remembered = remembered
        self._taken: dict[BatchId, None] = {}

    def is_duplicate(self, batch: BatchId) -> bool:
        """Whether this very attempt was taken on before."""
        return batch in self._taken

    def take(self, batch: BatchId) -> None:
        """This attempt is taken on; the oldest that was is forgotten when there are too many."""
        self._taken[batch] = None
        if len(self._taken) > self._remembered:
            del self._taken[next(iter(self._taken))]


def _padded(wire_bytes: int) -> int:
    return -(-wire_bytes // PADDING_BYTES)
