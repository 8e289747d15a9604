"""`satllm up`: the whole graph on this computer, without launch."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from satllm_ros.report.figures.sample import DEFAULT, parse_reference

if TYPE_CHECKING:
    from satllm_ros.constellation.file import Constellation
    from satllm_ros.constellation.processes import ProcessSpec

DEFAULT_CONFIG = "constellation.yaml"
EXIT_INFEASIBLE = 3


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `satllm up`."""
    parser = subparsers.add_parser(
        "up",
        help="fly a constellation on this computer and print what it cost",
        description=(
            "Start every process of a constellation, stream a bag, a folder or a camera topic through it, and end "
            "with a report. Without arguments: the shipped bag through the shipped constellation. Exit code 0 only if "
            "every tile came down exactly once, 1 if not, 2 on bad input, 3 if no plan is possible. With --only, just "
            "the processes that this host runs, beside others of the same file on hosts of their own."
        ),
    )
    parser.add_argument(
        "config", nargs="?", type=Path, metavar="CONFIG", help="constellation file (default: the shipped one)"
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--bag", metavar="BAG", help="rosbag2 bag to replay instead of the file's source")
    source.add_argument("--images", metavar="DIR", help="folder of images to read instead of the file's source")
    source.add_argument("--camera", action="store_true", help="listen to a camera: topic image or image/compressed")
    parser.add_argument(
        "--image-topic",
        default="",
        metavar="TOPIC",
        help="image topic inside the bag, if it has several, or the camera's topic, raw or compressed",
    )
    parser.add_argument("--recursive", action="store_true", help="read the folders in the folder of --images too")
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="start just these processes of the file, on a host of their own: sensing, planner, ground, or satellites",
    )
    parser.add_argument("--namespace", default="", metavar="NS", help="namespace the whole graph lives in")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        "--run",
        dest="run_directory",
        default="",
        metavar="DIR",
        help="folder of the run; one that is there is gone on with (default: a new one below --runs)",
    )
    kept.add_argument(
        "--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs are kept (default: runs)"
    )
    parser.add_argument("--respawn", action="store_true", help="start a process again that dies")
    parser.add_argument(
        "--use-sim-time", action="store_true", help="take the time from the topic /clock, as a bag player publishes it"
    )
    parser.add_argument(
        "--reference",
        default=str(DEFAULT),
        metavar="N",
        help="on how many of the tiles that came down the unsplit model is run for comparison: a number, all or none "
        "(default: %(default)s, evenly over all)",
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from satllm_ros.assets.share import share_directory
    from satllm_ros.checks.gate import check_run_folder
    from satllm_ros.constellation import preflight
    from satllm_ros.constellation.file import SourceConfig, load_constellation
    from satllm_ros.constellation.processes import write_contacts
    from satllm_ros.supervisor.run_directory import finished_run, open_run_directory
    from satllm_ros.supervisor.supervisor import run_graph

    reference = parse_reference(args.reference)
    if args.image_topic and not (args.bag or args.camera):
        raise ValueError(
            f"--image-topic {args.image_topic} chooses a topic of a bag or a camera; give --bag or --camera as well"
        )
    if args.recursive and not args.images:
        raise ValueError("--recursive reads the folders in a folder of images; give --images as well")
    if not re.fullmatch(r"/?([A-Za-z]\w*(/[A-Za-z]\w*)*)?/?", args.namespace):
        raise ValueError(f"--namespace {args.namespace!r} is no ROS namespace; allowed are names like fleet/a")
    source = None
    if args.bag:
        source = SourceConfig(
            "bag", args.bag if args.bag == "demo" else str(Path(args.bag).resolve()), args.image_topic
        )
    elif args.images:
        source = SourceConfig("folder", str(Path(args.images).resolve()), recursive=args.recursive)
    elif args.camera:
        source = SourceConfig("topic", image_topic=args.image_topic)
    constellation = load_constellation(args.config or share_directory() / "config" / DEFAULT_CONFIG, source=source)
    here = {spec.name for spec in _chosen(constellation, Path(), args.only, use_sim_time=args.use_sim_time)}
    try:
        preflight.check(constellation, source_is_here="sensing" in here, planner_is_here="planner" in here)
    except preflight.NoPlanError as error:
        print(f"satllm: no plan: {error}", file=sys.stderr)
        return EXIT_INFEASIBLE
    notes = [*_check_computer(constellation, here), *check_run_folder(args.run_directory, args.runs)]
    run_directory, opened = open_run_directory(
        constellation, args.run_directory, args.runs, source_is_here="sensing" in here
    )
    if not args.only and (found := finished_run(run_directory, constellation.source.kind)) is not None:
        sentence, was_complete = found
        print(f"satllm: {sentence}", file=sys.stderr)
        return 0 if was_complete else 1
    write_contacts(constellation, run_directory)
    specs = _chosen(constellation, run_directory, args.only, use_sim_time=args.use_sim_time, reference=reference)
    print(
        f"satllm: {_count(specs, constellation, args.only)}; logs in {run_directory / 'logs'}",
        flush=True,
    )
    for note in (*notes, *opened.notes):
        print(f"satllm: {note}", file=sys.stderr, flush=True)
    return run_graph(specs, root=args.namespace, run_directory=run_directory, respawn=args.respawn, whole=not args.only)


def _chosen(
    constellation: Constellation,
    run_directory: Path,
    only: Sequence[str],
    *,
    use_sim_time: bool = False,
    reference: int = DEFAULT,
) -> list[ProcessSpec]:
    """The processes of the constellation that this host runs: all, or those called by name.

    Raises
    ------
    ValueError
        If there is none of such a name, or the constellation's links are emulated, which takes one host for all.
    """
    from satllm_ros.constellation.processes import processes

    specs = processes(
        constellation,
        run_directory,
        exit_when_done=not constellation.source.is_endless,
        use_sim_time=use_sim_time,
        reference=reference,
    )
    if not only:
        return specs
    if constellation.emulate_links:
        raise ValueError(
            "emulate.links is true, but hosts of their own, as --only starts them, have real links: make it false"
        )
    names = [spec.name for spec in specs]
    if unknown := [name for name in only if name not in names]:
        raise ValueError(f"--only {unknown[0]} names no process of the constellation; it has {', '.join(names)}")
    return [spec for spec in specs if spec.name in only]


def _count(specs: Sequence[ProcessSpec], constellation: Constellation, only: Sequence[str]) -> str:
    if only:
        return f"{', '.join(spec.name for spec in specs)} of {len(constellation.satellites)} satellites' constellation"
    return f"{len(specs)} processes, {len(constellation.satellites)} satellites"


def _check_computer(constellation: Constellation, here: Collection[str]) -> list[str]:
    """Warnings about this computer, for the processes that it runs; raises what cannot fly."""
    from satllm_ros.checks.check import Surroundings
    from satllm_ros.checks.gate import check_computer
    from satllm_ros.constellation.libraries import needs_torch
    from satllm_ros.supervisor.child import child_environment

    return check_computer(
        Surroundings(
            child_environment(),
            processes=len(here),
            runs_model=needs_torch(constellation, here),
        )
    )
