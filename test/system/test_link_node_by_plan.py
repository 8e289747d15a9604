"""The link node by a contact plan, under a clock that the test turns; and the node that is the clock of a flight."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flight import Flight, started
from observer import Observer
from rclpy.time import Time
from rosgraph_msgs.msg import Clock

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.share import PACKAGE, share_directory
from satllm_ros.orbit.contact_plan import Contact, write_plan

PROGRAMS = share_directory().parents[1] / "lib" / PACKAGE
EPOCH_S = 1_767_225_600
DOWN, ACROSS = ("sat1", graph.GROUND), ("sat1", "sat2")
# Two steps of one pass, a light second away, and a link between satellites later on.
PLAN = [
    Contact(*DOWN, 10.0, 20.0, 1e6, 299_792_458.0),
    Contact(*DOWN, 20.0, 30.0, 2e6, 299_792_458.0),
    Contact(*ACROSS, 25.0, 40.0, 3e6, 0.0),
    # What goes up is none of the links' business.
    Contact(graph.GROUND, "sat1", 10.0, 30.0, 1e3, 299_792_458.0),
]


class Sky:
    """A link node by `PLAN` at ten times real, and the hand on its clock."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.states: list[m.LinkState] = observer.hear(graph.LINK_STATE)
        self.at_ground: list[m.Predictions] = observer.hear(graph.PREDICTIONS_INBOX, graph.GROUND)
        self.down = observer.voice(graph.PREDICTIONS_OUTBOX, "sat1")
        self._clock = observer.node.create_publisher(Clock, "/clock", 1)
        inbox = observer.name(graph.PREDICTIONS_INBOX, graph.GROUND)
        observer.until(lambda: observer.node.count_publishers(inbox), "the link node's way to the ground")

    def until(self, now_s: float, condition: Callable[[], object], what: str) -> None:
        """Show this time of the plan until the condition is met."""

        def met() -> object:
            self._clock.publish(Clock(clock=Time(nanoseconds=int((EPOCH_S + now_s) * 1e9)).to_msg()))
            return condition()

        self.observer.until(met, what)

    def says(self, pair: tuple[str, str]) -> tuple[bool, float, float] | None:
        """The last word on a link: whether it is up, its rate and its delay."""
        found = [(s.up, s.rate_bps, s.propagation_s) for s in self.states if (s.sender, s.receiver) == pair]
        return found[-1] if found else None

    def send_down(self, sequence: int) -> None:
        envelope = m.BatchEnvelope(sender="sat1", destination=graph.GROUND, batch=m.BatchId(sequence=sequence))
        self.down.publish(m.Predictions(envelope=envelope))


def command(program: str, **parameters: object) -> list[str | Path]:
    given = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    return [PROGRAMS / program, "--ros-args", *given]


@pytest.fixture
def sky(tmp_path: Path) -> Iterator[Sky]:
    plan = tmp_path / "plan.csv"
    write_plan(plan, PLAN)
    given = {"contact_plan": plan, "contact_epoch": float(EPOCH_S), "speed": 10.0, "use_sim_time": True}
    with started(command("links", satellites="['sat1','sat2']", **given), tmp_path) as flight:
        with Observer(flight) as observer:
            yield Sky(observer)


def test_links_open_change_and_close_as_the_plan_says_by_the_clock_of_the_graph(sky: Sky) -> None:
    def closed(*pairs: tuple[str, str]) -> bool:
        return all((said := sky.says(pair)) is not None and not said[0] for pair in pairs)

    # Every pair is told of, and before its clock goes nothing is open.
    everyone = [("sensing", "sat1"), ("sensing", "sat2"), ("sat2", "sat1"), ("sat2", graph.GROUND)]
    sky.observer.until(lambda: closed(DOWN, ACROSS, *everyone), "a word on every link")
    sky.send_down(1)
    sky.until(9.0, lambda: closed(DOWN, ACROSS), "closed links")
    assert sky.at_ground == []
    # In a real second ten times as much, over a tenth of the way.
    sky.until(11.0, lambda: sky.says(DOWN) == (True, 1e7, 0.1), "the first step of the pass")
    sky.observer.until(lambda: len(sky.at_ground) == 1, "what waited for the pass")
    sky.until(21.0, lambda: sky.says(DOWN) == (True, 2e7, 0.1), "the second step")
    assert closed(ACROSS)
    sky.until(29.0, lambda: sky.says(ACROSS) == (True, 3e7, 0.0), "the other link")
    sky.until(31.0, lambda: closed(DOWN), "the end of the pass")
    sky.send_down(2)
    sky.until(41.0, lambda: closed(ACROSS, *everyone), "the end of the plan")

    def is_warned() -> bool:
        status = sky.observer.diagnostics.get("/link")
        return status is not None and status.message == "the contact plan is over: every link stays closed"

    sky.until(41.0, is_warned, "a word that the plan is over")
    assert len(sky.at_ground) == 1


def test_a_parameter_takes_down_what_the_plan_has_open(sky: Sky) -> None:
    sky.until(11.0, lambda: sky.says(DOWN) == (True, 1e7, 0.1), "the pass")
    assert sky.observer.set_parameter("link", "s2g_up", False).successful
    sky.until(11.0, lambda: not sky.says(DOWN)[0], "no link")
    assert sky.observer.set_parameter("link", "s2g_up", True).successful
    sky.until(11.0, lambda: sky.says(DOWN) == (True, 1e7, 0.1), "the pass again")


def test_a_plan_of_others_is_refused_in_one_sentence(tmp_path: Path) -> None:
    plan = tmp_path / "plan.csv"
    write_plan(plan, [Contact("sat9", graph.GROUND, 0.0, 1.0, 1.0, 0.0)])
    with started(command("links", satellites="['sat1']", contact_plan=plan), tmp_path) as flight:
        assert flight.wait() == 2
        assert "has contacts of 'sat9'; who flies here is ground, sat1, sensing" in flight.errors


def times_s(heard: list[Clock]) -> list[float]:
    return [c.clock.sec + 1e-9 * c.clock.nanosec - EPOCH_S for c in heard]


def hear_clock(flight: Flight, until: Callable[[list[float]], object], *, with_plan: bool) -> list[float]:
    """Times that a clock shows until a condition is met, with a plan after a while or without one."""
    heard: list[Clock] = []
    with Observer(flight) as observer:
        observer.node.create_subscription(Clock, "/clock", heard.append, 10)
        observer.until(lambda: len(heard) > 3, "a clock that stands")
        if with_plan:
            observer.voice(graph.PLAN_ACTIVE).publish(m.Plan())
        observer.until(lambda: until(times_s(heard)), "the clock")
    return times_s(heard)


def test_the_clock_stands_until_a_plan_is_active_and_its_next_life_goes_on_from_there(tmp_path: Path) -> None:
    clock = command("orbit_clock", epoch=float(EPOCH_S), speed=100.0, state_directory=tmp_path)
    with started(clock, tmp_path) as flight:
        assert set(hear_clock(flight, lambda seen: len(seen) > 10, with_plan=False)) == {0.0}
        seen = hear_clock(flight, lambda seen: seen[-1] > 250.0, with_plan=True)
        assert seen[0] == 0.0 and seen == sorted(seen)
        flight.kill_one("orbit_clock")
    with started(clock, tmp_path) as flight:
        again = hear_clock(flight, lambda seen: len(seen) > 10, with_plan=False)
        # It does not go back, and stands until its plan is there again.
        assert set(again) == {again[0]} and again[0] > seen[-1]
