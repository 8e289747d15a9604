"""Which process of a graph gets a profile of the middleware, and the variables by which it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from satllm_ros.constellation.processes import ProcessSpec
from satllm_ros.middleware.profile import QOS_FROM_XML_VARIABLE, middleware_profile
from satllm_ros.middleware.transports import PROFILE_VARIABLE, TRANSPORTS_VARIABLE, is_fast_dds


def unlimited(specs: Sequence[ProcessSpec], environ: Mapping[str, str]) -> str:
    """Why processes on real links have no limits of their own, in a sentence; empty if they have them."""
    if not any(spec.routes for spec in specs):
        return ""
    if not is_fast_dds(environ):
        return "links are real, but only Fast DDS is told to send below their rates: publishing may hold processes up"
    if PROFILE_VARIABLE in environ:
        return (
            f"links are real, but {PROFILE_VARIABLE} is set: unless that profile limits batches below the links' rates,"
            " publishing holds processes up"
        )
    return ""


def profile_environment(
    spec: ProcessSpec, run_directory: Path, root: str, environ: Mapping[str, str], *, has_room: bool
) -> dict[str, str]:
    """Write the profile of a process into its run folder; gives the variables by which it is used.

    None where links are emulated, the middleware is another one, or the user has a profile of his own. Transports that
    he chose by name are kept.

    Parameters
    ----------
    has_room
        Whether shared memory has room for all processes of the graph on this computer.
    """
    if spec.routes is None or not is_fast_dds(environ) or PROFILE_VARIABLE in environ:
        return {}
    transports = None if TRANSPORTS_VARIABLE in environ else ("shm", "udp") if has_room else ("udp",)
    path = run_directory / "middleware" / f"{spec.name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(middleware_profile(spec.routes, root=root, transports=transports), encoding="utf-8")
    return {PROFILE_VARIABLE: str(path.resolve()), QOS_FROM_XML_VARIABLE: "1"}
