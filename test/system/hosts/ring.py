"""Frames of network interfaces, through a ring that is shared with the kernel.

A plain socket holds a few dozen of them, which only the administrator may change; a ring holds what it is made for.
"""

from __future__ import annotations

import mmap
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

_ALL_PROTOCOLS = 3
_SOL_PACKET = 263
_RX_RING, _STATISTICS, _VNET_HDR, _IGNORE_OUTGOING = 5, 6, 15, 23
# `struct tpacket_hdr`: status, length of the frame, bytes kept of it, where they begin, where its payload begins.
_HEADER = struct.Struct("@LIIHH")
# Behind the header and its times, `struct sockaddr_ll`: family, protocol, index of the interface.
_ADDRESS, _ADDRESS_AT = struct.Struct("@HHi"), 32
_STATUS = struct.Struct("@L")
_OURS = 1
_OFFLOADS_BYTES = 10
# A frame of 1,500 bytes fits with what stands before it.
SLOT_BYTES = 2048
_BLOCK_BYTES = 1 << 17


@dataclass(frozen=True)
class Frame:
    """A frame that came in: index of the interface, its length, and its content, cut to what a slot holds."""

    interface: int
    length: int
    content: bytes


class Ring:
    """Frames that come in on an interface, or on all, while this is open; and a way to send some out of it.

    Parameters
    ----------
    interface
        Name; empty: all of this network namespace.
    slots
        How many frames are held for us, of `SLOT_BYTES` each; further ones are missed.
    with_offloads
        Whether the ten bytes stand before a frame, here and in `send`, that say which checksum is still to be made.
    """

    def __init__(self, interface: str = "", *, slots: int = 1 << 15, with_offloads: bool = False) -> None:
        self._before = _OFFLOADS_BYTES if with_offloads else 0
        self._slots, self._next = slots, 0
        # Without a protocol nothing comes in before it is bound to its interface.
        protocol = 0 if interface else socket.htons(_ALL_PROTOCOLS)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
        self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        if with_offloads:
            self._socket.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
        size = slots * SLOT_BYTES
        request = struct.pack("@4I", _BLOCK_BYTES, size // _BLOCK_BYTES, SLOT_BYTES, slots)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, request)
        self._memory = mmap.mmap(self._socket.fileno(), size)
        if interface:
            self._socket.bind((interface, _ALL_PROTOCOLS))

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def read(self) -> Iterator[Frame]:
        """Frames that are there, oldest first."""
        while True:
            at = self._next * SLOT_BYTES
            status, length, kept, begin, _ = _HEADER.unpack_from(self._memory, at)
            if not status & _OURS:
                return
            _, _, interface = _ADDRESS.unpack_from(self._memory, at + _ADDRESS_AT)
            content = self._memory[at + begin - self._before : at + begin + kept]
            _STATUS.pack_into(self._memory, at, 0)
            self._next = (self._next + 1) % self._slots
            yield Frame(interface, length, content)

    def send(self, content: bytes) -> None:
        """Send a frame out of the interface.

        Raises
        ------
        OSError
            If the interface is down, or its queue is full.
        """
        self._socket.send(content)

    def missed(self) -> int:
        """Frames that the ring had no room for since this was last asked."""
        return struct.unpack("@2I", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]

    def close(self) -> None:
        self._memory.close()
        self._socket.close()

    def __enter__(self) -> Ring:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()
