"""Programs that run a satellite's blocks in its stage's place."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ros_domain import lock_of

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples" / "external_stage.py"
STRANGE = HERE / "strange_stage.py"
PATIENCE_S = 120.0


@contextmanager
def stage(domain: int, folder: Path, *words: object) -> Iterator[subprocess.Popen]:
    """The program of an external stage, ended with the block."""
    with (folder / "stage.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            env=os.environ | {"ROS_DOMAIN_ID": str(domain)},
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock_of(domain)],
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE_S)
