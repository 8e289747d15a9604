"""Between a process and the one that started it: the first ends with the second, even if that one is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

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
    """Get SIGTERM when the parent named in the environment dies, or at once if it is dead already.

    The child asks for it itself: between fork and exec, a parent that has threads may not run Python. Linux only;
    without the variable, or elsewhere, nothing happens.
    """
    # Taken out, since the processes that this one starts have another parent.
    parent = os.environ.pop(PARENT_VARIABLE, "")
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    # It may have died before the call.
    if str(os.getppid()) != parent:
        signal.raise_signal(signal.SIGTERM)


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
