"""The pace of a chain whose links lose whole messages, with and without sending again on the hop.

`python -m satllm_ros.simulation.lossy_chain` prints the table of `docs/protocol.md`. The machines are those of the
flight, with their limits of the flight; links lose batches, predictions and receipts alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from satllm_ros.compression.wire.setting import Codec, CodecSetting
from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.hop import HopLimits
from satllm_ros.protocol.identity import NO_EPOCH
from satllm_ros.protocol.membership.liveness import LivenessLimits
from satllm_ros.protocol.plan import Plan, Stage
from satllm_ros.protocol.planner import PlannerLimits
from satllm_ros.protocol.sensing import SensingLimits
from satllm_ros.simulation.network import NetworkFaults
from satllm_ros.simulation.oracle import Oracle
from satllm_ros.simulation.processes.ends import Ground, Planner
from satllm_ros.simulation.processes.images import Folder, make_image
from satllm_ros.simulation.processes.process import MODEL_ID, RUN_ID, SENSING
from satllm_ros.simulation.processes.satellite import INBOX_BATCHES, Satellite
from satllm_ros.simulation.processes.sensing import Sensing
from satllm_ros.simulation.world import World

SATELLITES = ("sat1", "sat2", "sat3")
STAGES = (("sat1", 0, 3), ("sat2", 3, 6), ("sat3", 6, 9))
BLOCKS = 9
BLOCK_S = 0.03
LINK_S = 0.02
# How often a process asks its hops what is overdue.
POLL_S = 0.05
# At the end of a run, the last batches may wait for the slowest way round.
LIMIT_S = 100_000.0
SHARES = (0.0, 0.01, 0.05, 0.2)
BATCHES = 600


@dataclass(frozen=True)
class Pace:
    """What one run came to."""

    batches_per_s: float
    resent_batches: int
    hop_resends: int


def fly(loss: float, *, batches: int, hop_limits: HopLimits | None, seed: int = 1) -> Pace:
    """Bring down so many batches of one tile, while links lose this share of what they carry.

    Raises
    ------
    RuntimeError
        If they are not down in `LIMIT_S` of virtual time.
    """
    faults = NetworkFaults(base_delay_s=LINK_S, mean_delay_s=0.005, block_s=BLOCK_S, load_s=0.5, data_loss=loss)
    oracle = Oracle(INBOX_BATCHES)
    world = World(seed, faults, oracle)
    liveness = LivenessLimits(period_s=1.0)
    custody = CustodyLimits(window_batches=INBOX_BATCHES, copies_batches=64)
    sensing = Sensing(
        SATELLITES,
        SensingLimits(custody, liveness),
        blocks=BLOCKS,
        batch_tiles=lambda: 1,
        folder=Folder([make_image(number, "rising") for number in range(batches)]),
        hop_limits=hop_limits,
    )
    sensing.begin(RUN_ID, MODEL_ID)
    ground = Ground(SATELLITES, model_id=MODEL_ID, known_run=RUN_ID, hop_limits=hop_limits)
    satellites = [
        Satellite(
            name,
            SATELLITES,
            layer_bytes=(1,) * BLOCKS,
            budget_bytes=2 * BLOCKS,
            resend_s=15.0,
            hop_limits=hop_limits,
        )
        for name in SATELLITES
    ]
    planner = Planner("planner", SATELLITES, _split, PlannerLimits(start_s=4.0, liveness=liveness))
    oracle.sensing, oracle.ground = sensing, ground
    oracle.satellites = {satellite.name: satellite for satellite in satellites}
    processes = (sensing, ground, *satellites, planner)
    for process in processes:
        world.add(process)
    # Only now, since each knows by name who may say hello.
    for process in processes:
        world.boot(process.name)
    if hop_limits is not None:
        _poll(world, [sensing, *satellites])
    rows = ground.disk["rows"]
    first_s: list[float] = []

    def is_down() -> bool:
        if rows and not first_s:
            first_s.append(world.now_s)
        return len(rows) == batches

    if not world.run(LIMIT_S, is_down):
        raise RuntimeError(f"{len(rows)} of {batches} batches are down after {LIMIT_S:g} s")
    tally = sensing.protocol.custody.tally()
    return Pace((batches - 1) / (world.now_s - first_s[0]), tally.resent_batches, oracle.hop_resends)


def _poll(world: World, processes: list[Sensing | Satellite]) -> None:
    for process in processes:
        process.hops.tick(world)
    world.at(world.now_s + POLL_S, _poll, world, processes)


def _split(alive: tuple[str, ...]) -> Plan | None:
    if len(alive) < len(SATELLITES):
        return None
    stages = tuple(Stage(name, start, stop, CodecSetting(Codec.RAW)) for name, start, stop in STAGES)
    return Plan(NO_EPOCH, "", MODEL_ID, SENSING, stages, SATELLITES[-1])


def main() -> None:
    """Print the table."""
    print("| loss | pace, custody alone | sent again by sensing | pace, hops send again | by hops | by sensing |")
    print("|---|---|---|---|---|---|")
    calm = fly(0.0, batches=BATCHES, hop_limits=None).batches_per_s
    for loss in SHARES:
        # The slow ones are flown with fewer: their pace is that of the time-outs.
        alone = fly(loss, batches=BATCHES if loss < 0.1 else BATCHES // 6, hop_limits=None)
        hops = fly(loss, batches=BATCHES, hop_limits=HopLimits())
        print(
            f"| {loss:.0%} | {alone.batches_per_s / calm:.2f} | {alone.resent_batches} |"
            f" {hops.batches_per_s / calm:.2f} | {hops.hop_resends} | {hops.resent_batches} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
