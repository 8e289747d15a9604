"""Random walks of custody through a chain, a store and a ground that lose, refuse, repeat and forget."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from satllm_ros.protocol.custody import Custody, CustodyLimits
from satllm_ros.protocol.identity import BatchId, Epoch
from satllm_ros.protocol.vocabulary import Cause, Verdict

BOOT = 5
STALL_S, DELIVERY_S = 20.0, 60.0
# Tiles of a batch are 1000 and a few: so many thousands of tiles are so many batches.
BATCH = 1000
PICK = st.integers(0, 10**6)


class World(RuleBasedStateMachine):
    @initialize(window=st.integers(1, 4), spare=st.integers(0, 6), attempts=st.sampled_from([2, 4, 1000]))
    def start(self, window: int, spare: int, attempts: int) -> None:
        self.window, self.attempts = window, attempts
        limits = CustodyLimits(window, window + spare, STALL_S, 0.25, attempts, DELIVERY_S)
        self.custody: Custody[int] = Custody(BOOT, limits)
        self.now_s = 0.0
        self.epoch = Epoch(1, 1)
        self.low_water = Epoch()
        self.tiles: dict[int, int] = {}
        self.sends: dict[int, int] = {}
        self.chain: list[BatchId] = []
        self.store: list[BatchId] = []
        self.ground: set[int] = set()
        self.refused: set[int] = set()
        self.acks: list[tuple[BatchId, Verdict, Cause, str]] = []

    # Sensing

    @precondition(lambda self: self.custody.has_room)
    @rule(extra=st.integers(0, 9))
    def accept(self, extra: int) -> None:
        batch = self.custody.accept(len(self.tiles), BATCH + extra)
        assert batch == BatchId(BOOT, len(self.tiles), 0)
        self.tiles[batch.sequence] = BATCH + extra

    @rule()
    def send(self) -> None:
        for send in self.custody.sendable(self.epoch, self.now_s):
            assert send.payload == send.batch.sequence
            assert send.batch.attempt == self.sends.get(send.batch.sequence, 0)
            self.sends[send.batch.sequence] = send.batch.attempt + 1
            self.chain.append(send.batch)

    @rule()
    def switch_plan(self) -> None:
        self.epoch = Epoch(1, self.epoch.counter + 1)

    @rule(pause_s=st.sampled_from([0.1, 0.5, 5.0, STALL_S + 1, DELIVERY_S + 1]))
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s
        self.custody.on_tick(self.now_s)

    # The chain, the store, the ground

    @precondition(lambda self: self.chain)
    @rule(pick=PICK, twice=st.booleans())
    def reach_the_store(self, pick: int, twice: bool) -> None:
        batch = self.chain[pick % len(self.chain)] if twice else self.chain.pop(pick % len(self.chain))
        self.store.append(batch)
        self.acks.append((batch, Verdict.STORED, Cause.NONE, "store"))

    @precondition(lambda self: self.chain)
    @rule(pick=PICK)
    def get_lost(self, pick: int) -> None:
        self.chain.pop(pick % len(self.chain))

    @precondition(lambda self: self.chain)
    @rule(pick=PICK, cause=st.sampled_from(list(Cause)))
    def be_refused(self, pick: int, cause: Cause) -> None:
        self.acks.append((self.chain.pop(pick % len(self.chain)), Verdict.REFUSED, cause, "chain"))

    @precondition(lambda self: self.store)
    @rule(pick=PICK)
    def reach_the_ground(self, pick: int) -> None:
        batch = self.store.pop(pick % len(self.store))
        self.ground.add(batch.sequence)
        self.acks.append((batch, Verdict.DELIVERED, Cause.NONE, "ground"))

    @precondition(lambda self: self.store)
    @rule(pick=PICK, cause=st.sampled_from([Cause.FOREIGN, Cause.MALFORMED]))
    def be_refused_by_the_ground(self, pick: int, cause: Cause) -> None:
        batch = self.store.pop(pick % len(self.store))
        self.refused.add(batch.sequence)
        self.acks.append((batch, Verdict.REFUSED, cause, "ground"))

    @rule()
    def store_dies(self) -> None:
        self.store.clear()

    # Acknowledgements, in any order

    @precondition(lambda self: self.acks)
    @rule(pick=PICK, again=st.booleans())
    def acknowledge(self, pick: int, again: bool) -> None:
        pick %= len(self.acks)
        self.hear(self.acks[pick] if again else self.acks.pop(pick))

    def hear(self, said: tuple[BatchId, Verdict, Cause, str]) -> None:
        batch, verdict, cause, sender = said
        self.custody.on_ack(batch, verdict, cause, self.now_s, sender)

    @precondition(lambda self: self.acks)
    @rule(pick=PICK)
    def lose_acknowledgement(self, pick: int) -> None:
        self.acks.pop(pick % len(self.acks))

    @rule(verdict=st.sampled_from(list(Verdict)), sequence=st.integers(0, 10), other_life=st.booleans())
    def acknowledge_falsely(self, verdict: Verdict, sequence: int, other_life: bool) -> None:
        batch = BatchId(BOOT + 1, sequence) if other_life else BatchId(BOOT, sequence, self.sends.get(sequence, 0))
        before = self.custody.tally()
        self.custody.on_ack(batch, verdict, Cause.NONE, self.now_s, "ground")
        assert self.custody.tally() == before

    # What always holds

    @invariant()
    def every_tile_is_in_one_state(self) -> None:
        t = self.custody.tally()
        assert t.accepted == sum(self.tiles.values())
        assert t.accepted == t.waiting + t.in_flight + t.stored + t.delivered + t.dropped
        assert min(t.waiting, t.in_flight, t.stored, t.delivered, t.dropped) >= 0
        assert t.sent_batches == len(self.sends)
        assert t.sent_batches + t.resent_batches == sum(self.sends.values())

    @invariant()
    def the_window_is_kept(self) -> None:
        assert self.custody.tally().in_flight // BATCH <= self.window

    @invariant()
    def delivered_is_true(self) -> None:
        assert self.custody.tally().delivered <= sum(self.tiles[s] for s in self.ground)

    @invariant()
    def dropped_is_the_last_resort(self) -> None:
        causes = self.custody.causes
        exhausted, refused = causes["attempts_exhausted"], causes["refused_by_ground"]
        assert self.custody.tally().dropped == exhausted + refused
        # Three attempts are enough for what cannot be read.
        assert exhausted // BATCH <= sum(sends >= min(3, self.attempts) for sends in self.sends.values())
        assert refused <= sum(self.tiles[sequence] for sequence in self.refused)

    @invariant()
    def a_batch_that_is_still_held_has_not_failed_too_often(self) -> None:
        assert all(held.failures < self.attempts for held in self.custody.held_batches())

    @invariant()
    def low_water_rises_to_the_current_epoch(self) -> None:
        mark = self.custody.low_water(self.epoch)
        assert self.low_water <= mark <= self.epoch
        assert mark == self.epoch or self.custody.tally().in_flight
        self.low_water = mark

    def teardown(self) -> None:
        """Once faults stop, every batch that was not dropped comes down."""
        for _ in range(4000):
            if self.custody.idle:
                break
            self.send()
            for batch in self.chain:
                self.store.append(batch)
                self.acks.append((batch, Verdict.STORED, Cause.NONE, "store"))
            for batch in self.store:
                self.ground.add(batch.sequence)
                self.acks.append((batch, Verdict.DELIVERED, Cause.NONE, "ground"))
            for message in self.acks:
                self.hear(message)
            for held in (self.chain, self.store, self.acks):
                held.clear()
            self.wait(1.0)
        tally = self.custody.tally()
        assert self.custody.idle
        assert tally.delivered + tally.dropped == tally.accepted
        if self.attempts == 1000:
            assert self.ground | self.refused >= set(self.tiles)


TestCustodyWalk = World.TestCase
TestCustodyWalk.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
