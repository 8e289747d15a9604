"""One life of sensing: all that there is from configuring to cleaning up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from satllm_ros.acquisition.source_identity import CameraIdentity
from satllm_ros.acquisition.unheard import SequenceGaps
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.tiles import Tile
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.custody.books import LedgerBooks
from satllm_ros.nodes.custody.copies import Copies
from satllm_ros.nodes.custody.parameters import SensingParameters
from satllm_ros.nodes.custody.plan_file import PlanFile
from satllm_ros.nodes.custody.rivals import RivalWatch
from satllm_ros.nodes.custody.standing import Standing
from satllm_ros.nodes.images.image_source import ImageSource
from satllm_ros.nodes.images.run_source import RunSource, open_source
from satllm_ros.nodes.wire.plan_gate import PlanGate
from satllm_ros.protocol.custody import CustodyLimits
from satllm_ros.protocol.plan import Plan
from satllm_ros.protocol.sensing import SensingLimits, SensingProtocol
from satllm_ros.storage.custody_store import CustodyStore
from satllm_ros.storage.frame_journal import JOURNAL_NAME, FrameJournal
from satllm_ros.storage.loss_journal import LossJournal


@dataclass(frozen=True)
class SensingLife:
    """What was read and opened; `close` closes it all."""

    spec: ModelSpec
    satellites: Sequence[str]
    gate: PlanGate
    run_id: int
    is_live: bool
    jpeg: bool
    protocol: SensingProtocol[list[Tile]]
    source: ImageSource
    identity: CameraIdentity
    gaps: SequenceGaps
    plan_file: PlanFile
    copies: Copies
    books: LedgerBooks
    standing: Standing
    rivals: RivalWatch
    close: Callable[[], None]


def begin_life(
    node: FlightNode,
    given: SensingParameters,
    boot_id: int,
    spec: ModelSpec,
    gate: PlanGate,
    run_source: RunSource,
    pixels: PixelRules,
    *,
    on_tiles: Callable[[], None],
    has_planner: Callable[[], bool],
) -> SensingLife:
    """Open all that a life needs; if that fails, nothing stays open.

    Parameters
    ----------
    on_tiles
        As `ImageSource` has it.
    has_planner
        As `Standing` has it.

    Raises
    ------
    ValueError, OSError
        If the source holds nothing usable, or the state directory is damaged or of another run.
    """
    run_id, is_live = run_source.run_id, run_source.what.is_live
    directory, satellites = Path(given.state_directory), given.satellites
    jpeg = given.upload_encoding == "jpeg"
    with ExitStack() as opened:
        plan_file = PlanFile(node, directory, run_id)
        protocol = _protocol(given, boot_id, spec, plan_file.read(gate))
        frames = FrameJournal(directory / JOURNAL_NAME, run_id=run_id)
        opened.callback(frames.close)
        identity, gaps = CameraIdentity(boot_id), SequenceGaps()
        source = open_source(node, given, run_source, identity, spec, pixels, frames, jpeg=jpeg, on_tiles=on_tiles)
        store = journal = None
        # A bag or folder is read again.
        if given.durable and is_live:
            store = CustodyStore(directory / "sensing.custody.sqlite", run_id=run_id)
            opened.callback(store.close)
        if is_live:
            journal = LossJournal(directory / "sensing.journal", run_id)
            opened.callback(journal.close)
        copies = Copies(node, protocol.custody, boot_id, store=store, journal=journal)
        if copies.lost_tiles:
            node.get_logger().warning(f"{copies.lost_tiles} tiles were lost with earlier lives of this node")
        books = LedgerBooks(node, protocol, source, copies, frames, gaps, run_id=run_id, batch_tiles=given.batch_tiles)
        rivals = RivalWatch(node, boot_id)
        opened.callback(rivals.close)
        return SensingLife(
            spec=spec,
            satellites=satellites,
            gate=gate,
            run_id=run_id,
            is_live=is_live,
            jpeg=jpeg,
            protocol=protocol,
            source=source,
            identity=identity,
            gaps=gaps,
            plan_file=plan_file,
            copies=copies,
            books=books,
            standing=Standing(node, protocol, source, copies, satellites, has_planner),
            rivals=rivals,
            close=opened.pop_all().close,
        )


def _protocol(
    given: SensingParameters, boot_id: int, spec: ModelSpec, persisted: Plan | None
) -> SensingProtocol[list[Tile]]:
    custody = CustodyLimits(
        given.window_batches,
        given.copies_batches,
        given.stall_s,
        delivery_s=given.delivery_s,
    )
    return SensingProtocol(
        boot_id,
        SensingLimits(custody, drain_s=given.drain_s),
        model_id=spec.model_id,
        blocks=spec.blocks,
        known=given.satellites,
        persisted=persisted,
    )
