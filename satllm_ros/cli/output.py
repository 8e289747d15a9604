"""Where a command writes: results as JSON, and files that are looked at before a long computation begins."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def check_output(path: Path) -> None:
    """Raise FileNotFoundError, naming the folder, if a file cannot be written for want of one."""
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Give a command `--json [FILE]`."""
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the result as JSON; no FILE or -: standard output"
    )


def write_json(target: str | None, document: dict[str, Any]) -> bool:
    """Write a result where `--json` says, None nowhere; whether it took standard output, and no table goes there.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    text = json.dumps(document, indent=2) + "\n"
    if target == "-":
        print(text, end="")
    elif target is not None:
        Path(target).write_text(text, encoding="utf-8")
    return target == "-"
