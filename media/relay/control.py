"""The control plane as the relay sees it: items of the Streams table, and media states told to a queue.

AWS may be away: publishing then is refused, what is on air stays on air, and states wait to be told (newest a stream).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, TypeVar

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.relay.errors import RelayError
from media.relay.metrics import Metrics
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

_CONFIG: Final = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "max_attempts": 2})
_BATCH_MAX: Final = 100
_RETRY_FIRST_S: Final = 0.5
_RETRY_MAX_S: Final = 10.0
_PENDING_MAX: Final = 1_000
# `state` and `match` are reserved words.
_READ: Final[dict[str, Any]] = {
    "ConsistentRead": True,
    "ProjectionExpression": "pk, #state, key_generation, audience, min_age, stadium, replay, stage, #match",
    "ExpressionAttributeNames": {"#state": "state", "#match": "match"},
}


class Seat(msgspec.Struct, frozen=True):
    """A seat that a guest holds; ``muted`` by the host: nobody hears it."""

    seat: str
    muted: bool = False


class StageItem(msgspec.Struct, frozen=True):
    """Who is on screen with the host, first come first, and how they are arranged (functions/rooms/seats.py)."""

    layout: str = "grid"
    seats: tuple[Seat, ...] = ()


class MatchItem(msgspec.Struct, frozen=True):
    """The other stream of a match, as this one's item names it; it goes on only while each names the other."""

    stream: str = ""


class StreamItem(msgspec.Struct, frozen=True):
    """What the relay reads of a stream."""

    state: str
    key_generation: int
    # Whether anyone may see its picture in a feed: an audience of everyone, of any age.
    for_everyone: bool = False
    # Whether the room's frames are to travel in the media.
    stadium: bool = False
    # Whether a replay is wanted; else nothing is recorded.
    recorded: bool = False
    stage: StageItem = StageItem()
    match: MatchItem = MatchItem()


_Told = TypeVar("_Told", StageItem, MatchItem)


class LadderState(msgspec.Struct, frozen=True):
    """Short sides of the lower renditions that are made, and why none are (ladders.py)."""

    renditions: tuple[int, ...] = ()
    refused: str | None = None


class MediaState(msgspec.Struct, frozen=True):
    """The message that functions/streams reads: what a stream's media does since ``at_ms``, seen at ``seen_ms``."""

    stream: str
    generation: int
    state: str
    at_ms: int
    preview: bool
    seen_ms: int
    ladder: LadderState = LadderState()
    # Why guests or a rival are not shown, though they are to be (stages.py).
    stage_refused: str | None = None

    @property
    def deduplication_id(self) -> str:
        """Another one each time that it is told anew, the same when sending is tried again."""
        return f"{self.stream}-{self.generation}-{self.state}-{self.at_ms}-{int(self.preview)}-{self.seen_ms}"


