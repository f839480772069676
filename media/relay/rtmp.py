"""RTMP: OBS, ffmpeg or a hardware encoder publishes over TCP at `{rtmp_url}/{stream_key}`.

Only what a publisher needs of Adobe's "Real Time Messaging Protocol" 1.0 (2012), whose sections are cited. Until the
stream key is checked a connection may send little and not for long; afterwards everything it sends has a bound.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from media.relay import amf, chunks, flv
from media.relay.chunks import ChunkReader, Message
from media.relay.encoder_source import EncoderSource
from media.relay.errors import RelayError
from media.relay.h264 import BitstreamError
from media.relay.listen import listening
from media.relay.metrics import Metrics
from media.relay.rights import Rights, StreamKey
from media.relay.settings import Settings
from media.relay.streams import Streams
from media.relay.sweep import Sweep

logger = logging.getLogger(__name__)

APPLICATION: Final = "live"
_VERSION: Final = 3
_HANDSHAKE_BYTES: Final = 1_536
# From the connection to `publish` with a valid key. ffmpeg takes a handful of round trips.
_PUBLISH_WITHIN_S: Final = 10.0
_CONNECTIONS_MAX: Final = 512
_UNPROVEN_BYTES_MAX: Final = 64 << 10
_MESSAGE_BYTES_MAX: Final = 4 << 20
# 40 Mb/s over ten seconds: after a stall an encoder sends what it held, but nobody broadcasts at that rate.
_FLOOD_WINDOW_S: Final = 10.0
_FLOOD_BYTES: Final = 50_000_000
# Nine times what sixty pictures a second and their sound are. A message may have a single byte, and costs as much time
# as any.
_FLOOD_MESSAGES: Final = 10_000
# What a peer that does not read may leave in our hands.
_UNREAD_BYTES_MAX: Final = 256 << 10
_COMMANDS_MAX: Final = 1_000
_WINDOW_BYTES: Final = 2_500_000
_WINDOW_BYTES_MIN: Final = 4_096
# Our answers are small, so this is for what comes: ffmpeg sends in chunks of the size that it is told, and in 128 bytes
# when it is told none (5.4.1), which is eighty headers a picture.
_CHUNK_BYTES: Final = 65_536
_CHUNK_BYTES_DEFAULT: Final = 128
_CLOSE_S: Final = 0.5
# Chunk streams and the one message stream of our answers.
_CONTROL_CHUNKS: Final = 2
_COMMAND_CHUNKS: Final = 3
_STATUS_CHUNKS: Final = 5
_MESSAGE_STREAM: Final = 1
# The words that ffmpeg and librtmp (OBS) know as refusals; their description is what the person reads.
_STATUS: Final = {
    "conflict": "NetStream.Publish.BadName",
    "unavailable": "NetStream.Publish.Rejected",
    "invalid_request": "NetStream.Publish.Rejected",
}
_DENIED: Final = "NetStream.Publish.Denied"


class RtmpConnection(asyncio.Protocol):
    """One encoder: handshake, commands, and after `publish` its media. A `Publisher` for `Streams` from then on."""

    def __init__(
        self,
        streams: Streams,
        rights: Rights,
        metrics: Metrics,
        forget: Callable[[RtmpConnection], None],
        sweep: Sweep | None = None,
    ) -> None:
        self.key: StreamKey
        self.source: EncoderSource
        self._streams = streams
        self._rights = rights
        self._metrics = metrics
        self._forget = forget
        self._sweep = sweep
        self._transport: asyncio.Transport
        self._handshake = bytearray()
        self._greeted = False
        self._reader = ChunkReader(_UNPROVEN_BYTES_MAX)
        self._connected = False
        self._admission: asyncio.Task[None] | None = None
        self._admitting = False
        self._publishing = False
        self._closed = False
        self._released = False
        self._gone = asyncio.Event()
        self._chunk_bytes = _CHUNK_BYTES_DEFAULT
        self._received = 0
        self._acknowledged = 0
        self._window_bytes = _WINDOW_BYTES
        self._flood_since_s = 0.0
        self._flood_from = 0
        self._flood_from_messages = 0
        self._leaving: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle

    # ---- asyncio.Protocol ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted: the time to publish runs."""
        self._transport = cast(asyncio.Transport, transport)
        self._deadline = asyncio.get_running_loop().call_later(_PUBLISH_WITHIN_S, self._too_late)

    def data_received(self, data: bytes) -> None:
        """Bytes from the encoder until it publishes."""
        self._take(data)

    def swept(self, data: memoryview) -> None:
        """Bytes from the encoder that publishes, none when it has hung up."""
        if data:
            self._take(data)
        else:
            self._end()

    def sweep_failed(self, error: Exception) -> None:
        """The connection broke, as encoders that vanish leave it."""
        logger.info("RTMP connection lost: %r", error)
        self._transport.abort()

    def _take(self, data: bytes | memoryview) -> None:
        """Work on what came; whatever is wrong with it ends this connection and nothing else."""
        if self._closed:
            return
        now = time.monotonic()
        if now - self._flood_since_s > _FLOOD_WINDOW_S:
            self._flood_since_s = now
            self._flood_from, self._flood_from_messages = self._received, self._reader.messages
        self._received += len(data)
        try:
            if not self._greeted:
                data = self._greet(data)
            self._reader.feed(data)
            self._work(now)
            self._acknowledge()
            self._check_flood()
        except (chunks.ChunkError, amf.AmfError, BitstreamError) as error:
            logger.info("RTMP connection ended: %s", error)
            self._refuse(RelayError("invalid_request", f"The encoder sent what is not understood: {error}."))
        except flv.UnsupportedError as error:
            self._refuse(RelayError("invalid_request", str(error)))
        except RelayError as error:
            self._refuse(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The encoder is gone."""
        if exc is not None:
            logger.info("RTMP connection lost: %r", exc)
        self._closed = True
        self._gone.set()
        self._deadline.cancel()
        self._read_no_more()
        self._forget(self)
        if self._publishing and not self._released and self._leaving is None:
            self._leaving = asyncio.ensure_future(self._streams.left(self))

    # ---- Publisher ----

    def request_key_frame(self) -> None:
        """RTMP has no way to ask; the encoder's own interval decides."""

    async def close(self) -> None:
        """Disconnect, giving what was said last a moment to be read."""
        self._closed = self._released = True
        self._read_no_more()
        self._transport.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), _CLOSE_S)
        self._transport.abort()

    # ---- handshake (5.2) ----

    def _greet(self, data: bytes | memoryview) -> bytes:
        """Answer C0 and C1, wait for C2; returns the bytes that follow it."""
        before = len(self._handshake)
        self._handshake += data
        if self._handshake[:1] and self._handshake[0] != _VERSION:
            raise chunks.ChunkError(f"RTMP version {self._handshake[0]}")
        answered_at, done_at = 1 + _HANDSHAKE_BYTES, 1 + 2 * _HANDSHAKE_BYTES
        if before < answered_at <= len(self._handshake):
            client = bytes(self._handshake[1:answered_at])
            # Version bytes of zero in S1 ask for the plain handshake, without the digests of Flash.
            self._transport.write(bytes([_VERSION]) + bytes(8) + os.urandom(_HANDSHAKE_BYTES - 8) + client)
        if len(self._handshake) < done_at:
            return b""
        rest = bytes(self._handshake[done_at:])
        self._handshake.clear()
        self._greeted = True
        return rest

    # ---- messages ----

    def _work(self, now: float) -> None:
        while not self._closed and not self._admitting and (message := self._reader.next()) is not None:
            self._check_messages()
            if message.kind not in (chunks.AUDIO, chunks.VIDEO):
                self._message(message)
            elif not self._publishing:
                raise RelayError("invalid_request", "Media came before publish.")
            else:
                take = self.source.video if message.kind == chunks.VIDEO else self.source.audio
                take(message.body, message.timestamp, now)

    def _message(self, message: Message) -> None:
        """Anything but media."""
        if self._transport.get_write_buffer_size() > _UNREAD_BYTES_MAX:
            self._transport.abort()
        elif message.kind == chunks.COMMAND:
            self._command(amf.decode(message.body))
        elif message.kind == chunks.COMMAND_AMF3:
            # A byte that tells the format of what follows, which all encoders set to AMF0.
            self._command(amf.decode(message.body[1:]))
        elif message.kind == chunks.WINDOW_SIZE:
            self._window_bytes = max(_WINDOW_BYTES_MIN, int.from_bytes(message.body[:4], "big"))
        elif message.kind == chunks.USER_CONTROL and message.body[:2] == b"\0\6":
            # 7.1.7: a ping request is answered with its own time.
            self._send(_CONTROL_CHUNKS, chunks.USER_CONTROL, 0, b"\0\7" + message.body[2:6])
        elif message.kind == chunks.AGGREGATE:
            raise RelayError("invalid_request", "Aggregate messages are not taken. Send audio and video by themselves.")

    def _command(self, values: list[amf.Value]) -> None:
        name = values[0] if values else None
        transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
        if name == "connect":
            self._connect(transaction, values[2] if len(values) > 2 else None)
        elif name in ("releaseStream", "FCPublish"):
            self._answer("_result", transaction, None, None)
        elif name == "createStream":
            self._answer("_result", transaction, None, float(_MESSAGE_STREAM))
        elif name == "publish":
            self._publish(values[3] if len(values) > 3 else None)
        elif name in ("deleteStream", "FCUnpublish", "closeStream") and self._publishing:
            self._leaving = self._leaving or asyncio.ensure_future(self._streams.left(self))

    def _connect(self, transaction: float, told: amf.Value) -> None:
        """7.2.1.1: the application must be ours; the answer says AMF0."""
        application = told.get("app") if isinstance(told, dict) else None
        if not isinstance(application, str) or application.partition("?")[0].strip("/") != APPLICATION:
            description = f"Publish to /{APPLICATION} with the stream key as the stream's name."
            status = _status("error", "NetConnection.Connect.Rejected", description)
            self._answer("_error", transaction, None, status)
            self._metrics.refusals.labels("not_found").inc()
            self._end()
            return
        self._connected = True
        self._send(_CONTROL_CHUNKS, chunks.WINDOW_SIZE, 0, struct.pack(">I", _WINDOW_BYTES))
        self._send(_CONTROL_CHUNKS, chunks.PEER_BANDWIDTH, 0, struct.pack(">IB", _WINDOW_BYTES, 2))
        properties: amf.Value = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0}
        status = {**_status("status", "NetConnection.Connect.Success", "Welcome."), "objectEncoding": 0.0}
        self._answer("_result", transaction, properties, status)
        self._send(_CONTROL_CHUNKS, chunks.SET_CHUNK_SIZE, 0, struct.pack(">I", _CHUNK_BYTES))
        self._chunk_bytes = _CHUNK_BYTES

    def _publish(self, name: amf.Value) -> None:
        """7.2.2.6: the stream's name is the key; what the control plane says decides, and no byte is read meanwhile."""
        if not self._connected or self._publishing or not isinstance(name, str):
            raise RelayError("invalid_request", "publish comes once, after connect, with the stream key as its name.")
        # Some encoders put options behind the key.
        key = self._rights.read_stream_key(name.partition("?")[0].strip())
        self._admitting = True
        self._transport.pause_reading()
        if self._sweep is not None:
            # Whoever hung up a moment ago, perhaps to come again as this one, has its place no longer.
            self._sweep.read()
        self._admission = asyncio.ensure_future(self._admit(key))

    async def _admit(self, key: StreamKey) -> None:
        try:
            await self._streams.admit(key)
            if self._closed:
                self._streams.gave_up(key)
                return
            self._deadline.cancel()
            self.key = key
            self.source = EncoderSource(self._streams.sink(key.stream_id))
            self._reader.message_bytes_max = _MESSAGE_BYTES_MAX
            self._publishing = True
            await self._streams.arrived(self)
        except RelayError as error:
            self._refuse(error)
            return
        finally:
            self._admitting = False
        if self._closed:
            return
        self._send(_CONTROL_CHUNKS, chunks.USER_CONTROL, 0, b"\0\0" + struct.pack(">I", _MESSAGE_STREAM))
        self._say(_status("status", "NetStream.Publish.Start", "On air."))
        # What came together with `publish` waits in the reader.
        self._take(b"")
        if self._closed:
            return
        if self._sweep is None:
            self._transport.resume_reading()
        else:
            self._sweep.join(self, self._transport)

    # ---- bounds ----

    def _too_late(self) -> None:
        if not self._publishing:
            self._refuse(RelayError("invalid_request", "Nothing was published in time."))

    def _check_flood(self) -> None:
        self._check_messages()
        if self._received - self._flood_from > _FLOOD_BYTES:
            raise RelayError("rate_limited", "This is over 40 Mb/s. Set the encoder to at most 8 Mb/s.")

    def _check_messages(self) -> None:
        if self._reader.messages > _COMMANDS_MAX and not self._publishing:
            raise RelayError("invalid_request", "Too many messages before publish.")
        if self._reader.messages - self._flood_from_messages > _FLOOD_MESSAGES:
            raise RelayError("rate_limited", "These are too many messages a second. Set the encoder to 60 pictures.")

    def _acknowledge(self) -> None:
        """5.4.3: each window of bytes is acknowledged; half of one, so that nobody ever waits."""
        if self._greeted and self._received - self._acknowledged >= self._window_bytes // 2:
            if self._transport.get_write_buffer_size() > _UNREAD_BYTES_MAX:
                self._transport.abort()
                return
            self._acknowledged = self._received
            self._send(_CONTROL_CHUNKS, chunks.ACKNOWLEDGEMENT, 0, struct.pack(">I", self._received & 0xFFFFFFFF))

    # ---- answers ----

    def _refuse(self, error: RelayError) -> None:
        self._metrics.refusals.labels(error.code).inc()
        if self._greeted and not self._closed:
            self._say(_status("error", _STATUS.get(error.code, _DENIED), error.message))
        self._end()

    def _end(self) -> None:
        """Hang up; what was written is sent first, if the peer reads it soon."""
        if not self._closed:
            self._closed = True
            self._read_no_more()
            self._transport.close()
            asyncio.get_running_loop().call_later(_CLOSE_S, self._transport.abort)

    def _read_no_more(self) -> None:
        if self._sweep is not None:
            self._sweep.leave(self)

    def _say(self, status: dict[str, amf.Value]) -> None:
        body = amf.encode("onStatus", 0.0, None, status)
        self._send(_STATUS_CHUNKS, chunks.COMMAND, _MESSAGE_STREAM, body)

    def _answer(self, name: str, transaction: float, properties: amf.Value, result: amf.Value) -> None:
        self._send(_COMMAND_CHUNKS, chunks.COMMAND, 0, amf.encode(name, transaction, properties, result))

    def _send(self, chunk_stream: int, kind: int, stream: int, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(chunks.chunked(chunk_stream, Message(kind, 0, stream, body), self._chunk_bytes))


def _status(level: str, code: str, description: str) -> dict[str, amf.Value]:
    return {"level": level, "code": code, "description": description}


class RtmpServer:
    """Listens for encoders and holds their number."""

    def __init__(self, streams: Streams, rights: Rights, settings: Settings, metrics: Metrics) -> None:
        self._streams = streams
        self._rights = rights
        self._settings = settings
        self._metrics = metrics
        self._connections: set[RtmpConnection] = set()
        self._sweep = Sweep()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on ``rtmp_port``; 0 means that this relay takes no RTMP."""
        if self._settings.rtmp_port:
            loop = asyncio.get_running_loop()
            sock = listening(self._settings.host, self._settings.rtmp_port)
            self._server = await loop.create_server(self.make, sock=sock)

    async def stop(self) -> None:
        """Take no more; whoever still publishes is disconnected by `Streams.drain`."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            await connection.close()

    def make(self) -> asyncio.Protocol:
        """The protocol of a new connection; one beyond the bound is hung up at once."""
        if len(self._connections) >= _CONNECTIONS_MAX:
            return _Full()
        connection = RtmpConnection(self._streams, self._rights, self._metrics, self._connections.discard, self._sweep)
        self._connections.add(connection)
        return connection


class _Full(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()
