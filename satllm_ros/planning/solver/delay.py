"""How long B batches take through the chain: the exact law of a flow line, and the paper's formula.

The resources in series are: upload link, satellite 1, link 1, satellite 2, ..., satellite K, link K.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def exact_makespan(
    upload_s: float, compute_s: ArrayLike, link_s: ArrayLike, batches: int, propagation_s: float = 0.0
) -> float:
    """Makespan of a flow line of equal batches.

    T = T_0 + sum_k(comp_k + comm_k) + (B-1) max(T_0, comp_k, comm_k) + propagation.

    Parameters
    ----------
    upload_s
        T_0, time one batch occupies the link that feeds the first satellite [s].
    compute_s, link_s
        (K,) comp_k and comm_k of one batch, comm_K being the link to the ground [s]. Encoding and decoding
        are part of comp.
    batches
        B.
    propagation_s
        Sum of the propagation delays of all K+1 links [s].

    Returns
    -------
    float
        Seconds from the start of the first upload to the arrival of the last result.
    """
    compute, link = np.asarray(compute_s, dtype=float), np.asarray(link_s, dtype=float)
    fill = upload_s + compute.sum() + link.sum()
    cycle = max(upload_s, compute.max(), link.max())
    return float(fill + (batches - 1) * cycle + propagation_s)


def paper_makespan(compute_s: ArrayLike, link_s: ArrayLike, batches: int) -> float:
    """The paper's objective, Eq. 13a with Eq. 14 and overlap_1 = 0, as printed; it leaves out T_0 of Eq. 11.

    sum_k(comp_k + comm_k) + (B-1) max_k(comp_k + comm_k - min(comp_k, comm_{k-1})).

    Parameters are those of `exact_makespan`.
    """
    compute, link = np.asarray(compute_s, dtype=float), np.asarray(link_s, dtype=float)
    return float(compute.sum() + link.sum() + (batches - 1) * effective_times(compute, link).max())


def effective_times(compute_s: ArrayLike, link_s: ArrayLike) -> NDArray[np.float64]:
    """(K,) effective delay of each stage by Eq. 14, T_k = comp_k + comm_k - min(comp_k, comm_{k-1}) [s].

    Nothing overlaps in the first stage. Parameters are those of `exact_makespan`.
    """
    compute, link = np.asarray(compute_s, dtype=float), np.asarray(link_s, dtype=float)
    overlap = np.zeros_like(compute)
    overlap[1:] = np.minimum(compute[1:], link[:-1])
    effective: NDArray[np.float64] = compute + link - overlap
    return effective


def resource_times(upload_s: float, compute_s: ArrayLike, link_s: ArrayLike) -> NDArray[np.float64]:
    """(2K+1,) occupancy of each resource by one batch, in the order a batch meets them [s]."""
    compute = np.asarray(compute_s, dtype=float)
    times = np.empty(2 * len(compute) + 1)
    times[0], times[1::2], times[2::2] = upload_s, compute, link_s
    return times