class Control:
    """Reads stream items and announces media states; every AWS call runs in a thread."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._dynamodb: Any = boto3.client("dynamodb", config=_CONFIG)
        self._sqs: Any = boto3.client("sqs", config=_CONFIG) if settings.media_queue_url else None
        self._pending: dict[str, MediaState] = {}
        self._wake = asyncio.Event()

    async def read(self, stream_id: str) -> StreamItem | None:
        """The stream's item, strongly consistent; None if there is none; ``unavailable`` if AWS does not answer."""
        try:
            answer: dict[str, Any] = await asyncio.to_thread(
                self._dynamodb.get_item,
                TableName=self._settings.streams_table,
                Key=_key(stream_id),
                **_READ,
            )
        except (BotoCoreError, ClientError) as error:
            self._metrics.control_errors.inc()
            logger.warning("cannot read stream %s: %s", stream_id, error)
            raise RelayError("unavailable", "The broadcast cannot be checked now. Try again in a moment.") from None
        item = answer.get("Item")
        return None if item is None else _item(item)

    async def read_many(self, stream_ids: Iterable[str]) -> dict[str, StreamItem | None] | None:
        """Items of streams on air (None: no such item); None altogether when AWS does not answer."""
        wanted = list(stream_ids)
        found: dict[str, StreamItem | None] = dict.fromkeys(wanted)
        try:
            for start in range(0, len(wanted), _BATCH_MAX):
                keys = [_key(stream_id) for stream_id in wanted[start : start + _BATCH_MAX]]
                answer: dict[str, Any] = await asyncio.to_thread(self._read_batch, keys)
                for item in answer["Responses"].get(self._settings.streams_table, []):
                    found[str(item["pk"]["S"]).removeprefix("stream#")] = _item(item)
                unread = answer.get("UnprocessedKeys", {}).get(self._settings.streams_table, {}).get("Keys", [])
                for key in unread:
                    # Throttled: nothing is known of it this time.
                    found.pop(str(key["pk"]["S"]).removeprefix("stream#"), None)
        except (BotoCoreError, ClientError) as error:
            self._metrics.control_errors.inc()
            logger.warning("cannot read the items of streams on air: %s", error)
            return None
        return found

    def announce(self, message: MediaState) -> None:
        """Tell the queue, soon; a newer state of the same stream replaces one not yet told."""
        if len(self._pending) >= _PENDING_MAX and message.stream not in self._pending:
            self._pending.pop(next(iter(self._pending)))
        self._pending[message.stream] = message
        self._wake.set()

    async def run(self) -> None:
        """Send what is announced, for ever; failures are retried with growing pauses."""
        pause_s = _RETRY_FIRST_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            for stream_id in list(self._pending):
                message = self._pending[stream_id]
                if await self._send(message):
                    pause_s = _RETRY_FIRST_S
                    if self._pending.get(stream_id) is message:
                        del self._pending[stream_id]
                else:
                    self._wake.set()
            if self._pending:
                self._wake.set()
                await asyncio.sleep(pause_s)
                pause_s = min(_RETRY_MAX_S, pause_s * 2)

    async def drain(self, deadline_s: float) -> None:
        """Try to tell what is left before the process ends."""
        messages = list(self._pending.values())
        if messages:
            await asyncio.wait([asyncio.ensure_future(self._send(message)) for message in messages], timeout=deadline_s)

    async def _send(self, message: MediaState) -> bool:
        if self._sqs is None:
            return True
        try:
            await asyncio.to_thread(
                self._sqs.send_message,
                QueueUrl=self._settings.media_queue_url,
                MessageBody=msgspec.json.encode(message).decode(),
                MessageGroupId=message.stream,
                MessageDeduplicationId=message.deduplication_id,
            )
        except (BotoCoreError, ClientError) as error:
            self._metrics.control_errors.inc()
            logger.warning("cannot tell the media state of %s: %s", message.stream, error)
            return False
        self._metrics.announcements.inc()
        return True

    def _read_batch(self, keys: list[dict[str, Any]]) -> dict[str, Any]:
        return self._dynamodb.batch_get_item(RequestItems={self._settings.streams_table: {"Keys": keys, **_READ}})


def _key(stream_id: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"stream#{stream_id}"}, "sk": {"S": "stream"}}


def _item(item: dict[str, Any]) -> StreamItem:
    age = int(item.get("min_age", {}).get("N", "0"))
    return StreamItem(
        state=str(item.get("state", {}).get("S", "")),
        key_generation=int(item.get("key_generation", {}).get("N", "0")),
        for_everyone=item.get("audience", {}).get("S") == "everyone" and age == 0,
        stadium=item.get("stadium", {}).get("BOOL") is True,
        recorded=item.get("replay", {}).get("S", "off") != "off",
        stage=_told(item.get("stage", {}).get("S"), StageItem),
        match=_told(item.get("match", {}).get("S"), MatchItem),
    )


def _told(text: str | None, kind: type[_Told]) -> _Told:
    """What is told of seats or of a match; what cannot be read tells of none, so that nobody is let in by mistake."""
    if not text:
        return kind()
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        logger.warning("a stream's %s cannot be read: %.200s", kind.__name__, text)
        return kind()
