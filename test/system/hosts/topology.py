"""A network: hosts on a bridge, each behind a line that is shaped both ways and that can end in three ways."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from enum import Enum

from hosts.namespaces import Host, run

INTERFACE = "eth0"
_NETWORK = "10.77.0"
# A queue that holds this much of a line's time, as a modem's does; and tokens for some milliseconds.
_QUEUE_S, _LEAST_QUEUE_BYTES = 0.4, 100_000
_BURST_S, _LEAST_BURST_BYTES = 0.004, 16_000
# Clocks of hosts are days apart, none of them by a round number.
_CLOCK_STEP_S = 100_003


class End(Enum):
    """How a line ends."""

    FRAMES_DROPPED = "frames dropped"
    CARRIER_LOST = "carrier lost"
    NOTHING_OUT = "nothing gets out"
    NOTHING_IN = "nothing gets in"


@dataclass(frozen=True)
class Shape:
    """What a line does: rates out of the host and into it [bit/s]; delay [s] and lost share, one way."""

    up_bps: float
    down_bps: float
    delay_s: float = 0.0
    loss: float = 0.0


def tbf(rate_bps: float) -> tuple[str, ...]:
    """Words of `tc` for a token bucket of this rate."""
    burst = max(_LEAST_BURST_BYTES, int(rate_bps / 8 * _BURST_S))
    queue = max(_LEAST_QUEUE_BYTES, int(rate_bps / 8 * _QUEUE_S))
    return ("tbf", "rate", f"{rate_bps:.0f}bit", "burst", str(burst), "limit", str(queue))


class Line:
    """From a host to the bridge: `eth0` in the host, its other end outside, and a relay between that and the bridge
    where frames are to be delayed or lost.
    """

    def __init__(self, host: Host, bridge: str, shape: Shape, address: str) -> None:
        self._host, self._shape = host, shape
        self.port = f"p-{host.name}"
        self.address = address
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", INTERFACE, "netns", str(host.pid))
        self._relay: subprocess.Popen[bytes] | None = None
        if shape.delay_s or shape.loss:
            self._insert_relay(bridge)
        else:
            run("ip", "link", "set", self.port, "master", bridge)
        run("ip", "link", "set", self.port, "up")
        host.run("ip", "address", "add", f"{address}/24", "dev", INTERFACE)
        host.run("ip", "link", "set", INTERFACE, "up")
        self._shape_both()

    def _insert_relay(self, bridge: str) -> None:
        near, far = f"r-{self._host.name}", f"b-{self._host.name}"
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        run("ip", "link", "set", far, "master", bridge)
        for name in (near, far):
            run("ip", "link", "set", name, "up")
        run("ip", "link", "set", self.port, "up")
        words = (self.port, near, str(self._shape.delay_s), str(self._shape.loss))
        self._relay = subprocess.Popen([sys.executable, "-m", "hosts.relay", *words])

    def _shape_both(self) -> None:
        self._out(*tbf(self._shape.up_bps))
        self._in(*tbf(self._shape.down_bps))

    def _out(self, *words: str) -> None:
        self._host.run("tc", "qdisc", "replace", "dev", INTERFACE, "root", *words)

    def _in(self, *words: str) -> None:
        run("tc", "qdisc", "replace", "dev", self.port, "root", *words)

    def end(self, how: End) -> None:
        """Let nothing through any more, in one of the ways."""
        if how is End.CARRIER_LOST:
            run("ip", "link", "set", self.port, "down")
        if how in (End.FRAMES_DROPPED, End.NOTHING_OUT):
            self._out("blackhole")
        if how in (End.FRAMES_DROPPED, End.NOTHING_IN):
            self._in("blackhole")

    def restore(self) -> None:
        """As at the beginning."""
        run("ip", "link", "set", self.port, "up")
        self._shape_both()

    def keep_multicast_out(self) -> None:
        """Let nothing into the host that is meant for a group; broadcasts, which resolve addresses, pass."""
        run("ip", "link", "set", self.port, "type", "bridge_slave", "mcast_flood", "off")

    def move(self, address: str) -> None:
        """Give the host another address."""
        self._host.run("ip", "address", "flush", "dev", INTERFACE)
        self._host.run("ip", "address", "add", f"{address}/24", "dev", INTERFACE)
        self.address = address

    def dropped_packets(self) -> int:
        """Packets that the queues of both directions had no room for."""
        words = ("tc", "-s", "qdisc", "show", "dev")
        return _dropped(self._host.run(*words, INTERFACE)) + _dropped(run(*words, self.port))

    def close(self) -> None:
        if self._relay is not None:
            self._relay.terminate()
            self._relay.wait()


def _dropped(text: str) -> int:
    """From ` Sent 0 bytes 0 pkt (dropped 7, overlimits 0 requeues 0)`."""
    return int(text.split("(dropped ", 1)[1].split(",", 1)[0])


class Network:
    """Hosts on one bridge, in a network namespace that the caller has to itself."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.lines: dict[str, Line] = {}
        self._addresses = 0
        run("ip", "link", "set", "lo", "up")
        # Without multicast snooping: it would hold discovery back until somebody has asked for it.
        run("ip", "link", "add", "bridge0", "type", "bridge", "mcast_snooping", "0")
        run("ip", "link", "set", "bridge0", "up")

    def add(self, name: str, shape: Shape) -> Host:
        """A host of this name, at most ten letters, behind a line."""
        host = Host(name, _CLOCK_STEP_S * (len(self.hosts) + 1))
        self.hosts[name] = host
        self.lines[name] = Line(host, "bridge0", shape, self.next_address())
        return host

    def next_address(self) -> str:
        """An address that nobody has had."""
        self._addresses += 1
        return f"{_NETWORK}.{self._addresses}"

    def close(self) -> None:
        for line in self.lines.values():
            line.close()
        for host in self.hosts.values():
            host.close()
