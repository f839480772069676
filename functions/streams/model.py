"""Rules about streams, pure: who may watch, what a stream may become, and when silence ends it. No storage, no HTTP."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

State = Literal["scheduled", "ready", "live", "ended"]
Media = Literal["waiting", "flowing", "lost"]
# What a client is told: a stream that has ended and can be watched again is a `replay`.
Shown = Literal["scheduled", "ready", "live", "ended", "replay"]
# What the relay tells: of the media while it is live, and once after its end that all of it is stored. `deleted` comes
# from ourselves (forgetting.py), in the same queue, so that it follows what the relay told before.
Reported = Literal["waiting", "flowing", "lost", "archived", "deleted"]
Audience = Literal["everyone", "followers", "members"]
Replay = Literal["public", "followers", "off"]
Role = Literal["host", "moderator", "viewer", "visitor"]
# Where the index `feed` holds a stream; absent for those that it does not hold.
#   upcoming   announced for everyone, not started
#   announced  announced for followers only, not started: those who asked for it are reminded
#   waiting    live, its media never flowed yet
#   live       live and flowing, for everyone: the feed
#   followers  live and flowing, for followers only
#   lost       live, its media flowed and is lost now
#   ending     ended, its summary not stored yet: the sweep finishes it
#   recorded   ended, its replay not put together yet: the relay tells when it can be, or the sweep finds it
FeedKey = Literal["upcoming", "announced", "waiting", "live", "followers", "lost", "ending", "recorded"]
# Every key under which a live stream stands: for whoever needs all live streams (rooms/ring_live.py).
LIVE_FEED_KEYS: Final[tuple[FeedKey, ...]] = ("waiting", "live", "followers", "lost")

TITLE_LENGTH_MAX: Final = 100
TOPICS_MAX: Final = 5
TOPIC_LENGTH_MAX: Final = 30
PAID_PARTNERSHIP_LENGTH_MAX: Final = 100
MIN_AGE_MAX: Final = 99
SCHEDULE_AHEAD_MS_MAX: Final = 90 * 86_400_000
NEVER_FLOWED_MS_MAX: Final = 5 * 60_000
LOST_MS_MAX: Final = 2 * 60_000
# Three of the relay's half-minute repeats.
UNHEARD_MS_MAX: Final = 90_000
# A relay that lives has stored everything by then, but for what S3 did not take.
RECORDING_MS_MAX: Final = 90_000
# People who asked for it are told this long before a broadcast is to start.
REMIND_AHEAD_MS: Final = 10 * 60_000
DAY_MS: Final = 86_400_000
JUST_STARTED_MS: Final = 5 * 60_000
POPULAR_VIEWERS: Final = 100

ENDED_BY_HOST: Final = "host"
NEVER_FLOWED: Final = "never_flowed"
LOST: Final = "lost"
# The host's account is not in good standing any more.
ENDED_BY_STANDING: Final = "standing"


class Host(msgspec.Struct, frozen=True):
    """Who broadcasts, as of when the stream was made or started."""

    id: str
    handle: str
    display_name: str
    avatar_url: str | None = None
    badges: tuple[str, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """What a broadcast came to; ``diamonds`` are whole ones, rounded down. ``shares`` is how often its link was shared
    until it ended, ``arrivals`` how many came by one; both are 0 in summaries of before they were counted."""

    duration_s: int
    viewers_peak: int
    viewers_unique: int
    comments: int
    reactions: int
    gifts: int
    diamonds: int
    new_followers: int
    shares: int = 0
    arrivals: int = 0


class DownloadFile(msgspec.Struct, frozen=True):
    """A file by which the host keeps a recording, or a stretch of it."""

    name: str
    bytes: int
    duration_s: float


class Download(msgspec.Struct, frozen=True):
    """The files that were made of a recording; ``of_ms``: how long it played then, in ms."""

    of_ms: int
    files: tuple[DownloadFile, ...]


class Recorded(msgspec.Struct, frozen=True):
    """What a recording came to: how long it plays, its bytes, the name of its first picture; nothing by default."""

    seconds: float = 0.0
    bytes: int = 0
    picture: str | None = None


class Stream(msgspec.Struct, frozen=True):
    """A stream as stored. ``generation`` counts its stream keys; ``request`` is what it was made of (a fingerprint)."""

    id: str
    host: Host
    title: str
    topics: tuple[str, ...]
    state: State
    audience: Audience
    created_ms: int
    request: str
    min_age: int = 0
    replay: Replay = "public"
    paid_partnership: str | None = None
    scheduled_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    end_reason: str | None = None
    epoch: str | None = None
    generation: int = 0
    publish_request: str | None = None
    media: Media = "waiting"
    media_ms: int | None = None
    media_seen_ms: int | None = None
    media_generation: int = 0
    flowed: bool = False
    announced: bool = False
    # The start that people were reminded of: a later one is told anew.
    reminded_ms: int | None = None
    preview: bool = False
    cover_url: str | None = None
    followers_at_start: int = 0
    followers_at_end: int | None = None
    summary: Summary | None = None
    # How long the replay plays; 0 where nothing was recorded, None until that is known.
    replay_s: float | None = None
    replay_bytes: int = 0
    # The name of the recording's first picture.
    replay_picture: str | None = None
    download: Download | None = None
    feed_key: FeedKey | None = None
    # The broadcast that is shown beside this one.
    match: str | None = None
    # Until when an ask for a match is open that nobody answered yet.
    match_until_ms: int | None = None
    ladder: Ladder | None = None
    # Why viewers see the host alone, though guests or a rival are to be on screen (a stable word of the relay's).
    stage_refused: str | None = None


class Ladder(msgspec.Struct, frozen=True):
    """What the relay tells of lower renditions: short sides of those made, and why none are (a stable word)."""

    renditions: Annotated[tuple[int, ...], msgspec.Meta(max_length=8)] = ()
    refused: Annotated[str, msgspec.Meta(max_length=40)] | None = None


class MediaReport(msgspec.Struct, frozen=True):
    """What the relay tells of a stream's media; ``preview`` once there is a picture to show.

    ``at_ms`` is when the state began, ``seen_ms`` when it was seen: the relay says ``flowing`` again each half minute.
    """

    stream: str
    generation: int
    state: Reported
    at_ms: int
    preview: bool = False
    seen_ms: int = 0
    ladder: Ladder | None = None
    stage_refused: Annotated[str, msgspec.Meta(max_length=40)] | None = None

    @property
    def moment_ms(self) -> int:
        """When this was true, by the relay's clock."""
        return max(self.at_ms, self.seen_ms)


