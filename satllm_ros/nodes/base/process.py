"""How a process of the graph starts, spins and ends: exit code 0 on SIGINT and SIGTERM, workers joined."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from satllm_ros.assets.share import share_directory
from satllm_ros.checks.gate import check_process
from satllm_ros.middleware.transports import transports
from satllm_ros.nodes.base.flight_node import FlightNode
from satllm_ros.satellite.blas_threads import limit_blas
from satllm_ros.satellite.memory import keep_pages
from satllm_ros.supervisor.log_directory import LOG_VARIABLE, rescue_variables
from satllm_ros.supervisor.parent import EXIT_BAD_INPUT, READY, end_with_parent, tell_parent

# How long a signal may go unnoticed: the executor waits in C, where Python's handlers do not run.
SPIN_PERIOD_S = 0.1
# How long what spins on threads of its own may take to see that the context is gone.
ENDS_WITHIN_S = 5.0


class Stop:
    """Asked for by a signal or by a node; carries the exit code."""

    def __init__(self) -> None:
        self.requested = False
        self.exit_code = 0

    def request(self, exit_code: int = 0) -> None:
        self.requested = True
        self.exit_code = max(self.exit_code, exit_code)


def run(make_nodes: Callable[[Stop], Sequence[FlightNode]], args: Sequence[str] | None = None) -> int:
    """Start the nodes, spin them in one executor until a signal or a node asks to stop, and close them.

    Returns
    -------
    int
        Exit code of the process: 0 unless a node asked for another; 2 if a parameter was not acceptable, or a node
        could not be configured or activated at start.
    """
    # What crashes in the middleware leaves in the log where Python was.
    faulthandler.enable()
    keep_pages()
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.request())
    end_with_parent()
    # Each process is one of several on its computer; a satellite's stage takes the threads that it was given.
    limit_blas(1)
    try:
        check_process(os.environ)
        set_up_environment()
        rclpy.init(args=None if args is None else list(args), signal_handler_options=SignalHandlerOptions.NO)
        nodes = make_nodes(stop)
    # What rcl and the middleware refuse are RuntimeErrors.
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        # What those nodes have started that could be made ends with the context; a thread that still spins when the
        # interpreter goes would abort it.
        for thread in set(threading.enumerate()) - {threading.current_thread()}:
            thread.join(ENDS_WITHIN_S)
        return EXIT_BAD_INPUT
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    said = ""
    try:
        while not stop.requested:
            executor.spin_once(timeout_sec=SPIN_PERIOD_S)
            if any(node.failed_to_start for node in nodes):
                stop.request(EXIT_BAD_INPUT)
            said = _tell_readiness(nodes, said)
    except ExternalShutdownException:
        pass
    finally:
        for node in nodes:
            node.close()
        executor.shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    # A second Ctrl-C may come while the interpreter takes its own handlers down, and must not change the exit code.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if threading.active_count() > 1:
        # A thread that is still importing torch would abort the interpreter on its way out. DDS gives its shared memory
        # back when the last of these is gone.
        del node, nodes, executor
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stop.exit_code)
    return stop.exit_code


def _tell_readiness(nodes: Sequence[FlightNode], said: str) -> str:
    """Tell whoever started this process, when it changes, what keeps its nodes from being active; "" once they are."""
    waiting = "; ".join(f"{node.get_name()}: {node.waits_for}" for node in nodes if node.state != "active")
    word = waiting or READY
    if word != said:
        tell_parent(word)
    return word


def set_up_environment() -> None:
    """Set what must be in the environment before ROS starts: transports, and a folder for logs where ROS finds none."""
    os.environ.update(transports(os.environ, share_directory()))
    rescued = rescue_variables(os.environ)
    if rescued:
        os.environ.update(rescued)
        print(f"ROS finds no folder for its logs: they go to {os.environ[LOG_VARIABLE]}", file=sys.stderr)
