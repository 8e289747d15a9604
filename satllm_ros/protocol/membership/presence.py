"""Who is there and who can be talked to, from hellos alone; a pure state machine.

Never from names or endpoints in the middleware's graph: once a lease has run out, the names in it are lost for good,
and an endpoint says nothing of the way back. Whoever is heard is present; whoever is heard and hears us is in contact;
whoever is present while its work stands still is not alive.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass, field

from satllm_ros.protocol.membership.clock_offset import ClockOffset, Offset
from satllm_ros.protocol.membership.hello import PROTOCOL, Heard, Hello, HelloState, nonsense_in, shown
from satllm_ros.protocol.membership.liveness import PERSISTENCE, Lives

# Hellos of ours whose times are remembered: whoever answers an older one was away.
REMEMBERED_HELLOS = 64
# Sentences that were said are not said again; a flood of others shall not fill memory or the log.
REMEMBERED_SENTENCES = 64


@dataclass(frozen=True)
class Sign:
    """A sign of life of a member that is ready, and whose work moves."""

    name: str
    boot_id: int


@dataclass(frozen=True)
class Note:
    """Count `cause`; and say the sentence, if there is one."""

    cause: str
    sentence: str = ""


@dataclass(frozen=True)
class PresenceLimits:
    """How long silence and standstill are borne.

    Attributes
    ----------
    period_s
        Between two hellos.
    contact_s
        Whoever was not heard for so long is absent.
    executor_s, worker_s
        Whoever says that its executor, or a worker that has work, has stood still for so long gives no sign of life any
        more. One batch on one worker may take long; a callback of the executor may not.
    """

    period_s: float = 0.5
    contact_s: float = 3.0
    executor_s: float = 10.0
    worker_s: float = 120.0


@dataclass(frozen=True)
class Contact:
    """How things stand with one member.

    Attributes
    ----------
    boot_id
        Its present life; 0 if it was never heard.
    heard_age_s
        Since its last hello; None if it was never heard.
    is_heard
        Whether that is not too long ago.
    hears_us
        Whether it said then that it hears this very life of ours.
    is_ready
        Whether it said then that it is.
    """

    boot_id: int = 0
    heard_age_s: float | None = None
    is_heard: bool = False
    hears_us: bool = False
    is_ready: bool = False

    @property
    def is_two_way(self) -> bool:
        """Whether each hears the other, and it is ready."""
        return self.is_heard and self.hears_us and self.is_ready


@dataclass
class _Member:
    lives: Lives = field(default_factory=Lives)
    last: Hello | None = None
    heard_s: float = 0.0
    hears_us: bool = False
    moves: bool = True
    late: int = 0
    clock: ClockOffset = field(default_factory=ClockOffset)


class Presence:
    """One life of one process among the others of its graph.

    Parameters
    ----------
    members
        All that may be there, this one included or not; whoever else says hello is counted.
    alone
        Whether a second process by this name is a mistake.

    Attributes
    ----------
    causes
        What was noted, counted.
    """

    def __init__(
        self,
        name: str,
        boot_id: int,
        members: Collection[str],
        limits: PresenceLimits = PresenceLimits(),  # noqa: B008
        *,
        software: str = "",
        alone: bool = True,
    ) -> None:
        self.name = name
        self.limits = limits
        self._software = software
        self._alone = alone
        self._members = {member: _Member() for member in members if member != name}
        self._own_lives = [boot_id]
        self._sequence = 0
        self._sent: deque[tuple[int, float]] = deque(maxlen=REMEMBERED_HELLOS)
        self._doubles: set[tuple[int, int]] = set()
        self._said: dict[str, set[str]] = {}
        self.causes: Counter[str] = Counter()

    @property
    def boot_id(self) -> int:
        """Of the present life of this process."""
        return self._own_lives[-1]

    def begin_life(self, boot_id: int) -> None:
        """This process has begun anew without having ended: whoever hears it must hear the new life."""
        self._own_lives.append(boot_id)
        self._sequence = 0
        self._sent.clear()
        for member in self._members.values():
            member.hears_us = False

    def say(self, now_s: float, *, state: HelloState, executor_age_s: float = 0.0, worker_age_s: float = 0.0) -> Hello:
        """The next hello."""
        self._sequence += 1
        self._sent.append((self._sequence, now_s))
        heard = tuple(
            Heard(name, member.last.boot_id, member.last.sequence, member.last.sent_s, member.heard_s)
            for name, member in self._members.items()
            if member.last is not None and self._is_heard(member, now_s)
        )
        return Hello(
            self.name,
            self.boot_id,
            self._sequence,
            now_s,
            PROTOCOL,
            self._software,
            state,
            executor_age_s,
            worker_age_s,
            heard,
        )

    def on_hello(self, hello: Hello, now_s: float) -> list[Sign | Note]:
        """Somebody has said hello."""
        if hello.name == self.name:
            return self._on_own_name(hello)
        member = self._members.get(hello.name)
        if member is None and hello.name.partition("/")[0] in self._members:
            # The external stage of a satellite, which is the satellite's own business.
            return []
        if member is None:
            who = shown(hello.name)
            return self._note("hello_stranger", f"hello of {who}, which is no member of this graph: not heard")
        if hello.protocol != PROTOCOL:
            return self._note(
                "hello_protocol",
                f"{hello.name} speaks protocol {hello.protocol} (software {shown(hello.software)}), this process"
                f" {PROTOCOL} (software {shown(self._software)}): it is taken for absent; install one version on both",
            )
        if nonsense := nonsense_in(hello):
            return self._note("hello_nonsense", f"hello of {hello.name} with {nonsense}: not heard")
        if not self._take_life(member, hello):
            return self._note("hello_late")
        member.last, member.heard_s = hello, now_s
        notes = self._take_echo(member, hello, now_s)
        moved, member.moves = member.moves, self._moves(hello)
        if not member.moves:
            what = "executor" if hello.executor_age_s > self.limits.executor_s else "worker"
            standstill_s = hello.executor_age_s if what == "executor" else hello.worker_age_s
            said = f"{hello.name} says hello, but its {what} has stood still for {standstill_s:.0f} s: no sign of life"
            self.causes["hello_stuck"] += 1
            return [*notes, Note("hello_stuck", said if moved else "")]
        return [*notes, Sign(hello.name, hello.boot_id)] if hello.state == HelloState.READY else notes

    def contact(self, name: str, now_s: float) -> Contact:
        """How things stand with a member; whoever is none is never heard."""
        member = self._members.get(name)
        if member is None or member.last is None:
            return Contact()
        return Contact(
            member.last.boot_id,
            now_s - member.heard_s,
            self._is_heard(member, now_s),
            member.hears_us,
            member.last.state == HelloState.READY,
        )

    def present(self, now_s: float, within_s: float | None = None) -> frozenset[str]:
        """Members that were heard within `within_s` (unless given, `contact_s`), whether or not they are ready yet."""
        bound_s = self.limits.contact_s if within_s is None else within_s
        return frozenset(
            name
            for name, member in self._members.items()
            if member.last is not None and now_s - member.heard_s < bound_s
        )

    def starting(self, now_s: float, within_s: float) -> frozenset[str]:
        """Members that were heard within `within_s` and will be ready by themselves, or are."""
        return frozenset(
            name
            for name in self.present(now_s, within_s)
            if (last := self._members[name].last) is not None and last.state != HelloState.WAITING
        )

    def is_stuck(self, name: str) -> bool:
        """Whether a member last said that its work stands still."""
        member = self._members.get(name)
        return member is not None and not member.moves

    def offset(self, name: str, now_s: float) -> Offset | None:
        """A member's monotonic clock less ours; None as long as no exchange was two-way."""
        member = self._members.get(name)
        return member.clock.best(now_s) if member is not None else None

    # How a hello is taken

    def _on_own_name(self, hello: Hello) -> list[Sign | Note]:
        if hello.boot_id in self._own_lives or not self._alone:
            return []
        self._doubles.add((hello.boot_id, hello.sequence))
        # What a former life said last may still come; it does not go on.
        sentence = ""
        if len(self._doubles) >= PERSISTENCE:
            self._doubles.clear()
            sentence = (
                f"another process of this graph calls itself {self.name} too: end one of them, or give it another"
                " name, namespace or ROS_DOMAIN_ID"
            )
        return self._note("hello_double", sentence)

    def _take_life(self, member: _Member, hello: Hello) -> bool:
        """Whether a hello is of the present life, and news of it."""
        known = member.lives.boot_id
        if not member.lives.take(hello.boot_id):
            return False
        if hello.boot_id != known:
            member.hears_us, member.late, member.clock = False, 0, ClockOffset()
        elif member.last is not None and hello.sequence <= member.last.sequence:
            member.late += 1
            if member.late < PERSISTENCE:
                return False
        # So many late ones in a row: it was the one before them that was not as it should be.
        member.late = 0
        return True

    def _take_echo(self, member: _Member, hello: Hello, now_s: float) -> list[Sign | Note]:
        """What a hello says of this life of ours."""
        echo = next((h for h in hello.heard if (h.name, h.boot_id) == (self.name, self.boot_id)), None)
        member.hears_us = False
        if echo is None:
            return []
        sent_s = next((at_s for sequence, at_s in self._sent if sequence == echo.sequence), None)
        if sent_s is None:
            # Of long ago: one of us was away meanwhile.
            return []
        if echo.sent_s != sent_s or not member.clock.add(sent_s, echo.received_s, hello.sent_s, now_s):
            return self._note("hello_nonsense", f"hello of {hello.name} with times that cannot be: no contact")
        member.hears_us = True
        return []

    def _moves(self, hello: Hello) -> bool:
        if hello.state != HelloState.READY:
            # It imports, configures or looks at its images: what it is to do later waits.
            return True
        return hello.executor_age_s <= self.limits.executor_s and hello.worker_age_s <= self.limits.worker_s

    def _is_heard(self, member: _Member, now_s: float) -> bool:
        return member.last is not None and now_s - member.heard_s < self.limits.contact_s

    def _note(self, cause: str, sentence: str = "") -> list[Sign | Note]:
        self.causes[cause] += 1
        said = self._said.setdefault(cause, set())
        if sentence in said or len(said) >= REMEMBERED_SENTENCES:
            return [Note(cause)]
        if sentence:
            said.add(sentence)
        return [Note(cause, sentence)]
