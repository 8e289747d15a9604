"""Everything a run leaves on disk, written in one go."""

import json
from pathlib import Path

from satllm_ros.report.figures import Summary
from satllm_ros.report.record import RunRecord
from satllm_ros.report.results import write_results_csv
from satllm_ros.report.store import load_run, save_run
from satllm_ros.report.summary import summarise

RECORD = "record"
RESULTS = "results.csv"
SUMMARY = "summary.json"
TIMELINE = "timeline.png"


def write_run(run: RunRecord, directory: Path) -> tuple[Summary, tuple[Path, ...]]:
    """Write record, results, summary and picture of a run into `directory`, made if absent.

    Returns
    -------
    Summary, tuple of Path
        The figures, and the files a user wants to know of.
    """
    save_run(run, directory / RECORD)
    return write_report(run, directory)


def rewrite_report(directory: Path) -> tuple[Summary, tuple[Path, ...]]:
    """Build results, summary and picture anew from the record in `directory`; as `write_run` otherwise."""
    return write_report(load_run(directory / RECORD), directory)


def write_report(run: RunRecord, directory: Path) -> tuple[Summary, tuple[Path, ...]]:
    """Write results, summary and picture, not the record; as `write_run` otherwise."""
    # Half a second of import that a caller without a picture should not pay.
    from satllm_ros.report.timeline import write_timeline

    summary = summarise(run)
    results, figures, picture = (directory / name for name in (RESULTS, SUMMARY, TIMELINE))
    write_results_csv(run, results)
    figures.write_text(json.dumps(summary.to_json(), indent=2) + "\n", encoding="utf-8")
    write_timeline(run, picture)
    return summary, (results, figures, picture)
