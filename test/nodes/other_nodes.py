"""All other nodes of a graph around one process under test: sends, hears, kills, and waits for events."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_domain import leave
from std_msgs.msg import Header

from satllm_ros import interfaces as graph
from satllm_ros import msg as m
from satllm_ros.assets.paths import checkpoint_path
from satllm_ros.interfaces import Topic
from satllm_ros.model.spec import read_spec
from satllm_ros.nodes.base.hello import hello_from, hello_to
from satllm_ros.nodes.base.qos import message_class, profile
from satllm_ros.nodes.wire import conversions as convert
from satllm_ros.protocol.identity import BatchId, Envelope, Epoch
from satllm_ros.protocol.membership.hello import HelloState
from satllm_ros.protocol.membership.presence import Presence
from satllm_ros.protocol.vocabulary import Cause, Verdict
from satllm_ros.storage.prediction_store import PredictionStore

PATIENCE_S = 120.0
# Longer than any test: what is sent again is then sent for another reason.
NEVER_S = 86400.0
# The run that is flown.
RUN = 2**63 + 7
# Of a batch that no store ever held.
UNKNOWN_SEQUENCE = 2**32
ACQUIRED = Header(frame_id="camera")
ACQUIRED.stamp.sec, ACQUIRED.stamp.nanosec = 1_700_000_000, 123_456_789
DOWNLINK = (
    "import sys; from satllm_ros.nodes.downlink import DownlinkNode; from satllm_ros.nodes.base.process import run;"
    "sys.exit(run(lambda _: [DownlinkNode()]))"
)
GROUND = "import sys; from satllm_ros.nodes.ground_process import main; sys.exit(main())"
SPEC = read_spec(checkpoint_path("demo"))


def predictions(
    sequence: int,
    destination: str = "sat1",
    *,
    attempt: int = 0,
    model_id: str = SPEC.model_id,
    classes: int = 10,
    run_id: int = RUN,
) -> m.Predictions:
    """Predictions of one tile each."""
    envelope = Envelope(
        BatchId(2**64 - 1, sequence, attempt),
        "sat2",
        destination,
        Epoch(1, 1),
        "0" * 16,
        Epoch(1, 1),
        model_id,
        run_id,
        "bag",
        (sequence,),
        (0,),
    )
    logits = np.zeros((1, classes), np.float32)
    logits[0, sequence % classes] = 1.0
    return convert.predictions_to(envelope, ACQUIRED, logits)


class Others:
    """All other nodes of the graph, in this process: sends, hears, and waits for events."""

    def __init__(self, domain: int, folder: Path) -> None:
        self.folder = folder
        self._domain = domain
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._nodes: list[Node] = []
        self.node = self.join("others")
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.verdicts: dict[str, tuple[bytes, str]] = {}
        self.acks: list[m.BatchAck] = self.hear(graph.BATCH_ACK)
        # After the acknowledgements: who discovers subscriptions discovers them in this order.
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)
        self.ack = self.node.create_publisher(m.BatchAck, graph.BATCH_ACK.of(), profile(graph.BATCH_ACK.qos))
        self.processes: list[subprocess.Popen] = []

    def join(self, name: str, namespace: str = "") -> Node:
        """One more node of this process."""
        self._nodes.append(rclpy.create_node(name, context=self._context, namespace=namespace))
        self._executor.add_node(self._nodes[-1])
        return self._nodes[-1]

    def start(self, script: str, *arguments: str, **options: Any) -> subprocess.Popen:
        command = [sys.executable, "-P", "-c", script, "--ros-args", *arguments]
        environment = os.environ | {"ROS_DOMAIN_ID": str(self._domain)}
        with (self.folder / "errors.txt").open("a") as errors:
            process = subprocess.Popen(command, env=environment, cwd=self.folder, stderr=errors, **options)
        self.processes.append(process)
        return process

    def launch_downlink(self, *parameters: str, **options: Any) -> subprocess.Popen:
        """The downlink of sat1."""
        words = [word for p in (f"store_directory:={self.folder}", *parameters) for word in ("-p", p)]
        return self.start(DOWNLINK, "-r", "__ns:=/sat1", *words, **options)

    def start_downlink(self, *parameters: str, **options: Any) -> subprocess.Popen:
        """As `launch_downlink`, until its acknowledgements are heard: it has to discover this node as well."""
        process = self.launch_downlink(*parameters, **options)
        before = len(self.acks)
        asking = self.node.create_publisher(m.CustodyQuery, graph.CUSTODY_QUERY.of(), profile(graph.CUSTODY_QUERY.qos))

        def answered() -> bool:
            asking.publish(m.CustodyQuery(store="sat1", batches=[m.BatchId(boot_id=1, sequence=UNKNOWN_SEQUENCE)]))
            return len(self.acks) > before

        self.until(answered, "an answer of the store")
        self.node.destroy_publisher(asking)
        return process

    def start_ground(self, *parameters: str, run_id: int | None = RUN, **options: Any) -> subprocess.Popen:
        """The ground, with the recorder; its store knows the run, unless that is None."""
        PredictionStore(self.folder / "predictions.sqlite", run_id=run_id).close()
        words = [word for p in (f"run_directory:={self.folder}", "reference:=0", *parameters) for word in ("-p", p)]
        return self.start(GROUND, *words, **options)

    def until_ground_is_heard(self) -> None:
        """Until the ground knows who listens to it: its acknowledgements are then heard as its diagnostics are."""
        self.until(lambda: "/ground" in self.diagnostics, "the ground")

    def hear(self, topic: Topic, node: str = "") -> list[Any]:
        heard: list[Any] = []
        self.subscribe(topic, node, heard)
        return heard

    def hear_as_ground(self, node: str = "any_name") -> list[m.Predictions]:
        """As `hear` on the ground's inbox, by a node that says the ground's hellos."""
        heard: list[m.Predictions] = []
        listener = self.join(node)
        self.subscribe(graph.PREDICTIONS_INBOX, graph.GROUND, heard, listener)
        self.ground = GroundHellos(listener, len(self._nodes))
        return heard

    def subscribe(self, topic: Topic, node: str, heard: list[Any], listener: Node | None = None) -> Any:
        return (listener or self.node).create_subscription(
            message_class(topic.type), f"/{topic.of(node)}", heard.append, profile(topic.qos)
        )

    def say(self, topic: Topic, node: str, *messages: Any) -> None:
        """Publish once somebody listens, besides this node's own subscriptions."""
        publisher = self.node.create_publisher(message_class(topic.type), topic.of(node), profile(topic.qos))
        self.until(publisher.get_subscription_count, f"a listener on {publisher.topic_name}")
        for message in messages:
            publisher.publish(message)

    def said(self, verdict: Verdict, sender: str = "sat1", cause: Cause = Cause.NONE) -> list[int]:
        """Sequences of the batches that were acknowledged so."""
        return [a.batch.sequence for a in self.acks if (a.verdict, a.sender, a.cause) == (verdict, sender, cause)]

    def acknowledge(
        self,
        message: m.Predictions,
        sender: str = graph.GROUND,
        verdict: Verdict = Verdict.DELIVERED,
        cause: Cause = Cause.NONE,
    ) -> None:
        """As the ground does."""
        self.until(self.ack.get_subscription_count, "a reader of acknowledgements")
        said = m.BatchAck(batch=message.envelope.batch, sender=sender, verdict=int(verdict), cause=int(cause))
        self.ack.publish(said)

    def verdict(self, node: str = "/sat1/downlink") -> tuple[bytes, str]:
        """Level and sentence of a node's last diagnostics."""
        return self.verdicts.get(node, (b"", ""))

    def counter(self, name: str, node: str = "/sat1/downlink") -> str:
        return self.diagnostics.get(node, {}).get(name, "0")

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline_s = time.monotonic() + PATIENCE_S
        while not (met := condition()):
            assert time.monotonic() < deadline_s, f"waited in vain for {what}; {self.diagnostics}"
            self._executor.spin_once(timeout_sec=0.1)
        return met

    def until_next_diagnostics(self, node: str = "/sat1/downlink", count: int = 3) -> None:
        """Until so many diagnostics of a node have come: its ticks are as far apart."""
        for _ in range(count):
            self.diagnostics.pop(node, None)
            self.until(lambda: node in self.diagnostics, f"diagnostics of {node}")

    def set_parameter(self, name: str, value: float) -> None:
        client: Client[Any, Any] = self.node.create_client(SetParameters, "/sat1/downlink/set_parameters")
        self.until(client.service_is_ready, "the parameter service")
        wanted = ParameterMessage(name=name, value=Parameter(name, value=value).get_parameter_value())
        future = client.call_async(SetParameters.Request(parameters=[wanted]))
        self.until(future.done, "an answer")
        assert future.result().results[0].successful

    def close(self) -> None:
        for process in self.processes:
            kill(process)
        self._executor.shutdown()
        for node in self._nodes:
            node.destroy_node()
        leave(self._context)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.verdicts[status.name] = (status.level, status.message)
            self.diagnostics[status.name] = {value.key: value.value for value in status.values}


class GroundHellos:
    """Says and hears hellos as a life of the ground does; deaf, it says them and hears none."""

    def __init__(self, node: Node, boot_id: int) -> None:
        self.presence = Presence(graph.GROUND, boot_id, ["sat1"])
        self.deaf = self.mute = False
        self._publisher = node.create_publisher(m.Hello, graph.HELLO.of(), profile(graph.HELLO.qos))
        node.create_subscription(m.Hello, graph.HELLO.of(), self._hear, profile(graph.HELLO.qos))
        node.create_timer(0.2, self._say)

    def _hear(self, message: m.Hello) -> None:
        if not self.deaf:
            self.presence.on_hello(hello_from(message), time.monotonic())

    def _say(self) -> None:
        if not self.mute:
            self._publisher.publish(hello_to(self.presence.say(time.monotonic(), state=HelloState.READY)))


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE_S)
