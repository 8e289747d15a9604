"""The closed forms, the event simulation, and a recurrence that the simulation must agree with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from satllm_ros.planning.paper.simulate import simulate
from satllm_ros.planning.solver.delay import exact_makespan, paper_makespan, resource_times

SECONDS = st.sampled_from([0.0, 1.0, 2.0]) | st.floats(0, 10)


@st.composite
def chains(draw: st.DrawFn) -> tuple[float, list[float], list[float], int]:
    count = draw(st.integers(1, 4))
    compute = draw(st.lists(SECONDS, min_size=count, max_size=count))
    link = draw(st.lists(SECONDS, min_size=count, max_size=count))
    return draw(SECONDS), compute, link, draw(st.integers(1, 12))


@st.composite
def lines(draw: st.DrawFn, resources: int | None = None) -> tuple[NDArray[np.float64], list[int | None], list[float]]:
    batches, resources = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    times = [draw(st.lists(SECONDS, min_size=resources, max_size=resources)) for _ in range(batches)]
    slots = draw(st.lists(st.none() | st.integers(0, 3), min_size=resources - 1, max_size=resources - 1))
    delays = draw(st.lists(st.just(0.0) | SECONDS, min_size=resources, max_size=resources))
    return np.array(times), slots, delays


def recurrence(times: NDArray[np.float64], slots: list[int | None], delays: list[float]) -> NDArray[np.float64]:
    """Leave times: a batch starts when it is there and the one before has left, and leaves into free room."""
    leave = np.zeros(times.shape)
    for b in range(times.shape[0]):
        arrival = 0.0
        for r in range(times.shape[1]):
            done = max(arrival, leave[b - 1, r] if b else 0.0) + times[b, r]
            if r < len(slots) and slots[r] is not None and b - 1 - slots[r] >= 0:
                done = max(done, leave[b - 1 - slots[r], r + 1])
            leave[b, r] = done
            arrival = done + delays[r]
    return leave


@settings(max_examples=1000, deadline=None)
@given(chains(), st.data())
def test_exact_law_equals_simulation(chain: tuple[float, list[float], list[float], int], data: st.DataObject) -> None:
    upload, compute, link, batches = chain
    times = np.tile(resource_times(upload, compute, link), (batches, 1))
    resources = times.shape[1]
    slots = data.draw(st.lists(st.none() | st.integers(0, 2), min_size=resources - 1, max_size=resources - 1))
    law = exact_makespan(upload, compute, link, batches)
    assert simulate(times, queue_slots=slots).makespan_s == pytest.approx(law)
    delays = data.draw(st.lists(SECONDS, min_size=resources, max_size=resources))
    late = exact_makespan(upload, compute, link, batches, sum(delays))
    assert simulate(times, propagation_s=delays).makespan_s == pytest.approx(late)


@settings(max_examples=1000, deadline=None)
@given(lines())
def test_simulation_of_unequal_batches_and_bounded_queues(
    line: tuple[NDArray[np.float64], list[int | None], list[float]],
) -> None:
    times, slots, delays = line
    result = simulate(times, queue_slots=slots, propagation_s=delays)
    leave = recurrence(times, slots, delays)
    np.testing.assert_allclose(result.leave_s, leave)
    np.testing.assert_allclose(result.finish_s - result.start_s, times, atol=1e-9)
    assert result.makespan_s == pytest.approx(leave[-1, -1] + delays[-1])


def test_a_full_queue_blocks_the_resource_before_it() -> None:
    line = simulate([[1, 5], [1, 5], [1, 5]], queue_slots=[0])
    assert line.start_s[:, 0].tolist() == [0, 1, 6]
    assert line.finish_s[:, 0].tolist() == [1, 2, 7]
    assert line.leave_s[:, 0].tolist() == [1, 6, 11]
    assert line.makespan_s == 16


@pytest.mark.parametrize(
    ("upload", "compute", "link", "paper", "exact"),
    [
        # Effective times 2+5, 10+.1-5 and 2+.1-.1: the fill is 19.2.
        (5, [2, 10, 2], [5, 0.1, 0.1], 19.2 + 99 * 7, 5 + 19.2 + 99 * 10),
        # The slow upload sets the pace, and the paper's formula does not see it.
        (10, [1, 1, 1], [0.1, 0.1, 0.1], 3.3 + 99 * 1.1, 10 + 3.3 + 99 * 10),
        # Computing and sending overlap in truth, but add up in the paper's second stage: 5+5-.5.
        (0.5, [5, 5, 5], [0.5, 5, 0.5], 21 + 99 * 9.5, 0.5 + 21 + 99 * 5),
    ],
)
def test_formulas_on_chains_computed_by_hand(
    upload: float, compute: list[float], link: list[float], paper: float, exact: float
) -> None:
    assert paper_makespan(compute, link, 100) == pytest.approx(paper)
    assert exact_makespan(upload, compute, link, 100) == pytest.approx(exact)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"times_s": [1, 2]}, "times_s has shape"),
        ({"times_s": [[1, -2]]}, "times_s"),
        ({"times_s": [[1, float("nan")]]}, "times_s"),
        ({"times_s": [[1, 2]], "queue_slots": [1, 1]}, "queue_slots"),
        ({"times_s": [[1, 2]], "queue_slots": [-1]}, "queue_slots"),
        ({"times_s": [[1, 2]], "propagation_s": [1]}, "propagation_s"),
    ],
)
def test_malformed_lines_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(**arguments)
