"""The Streams table: one item a stream, three indices (`feed`, `host`, `replays`). Every write asks for its state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, cast

import msgspec
from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, DoesNotExist, PutError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts import table as accounts
from functions.accounts.model import Account
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.errors import OnairError
from functions.streams.model import (
    Audience,
    Download,
    FeedKey,
    Host,
    Ladder,
    Media,
    MediaReport,
    Recorded,
    Replay,
    State,
    Stream,
    Summary,
    feed_key,
    may_have_recording,
)

STREAM: Final = "stream"
# Hosts who announce make few at a time; a profile looks no further.
NEXT_AMONG: Final = 20
REFUSED: Final = "ConditionalCheckFailedException"


class FeedIndex(GlobalSecondaryIndex[Any]):
    """Streams that are live, coming up or ending, by when they start; sparse."""

    class Meta:
        index_name = "feed"
        projection = KeysOnlyProjection()

    feed_key = UnicodeAttribute(hash_key=True)
    started_at = UnicodeAttribute(range_key=True)


class HostIndex(GlobalSecondaryIndex[Any]):
    """Streams of one host, by when they were made."""

    class Meta:
        index_name = "host"
        projection = KeysOnlyProjection()

    host_id = UnicodeAttribute(hash_key=True)
    created_at = UnicodeAttribute(range_key=True)


class ReplaysIndex(GlobalSecondaryIndex[Any]):
    """Recordings of one host, by when they start; sparse."""

    class Meta:
        index_name = "replays"
        projection = KeysOnlyProjection()

    replay_of = UnicodeAttribute(hash_key=True)
    started_at = UnicodeAttribute(range_key=True)


class StreamItem(storage.StoredItem):
    """``stream#{id}`` / ``stream``. The relay reads ``state``, ``key_generation``, ``stadium`` and who may watch."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "STREAMS_TABLE"
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    feed_index = FeedIndex()
    host_index = HostIndex()
    replays_index = ReplaysIndex()

    host_id = UnicodeAttribute()
    host_handle = UnicodeAttribute()
    host_name = UnicodeAttribute()
    host_avatar_url = UnicodeAttribute(null=True)
    host_badges = JSONAttribute(null=True)
    title = UnicodeAttribute()
    topics = JSONAttribute(null=True)
    state = UnicodeAttribute()
    audience = UnicodeAttribute()
    min_age = NumberAttribute(default=0)
    replay = UnicodeAttribute()
    paid_partnership = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    created_ms = NumberAttribute()
    request = UnicodeAttribute()
    scheduled_ms = NumberAttribute(null=True)
    # Sort key of `feed` and `replays`: when it started; while it is only announced, when it is meant to.
    started_at = UnicodeAttribute(null=True)
    started_ms = NumberAttribute(null=True)
    ended_ms = NumberAttribute(null=True)
    end_reason = UnicodeAttribute(null=True)
    epoch = UnicodeAttribute(null=True)
    key_generation = NumberAttribute(default=0)
    publish_request = UnicodeAttribute(null=True)
    media = UnicodeAttribute()
    media_at = NumberAttribute(null=True)
    media_seen = NumberAttribute(null=True)
    media_generation = NumberAttribute(default=0)
    flowed = BooleanAttribute(default=False)
    # Followers are being told that it is live.
    announced = BooleanAttribute(default=False)
    reminded_ms = NumberAttribute(null=True)
    preview = BooleanAttribute(default=False)
    stadium = BooleanAttribute(null=True)
    cover_url = UnicodeAttribute(null=True)
    followers_at_start = NumberAttribute(default=0)
    followers_at_end = NumberAttribute(null=True)
    summary = JSONAttribute(null=True)
    replay_ms = NumberAttribute(null=True)
    replay_bytes = NumberAttribute(null=True)
    replay_picture = UnicodeAttribute(null=True)
    # The host, from the end on where something may have been recorded.
    replay_of = UnicodeAttribute(null=True)
    # Files for the host, as JSON: read whole, written whole.
    download = UnicodeAttribute(null=True)
    feed_key = UnicodeAttribute(null=True)
    # What the relay told of lower renditions, as JSON: read whole, written whole.
    ladder = UnicodeAttribute(null=True)
    stage_refused = UnicodeAttribute(null=True)
    # Who is on screen, as the relay reads it; written by rooms/seating.py.
    stage = UnicodeAttribute(null=True)
    # Whose broadcast is shown beside this one, as the relay reads it; written by rooms/matching.py.
    match = UnicodeAttribute(null=True)
    # Until when one is asked for: by it the sweep finds asks that nobody answered; written by rooms/matching.py.
    match_until = NumberAttribute(null=True)