def feed_key(state: State, media: Media, flowed: bool, audience: Audience) -> FeedKey | None:
    """Where the index holds a stream in this condition."""
    if state == "scheduled":
        return "upcoming" if audience == "everyone" else "announced"
    if state != "live":
        return None
    if media == "flowing":
        return "live" if audience == "everyone" else "followers"
    return "lost" if flowed else "waiting"


def is_newer(stream: Stream, report: MediaReport) -> bool:
    """Does this report say more than what is known? The same one again counts: a crash after it is made good."""
    if stream.state != "live" or report.generation != stream.generation:
        return False
    if stream.media_generation < report.generation or stream.media_ms is None:
        return True
    return report.moment_ms >= max(stream.media_ms, stream.media_seen_ms or 0)


def unheard(stream: Stream, now_ms: int) -> MediaReport | None:
    """What to believe of a stream that is said to flow though its relay has not been heard for too long: it is lost.

    A relay that dies tells nobody. The report is dated by the last word of that relay, so that its next one is newer.
    """
    seen_ms = stream.media_seen_ms
    if stream.state != "live" or stream.media != "flowing" or seen_ms is None:
        return None
    if now_ms - seen_ms < UNHEARD_MS_MAX:
        return None
    return MediaReport(stream.id, stream.media_generation, "lost", seen_ms, stream.preview, seen_ms)


def reminder_is_due(stream: Stream, now_ms: int) -> bool:
    """Whether those who asked for it are to be told now that this stream is about to start."""
    at_ms = stream.scheduled_ms
    if stream.state != "scheduled" or at_ms is None or stream.reminded_ms == at_ms:
        return False
    return at_ms - REMIND_AHEAD_MS <= now_ms < at_ms


def shown(stream: Stream, now_ms: int, days: int) -> Shown:
    """The state as clients see it, where recordings are kept so many ``days``."""
    kept = stream.replay_s and stream.replay != "off" and now_ms < replay_expires_ms(stream, days)
    return "replay" if stream.state == "ended" and kept else stream.state


def may_have_recording(stream: Stream) -> bool:
    """Whether something of this stream can be stored: it flowed, and a replay was wanted."""
    return stream.flowed and (stream.replay != "off" or bool(stream.replay_s))


def is_hidden(stream: Stream) -> bool:
    """Whether the host alone plays its recording: it was made, and its replay taken back."""
    return stream.state == "ended" and stream.replay == "off" and bool(stream.replay_s)


def replay_expires_ms(stream: Stream, days: int) -> int:
    """From when on a recording that is kept so many ``days`` is not whole any more: its first segment goes first."""
    return (stream.started_ms or 0) + days * DAY_MS


def recording_is_due(stream: Stream, now_ms: int) -> bool:
    """Whether an ended stream's relay has been silent for so long that its replay is made of what there is."""
    ended_ms = stream.ended_ms if stream.ended_ms is not None else now_ms
    return stream.state == "ended" and stream.replay_s is None and now_ms - ended_ms >= RECORDING_MS_MAX


def deletable(stream: Stream) -> bool:
    """Whether a stream may be deleted: it never started, or it has ended and is summed up."""
    return stream.state in ("ready", "scheduled") or (stream.state == "ended" and stream.summary is not None)


def silence(stream: Stream, now_ms: int) -> str | None:
    """The reason for which a live stream must end by itself now, or None."""
    if stream.state != "live" or stream.started_ms is None:
        return None
    if not stream.flowed:
        return NEVER_FLOWED if now_ms - stream.started_ms >= NEVER_FLOWED_MS_MAX else None
    if stream.media == "lost" and stream.media_ms is not None and now_ms - stream.media_ms >= LOST_MS_MAX:
        return LOST
    return None


def why(stream: Stream, viewers: int, now_ms: int) -> str:
    """Why the feed shows this stream: ``popular``, ``just_started`` or ``live``."""
    if viewers >= POPULAR_VIEWERS:
        return "popular"
    if stream.started_ms is not None and now_ms - stream.started_ms < JUST_STARTED_MS:
        return "just_started"
    return "live"


def duration_s(stream: Stream) -> int:
    """Whole seconds from start to end; 0 for a stream that never was live."""
    if stream.started_ms is None or stream.ended_ms is None:
        return 0
    return max(0, stream.ended_ms - stream.started_ms) // 1000
