import math
from dataclasses import replace
from typing import Any

import pytest

from satllm_ros.protocol.membership.hello import MAX_HEARD, PROTOCOL, Heard, Hello, HelloState
from satllm_ros.protocol.membership.liveness import PERSISTENCE
from satllm_ros.protocol.membership.presence import REMEMBERED_SENTENCES, Contact, Note, Presence, PresenceLimits, Sign

LIMITS = PresenceLimits(period_s=0.5, contact_s=3.0, executor_s=10.0, worker_s=120.0)
READY, STARTING = HelloState.READY, HelloState.STARTING


class Pair:
    """sat1 and the ground, each with a clock of its own; hellos travel at once, on the ways that are up."""

    def __init__(self, offset_s: float = 1000.0) -> None:
        self.offset_s = offset_s
        self.sat = Presence("sat1", 1, ["sat1", "ground"], LIMITS)
        self.ground = Presence("ground", 2, ["sat1", "ground"], LIMITS)
        self.up, self.down = True, True
        self.now_s = 0.0

    def exchange(self, times: int = 1, *, state: HelloState = READY) -> None:
        for _ in range(times):
            self.now_s += LIMITS.period_s
            said = self.sat.say(self.now_s, state=READY)
            if self.down:
                self.ground.on_hello(said, self.now_s + self.offset_s)
            answered = self.ground.say(self.now_s + self.offset_s, state=state)
            if self.up:
                self.sat.on_hello(answered, self.now_s)

    @property
    def contact(self) -> Contact:
        return self.sat.contact("ground", self.now_s)


def make(**changes: Any) -> Presence:
    return Presence("sensing", 9, ["sat1", "sat2", "sensing"], LIMITS, **changes)


def hello(sequence: int = 1, **changes: Any) -> Hello:
    return replace(Hello("sat1", 7, sequence, 5.0), **changes)


def causes(answers: list[Any]) -> list[str]:
    return [answer.cause for answer in answers if isinstance(answer, Note)]


def test_contact_takes_both_directions() -> None:
    pair = Pair()
    assert pair.contact == Contact() and not pair.contact.is_two_way
    pair.exchange()
    assert pair.contact.is_two_way and pair.contact.boot_id == 2


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_link_that_works_one_way_is_no_contact_within_a_stated_time(way: str) -> None:
    pair = Pair()
    pair.exchange(3)
    setattr(pair, way, False)
    pair.exchange(2 + round(LIMITS.contact_s / LIMITS.period_s))
    assert not pair.contact.is_two_way
    assert pair.contact.is_heard == (way == "down")
    setattr(pair, way, True)
    pair.exchange(2)
    assert pair.contact.is_two_way


def test_a_single_hello_that_is_lost_ends_no_contact() -> None:
    pair = Pair()
    for _ in range(20):
        pair.up = pair.down = True
        pair.exchange(2)
        pair.up = pair.down = False
        pair.exchange(2)
        assert pair.contact.is_two_way


def test_contact_is_with_a_life() -> None:
    pair = Pair()
    pair.exchange(2)
    pair.ground = Presence("ground", 3, ["sat1", "ground"], LIMITS)
    pair.exchange(1)
    assert pair.contact.is_two_way and pair.contact.boot_id == 3
    # And it is this very life of ours that must be heard.
    pair.sat.begin_life(4)
    assert pair.sat.boot_id == 4 and not pair.contact.is_two_way
    pair.exchange(1)
    assert pair.contact.is_two_way


def test_who_is_not_ready_is_present_and_not_in_contact() -> None:
    pair = Pair()
    pair.exchange(2, state=STARTING)
    assert pair.contact.is_heard and pair.contact.hears_us and not pair.contact.is_two_way
    assert pair.sat.present(pair.now_s) == {"ground"}
    assert pair.sat.present(pair.now_s + LIMITS.contact_s) == set()
    assert pair.sat.present(pair.now_s + LIMITS.contact_s, 15.0) == {"ground"}
    assert pair.sat.starting(pair.now_s + LIMITS.contact_s, 15.0) == {"ground"}


def test_the_clocks_of_a_pair_are_compared() -> None:
    pair = Pair(offset_s=-321.5)
    assert pair.sat.offset("ground", 0.0) is None and pair.sat.offset("nobody", 0.0) is None
    pair.exchange(4)
    found = pair.sat.offset("ground", pair.now_s)
    assert abs(found.offset_s + 321.5) <= found.uncertainty_s < 0.01
    # Another life may run on another computer.
    pair.ground = Presence("ground", 3, ["sat1", "ground"], LIMITS)
    pair.down = False
    pair.exchange(1)
    assert pair.sat.offset("ground", pair.now_s) is None


