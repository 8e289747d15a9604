#!/usr/bin/env python3
"""Prints the largest rooms and files of the package; fails at a room or a file that is too large.

A room holds at most 14 files at one level; a file has at most 350 lines, or says why near its head: `# long: …`.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST_FILES, MOST_LINES = 14, 350
HEAD_LINES = 40
FOLDERS = ("satllm_ros", "benchmarks", "examples", "launch", "tools")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quiet", action="store_true", help="print only what is too large")
    parser.add_argument("--count", type=int, default=10, help="how many of each (default: %(default)s)")
    arguments = parser.parse_args()
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py") if file.name != "__init__.py"]
    rooms: dict[Path, int] = {}
    for file in files:
        if file.relative_to(ROOT).parts[0] == "satllm_ros":
            rooms[file.parent] = rooms.get(file.parent, 0) + 1
    texts = {file: file.read_text(encoding="utf-8").splitlines() for file in files}
    reasons = {
        file: next((line[8:] for line in lines[:HEAD_LINES] if line.startswith("# long: ")), "")
        for file, lines in texts.items()
    }
    if not arguments.quiet:
        for room, number in sorted(rooms.items(), key=lambda pair: -pair[1])[: arguments.count]:
            print(f"{number:4} files  {room.relative_to(ROOT)}/")
        for file, lines in sorted(texts.items(), key=lambda pair: -len(pair[1]))[: arguments.count]:
            reason = f"  ({reasons[file]})" if reasons[file] else ""
            print(f"{len(lines):4} lines  {file.relative_to(ROOT)}{reason}")
    wrong = [
        f"{room.relative_to(ROOT)}/ holds {number} files; at most {MOST_FILES} are wanted"
        for room, number in rooms.items()
        if number > MOST_FILES
    ]
    wrong += [
        f"{file.relative_to(ROOT)} has {len(lines)} lines and no reason (`# long: …`) for more than {MOST_LINES}"
        for file, lines in texts.items()
        if len(lines) > MOST_LINES and not reasons[file]
    ]
    for sentence in sorted(wrong):
        print(f"house: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
