"""Every interleaving of a small world: three satellites, two plans, two kills, explored without a clock.

The very processes of the simulation run here. What a process does depends on nothing but its own state and the
event it meets, so each such pair is run once and remembered (`reactions.py`); a state of the world is then a handful
of numbers, and millions of them can be visited.

The bounds of the model: one step of a process is the handling of one message, or the end of one load, with all that
follows from it on board; a kill may fall before, after or between any two effects of a step. A killed process starts
again at once and what was on its way to it is lost: that covers longer absences too, since what others do meanwhile
could as well have come before. The search begins when the first plan is committed and its first batches are sent.
Time-outs fire when nothing else can happen, and then everything must come down within a few rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

from satllm_ros.simulation.exploration.reactions import Reaction, Reactions
from satllm_ros.simulation.exploration.small_world import (
    GROUND_PLACE,
    HEARINGS,
    NAMES,
    PLANS,
    PROPOSED_TO,
    SENSING_PLACE,
)
from satllm_ros.simulation.oracle import Violation
from satllm_ros.simulation.run import Parts

# So many rounds of "everything arrives, then time passes" must be enough to bring everything down.
RECOVERY_ROUNDS = 12


class Snapshot(NamedTuple):
    """A state of the small world.

    Attributes
    ----------
    states
        Of the five processes, in the order of `NAMES`.
    pending
        Events on their way, sorted.
    due
        Hearings that are due, as bits.
    proposals, kills
        So many there were.
    ready
        Members that ever were ready, as bits.
    committed
        The highest plan that is committed.
    """

    states: tuple[int, ...]
    pending: tuple[int, ...]
    due: int
    proposals: int
    kills: int
    ready: int
    committed: int

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way, and all have heard all."""
        return not self.pending and not self.due

    @property
    def first_due(self) -> int:
        """The lowest hearing that is due."""
        return (self.due & -self.due).bit_length() - 1

    def having_heard(self, bit: int) -> Snapshot:
        states, pending, due, *counts = self
        return Snapshot(states, pending, due & ~(1 << bit), *counts)

    def without(self, event: int) -> Snapshot:
        """One event of this kind is on its way no more."""
        states, pending, *rest = self
        place = pending.index(event)
        return Snapshot(states, pending[:place] + pending[place + 1 :], *rest)


@dataclass(frozen=True)
class Bounds:
    """How much of each there is to explore.

    Attributes
    ----------
    tight
        sat1 holds one sub-model at a time, so that the second plan must be drained for.
    fine
        Loading takes a step of its own, and so does the hearing of each latched topic and of each acknowledgement of
        the ground. Otherwise a load ends at once, a process that listens hears all it has yet to hear, in any order,
        and what the ground acknowledges, all satellites hear at once.
    """

    tiles: int = 1
    kills: int = 2
    tight: bool = False
    fine: bool = False


EXPLORATIONS = {
    "no kill, every step apart": Bounds(kills=0, fine=True),
    "no kill, every step apart, with a drain": Bounds(kills=0, fine=True, tight=True),
    "one kill": Bounds(kills=1),
    "one kill, with a drain": Bounds(kills=1, tight=True),
    "two kills": Bounds(kills=2),
    "two kills, with a drain": Bounds(kills=2, tight=True),
}


@dataclass
class Count:
    """What an exploration has seen: states of the world, steps between them, states with nothing on its way."""

    states: int = 0
    steps: int = 0
    quiet: int = 0


