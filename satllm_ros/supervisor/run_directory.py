"""Which folder a run is kept in, and what it is of."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from satllm_ros.acquisition.flight_pixels import pixels_in_flight
from satllm_ros.assets.paths import artefacts_path, bag_path, checkpoint_path
from satllm_ros.assets.share import software_version
from satllm_ros.compression.tables.artefacts import load_artefacts
from satllm_ros.constellation.file import Constellation
from satllm_ros.data.folder import list_folder
from satllm_ros.data.sources import take_manifest
from satllm_ros.model.spec import read_spec
from satllm_ros.report.figures.summary import DROPPED_AFTER
from satllm_ros.report.write import SUMMARY
from satllm_ros.storage.durable import read_if_there
from satllm_ros.storage.run_identity import Run, RunFacts, open_run


def open_run_directory(
    constellation: Constellation, run: str, runs: Path, *, source_is_here: bool = True
) -> tuple[Path, Run]:
    """Folder of a run, and the run: begun, or compared with what would fly now.

    Parameters
    ----------
    run, runs
        As `run_directory_of`.
    source_is_here
        Whether sensing is on this computer; else the run begins elsewhere.

    Raises
    ------
    OSError, ValueError
        As `run_directory_of` and `open_run`; nothing has been started then.
    """
    spec = read_spec(checkpoint_path(constellation.checkpoint))
    artefacts = load_artefacts(artefacts_path(constellation.artefacts), model_id=spec.model_id)
    source = constellation.source
    path = bag_path(source.path) if source.kind == "bag" else Path(source.path)
    facts = RunFacts(
        model_id=spec.model_id,
        artefacts_id=artefacts.artefact_id,
        classes=spec.classes,
        tile=(spec.image_height, spec.image_width),
        pixels=pixels_in_flight(source.pixels, spec).to_json(),
        source=(
            take_manifest(source.kind, path, source.image_topic, recursive=source.recursive) if source_is_here else None
        ),
    )
    directory = run_directory_of(run, runs)
    opened = open_run(directory, facts, software=software_version(), begin=source_is_here)
    if source_is_here and source.kind == "folder":
        left_out = list_folder(path, recursive=source.recursive).sentence
        opened = replace(opened, notes=(*opened.notes, *([f"of folder {path} {left_out}"] if left_out else [])))
    return directory, opened


def finished_run(directory: Path, source_kind: str) -> tuple[str, bool] | None:
    """What became of the run of a folder, in a sentence, and whether it was complete; None if it can be gone on with.

    A bag or a folder whose every tile came down, or was dropped for a reason that will be the same, has nothing left to
    fly. What a damaged summary says is not believed.
    """
    content = read_if_there(directory / SUMMARY) if source_kind != "topic" else None
    try:
        summary = json.loads(content or "null")
        audit = summary["audit"]
        is_over = audit["ended"] and audit["adds_up"] and audit["acquired"] > 0 and not audit["in_custody"]
        if not is_over or any(audit["dropped"].get(cause) for cause in DROPPED_AFTER):
            return None
        dropped = sum(audit["dropped"].values())
        return (
            f"the run in {directory} has ended: {audit['delivered']} tiles came down, {dropped} were dropped, none is"
            f" left to fly; `satllm report {directory}` prints its figures, another folder makes another run",
            bool(summary["complete"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def run_directory_of(run: str, runs: Path) -> Path:
    """Absolute path of the folder of a run: `run`, made if it is absent; a new one below `runs` if `run` is empty.

    What earlier lives left in a folder is gone on with: stores, journals, the active plan.

    Raises
    ------
    ValueError
        If `run` names a file.
    OSError
        If the folder cannot be made.
    """
    if not run:
        return new_run_directory(runs).resolve()
    directory = Path(run).resolve()
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"run is {run!r}, which is a file; a folder is needed")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def new_run_directory(runs: Path) -> Path:
    """Make `runs/<time>/` and point `runs/latest` to it."""
    stamp = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    runs.mkdir(parents=True, exist_ok=True)
    for name in itertools.chain([stamp], (f"{stamp}-{n}" for n in itertools.count(2))):
        try:
            (runs / name).mkdir()
        except FileExistsError:
            continue
        break
    latest = runs / "latest"
    if latest.is_symlink() or not latest.exists():
        # Renamed into place, since another run may start at the same moment.
        link = runs / f".latest-{name}"
        link.symlink_to(name)
        link.replace(latest)
    return runs / name
