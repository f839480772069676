"""RTMP chunks → messages and back, with bounds on everything that a sender chooses. Pure: no sockets, no clock.

Section numbers are those of Adobe's "Real Time Messaging Protocol" 1.0 (2012).
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

SET_CHUNK_SIZE: Final = 1
ABORT: Final = 2
ACKNOWLEDGEMENT: Final = 3
USER_CONTROL: Final = 4
WINDOW_SIZE: Final = 5
PEER_BANDWIDTH: Final = 6
AUDIO: Final = 8
VIDEO: Final = 9
DATA: Final = 18
COMMAND_AMF3: Final = 17
COMMAND: Final = 20
AGGREGATE: Final = 22

_CHUNK_BYTES_DEFAULT: Final = 128
# 5.4.1 asks for at least 128; below it a sender only makes work. A message has at most 24 bits of length.
_CHUNK_BYTES_MIN: Final = 128
_CHUNK_BYTES_MAX: Final = 0xFFFFFF
# OBS uses three chunk streams, ffmpeg five.
_CHUNK_STREAMS_MAX: Final = 16
# Messages that are under way at once hold together no more than this many of the longest: one, and sound beside it.
_UNDER_WAY_MAX: Final = 2
# Chunk sizes and aborts in what is fed at once: encoders send one of either.
_OBEYED_MAX: Final = 100
_EXTENDED: Final = 0xFFFFFF
_WRAP: Final = 1 << 32
_HEADER_BYTES: Final = (11, 7, 3, 0)
_MORE_BASIC_BYTES: Final = {0: 1, 1: 2}


class ChunkError(ValueError):
    """Bytes that are no chunks of ours, or too much of something."""


class Message(msgspec.Struct, frozen=True):
    """One RTMP message; ``timestamp`` in ms modulo 2^32."""

    kind: int
    timestamp: int
    stream: int
    body: bytes


class _ChunkStream:
    """What the next header of a chunk stream may leave out (5.3.1.2), and the message that is under way."""

    __slots__ = ("body", "delta", "extended", "kind", "length", "stream", "timestamp")

    def __init__(self) -> None:
        self.timestamp = 0
        self.delta = 0
        self.length = 0
        self.kind = 0
        self.stream = 0
        self.extended: int | None = None
        self.body: bytearray | None = None


class ChunkReader:
    """Takes bytes in and gives messages out.

    Nothing is kept of what was fed but a header that is not whole (at most 18 bytes) and the messages under way.

    Parameters
    ----------
    message_bytes_max : int
        Longest message taken; may be raised when the sender has shown its right to send more. Messages that are under
        way at the same time are together at most twice as long.
    """

    def __init__(self, message_bytes_max: int) -> None:
        self.message_bytes_max = message_bytes_max
        # Whole messages so far, also those that are obeyed here: what they cost does not show in bytes.
        self.messages = 0
        self._under_way = 0
        self._obeyed = 0
        self._data: bytes | memoryview = b""
        self._at = 0
        self._chunk_bytes = _CHUNK_BYTES_DEFAULT
        self._streams: dict[int, _ChunkStream] = {}
        # The chunk whose header was read, and how many of its bytes are to come.
        self._open: _ChunkStream | None = None
        self._to_come = 0

    def feed(self, data: bytes | memoryview) -> None:
        """More bytes from the sender.

        Take out messages with `next` until there is none before feeding on; only then may ``data`` change.
        """
        self._data = bytes(self._data[self._at :]) + data if self._at < len(self._data) else data
        self._at = self._obeyed = 0

    def next(self) -> Message | None:
        """The next whole message, None when more bytes are needed; set chunk size and abort are obeyed here.

        Raises
        ------
        ChunkError
            When the bytes break the protocol or a bound; nothing more can be read then.
        """
        while (message := self._message()) is not None:
            if message.kind in (SET_CHUNK_SIZE, ABORT):
                self._obeyed += 1
                if self._obeyed > _OBEYED_MAX:
                    raise ChunkError("too many messages about chunks")
            if message.kind == SET_CHUNK_SIZE:
                size = _number(message)
                if not _CHUNK_BYTES_MIN <= size <= _CHUNK_BYTES_MAX:
                    raise ChunkError(f"a chunk size of {size}")
                self._chunk_bytes = size
            elif message.kind == ABORT:
                aborted = self._streams.get(_number(message))
                if aborted is not None and aborted.body is not None:
                    aborted.body = None
                    self._under_way -= aborted.length
            else:
                return message
        self._data, self._at = bytes(self._data[self._at :]), 0
        return None

    def _message(self) -> Message | None:
        """Read chunks until one completes a message."""
        data, size = self._data, len(self._data)
        while True:
            stream = self._open or self._header()
            if stream is None:
                return None
            body = stream.body
            assert body is not None, "a chunk belongs to a message"
            at, end = self._at, self._at + self._to_come
            if end > size:
                body += data[at:]
                self._open, self._to_come, self._at = stream, end - size, size
                return None
            self._open, self._at = None, end
            if end - at == stream.length:
                # All of it in one piece, as most encoders send most messages.
                whole = bytes(data[at:end])
            else:
                body += data[at:end]
                if len(body) < stream.length:
                    continue
                whole = bytes(body)
            stream.body = None
            self._under_way -= stream.length
            self.messages += 1
            return Message(stream.kind, stream.timestamp, stream.stream, whole)

    def _header(self) -> _ChunkStream | None:
        """Read the header of a chunk and say whose it is, None when it is not here whole."""
        data, at, size = self._data, self._at, len(self._data)
        # The basic header has 1 to 3 bytes (5.3.1.1).
        if size - at < 1 or size - at < 1 + _MORE_BASIC_BYTES.get(data[at] & 63, 0):
            return None
        form, number = data[at] >> 6, data[at] & 63
        at += 1
        if number == 0:
            number = 64 + data[at]
            at += 1
        elif number == 1:
            number = 64 + data[at] + 256 * data[at + 1]
            at += 2
        header_at, at = at, at + _HEADER_BYTES[form]
        if size < at:
            return None
        stream = self._streams.get(number)
        if stream is None:
            if form != 0:
                raise ChunkError("a chunk stream begins without a full header")
            if len(self._streams) >= _CHUNK_STREAMS_MAX:
                raise ChunkError("too many chunk streams")
            stream = _ChunkStream()
        elif form != 3 and stream.body is not None:
            raise ChunkError("a message begins within another")
        length = int.from_bytes(data[header_at + 3 : header_at + 6], "big") if form < 2 else stream.length
        if length > self.message_bytes_max:
            raise ChunkError(f"a message of {length} bytes")
        # What is one chunk is not under way for long: nothing comes before its end.
        begins = stream.body is None and length > self._chunk_bytes
        if begins and self._under_way + length > _UNDER_WAY_MAX * self.message_bytes_max:
            raise ChunkError("too many messages at once")
        field = int.from_bytes(data[header_at : header_at + 3], "big") if form < 3 else 0
        extended = stream.extended
        if form < 3:
            extended = None
            if field == _EXTENDED:
                if size - at < 4:
                    return None
                extended = field = int.from_bytes(data[at : at + 4], "big")
                at += 4
        elif extended is not None:
            # 5.3.1.3: also here. Senders that leave it out are told by the bytes not being the same number.
            if size - at < 4:
                return None
            if int.from_bytes(data[at : at + 4], "big") == extended:
                at += 4
        # The header is here whole: from here on state may change.
        self._streams[number] = stream
        self._at = at
        if stream.body is None:
            stream.body = bytearray()
            self._under_way += length
            stream.length, stream.extended = length, extended
            if form < 2:
                stream.kind = data[header_at + 6]
            if form == 0:
                stream.stream = int.from_bytes(data[header_at + 7 : header_at + 11], "little")
                stream.timestamp = stream.delta = field % _WRAP
            else:
                # 5.3.1.2.4: type 3 repeats the delta, which after type 0 is the timestamp itself.
                stream.delta = stream.delta if form == 3 else field
                stream.timestamp = (stream.timestamp + stream.delta) % _WRAP
        self._to_come = min(self._chunk_bytes, stream.length - len(stream.body))
        return stream


def chunked(chunk_stream: int, message: Message, chunk_bytes: int) -> bytes:
    """A message of ours as chunks; ``chunk_stream`` below 64, times below 2^24 ms."""
    header = struct.pack(">I", message.timestamp)[1:] + struct.pack(">I", len(message.body))[1:]
    made = bytes([chunk_stream]) + header + bytes([message.kind]) + struct.pack("<I", message.stream)
    body = message.body
    pieces = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]
    return made + bytes([0xC0 | chunk_stream]).join(pieces)


def _number(message: Message) -> int:
    if len(message.body) < 4:
        raise ChunkError("a control message is too short")
    return int.from_bytes(message.body[:4], "big")
