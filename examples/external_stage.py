"""A stage of your own for one satellite: python examples/external_stage.py sat2 --checkpoint demo

It keeps the contract of docs/external-stage.md with nothing but rclpy and the messages. Where this one takes PyTorch to
load and run blocks, `Engine`, yours takes TensorRT, or whatever your computer runs best.
"""

from __future__ import annotations

import argparse
import queue
import random
import threading
import time
from typing import Any

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from satllm_ros.msg import Activation, Hello, HelloHeard, StageAnswer, StageBlocksState, StageOrder

from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.model.spec import read_spec
from satllm_ros.model.stage import SubModel, load_stage

PROTOCOL = 1
HELLO_PERIOD_S = 0.5
HELLO_QOS = QoSProfile(depth=64, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DATA_QOS = QoSProfile(depth=64)
Blocks = tuple[int, int]


class Engine:
    """What loads blocks (start, stop] of a checkpoint and runs them."""

    def __init__(self, checkpoint: str) -> None:
        self._checkpoint = checkpoint_path(checkpoint)
        self.model_id = read_spec(self._checkpoint).model_id
        self._loaded: dict[Blocks, SubModel] = {}

    @property
    def held(self) -> set[Blocks]:
        """What is loaded."""
        return set(self._loaded)

    def hold(self, wanted: set[Blocks]) -> None:
        """Load what is wanted, and forget all else."""
        self._loaded = {blocks: stage for blocks, stage in self._loaded.items() if blocks in wanted}
        for blocks in wanted - self._loaded.keys():
            self._loaded[blocks] = load_stage(self._checkpoint, *blocks)

    def run(self, blocks: Blocks, values: np.ndarray) -> np.ndarray:
        """Output of loaded blocks, float32."""
        import torch

        return self._loaded[blocks](torch.from_numpy(values)).numpy()


class ExternalStage(Node):
    """Says hello, holds what it is told to, and answers each request; to load and run it has a thread of its own."""

    def __init__(self, satellite: str, engine: Engine, **kwargs: Any) -> None:
        super().__init__("external_stage", **kwargs)
        self._satellite, self._name, self.engine = satellite, f"{satellite}/stage", engine
        # Of this life: never 0, and never that of a life before.
        self._boot_id = random.SystemRandom().randrange(1, 2**63)
        self._sequence = 0
        self._heard: HelloHeard | None = None
        self._work: queue.Queue[StageOrder | Activation] = queue.Queue()
        self._busy_since_s: float | None = None
        self._hellos = self.create_publisher(Hello, "hello", HELLO_QOS)
        self._answers = self.create_publisher(StageAnswer, f"{satellite}/stage/answer", LATCHED_QOS)
        self._results = self.create_publisher(Activation, f"{satellite}/activation/out", DATA_QOS)
        self.create_subscription(Hello, "hello", self._on_hello, HELLO_QOS)
        self.create_subscription(StageOrder, f"{satellite}/stage/order", self._on_order, LATCHED_QOS)
        self.create_subscription(Activation, f"{satellite}/activation/in", self._work.put, DATA_QOS)
        self.create_timer(HELLO_PERIOD_S, self._say_hello)
        threading.Thread(target=self._run, daemon=True).start()

    def _say_hello(self) -> None:
        self._sequence += 1
        busy_since_s = self._busy_since_s
        self._hellos.publish(
            Hello(
                name=self._name,
                boot_id=self._boot_id,
                protocol=PROTOCOL,
                software="an example",
                sequence=self._sequence,
                sent_s=time.monotonic(),
                state=Hello.STATE_READY,
                worker_age_s=0.0 if busy_since_s is None else time.monotonic() - busy_since_s,
                heard=[self._heard] if self._heard is not None else [],
            )
        )

    def _on_hello(self, hello: Hello) -> None:
        if hello.name == self._satellite:
            self._heard = HelloHeard(
                name=hello.name,
                boot_id=hello.boot_id,
                sequence=hello.sequence,
                sent_s=hello.sent_s,
                received_s=time.monotonic(),
            )

    def _on_order(self, order: StageOrder) -> None:
        # Requests that came before it are answered first.
        self._work.put(order)

    # On the worker

    def _run(self) -> None:
        while True:
            work = self._work.get()
            if isinstance(work, StageOrder):
                self._obey(work)
                continue
            self._busy_since_s = time.monotonic()
            self.answer(work)
            self._busy_since_s = None

    def _obey(self, order: StageOrder) -> None:
        wanted = {(blocks.start, blocks.stop): blocks for blocks in order.blocks}
        state, reason = StageBlocksState.STATE_READY, ""
        # What is held already stays ready while the rest is loaded.
        held = self.engine.held
        loading, ready = StageBlocksState.STATE_LOADING, StageBlocksState.STATE_READY
        self._tell(order, [(blocks, ready if key in held else loading, "") for key, blocks in wanted.items()])
        try:
            if order.model_id != self.engine.model_id:
                raise ValueError(f"this stage runs model {self.engine.model_id}")
            self.engine.hold(set(wanted))
        except Exception as error:  # noqa: BLE001
            state, reason = StageBlocksState.STATE_FAILED, str(error)
        self._tell(order, [(blocks, state, reason) for blocks in wanted.values()])

    def _tell(self, order: StageOrder, states: list[tuple[Any, int, str]]) -> None:
        answer = StageAnswer(boot_id=order.boot_id, number=order.number, model_id=self.engine.model_id)
        answer.header.stamp = self.get_clock().now().to_msg()
        answer.blocks = [StageBlocksState(blocks=b, state=state, reason=reason) for b, state, reason in states]
        self._answers.publish(answer)

    def answer(self, request: Activation) -> None:
        """Run the blocks that are asked for, and send what comes out."""
        values = np.frombuffer(request.data, dtype="<f4").reshape(request.shape)
        output = self.engine.run((request.cut, request.stop), values)
        self._results.publish(
            Activation(
                header=request.header,
                envelope=request.envelope,
                cut=request.stop,
                stop=request.stop,
                dtype=Activation.DTYPE_FLOAT32,
                shape=list(output.shape),
                data=output.astype("<f4").tobytes(),
            )
        )


def main() -> None:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("satellite", help="whose stage this is")
    parser.add_argument("--checkpoint", default="demo", help="checkpoint, the constellation's (default: %(default)s)")
    arguments, ros_arguments = parser.parse_known_args()
    rclpy.init(args=ros_arguments)
    node = ExternalStage(arguments.satellite, Engine(arguments.checkpoint))
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