def stream_key(stream_id: str) -> str:
    """The partition of a stream."""
    return _pk(stream_id)


def read(stream_id: str) -> Stream | None:
    """One stream, as of now."""
    try:
        return stream_of(StreamItem.get(_pk(stream_id), STREAM, consistent_read=True))
    except DoesNotExist:
        return None


def required(stream_id: str) -> Stream:
    """One stream, or ``not_found``."""
    found = read(stream_id)
    if found is None:
        raise OnairError("not_found")
    return found


def read_many(stream_ids: Sequence[str]) -> dict[str, Stream]:
    """Streams by id, any number; those that are gone are absent."""
    found = [stream_of(item) for item in StreamItem.batch_get([(_pk(one), STREAM) for one in stream_ids])]
    return {stream.id: stream for stream in found}


def create(stream: Stream) -> Stream:
    """Store a new stream; for a request that came before, answers what is there, and refuses other content."""
    try:
        _new_item(stream).save(condition=StreamItem.pk.does_not_exist())
    except PutError as error:
        if error.cause_response_code != REFUSED:
            raise
        found = required(stream.id)
        if found.request != stream.request:
            raise OnairError("id_reused", field="Idempotency-Key") from None
        return found
    return stream


def change(stream: Stream) -> Stream:
    """Store what the host changed, as long as the stream has not started."""
    actions: list[Action] = [
        StreamItem.title.set(stream.title),
        StreamItem.topics.set(list(stream.topics)),
        StreamItem.audience.set(stream.audience),
        StreamItem.min_age.set(stream.min_age),
        StreamItem.replay.set(stream.replay),
        _set(StreamItem.paid_partnership, stream.paid_partnership),
        StreamItem.state.set(stream.state),
        _set(StreamItem.scheduled_ms, stream.scheduled_ms),
        _set(StreamItem.started_at, _feed_time(stream)),
        _set(StreamItem.feed_key, stream.feed_key),
    ]
    return _update(stream.id, actions, StreamItem.state.is_in("ready", "scheduled"))


def delete(stream_id: str) -> None:
    """Forget a stream that is not live; ``conflict`` for one that is."""
    settled = StreamItem.state.is_in("ready", "scheduled") | (
        (StreamItem.state == "ended") & StreamItem.summary.exists()
    )
    try:
        StreamItem(_pk(stream_id), STREAM).delete(condition=settled)
    except DeleteError as error:
        if error.cause_response_code == REFUSED:
            raise OnairError("conflict", "End this broadcast before you delete it.") from None
        raise


