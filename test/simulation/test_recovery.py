"""Each fault has a bound of its own; what lasts longer is said, and what is noticed in time is not."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.hop import HopLimits
from satllm_ros.protocol.identity import BatchId, Epoch
from satllm_ros.protocol.membership.liveness import LivenessLimits
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.sensing import SensingLimits, SensingProtocol
from satllm_ros.protocol.signals import Ack
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.simulation.lossy_chain import fly
from satllm_ros.simulation.recovery import Bounds, RecoveryWatch
from satllm_ros.simulation.scenario import RESEND_S, make_scenario

LIVENESS = LivenessLimits(period_s=1.0, window=6, suspect_misses=3, dead_misses=5)
LIMITS = SensingLimits(CustodyLimits(2, 4, stall_s=60.0, delivery_s=90.0, query_s=5.0), LIVENESS, drain_s=10.0)
BOUNDS = Bounds.of(LIMITS, RESEND_S)
RAW = CodecSetting(Codec.RAW)
STAGES = (Stage("sat1", 0, 4, RAW), Stage("sat2", 4, 8, RAW))
PLAN = Plan(Epoch(1, 1), "planner", "model", "sensing", STAGES, "sat2").sealed()


@dataclass
class Scene:
    """A world in which nothing happens by itself: sensing believes what it believes, the truth is what is set."""

    now_s: float = 0.0
    down: set[str] = field(default_factory=set)
    born: dict[str, float] = field(default_factory=dict)
    copies: set[tuple[int, int]] = field(default_factory=set)
    lost_s: float = 0.0
    contact: bool = True

    def __post_init__(self) -> None:
        self.protocol: SensingProtocol[str] = SensingProtocol(
            5, LIMITS, model_id="model", blocks=8, known=("sat1", "sat2"), persisted=PLAN
        )
        self.sensing = SimpleNamespace(protocol=self.protocol, boot_id=5)
        self.ground = SimpleNamespace(protocol=SimpleNamespace(run_id=1))
        self.satellites = {
            name: SimpleNamespace(name=name, disk={"batches": {}}, store=SimpleNamespace(undelivered=1))
            for name in ("sat1", "sat2")
        }
        self.watch = RecoveryWatch(LIMITS, RESEND_S, store_window=4)
        for name in self.satellites:
            self.protocol.liveness.on_sign(name, 1)

    def under_way(self) -> set[tuple[int, int]]:
        return self.copies

    def is_up(self, name: str) -> bool:
        return name not in self.down

    def is_stopped(self, name: str) -> bool:
        return False

    def born_s(self, name: str) -> float:
        return self.born.get(name, 0.0)

    def undisturbed_since_s(self, one: str, other: str) -> float:
        return self.lost_s

    def in_contact(self, satellite: str) -> bool:
        return self.contact

    def send(self, batches: int = 1) -> None:
        for _ in range(batches):
            self.protocol.custody.accept("tiles", 1)
        for send in self.protocol.custody.sendable(PLAN.epoch, self.now_s):
            self.watch.sent(self.sensing, send.batch, self.now_s)
            self.copies.add((5, send.batch.sequence))

    def store(self, sequence: int) -> None:
        ack = Ack(BatchId(5, sequence), "sat2", Verdict.STORED)
        self.watch.heard(self.sensing, ack, self.now_s)
        self.protocol.custody.on_ack(ack.batch, ack.verdict, ack.cause, self.now_s, ack.sender)
        self.copies.discard((5, sequence))
        self.keep(sequence, None)

    def keep(self, sequence: int, cause: Cause | None) -> None:
        self.satellites["sat2"].disk["batches"][5, sequence] = (BatchId(5, sequence), "result", cause)

    def look(self, seconds: float) -> str:
        """What is said within so many seconds, once a second; the first complaint ends it."""
        for _ in range(int(seconds)):
            self.now_s += 1.0
            said = self.watch.look(self, self.sensing, self.ground, self.satellites, {PLAN.epoch: PLAN})
            if said:
                return said
        return ""


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.look(1)
    return made


def test_a_batch_on_its_way_is_not_slow(scene: Scene) -> None:
    scene.send()
    assert scene.look(50) == ""


def test_what_was_lost_with_a_satellite_must_be_noticed_when_it_is_known_to_be_dead(scene: Scene) -> None:
    scene.send()
    scene.copies.clear()
    scene.down.add("sat1")
    assert scene.look(BOUNDS.death_s) == ""
    assert "lost with the life of sat1" in scene.look(2)


def test_what_was_lost_with_a_life_must_be_noticed_though_the_next_one_is_up(scene: Scene) -> None:
    scene.send()
    scene.copies.clear()
    scene.born["sat2"] = scene.now_s + 0.5
    assert scene.look(BOUNDS.death_s) == ""
    assert "lost with the life of sat2" in scene.look(2)


def test_what_a_dead_store_holds_must_be_noticed(scene: Scene) -> None:
    scene.send()
    scene.store(0)
    scene.down.add("sat2")
    assert scene.look(BOUNDS.death_s) == ""
    assert "its store sat2 is dead" in scene.look(2)


def test_a_window_that_overtook_must_be_noticed_at_the_next_look(scene: Scene) -> None:
    scene.send(2)
    scene.store(1)
    scene.send(1)
    assert scene.look(1) == ""
    scene.store(2)
    assert "2 batches sent later were acknowledged sooner" in scene.look(1)


def test_silence_must_be_noticed(scene: Scene) -> None:
    scene.send()
    assert scene.look(BOUNDS.silence_s) == ""
    assert "nothing was heard of the chain" in scene.look(2)


@pytest.mark.parametrize("cause", ["gone", Cause.NONE, Cause.FOREIGN], ids=str)
def test_a_store_must_be_asked_what_sensing_does_not_know(scene: Scene, cause: Cause | str) -> None:
    scene.send()
    scene.store(0)
    scene.contact = False
    assert scene.look(100) == ""
    if cause == "gone":
        scene.satellites["sat2"].disk["batches"].clear()
    else:
        scene.keep(0, cause)
    # A question or its answer was lost meanwhile: it counts from there.
    scene.lost_s = scene.now_s + 3.0
    assert scene.look(3 + BOUNDS.word_s) == ""
    assert "its store sat2" in scene.look(2)


def test_a_store_in_contact_must_send_again(scene: Scene) -> None:
    scene.send()
    scene.store(0)
    assert scene.look(BOUNDS.descent_s) == ""
    assert "its store sat2 is in contact" in scene.look(2)


def test_what_may_be_sent_must_be_sent(scene: Scene) -> None:
    scene.protocol.custody.accept("tiles", 1)
    assert scene.look(BOUNDS.pause_s) == ""
    assert "nothing keeps a batch from being sent" in scene.look(2)


def test_whoever_was_stopped_looks_anew(scene: Scene) -> None:
    scene.protocol.custody.accept("tiles", 1)
    assert scene.look(BOUNDS.pause_s) == ""
    scene.now_s += 100.0
    assert scene.look(BOUNDS.pause_s) == ""


def test_in_flight_a_death_is_noticed_long_before_silence_and_often_so_in_the_simulation() -> None:
    patient = [s for s in map(make_scenario, range(200)) if s.patience > 1.0]
    assert 60 < len(patient) < 140
    for scenario in patient:
        bounds = Bounds.of(scenario.limits, RESEND_S)
        assert bounds.death_s < scenario.limits.custody.stall_s / 2
    hops = [scenario.hop_limits is not None for scenario in map(make_scenario, range(200))]
    assert 60 < sum(hops) < 140


@pytest.mark.parametrize(("loss", "goal"), [(0.05, 0.8), (0.2, 0.5)])
def test_a_chain_that_sends_again_on_the_hop_keeps_its_pace(loss: float, goal: float) -> None:
    calm = fly(0.0, batches=150, hop_limits=None)
    alone = fly(loss, batches=30, hop_limits=None)
    hops = fly(loss, batches=150, hop_limits=HopLimits())
    assert calm.resent_batches == 0
    assert hops.batches_per_s >= goal * calm.batches_per_s
    assert alone.batches_per_s < goal * calm.batches_per_s
