"""A host's own media on its way to the other stream of a match: within the task, or to another by `/feed/{stream}`.

It is what the host's source feeds, before anything is composed: never what viewers see, in which the other one is
already. With it go the Opus packets that the host's outlet hands on, where the host sends such: the compositor takes
AAC, and whoever watches by WHEP takes Opus (rival_outlet.py). A feed begins with formats and a key frame. What its
reader does not take in time is dropped until the next key frame, as with a worker (worker.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from media.relay import wire
from media.relay.errors import RelayError
from media.relay.jitter import Frame
from media.relay.metrics import Metrics
from media.relay.peers import Peers
from media.relay.wire import OPUS_BYTES_MAX, Configure, Gone, Message, Opus, Picture, Sound

logger = logging.getLogger(__name__)

# By this a reader says that it knows Opus packets: while tasks are replaced, one of before reads here too.
ACCEPT: Final = "application/octet-stream; opus=1"

# Five seconds of 6 Mb/s: a reader that is so far behind begins again.
_HELD_BYTES_MAX: Final = 4 << 20
# What a message takes beside its media.
_HEAD_BYTES: Final = 128
# Feeds to other tasks at once: more than a task has publishers.
_FEEDS_MAX: Final = 64
# A reader that went away while nothing was sent is noticed within this.
_LOOK_S: Final = 1.0


class Feed:
    """What waits for one reader.

    Parameters
    ----------
    taker : str
        The stream that it is for.
    request_key_frame : Callable[[], None]
        Asks the host for a key frame; called often.
    """

    def __init__(self, taker: str, request_key_frame: Callable[[], None]) -> None:
        self.taker = taker
        self.request_key_frame = request_key_frame
        # Called at the end, perhaps more than once.
        self.on_end: Callable[[], None] = _nobody
        self.takes_opus = False
        self.ended = False
        self.dropped = 0
        self._held: deque[Message] = deque()
        self._bytes = 0
        self._open = False
        self._has_video = False
        self._changed = asyncio.Event()

    def offer(self, message: Message) -> None:
        """The host's next message; returns at once, also when it is dropped."""
        if self.ended or (isinstance(message, Opus) and not self.takes_opus):
            return
        if isinstance(message, Picture | Sound | Opus):
            if not self._takes(message):
                self.dropped += 1
                return
        elif isinstance(message, Configure | Gone):
            if self._bytes > _HELD_BYTES_MAX:
                # Formats are never dropped; what they follow is of no more use.
                self._held.clear()
                self._bytes = 0
            self._has_video = isinstance(message, Configure) and message.video is not None
            self._open = False
            if self._has_video:
                self.request_key_frame()
        self._held.append(message)
        self._bytes += _size(message)
        self._changed.set()

    async def take(self, within_s: float) -> list[Message]:
        """What came since the last time; empty when nothing did ``within_s``, or the feed has ended."""
        if not self._held and not self.ended:
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), within_s)
        taken = list(self._held)
        self._held.clear()
        self._bytes = 0
        return taken

    def end(self) -> None:
        """Nothing follows, and what waits is not wanted."""
        self.ended = True
        self._held.clear()
        self._bytes = 0
        self._changed.set()
        self.on_end()

    def _takes(self, message: Picture | Sound | Opus) -> bool:
        if self._bytes > _HELD_BYTES_MAX:
            self._open = False
        if not self._open and self._bytes <= _HELD_BYTES_MAX // 2:
            self._open = not self._has_video or (isinstance(message, Picture) and message.unit.key)
            if not self._open:
                self.request_key_frame()
        return self._open


class OpusTap:
    """What a host's outlet hands on to a feed, beside those who watch by WHEP: the sound (outlet.py)."""

    kind = "audio"

    def __init__(self, track: str, feed: Feed) -> None:
        self._track = track
        self._feed = feed

    def offer(self, _publisher: int, frame: Frame, /) -> None:
        """The host's next Opus packet; of another publisher the feed is told otherwise."""
        if 0 < len(frame.data) <= OPUS_BYTES_MAX:
            self._feed.offer(Opus(self._track, frame.timestamp, frame.data))


class Feeds:
    """The handlers of `/feed/{stream}`, which are for other tasks alone.

    Parameters
    ----------
    open_feed : Callable[[str, str], Feed]
        A stream's feed for another stream; raises `RelayError` (stages.py).
    peers, metrics
        The task's own.
    """

    def __init__(self, open_feed: Callable[[str, str], Feed], peers: Peers, metrics: Metrics) -> None:
        self._open_feed = open_feed
        self._peers = peers
        self._metrics = metrics
        self._count = 0
        # By stream and taker.
        self._open: dict[tuple[str, str], Feed] = {}

    def routes(self) -> list[web.RouteDef]:
        """What to register."""
        return [web.get("/feed/{stream}", self.feed), web.post("/feed/{stream}/key-frame", self.key_frame)]

    async def key_frame(self, request: web.Request) -> web.Response:
        """Ask the host for a key frame: who watches there needs one at once, and the feed goes on."""
        stream_id = request.match_info["stream"]
        if not self._peers.comes_from_peer(request.headers, stream_id):
            raise RelayError("forbidden", "Only another relay may ask here.")
        feed = self._open.get((stream_id, request.query.get("for", "")))
        if feed is None:
            raise RelayError("not_found", "Nobody reads this feed.")
        feed.request_key_frame()
        return web.Response(status=204)

    async def feed(self, request: web.Request) -> web.StreamResponse:
        """The stream's feed for the stream that ``for`` names, for as long as there is one."""
        stream_id = request.match_info["stream"]
        if not self._peers.comes_from_peer(request.headers, stream_id):
            raise RelayError("forbidden", "Only another relay may read here.")
        if self._count >= _FEEDS_MAX:
            raise RelayError("unavailable", "This relay has no room for another feed. Try again in a moment.")
        feed = self._open_feed(stream_id, request.query.get("for", ""))
        feed.takes_opus = request.headers.get("Accept") == ACCEPT
        place = (stream_id, feed.taker)
        self._open[place] = feed
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Cache-Control": "no-store"})
        self._count += 1
        self._metrics.feeds.set(self._count)
        try:
            await response.prepare(request)
            while not feed.ended and request.transport is not None and not request.transport.is_closing():
                messages = await feed.take(_LOOK_S)
                if messages:
                    data = b"".join(map(wire.encoded, messages))
                    self._metrics.feed_bytes.inc(len(data))
                    await response.write(data)
        except ConnectionError as error:
            logger.info("the reader of %s is gone: %r", stream_id, error)
        finally:
            feed.end()
            if self._open.get(place) is feed:
                del self._open[place]
            self._count -= 1
            self._metrics.feeds.set(self._count)
        return response


def _size(message: Message) -> int:
    match message:
        case Picture():
            return len(message.unit.data) + _HEAD_BYTES
        case Sound():
            return len(message.sample.data) + _HEAD_BYTES
        case Opus():
            return len(message.data) + _HEAD_BYTES
        case Configure(video=video) if video is not None:
            return len(video.sps) + sum(map(len, video.pps)) + _HEAD_BYTES
        case _:
            return _HEAD_BYTES


def _nobody() -> None:
    """Nobody wants to know."""
