"""What publishing over a real link costs a process: two network namespaces, a shaped link between them, UDP only.

    python benchmarks/wire.py --rate 8 --megabytes 6 --batches 2 [--plain]

Needs `unshare`, `ip`, `tc` and no rights. `--plain` publishes as rmw_fastrtps does by itself. Prints one JSON object:
seconds each `publish()` held Python's lock, the longest pause of a thread that ticks every 10 ms, how many bytes of the
batches had left when the last `publish()` returned, hellos heard before the first batch, bytes on the interface over
payload, and payload over time.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RATE_OPTIONS = ("burst", "16kb", "latency", "200ms")
INBOX = "sat1/inbox/images"
TICK_S, HELLO_S, SETTLE_S = 0.01, 0.1, 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=8.0, help="rate of the link [Mbit/s]")
    parser.add_argument("--megabytes", type=float, default=6.0, help="size of a batch")
    parser.add_argument("--batches", type=int, default=2, help="batches published back to back")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds until it gives up")
    parser.add_argument("--plain", action="store_true", help="without a profile, as rmw_fastrtps does by itself")
    parser.add_argument("--role", choices=("outside", "inside", "sender", "receiver"), default="outside")
    args = parser.parse_args()
    return {"outside": _outside, "inside": _inside, "sender": _sender, "receiver": _receiver}[args.role](args)


def _again(role: str) -> list[str]:
    return [sys.executable, *sys.argv, "--role", role]


def _outside(args: argparse.Namespace) -> int:
    """Go into namespaces of user and network: all that is made in them is gone with the process."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", "ROS_LOG_DIR": folder}
        for taken in ("FASTDDS_DEFAULT_PROFILES_FILE", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY"):
            os.environ.pop(taken, None)
        if not args.plain:
            own |= _profile(args, Path(folder))
        return subprocess.run(
            ["unshare", "-r", "-n", *_again("inside")], env={**os.environ, **own}, check=False
        ).returncode


def _profile(args: argparse.Namespace, folder: Path) -> dict[str, str]:
    from satllm_ros.constellation.processes import ProcessSpec
    from satllm_ros.links.link_queue import LinkRates
    from satllm_ros.middleware.profile import Route
    from satllm_ros.supervisor.process_profile import profile_environment

    spec = ProcessSpec("sensing", "sensing", "", routes=(Route("sat1", (INBOX,), LinkRates(args.rate * 1e6)),))
    return profile_environment(spec, folder, "", {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, has_room=False)


def _inside(args: argparse.Namespace) -> int:
    def run(*command: str) -> None:
        subprocess.run(command, check=True)

    run("ip", "link", "set", "lo", "up")
    other = subprocess.Popen(
        ["unshare", "-n", *_again("receiver")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None and other.stdout is not None
    try:
        # It says so when it is in its own namespace.
        other.stdout.readline()
        inside = ("nsenter", "-t", str(other.pid), "-n")
        run("ip", "link", "add", "name", "va", "type", "veth", "peer", "name", "vb", "netns", str(other.pid))
        for name, address, where in (("va", "10.9.0.1/24", ()), ("vb", "10.9.0.2/24", inside)):
            run(*where, "ip", "addr", "add", address, "dev", name)
            run(*where, "ip", "link", "set", name, "up")
            run(*where, "tc", "qdisc", "add", "dev", name, "root", "tbf", "rate", f"{args.rate}mbit", *RATE_OPTIONS)
        run(*inside, "ip", "link", "set", "lo", "up")
        for name, where in (("va", ()), ("vb", inside)):
            # The kernel says so a moment later, and DDS looks once, when it starts.
            while "state UP" not in subprocess.check_output([*where, "ip", "-o", "link", "show", name], text=True):
                time.sleep(0.01)
        other.stdin.write("\n")
        other.stdin.flush()
        sender = subprocess.run(_again("sender"), stdout=subprocess.PIPE, text=True, check=False)
        if sender.returncode:
            return sender.returncode
        other.stdin.close()
        heard = json.loads(other.stdout.read())
        print(json.dumps(json.loads(sender.stdout) | heard))
        return 0
    finally:
        other.kill()
        other.wait()


def _receiver(args: argparse.Namespace) -> int:
    print("here", flush=True)
    sys.stdin.readline()
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    node = _node("receiver")
    hellos: list[int] = []
    before_first: list[int] = []

    def on_batch(_: bytes) -> None:
        before_first.append(sum(hellos))

    node.create_subscription(_type(), f"/{INBOX}", on_batch, _qos(reliable=True), raw=True)
    node.create_subscription(_type(), "/hello", lambda m: hellos.append(m.data[0]), _qos(reliable=False))
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not ended.is_set():
        executor.spin_once(timeout_sec=0.1)
    print(
        json.dumps({"batches_heard": len(before_first), "hellos_before_the_first": (before_first or [0])[0]}),
        flush=True,
    )
    rclpy.shutdown()
    return 0


def _sender(args: argparse.Namespace) -> int:
    from rclpy.duration import Duration

    node, size = _node("sender"), int(args.megabytes * 1e6)
    batches = node.create_publisher(_type(), f"/{INBOX}", _qos(reliable=True))
    hellos = node.create_publisher(_type(), "/hello", _qos(reliable=False))
    deadline_s = time.monotonic() + args.patience
    while min(batches.get_subscription_count(), hellos.get_subscription_count()) < 1:
        if time.monotonic() > deadline_s:
            print("nobody was discovered", file=sys.stderr)
            return 1
        time.sleep(0.05)
    publishing, ended = threading.Event(), threading.Event()
    pauses: list[float] = []

    def tick() -> None:
        before_s = time.monotonic()
        while not ended.wait(TICK_S):
            now_s = time.monotonic()
            if publishing.is_set():
                pauses.append(now_s - before_s)
            before_s = now_s

    def say_hello() -> None:
        while not ended.wait(HELLO_S):
            # Only those count that were said after the first batch was handed over.
            hellos.publish(_message(1, int(publishing.is_set())))

    threads = [threading.Thread(target=target) for target in (tick, say_hello)]
    for thread in threads:
        thread.start()
    time.sleep(SETTLE_S)
    message = _message(size, 0)
    bytes_before, start_s = _sent_bytes(), time.monotonic()
    publishing.set()
    held = [_timed(lambda: batches.publish(message)) for _ in range(args.batches)]
    left = _sent_bytes() - bytes_before
    while not (acked := batches.wait_for_all_acked(Duration(seconds=0))) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    all_s, sent = time.monotonic() - start_s, _sent_bytes() - bytes_before
    ended.set()
    for thread in threads:
        thread.join()
    payload = size * args.batches
    print(
        json.dumps(
            {
                "publish_s": [round(s, 4) for s in held],
                "longest_pause_s": round(max(pauses), 3),
                "left_at_return_bytes": left,
                "payload_bytes": payload,
                "acknowledged": acked,
                "all_s": round(all_s, 2),
                "wire_over_payload": round(sent / payload, 3),
                "payload_mbps": round(8 * payload / all_s / 1e6, 2),
            }
        ),
        flush=True,
    )
    # The middleware's own end may wait for what is under way.
    os._exit(0)


def _timed(action: Callable[[], None]) -> float:
    start_s = time.monotonic()
    action()
    return time.monotonic() - start_s


def _sent_bytes() -> int:
    """Bytes that left through the link."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == "va":
            return int(figures.split()[8])
    raise RuntimeError("there is no interface va")


def _node(name: str) -> Any:
    import rclpy

    rclpy.init()
    return rclpy.create_node(name)


def _type() -> type:
    from std_msgs.msg import UInt8MultiArray

    return UInt8MultiArray


def _message(size: int, value: int) -> Any:
    return _type()(data=array.array("B", bytes([value]) * size))


def _qos(*, reliable: bool) -> Any:
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    kind = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=64, reliability=kind)


if __name__ == "__main__":
    sys.exit(main())
