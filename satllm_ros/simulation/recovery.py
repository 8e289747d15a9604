"""How soon each fault must be noticed: a bound for every one, so that no slower way round may hide a missing one.

The watch knows what no process does: which copies of a batch exist, who is down and since when, which messages were
lost. Whenever sensing has looked at its custody, every batch in it is compared with that truth. `docs/protocol.md`
has the bounds as a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from satllm_ros.protocol.custody import Place, State
from satllm_ros.protocol.delivery import BatchKey, batch_key
from satllm_ros.protocol.identity import BatchId, Epoch
from satllm_ros.protocol.membership.liveness import Life
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.sensing import SensingLimits
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.simulation.processes.process import GROUND, SENSING

if TYPE_CHECKING:
    from satllm_ros.protocol.signals import Ack
    from satllm_ros.simulation.processes.ends import Ground
    from satllm_ros.simulation.processes.satellite import Satellite
    from satllm_ros.simulation.processes.sensing import Sensing

# Not to last at all: its time was counted otherwise.
AT_ONCE_S = -1.0
# Whatever is judged is looked at once in so long.
TICK_S = 1.0
# What was under way when a fault began may still arrive so late: ten times the mean delay of the worst network.
LATENESS_S = 5.0
# The longest pause before a refused batch is sent again, in units of `backoff_s`.
LONGEST_BACKOFF = 16


class Truth(Protocol):
    """The world, as far as it tells what really happened."""

    now_s: float

    def under_way(self) -> set[BatchKey]: ...
    def is_up(self, name: str) -> bool: ...
    def is_stopped(self, name: str) -> bool: ...
    def born_s(self, name: str) -> float: ...
    def undisturbed_since_s(self, one: str, other: str) -> float: ...
    def in_contact(self, satellite: str) -> bool: ...


@dataclass(frozen=True)
class Bounds:
    """Seconds from a fault to the moment at which sensing, or a store, does something about it.

    Attributes
    ----------
    death_s
        A satellite is dead: N missed heartbeats, the period that has begun, a look, and what it said before.
    silence_s
        Nothing is heard of the chain: patience, then one batch a look.
    word_s
        A store no longer has to send a batch, and sensing does not know: a question and its answer.
    descent_s
        A store in contact holds a batch: sent again after `resend_s`; for each window of batches before it.
    pause_s
        Nothing keeps a batch from being sent.
    drain_s
        The stream is paused for a drain.
    """

    death_s: float
    silence_s: float
    word_s: float
    descent_s: float
    pause_s: float
    drain_s: float

    @classmethod
    def of(cls, limits: SensingLimits, resend_s: float) -> Bounds:
        """What follows from the limits in force."""
        custody, liveness = limits.custody, limits.liveness
        return cls(
            death_s=(liveness.dead_misses + 1) * liveness.period_s + TICK_S + LATENESS_S,
            silence_s=custody.stall_s + (custody.window_batches + 1) * TICK_S,
            word_s=custody.query_s + 2 * TICK_S + 2 * LATENESS_S,
            descent_s=resend_s + 2 * TICK_S + 2 * LATENESS_S,
            pause_s=LONGEST_BACKOFF * custody.backoff_s + 2 * TICK_S,
            drain_s=limits.drain_s + 2 * TICK_S,
        )


@dataclass(frozen=True)
class _Overdue:
    """Something that must not last: what, of which batch or plan, how long at most, and since when at the earliest."""

    fault: str
    about: BatchId | Epoch
    bound_s: float
    not_before_s: float = 0.0


class RecoveryWatch:
    """Looks whenever sensing has looked; says what lasts longer than its bound."""

    def __init__(self, limits: SensingLimits, resend_s: float, store_window: int) -> None:
        self._bounds = Bounds.of(limits, resend_s)
        self._window = limits.custody.window_batches
        self._store_window = store_window
        self._boot_id = 0
        self._looked_s = 0.0
        self._since_s: dict[tuple[str, BatchId | Epoch], float] = {}
        self._order: dict[BatchId, int] = {}
        self._sent_s: dict[BatchId, float] = {}
        self._known: dict[BatchId, frozenset[str]] = {}
        self._passed: Counter[BatchId] = Counter()
        self._progress_s = 0.0

    def sent(self, sensing: Sensing, batch: BatchId, now_s: float) -> None:
        """Sensing sends a batch."""
        self._order[batch] = len(self._order)
        self._sent_s[batch] = now_s
        # Of a life that it never heard of, sensing cannot know that it ended: silence is all it has.
        self._known[batch] = sensing.protocol.liveness.in_state(Life.ALIVE, Life.SUSPECT, Life.DEAD)

    def heard(self, sensing: Sensing, ack: Ack, now_s: float) -> None:
        """Sensing is about to take an acknowledgement."""
        if ack.verdict is Verdict.REFUSED:
            return
        flying = {place.batch: place for place in sensing.protocol.custody.places() if place.state is State.IN_FLIGHT}
        if any(batch_key(batch) == batch_key(ack.batch) for batch in flying):
            self._progress_s = now_s
        if ack.batch in flying:
            order = self._order[ack.batch]
            self._passed.update(batch for batch in flying if self._order[batch] < order)

    def look(
        self,
        truth: Truth,
        sensing: Sensing,
        ground: Ground,
        satellites: dict[str, Satellite],
        plans: dict[Epoch, Plan],
    ) -> str:
        """What is overdue now that sensing has looked, in one sentence; empty if nothing is."""
        now_s = truth.now_s
        if sensing.boot_id != self._boot_id or now_s - self._looked_s > 1.5 * TICK_S:
            # Another life, or one that was stopped: whoever was away has to look anew.
            self._since_s.clear()
            self._progress_s = now_s
            self._boot_id = sensing.boot_id
        self._looked_s = now_s
        since_s = self._since_s
        self._since_s = {}
        for overdue in self._wrong(truth, sensing, ground, satellites, plans):
            key = (overdue.fault, overdue.about)
            began_s = max(since_s.get(key, now_s), overdue.not_before_s)
            self._since_s[key] = began_s
            if now_s - began_s > overdue.bound_s:
                lasts = (
                    f" for {now_s - began_s:.0f} s, the bound is {overdue.bound_s:g} s" if overdue.bound_s > 0 else ""
                )
                return f"slow recovery: {overdue.fault}, and nothing is done about {overdue.about}{lasts}"
        return ""

    def _wrong(
        self,
        truth: Truth,
        sensing: Sensing,
        ground: Ground,
        satellites: dict[str, Satellite],
        plans: dict[Epoch, Plan],
    ) -> Iterator[_Overdue]:
        protocol = sensing.protocol
        places = protocol.custody.places()
        under_way = truth.under_way() if any(place.state is State.IN_FLIGHT for place in places) else set()
        for place, held in zip(places, protocol.custody.held_batches(), strict=True):
            if place.state is State.IN_FLIGHT:
                plan = plans.get(held.epoch) if held.epoch is not None else None
                yield from self._wrong_in_flight(truth, place, plan, under_way, satellites)
            elif place.state is State.STORED:
                yield from self._wrong_in_store(truth, sensing, ground, satellites[place.where], place)
            elif self._may_send(sensing):
                yield _Overdue("nothing keeps a batch from being sent", place.batch, self._bounds.pause_s)
        if protocol.draining and protocol.proposal is not None:
            yield _Overdue("the stream is paused for a drain", protocol.proposal.epoch, self._bounds.drain_s)

    def _may_send(self, sensing: Sensing) -> bool:
        protocol = sensing.protocol
        room = protocol.custody.in_flight_batches < self._window
        return protocol.active is not None and room and not protocol.draining and not protocol.obstacles

    def _wrong_in_flight(
        self,
        truth: Truth,
        place: Place,
        plan: Plan | None,
        under_way: set[BatchKey],
        satellites: dict[str, Satellite],
    ) -> Iterator[_Overdue]:
        batch, bounds = place.batch, self._bounds
        sent_s = self._sent_s[batch]
        if self._passed[batch] >= self._window:
            yield _Overdue(f"{self._passed[batch]} batches sent later were acknowledged sooner", batch, AT_ONCE_S)
        silent_s = max(sent_s, self._progress_s)
        if truth.now_s - silent_s > bounds.silence_s:
            yield _Overdue(f"nothing was heard of the chain for {truth.now_s - silent_s:.0f} s", batch, AT_ONCE_S)
        key = batch_key(batch)
        if plan is None or key in under_way or self._is_kept(key, truth, satellites):
            return
        for name in sorted(plan.members & self._known[batch]):
            if not truth.is_up(name) or truth.born_s(name) > sent_s:
                yield _Overdue(f"lost with the life of {name}", batch, bounds.death_s)
                return

    def _is_kept(self, key: BatchKey, truth: Truth, satellites: dict[str, Satellite]) -> bool:
        """Whether a store that lives has it: it comes down without sensing."""
        return any(truth.is_up(name) and key in satellite.disk["batches"] for name, satellite in satellites.items())

    def _wrong_in_store(
        self, truth: Truth, sensing: Sensing, ground: Ground, store: Satellite, place: Place
    ) -> Iterator[_Overdue]:
        name, bounds = store.name, self._bounds
        if not truth.is_up(name):
            if sensing.protocol.liveness.life(name) is not Life.UNHEARD:
                yield _Overdue(f"its store {name} is dead", place.batch, bounds.death_s)
            return
        if truth.is_stopped(name):
            return
        calm_s = truth.undisturbed_since_s(name, SENSING)
        found = store.disk["batches"].get(batch_key(place.batch))
        if found is None or found[2] is not None:
            known = "does not hold it" if found is None else "knows more" if found[2] is Cause.NONE else "set it aside"
            yield _Overdue(f"its store {name} {known}", place.batch, bounds.word_s, calm_s)
        elif truth.is_up(GROUND) and not truth.is_stopped(GROUND) and truth.in_contact(name):
            if ground.protocol.run_id is not None:
                rounds = -(-store.store.undelivered // self._store_window)
                bound_s = bounds.descent_s * max(1, rounds)
                began_s = truth.undisturbed_since_s(name, GROUND)
                yield _Overdue(f"its store {name} is in contact", place.batch, bound_s, began_s)
