import threading
import time
from collections.abc import Callable, Iterator

import pytest

from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.satellite.pipeline import STEP_QUEUE_DEPTH, Job, Pipeline, Times

# Far longer than anything takes: reached only when something hangs.
PATIENCE_S = 120.0


def make_job(sequence: int) -> Job:
    envelope = Envelope(
        BatchId(1, sequence), "sensing", "sat1", Epoch(1, 1), "h", Epoch(1, 1), "m", 8, "camera", (sequence,), (0,)
    )
    return Job(envelope, 0, None, sequence)


class Line:
    """A pipeline whose last step notes what comes out, and whose failures are noted."""

    def __init__(self) -> None:
        self.out: list[int] = []
        self.failed: list[tuple[int, str]] = []
        self.changed = threading.Condition()
        self.pipelines: list[Pipeline] = []

    def start(self, *steps: Callable[[Job], None], inbox_depth: int = 8) -> Pipeline:
        named = {f"step {number}": step for number, step in enumerate(steps)}
        pipeline = Pipeline({**named, "end": self._note}, self._fail, inbox_depth=inbox_depth)
        self.pipelines.append(pipeline)
        return pipeline

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S)

    def _note(self, job: Job) -> None:
        with self.changed:
            self.out.append(job.content)
            self.changed.notify_all()

    def _fail(self, job: Job, error: Exception) -> None:
        with self.changed:
            self.failed.append((job.content, str(error)))
            self.changed.notify_all()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    for pipeline in made.pipelines:
        pipeline.stop()


def stop_in_time(pipeline: Pipeline) -> bool:
    stopper = threading.Thread(target=pipeline.stop, daemon=True)
    stopper.start()
    stopper.join(PATIENCE_S)
    return not stopper.is_alive()


def test_order_is_kept(line: Line) -> None:
    pipeline = line.start(lambda job: None, lambda job: None, inbox_depth=50)
    assert all(pipeline.offer(make_job(number)) for number in range(50))
    line.wait_for(lambda: len(line.out) == 50)
    assert line.out == list(range(50))


def test_each_step_sees_what_the_step_before_made(line: Line) -> None:
    def double(job: Job) -> None:
        job.content *= 2

    def add_one(job: Job) -> None:
        job.content += 1

    line.start(double, add_one).offer(make_job(5))
    line.wait_for(lambda: bool(line.out))
    assert line.out == [11]


def test_a_failing_job_is_reported_and_stops_no_other(line: Line) -> None:
    def refuse_odd(job: Job) -> None:
        if job.content % 2:
            raise ValueError(f"{job.content} is odd")

    pipeline = line.start(refuse_odd)
    for number in range(5):
        pipeline.offer(make_job(number))
    line.wait_for(lambda: len(line.out) + len(line.failed) == 5)
    assert line.out == [0, 2, 4]
    assert line.failed == [(1, "1 is odd"), (3, "3 is odd")]


def test_the_age_of_the_last_progress_is_told_while_work_waits(line: Line) -> None:
    entered, release = threading.Event(), threading.Event()

    def stand_still(job: Job) -> None:
        entered.set()
        assert release.wait(PATIENCE_S)
        if job.content == 1:
            raise ValueError("one of two fails")

    pipeline = line.start(stand_still)
    assert pipeline.progress_age_s == 0.0, "nothing waits"
    pipeline.offer(make_job(0))
    pipeline.offer(make_job(1))
    assert entered.wait(PATIENCE_S)
    first = pipeline.progress_age_s
    line.wait_for(lambda: True)
    assert pipeline.progress_age_s > first > 0.0
    release.set()
    line.wait_for(lambda: len(line.out) + len(line.failed) == 2)
    deadline_s = time.monotonic() + PATIENCE_S
    while pipeline.progress_age_s:
        assert time.monotonic() < deadline_s, "what is over is taken to be under way"


def test_a_failure_that_cannot_be_reported_does_not_end_the_worker(capsys: pytest.CaptureFixture[str]) -> None:
    done = threading.Event()

    def step(job: Job) -> None:
        if job.content == 0:
            raise ValueError("bad batch")
        done.set()

    def cannot_tell(job: Job, error: Exception) -> None:
        raise RuntimeError("publisher is gone")

    pipeline = Pipeline({"only": step}, cannot_tell, inbox_depth=2)
    pipeline.offer(make_job(0))
    pipeline.offer(make_job(1))
    assert done.wait(PATIENCE_S)
    pipeline.stop()
    assert "publisher is gone" in capsys.readouterr().err


