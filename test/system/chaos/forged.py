"""Plans that nobody may obey: malformed in every way; where plans are signed, forged, altered and replayed ones."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.kills import UNDER_WAY
from chaos.rig import SATELLITES, Rig
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from satllm_ros.msg import Plan as PlanMessage

from satllm_ros import interfaces as graph
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import Epoch
from satllm_ros.protocol.plan import Plan
from satllm_ros.signing.signing import load_signing_key, make_key_file, sign

FORGER = "forger"
READERS = ("sensing", "planner", "recorder", *(f"{name}/stage" for name in SATELLITES))
CAUSES = ("bad_plan", "plan_forged")
# So many plans of its own has the planner flown before they are replayed.
REPLAYED = 4
HURRY_BLOCK_S = 0.005

Spoil = Callable[[PlanMessage], None]


def bad_plans(hangar: Hangar, scenario: str, *, tiles: int, plans: int, block_s: float) -> Result:
    """Malformed plans on both topics, each newer than the true one."""
    cargo = hangar.workshop.cargo(tiles)
    with hangar.fly(cargo, block_s=block_s) as rig:
        rig.until_batches(UNDER_WAY)
        complaints, note = _bombard(rig, malformed(rig.plan), plans)
        return rig.result(scenario, cargo, rig.until_ended(), complaints=complaints, note=note)


def forged_plans(hangar: Hangar, scenario: str, *, tiles: int, plans: int, block_s: float) -> Result:
    """Well-formed plans without the key, altered and replayed ones, in a constellation whose plans are signed."""
    cargo = hangar.workshop.cargo(tiles)
    keys = hangar.folder(scenario)
    public_key = make_key_file(keys / "planner.pem")
    make_key_file(keys / "stranger.pem")
    signing = {"public_key": public_key, "private_key": str(keys / "planner.pem")}
    with hangar.fly(cargo, block_s=block_s, signing=signing) as rig:
        for _ in range(REPLAYED):
            before = rig.plan
            rig.replan()
            rig.until_plan(lambda plan: plan.epoch > before.epoch, "the planner's next plan")  # noqa: B023
        flown = [plan for _, plan in rig.committed.values() if plan.epoch < rig.plan.epoch]
        complaints, note = _bombard(rig, forged(rig.plan, flown, keys / "stranger.pem"), plans)
        return rig.result(scenario, cargo, rig.until_ended(), complaints=complaints, note=note)


def malformed(plan: Plan) -> Iterator[PlanMessage]:
    """Endless plans, each newer than this one and with one thing wrong that no two in a row share."""
    chance = random.Random(1)
    first, second, *rest = plan.stages
    stranger = replace(second, satellite="nobody")
    unsound: list[Callable[[Plan], Plan]] = [
        lambda p: replace(p, model_id=f"{chance.getrandbits(64):016x}"),
        lambda p: replace(p, stages=(first, *rest)),
        lambda p: replace(p, stages=(first, second)),
        lambda p: replace(p, stages=()),
        lambda p: replace(p, stages=(first, first, second, *rest)),
        lambda p: replace(p, stages=(*plan.stages, replace(first, start=plan.stages[-1].stop, stop=2**32 - 1))),
        lambda p: replace(p, stages=(first, stranger, *rest)),
        lambda p: replace(p, stages=(replace(first, start=0, stop=0), *plan.stages)),
        lambda p: replace(p, downlink="nobody"),
        lambda p: replace(p, downlink=""),
        lambda p: replace(p, accuracy_floor=float("nan")),
        lambda p: replace(p, accuracy_floor=chance.uniform(1.1, 1e9)),
        lambda p: replace(p, accuracy_floor=float("-inf")),
        lambda p: replace(p, epoch=Epoch(2**64 - 1, chance.getrandbits(64))),
        lambda p: replace(p, epoch=Epoch(chance.randrange(9, 2**60), 2**63 + 1)),
        lambda p: replace(p, epoch=Epoch(0, chance.randrange(1, 2**60))),
        lambda p: replace(p, epoch=Epoch(chance.randrange(9, 2**60), 0)),
    ]
    broken: list[Spoil] = [
        lambda m: setattr(m, "plan_hash", f"{chance.getrandbits(64):016x}"),
        lambda m: setattr(m, "plan_hash", ""),
        lambda m: setattr(m.stages[0].setting, "codec", chance.randrange(8, 256)),
        lambda m: setattr(m.stages[0].setting, "keep_ratio", float("nan")),
        lambda m: setattr(m.stages[0].setting, "bits", 0),
        lambda m: setattr(m, "downlink", m.stages[0].satellite),
    ]
    while True:
        newer = replace(plan, planner_id=FORGER, epoch=Epoch(plan.epoch.incarnation + chance.randrange(1, 2**32), 1))
        for make in unsound:
            yield _message(make(newer).sealed())
        for spoil in broken:
            message = _message(newer.sealed())
            spoil(message)
            yield message


def forged(plan: Plan, flown: list[Plan], stranger: Path) -> Iterator[PlanMessage]:
    """Endless plans that are well formed and newer than this one, none of them signed by its planner; and old ones."""
    chance = random.Random(2)
    key = load_signing_key(stranger)
    while True:
        newer = replace(plan, epoch=Epoch(plan.epoch.incarnation + chance.randrange(1, 2**32), 1))
        turned = replace(newer, downlink=chance.choice(SATELLITES)).sealed()
        yield _message(replace(turned, signature=b""))
        yield _message(turned)
        yield _message(sign(turned, key))
        yield _message(replace(turned, signature=chance.randbytes(64)))
        yield _message(replace(turned, signature=plan.signature[:32]))
        yield _message(chance.choice(flown))


def _bombard(rig: Rig, messages: Iterator[PlanMessage], plans: int) -> tuple[list[str], str]:
    """Publish so many on both topics; complaints, and in words who refused how many."""
    genuine = {plan_hash for plan_hash in rig.committed}
    published: set[str] = set()
    voices = [rig.observer.voice(topic) for topic in (graph.PLAN_PROPOSED, graph.PLAN_ACTIVE)]
    clients: list[Client[Any, Any]] = [
        rig.observer.node.create_client(GetParameters, f"/{reader}/get_parameters") for reader in READERS
    ]
    before = {reader: _refused(rig, reader) for reader in READERS}
    for _, message in zip(range(plans), messages, strict=False):
        published.add(message.plan_hash)
        for voice in voices:
            voice.publish(message)
        # Of a latched topic of depth 1 only the last message counts: one at a time, or few would be looked at.
        answers = [client.call_async(GetParameters.Request()) for client in clients]
        rig.until(lambda: all(answer.done() for answer in answers), "all nodes to look at a plan")  # noqa: B023
    # Exact at sensing, which listens to one of the topics only; counters are shown once a second.
    rig.until(lambda: _refused(rig, "sensing") - before["sensing"] >= plans, f"{plans} plans refused by sensing")
    last = rig.plan
    rig.replan()
    rig.until_plan(lambda plan: plan.epoch > last.epoch, "the planner's next plan to be active")
    rig.until_batches(UNDER_WAY)
    # The bag had to outlast the plans, however long those took.
    for name in SATELLITES:
        assert rig.observer.set_parameter(f"{name}/stage", "block_s", HURRY_BLOCK_S).successful
    served = {plan_hash for heard in rig.statuses.values() for status in heard for plan_hash in status.served_hashes}
    counts = {reader: _refused(rig, reader) - before[reader] for reader in READERS}
    complaints = [f"{reader} counted none" for reader, count in counts.items() if not count]
    if forged := (rig.flown | served) & published - genuine:
        complaints.append(f"{len(forged)} of the plans were obeyed")
    fewest = min(counts, key=counts.__getitem__)
    return complaints, f"{counts['sensing']} refused by sensing, the fewest, {counts[fewest]}, by {fewest}"


def _refused(rig: Rig, reader: str) -> int:
    # Sensing takes up no plan that is older than what flies, either.
    causes = ("plan_refused",) if reader == "sensing" else CAUSES
    return sum(rig.observer.counter(reader, cause) for cause in causes)


def _message(plan: Plan) -> PlanMessage:
    return convert.plan_to(plan, PlanMessage().header.stamp)
