"""Frames on the wire are told apart by what they carry, and a relay delays and loses them."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hosts.frames import Classifier, Kind
from hosts.relay import Direction, Relay
from hosts.ring import Frame

PREFIX = bytes(range(12))
DATA_WRITER, OTHER_WRITER, ANNOUNCER = b"\x00\x00\x11\x03", b"\x00\x00\x12\x03", b"\x00\x00\x03\xc2"
DATA, DATA_FRAG, HEARTBEAT, INFO_TS = 0x15, 0x16, 0x07, 0x09


def submessage(identity: int, body: bytes, *, little: bool = True) -> bytes:
    return bytes([identity, int(little)]) + struct.pack("<H" if little else ">H", len(body)) + body


def sample(writer: bytes, payload: bytes = b"", identity: int = DATA, *, little: bool = True) -> bytes:
    head = struct.pack("<HH" if little else ">HH", 0, 16) + bytes(4) + writer + bytes(8)
    return submessage(identity, head + payload, little=little)


def announcement(topic: str, writer: bytes, *, little: bool = True) -> bytes:
    order = "<" if little else ">"
    name = topic.encode() + b"\0"
    text = struct.pack(order + "I", len(name)) + name + bytes(-len(name) % 4)
    parameters = struct.pack(order + "HH", 0x0005, len(text)) + text
    parameters += struct.pack(order + "HH", 0x005A, 16) + PREFIX + writer + struct.pack(order + "HH", 1, 0)
    return sample(ANNOUNCER, bytes([0, 3 if little else 2, 0, 0]) + parameters, little=little)


def frame(*submessages: bytes, flags: int = 0, identification: int = 7, content: bytes | None = None) -> bytes:
    message = b"RTPS\x02\x03\x01\x0f" + PREFIX + b"".join(submessages)
    udp = bytes(8) + message if content is None else content
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 0, identification, flags, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    return bytes(12) + b"\x08\x00" + ip + udp


@pytest.mark.parametrize("little", [True, False])
@pytest.mark.parametrize("identity", [DATA, DATA_FRAG])
def test_messages_of_announced_data_topics_are_data(little: bool, identity: int) -> None:
    judge = Classifier()
    assert judge.kind(frame(announcement("rt/sat1/inbox/images", DATA_WRITER, little=little))) is Kind.CONTROL
    judge.kind(frame(announcement("rt/batch_ack", OTHER_WRITER, little=little)))
    stamp = submessage(INFO_TS, bytes(8))
    assert judge.kind(frame(stamp, sample(DATA_WRITER, identity=identity))) is Kind.DATA
    assert judge.kind(frame(stamp, sample(OTHER_WRITER, identity=identity))) is Kind.CONTROL


def test_a_heartbeat_of_a_data_topic_is_control() -> None:
    judge = Classifier()
    judge.kind(frame(announcement("rt/sat1/inbox/images", DATA_WRITER)))
    assert judge.kind(frame(submessage(HEARTBEAT, bytes(4) + DATA_WRITER + bytes(20)))) is Kind.CONTROL


def test_pieces_of_a_datagram_are_of_its_kind() -> None:
    judge = Classifier()
    judge.kind(frame(announcement("rt/sat1/inbox/images", DATA_WRITER)))
    more, rest = 0x2000, 0x00B9
    assert judge.kind(frame(sample(OTHER_WRITER), flags=more, identification=1)) is Kind.CONTROL
    assert judge.kind(frame(sample(DATA_WRITER), flags=more, identification=2)) is Kind.DATA
    assert judge.kind(frame(flags=rest, identification=1, content=bytes(600))) is Kind.CONTROL
    assert judge.kind(frame(flags=rest, identification=2, content=bytes(600))) is Kind.DATA


def test_what_is_no_message_of_the_middleware_is_other() -> None:
    judge = Classifier()
    address_resolution = bytes(12) + b"\x08\x06" + bytes(40)
    assert [judge.kind(f) for f in (b"", address_resolution, frame(content=bytes(40)))] == [Kind.OTHER] * 3


@pytest.mark.parametrize("cut", range(0, 120, 5))
def test_frames_that_are_cut_short_are_what_can_be_seen_of_them(cut: int) -> None:
    whole = frame(announcement("rt/sat1/inbox/images", DATA_WRITER))
    # 42 bytes are addresses; the first word of the middleware says whose message it is.
    assert Classifier().kind(whole[:cut]) is (Kind.CONTROL if cut >= 46 else Kind.OTHER)


def test_frames_come_late_and_in_order() -> None:
    way = Direction(delay_s=0.3, loss=0.0, seed=1)
    way.on_frame(b"one", 10.0)
    way.on_frame(b"two", 10.1)
    assert way.due(10.2) == [] and way.next_s() == pytest.approx(10.3)
    assert way.due(10.3) == [b"one"] and way.due(10.5) == [b"two"] and way.next_s() is None


def test_a_share_of_the_frames_is_lost() -> None:
    way = Direction(delay_s=0.0, loss=0.02, seed=1)
    for _ in range(10_000):
        way.on_frame(b"frame", 0.0)
    assert len(way.due(0.0)) == 10_000 - way.lost and 150 < way.lost < 250


def test_what_is_held_back_is_bounded() -> None:
    way = Direction(delay_s=1.0, loss=0.0, seed=1, held_bytes=10)
    for content in (b"123456", b"1234", b"1"):
        way.on_frame(content, 0.0)
    assert way.lost == 1 and way.due(1.0) == [b"123456", b"1234"]
    way.on_frame(b"again", 2.0)
    assert way.due(3.0) == [b"again"]


class Side:
    """Half of a socket pair in place of an interface."""

    def __init__(self, own: socket.socket) -> None:
        self._socket = own
        own.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> Iterator[Frame]:
        with suppress(BlockingIOError):
            while True:
                content = self._socket.recv(2048)
                yield Frame(1, len(content), content)

    def send(self, content: bytes) -> None:
        self._socket.send(content)


def test_a_relay_passes_frames_both_ways_and_survives_a_dead_line() -> None:
    (host, near), (bridge, far) = (socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    relay = Relay(Side(near), Side(far), *(Direction(0.01, 0.0, seed) for seed in (1, 2)))
    for end in (host, bridge):
        end.setblocking(False)

    def next_of(end: socket.socket) -> bytes:
        while True:
            with suppress(BlockingIOError):
                return end.recv(2048)
            relay.step(1.0)

    host.send(b"there")
    assert next_of(bridge) == b"there"
    bridge.send(b"back")
    assert next_of(host) == b"back"
    host.close()
    bridge.send(b"into nothing")
    with pytest.raises(OSError):
        near.send(b"the line is dead")
    for _ in range(3):
        relay.step(0.02)
