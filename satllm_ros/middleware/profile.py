"""The Fast DDS profile of one process where links are real: asynchronous and limited for batches, nothing else limited.

`RMW_FASTRTPS_USE_QOS_FROM_XML` takes from rmw_fastrtps all that it would set itself, so the profile says that too:
memory that grows with a message, synchronous publishing, no data sharing. A topic's profile is found by the topic's
full name, with its namespace; it does not inherit from the default one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from satllm_ros import interfaces as graph
from satllm_ros.interfaces import Topic
from satllm_ros.links.link_queue import LinkRates
from satllm_ros.links.real_links import LONG_HEARTBEAT_S, controller_rate_bps, datagram_bytes, is_long
from satllm_ros.middleware.transports import IS_VERSION_2

QOS_FROM_XML_VARIABLE = "RMW_FASTRTPS_USE_QOS_FROM_XML"
# A controller's period is as much longer as the computer is late to wake it, so that long ones come nearer to their
# rate. What one lets out leaves at once: it shall fit into a socket's buffer where links lose what does not, and hellos
# shall not wait behind it long; on fast links, whose datagrams are long, it is a few of these.
LEAST_PERIOD_MS, LONGEST_PERIOD_MS = 2, 100
LARGEST_BURST_BYTES = 64_000
LEAST_DATAGRAMS = 4
# Nobody's link is faster; and what one period lets out is a signed number of 32 bits in Fast DDS.
FASTEST_BPS = 1e12
# How near to its rate a controller must come, whole datagrams in whole milliseconds.
NEAR_ENOUGH = 0.99
# Asked for; the kernel gives as much of it as net.core.rmem_max and wmem_max allow, by default twice what it gives
# unasked. A receiver that is kept from reading for a moment would lose what does not fit.
SOCKET_BUFFER_BYTES = 1 << 20
# Often enough that what was lost is sent again soon, and no oftener than an answer comes over a link of some length.
HEARTBEAT_S = 0.5


@dataclass(frozen=True)
class Route:
    """A directed link that a process sends batches on: the receiver, its inboxes below the root, the link's rate."""

    receiver: str
    inboxes: tuple[str, ...]
    link: LinkRates


@dataclass(frozen=True)
class Quantum:
    """What a flow controller lets out: so many bytes at once, then nothing until the period [ms] is over."""

    max_bytes: int
    period_ms: int

    @property
    def rate_bps(self) -> float:
        return 8000.0 * self.max_bytes / self.period_ms


