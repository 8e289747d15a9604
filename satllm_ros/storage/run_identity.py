"""A run knows what it is of: one file in its folder, written once, compared by every process that goes on with it.

A row of results means something only beside the model and the images that made it. So whoever begins a run writes down
what it flies (`run.json`), and whoever goes on with the folder, another day or after a crash, is refused in a sentence
when it would fly something else.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from satllm_ros.data.manifest import Manifest, ManifestError
from satllm_ros.storage.batch_store import BATCHES_VERSION
from satllm_ros.storage.database import BadDatabaseError, read_owner
from satllm_ros.storage.durable import read_if_there, sync_folder, write_durably
from satllm_ros.storage.prediction_store import PREDICTIONS_VERSION

RUN_DOCUMENT = "run.json"
FORMAT = 1
# What a file system says that has no links, as those of memory sticks.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
# What sensing keeps; it writes the run's document first, so that without one they are an earlier version's.
_OF_SENSING = ("sensing.plan", "sensing.journal", "sensing.custody.sqlite")
# What ground and satellites keep, and in which format. They may have begun before sensing did: of no run yet.
_OF_OTHERS = {"predictions.sqlite": PREDICTIONS_VERSION, "*.predictions.sqlite": BATCHES_VERSION}


class RunMismatchError(ValueError):
    """A folder of another run, or of none that can be gone on with; the message says what differs."""


@dataclass(frozen=True)
class RunFacts:
    """What a run is of; None where it is not known on this computer.

    Attributes
    ----------
    model_id, artefacts_id
        First 16 hexadecimal digits of the SHA-256 of the checkpoint; id of the codec artefacts.
    classes
        Names of the model's classes, in the order of its logits.
    tile
        Height and width of a tile [pixel].
    pixels
        How samples become RGB, as a checkpoint says it; empty: as the files themselves declare.
    source
        What is read; None for a camera, and where the source is on another computer.
    """

    model_id: str | None = None
    artefacts_id: str | None = None
    classes: tuple[str, ...] | None = None
    tile: tuple[int, int] | None = None
    pixels: Mapping[str, Any] | None = None
    source: Manifest | None = None


@dataclass(frozen=True)
class Run:
    """A run as its folder says it.

    Attributes
    ----------
    run_id
        Random, 64 bits, never 0; None where no run began on this computer: sensing says whose run it is.
    notes
        What is worth a line to the user and stands in nobody's way, such as another version of the software.
    """

    run_id: int | None
    facts: RunFacts
    software: str
    notes: tuple[str, ...] = ()


def open_run(directory: Path, facts: RunFacts, *, software: str, begin: bool) -> Run:
    """Go on with the run of a folder, or write down what begins in one without.

    Parameters
    ----------
    facts
        What the caller would fly: all that it knows is compared.
    begin
        Whether the run begins here, as it does where sensing is: it gets its id then. Elsewhere the folder is only
        marked with what is known.

    Raises
    ------
    RunMismatchError
        If the folder's run is of something else, its file cannot be read, or an older version made the folder.
    OSError
        If the file cannot be read or written.
    """
    run = compare_run(directory, facts, software=software)
    path = directory / RUN_DOCUMENT
    if run is None:
        _refuse_stores_without_a_document(directory)
        made = Run(_new_id() if begin else None, facts, software)
        if _write_once(path, made):
            return made
        # Another process was quicker.
        run = compare_run(directory, facts, software=software)
        if run is None:
            raise RunMismatchError(f"{path} came and went while this process started")
    if begin and run.run_id is None:
        # Marked by a launch without sensing: now the run begins.
        run = replace(run, run_id=_new_id(), facts=_filled(run.facts, facts))
        write_durably(path, _document(run))
    return run


def compare_run(directory: Path, facts: RunFacts, *, software: str) -> Run | None:
    """The run of a folder, None if it has none; writes nothing. Raises `RunMismatchError` as `open_run`."""
    run = read_run(directory)
    if run is None:
        return None
    difference = _difference(run.facts, facts)
    if difference:
        raise RunMismatchError(f"run folder {directory} {difference}: choose another folder for another run")
    if run.software != software:
        note = f"the run in {directory} was begun by satllm_ros {run.software}, this is {software}"
        run = replace(run, notes=(note,))
    return run


def read_run(directory: Path) -> Run | None:
    """The run of a folder; None if it has none. Raises `RunMismatchError` if its file makes no sense."""
    path = directory / RUN_DOCUMENT
    content = read_if_there(path)
    if content is None:
        return None
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise RunMismatchError(f"{path} has format {document['format']!r}; this version reads {FORMAT}")
        source = document["source"]
        return Run(
            run_id=None if document["run_id"] is None else int(document["run_id"], 16),
            facts=RunFacts(
                model_id=document["model_id"],
                artefacts_id=document["artefacts_id"],
                classes=None if document["classes"] is None else tuple(document["classes"]),
                tile=None if document["tile"] is None else (int(document["tile"][0]), int(document["tile"][1])),
                pixels=document["pixels"],
                source=None if source is None else Manifest.from_json(source),
            ),
            software=str(document["software"]),
        )
    except (ValueError, KeyError, TypeError, IndexError, ManifestError) as error:
        if isinstance(error, RunMismatchError):
            raise
        raise RunMismatchError(f"{path} is not the description of a run ({error!r}): move the folder away") from None


def _difference(ours: RunFacts, theirs: RunFacts) -> str:
    """In words, what the run's folder was begun with and the caller would not fly; empty if nothing."""

    def both(name: str) -> bool:
        return getattr(ours, name) is not None and getattr(theirs, name) is not None

    if both("model_id") and ours.model_id != theirs.model_id:
        return f"is of model {ours.model_id}, this is model {theirs.model_id}"
    if both("artefacts_id") and ours.artefacts_id != theirs.artefacts_id:
        return f"is of codec artefacts {ours.artefacts_id}, these are {theirs.artefacts_id}"
    if both("classes") and ours.classes != theirs.classes:
        return f"is of classes {', '.join(ours.classes or ())}; this model has {', '.join(theirs.classes or ())}"
    if both("tile") and ours.tile != theirs.tile:
        return f"is of tiles of {_size(ours.tile)} pixels, this model's are {_size(theirs.tile)}"
    if both("pixels") and dict(ours.pixels or {}) != dict(theirs.pixels or {}):
        return f"was flown with pixels read {_reading(ours.pixels)}, now they are read {_reading(theirs.pixels)}"
    if both("source"):
        assert ours.source is not None and theirs.source is not None
        return ours.source.difference(theirs.source)
    return ""


