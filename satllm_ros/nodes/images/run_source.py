"""The source of a run: what it holds, and the run that begins, or goes on, with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from satllm_ros.acquisition.source_buffer import SourceBuffer
from satllm_ros.acquisition.source_identity import CameraIdentity
from satllm_ros.assets.paths import bag_path
from satllm_ros.data.folder import list_folder, printable
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.manifest import CAMERA, Manifest
from satllm_ros.data.sources import take_manifest
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.runs import facts_of, join_run
from satllm_ros.nodes.images.frames import SourceKind
from satllm_ros.nodes.images.image_source import ImageSource
from satllm_ros.nodes.images.parameters import IntakeParameters
from satllm_ros.storage.frame_journal import FrameJournal
from satllm_ros.storage.run_identity import read_run


@dataclass(frozen=True)
class RunSource:
    """Where a run's images come from, what is flown of that, and the run's id; 0 without one."""

    what: SourceKind
    manifest: Manifest
    run_id: int


def join_source(node: FlightNode, given: IntakeParameters, spec: ModelSpec, pixels: PixelRules) -> RunSource:
    """Begin the run of the state directory, or go on with it.

    A folder that was changed while it is flown is still flown, those of its images that the run began with; each
    that is gone or changed is dropped by its cause.

    Raises
    ------
    ValueError, OSError
        If the source cannot be read, or the directory is of another run.
    """
    directory = Path(given.state_directory)
    path = bag_path(given.path) if given.source == "bag" else Path(given.path)
    what = SourceKind(given.source, path, given.image_topic, given.rate)
    manifest = take_manifest(what.kind, what.path, what.image_topic, recursive=given.recursive)
    if what.kind == "folder" and (left_out := list_folder(what.path, recursive=given.recursive).sentence):
        node.get_logger().info(f"of folder {printable(str(what.path))} {left_out}")
    before = read_run(directory)
    began_with = before.facts.source if before is not None else None
    if began_with is not None and began_with.is_carried_on_by(manifest):
        if difference := began_with.difference(manifest):
            said = printable(f"the source has changed: the run {difference}; what came later is not flown")
            node.get_logger().warning(said)
        manifest = began_with
    run = join_run(node, directory, facts_of(spec, source=manifest, pixels=pixels), begin=True)
    return RunSource(what, manifest, run.run_id if run is not None and run.run_id is not None else 0)


def open_source(
    node: FlightNode,
    given: IntakeParameters,
    run_source: RunSource,
    identity: CameraIdentity,
    spec: ModelSpec,
    pixels: PixelRules,
    journal: FrameJournal,
    *,
    jpeg: bool,
    on_tiles: Callable[[], None],
) -> ImageSource:
    """The source, ready to be read; `jpeg`, `on_tiles` and `journal` as `ImageSource` has them.

    Raises
    ------
    TileError
        If no image of a bag or folder can be used.
    """
    manifest = run_source.manifest
    live = manifest.kind == CAMERA
    source = ImageSource(
        node,
        run_source.what,
        identity.source_id if live else manifest.source_id,
        SourceBuffer(given.batch_tiles, flush_s=given.flush_s if live else None),
        height=spec.image_height,
        width=spec.image_width,
        jpeg=jpeg,
        on_tiles=on_tiles,
        journal=journal,
        manifest=None if live else manifest,
        camera_tiles=given.camera_tiles,
        expected_frames=given.expected_images if live else 0,
        pixels=pixels,
    )
    if not live:
        source.peek()
    return source
