"""Whether a satellite may send predictions to the ground, and what keeps it from it; a pure state machine."""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.protocol.membership.presence import Contact

# A link's state is said every second; a word that nobody repeats is forgotten.
LINK_WORD_S = 5.0
# Contact may be away so long, while the link is said to be up, before that is an error.
GRACE_S = 10.0


@dataclass(frozen=True)
class Trouble:
    """Why predictions wait: an error where the link is said to be up; where it is said to be down, that is known."""

    sentence: str
    is_error: bool
    is_known: bool = False


class GroundContact:
    """Open while the ground and this satellite hear each other, unless somebody says that the link is down.

    A new life of the ground closes it for one look: what the old one took with it is sent again.
    """

    def __init__(self, now_s: float) -> None:
        self._life = 0
        self._open = False
        self._closed_since_s = now_s
        self._down_until_s = self._up_until_s = float("-inf")

    def on_link(self, up: bool, now_s: float) -> None:
        """Somebody says whether the link to the ground is up."""
        self._up_until_s = now_s + LINK_WORD_S if up else float("-inf")
        self._down_until_s = float("-inf") if up else now_s + LINK_WORD_S

    def look(self, contact: Contact, connected: bool, now_s: float) -> None:
        """How things stand with the ground, about once a second; `connected`: there is a reader at the other end."""
        is_new = contact.is_two_way and contact.boot_id != self._life
        if is_new:
            self._life = contact.boot_id
        # From the next look on: until then those between us discover a new ground too.
        self._open = contact.is_two_way and connected and not is_new
        if self._open:
            self._closed_since_s = now_s

    def is_open(self, now_s: float) -> bool:
        """Whether predictions may be sent."""
        return self._open and now_s >= self._down_until_s

    def trouble(self, undelivered: int, contact: Contact, now_s: float) -> Trouble | None:
        """Why so many batches wait for the ground; None if nothing waits, or nothing is in the way."""
        if not undelivered or self.is_open(now_s):
            return None
        wait = "1 batch waits" if undelivered == 1 else f"{undelivered} batches wait"
        since = f"{wait} for the ground: {self._why(contact, now_s)}"
        up = now_s < self._up_until_s and now_s - self._closed_since_s > GRACE_S
        sentence = f"{since}, though link_state says that the link is up" if up else since
        return Trouble(sentence, up, is_known=now_s < self._down_until_s)

    def _why(self, contact: Contact, now_s: float) -> str:
        if now_s < self._down_until_s:
            return "link_state says that the link is down"
        if contact.heard_age_s is None:
            return "no contact, and no hello of it was ever heard"
        if not contact.is_heard:
            return f"no contact, its last hello came {contact.heard_age_s:.0f} s ago"
        if not contact.hears_us:
            return f"it is heard, {contact.heard_age_s:.1f} s ago, and does not hear this satellite"
        if not contact.is_ready:
            return "it is starting"
        return "it is heard, and its inbox is not found yet"
