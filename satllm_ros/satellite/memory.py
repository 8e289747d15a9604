"""Process memory: an allocator that keeps its pages, until it is told to give them back.

Messages of megabytes are allocated and freed for every batch. By default glibc maps and unmaps each of them, and
the page faults cost more than the transport itself.
"""

import ctypes
import platform

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# glibc accepts no greater mmap threshold.
_MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
_TRIM_THRESHOLD_BYTES = 512 * 1024 * 1024


def keep_pages() -> bool:
    """Make malloc keep large freed buffers for reuse; True if this C library can (Linux with glibc)."""
    if not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES) and mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES))


def give_back_pages() -> bool:
    """Return freed memory to the system; True if this C library can and did. Takes milliseconds to tens of them.

    What lies free at the end of the arena of a thread other than the first stays with the process.
    """
    return _is_glibc() and bool(ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0)))


def _is_glibc() -> bool:
    return platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
