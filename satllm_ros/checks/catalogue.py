"""The one list of checks, and how to run it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from satllm_ros.checks import imports, middleware, places
from satllm_ros.checks.check import Check, Cost, Level, Result, Surroundings, refuse

CHECKS: tuple[Check, ...] = (
    Check("python", Cost.INSTANT, "take a Python from 3.10 to 3.13", imports.python),
    Check(
        "domain",
        Cost.INSTANT,
        "set ROS_DOMAIN_ID to a whole number from 0 to 101, or to 232 where these ports are free, or unset it",
        middleware.domain,
    ),
    Check("middleware", Cost.INSTANT, "install it, or unset RMW_IMPLEMENTATION", middleware.middleware),
    Check(
        "discovery range",
        Cost.INSTANT,
        "set ROS_AUTOMATIC_DISCOVERY_RANGE to SUBNET or LOCALHOST, or unset it and ROS_LOCALHOST_ONLY",
        middleware.discovery_range,
    ),
    Check(
        "static peers",
        Cost.INSTANT,
        "give hosts or addresses with ; between them, or unset ROS_STATIC_PEERS",
        middleware.static_peers,
    ),
    Check(
        "discovery server",
        Cost.INSTANT,
        "see that it runs and is written host:port, or unset ROS_DISCOVERY_SERVER",
        middleware.discovery_server,
    ),
    Check(
        "transport profile", Cost.INSTANT, "name a Fast DDS profile that can be read, or unset it", middleware.profile
    ),
    Check(
        "shared memory",
        Cost.INSTANT,
        "make it larger (docker run --shm-size=2g) if speed matters",
        middleware.shared_memory,
    ),
    Check(
        "log folder",
        Cost.INSTANT,
        "nothing need be done, logs go to the run's folder or a temporary one; ROS_LOG_DIR names another",
        places.log_folder,
    ),
    Check("temporary folder", Cost.INSTANT, "set TMPDIR to one", places.temporary_folder),
    Check(
        "run folder",
        Cost.INSTANT,
        "name another with --run or --runs (launch: run:=, runs:=), or free some space",
        places.run_folder,
    ),
    Check(
        "rclpy",
        Cost.INSTANT,
        "unset PYTHONPATH, or run with the Python that ROS was built for",
        imports.rclpy_path,
    ),
    Check("model libraries", Cost.INSTANT, "install torch and timm into this Python", imports.torch_path),
    Check("messages", Cost.QUICK, "build and install the package with this Python, unset PYTHONPATH", imports.messages),
    Check("node", Cost.SLOW, "mend what the sentence names; docs/troubleshooting.md helps", imports.node),
    Check("torch", Cost.SLOW, "install torch into this Python", imports.torch),
    Check("timm", Cost.SLOW, "install timm and the torchvision that goes with torch", imports.timm),
    Check("cv_bridge", Cost.SLOW, "install cv_bridge, numpy below 2.3 and OpenCV below 4.12", imports.cv_bridge),
)


def results(around: Surroundings, checks: Iterable[Check] = CHECKS) -> list[Result]:
    """Look at everything, what takes time side by side; in the order of the list."""
    listed = list(checks)
    # More would only make each slower on a small computer.
    with ThreadPoolExecutor(max_workers=2) as workers:
        return list(workers.map(lambda check: _result(check, around), listed))


def _result(check: Check, around: Surroundings) -> Result:
    try:
        return Result(check, check.look(around))
    except Exception as error:
        return Result(check, refuse(f"the check itself failed ({type(error).__name__}: {error})"))


def refusals(found: Iterable[Result]) -> list[str]:
    """Sentences of what cannot fly."""
    return [result.sentence for result in found if result.level is Level.REFUSE]


def warnings(found: Iterable[Result]) -> list[str]:
    """Sentences of what can fly, but not as it should."""
    return [result.sentence for result in found if result.level is Level.WARN]
