"""`make chaos`: every long flight, one after the other; a table on the terminal and in docs/reliability.md."""

import argparse
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from chaos.catalogue import SCENARIOS
from chaos.hangar import Hangar
from chaos.judge import Result
from chaos.table import line, markdown, show
from flown_table import keep, kept, machine, read_between, write_between

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "build" / "chaos.json"
DOCUMENT = ROOT / "docs" / "reliability.md"


def main() -> int:
    """Exit code 0 if every scenario that was flown passed."""
    parser = argparse.ArgumentParser(prog="make chaos", description="Fly the scenarios of docs/reliability.md.")
    parser.add_argument("--only", default="", metavar="NAME", help="only scenarios whose name contains this")
    only = parser.parse_args().only
    flights = {scenario.name: scenario.long for scenario in SCENARIOS if scenario.long is not None}
    chosen = {name: fly for name, fly in flights.items() if only in name}
    if not chosen:
        print(f"no scenario is called {only!r}; there are: {', '.join(flights)}", file=sys.stderr)
        return 2
    # Ends as with Ctrl-C: every flight is ended with its block.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # No message leaves this computer.
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    flown = []
    with tempfile.TemporaryDirectory(prefix="satllm_chaos_") as folder:
        hangar = Hangar(Path(folder))
        for name, fly in chosen.items():
            print(f"{name} ...", flush=True)
            try:
                result = fly(hangar, name)
            except AssertionError as error:
                traceback.print_exc()
                result = Result(name, complaints=(str(error).splitlines()[0],))
            keep(RESULTS, result)
            # After each, so that a run that is broken off leaves what it has shown.
            rows = [Result(**row) for row in kept(RESULTS, [scenario.name for scenario in SCENARIOS])]
            table = markdown(rows, read_between(DOCUMENT, "chaos"))
            text = f"Flown on {machine()}, with `make chaos`.\n\n{table}"
            write_between(DOCUMENT, "chaos", text)
            print(f"  {line(result)}", flush=True)
            flown.append(result)
    show(flown)
    return 0 if all(result.passed for result in flown) else 1


if __name__ == "__main__":
    sys.exit(main())
