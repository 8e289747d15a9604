"""Which run this process is of: compared when a node configures, so that nobody goes on with somebody else's files."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.assets.share import software_version
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.data.manifest import Manifest
from satllm_ros.model.spec import ModelSpec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.storage.run_identity import Run, RunFacts, compare_run, open_run


def join_run(node: FlightNode, directory: Path, facts: RunFacts, *, begin: bool = False) -> Run | None:
    """Compare what this node would fly with the run of a folder; what is only worth a line is logged.

    Parameters
    ----------
    begin
        Whether a folder without a run gets one: the run is sensing's. Else None is returned for such a folder.

    Raises
    ------
    RunMismatchError, OSError
        As `open_run`.
    """
    software = software_version()
    if begin:
        run: Run | None = open_run(directory, facts, software=software, begin=True)
    else:
        run = compare_run(directory, facts, software=software)
    for note in run.notes if run is not None else ():
        node.get_logger().warning(note)
    return run


def facts_of(
    spec: ModelSpec,
    *,
    artefacts_id: str | None = None,
    source: Manifest | None = None,
    pixels: PixelRules | None = None,
) -> RunFacts:
    """What a node knows of its run."""
    return RunFacts(
        model_id=spec.model_id,
        artefacts_id=artefacts_id,
        classes=spec.classes,
        tile=(spec.image_height, spec.image_width),
        pixels=None if pixels is None else pixels.to_json(),
        source=source,
    )
