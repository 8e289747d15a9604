"""The comparison of a run with its source: true classes, and what the unsplit model says, found by another process."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.assets.paths import bag_path, checkpoint_path
from satllm_ros.data.images.pixels import PixelRules
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.recording.display import Display
from satllm_ros.nodes.recording.outcome import KnownSource
from satllm_ros.nodes.recording.parameters import RecorderParameters
from satllm_ros.report.figures.sample import even_sample
from satllm_ros.report.record.record import RunRecord
from satllm_ros.supervisor.comparing import EXECUTABLE, ComparisonProcess, Job

# When all end, a bag's true classes are read within this; a longer wait might cost the report.
TRUTH_S = 5.0


def comparison_job(
    given: RecorderParameters, run: RunRecord, known: KnownSource, pixels: PixelRules, *, with_reference: bool
) -> Job | None:
    """What to compare a run with; None: a camera, or a bag on the computer that senses.

    Parameters
    ----------
    with_reference
        Whether the unsplit model is run, which takes long.
    """
    kind = given.source
    path = bag_path(given.path) if kind == "bag" else Path(given.path)
    if kind == "topic" or not path.exists() or not run.tiles:
        return None
    source_id = known.manifest.source_id if known.manifest is not None else run.tiles[-1].source_id
    wanted = given.reference if with_reference else 0
    flown = sorted({(t.frame, t.tile_index) for t in run.tiles if t.source_id == source_id})
    tiles = even_sample(flown, wanted) if wanted else []
    frames = {frame for frame, _ in tiles}
    if kind == "folder" and not tiles:
        return None
    return Job(
        kind,
        str(path.resolve()),
        given.image_topic,
        source_id,
        str(Path(checkpoint_path(given.checkpoint)).resolve()),
        str(Path(given.run_directory).resolve()),
        tuple(tiles),
        pixels=pixels.to_json(),
        wants_truth=kind == "bag",
        recursive=given.recursive,
        digests={row.frame: row.digest for row in known.rows if row.source_id == source_id and row.frame in frames},
    )


class Comparison:
    """One under way, from its making on; what it finds is added to the run's record.

    Raises
    ------
    OSError
        If its process cannot be started.
    """

    def __init__(self, node: FlightNode, job: Job, run_directory: Path, display: Display) -> None:
        self._node, self._display = node, display
        self._process = ComparisonProcess(job, run_directory / "logs" / f"{EXECUTABLE}.log")

    def follow(self) -> bool:
        """Show how far it is; whether it is over."""
        is_over = self._process.poll()
        if self._process.progress is not None:
            self._display.compare(self._process.progress)
        return is_over

    def end(self, run: RunRecord, notes: list[str]) -> None:
        """Take what has been found; what is not over when this process ends is not waited for long."""
        process = self._process
        # The unsplit model may take long, a few labels should not.
        if not process.wait(0.0 if process.job.tiles else TRUTH_S):
            process.stop()
            notes.append("the comparison with the source was interrupted")
        self._display.end_comparison()
        source_id = process.job.source_id
        run.truth = {(source_id, *key): label for key, label in process.truth.items()}
        run.reference = {(source_id, *key): label for key, label in process.reference.items()}
        for complaint in process.complaints:
            self._node.get_logger().error(complaint)
            notes.append(complaint)
