"""The `satllm` command: one subcommand a task, each in a file of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import satllm_ros.cli.bag
import satllm_ros.cli.compression.bench
import satllm_ros.cli.compression.calibrate_codec
import satllm_ros.cli.compression.frames
import satllm_ros.cli.contacts
import satllm_ros.cli.doctor
import satllm_ros.cli.keys
import satllm_ros.cli.link_budget
import satllm_ros.cli.plan
import satllm_ros.cli.profile
import satllm_ros.cli.report
import satllm_ros.cli.simulate
import satllm_ros.cli.training.evaluate
import satllm_ros.cli.training.export
import satllm_ros.cli.training.rotate
import satllm_ros.cli.training.train
from satllm_ros.cli import up

_SUBCOMMANDS = (
    up,
    satllm_ros.cli.doctor,
    satllm_ros.cli.report,
    satllm_ros.cli.plan,
    satllm_ros.cli.keys,
    satllm_ros.cli.simulate,
    satllm_ros.cli.training.train,
    satllm_ros.cli.training.evaluate,
    satllm_ros.cli.training.rotate,
    satllm_ros.cli.bag,
    satllm_ros.cli.compression.calibrate_codec,
    satllm_ros.cli.compression.frames,
    satllm_ros.cli.compression.bench,
    satllm_ros.cli.training.export,
    satllm_ros.cli.profile,
    satllm_ros.cli.contacts,
    satllm_ros.cli.link_budget,
)
EXIT_BAD_INPUT = 2


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    made = argparse.ArgumentParser(
        prog="satllm",
        description="Split vision-transformer inference over a chain of satellites, as a ROS 2 node graph.",
        epilog="`satllm COMMAND --help` says more of each; `satllm up` flies the shipped demo.",
    )
    subparsers = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for room in _SUBCOMMANDS:
        room.add_parser(subparsers)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; bad input ends with one sentence and exit code 2."""
    args = parser().parse_args(arguments)
    try:
        code: int = args.run(args)
        return code
    except KeyboardInterrupt:
        return 130
    except (ValueError, OSError) as error:
        print(f"satllm: error: {_sentence(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
