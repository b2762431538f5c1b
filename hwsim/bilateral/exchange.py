"""A four-message exchange beside the link protocol, on the same channel: what more messages can and cannot buy.

DATA carries something over, SIG1 says it came, SIG2 says that that is known, SIG3 that this is known too.  The
initiator gives what it has away as it sends SIG2 and is sure of it with SIG3; the responder owns it with SIG2.  With a
timeout each request (DATA, SIG2) is sent again until it is answered; without one a lost frame ends the exchange, as on
a link that dies for good, and an initiator that waits for SIG3 then cannot tell whether SIG2 or SIG3 was lost.

A frame: Ethernet II with EtherType 0x88B6 (local experiments), one octet of kind, four of the exchange's number,
padding to 60 octets, FCS.

Source: a design of this project, after the slices that Open Atomic Ethernet's published drafts reflect; J. Gray,
"Notes on data base operating systems" (1978), for the generals.

Not modelled: crashes (nothing of it lies in memory that outlives one); the link protocol has those.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from hwsim.bilateral.wire import NEAREST_BRIDGE
from hwsim.frames import MIN_WITHOUT_FCS, fcs_holds, with_fcs

if TYPE_CHECKING:
    import simpy

ETHERTYPE = 0x88B6
_HEAD = struct.Struct(">6s6sHBI")


class Kind(IntEnum):
    """The four messages, in their order."""

    DATA = 1
    SIG1 = 2
    SIG2 = 3
    SIG3 = 4


class Message(NamedTuple):
    """One message of exchange *number*."""

    kind: Kind
    number: int


def encode(message: Message) -> bytes:
    """The frame that carries *message*."""
    head = _HEAD.pack(NEAREST_BRIDGE, bytes(6), ETHERTYPE, message.kind, message.number)
    return with_fcs(head.ljust(MIN_WITHOUT_FCS, b"\0"))


def decode(octets: bytes) -> Message | None:
    """The message in a frame; None where there is none, or it is damaged."""
    if len(octets) != MIN_WITHOUT_FCS + 4 or not fcs_holds(octets):
        return None
    _, _, ethertype, kind, number = _HEAD.unpack_from(octets)
    if ethertype != ETHERTYPE or kind not in Kind.__members__.values():
        return None
    return Message(Kind(kind), number)


class Initiator:
    """The end that opens exchanges, one at a time.  Set `transmit`; *done* is told the number of each that ended.

    *timeout* (ps) is the time until a request is sent again; None: never.
    """

    def __init__(self, env: simpy.Environment, timeout: int | None, done: Callable[[int], None]) -> None:
        self.env = env
        self.timeout = timeout
        self.transmit: Callable[[bytes], None] = _unheard
        self.requests = 0  # sent, all exchanges together
        self.given: set[int] = set()  # exchanges in which SIG2 was sent
        self.sure: set[int] = set()  # and SIG3 came
        self._done = done
        self._open: Message | None = None  # the request that waits for its answer
        self._serial = 0

    def begin(self, number: int) -> None:
        """Open exchange *number*; what was open is given up."""
        self._request(Message(Kind.DATA, number))

    def receive(self, octets: bytes) -> None:
        """A frame arrived."""
        message, waiting = decode(octets), self._open
        if message is None or waiting is None or message != (waiting.kind + 1, waiting.number):
            return
        if message.kind is Kind.SIG1:
            self.given.add(message.number)
            self._request(Message(Kind.SIG2, message.number))
        else:
            self._open = None
            self.sure.add(message.number)
            self._done(message.number)

    def _request(self, message: Message) -> None:
        self._open = message
        self._serial += 1
        self._send(message, self._serial)

    def _send(self, message: Message, serial: int) -> None:
        self.requests += 1
        self.transmit(encode(message))
        if self.timeout is not None:
            self.env.timeout(self.timeout).callbacks.append(lambda _: self._again(message, serial))

    def _again(self, message: Message, serial: int) -> None:
        if self._open == message and serial == self._serial:
            self._send(message, serial)


class Responder:
    """The end that answers.  Set `transmit`; `owned` are the exchanges whose SIG2 has come."""

    def __init__(self) -> None:
        self.transmit: Callable[[bytes], None] = _unheard
        self.owned: set[int] = set()

    def receive(self, octets: bytes) -> None:
        """A frame arrived: every request is answered, each time it comes."""
        message = decode(octets)
        if message is None or message.kind not in (Kind.DATA, Kind.SIG2):
            return
        if message.kind is Kind.SIG2:
            self.owned.add(message.number)
        self.transmit(encode(Message(Kind(message.kind + 1), message.number)))


def _unheard(_: bytes) -> None:
    """Until somebody listens."""