def _reading(pixels: Mapping[str, Any] | None) -> str:
    stated = ", ".join(f"{name} {value}" for name, value in (pixels or {}).items())
    return f"with {stated}" if stated else "as the files declare"


def _size(tile: tuple[int, int] | None) -> str:
    return "?" if tile is None else f"{tile[1]}x{tile[0]}"


def _refuse_stores_without_a_document(directory: Path) -> None:
    missing = f"but no {RUN_DOCUMENT}"
    for name in _OF_SENSING:
        if (directory / name).exists():
            raise RunMismatchError(
                f"run folder {directory} has {name} {missing}: an older version of satllm_ros (0.4.0 or before) wrote"
                " it; go on with that version, or choose another folder"
            )
    for path, version in [(p, version) for pattern, version in _OF_OTHERS.items() for p in directory.glob(pattern)]:
        try:
            run_id = read_owner(path, version)
        except BadDatabaseError as error:
            raise RunMismatchError(f"run folder {directory} has {path.name} {missing}: {error}") from None
        if run_id is not None:
            raise RunMismatchError(
                f"run folder {directory} has {path.name} of run {run_id:016x} {missing}: choose another folder"
            )


def _new_id() -> int:
    return secrets.randbits(64) or 1


def _filled(known: RunFacts, more: RunFacts) -> RunFacts:
    missing = {name: value for name, value in vars(more).items() if getattr(known, name) is None}
    return replace(known, **missing)


def _document(run: Run) -> bytes:
    source = run.facts.source
    document = {
        "format": FORMAT,
        "run_id": None if run.run_id is None else f"{run.run_id:016x}",
        "software": run.software,
        **{name: value for name, value in vars(run.facts).items() if name != "source"},
        "source": None if source is None else source.to_json(),
    }
    return (json.dumps(document, indent=1) + "\n").encode("utf-8", "surrogateescape")


def _written_exclusively(path: Path, content: bytes) -> bool:
    """The same on a file system without links, where a crash may leave a part: that is refused when it is read."""
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    return True


def _write_once(path: Path, run: Run) -> bool:
    """Write the document unless there is one; whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        write_durably(partial, _document(run))
        # Unlike a renaming, this fails if the file is there.
        os.link(partial, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _written_exclusively(path, _document(run))
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return True
