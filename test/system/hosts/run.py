"""`make hosts`: every scenario on hosts of their own, one after the other; a table here and in docs/reliability.md."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from flown_table import keep, kept, machine, read_between, write_between
from hosts.catalogue import SCENARIOS
from hosts.hangar import Hangar
from hosts.namespaces import why_not
from hosts.result import Result
from hosts.scenario import Scenario
from hosts.table import line, markdown

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "build" / "hosts.json"
DOCUMENT = ROOT / "docs" / "reliability.md"


def main() -> int:
    """Exit code 0 if every scenario that was flown passed, 2 if there is none, or no hosts can be made here."""
    parser = argparse.ArgumentParser(prog="make hosts", description="Fly between network namespaces, a host each.")
    parser.add_argument("--only", default="", metavar="NAME", help="only scenarios whose name contains this")
    parser.add_argument("--list", action="store_true", help="only say what there is, and about how long it takes")
    arguments = parser.parse_args()
    flights = [scenario for scenario in SCENARIOS if scenario.long is not None]
    chosen = [s for s in flights if (arguments.only in s.name if arguments.only else not s.is_long_running)]
    if arguments.list:
        print("\n".join(f"{_minutes(s):>9}  {s.name}" for s in flights))
        return 0
    if not chosen:
        print(
            f"no scenario is called {arguments.only!r}; there are: {', '.join(s.name for s in flights)}",
            file=sys.stderr,
        )
        return 2
    if reason := why_not():
        print(f"{len(chosen)} scenarios cannot be flown: {reason}", file=sys.stderr)
        return 2
    # Ends as with Ctrl-C: every flight is ended with its process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    flown = []
    with tempfile.TemporaryDirectory(prefix="satllm_hosts_") as folder:
        hangar = Hangar(Path(folder))
        for scenario in chosen:
            print(f"{scenario.name} ({_minutes(scenario)}) ...", flush=True)
            try:
                result = hangar.fly(scenario)
            except Exception as error:
                traceback.print_exc()
                result = Result(scenario.name, complaints=(str(error).splitlines()[0],))
            keep(RESULTS, result)
            # After each, so that a run that is broken off leaves what it has shown.
            rows = [Result(**row) for row in kept(RESULTS, [scenario.name for scenario in SCENARIOS])]
            table = markdown(rows, read_between(DOCUMENT, "hosts"))
            text = f"Flown on {machine()}, with `make hosts`, rows not all on one day.\n\n{table}"
            write_between(DOCUMENT, "hosts", text)
            print(f"  {line(result)}", flush=True)
            flown.append(result)
    if left := [s for s in flights if s.is_long_running and s not in chosen]:
        print(f"not flown, since they take long: {', '.join(f'{s.name} ({_minutes(s)})' for s in left)}")
    failed = [result.scenario for result in flown if not result.passed]
    print(f"{len(flown) - len(failed)} of {len(flown)} passed" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _minutes(scenario: Scenario) -> str:
    return f"{scenario.minutes:.1f} min"


if __name__ == "__main__":
    sys.exit(main())
