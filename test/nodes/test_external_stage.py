"""A stage written by someone else: asked on activation/in, heard on activation/out."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Header

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.nodes.base.qos import profile
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.nodes.wire.external import ExternalStage, ExternalStageError
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.satellite.external_blocks import FAULTS_IN_A_ROW, ExternalBlocks
from satllm_ros.satellite.pipeline import Job
from satllm_ros.satellite.submodels import NotLoadedError

SHAPE = (2, 3, 4)
PATIENCE_S = 120.0


def job(sequence: int = 0) -> Job:
    envelope = Envelope(
        BatchId(7, sequence), "sat1", "sat2", Epoch(1, 1), "0" * 16, Epoch(1, 1), "1" * 16, 8, "bag", (10, 11), (0, 0)
    )
    content = np.arange(24, dtype=np.float32).reshape(SHAPE)
    return Job(envelope, cut=3, acquired=Header(frame_id="camera"), content=content)


class TheirStage(Node):
    """Answers every request with what `answer` makes of it."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("theirs", namespace="sat2", context=context)
        self.answer = lambda request: [self.doubled(request)]
        self.seen: list[m.Activation] = []
        self.out = self.create_publisher(m.Activation, "activation/out", profile(graph.Qos.DATA))
        self.create_subscription(m.Activation, "activation/in", self._on_request, profile(graph.Qos.DATA))

    def _on_request(self, request: m.Activation) -> None:
        self.seen.append(request)
        for reply in self.answer(request):
            self.out.publish(reply)

    @staticmethod
    def doubled(request: m.Activation) -> m.Activation:
        values = 2 * np.frombuffer(request.data, dtype=np.float32)
        return m.Activation(
            header=request.header,
            envelope=request.envelope,
            cut=request.stop,
            stop=request.stop,
            dtype=m.Activation.DTYPE_FLOAT32,
            shape=request.shape,
            data=convert.to_bytes(values),
        )


Stages: TypeAlias = tuple[ExternalStage, FlightNode, TheirStage]


@pytest.fixture
def stages(context: rclpy.Context) -> Iterator[Stages]:
    ours = FlightNode("ours", namespace="sat2", depth_below_root=1, context=context)
    theirs = TheirStage(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(ours)
    executor.add_node(theirs)
    external = ExternalStage(ours, "sat2", PATIENCE_S)
    matched = threading.Event()
    outputs = (external._request, theirs.out)
    ours.create_timer(0.05, lambda: matched.set() if all(p.get_subscription_count() for p in outputs) else None)
    spinner = threading.Thread(target=executor.spin, daemon=True)
    spinner.start()
    assert matched.wait(PATIENCE_S), "the two stages did not find each other"
    yield external, ours, theirs
    executor.shutdown()
    spinner.join()
    ours.destroy_node()
    theirs.destroy_node()


def run(
    external: ExternalStage, wanted: Job, shape: tuple[int, ...] = SHAPE, blocks: ExternalBlocks | None = None
) -> tuple[np.ndarray, float]:
    held = blocks or blocks_of_somebody_else()
    with ThreadPoolExecutor(1) as worker:
        return worker.submit(external.run, held, wanted, 5, shape, threading.Event()).result(2 * PATIENCE_S)


def blocks_of_somebody_else() -> ExternalBlocks:
    return ExternalBlocks(read_spec(checkpoint_path("demo")), 0.5, 7, lambda order: None)


def test_it_is_told_what_to_run_and_its_values_come_back(stages: Stages) -> None:
    external, _, theirs = stages
    output, seconds = run(external, job())
    np.testing.assert_array_equal(output, 2 * job().content)
    assert seconds > 0
    request = theirs.seen[0]
    assert (request.cut, request.stop, list(request.shape)) == (3, 5, list(SHAPE))
    assert list(request.envelope.frames) == [10, 11]
    assert request.header.frame_id == "camera"


def test_half_precision_answers_are_widened(stages: Stages) -> None:
    external, _, theirs = stages

    def halved(request: m.Activation) -> list[m.Activation]:
        reply = TheirStage.doubled(request)
        reply.dtype = m.Activation.DTYPE_FLOAT16
        reply.data = convert.to_bytes(np.full(24, 0.5, dtype=np.float16))
        return [reply]

    theirs.answer = halved
    output, _ = run(external, job())
    assert output.dtype == np.float32
    np.testing.assert_array_equal(output, np.full(SHAPE, 0.5, dtype=np.float32))


def test_answers_to_other_batches_are_counted_and_passed_over(stages: Stages) -> None:
    external, ours, theirs = stages

    def late_first(request: m.Activation) -> list[m.Activation]:
        late = TheirStage.doubled(request)
        late.envelope = convert.envelope_to(job(sequence=99).envelope)
        return [late, TheirStage.doubled(request)]

    theirs.answer = late_first
    output, _ = run(external, job())
    np.testing.assert_array_equal(output, 2 * job().content)
    assert ours.counters["late_activation"] == 1


def test_an_answer_of_another_shape_is_refused(stages: Stages) -> None:
    external, _, _ = stages
    blocks = blocks_of_somebody_else()
    with pytest.raises(ExternalStageError, match=r"expected shape \(2, 10\)"):
        run(external, job(), shape=(2, 10), blocks=blocks)
    for _ in range(FAULTS_IN_A_ROW - 1):
        assert not blocks.trouble
        with pytest.raises(ExternalStageError):
            run(external, job(), shape=(2, 10), blocks=blocks)
    assert "3 batches in a row went wrong" in blocks.trouble


def test_values_that_are_not_finite_are_refused(stages: Stages) -> None:
    external, _, theirs = stages

    def broken(request: m.Activation) -> list[m.Activation]:
        reply = TheirStage.doubled(request)
        reply.data = convert.to_bytes(np.full(24, np.nan, dtype=np.float32))
        return [reply]

    theirs.answer = broken
    with pytest.raises(ExternalStageError, match="is not finite"):
        run(external, job())


def test_its_speed_is_measured(stages: Stages) -> None:
    external, _, _ = stages
    blocks = blocks_of_somebody_else()
    _, seconds = run(external, job(), blocks=blocks)
    assert blocks.real_block_s == seconds / (2 * 2)


def test_nothing_is_waited_for_from_a_stage_that_cannot_be_used_any_more(stages: Stages) -> None:
    external, _, theirs = stages
    blocks = blocks_of_somebody_else()
    theirs.answer = lambda request: blocks.close() or []
    with pytest.raises(NotLoadedError, match="the external stage cannot be used"):
        run(external, job(), blocks=blocks)


def test_silence_ends_with_a_sentence(stages: Stages) -> None:
    external, _, theirs = stages
    theirs.answer = lambda request: []
    external.timeout_s = 0.3
    with pytest.raises(ExternalStageError, match="no activation of batch 0 at cut 5 came back within 0.3 s"):
        run(external, job())
