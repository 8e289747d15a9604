"""DDS domains that tests have to themselves, and contexts that leave nothing in them."""

import fcntl
import gc
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from weakref import WeakSet

import rclpy

_DOMAINS = range(10, 98)
_locks: dict[int, int] = {}
_left: WeakSet[rclpy.Context] = WeakSet()


@contextmanager
def own_domain() -> Iterator[int]:
    """A DDS domain that nobody else on this computer uses meanwhile, not even another run of the tests."""
    with ExitStack() as stack:
        for domain in _DOMAINS:
            path = Path(tempfile.gettempdir()) / f"satllm_ros_test_domain_{domain}.lock"
            lock = stack.enter_context(path.open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _locks[domain] = lock.fileno()
            stack.callback(_locks.pop, domain)
            yield domain
            return
        raise RuntimeError("every DDS domain for tests is taken")


def lock_of(domain: int) -> int:
    """File descriptor of the lock on a domain, for processes that shall keep the domain if they outlive the tests."""
    return _locks[domain]


def leave(context: rclpy.Context) -> None:
    """Shut the context down and end its DDS participant.

    The participant lives until the last node is freed, and lifecycle nodes are freed by the garbage collector only.
    Two participants in one process can lock each other up for good (eProsima/Fast-DDS#6193, #6502).
    """
    context.try_shutdown()
    _left.add(context)
    free_what_was_left()


def free_what_was_left() -> None:
    """Free nodes that were still held when their context was left: pytest holds fixtures until a test is over."""
    if _left:
        gc.collect()
