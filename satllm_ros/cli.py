"""The `satllm` command: one subcommand a task, each defined in the room it belongs to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import satllm_ros.checks.command
import satllm_ros.compression.bench_command
import satllm_ros.compression.command
import satllm_ros.compression.files_command
import satllm_ros.data.command
import satllm_ros.planning.command
import satllm_ros.profiling.command
import satllm_ros.report.command
import satllm_ros.runtime.command
import satllm_ros.simulation.command
import satllm_ros.training.command
import satllm_ros.training.evaluate_command
import satllm_ros.training.rotate_command
from satllm_ros import up

_SUBCOMMANDS = (
    up,
    satllm_ros.checks.command,
    satllm_ros.report.command,
    satllm_ros.planning.command,
    satllm_ros.runtime.command,
    satllm_ros.simulation.command,
    satllm_ros.training.command,
    satllm_ros.training.evaluate_command,
    satllm_ros.training.rotate_command,
    satllm_ros.data.command,
    satllm_ros.compression.command,
    satllm_ros.compression.files_command,
    satllm_ros.compression.bench_command,
    satllm_ros.profiling.command,
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
