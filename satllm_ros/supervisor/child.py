"""One process of a graph, over all its lives: command, log, and when it is due again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from satllm_ros.assets.share import PACKAGE, share_directory
from satllm_ros.constellation.processes import ProcessSpec
from satllm_ros.supervisor.echo import Echo
from satllm_ros.supervisor.parent import PARENT_VARIABLE, READY, WORDS_VARIABLE
from satllm_ros.supervisor.words import Words

LAST_LINES = 12
# Pause before a process is started again: doubled with every death, forgotten after a life of some length.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
SETTLED_S = 30.0
_CHATTER = ("[INFO]", "[DEBUG]")


class Child:
    """A process, started any number of times with the same parameters; `start` is called from the main thread only,
    since a process that shall end with its parent ends with the thread that started it.

    Output goes to `<run_directory>/logs/<name>.log`, appended life after life; the required one's to the terminal,
    and so do the warnings and errors of all others.

    Parameters
    ----------
    environment
        Variables it has beside those of this process.
    """

    def __init__(self, spec: ProcessSpec, root: str, run_directory: Path, environment: Mapping[str, str]) -> None:
        self.spec = spec
        self._environment = environment
        self.log = run_directory / "logs" / f"{spec.name}.log"
        self.lives = 0
        self.gone = False
        self._process: subprocess.Popen[str] | None = None
        self._due_s: float | None = None
        self._pause_s = 0.0
        self._started_s = 0.0
        self._log_start = 0
        self._reader: threading.Thread | None = None
        self._words = Words()
        self._echo, self._echo_lock = Echo(), threading.Lock()
        namespace = "/" + "/".join(part for part in (root.strip("/"), spec.namespace) if part)
        executable = share_directory().parents[1] / "lib" / PACKAGE / spec.executable
        parameters = spec.write_parameters(run_directory, root)
        self._command = [str(executable), "--ros-args", "--params-file", str(parameters), "-r", f"__ns:={namespace}"]

    def start(self) -> None:
        """Begin a life."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        # Their own session: Ctrl-C reaches them through us, in order, not all at once from the terminal.
        with self._words.opened() as words:
            self._process = self._popen(words)
        self._started_s, self._due_s = time.monotonic(), None
        self.lives += 1
        if not self.spec.required:
            self._reader = threading.Thread(target=self._copy_output, args=(self._process,), daemon=True)
            self._reader.start()

    def _popen(self, words: int) -> subprocess.Popen[str]:
        own = {PARENT_VARIABLE: str(os.getpid()), WORDS_VARIABLE: str(words)}
        return subprocess.Popen(
            self._command,
            stdout=None if self.spec.required else subprocess.PIPE,
            stderr=None if self.spec.required else subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            env={**child_environment(), **self._environment, **own},
            pass_fds=[words],
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def is_due(self) -> bool:
        """Whether its pause between two lives is over."""
        return self._due_s is not None and time.monotonic() >= self._due_s

    def death(self) -> int | None:
        """Exit code of a life that has ended, until it is `gone` or to start later; negative after a signal."""
        if self._process is None or self._due_s is not None or self.gone:
            return None
        return self._process.poll()

    @property
    def failed(self) -> bool:
        """Whether its last life ended with an exit code that is not 0, rather than by a signal."""
        return self._process is not None and (self._process.poll() or 0) > 0

    def waits_for(self) -> str:
        """What keeps a living process from being ready, in its own words; empty if it is ready, or not alive."""
        self._words.read()
        if not self.is_running or self._words.last == READY:
            return ""
        return self._words.last or "still starting"

    def has_committed(self) -> bool:
        """Whether it has said, in any of its lives, that a plan is active."""
        self._words.read()
        return self._words.plan

    def start_later(self) -> float:
        """Begin the next life after a pause; gives its length [s]."""
        now_s = time.monotonic()
        is_settled = now_s - self._started_s >= SETTLED_S
        self._pause_s = FIRST_PAUSE_S if is_settled or not self._pause_s else min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._due_s = now_s + self._pause_s
        return self._pause_s

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def join(self) -> None:
        """Wait until it has ended and its last words are in the log."""
        if self._process is not None:
            self._process.wait()
        self._join_reader()
        self._words.close()

    def reason(self) -> str:
        """The last line it wrote in this life that is no mere information; empty if there is none."""
        lines = [line for line in self.last_lines() if not any(level in line for level in _CHATTER)]
        return lines[-1].strip() if lines else ""

    def tell_what_is_due(self) -> None:
        """Show again, with their number, lines that came again."""
        with self._echo_lock:
            self._show(self._echo.due(time.monotonic()))

    def last_lines(self) -> list[str]:
        """The end of its log in this life; mere information only if there is nothing else."""
        self._join_reader()
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            lines = file.read().decode("utf-8", errors="replace").splitlines()
        telling = [line for line in lines if not any(level in line for level in _CHATTER)]
        return (telling or lines)[-LAST_LINES:]

    def _join_reader(self) -> None:
        if self._reader is not None:
            self._reader.join(timeout=2.0)

    def _copy_output(self, process: subprocess.Popen[str]) -> None:
        # Whatever the disk and the terminal do: a pipe that nobody reads would stop the process.
        is_lost = False
        # A process with nothing to say leaves an empty log, not none.
        with suppress(OSError):
            self.log.touch()
        with ExitStack() as stack:
            log = None
            for line in process.stdout or ():
                try:
                    # Unbuffered: nothing is left to fail when it is closed.
                    log = log or stack.enter_context(self.log.open("ab", buffering=0))
                    log.write(line.encode())
                except OSError as error:
                    if not is_lost:
                        _tell(f"satllm: output of {self.spec.name} is lost: {self.log} cannot be written: {error}")
                    is_lost = True
                with self._echo_lock:
                    self._show(self._echo.hear(line.rstrip(), time.monotonic()))
        with self._echo_lock:
            self._show(self._echo.rest())

    def _show(self, lines: Iterable[str]) -> None:
        for line in lines:
            _tell(f"{self.spec.name}: {line}")


def _tell(sentence: str) -> None:
    with suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


def how_it_ended(code: int) -> str:
    """An exit code of `subprocess`, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"


def child_environment() -> dict[str, str]:
    """Environment in which the package's messages and files are found without sourcing anything."""
    environment = dict(os.environ)
    # A sourced distribution names its own prefix, not the virtual environment this package may be in.
    prefix = str(share_directory().parents[1])
    prefixes = [p for p in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    environment["AMENT_PREFIX_PATH"] = os.pathsep.join(prefixes if prefix in prefixes else [prefix, *prefixes])
    return environment
