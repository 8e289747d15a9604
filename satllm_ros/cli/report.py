"""`satllm report`: tables, results and picture of a finished run, from its record."""

import argparse
import sys
from pathlib import Path


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `satllm report`."""
    parser = subparsers.add_parser(
        "report",
        help="print a finished run again and rebuild its files",
        description=(
            "Print the tables of a finished run and rebuild results.csv, summary.json and timeline.png from "
            "its record. Exit code 0 if every tile came down exactly once, 1 if not or if a file cannot be written, "
            "2 without a record."
        ),
    )
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        default=Path("runs/latest"),
        metavar="DIR",
        help="directory of the run (default: %(default)s)",
    )
    parser.add_argument(
        "--csv",
        nargs="?",
        const="",
        metavar="FILE",
        help="only write the results, as this version does (columns an older run did not record stay empty), to FILE"
        " (default: results.csv of DIR); give DIR first",
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from satllm_ros.report.printing.tables import print_report, report_console
    from satllm_ros.report.write import rewrite_report, rewrite_results

    if args.csv is not None:
        print(rewrite_results(args.directory, Path(args.csv) if args.csv else None))
        return 0
    summary, files, failures = rewrite_report(args.directory)
    print_report(summary, report_console(), files)
    for failure in failures:
        print(f"satllm: {failure}", file=sys.stderr)
    return 0 if summary.exit_ok and not failures else 1
