"""How many threads numpy's matrix products take.

numpy's BLAS starts a thread a core, whatever PyTorch is told, and its threads spin while they wait for one another: the
encoders of satellites that share a computer then take each other's cores. The environment variables that would limit it
are read once, when numpy is imported, and differ from BLAS to BLAS.
"""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def limit_blas(threads: int) -> None:
    """Limit every BLAS that is loaded in this process, for good; one that is loaded later is not limited."""
    threadpool_limits(limits=threads, user_api="blas")
