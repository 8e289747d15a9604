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

from satllm_ros.simulation.exploration.reactions import HEARINGS, NAMES, PLANS, PROPOSED_TO, Reaction, Reactions
from satllm_ros.simulation.oracle import Violation
from satllm_ros.simulation.run import Parts

# So many rounds of "everything arrives, then time passes" must be enough to bring everything down.
RECOVERY_ROUNDS = 12
SENSING_PLACE, GROUND_PLACE = 3, 4

# States of the five processes; events on their way, sorted; hearings due, as bits; proposals made, kills, members ever
# ready as bits, and the highest plan committed.
World = tuple[tuple[int, ...], tuple[int, ...], int, int, int, int, int]


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
        self._recovered: set[World] = set()
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
                if not world[1] and not world[2]:
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

    def _begin(self) -> World:
        """The moment after the first commit, reached in one way out of many."""
        reactions = self._reactions
        world: World = (reactions.blank, (), PROPOSED_TO, 1, 0, 0, 0)
        for place in range(len(NAMES)):
            world = self._apply(world, place, reactions.boot(world[0][place], place))
        while world[2] or not world[6]:
            if world[2]:
                world = self._hear(world, (world[2] & -world[2]).bit_length() - 1)
            elif world[1]:
                world = self._take(world, world[1][0])
            else:
                raise Violation("the first plan is never committed")
        return world

    # Steps

    def _successors(self, world: World) -> Iterator[tuple[int, World]]:
        pending, due, proposals, kills = world[1:5]
        reactions = self._reactions
        mortal = kills < self._bounds.kills
        if not self._bounds.fine:
            coming_down = [event for event in pending if reactions.place_of[event] == GROUND_PLACE]
            if coming_down:
                yield from self._meet(world, coming_down[0], mortal)
                return
        for event in dict.fromkeys(pending):
            yield from self._meet(world, event, mortal)
        if due:
            yield from self._listening(world, mortal)
        if proposals < len(PLANS):
            yield reactions.proposing, (*world[:2], due | PROPOSED_TO, proposals + 1, *world[4:])
        if mortal:
            for place in range(len(NAMES)):
                yield reactions.killing[place], self._kill(world, place, None)

    def _meet(self, world: World, event: int, mortal: bool) -> Iterator[tuple[int, World]]:
        yield event, self._take(world, event)
        if mortal:
            before = (world[0], _without(world[1], event), *world[2:])
            yield from self._killed_amid(before, self._reactions.place_of[event], event)

    def _hear_apart(self, world: World, mortal: bool) -> Iterator[tuple[int, World]]:
        for bit in _bits(world[2]):
            place = HEARINGS[bit][2]
            event = self._reactions.hearing(bit, world[0], world[3])
            if mortal:
                yield from self._killed_amid(_heard(world, bit), place, event)
            yield event, self._hear(world, bit)

    def _hear_together(self, world: World, mortal: bool) -> Iterator[tuple[int, World]]:
        for place in range(len(NAMES)):
            due = _bits(world[2] & self._reactions.heard[place])
            for order in permutations(due) if due else ():
                after = world
                for bit in order:
                    event = self._reactions.hearing(bit, after[0], after[3])
                    if mortal:
                        yield from self._killed_amid(_heard(after, bit), place, event)
                    after = self._hear(after, bit)
                yield event, after

    def _killed_amid(self, world: World, place: int, event: int) -> Iterator[tuple[int, World]]:
        for reaction in self._reactions.cut_short(world[0][place], event):
            yield self._reactions.killing[place], self._kill(world, place, reaction)

    def _kill(self, world: World, place: int, reaction: Reaction | None) -> World:
        """Kill a process, perhaps amid a reaction, and start it again."""
        if reaction is not None:
            world = self._apply(world, place, reaction)
        states, pending, due, proposals, kills, ready, committed = world
        reactions = self._reactions
        lost = tuple(event for event in pending if reactions.place_of[event] != place)
        # What it had published is gone with it; what others publish, its next life will hear.
        due &= ~reactions.spoken[place]
        due |= reactions.heard[place]
        before = (states, lost, due, proposals, kills + 1, ready, committed)
        return self._apply(before, place, reactions.boot(reactions.dead(states[place]), place))

    def _take(self, world: World, event: int) -> World:
        states, pending = world[0], world[1]
        place = self._reactions.place_of[event]
        rest = (states, _without(pending, event), *world[2:])
        return self._apply(rest, place, self._reactions.react(states[place], event))

    def _hear(self, world: World, bit: int) -> World:
        place = HEARINGS[bit][2]
        event = self._reactions.hearing(bit, world[0], world[3])
        return self._apply(_heard(world, bit), place, self._reactions.react(world[0][place], event))

    def _apply(self, world: World, place: int, reaction: Reaction) -> World:
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
        world = (states, pending, were_due | due, proposals, kills, ready, committed)
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

    def _recover(self, world: World) -> None:
        """From a quiet state, with no more faults, everything comes down in a few rounds."""
        reactions = self._reactions
        told: list[str] = []
        for clock in range(1, RECOVERY_ROUNDS + 1):
            if reactions.is_finished(world[0]):
                return
            if clock == 1:
                if world in self._recovered:
                    return
                self._recovered.add(world)
            told.append("time passes for all")
            for place in range(len(NAMES)):
                world = self._apply(world, place, reactions.age(world[0][place], place, clock))
            while world[1] or world[2]:
                if world[2]:
                    bit = (world[2] & -world[2]).bit_length() - 1
                    told.append(reactions.words(reactions.hearing(bit, world[0], world[3])))
                    place, due = HEARINGS[bit][2], world[2] & ~(1 << bit)
                    event = reactions.hearing(bit, world[0], world[3])
                    world = (world[0], world[1], due, *world[3:])
                else:
                    event = world[1][0]
                    told.append(reactions.words(event))
                    place = reactions.place_of[event]
                    world = (world[0], world[1][1:], *world[2:])
                world = self._apply(world, place, reactions.react(world[0][place], event, clock))
        raise Violation("\n".join(["-- no more faults", *told, f"no progress in {RECOVERY_ROUNDS} rounds"]))


def _bits(mask: int) -> list[int]:
    return [bit for bit in range(len(HEARINGS)) if mask >> bit & 1]


def _heard(world: World, bit: int) -> World:
    return (world[0], world[1], world[2] & ~(1 << bit), *world[3:])


def _without(pending: tuple[int, ...], event: int) -> tuple[int, ...]:
    place = pending.index(event)
    return pending[:place] + pending[place + 1 :]
