"""Where launch and config files are, in a ROS workspace and in a virtual environment, and which version this is."""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

PACKAGE = "satllm_ros"


def share_directory() -> Path:
    """The package's share directory.

    Raises
    ------
    FileNotFoundError
        If the package is not installed; the message lists where it was looked for.
    """
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates = [Path(prefix) / "share" / PACKAGE for prefix in [*prefixes, sys.prefix]]
    for candidate in candidates:
        if (candidate / "config").is_dir():
            return candidate
    looked = ", ".join(str(c) for c in candidates)
    raise FileNotFoundError(f"package {PACKAGE} is not installed: no config folder in {looked}")


def software_version() -> str:
    """Version of this package, as its package.xml says it; raises `FileNotFoundError` if it is not installed."""
    return ElementTree.parse(share_directory() / "package.xml").findtext("version") or "?"
