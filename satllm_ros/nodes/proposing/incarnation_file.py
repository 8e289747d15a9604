"""The incarnation of a planner on disk: an epoch that is not could be used twice."""

from __future__ import annotations

from pathlib import Path

from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.storage.incarnation import read_incarnation, write_incarnation


class IncarnationFile:
    """File of the last incarnation; `value` is what it holds.

    Raises
    ------
    ValueError, OSError
        As `read_incarnation`.
    """

    def __init__(self, node: FlightNode, path: Path) -> None:
        self._node, self._path = node, path
        self.value = read_incarnation(path)

    def write(self, incarnation: int) -> bool:
        """Write another one; False if it cannot be written: no plan without."""
        try:
            write_incarnation(self._path, incarnation)
        except OSError as error:
            self._node.complain("state_not_written", f"cannot propose: {error}")
            return False
        self.value = incarnation
        return True
