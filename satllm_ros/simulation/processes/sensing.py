"""Sensing as the simulation runs it: what it reads is called by the very identities that the node uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from satllm_ros.acquisition.source_buffer import FrameQueue, SourceBuffer
from satllm_ros.acquisition.source_identity import CameraIdentity, ManifestIdentity
from satllm_ros.protocol import sensing as act
from satllm_ros.protocol.hop import HopLimits, HopSender
from satllm_ros.protocol.identity import Envelope, TileKey
from satllm_ros.protocol.plan import Plan, PlanError
from satllm_ros.protocol.sensing import SensingLimits, SensingProtocol
from satllm_ros.protocol.signals import Ack, Report
from satllm_ros.protocol.unhandled import unhandled
from satllm_ros.simulation.processes.hops import Hops
from satllm_ros.simulation.processes.images import Folder, Image
from satllm_ros.simulation.processes.messages import Active, Batch, Receipt, RunSaid, Tile
from satllm_ros.simulation.processes.process import SENSING, Host, Process, chain
from satllm_ros.simulation.processes.story import describe

# As the sensing node has it.
FLUSH_S = 1.0


class Sensing(Process):
    """Reads the source, commits plans, answers for every batch.

    Parameters
    ----------
    folder
        What is read, from the start in each life; None for a live camera.
    live_tiles
        Tiles of a live camera that may wait to be sent.
    durable
        Whether a live camera's batches outlive the process.
    """

    topics = ("plan_proposed", "status")
    memory = ("protocol", "buffer", "queue", "identity", "hops", "_listing", "_next", "read_tiles", "dropped")
    machine = SensingProtocol
    hop_machine = HopSender

    def __init__(
        self,
        satellites: Sequence[str],
        limits: SensingLimits,
        *,
        blocks: int,
        batch_tiles: Callable[[], int],
        folder: Folder | None = None,
        live_tiles: int | None = None,
        durable: bool = False,
        hop_limits: HopLimits | None = None,
    ) -> None:
        super().__init__(SENSING)
        self._hop_limits = hop_limits
        self._satellites = tuple(satellites)
        self._limits = limits
        self._blocks = blocks
        self.folder = folder
        self._batch_tiles = batch_tiles
        self._live_tiles = live_tiles
        self._durable = durable
        # Over all lives of a run: images that a full buffer pushed out, and all that were heard or read.
        self.overflowed: set[str] = set()
        self.acquired: set[str] = set()
        # In this life.
        self.read_tiles = 0
        self.dropped: dict[TileKey, str] = {}
        # A live source: set by the world once it has shown its last image.
        self.source_ended = False

    def begin(self, run_id: int, model_id: str) -> None:
        """A run begins: its folder has nothing but what it is of."""
        self.disk = {"run": run_id, "model": model_id, "digests": {}, "custody": {}}
        if self.folder is not None:
            self.disk["manifest"] = self.folder.manifest()
        self.overflowed, self.acquired = set(), set()
        self.source_ended = False

    def start(self, host: Host, boot_id: int) -> None:
        self.boot_id = boot_id
        self.read_tiles, self.dropped = 0, {}
        self.hops = Hops(self.name, boot_id, self._hop_limits, self.hop_machine)
        if self.folder is None:
            self.identity: CameraIdentity | ManifestIdentity = CameraIdentity(boot_id)
            self._listing: list[str] = []
        else:
            manifest = self.disk["manifest"]
            self.identity = ManifestIdentity(manifest.source_id, manifest.names)
            self._listing = sorted(self.folder.files)
            self._listing += [name for name in manifest.names if name not in self.folder.files]
        self._next = 0
        self.protocol: SensingProtocol[tuple[Tile, ...]] = self.machine(
            boot_id,
            self._limits,
            model_id=self.disk["model"],
            blocks=self._blocks,
            known=self._satellites,
            persisted=self.disk.get("plan"),
        )
        self.buffer: SourceBuffer[Tile] = SourceBuffer(
            self._batch_tiles(), flush_s=None if self._live_tiles is None else FLUSH_S
        )
        self.queue: FrameQueue[Tile] = FrameQueue(self._live_tiles or 1)
        self.buffer.ended = self.source_ended
        self._restore()
        host.publish(self.name, "ledger", RunSaid(self.disk["run"]))
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
    def held_images(self) -> set[str]:
        """What would die with this process."""
        batches = [] if self._durable else self.protocol.custody.held_batches()
        held = {tile.content for batch in batches for tile in batch.payload}
        return held | {tile.content for tile in (*self.buffer, *self.queue)}

    def identify(self, image: Image, place: int) -> TileKey | None:
        """What an image is called; None if the run knows nothing of it.

        `place` is that in the list of files as it is sorted now.
        """
        if isinstance(self.identity, CameraIdentity):
            return TileKey(self.identity.source_id, self.identity.next(), 0)
        frame = self.identity.frame_of(image.name)
        return None if frame is None else TileKey(self.identity.source_id, frame, 0)

    def expose(self, host: Host, image: Image, *, last: bool) -> None:
        """A live camera has taken an image."""
        tile = self._acquire(host, image, 0)
        if tile is not None:
            overflow = self.queue.push(tile, 1)
            self.overflowed |= {lost.content for lost, _ in overflow}
            self.read_tiles += 1 - len(overflow)
        self.buffer.ended = last
        self._pump(host)

    def take(self, host: Host, message: Any) -> None:
        now_s = host.now_s
        if isinstance(message, Receipt):
            self.hops.receipt(host, message)
            return
        if isinstance(message, Ack):
            host.watcher.heard(self, message, now_s)
            actions = self.protocol.on_ack(message, now_s)
        elif isinstance(message, Report):
            actions = self.protocol.on_report(message, now_s)
        else:
            try:
                actions = self.protocol.on_proposal(message.plan, now_s)
            except PlanError as error:
                reason = str(error)
                host.tell(lambda: f"sensing refuses: {reason}")
                return
        self._carry_out(host, actions)
        self._pump(host)

    def hello(self, host: Host, satellite: str, boot_id: int) -> None:
        """A satellite that is ready has said hello."""
        self._carry_out(host, self.protocol.on_hello(satellite, boot_id, host.now_s))

    def tick(self, host: Host) -> None:
        self._carry_out(host, self.protocol.on_tick(host.now_s))
        self.hops.tick(host)
        if self._durable:
            kept = {place.batch.sequence for place in self.protocol.custody.places()}
            self.disk["custody"] = {n: tiles for n, tiles in self.disk["custody"].items() if n in kept}
        self._pump(host)

    def _restore(self) -> None:
        batches = [self.restored(tiles) for tiles in self.disk["custody"].values()]
        ids = [self.protocol.custody.restore(tiles, len(tiles)).sequence for tiles in batches]
        self.read_tiles += sum(map(len, batches))
        self.disk["custody"] = dict(zip(ids, batches, strict=True))

    def restored(self, tiles: tuple[Tile, ...]) -> tuple[Tile, ...]:
        """A batch that an earlier life left, as this one takes it up."""
        return tiles

    def _pump(self, host: Host) -> None:
        custody, now_s = self.protocol.custody, host.now_s
        while custody.has_room and not custody.waiting_batches:
            if self.buffer.wants_more:
                self._read(host)
            tiles = tuple(self.buffer.take(now_s))
            if not tiles:
                break
            batch = custody.accept(tiles, len(tiles))
            if self._durable:
                self.disk["custody"][batch.sequence] = tiles
            self._carry_out(host, self.protocol.on_accepted(now_s))

    def _read(self, host: Host) -> None:
        if self.is_live:
            while self.buffer.wants_more and (waiting := self.queue.pop()) is not None:
                self.buffer.push([waiting[0]], host.now_s)
            return
        assert self.folder is not None
        while self.buffer.wants_more and self._next < len(self._listing):
            name, place = self._listing[self._next], self._next
            self._next += 1
            # A file may have gone since it was listed, or since the run began.
            image = self.folder.files.get(name, Image(name, "", 0))
            tile = self._acquire(host, image, place)
            if tile is not None:
                self.buffer.push([tile], host.now_s)
                self.read_tiles += 1
        self.buffer.ended = self._next >= len(self._listing)

    def _acquire(self, host: Host, image: Image, place: int) -> Tile | None:
        """The image as a tile; None, and counted, if it is not to be had or not what it was."""
        key = self.identify(image, place)
        if key is None:
            return None
        if not image.content:
            self.dropped[key] = "unreadable_image"
            return None
        if self.folder is not None and self.disk["digests"].setdefault(key, image.content) != image.content:
            self.dropped[key] = "source_changed"
            return None
        tile = Tile(key, image.content)
        self.acquired.add(image.content)
        host.watcher.acquired(tile)
        return tile

    def _carry_out(self, host: Host, actions: Sequence[act.Action[tuple[Tile, ...]]]) -> None:
        for action in actions:
            match action:
                case act.SendBatch():
                    host.watcher.sent(self, action.batch, action.payload, host.now_s)
                    self.hops.send(host, action.plan.satellites[0], self._batch(action))
                case act.Persist():
                    self.disk["plan"] = action.plan
                    host.watcher.committed(action.plan)
                case act.Announce():
                    host.watcher.announced(action.plan)
                    host.tell(partial(_announcement, action.plan))
                    host.publish(self.name, "plan_active", Active(action.plan))
                case act.PublishSwitchState():
                    host.watcher.told(self.protocol)
                    host.tell(partial(describe, action.state))
                    host.publish(self.name, "switch_state", action.state)
                case act.QueryStore():
                    host.send(self.name, action.query.store, action.query)
                case _:
                    unhandled(action)

    def _batch(self, send: act.SendBatch[tuple[Tile, ...]]) -> Batch:
        tiles, plan = send.payload, send.plan
        return Batch(
            Envelope(
                batch=send.batch,
                sender=self.name,
                destination=plan.satellites[0],
                epoch=plan.epoch,
                plan_hash=plan.plan_hash,
                low_water=send.low_water,
                model_id=self.disk["model"],
                run_id=self.disk["run"],
                source_id=tiles[0].key.source_id,
                frames=tuple(tile.key.frame for tile in tiles),
                tile_indices=tuple(tile.key.tile_index for tile in tiles),
            ),
            tuple(tile.content for tile in tiles),
        )


def _announcement(plan: Plan) -> str:
    return f"sensing announces plan {plan.epoch} {chain(plan)}"
