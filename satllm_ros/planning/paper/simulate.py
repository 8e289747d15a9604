"""Event simulation of the flow line: unequal batches, bounded queues, propagation."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class FlowLine:
    """What happened on the line.

    Attributes
    ----------
    start_s, finish_s
        (B, R) when each resource began and ended to serve each batch [s].
    leave_s
        (B, R) when the batch freed the resource: later than `finish_s` if the next queue was full [s].
    makespan_s
        When the last batch arrived at the end [s].
    """

    start_s: NDArray[np.float64]
    finish_s: NDArray[np.float64]
    leave_s: NDArray[np.float64]
    makespan_s: float


def simulate(
    times_s: ArrayLike,
    *,
    queue_slots: Sequence[int | None] | None = None,
    propagation_s: ArrayLike | None = None,
) -> FlowLine:
    """Send batches through resources in series, each serving one batch at a time, first come first served.

    Parameters
    ----------
    times_s
        (B, R) service time of each batch at each resource [s], >= 0.
    queue_slots
        (R-1,) places for waiting batches before resources 1..R-1; None is unbounded. A batch whose next queue
        is full keeps its resource (blocking after service). A place counts as taken from the moment the batch
        leaves the resource before. Default: all unbounded.
    propagation_s
        (R,) delay between leaving a resource and arriving at the next, or at the end [s]. Default: zeros.

    Raises
    ------
    ValueError
        If a shape is wrong or a time is negative or not finite.
    """
    times = np.asarray(times_s, dtype=float)
    if times.ndim != 2 or 0 in times.shape or not np.all(np.isfinite(times)) or times.min() < 0:
        raise ValueError(f"times_s has shape {times.shape}; allowed: (batches, resources), finite and >= 0")
    resources = times.shape[1]
    slots: list[int | None] = [None] * (resources - 1) if queue_slots is None else list(queue_slots)
    delays = np.zeros(resources) if propagation_s is None else np.asarray(propagation_s, dtype=float)
    if len(slots) != resources - 1 or any(s is not None and s < 0 for s in slots):
        raise ValueError(f"queue_slots is {slots}; allowed: {resources - 1} entries, each >= 0 or None")
    if delays.shape != (resources,) or not np.all(np.isfinite(delays)) or delays.min() < 0:
        raise ValueError(f"propagation_s has shape {delays.shape}; allowed: ({resources},), finite and >= 0")
    return _Line(times, slots, delays).run()


class _Line:
    def __init__(self, times: NDArray[np.float64], slots: list[int | None], delays: NDArray[np.float64]) -> None:
        batches, resources = times.shape
        self.times, self.delays = times.tolist(), delays.tolist()
        # A batch may come when fewer than slots + 1 are waiting, in service or on their way.
        self.room: list[float] = [np.inf] + [np.inf if s is None else s + 1 for s in slots]
        self.present = [0] * resources
        self.waiting: list[deque[int]] = [deque() for _ in range(resources)]
        self.serving: list[int | None] = [None] * resources
        self.done = [False] * resources
        self.start = np.zeros((batches, resources))
        self.finish = np.zeros((batches, resources))
        self.leave = np.zeros((batches, resources))
        self.events: list[tuple[float, int, int, int, bool]] = []
        self.order = 0
        self.end_s = 0.0

    def run(self) -> FlowLine:
        for batch in range(len(self.times)):
            self._arrive(0.0, 0, batch)
        while self.events:
            now, _, resource, batch, arrived = heapq.heappop(self.events)
            if arrived:
                self._arrive(now, resource, batch)
            else:
                self.finish[batch, resource] = now
                self.done[resource] = True
                self._try_leave(now, resource)
        return FlowLine(self.start, self.finish, self.leave, self.end_s)

    def _at(self, when: float, resource: int, batch: int, arrived: bool) -> None:
        self.order += 1
        heapq.heappush(self.events, (when, self.order, resource, batch, arrived))

    def _arrive(self, now: float, resource: int, batch: int) -> None:
        if resource == len(self.room):
            self.end_s = max(self.end_s, now)
            return
        self.waiting[resource].append(batch)
        self._try_start(now, resource)

    def _try_start(self, now: float, resource: int) -> None:
        if self.serving[resource] is None and self.waiting[resource]:
            batch = self.waiting[resource].popleft()
            self.serving[resource], self.done[resource] = batch, False
            self.start[batch, resource] = now
            self._at(now + self.times[batch][resource], resource, batch, False)

    def _try_leave(self, now: float, resource: int) -> None:
        # A batch that goes makes room, so the one blocked before it may go too, and so on up the line.
        while resource >= 0 and self._leaves(now, resource):
            resource -= 1

    def _leaves(self, now: float, resource: int) -> bool:
        batch, after = self.serving[resource], resource + 1
        last = after == len(self.room)
        if batch is None or not self.done[resource] or (not last and self.present[after] >= self.room[after]):
            return False
        self.serving[resource] = None
        self.leave[batch, resource] = now
        self.present[resource] -= 1
        if not last:
            self.present[after] += 1
        self._at(now + self.delays[resource], after, batch, True)
        self._try_start(now, resource)
        return True
