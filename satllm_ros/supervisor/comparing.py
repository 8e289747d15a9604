"""The process that compares a run with its source, seen from the ground: started, listened to, ended."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from satllm_ros.assets.share import PACKAGE, share_directory
from satllm_ros.supervisor.child import child_environment, how_it_ended
from satllm_ros.supervisor.parent import PARENT_VARIABLE

EXECUTABLE = "comparison"
Labels = dict[tuple[int, int], int]


@dataclass(frozen=True)
class Job:
    """What to compare.

    Attributes
    ----------
    kind, path, image_topic
        The bag or folder that was flown.
    source_id
        Which one it must be.
    checkpoint
        File of the whole model.
    run_directory
        Folder of the run, where `run.json` may say what the source held.
    tiles
        (frame, tile) of the tiles that the unsplit model is run on; none: it is not.
    pixels
        How samples become RGB, as `PixelRules.to_json` says it.
    wants_truth
        Whether true classes are looked for.
    digests
        What frames were when they were flown, by frame, as far as known.
    recursive
        Whether the folders in a folder were flown too.
    """

    kind: str
    path: str
    image_topic: str
    source_id: str
    checkpoint: str
    run_directory: str
    tiles: tuple[tuple[int, int], ...] = ()
    pixels: Mapping[str, Any] = field(default_factory=dict)
    wants_truth: bool = True
    digests: Mapping[int, str] = field(default_factory=dict)
    recursive: bool = False

    def tiles_by_frame(self) -> dict[int, set[int]]:
        """Tiles asked for, by frame."""
        wanted: dict[int, set[int]] = {}
        for frame, index in self.tiles:
            wanted.setdefault(frame, set()).add(index)
        return wanted

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Job:
        """Of `json.dumps(asdict(job))`, which makes every key a string."""
        tiles = tuple((int(frame), int(index)) for frame, index in document["tiles"])
        digests = {int(frame): digest for frame, digest in document["digests"].items()}
        return cls(**{**document, "tiles": tiles, "digests": digests})


@dataclass(frozen=True)
class Progress:
    """So many of `total` are done; 0: nobody knows of how many."""

    step: str
    unit: str
    done: int
    total: int


class ComparisonProcess:
    """A job under way; `poll` takes what the process has said, and never waits.

    It ends with its parent. Started from the main thread only: a process that shall end with its parent ends with the
    thread that started it. Its errors go to a log, what went wrong to `complaints`, in sentences.
    """

    def __init__(self, job: Job, log: Path, command: list[str] | None = None) -> None:
        self.job = job
        self.truth: Labels = {}
        self.reference: Labels = {}
        self.complaints: list[str] = []
        self.progress: Progress | None = None
        self.is_over = False
        self._log = log
        self._ended_well = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        executable = share_directory().parents[1] / "lib" / PACKAGE / EXECUTABLE
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command or [str(executable)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                env=child_environment() | {PARENT_VARIABLE: str(os.getpid())},
                # Ctrl-C comes to the ground, which ends it.
                start_new_session=True,
            )
        # Either may fill a pipe before the other side has read it.
        self._threads = [
            threading.Thread(target=self._tell, args=(json.dumps(asdict(job)),), name="comparison-in", daemon=True),
            threading.Thread(target=self._listen, name="comparison-out", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def poll(self) -> bool:
        """Take what it has said; whether it is over."""
        while not self.is_over:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self._conclude()
            else:
                self._take(line)
        return self.is_over

    def wait(self, timeout_s: float) -> bool:
        """Give it so long; whether it is over."""
        self._threads[1].join(timeout_s)
        return self.poll()

    def stop(self) -> None:
        """End it, whatever it does; what it has said by then counts."""
        with suppress(ProcessLookupError):
            self._process.kill()
        for thread in self._threads:
            thread.join()
        self._process.wait()
        while (line := self._lines.get()) is not None:
            self._take(line)
        self.is_over = True

    def _tell(self, job: str) -> None:
        # If it is gone already, its exit code says so.
        with suppress(OSError, ValueError), self._process.stdin:  # type: ignore[union-attr]
            self._process.stdin.write(job)  # type: ignore[union-attr]

    def _listen(self) -> None:
        with suppress(OSError, ValueError):
            for line in self._process.stdout or ():
                self._lines.put(line)
        self._lines.put(None)

    def _take(self, text: str) -> None:
        try:
            line = json.loads(text)
            for name in ("truth", "reference"):
                if name in line:
                    labels = {(int(frame), int(index)): int(label) for frame, index, label in line[name]}
                    setattr(self, name, labels)
            if "step" in line:
                self.progress = Progress(str(line["step"]), str(line["unit"]), int(line["done"]), int(line["total"]))
            if "failed" in line:
                self.complaints.append(str(line["failed"]))
            self._ended_well = self._ended_well or bool(line.get("end"))
        except (ValueError, KeyError, TypeError, AttributeError):
            # Half a line of a process that was killed.
            return

    def _conclude(self) -> None:
        code = self._process.wait()
        self.is_over = True
        if not self._ended_well:
            self.complaints.append(
                f"no comparison: the process that compares was ended by {how_it_ended(code)}; its log is {self._log}"
            )