def test_steps_overlap(line: Line) -> None:
    together = threading.Barrier(2)
    first_taken = threading.Event()

    def first(job: Job) -> None:
        first_taken.set()
        if job.content == 1:
            together.wait(PATIENCE_S)

    def second(job: Job) -> None:
        if job.content == 0:
            together.wait(PATIENCE_S)

    pipeline = line.start(first, second)
    pipeline.offer(make_job(0))
    pipeline.offer(make_job(1))
    line.wait_for(lambda: len(line.out) + len(line.failed) == 2)
    assert not line.failed, "the first step of one batch and the second of another must run at the same time"


def test_a_blocked_step_holds_back_a_bounded_number_of_jobs(line: Line) -> None:
    release = threading.Event()

    def block(job: Job) -> None:
        assert release.wait(PATIENCE_S)

    pipeline = line.start(lambda job: None, block, inbox_depth=3)
    # In the inbox, with the step that cannot hand on, in the queue before the blocked step, and in that step.
    bound = 3 + 1 + STEP_QUEUE_DEPTH + 1
    accepted = 0

    def fill() -> bool:
        nonlocal accepted
        accepted += pipeline.offer(make_job(accepted))
        return accepted >= bound

    deadline_s = time.monotonic() + PATIENCE_S
    while not fill():
        assert time.monotonic() < deadline_s
    # Time enough for a step that is not held back to take one more.
    with line.changed:
        line.changed.wait_for(lambda: pipeline.waiting < 3, 0.1)
    assert not pipeline.offer(make_job(accepted))
    release.set()
    line.wait_for(lambda: len(line.out) == bound)
    assert line.out == list(range(bound))


@pytest.mark.parametrize("queued", [0, 1, 20])
def test_stop_returns_with_jobs_queued_and_a_step_blocked_on_the_next(line: Line, queued: int) -> None:
    entered, release = threading.Event(), threading.Event()

    def block(job: Job) -> None:
        entered.set()
        assert release.wait(PATIENCE_S)

    pipeline = line.start(lambda job: None, block, inbox_depth=20)
    for number in range(queued):
        pipeline.offer(make_job(number))
    if queued:
        assert entered.wait(PATIENCE_S)
    stopper = threading.Thread(target=pipeline.stop, daemon=True)
    stopper.start()
    # The step under way is finished, not cut off.
    if queued:
        stopper.join(0.05)
        assert stopper.is_alive()
    release.set()
    stopper.join(PATIENCE_S)
    assert not stopper.is_alive()
    assert not [thread for thread in threading.enumerate() if thread.name in ("step 0", "step 1", "end")]
    assert len(line.out) <= 1, "what was queued is abandoned"


def test_stop_returns_while_others_go_on_offering(line: Line) -> None:
    pipeline = line.start(lambda job: None, inbox_depth=1)
    quit_offering = threading.Event()

    def offer() -> None:
        while not quit_offering.is_set():
            pipeline.offer(make_job(0))

    offering = [threading.Thread(target=offer, daemon=True) for _ in range(3)]
    for thread in offering:
        thread.start()
    line.wait_for(lambda: len(line.out) > 3)
    stopped = stop_in_time(pipeline)
    quit_offering.set()
    for thread in offering:
        thread.join(PATIENCE_S)
    assert stopped


def test_a_stopped_pipeline_takes_nothing(line: Line) -> None:
    pipeline = line.start()
    pipeline.stop()
    assert not pipeline.offer(make_job(0))


def test_waiting_is_what_no_step_used() -> None:
    times = Times(
        received_s=10.0,
        decode_s=1.0,
        compute_start_s=13.0,
        compute_stop_s=17.0,
        encode_s=0.5,
        publish_s=0.25,
        sent_s=20.0,
    )
    assert times.compute_s == 4.0
    assert times.wait_s == 10.0 - 1.0 - 4.0 - 0.5 - 0.25