def test_a_hello_is_a_sign_of_life_of_a_ready_member_only() -> None:
    sensing = make()
    assert sensing.on_hello(hello(1, state=STARTING), 0.0) == []
    assert sensing.on_hello(hello(2), 0.5) == [Sign("sat1", 7)]
    assert sensing.present(0.5) == {"sat1"}


@pytest.mark.parametrize(
    ("stuck", "what"), [({"executor_age_s": 10.5}, "executor"), ({"worker_age_s": 121.0}, "worker")]
)
def test_who_says_hello_while_its_work_stands_still_gives_no_sign_of_life(stuck: dict[str, float], what: str) -> None:
    sensing = make()
    assert sensing.on_hello(hello(1), 0.0) == [Sign("sat1", 7)]
    (note,) = sensing.on_hello(hello(2, **stuck), 0.5)
    assert note.cause == "hello_stuck" and f"its {what} has stood still" in note.sentence
    assert sensing.is_stuck("sat1") and not sensing.is_stuck("sat2") and not sensing.is_stuck("nobody")
    # Said once, counted always; it is still present.
    assert sensing.on_hello(hello(3, **stuck), 1.0) == [Note("hello_stuck")]
    assert sensing.causes["hello_stuck"] == 2 and sensing.present(1.0) == {"sat1"}
    assert sensing.on_hello(hello(4), 1.5) == [Sign("sat1", 7)] and not sensing.is_stuck("sat1")


def test_who_is_starting_is_not_stuck_however_long_it_imports() -> None:
    sensing = make()
    assert sensing.on_hello(hello(1, state=STARTING, executor_age_s=60.0), 0.0) == []
    assert not sensing.is_stuck("sat1")


def test_a_protocol_that_does_not_fit_is_refused_in_one_sentence_and_counted() -> None:
    sensing = make(software="0.13")
    for sequence in range(1, 4):
        answers = sensing.on_hello(hello(sequence, protocol=PROTOCOL + 1, software="9.9"), 0.0)
        assert causes(answers) == ["hello_protocol"]
        assert bool(answers[0].sentence) == (sequence == 1)
        if sequence == 1:
            assert answers[0].sentence.startswith(
                f"sat1 speaks protocol {PROTOCOL + 1} (software '9.9'), this process {PROTOCOL} (software '0.13')"
            )
    assert sensing.causes == {"hello_protocol": 3} and not sensing.present(0.0)


def test_strangers_are_counted_named_once_and_fill_no_memory() -> None:
    sensing = make()
    said = [
        answer.sentence
        for number in range(10 * REMEMBERED_SENTENCES)
        for answer in sensing.on_hello(hello(name=f"stranger {number} " + 10_000 * "x"), 0.0)
        if answer.sentence
    ]
    assert said[0].startswith("hello of 'stranger 0 xxx")
    assert len(said) == REMEMBERED_SENTENCES and max(map(len, said)) < 200
    assert sensing.causes["hello_stranger"] == 10 * REMEMBERED_SENTENCES


def test_a_second_process_by_the_same_name_is_told_in_one_sentence() -> None:
    sensing = make()
    assert sensing.on_hello(hello(1, name="sensing", boot_id=9), 0.0) == [], "its own"
    answers = [sensing.on_hello(hello(n, name="sensing", boot_id=5), 0.0) for n in range(1, 4 * PERSISTENCE)]
    sentences = [answer.sentence for each in answers for answer in each if answer.sentence]
    assert len(sentences) == 1 and "another process of this graph calls itself sensing too" in sentences[0]
    assert sensing.causes["hello_double"] == len(answers)


def test_last_words_of_a_former_life_are_no_second_process() -> None:
    sensing = make()
    for _ in range(10):
        assert sensing.on_hello(hello(77, name="sensing", boot_id=5), 0.0) == [Note("hello_double")]


def test_several_planners_are_no_mistake() -> None:
    planner = Presence("planner", 1, ["sat1"], LIMITS, alone=False)
    assert all(planner.on_hello(hello(n, name="planner", boot_id=5), 0.0) == [] for n in range(10))


@pytest.mark.parametrize(
    "absurd",
    [
        {"boot_id": 0},
        {"sent_s": math.nan},
        {"sent_s": -math.inf},
        {"executor_age_s": math.nan},
        {"executor_age_s": -1.0},
        {"worker_age_s": 1e300},
        {"worker_age_s": math.inf},
        {"state": 7},
        {"heard": (Heard("x", 1, 1, 0.0, 0.0),) * (MAX_HEARD + 1)},
    ],
    ids=lambda absurd: " ".join(absurd),
)
def test_nonsense_is_counted_and_not_heard(absurd: dict[str, Any]) -> None:
    sensing = make()
    (note,) = sensing.on_hello(hello(**absurd), 0.0)
    assert note.cause == "hello_nonsense" and note.sentence.startswith("hello of sat1 with ")
    assert not sensing.present(0.0) and sensing.contact("sat1", 0.0) == Contact()