class Explorer:
    """Depth-first search over every state that can be reached."""

    def __init__(self, bounds: Bounds, parts: Parts = Parts()) -> None:  # noqa: B008
        self._bounds = bounds
        self._reactions = Reactions(parts, tiles=bounds.tiles, tight=bounds.tight, slow_loads=bounds.fine)
        self._listening = self._hear_apart if bounds.fine else self._hear_together
        self._recovered: set[Snapshot] = set()
        self.count = Count()

    def explore(self, progress: Callable[[Count], None] = lambda count: None) -> Count:
        """Visit every state.

        Raises
        ------
        Violation
            With the story of the first path that breaks a promise.
        """
        first = self._begin()
        # Their hashes, 64 bits each: among ten million states, one pair is mistaken with a chance of 3 in a million.
        seen = {hash(first)}
        stack = [self._successors(first)]
        path: list[int] = []
        count = self.count
        try:
            while stack:
                following = next(stack[-1], None)
                if following is None:
                    stack.pop()
                    if path:
                        path.pop()
                    continue
                count.steps += 1
                words, world = following
                key = hash(world)
                if key in seen:
                    continue
                seen.add(key)
                path.append(words)
                stack.append(self._successors(world))
                if world.is_quiet:
                    count.quiet += 1
                    self._recover(world)
                if len(seen) % 20000 == 0:
                    count.states = len(seen)
                    progress(count)
        except Violation as violation:
            story = [self._reactions.words(step) for step in path]
            raise Violation("\n".join([*story, str(violation)])) from None
        count.states = len(seen)
        progress(count)
        return count

    def _begin(self) -> Snapshot:
        """The moment after the first commit, reached in one way out of many."""
        reactions = self._reactions
        world = Snapshot(reactions.blank, (), PROPOSED_TO, 1, 0, 0, 0)
        for place in range(len(NAMES)):
            world = self._apply(world, place, reactions.boot(world.states[place], place))
        while world.due or not world.committed:
            if world.due:
                world = self._hear(world, world.first_due)
            elif world.pending:
                world = self._take(world, world.pending[0])
            else:
                raise Violation("the first plan is never committed")
        return world

    # Steps

    def _successors(self, world: Snapshot) -> Iterator[tuple[int, Snapshot]]:
        reactions = self._reactions
        mortal = world.kills < self._bounds.kills
        if not self._bounds.fine:
            coming_down = [event for event in world.pending if reactions.place_of[event] == GROUND_PLACE]
            if coming_down:
                yield from self._meet(world, coming_down[0], mortal)
                return
        for event in dict.fromkeys(world.pending):
            yield from self._meet(world, event, mortal)
        if world.due:
            yield from self._listening(world, mortal)
        if world.proposals < len(PLANS):
            yield reactions.proposing, world._replace(due=world.due | PROPOSED_TO, proposals=world.proposals + 1)
        if mortal:
            for place in range(len(NAMES)):
                yield reactions.killing[place], self._kill(world, place, None)

    def _meet(self, world: Snapshot, event: int, mortal: bool) -> Iterator[tuple[int, Snapshot]]:
        yield event, self._take(world, event)
        if mortal:
            yield from self._killed_amid(world.without(event), self._reactions.place_of[event], event)

    def _hear_apart(self, world: Snapshot, mortal: bool) -> Iterator[tuple[int, Snapshot]]:
        for bit in _bits(world.due):
            place = HEARINGS[bit].reader
            event = self._reactions.hearing(bit, world.states, world.proposals)
            if mortal:
                yield from self._killed_amid(world.having_heard(bit), place, event)
            yield event, self._hear(world, bit)

    def _hear_together(self, world: Snapshot, mortal: bool) -> Iterator[tuple[int, Snapshot]]:
        for place in range(len(NAMES)):
            due = _bits(world.due & self._reactions.heard[place])
            for order in permutations(due) if due else ():
                after = world
                for bit in order:
                    event = self._reactions.hearing(bit, after.states, after.proposals)
                    if mortal:
                        yield from self._killed_amid(after.having_heard(bit), place, event)
                    after = self._hear(after, bit)
                yield event, after

    def _killed_amid(self, world: Snapshot, place: int, event: int) -> Iterator[tuple[int, Snapshot]]:
        for reaction in self._reactions.cut_short(world.states[place], event):
            yield self._reactions.killing[place], self._kill(world, place, reaction)

    def _kill(self, world: Snapshot, place: int, reaction: Reaction | None) -> Snapshot:
        """Kill a process, perhaps amid a reaction, and start it again."""
        if reaction is not None:
            world = self._apply(world, place, reaction)
        states, pending, due, proposals, kills, ready, committed = world
        reactions = self._reactions
        lost = tuple(event for event in pending if reactions.place_of[event] != place)
        # What it had published is gone with it; what others publish, its next life will hear.
        due &= ~reactions.spoken[place]
        due |= reactions.heard[place]
        before = Snapshot(states, lost, due, proposals, kills + 1, ready, committed)
        return self._apply(before, place, reactions.boot(reactions.dead(states[place]), place))

    def _take(self, world: Snapshot, event: int) -> Snapshot:
        place = self._reactions.place_of[event]
        return self._apply(world.without(event), place, self._reactions.react(world.states[place], event))

    def _hear(self, world: Snapshot, bit: int) -> Snapshot:
        place = HEARINGS[bit].reader
        event = self._reactions.hearing(bit, world.states, world.proposals)
        return self._apply(world.having_heard(bit), place, self._reactions.react(world.states[place], event))

    def _apply(self, world: Snapshot, place: int, reaction: Reaction) -> Snapshot:
        state, added, due, ready, commits = reaction
        states, pending, were_due, proposals, kills, were_ready, committed = world
        if states[place] != state:
            states = (*states[:place], state, *states[place + 1 :])
        if added:
            added = self._reactions.without_foreign(added, states[SENSING_PLACE])
            pending = tuple(sorted(pending + added))
        ready |= were_ready
        for counter in commits:
            committed = self._check_commit(counter, committed, ready)
        world = Snapshot(states, pending, were_due | due, proposals, kills, ready, committed)
        if not self._bounds.fine:
            for event in added:
                if event in self._reactions.receipts:
                    world = self._take(world, event)
        return world

    def _check_commit(self, counter: int, committed: int, ready: int) -> int:
        if counter <= committed:
            raise Violation(f"plan {counter} is committed after plan {committed}")
        missing = self._reactions.members(counter) & ~ready
        if missing:
            raise Violation(f"plan {counter} is committed though a member never reported ready for it")
        return counter

    # Progress

    def _recover(self, world: Snapshot) -> None:
        """From a quiet state, with no more faults, everything comes down in a few rounds."""
        reactions = self._reactions
        told: list[str] = []
        for clock in range(1, RECOVERY_ROUNDS + 1):
            if reactions.is_finished(world.states):
                return
            if clock == 1:
                if world in self._recovered:
                    return
                self._recovered.add(world)
            told.append("time passes for all")
            for place in range(len(NAMES)):
                world = self._apply(world, place, reactions.age(world.states[place], place, clock))
            while not world.is_quiet:
                if world.due:
                    bit = world.first_due
                    place, event = HEARINGS[bit].reader, reactions.hearing(bit, world.states, world.proposals)
                    world = world.having_heard(bit)
                else:
                    event = world.pending[0]
                    place = reactions.place_of[event]
                    world = world.without(event)
                told.append(reactions.words(event))
                world = self._apply(world, place, reactions.react(world.states[place], event, clock))
        raise Violation("\n".join(["-- no more faults", *told, f"no progress in {RECOVERY_ROUNDS} rounds"]))


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(len(HEARINGS)) if mask >> bit & 1]
