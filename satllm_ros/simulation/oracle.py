"""What must hold at every moment of every run, whatever fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from satllm_ros.protocol.custody import State
from satllm_ros.protocol.delivery import BatchKey, batch_key
from satllm_ros.protocol.identity import NO_EPOCH, BatchId, Epoch, TileKey
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.satellite import Blocks, SatelliteProtocol
from satllm_ros.protocol.sensing import SensingProtocol
from satllm_ros.protocol.signals import Report
from satllm_ros.protocol.vocabulary import Cause, PlanKey, Readiness, Verdict, plan_key
from satllm_ros.simulation.processes.messages import Batch, Receipt, Result, Step, Tile
from satllm_ros.simulation.processes.process import MODEL_ID, RUN_ID

if TYPE_CHECKING:
    from satllm_ros.protocol.hop import HopLimits, Resend
    from satllm_ros.protocol.signals import Ack
    from satllm_ros.simulation.processes.ends import Ground
    from satllm_ros.simulation.processes.satellite import Satellite
    from satllm_ros.simulation.processes.sensing import Sensing
    from satllm_ros.simulation.recovery import RecoveryWatch, Truth

# Sender, its boot id, receiver, batch.
Hop = tuple[str, int, str, BatchId]


# Until it is known that a link does not work both ways: the last hellos on their way (1 s), silence taken for absence
# (4 s) at one end and then at the other, and two looks at it.
ONE_WAY_S = 12.0


class Violation(AssertionError):
    """The protocol broke a promise; the message says which."""


class Oracle:
    """Told of everything that happens; raises `Violation` at the first broken promise."""

    def __init__(self, window_batches: int, recovery: RecoveryWatch | None = None) -> None:
        self._window_batches = window_batches
        self._recovery = recovery
        self.sensing: Sensing | None = None
        self.ground: Ground | None = None
        self.satellites: dict[str, Satellite] = {}
        self.committed_plans: dict[Epoch, Plan] = {}
        self._highest = NO_EPOCH
        self._ready: set[tuple[str, PlanKey]] = set()
        self._sent: dict[BatchKey, tuple[Tile, ...]] = {}
        # What the run that is flown now is of.
        self.run_id, self.model_id = RUN_ID, MODEL_ID
        # What each tile truly is of, as sensing noted it when it gave the name.
        self._images: dict[TileKey, str] = {}
        self._aside: set[tuple[str, BatchId]] = set()
        self._refused: set[BatchKey] = set()
        self.lost_with_sensing: set[str] = set()
        self.drains = 0
        self.refusals = 0
        self.hop_resends = 0
        # Of each life of a sender, for each receiver and batch.
        self._repeats: Counter[Hop] = Counter()
        self._receipted: set[Hop] = set()

    def begin_run(self, run_id: int, model_id: str) -> None:
        """All that was promised of the run before is over: nothing of it may turn up in this one."""
        self.run_id, self.model_id = run_id, model_id
        self.committed_plans, self._highest, self._ready = {}, NO_EPOCH, set()
        self._sent, self._refused, self.lost_with_sensing = {}, set(), set()
        # A folder of the same names and sizes is the same source, whatever its files hold by then.
        self._images = {}

    # Told by the processes

    def acquired(self, tile: Tile) -> None:
        """Sensing has read or heard an image and given it a name."""
        known = self._images.setdefault(tile.key, tile.content)
        if known != tile.content:
            raise Violation(
                f"{known} and {tile.content} are both called frame {tile.key.frame} of {tile.key.source_id}"
            )

    def committed(self, plan: Plan) -> None:
        """Sensing persists a plan as the active one."""
        if plan.epoch <= self._highest:
            raise Violation(f"plan {plan.epoch} is committed after plan {self._highest}")
        missing = [name for name in sorted(plan.members) if (name, plan_key(plan)) not in self._ready]
        if missing:
            raise Violation(f"plan {plan.epoch} is committed though {', '.join(missing)} never reported ready for it")
        self._highest = plan.epoch
        self.committed_plans[plan.epoch] = plan

    def announced(self, plan: Plan) -> None:
        """Sensing publishes the active plan."""
        if plan.epoch < self._highest:
            raise Violation(f"plan {plan.epoch} is announced as active after plan {self._highest}")

    def told(self, protocol: SensingProtocol[Any]) -> None:
        """Sensing publishes the state of the switch."""
        if protocol.draining and protocol.switch.drained == plan_key(protocol.proposal):
            self.drains += 1
            if protocol.custody.in_flight_batches:
                raise Violation(
                    f"sensing says it is drained with {protocol.custody.in_flight_batches} batches in flight"
                )

    def sent(self, sensing: Sensing, batch: BatchId, tiles: tuple[Tile, ...], now_s: float) -> None:
        """Sensing sends a batch."""
        self._sent[batch_key(batch)] = tiles
        if self._recovery is not None:
            self._recovery.sent(sensing, batch, now_s)

    def heard(self, sensing: Sensing, ack: Ack, now_s: float) -> None:
        """Sensing is about to take an acknowledgement."""
        if self._recovery is not None:
            self._recovery.heard(sensing, ack, now_s)

    def looked(self, truth: Truth) -> None:
        """Sensing has looked at its custody: whatever was lost must have been noticed in time."""
        if self._recovery is None or self.sensing is None or self.ground is None:
            return
        slow = self._recovery.look(truth, self.sensing, self.ground, self.satellites, self.committed_plans)
        if slow:
            raise Violation(slow)

    def reported(self, report: Report) -> None:
        """A satellite publishes its report."""
        if report.readiness is Readiness.READY:
            if report.about not in report.serves:
                raise Violation(f"{report.satellite} reports ready for plan {report.about[0]}, and does not serve it")
            self._ready.add((report.satellite, report.about))

    def acknowledged(self, ack: Ack) -> None:
        """A satellite or the ground publishes an acknowledgement."""
        if ack.verdict is Verdict.DELIVERED and self.ground is not None:
            rows = self.ground.disk["rows"]
            # Stores may still say it of a batch of the run before.
            if any(tile.key not in rows for tile in self._sent.get(batch_key(ack.batch), ())):
                raise Violation(f"{ack.sender} acknowledges {ack.batch} as delivered, the ground has not written it")
        elif ack.cause is Cause.FOREIGN:
            self.refusals += 1
            self._refused.add(batch_key(ack.batch))
        elif ack.verdict is Verdict.STORED:
            if batch_key(ack.batch) not in self.satellites[ack.sender].disk["batches"]:
                raise Violation(f"{ack.sender} acknowledges {ack.batch} as stored, its disk does not have it")

    def asked_to_load(self, protocol: SatelliteProtocol) -> None:
        """A satellite begins to load blocks."""
        if protocol.memory_bytes > protocol.budget_bytes:
            raise Violation(
                f"{protocol.satellite} takes {protocol.memory_bytes} bytes of memory,"
                f" allowed are {protocol.budget_bytes}"
            )

    def unloaded(self, satellite: Satellite, blocks: Blocks) -> None:
        """A satellite frees blocks."""
        protocol = satellite.protocol
        if self.sensing is None or protocol.is_drained or not self.sensing.alive:
            return
        if sum(stop - start for start, stop in {*protocol.fitting(), blocks}) > protocol.budget_bytes:
            # Three plans at once, and room for two: what had to go is refused and sent again.
            return
        for held in self.sensing.protocol.custody.held_batches():
            plan = self.committed_plans.get(held.epoch) if held.epoch is not None else None
            if held.state is not State.IN_FLIGHT or plan is None or plan.epoch not in satellite.heard_active:
                continue
            stage = plan.stage_of(satellite.name)
            if stage is not None and (stage.start, stage.stop) == blocks:
                raise Violation(
                    f"{satellite.name} frees blocks ({blocks[0]}, {blocks[1]}]"
                    f" that a batch in flight under plan {plan.epoch} needs"
                )

    def sensing_died(self, process: Sensing) -> None:
        """A live source's tiles that only sensing had die with it; whatever can be read again does not."""
        if process.is_live:
            self.lost_with_sensing |= process.held_images

    def set_aside(self, satellite: str, batch: BatchId) -> None:
        """A store keeps a batch that the ground refused."""
        self._aside.add((satellite, batch))

    def wiped(self, satellite: str) -> None:
        """A disk is lost, and what was set aside on it."""
        self._aside = {(name, batch) for name, batch in self._aside if name != satellite}

    def sent_down(self, satellite: str, batch: BatchId) -> None:
        """A store sends a batch to the ground."""
        if (satellite, batch) in self._aside:
            raise Violation(f"{satellite} sends {batch} again, which the ground refused for good")

    def sent_into(self, satellite: str, broken_for_s: float) -> None:
        """Predictions are sent over a link that has not worked both ways for so long, as far as could be known."""
        if broken_for_s > ONE_WAY_S:
            raise Violation(
                f"{satellite} sends predictions into a link that has not worked both ways for {broken_for_s:.0f} s"
            )

    def written(self, result: Result) -> None:
        """The ground has written a result."""
        origin = result.origin
        # By mistake, the ground may have been given another model than the run's: it names labels after its own.
        model_id = self.ground.model_id if self.ground is not None else self.model_id
        if (origin.run_id, origin.model_id) != (self.run_id, model_id):
            raise Violation(
                f"the ground of run {self.run_id} and model {model_id} writes what model {origin.model_id} made in"
                f" run {origin.run_id}"
            )
        self.check_steps(result.steps)
        self.check_names(result.tiles)

    # Told by the ends of hops

    def offered(self, sender: str, boot_id: int, receiver: str, batch: BatchId) -> None:
        """A sender sends a message to its next hop, for a reason other than that no receipt came."""
        hop = (sender, boot_id, receiver, batch)
        self._repeats.pop(hop, None)
        self._receipted.discard(hop)

    def receipted(self, sender: str, boot_id: int, receipt: Receipt) -> None:
        """A sender hears that a message of its has arrived."""
        if receipt.intact:
            self._receipted.add((sender, boot_id, receipt.receiver, receipt.batch))

    def sent_again(self, sender: str, boot_id: int, resend: Resend[Any], limits: HopLimits) -> None:
        """A sender sends a message to its next hop again."""
        hop = (sender, boot_id, resend.receiver, resend.batch)
        self._repeats[hop] += 1
        self.hop_resends += 1
        if self._repeats[hop] > limits.resends:
            raise Violation(
                f"{sender} sends {resend.batch} to {resend.receiver} again {self._repeats[hop]} times, allowed are"
                f" {limits.resends}"
            )
        if hop in self._receipted:
            raise Violation(f"{sender} sends {resend.batch} to {resend.receiver} again, and has a receipt for it")

    def kept(self, sender: str, copies: int, limits: HopLimits) -> None:
        """A sender keeps so many copies of what it sent."""
        if copies > limits.copies:
            raise Violation(f"{sender} keeps {copies} messages without a receipt, allowed are {limits.copies}")

    def corrupt(self, message: Any) -> Any:
        """The message, damaged in a way its checksum tells; small messages are not damaged.

        A satellite obeys the envelope before it knows: its low water says what it cannot.
        """
        if isinstance(message, Receipt):
            # Of a message that never was.
            return replace(message, wire_bytes=message.wire_bytes + 1, intact=False)
        if not isinstance(message, Batch):
            return message
        epoch = message.envelope.epoch
        envelope = replace(message.envelope, low_water=Epoch(epoch.incarnation, epoch.counter + 1))
        return replace(message, envelope=envelope, intact=False)

    # Judged

    def check_steps(self, steps: tuple[Step, ...]) -> None:
        """Every block once, in order, all under one committed plan."""
        keys = {(step.epoch, step.plan_hash) for step in steps}
        plan = next((p for p in self.committed_plans.values() if keys == {(p.epoch, p.plan_hash)}), None)
        done = [(step.satellite, step.start, step.stop) for step in steps]
        if plan is None or done != [(s.satellite, s.start, s.stop) for s in plan.stages]:
            served = ", ".join(f"{s.satellite} ({s.start}, {s.stop}] of plan {s.epoch}" for s in steps)
            raise Violation(f"a batch was served by the wrong sub-model: {served}")

    def check_names(self, tiles: tuple[Tile, ...]) -> None:
        """Each tile goes by the name that its own image was given."""
        for tile in tiles:
            named = self._images.get(tile.key, "no image")
            if named != tile.content:
                raise Violation(
                    f"the label of {tile.content} is written as that of {named}, which is frame {tile.key.frame} of"
                    f" {tile.key.source_id}"
                )

    def check_ledger(self) -> None:
        """Every tile that sensing has acquired is in exactly one place."""
        sensing = self.sensing
        if sensing is None or not sensing.alive:
            return
        tally = sensing.protocol.custody.tally()
        placed = tally.waiting + tally.in_flight + tally.stored + tally.delivered + tally.dropped
        if tally.accepted != placed or placed + sensing.waiting_tiles != sensing.read_tiles:
            raise Violation(f"the ledger does not add up: {sensing.read_tiles} tiles read, {tally}")
        if sensing.protocol.custody.in_flight_batches > self._window_batches:
            raise Violation(f"{sensing.protocol.custody.in_flight_batches} batches in flight: {tally}")

    def check_end(self) -> None:
        """Once all is quiet: every image is on the ground once, or its loss is accounted for."""
        assert self.sensing is not None and self.ground is not None
        sensing, rows = self.sensing, self.ground.disk["rows"]
        if len(set(rows.values())) != len(rows):
            twice = next(content for content, count in Counter(rows.values()).items() if count > 1)
            raise Violation(f"{twice} is on the ground under two names")
        if sensing.folder is not None:
            owed = self._frames_of_the_run()
            if unknown := rows.keys() - owed:
                raise Violation(f"frame {min(unknown).frame} on the ground is none of the run's")
            missing = owed - rows.keys() - sensing.dropped.keys()
            excused = {tile.key for tile in self._refused_tiles()}
            names = [f"frame {key.frame}" for key in missing - excused]
        else:
            down = set(rows.values())
            if unknown := down - sensing.acquired:
                raise Violation(f"{min(unknown)} was never acquired")
            if both := down & sensing.overflowed:
                raise Violation(f"{min(both)} was counted as dropped and delivered")
            refused = {tile.content for tile in self._refused_tiles()}
            names = list(sensing.acquired - down - refused - sensing.overflowed - self.lost_with_sensing)
        if names:
            raise Violation(f"{len(names)} tiles are lost, among them {min(names)}")
        self._check_books()

    def _check_books(self) -> None:
        """What this life of sensing says of its batches at the end, against the ground's own rows."""
        assert self.sensing is not None and self.ground is not None
        sensing, rows = self.sensing, self.ground.disk["rows"]
        tally = sensing.protocol.custody.tally()
        ours = [t for (boot_id, _), tiles in self._sent.items() if boot_id == sensing.boot_id for t in tiles]
        down = sum(tile.key in rows for tile in ours)
        causes = dict(sensing.protocol.custody.causes)
        if tally.delivered > down:
            raise Violation(f"sensing counts {tally.delivered} tiles as delivered, the ground has {down}: {causes}")
        if tally.delivered + tally.dropped != len(ours):
            raise Violation(f"of {len(ours)} tiles sent, sensing counts {tally}")
        if tally.dropped != causes.get("refused_by_ground", 0):
            raise Violation(f"{tally.dropped} tiles were dropped: {causes}")

    def _frames_of_the_run(self) -> set[TileKey]:
        assert self.sensing is not None
        manifest = self.sensing.disk["manifest"]
        return {TileKey(manifest.source_id, frame, 0) for frame in range(1, manifest.frames + 1)}

    def _refused_tiles(self) -> list[Tile]:
        return [tile for batch in self._refused for tile in self._sent.get(batch, ())]
