"""Sensing as the simulation runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from satllm_ros.runtime import sensing_protocol
from satllm_ros.runtime.identity import Envelope, TileKey
from satllm_ros.runtime.plan import PlanError
from satllm_ros.runtime.sensing_protocol import SensingLimits, SensingProtocol
from satllm_ros.runtime.signals import Ack, Report
from satllm_ros.runtime.source_buffer import FrameQueue, SourceBuffer
from satllm_ros.simulation.messages import Active, Batch
from satllm_ros.simulation.process import MODEL_ID, SENSING, SOURCE_ID, Host, Process, chain
from satllm_ros.simulation.story import describe

# As the sensing node has it.
FLUSH_S = 1.0


class Sensing(Process):
    """Reads the source, commits plans, answers for every batch."""

    topics = ("plan_proposed", "status")
    memory = ("protocol", "buffer", "queue", "_next_tile", "read_tiles")
    machine = SensingProtocol

    def __init__(
        self,
        satellites: Sequence[str],
        limits: SensingLimits,
        *,
        blocks: int,
        tiles: int,
        batch_tiles: Callable[[], int],
        live_tiles: int | None = None,
    ) -> None:
        super().__init__(SENSING)
        self._satellites = tuple(satellites)
        self._limits = limits
        self._blocks = blocks
        self._tiles = tiles
        self._batch_tiles = batch_tiles
        self._live_tiles = live_tiles
        self.overflowed: list[TileKey] = []
        # Over all lives, and in this one.
        self.acquired: set[TileKey] = set()
        self.read_tiles = 0
        # A live source: set by the world once it has shown its last image.
        self.source_ended = False

    def start(self, host: Host, boot_id: int) -> None:
        self.boot_id = boot_id
        self.protocol: SensingProtocol[tuple[TileKey, ...]] = self.machine(
            boot_id,
            self._limits,
            model_id=MODEL_ID,
            blocks=self._blocks,
            known=self._satellites,
            persisted=self.disk.get("plan"),
        )
        self.buffer: SourceBuffer[TileKey] = SourceBuffer(
            self._batch_tiles(), flush_s=None if self._live_tiles is None else FLUSH_S
        )
        self.queue: FrameQueue[TileKey] = FrameQueue(self._live_tiles or 1)
        self.buffer.ended = self.source_ended
        self._next_tile = self.read_tiles = 0
        self._carry_out(host, self.protocol.start(host.now_s))
        self._pump(host)

    @property
    def finished(self) -> bool:
        """Whether all there is was read and is delivered."""
        return self.buffer.ended and not self.waiting_tiles and self.protocol.custody.idle

    @property
    def is_live(self) -> bool:
        """Whether what is lost here cannot be read again."""
        return self._live_tiles is not None

    @property
    def waiting_tiles(self) -> int:
        """Tiles that are acquired and not yet in custody."""
        return len(self.buffer) + self.queue.tiles

    @property
    def held_tiles(self) -> set[TileKey]:
        """Tiles that would die with this process."""
        held = {tile for batch in self.protocol.custody.held_batches() for tile in batch.payload}
        return held | set(self.buffer) | set(self.queue)

    def expose(self, host: Host, frame: int, *, last: bool) -> None:
        """A live camera has taken an image."""
        tile = TileKey(SOURCE_ID, frame, 0)
        self.acquired.add(tile)
        overflow = self.queue.push(tile, 1)
        self.overflowed += [lost for lost, _ in overflow]
        self.read_tiles += 1 - len(overflow)
        self.buffer.ended = last
        self._pump(host)

    def take(self, host: Host, message: Any) -> None:
        now_s = host.now_s
        if isinstance(message, Ack):
            actions = self.protocol.on_ack(message, now_s)
        elif isinstance(message, Report):
            actions = self.protocol.on_report(message, now_s)
        else:
            try:
                actions = self.protocol.on_proposal(message.plan, now_s)
            except PlanError as error:
                host.tell(lambda error=error: f"sensing refuses: {error}")
                return
        self._carry_out(host, actions)
        self._pump(host)

    def heartbeat(self, host: Host, satellite: str, boot_id: int) -> None:
        self._carry_out(host, self.protocol.on_heartbeat(satellite, boot_id, host.now_s))

    def tick(self, host: Host) -> None:
        self._carry_out(host, self.protocol.on_tick(host.now_s))
        self._pump(host)

    def _pump(self, host: Host) -> None:
        custody, now_s = self.protocol.custody, host.now_s
        while custody.has_room and not custody.waiting_batches:
            if self.buffer.wants_more:
                self._read(now_s)
            tiles = tuple(self.buffer.take(now_s))
            if not tiles:
                break
            custody.accept(tiles, len(tiles))
            self._carry_out(host, self.protocol.on_accepted(now_s))

    def _read(self, now_s: float) -> None:
        if self.is_live:
            while self.buffer.wants_more and (waiting := self.queue.pop()) is not None:
                self.buffer.push([waiting[0]], now_s)
            return
        while self.buffer.wants_more and self._next_tile < self._tiles:
            tile = TileKey(SOURCE_ID, self._next_tile, 0)
            self.acquired.add(tile)
            self.buffer.push([tile], now_s)
            self.read_tiles += 1
            self._next_tile += 1
        self.buffer.ended = self._next_tile >= self._tiles

    def _carry_out(self, host: Host, actions: Sequence[Any]) -> None:
        for action in actions:
            if isinstance(action, sensing_protocol.SendBatch):
                host.watcher.sent(action.batch, action.payload)
                host.send(self.name, action.plan.satellites[0], self._batch(action))
            elif isinstance(action, sensing_protocol.Persist):
                self.disk["plan"] = action.plan
                host.watcher.committed(action.plan)
            elif isinstance(action, sensing_protocol.Announce):
                host.watcher.announced(action.plan)
                host.tell(lambda plan=action.plan: f"sensing announces plan {plan.epoch} {chain(plan)}")
                host.publish(self.name, "plan_active", Active(action.plan))
            elif isinstance(action, sensing_protocol.Tell):
                host.watcher.told(self.protocol)
                host.tell(lambda state=action.state: f"{describe(state)}")
                host.publish(self.name, "switch_state", action.state)
            else:
                host.send(self.name, action.query.store, action.query)

    def _batch(self, send: sensing_protocol.SendBatch[tuple[TileKey, ...]]) -> Batch:
        tiles, plan = send.payload, send.plan
        return Batch(
            Envelope(
                batch=send.batch,
                sender=self.name,
                destination=plan.satellites[0],
                epoch=plan.epoch,
                plan_hash=plan.plan_hash,
                low_water=send.low_water,
                model_id=MODEL_ID,
                source_id=SOURCE_ID,
                frames=tuple(tile.frame for tile in tiles),
                tile_indices=tuple(tile.tile_index for tile in tiles),
            )
        )
