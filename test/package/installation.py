"""Where the checkout and the installed package are, and how to run the latter unmixed with the former."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def installed_prefix() -> Path:
    """Prefix that satllm_ros is installed in: that of a sourced workspace, else this interpreter's."""
    sourced = [Path(entry) for entry in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if entry]
    for prefix in [*sourced, Path(sys.prefix)]:
        if (prefix / "share/satllm_ros/package.xml").is_file():
            return prefix
    raise FileNotFoundError(f"satllm_ros is installed neither in AMENT_PREFIX_PATH nor in {sys.prefix}")


def run_python(code: str, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that cannot see the checkout, unless the code itself adds it."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in paths if entry and Path(entry).resolve() != CHECKOUT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(kept)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
