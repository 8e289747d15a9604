"""Between a process and the one that started it: the first ends with the second, even if that one is killed.

The kernel tells of the end of the process directly above. Where a launch prefix (a debugger, a terminal) stands between
the two, the named one is watched through a descriptor of it, which no other process of its number can take over.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PARENT_VARIABLE = "SATLLM_PARENT_PID"
# Exit code of a process whose parameters or files are not acceptable: starting it again would not mend it.
EXIT_BAD_INPUT = 2
_PR_SET_PDEATHSIG = 1
# Number of a pipe on which a process tells what it is waiting for, a line each time that changes.
WORDS_VARIABLE = "SATLLM_WORDS_FD"
# All nodes of the process are active; this process has committed to a plan.
READY, PLAN = "ready", "plan"
_pipe: list[int] = []


def end_with_parent() -> None:
    """Get SIGTERM when the process named in the environment dies, or at once if it is dead already.

    It is the parent, or further above. The child asks for it itself: between fork and exec, a parent that has threads
    may not run Python. Linux only; without the variable, or elsewhere, nothing happens.
    """
    # Taken out, since the processes that this one starts have another parent.
    named = os.environ.pop(PARENT_VARIABLE, "")
    if not named.isdecimal() or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    # It may have died before the call.
    if os.getppid() != int(named):
        _end_with_ancestor(int(named))


def _end_with_ancestor(pid: int) -> None:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        # Or it has another number here: a prefix has made a namespace of processes.
        print(f"process {pid}, with which this one was to end, is not there: it ends", file=sys.stderr, flush=True)
        signal.raise_signal(signal.SIGTERM)
        return
    except PermissionError:
        pass
    try:
        descriptor = os.pidfd_open(pid)
    # An old kernel, or a Python that was built on one.
    except (OSError, AttributeError):
        return
    if not _has_ended(descriptor, 0) and pid not in _ancestors():
        # A prefix that goes its own way, or another process of that number.
        os.close(descriptor)
        return

    def watch() -> None:
        _has_ended(descriptor, None)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="ancestor", daemon=True).start()


def _has_ended(descriptor: int, patience_ms: int | None) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(patience_ms))


def _ancestors() -> set[int]:
    """Processes above this one, as far as they can be seen."""
    above: set[int] = set()
    pid = os.getppid()
    while pid > 0 and pid not in above:
        above.add(pid)
        try:
            # The name of a program may contain anything, a bracket too.
            pid = int(
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            )
        except (OSError, ValueError, IndexError):
            break
    return above


def main(command: Sequence[str]) -> None:
    """Become a program that ends with the process named in its environment: `-m satllm_ros.supervisor.parent …`."""
    end_with_parent()
    os.execvp(command[0], list(command))


def tell_parent(word: str) -> None:
    """Say a line to the process that started this one and asked for it; nothing happens where none did.

    Never waits: a word that the parent does not read in time is lost.
    """
    number = os.environ.pop(WORDS_VARIABLE, "")
    if number.isdecimal():
        # The processes that this one starts have words of their own.
        os.set_inheritable(int(number), False)
        os.set_blocking(int(number), False)
        _pipe[:] = [int(number)]
    if _pipe:
        with suppress(OSError):
            os.write(_pipe[0], f"{' '.join(word.split())}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1:])