@pytest.mark.parametrize(
    "echo",
    [
        {"sent_s": math.nan},
        {"sent_s": 0.4},
        {"received_s": math.inf},
        {"received_s": 6.0},
        {"received_s": -1e9},
    ],
    ids=str,
)
def test_an_echo_that_cannot_be_is_no_contact(echo: dict[str, float]) -> None:
    sensing = make()
    said = sensing.say(0.5, state=READY)
    right = Heard("sensing", 9, said.sequence, said.sent_s, 4.9)
    (note, sign) = sensing.on_hello(hello(1, heard=(replace(right, **echo),)), 1.0)
    assert note.cause == "hello_nonsense" and sign == Sign("sat1", 7)
    assert not sensing.contact("sat1", 1.0).hears_us and sensing.offset("sat1", 1.0) is None
    assert sensing.on_hello(hello(2, heard=(right,)), 1.0) == [Sign("sat1", 7)]
    assert sensing.contact("sat1", 1.0).hears_us


@pytest.mark.parametrize(
    "echo",
    [Heard("sensing", 8, 1, 0.5, 4.9), Heard("sat2", 9, 1, 0.5, 4.9), Heard("sensing", 9, 99, 0.5, 4.9)],
    ids=["of another life", "of another", "of a hello never said"],
)
def test_only_an_echo_of_this_life_counts(echo: Heard) -> None:
    sensing = make()
    sensing.say(0.5, state=READY)
    assert sensing.on_hello(hello(1, heard=(echo,)), 1.0) == [Sign("sat1", 7)]
    assert not sensing.contact("sat1", 1.0).hears_us


def test_late_hellos_change_nothing_unless_they_go_on() -> None:
    sensing = make()
    sensing.on_hello(hello(5), 0.0)
    sensing.on_hello(hello(1, boot_id=8), 0.5)
    assert causes(sensing.on_hello(hello(6), 0.6)) == ["hello_late"]
    assert sensing.contact("sat1", 0.6).boot_id == 8
    # One with a sequence from far away keeps nobody from being heard for long.
    sensing.on_hello(hello(2**64 - 1, boot_id=8), 1.0)
    taken = [sensing.on_hello(hello(sequence, boot_id=8), 1.0) for sequence in range(2, 2 + PERSISTENCE)]
    assert taken[-1] == [Sign("sat1", 8)] and causes(taken[0]) == ["hello_late"]


def test_what_is_said_names_whom_is_heard() -> None:
    sensing = make(software="1.0")
    sensing.on_hello(hello(3, sent_s=44.0), 2.0)
    sensing.on_hello(hello(4, name="sat2", boot_id=8), 0.0)
    said = sensing.say(3.5, state=STARTING, executor_age_s=0.2, worker_age_s=1.0)
    assert said == Hello("sensing", 9, 1, 3.5, PROTOCOL, "1.0", STARTING, 0.2, 1.0, (Heard("sat1", 7, 3, 44.0, 2.0),))
    assert sensing.say(4.0, state=READY).sequence == 2


def test_whoever_waits_for_somebody_else_is_there_and_not_starting() -> None:
    planner = Presence("planner", 1, ["sat1", "sat2", "sat3"])
    states = {"sat1": HelloState.STARTING, "sat2": HelloState.READY, "sat3": HelloState.WAITING}
    for name, state in states.items():
        planner.on_hello(Hello(name, 7, 1, 0.0, state=state), 0.0)
    assert planner.present(1.0) == {"sat1", "sat2", "sat3"}
    assert planner.starting(1.0, 15.0) == {"sat1", "sat2"}


def test_an_external_stage_is_its_satellite_s_own_business() -> None:
    satellite = Presence("sat1", 1, ["sat1", "sat2", "ground", "sat1/stage"])
    ground = Presence("ground", 2, ["sat1", "sat2", "ground"])
    hello = Hello("sat1/stage", 7, 1, 0.0)
    assert satellite.on_hello(hello, 0.0) == [Sign("sat1/stage", 7)]
    assert ground.on_hello(hello, 0.0) == [] and not ground.causes
    assert [note.cause for note in ground.on_hello(Hello("sat9/stage", 7, 1, 0.0), 0.0)] == ["hello_stranger"]
