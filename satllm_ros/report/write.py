"""Everything a run leaves on disk, written in one go."""

import json
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from satllm_ros.report.figures.figures import Summary
from satllm_ros.report.figures.summary import summarize
from satllm_ros.report.printing.results import write_results_csv
from satllm_ros.report.record.record import RunRecord
from satllm_ros.report.record.store import load_run, save_run

RECORD = "record"
RESULTS = "results.csv"
SUMMARY = "summary.json"
TIMELINE = "timeline.png"

Written = tuple[Summary, tuple[Path, ...], tuple[str, ...]]
# What surrounds every step that may take long, given its name in words.
Around = Callable[[str], AbstractContextManager[None]]


def _quietly(_: str) -> AbstractContextManager[None]:
    return nullcontext()


def write_run(run: RunRecord, directory: Path, around: Around = _quietly) -> Written:
    """Write record, results, summary and picture of a run into `directory`, made if absent.

    Returns
    -------
    Summary, tuple of Path, tuple of str
        The figures, the files that a user wants to know of, and a sentence on each that could not be written: on a
        full disk the figures are still there to be printed.
    """
    with around("writing the record"):
        failures = _failure(directory / RECORD, partial(save_run, run))
    summary, files, more = write_report(run, directory, around)
    return summary, files, (*failures, *more)


def rewrite_report(directory: Path) -> Written:
    """Build results, summary and picture anew from the record in `directory`; as `write_run` otherwise."""
    return write_report(load_run(directory / RECORD), directory)


def rewrite_results(directory: Path, path: Path | None) -> Path:
    """Write the results of the run in `directory` anew, to `path` or in their place; returns where they are."""
    path = path or directory / RESULTS
    write_results_csv(load_run(directory / RECORD), path)
    return path


def write_report(run: RunRecord, directory: Path, around: Around = _quietly) -> Written:
    """Write results, summary and, last, the picture, not the record; as `write_run` otherwise."""
    with around("working out the figures"):
        summary = summarize(run)

    def write_summary(path: Path) -> None:
        path.write_text(json.dumps(summary.to_json(), indent=2) + "\n", encoding="utf-8")

    def write_picture(path: Path) -> None:
        # Half a second of import that a caller without a picture should not pay.
        from satllm_ros.report.printing.timeline import write_timeline

        write_timeline(run, path)

    files: list[Path] = []
    failures: list[str] = []
    for name, write in (
        (RESULTS, partial(write_results_csv, run)),
        (SUMMARY, write_summary),
        (TIMELINE, write_picture),
    ):
        path = directory / name
        with around(f"writing {name}"):
            failed = _failure(path, write)
        failures += failed
        if not failed:
            files.append(path)
    return summary, tuple(files), tuple(failures)


def _failure(path: Path, write: Callable[[Path], None]) -> list[str]:
    """Why a file could not be written, in at most one sentence."""
    try:
        write(path)
    except OSError as error:
        return [f"{path} could not be written: {error}"]
    except Exception:
        return [f"{path} could not be made: {traceback.format_exc()}"]
    return []