def quantum(rate_bps: float) -> Quantum:
    """The controller of a link of this rate [bit/s]: whole datagrams in a period that comes near its rate, and above
    only where a single datagram in the longest period is.

    Bytes that do not make a whole datagram would be lost in every period: half of the rate, at worst.
    """
    rate_bps = min(rate_bps, FASTEST_BPS)
    bytes_per_ms, datagram = controller_rate_bps(rate_bps) / 8000.0, datagram_bytes(rate_bps)
    longest = max(
        LEAST_PERIOD_MS,
        min(LONGEST_PERIOD_MS, int(max(LARGEST_BURST_BYTES, LEAST_DATAGRAMS * datagram) / bytes_per_ms)),
    )
    tried = [
        Quantum(datagrams * datagram, period_ms)
        for period_ms in range(longest, longest // 2, -1)
        if (datagrams := int(bytes_per_ms * period_ms / datagram))
    ]
    # Where not even one datagram fits, one leaves at a time.
    best = max(tried, key=lambda q: q.rate_bps, default=Quantum(datagram, math.ceil(datagram / bytes_per_ms)))
    return next((q for q in tried if q.rate_bps >= NEAR_ENOUGH * 8000.0 * bytes_per_ms), best)


def routes_of(process: str, satellites: Sequence[str], link: Callable[[str, str], LinkRates]) -> list[Route]:
    """Links that a process of a constellation sends batches on; none for the planner and the ground.

    Parameters
    ----------
    link
        Gives rate and delay of a directed link, from sender and receiver.
    """
    if process == graph.SENSING:
        inboxes: dict[str, tuple[Topic, ...]] = {name: (graph.IMAGES_INBOX,) for name in satellites}
    elif process in satellites:
        inboxes = {name: (graph.ACTIVATION_INBOX, graph.PREDICTIONS_INBOX) for name in satellites if name != process}
        inboxes[graph.GROUND] = (graph.PREDICTIONS_INBOX,)
    else:
        inboxes = {}
    return [
        Route(name, tuple(topic.of(name) for topic in topics), link(process, name)) for name, topics in inboxes.items()
    ]


def middleware_profile(
    routes: Sequence[Route],
    *,
    root: str = "",
    transports: Sequence[str] | None = None,
    is_version_2: bool = IS_VERSION_2,
) -> str:
    """XML of the profile of a process that sends batches on these routes.

    Parameters
    ----------
    root
        Namespace the whole graph lives in.
    transports
        Of "shm" and "udp", those to use; None: what the environment says.
    is_version_2
        Whether it is for version 2 of Fast DDS, which refuses a whole profile for one name that it does not know.
    """
    prefix = "/" + root.strip("/") if root.strip("/") else ""
    controllers = "".join(_controller(route) for route in routes)
    writers = "".join(_writer(f"{prefix}/{inbox}", route, is_version_2) for route in routes for inbox in route.inboxes)
    return _DOCUMENT.format(
        descriptors="".join(_TRANSPORTS[name].format(buffer=SOCKET_BUFFER_BYTES) for name in transports or ()),
        transports=_transports(transports),
        # An empty list is no list to Fast DDS.
        controllers=_CONTROLLERS.format(controllers=controllers) if controllers else "",
        writers=writers,
    )


def _transports(names: Sequence[str] | None) -> str:
    if names is None:
        return _BUILTIN.format(buffer=SOCKET_BUFFER_BYTES)
    ids = "".join(f"<transport_id>satllm_{name}</transport_id>" for name in names)
    return f"<userTransports>{ids}</userTransports>\n        <useBuiltinTransports>false</useBuiltinTransports>"


def _controller_name(receiver: str) -> str:
    return f"to_{receiver}"


def _controller(route: Route) -> str:
    let_out = quantum(route.link.rate_bps)
    # A little more than whole datagrams: one must fit that is not quite as long as was reckoned.
    limit = let_out.max_bytes + datagram_bytes(route.link.rate_bps) // 4
    return _CONTROLLER.format(name=_controller_name(route.receiver), limit=limit, period_ms=let_out.period_ms)


def _writer(topic: str, route: Route, is_version_2: bool) -> str:
    # Version 2 refuses a whole profile for a name that it does not know; whether it knows this one was not tried.
    is_seldom = is_long(route.link.propagation_s) and not is_version_2
    heartbeat_s, heartbeat_ns = divmod(int((LONG_HEARTBEAT_S if is_seldom else HEARTBEAT_S) * 1e9), 10**9)
    return _WRITER.format(
        name=quoteattr(topic),
        controller=_controller_name(route.receiver),
        size=datagram_bytes(route.link.rate_bps),
        heartbeat="heartbeatPeriod" if is_version_2 else "heartbeat_period",
        heartbeat_s=heartbeat_s,
        heartbeat_ns=heartbeat_ns,
        piggyback=_NO_PIGGYBACK if is_seldom else "",
    )


_BUILTIN = """<sendSocketBufferSize>{buffer}</sendSocketBufferSize>
        <listenSocketBufferSize>{buffer}</listenSocketBufferSize>
        <useBuiltinTransports>true</useBuiltinTransports>"""
# As config/fastdds.xml has them, but for the buffers.
_TRANSPORTS = {
    "shm": """
      <transport_descriptor>
        <transport_id>satllm_shm</transport_id>
        <type>SHM</type>
        <segment_size>134217728</segment_size>
        <maxMessageSize>67108864</maxMessageSize>
      </transport_descriptor>""",
    "udp": """
      <transport_descriptor>
        <transport_id>satllm_udp</transport_id>
        <type>UDPv4</type>
        <sendBufferSize>{buffer}</sendBufferSize>
        <receiveBufferSize>{buffer}</receiveBufferSize>
      </transport_descriptor>""",
}
_CONTROLLERS = """
        <flow_controller_descriptor_list>{controllers}
        </flow_controller_descriptor_list>"""
_CONTROLLER = """
          <flow_controller_descriptor>
            <name>{name}</name>
            <scheduler>FIFO</scheduler>
            <max_bytes_per_period>{limit}</max_bytes_per_period>
            <period_ms>{period_ms}</period_ms>
          </flow_controller_descriptor>"""
_NO_PIGGYBACK = """
        <disable_heartbeat_piggyback>true</disable_heartbeat_piggyback>"""
_WRITER = """
    <data_writer profile_name={name}>
      <qos>
        <publishMode>
          <kind>ASYNCHRONOUS</kind>
          <flow_controller_name>{controller}</flow_controller_name>
        </publishMode>
        <data_sharing><kind>OFF</kind></data_sharing>{piggyback}
      </qos>
      <times>
        <{heartbeat}><sec>{heartbeat_s}</sec><nanosec>{heartbeat_ns}</nanosec></{heartbeat}>
      </times>
      <historyMemoryPolicy>PREALLOCATED_WITH_REALLOC</historyMemoryPolicy>
      <propertiesPolicy>
        <properties>
          <property><name>fastdds.max_message_size</name><value>{size}</value></property>
        </properties>
      </propertiesPolicy>
    </data_writer>"""
_DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<!-- Made by satllm_ros for this process: batches leave at a limited rate, in datagrams that no router splits. -->
<dds xmlns="http://www.eprosima.com">
  <profiles>
    <transport_descriptors>{descriptors}
    </transport_descriptors>
    <participant profile_name="satllm_participant" is_default_profile="true">
      <rtps>
        {transports}
        <builtin>
          <readerHistoryMemoryPolicy>PREALLOCATED_WITH_REALLOC</readerHistoryMemoryPolicy>
          <writerHistoryMemoryPolicy>PREALLOCATED_WITH_REALLOC</writerHistoryMemoryPolicy>
        </builtin>{controllers}
      </rtps>
    </participant>
    <data_writer profile_name="satllm_writer" is_default_profile="true">
      <qos>
        <publishMode><kind>SYNCHRONOUS</kind></publishMode>
        <data_sharing><kind>OFF</kind></data_sharing>
      </qos>
      <historyMemoryPolicy>PREALLOCATED_WITH_REALLOC</historyMemoryPolicy>
    </data_writer>
    <data_reader profile_name="satllm_reader" is_default_profile="true">
      <qos>
        <data_sharing><kind>OFF</kind></data_sharing>
      </qos>
      <historyMemoryPolicy>PREALLOCATED_WITH_REALLOC</historyMemoryPolicy>
    </data_reader>{writers}
  </profiles>
</dds>
"""
