"""Counts what every host sends: bytes of frames as they come out of its interface, data and control apart."""

from __future__ import annotations

import select
import socket
import threading
from collections import Counter
from collections.abc import Mapping

from hosts.frames import Classifier, Kind
from hosts.ring import Ring

_LOOK_S = 0.2


class Meter:
    """Listens at the outer ends of lines, `ports` as port: host, until it is closed.

    Frames that the hosts have sent come in there; those that go to them are not counted a second time.
    """

    def __init__(self, ports: Mapping[str, str]) -> None:
        self._hosts = {socket.if_nametoindex(port): host for port, host in ports.items()}
        self._classifier = Classifier()
        self._bytes: Counter[tuple[str, Kind]] = Counter()
        self._ring = Ring()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="meter")
        self._thread.start()

    def _listen(self) -> None:
        while not self._ends.is_set():
            select.select([self._ring], [], [], _LOOK_S)
            for frame in self._ring.read():
                host = self._hosts.get(frame.interface)
                if host is not None:
                    self._bytes[host, self._classifier.kind(frame.content)] += frame.length

    def sent_bytes(self, host: str, kind: Kind) -> int:
        """Bytes of frames of this kind that the host has sent."""
        return self._bytes[host, kind]

    def missed(self) -> int:
        """Frames that came faster than they could be counted, since this was last asked."""
        return self._ring.missed()

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self._ring.close()
