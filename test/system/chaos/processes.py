"""Signals for single processes of a flight, and a second start of one that was killed."""

import os
import signal
import subprocess
from pathlib import Path

from flight import Flight

from satllm_ros.supervisor.parent import PARENT_VARIABLE

END_PATIENCE_S = 60.0


class Processes:
    """The processes of one flight, by the names that logs call them."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._started: list[subprocess.Popen[bytes]] = []
        self._commands: dict[str, tuple[list[bytes], dict[bytes, bytes]]] = {}

    def pid(self, name: str) -> int:
        """The living process of this name."""
        pids = self._flight.pids(f"/parameters/{name}.yaml")
        assert len(pids) == 1, f"{len(pids)} processes are called {name}\n{self._flight.story()}"
        return pids[0]

    def kill(self, name: str) -> None:
        """SIGKILL; how it was started is kept for `start_again`."""
        pid = self.pid(name)
        process = Path("/proc") / str(pid)
        command = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        pairs = (entry.partition(b"=") for entry in (process / "environ").read_bytes().split(b"\0") if entry)
        # By hand it has another parent, and does not end with the flight.
        inherited = {key: value for key, _, value in pairs if key != PARENT_VARIABLE.encode()}
        self._commands[name] = command, inherited
        os.kill(pid, signal.SIGKILL)

    def start_again(self, name: str) -> None:
        """Start a process that was killed, with the same command line, as an operator would."""
        command, environment = self._commands[name]
        log = self._flight.latest / "logs" / f"{name}.again.log"
        with log.open("ab") as file:
            self._started.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment, start_new_session=True
                )
            )

    def stop(self, name: str) -> None:
        """SIGSTOP."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self.pid(name), signal.SIGCONT)

    def close(self) -> None:
        """End what was started again."""
        for process in self._started:
            process.send_signal(signal.SIGINT)
        for process in self._started:
            process.wait(END_PATIENCE_S)
