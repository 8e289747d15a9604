"""Of which kind a frame on the wire is: a message of a data topic, control, or something else; from its first bytes.

Topics are read from the announcements of the middleware (RTPS: SEDP), which are on the wire too.
"""

from __future__ import annotations

import struct
from enum import Enum

# As much of a frame as is looked at: headers, and a whole announcement of a writer.
LOOKED_AT_BYTES = 2048
_ETHERNET, _IPV4, _UDP = 14, 0x0800, 17
_DATA, _DATA_FRAG = 0x15, 0x16
_ANNOUNCER = b"\x00\x00\x03\xc2"
_PID_TOPIC_NAME, _PID_ENDPOINT_GUID, _PID_SENTINEL = 0x0005, 0x005A, 0x0001
_DATA_TOPICS = ("/inbox/", "/outbox/")
_REMEMBERED_FRAGMENTS = 4096


class Kind(Enum):
    """What a frame carries."""

    DATA = "data"
    CONTROL = "control"
    OTHER = "other"


class Classifier:
    """Judges frames in the order they were on the wire."""

    def __init__(self) -> None:
        self._data_writers: set[bytes] = set()
        self._fragments: dict[bytes, Kind] = {}

    def kind(self, frame: bytes) -> Kind:
        """Of an Ethernet frame, or its beginning."""
        if len(frame) < _ETHERNET + 28 or frame[12:14] != _IPV4.to_bytes(2, "big"):
            return Kind.OTHER
        packet = frame[_ETHERNET:]
        header = 4 * (packet[0] & 0x0F)
        if packet[9] != _UDP:
            return Kind.OTHER
        flags = int.from_bytes(packet[6:8], "big")
        offset, is_more = flags & 0x1FFF, bool(flags & 0x2000)
        datagram = packet[4:6] + packet[12:20]
        if offset:
            # What is cut by the network is large; of one whose beginning was lost nothing else is known.
            return self._fragments.get(datagram, Kind.DATA)
        kind = self._kind_of_message(packet[header + 8 :])
        if is_more:
            self._remember(datagram, kind)
        return kind

    def _remember(self, datagram: bytes, kind: Kind) -> None:
        self._fragments.pop(datagram, None)
        self._fragments[datagram] = kind
        if len(self._fragments) > _REMEMBERED_FRAGMENTS:
            del self._fragments[next(iter(self._fragments))]

    def _kind_of_message(self, message: bytes) -> Kind:
        if message[:4] != b"RTPS":
            return Kind.OTHER
        prefix, place, kind = message[8:20], 20, Kind.CONTROL
        while place + 4 <= len(message):
            identity, flags = message[place], message[place + 1]
            order = "<" if flags & 1 else ">"
            (length,) = struct.unpack_from(order + "H", message, place + 2)
            body = message[place + 4 : place + 4 + length if length else None]
            if identity in (_DATA, _DATA_FRAG) and len(body) >= 12:
                writer = body[8:12]
                if prefix + writer in self._data_writers:
                    kind = Kind.DATA
                elif identity == _DATA and writer == _ANNOUNCER:
                    self._on_announcement(body, order)
            if not length:
                break
            place += 4 + length
        return kind

    def _on_announcement(self, body: bytes, order: str) -> None:
        (to_parameters,) = struct.unpack_from(order + "H", body, 2)
        # Behind the fields named by `to_parameters` and the four bytes that say how parameters are written.
        place = 4 + to_parameters
        if body[place : place + 1] != b"\x00" or len(body) < place + 4:
            return
        little = "<" if body[place + 1] & 1 else ">"
        place += 4
        topic, guid = "", b""
        while place + 4 <= len(body):
            pid, length = struct.unpack_from(little + "HH", body, place)
            value = body[place + 4 : place + 4 + length]
            if pid == _PID_SENTINEL:
                break
            if pid == _PID_TOPIC_NAME and len(value) > 4:
                topic = value[4:].split(b"\0", 1)[0].decode(errors="replace")
            elif pid == _PID_ENDPOINT_GUID:
                guid = value
            place += 4 + length
        if len(guid) == 16 and any(part in topic for part in _DATA_TOPICS):
            self._data_writers.add(guid)
