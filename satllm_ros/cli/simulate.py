"""`satllm simulate`: thousands of runs of the protocol under a virtual clock, with everything failing."""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.status import Status

    from satllm_ros.simulation.exploration.exhaustive import Count
    from satllm_ros.simulation.run import Totals

DEFAULT_SEEDS = 1000
BROKEN = 1


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `satllm simulate`."""
    parser = subparsers.add_parser(
        "simulate",
        help="prove the protocol in simulation: kills, losses and re-plans, thousands of times",
        description=(
            "Run the protocol's own state machines under a virtual clock. A seed gives a run: its constellation, its"
            " network with losses, delays, duplicates and outages, its kills, stops, restarts and re-plans. In every"
            " run no tile may be lost, doubled, served by a wrong sub-model or called by another image's name, none"
            " of another run or model may be written, the ledger must add up at every step,"
            " and all must be delivered once faults stop. Exit code 0 if so; otherwise 1, with the story of the first"
            " run that broke a promise."
        ),
    )
    parser.add_argument(
        "--seeds", type=_count, default=DEFAULT_SEEDS, metavar="N", help="runs to make (default: %(default)s)"
    )
    parser.add_argument(
        "--first-seed", type=int, default=0, metavar="S", help="seed of the first run (default: %(default)s)"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--mutations",
        action="store_true",
        help="plant deliberate bugs in the protocol instead; every one must be caught within 1,000 seeds",
    )
    other.add_argument(
        "--exhaustive",
        action="store_true",
        help="visit every interleaving of three satellites, two plans and up to two kills instead",
    )
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; allowed are whole numbers from 1")
    return count


def _run(args: argparse.Namespace) -> int:
    if args.mutations:
        return _mutations()
    return _exhaustive() if args.exhaustive else _seeds(args.first_seed, args.seeds)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _seeds(first: int, count: int) -> int:
    from satllm_ros.simulation.run import Totals, simulate

    totals = Totals()
    start_s = time.monotonic()
    with _progress() as progress:
        task = progress.add_task("simulating", total=count)
        for seed in range(first, first + count):
            outcome = simulate(seed)
            totals.add(outcome)
            progress.advance(task)
            if outcome.broken:
                break
    if outcome.broken:
        # Told only now: keeping stories would slow down all the runs that have none.
        for line in simulate(outcome.seed, tell=True).story:
            print(line)
        print(f"satllm: seed {outcome.seed} broke a promise: {outcome.broken}", file=sys.stderr)
        print(f"again: satllm simulate --seeds 1 --first-seed {outcome.seed}", file=sys.stderr)
        return BROKEN
    _print_totals(totals, time.monotonic() - start_s)
    return 0


def _print_totals(totals: Totals, took_s: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="no promise was broken", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("runs", f"{totals.runs:,}"),
        ("tiles delivered, each once", f"{totals.tiles:,}"),
        ("plans committed", f"{totals.commits:,}"),
        ("drains", f"{totals.drains:,}"),
        ("kills", f"{totals.kills:,}"),
        ("predictions of another run or model refused", f"{totals.refusals:,}"),
        ("batches sent again", f"{totals.resent_batches:,}"),
        ("messages sent again on their hop", f"{totals.hop_resends:,}"),
        ("events", f"{totals.events:,}"),
        ("virtual time", f"{totals.virtual_s / 3600:.1f} h"),
        ("longest way back after the last fault", f"{totals.longest_s:.0f} s"),
        ("runs a second", f"{totals.runs / took_s:.1f}"),
    ):
        table.add_row(name, value)
    Console().print(table)


def _mutations() -> int:
    from rich.console import Console
    from rich.table import Table

    from satllm_ros.simulation.mutations.catalogue import MUTATIONS, SEEDS, first_catch

    table = Table("deliberate bug", "first caught by seed", "because")
    missed = []
    with _progress() as progress:
        task = progress.add_task("planting bugs", total=len(MUTATIONS))
        for mutation in MUTATIONS:
            caught = first_catch(mutation, range(SEEDS))
            if caught is None:
                missed.append(mutation.sentence)
                table.add_row(mutation.sentence, "none", "")
            else:
                table.add_row(mutation.sentence, str(caught.seed), caught.broken.split(";")[0])
            progress.advance(task)
    Console().print(table)
    for sentence in missed:
        print(f"satllm: not caught within {SEEDS} seeds: {sentence}", file=sys.stderr)
    return BROKEN if missed else 0


def _exhaustive() -> int:
    from rich.console import Console
    from rich.table import Table

    from satllm_ros.simulation.exploration.exhaustive import EXPLORATIONS, Explorer
    from satllm_ros.simulation.oracle import Violation

    table = Table("exploration", "states", "steps", "quiet states", "s")
    for column in table.columns[1:]:
        column.justify = "right"
    console = Console(stderr=True)
    for name, bounds in EXPLORATIONS.items():
        start_s = time.monotonic()
        try:
            with console.status(name) as status:
                count = Explorer(bounds).explore(partial(_tell_states, status, name))
        except Violation as violation:
            print(violation)
            print(f"satllm: broken in: {name}", file=sys.stderr)
            return BROKEN
        took_s = time.monotonic() - start_s
        table.add_row(name, f"{count.states:,}", f"{count.steps:,}", f"{count.quiet:,}", f"{took_s:.0f}")
    Console().print(table)
    return 0


def _tell_states(status: Status, name: str, so_far: Count) -> None:
    status.update(f"{name}: {so_far.states:,} states")