def start(stream_id: str, host: Host, audience: Audience, account: Account, epoch: str, started_ms: int) -> bool:
    """Make a stream live and its host's only live one, both or neither; False when it was started already.

    Raises
    ------
    OnairError
        ``already_live`` while another stream of this host is live, ``conflict`` when this one has ended or is gone, or
        when the standing of ``account`` has changed since it was read.
    """
    item = StreamItem(_pk(stream_id), STREAM)
    actions: list[Action] = [
        StreamItem.state.set("live"),
        StreamItem.started_ms.set(started_ms),
        StreamItem.started_at.set(clock.rfc3339(started_ms)),
        StreamItem.epoch.set(epoch),
        StreamItem.key_generation.set(1),
        StreamItem.media.set("waiting"),
        StreamItem.followers_at_start.set(account.followers),
        StreamItem.host_name.set(host.display_name),
        StreamItem.host_badges.set(list(host.badges)),
        _set(StreamItem.host_avatar_url, host.avatar_url),
        _set(StreamItem.feed_key, feed_key("live", "waiting", False, audience)),
    ]

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.update(item, actions=actions, condition=StreamItem.state.is_in("ready", "scheduled"))
            batch.update(
                ProfileItem(account_key(host.id), PROFILE),
                actions=[ProfileItem.live_stream.set(stream_id)],
                condition=ProfileItem.live_stream.does_not_exist() & accounts.same_record(account),
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError as error:
        now, host_now = read(stream_id), accounts.read(host.id)
        if now is not None and now.state == "live":
            return False
        if 0 in error.failed:
            raise OnairError("conflict", "This broadcast has ended. Make a new one.") from None
        if host_now is None or host_now.record_version != account.record_version:
            raise OnairError("conflict") from None
        raise OnairError("already_live") from None
    return True


def end(stream: Stream, reason: str, ended_ms: int, followers: int) -> bool:
    """End a live stream and set its host free, both or neither; False when it is not live any more.

    It stays in the index as ``ending`` until `finish` has stored its summary, so that a crash in between is found.
    """
    item = StreamItem(_pk(stream.id), STREAM)
    actions: list[Action] = [
        StreamItem.state.set("ended"),
        StreamItem.ended_ms.set(ended_ms),
        StreamItem.end_reason.set(reason),
        StreamItem.followers_at_end.set(followers),
        StreamItem.feed_key.set("ending"),
    ]

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.update(item, actions=actions, condition=StreamItem.state == "live")
            batch.update(
                ProfileItem(account_key(stream.host.id), PROFILE),
                actions=[ProfileItem.live_stream.remove()],
                condition=ProfileItem.live_stream == stream.id,
            )

    try:
        transaction.commit(write)
    except transaction.ConditionError as error:
        if 0 in error.failed:
            return False
        # The host's account is gone or was set free by hand: the stream must end all the same.
        _update(stream.id, actions, StreamItem.state == "live")
    return True


def finish(stream: Stream, summary: Summary) -> Stream:
    """Store the summary of an ended stream, once: a later one changes nothing and the first is answered.

    It stays in the index as ``recorded`` while its replay may still come, so that none is forgotten.
    """
    item = StreamItem(_pk(stream.id), STREAM)
    summed: list[Action] = [StreamItem.summary.set(_summary_dict(summary))]
    unfinished = (StreamItem.state == "ended") & StreamItem.summary.does_not_exist()
    if may_have_recording(stream):
        summed.append(StreamItem.replay_of.set(stream.host.id))
        waiting: list[Action] = [*summed, StreamItem.feed_key.set("recorded")]
        if _done(item, waiting, unfinished & StreamItem.replay_ms.does_not_exist()):
            return stream_of(item)
    if _done(item, [*summed, StreamItem.feed_key.remove()], unfinished):
        return stream_of(item)
    return required(stream.id)


def set_replay(stream_id: str, recorded: Recorded) -> bool:
    """Store what the recording of an ended stream came to; False when it is gone."""
    item = StreamItem(_pk(stream_id), STREAM)
    told: list[Action] = [
        StreamItem.replay_ms.set(round(recorded.seconds * 1000)),
        StreamItem.replay_bytes.set(recorded.bytes),
        _set(StreamItem.replay_picture, recorded.picture),
    ]
    ended = StreamItem.state == "ended"
    # Before `finish`, the key is `ending` and stays.
    return _done(item, [*told, StreamItem.feed_key.remove()], ended & (StreamItem.feed_key == "recorded")) or _done(
        item, told, ended
    )


def show_replay(stream_id: str, replay: Replay) -> Stream:
    """Store to whom a recording is shown that there is; ``conflict`` where there is none."""
    made = (StreamItem.state == "ended") & (StreamItem.replay_ms > 0)
    return _update(stream_id, [StreamItem.replay.set(replay)], made)


def set_download(stream_id: str, download: Download) -> bool:
    """Store which files were made of a recording; False when the stream is gone."""
    item = StreamItem(_pk(stream_id), STREAM)
    told = StreamItem.download.set(msgspec.json.encode(download).decode())
    return _done(item, [told], StreamItem.state == "ended")


def _done(item: StreamItem, actions: list[Action], condition: Condition) -> bool:
    try:
        item.update(actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code == REFUSED:
            return False
        raise
    return True


def rotate_key(stream: Stream, publish_request: str | None, now_ms: int) -> Stream:
    """Give a live stream its next stream key; until the new publisher is heard its media counts as lost."""
    silent: Media = "lost" if stream.flowed else "waiting"
    actions: list[Action] = [
        StreamItem.key_generation.set(stream.generation + 1),
        _set(StreamItem.publish_request, publish_request),
        StreamItem.media.set(silent),
        StreamItem.media_at.set(now_ms),
        _set(StreamItem.feed_key, feed_key("live", silent, stream.flowed, stream.audience)),
    ]
    unchanged = (StreamItem.state == "live") & (StreamItem.key_generation == stream.generation)
    return _update(stream.id, actions, unchanged)


def set_media(stream: Stream, report: MediaReport) -> bool:
    """Store what the relay reported of ``stream`` as it was read; False when the stream has changed since."""
    media = cast(Media, report.state)
    flowed = stream.flowed or media == "flowing"
    actions: list[Action] = [
        StreamItem.media.set(media),
        StreamItem.media_at.set(report.at_ms),
        _set(StreamItem.media_seen, report.seen_ms or None),
        StreamItem.media_generation.set(report.generation),
        StreamItem.flowed.set(flowed),
        StreamItem.preview.set(stream.preview or report.preview),
        _set(StreamItem.feed_key, feed_key("live", media, flowed, stream.audience)),
        _set(StreamItem.ladder, None if report.ladder is None else msgspec.json.encode(report.ladder).decode()),
        _set(StreamItem.stage_refused, report.stage_refused),
    ]
    unchanged = (
        (StreamItem.state == "live")
        & (StreamItem.key_generation == stream.generation)
        & (StreamItem.media_generation == stream.media_generation)
    )
    if stream.media_ms is None:
        unchanged &= StreamItem.media_at.does_not_exist()
    else:
        unchanged &= StreamItem.media_at == stream.media_ms
    if stream.media_seen_ms is not None:
        # A word from the relay since the stream was read: it is not unheard after all.
        unchanged &= StreamItem.media_seen == stream.media_seen_ms
    try:
        StreamItem(_pk(stream.id), STREAM).update(actions, condition=unchanged)
    except UpdateError as error:
        if error.cause_response_code == REFUSED:
            return False
        raise
    return True


def set_announced(stream_id: str) -> None:
    """Followers are being told; for a stream that is gone nothing is left to say."""
    try:
        StreamItem(_pk(stream_id), STREAM).update([StreamItem.announced.set(True)], condition=StreamItem.state.exists())
    except UpdateError as error:
        if error.cause_response_code != REFUSED:
            raise


def set_reminded(stream: Stream) -> None:
    """Those who asked for it are being told of this start; nothing for a stream that is gone."""
    told: Action = StreamItem.reminded_ms.set(stream.scheduled_ms or 0)
    _done(StreamItem(_pk(stream.id), STREAM), [told], StreamItem.state.exists())


def list_feed(
    key: FeedKey, after: tuple[str, str] | None, limit: int, *, forward: bool = False, since_ms: int | None = None
) -> list[tuple[str, str]]:
    """(stream id, time of its start) in the index `feed`: newest first, or soonest first when ``forward``.

    ``since_ms`` leaves out what starts earlier.
    """
    since = clock.rfc3339(since_ms) if since_ms is not None else None
    last: dict[str, Any] | None = None
    if after is not None and (since is None or after[1] >= since):
        # A place before `since`, where time went on between two pages, would be refused: what follows it begins there.
        stream_id, started_at = after
        last = {
            "feed_key": {"S": key},
            "started_at": {"S": started_at},
            "pk": {"S": _pk(stream_id)},
            "sk": {"S": STREAM},
        }
    condition = StreamItem.started_at >= since if since is not None else None
    found = StreamItem.feed_index.query(
        key, condition, scan_index_forward=forward, limit=limit, page_size=limit, last_evaluated_key=cast(Any, last)
    )
    return [(item.pk.removeprefix("stream#"), item.started_at) for item in found]


def iterate_feed(key: FeedKey, before: str | None = None, since: str | None = None) -> list[str]:
    """Ids of all streams under one key of the index `feed`, oldest first, of those that start before a time if given.

    ``since`` is for a ``before``: from when on.
    """
    condition = StreamItem.started_at < before if before is not None else None
    if before is not None and since is not None:
        # One key condition takes one range, both ends in it.
        condition = StreamItem.started_at.between(since, before)
    return [item.pk.removeprefix("stream#") for item in StreamItem.feed_index.query(key, condition, page_size=500)]


def tell_stadium(stream_id: str, stadium: bool) -> None:
    """Tell the relay whether the room's frames are to travel in the media; nothing for a stream that is gone."""
    try:
        StreamItem(_pk(stream_id), STREAM).update([StreamItem.stadium.set(stadium)], StreamItem.pk.exists())
    except UpdateError as error:
        if error.cause_response_code != REFUSED:
            raise


def list_of_host(host_id: str) -> list[str]:
    """Ids of every stream of one host, oldest first."""
    return [item.pk.removeprefix("stream#") for item in StreamItem.host_index.query(host_id, page_size=500)]


def next_of_host(host_id: str, now_ms: int, *, follower: bool) -> Stream | None:
    """The broadcast that a host has announced next, among the `NEXT_AMONG` that were made last (two calls)."""
    rows = StreamItem.host_index.query(host_id, scan_index_forward=False, limit=NEXT_AMONG, page_size=NEXT_AMONG)
    made = [item.pk.removeprefix("stream#") for item in rows]
    ahead = [
        (stream.scheduled_ms, stream.id, stream)
        for stream in (read_many(made) if made else {}).values()
        if stream.state == "scheduled"
        and stream.scheduled_ms is not None
        and stream.scheduled_ms > now_ms
        and (stream.audience == "everyone" or (follower and stream.audience == "followers"))
    ]
    return min(ahead)[2] if ahead else None


def list_replays(host_id: str, since: str, after: tuple[str, str] | None, limit: int) -> list[tuple[str, str]]:
    """(stream id, time of its start) of one host's recordings in the index `replays`, newest first.

    ``since`` leaves out what started earlier.
    """
    last: dict[str, Any] | None = None
    if after is not None:
        stream_id, started_at = after
        if started_at < since:
            # Nothing is left of what followed; and DynamoDB refuses to begin outside of what is asked for.
            return []
        last = {
            "replay_of": {"S": host_id},
            "started_at": {"S": started_at},
            "pk": {"S": _pk(stream_id)},
            "sk": {"S": STREAM},
        }
    found = StreamItem.replays_index.query(
        host_id,
        StreamItem.started_at >= since,
        scan_index_forward=False,
        limit=limit,
        page_size=limit,
        last_evaluated_key=cast(Any, last),
    )
    return [(item.pk.removeprefix("stream#"), item.started_at) for item in found]


def _update(stream_id: str, actions: list[Action], condition: Condition) -> Stream:
    item = StreamItem(_pk(stream_id), STREAM)
    try:
        item.update(actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code == REFUSED:
            raise OnairError("conflict") from None
        raise
    return stream_of(item)


def _set(attribute: Any, value: Any) -> Action:
    return cast(Action, attribute.remove() if value is None else attribute.set(value))


def _pk(stream_id: str) -> str:
    return f"stream#{stream_id}"


def _feed_time(stream: Stream) -> str | None:
    at_ms = stream.started_ms if stream.started_ms is not None else stream.scheduled_ms
    return clock.rfc3339(at_ms) if at_ms is not None else None


def _summary_dict(summary: Summary) -> dict[str, int]:
    return {name: getattr(summary, name) for name in summary.__struct_fields__}


def _new_item(stream: Stream) -> StreamItem:
    return StreamItem(
        _pk(stream.id),
        STREAM,
        host_id=stream.host.id,
        host_handle=stream.host.handle,
        host_name=stream.host.display_name,
        host_avatar_url=stream.host.avatar_url,
        host_badges=list(stream.host.badges),
        title=stream.title,
        topics=list(stream.topics),
        state=stream.state,
        audience=stream.audience,
        min_age=stream.min_age,
        replay=stream.replay,
        paid_partnership=stream.paid_partnership,
        created_at=clock.rfc3339(stream.created_ms),
        created_ms=stream.created_ms,
        request=stream.request,
        scheduled_ms=stream.scheduled_ms,
        started_at=_feed_time(stream),
        media=stream.media,
        feed_key=stream.feed_key,
    )


def stream_of(item: StreamItem) -> Stream:
    """The stream in an item."""
    return Stream(
        id=item.pk.removeprefix("stream#"),
        host=Host(item.host_id, item.host_handle, item.host_name, item.host_avatar_url, tuple(item.host_badges or ())),
        title=item.title,
        topics=tuple(item.topics or ()),
        state=cast(State, item.state),
        audience=cast(Audience, item.audience),
        created_ms=int(item.created_ms),
        request=item.request,
        min_age=int(item.min_age),
        replay=cast(Replay, item.replay),
        paid_partnership=item.paid_partnership,
        scheduled_ms=_integer(item.scheduled_ms),
        started_ms=_integer(item.started_ms),
        ended_ms=_integer(item.ended_ms),
        end_reason=item.end_reason,
        epoch=item.epoch,
        generation=int(item.key_generation),
        publish_request=item.publish_request,
        media=cast(Media, item.media),
        media_ms=_integer(item.media_at),
        media_seen_ms=_integer(item.media_seen),
        media_generation=int(item.media_generation),
        flowed=bool(item.flowed),
        announced=bool(item.announced),
        reminded_ms=_integer(item.reminded_ms),
        preview=bool(item.preview),
        cover_url=item.cover_url,
        followers_at_start=int(item.followers_at_start),
        followers_at_end=_integer(item.followers_at_end),
        summary=Summary(**item.summary) if item.summary else None,
        replay_s=_seconds(item.replay_ms),
        replay_bytes=int(item.replay_bytes or 0),
        replay_picture=item.replay_picture,
        download=msgspec.json.decode(item.download, type=Download) if item.download else None,
        feed_key=cast("FeedKey | None", item.feed_key),
        match=msgspec.json.decode(item.match, type=_Match).stream if item.match else None,
        match_until_ms=_integer(item.match_until),
        ladder=msgspec.json.decode(item.ladder, type=Ladder) if item.ladder else None,
        stage_refused=item.stage_refused,
    )


class _Match(msgspec.Struct, frozen=True):
    """The attribute `match`: the other broadcast."""

    stream: str


def _integer(value: float | None) -> int | None:
    return None if value is None else int(value)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else int(ms) / 1000


def schedule_ms(moment: datetime) -> int:
    """Milliseconds since the Unix epoch of a moment with a time zone."""
    return int(moment.astimezone(UTC).timestamp() * 1000)
