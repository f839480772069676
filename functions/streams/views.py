"""What the stream routes take and give: the wire shapes of streams, and how a stream becomes one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions import clock, settings, tokens
from functions.accounts.model import Devices
from functions.streams.model import (
    MIN_AGE_MAX,
    PAID_PARTNERSHIP_LENGTH_MAX,
    TITLE_LENGTH_MAX,
    TOPIC_LENGTH_MAX,
    TOPICS_MAX,
    Audience,
    Host,
    Media,
    Replay,
    Role,
    Shown,
    Stream,
    shown,
)

# Lengths hold after normalisation to NFC, which the types cannot know: parse.text checks them, these document.
Title = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": TITLE_LENGTH_MAX})]
Topic = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": TOPIC_LENGTH_MAX})]
Topics = Annotated[list[Topic], Meta(max_length=TOPICS_MAX)]
Partner = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": PAID_PARTNERSHIP_LENGTH_MAX})]
MinAge = Annotated[int, Meta(ge=0, le=MIN_AGE_MAX)]
# RFC 3339 with an offset: a time without one means another moment to each reader.
Moment = Annotated[datetime, Meta(tz=True)]


class NewStream(msgspec.Struct, frozen=True):
    """A stream to be. ``paid_partnership`` names the brand; ``min_age`` 0 lets everyone in."""

    title: Title
    devices: Devices
    topics: Topics = []
    audience: Audience = "everyone"
    min_age: MinAge = 0
    scheduled_for: Moment | None = None
    replay: Replay = "public"
    paid_partnership: Partner | None = None


class StreamChange(msgspec.Struct, frozen=True):
    """What changes about a stream that has not started; absent fields stay, null takes away.

    Of a recording, ``replay`` alone changes: ``off`` leaves it to its host.
    """

    title: Title | UnsetType = UNSET
    topics: Topics | UnsetType = UNSET
    audience: Audience | UnsetType = UNSET
    min_age: MinAge | UnsetType = UNSET
    scheduled_for: Moment | UnsetType | None = UNSET
    replay: Replay | UnsetType = UNSET
    paid_partnership: Partner | UnsetType | None = UNSET


class StartStream(msgspec.Struct, frozen=True):
    """What the host's app may use now."""

    devices: Devices


class Publish(msgspec.Struct, frozen=True):
    """Where and with what the host publishes."""

    whip_url: str
    rtmp_url: str
    stream_key: str


class LadderView(msgspec.Struct, frozen=True):
    """Short sides of the lower renditions that viewers may choose, best first; ``refused`` says why none are made.

    That is one of ``off``, ``one_processor``, ``task_full``, ``too_slow``, ``worker_died`` and ``source_too_small``.
    """

    renditions: tuple[int, ...]
    refused: str | UnsetType = UNSET


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """A stream as clients see it. ``why`` stands in the feed only, ``publish`` in the host's answer to start,
    ``ladder`` and ``stage_refused`` only for the host of what is live. The latter stands while guests or a rival are to
    be on screen and viewers see the host alone: ``no_processor`` (the relay has none to spare) or ``worker_died`` (it
    tries again soon).

    ``reminder``, of one that is announced: whether whoever asks wants to be reminded of it.
    """

    id: str
    title: str
    topics: tuple[str, ...]
    state: Shown
    host: Host
    audience: Audience
    min_age: int
    replay: Replay
    media: Media
    viewers: int
    preview_url: str | None
    created_at: str
    end_reason: str | UnsetType = UNSET
    scheduled_for: str | UnsetType = UNSET
    started_at: str | UnsetType = UNSET
    ended_at: str | UnsetType = UNSET
    paid_partnership: str | UnsetType = UNSET
    reminder: bool | UnsetType = UNSET
    why: Literal["popular", "just_started", "live", "following", "upcoming"] | UnsetType = UNSET
    publish: Publish | UnsetType = UNSET
    ladder: LadderView | UnsetType = UNSET
    stage_refused: str | UnsetType = UNSET


class Streams(msgspec.Struct, frozen=True):
    """A page of streams; without ``cursor`` it is the last."""

    items: list[StreamView]
    cursor: str | UnsetType = UNSET


