"""A network without a graph: two hosts, one behind a relay, say what they hear; `test_hosts_network` judges it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hosts.frames import Kind
from hosts.meter import Meter
from hosts.namespaces import Host
from hosts.topology import End, Network, Shape

DELAY_S = 0.2
_PORT, _PATIENCE_S = 5000, 1.0
# A minute of answers that do not come, and more.
_TRIES = 6000
_CLOCK = "import time; print(time.monotonic())"
# Answers every datagram with the number of bytes it had.
_SERVER = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", {_PORT}))
print("ready", flush=True)
while True:
    data, sender = s.recvfrom(70000)
    print(len(data), flush=True)
    s.sendto(str(len(data)).encode(), sender)
"""
_CLIENT = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout({patience})
at = time.monotonic()
try:
    s.sendto(bytes({size}), ("{address}", {port}))
    print(int(s.recv(100)), time.monotonic() - at)
except OSError:
    print(0, 0.0)
"""


def ask(host: Host, address: str, size: int, patience_s: float = _PATIENCE_S) -> tuple[int, float]:
    """Bytes that were heard of a datagram, and seconds until the answer; 0 without one."""
    script = _CLIENT.format(patience=patience_s, size=size, address=address, port=_PORT)
    heard, seconds = host.run(sys.executable, "-c", script).split()
    return int(heard), float(seconds)


def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(_TRIES):
        if condition():
            return
        time.sleep(0.01)
    raise RuntimeError(f"waited in vain for {what}")


def main() -> None:
    fast = 100e6
    network = Network()
    meter = server = None
    try:
        near = network.add("near", Shape(fast, fast))
        far = network.add("far", Shape(fast, fast, delay_s=DELAY_S))
        meter = Meter({line.port: name for name, line in network.lines.items()})
        log = Path(tempfile.mkdtemp()) / "server.txt"
        server = far.popen([sys.executable, "-c", _SERVER], log, os.environ)
        _until(lambda: "ready" in log.read_text(), "a server")
        line, address = network.lines["near"], network.lines["far"].address
        # Until the bridge forwards, and addresses are resolved.
        _until(lambda: ask(near, address, 10)[0] > 0, "an answer")
        story: dict[str, object] = {"large": ask(near, address, 30_000)}
        ahead = float(near.run(sys.executable, "-c", _CLOCK)) - time.monotonic()
        further = float(far.run(sys.executable, "-c", _CLOCK)) - time.monotonic()
        story["clocks"] = ahead, further - ahead
        for end in End:
            already = len(log.read_text().splitlines())
            line.end(end)
            answered = ask(near, address, 20)[0]
            heard = len(log.read_text().splitlines()) - already
            line.restore()
            _until(lambda: ask(near, address, 10)[0] > 0, "an answer")
            story[end.value] = heard, answered
        line.move("10.77.0.99")
        story["moved"] = ask(near, address, 40)[0]
        story["counted"] = meter.sent_bytes("near", Kind.OTHER)
        received = next(text for text in Path("/proc/net/dev").read_text().splitlines() if f"{line.port}:" in text)
        story["kernel"] = int(received.split(":")[1].split()[0])
        print(json.dumps(story))
    finally:
        if server is not None:
            server.kill()
        if meter is not None:
            meter.close()
        network.close()


if __name__ == "__main__":
    main()