class TicketQuery(msgspec.Struct, frozen=True):
    """``via``: the code of the shared link by which someone came."""

    via: Annotated[str, Meta(max_length=64)] | None = None


class Ticket(msgspec.Struct, frozen=True):
    """The right to open a room's socket until ``expires_at``, and to play its media until ``playback_expires_at``.

    ``hidden``: ids of accounts whose events the client shows to this one not at all (they block it, or it them).
    """

    socket_url: str
    role: Role
    expires_at: str
    playback_url: str
    playback_expires_at: str
    hidden: tuple[str, ...] = ()


class ReplayRight(msgspec.Struct, frozen=True):
    """The right to play a recording until ``playback_expires_at``; ``hidden`` as in a ticket.

    ``storyboard_url``: WebVTT whose cues name the pictures of the timeline beside it, one each ten seconds.
    The room of then is `GET /streams/{id}/frames`: a frame belongs to the picture whose program date is its ``at``.
    """

    stream: StreamView
    playback_url: str
    playback_expires_at: str
    duration_s: float
    storyboard_url: str
    hidden: tuple[str, ...] = ()


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in a list; ``processing`` until its replay is put together, from when on it has a duration.

    ``viewers``: how many different people watched it live. ``picture_url`` holds for hours, as the right to play it.
    ``bytes``, of one's own: what is stored of it. It is kept whole until ``expires_at``.
    """

    stream: StreamView
    state: Literal["processing", "ready"]
    viewers: int
    expires_at: str
    picture_url: str | None
    duration_s: float | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class Replays(msgspec.Struct, frozen=True):
    """A page of recordings, newest first; without ``cursor`` it is the last."""

    items: list[ReplayView]
    cursor: str | UnsetType = UNSET


class FileView(msgspec.Struct, frozen=True):
    """One MP4, at ``url`` until the answer's ``expires_at``."""

    url: str
    bytes: int
    duration_s: float


class DownloadRight(msgspec.Struct, frozen=True):
    """The files of a recording once ``ready``: one, or one for each format of sound; none while ``preparing``."""

    state: Literal["preparing", "ready"]
    expires_at: str
    files: tuple[FileView, ...] = ()


def view(stream: Stream, viewers: int = 0) -> StreamView:
    """A stream for everyone who may know of it."""
    return StreamView(
        id=stream.id,
        title=stream.title,
        topics=stream.topics,
        state=shown(stream, clock.now_ms(), int(settings.required("REPLAY_DAYS"))),
        host=stream.host,
        audience=stream.audience,
        min_age=stream.min_age,
        replay=stream.replay,
        media=stream.media,
        viewers=viewers,
        preview_url=_preview_url(stream),
        created_at=clock.rfc3339(stream.created_ms),
        end_reason=stream.end_reason or UNSET,
        scheduled_for=_time(stream.scheduled_ms),
        started_at=_time(stream.started_ms),
        ended_at=_time(stream.ended_ms),
        paid_partnership=stream.paid_partnership or UNSET,
    )


def for_host(shown: StreamView, stream: Stream) -> StreamView:
    """The same for its host, with what the relay told of a live one."""
    if stream.state != "live":
        return shown
    told = stream.ladder
    return msgspec.structs.replace(
        shown,
        ladder=UNSET if told is None else LadderView(told.renditions, told.refused or UNSET),
        stage_refused=stream.stage_refused or UNSET,
    )


def publish(stream: Stream) -> Publish:
    """The addresses and the key of the stream's present generation."""
    return Publish(
        whip_url=f"{settings.required('RELAY_URL')}/whip/{stream.id}",
        rtmp_url=settings.required("RTMP_URL"),
        stream_key=tokens.stream_key(stream.id, stream.generation),
    )


def _preview_url(stream: Stream) -> str | None:
    """What stands for the stream in a list: the picture of now; where there is none to show, its cover."""
    # The relay shows other streams' pictures only to holders of a playback token, which no list hands out.
    if not stream.preview or stream.audience != "everyone" or stream.min_age > 0:
        return stream.cover_url
    return f"{settings.required('RELAY_URL')}/preview/{stream.id}.jpg"


def _time(at_ms: int | None) -> str | UnsetType:
    return UNSET if at_ms is None else clock.rfc3339(at_ms)
