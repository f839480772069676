"""The rules of a room, pure: who may comment and how fast, what counts as a reaction, how fast frames come.

Also the records that pass between rules and storage. What goes over the socket is in messages.py, text rules are in
text.py, and how events become frames is in fold.py.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from functions.errors import OnairError
from functions.rooms.messages import ChatEvent, GiftMessage, Media, MemberRole, Role, RoomSettings, Sender, Transport
from functions.rooms.seats import Stage
from functions.rooms.voting import Poll, Question, Told

__all__ = [
    "Connection",
    "GiftAnswer",
    "GiftMessage",
    "InboxEntry",
    "Limits",
    "Media",
    "Member",
    "Role",
    "Room",
    "RoomSettings",
    "RoomState",
    "RoomSummary",
    "RoomView",
    "Sender",
    "StoredFrame",
    "Totals",
    "Transport",
]

# Emoji → attribute of the counter shards. A kind may be added; a name never changes its emoji.
REACTIONS: Final[Mapping[str, str]] = {
    "❤️": "heart",
    "😂": "laugh",
    "😮": "wow",
    "😢": "sad",
    "👏": "clap",
    "🔥": "fire",
    "🎉": "party",
    "👍": "like",
}
REACTIONS_A_MESSAGE_MAX: Final = 50
# One item takes 1,000 writes a second; eight take what a room's partition takes anyway, and one query reads them all.
REACTION_SHARDS: Final = 8

CHAT_INTERVAL_MS: Final = 1_000
CHAT_BURST: Final = 5
RECENT_MAX: Final = 64
# Where repeats are off, the same words again must wait so long.
REPEAT_REST_MS: Final = 30_000
CONNECTIONS_AN_ACCOUNT_MAX: Final = 3
JOIN_EVENTS_VIEWERS_MAX: Final = 50
RESUME_FRAMES_MAX: Final = 3_000
RECENT_FRAMES_MAX: Final = 30
# Comments that a room shows at once after a while of silence: two seconds' worth.
DISPLAY_BURST_MS: Final = 2_000
# The sequencer waits out the tick within its own time limit; rooms that would need longer are the stadium's.
TICK_MS_MAX: Final = 2_000
# The shard of those whom the sequencer looks at in a stadium too; no viewer is counted here. The relay has its place in
# it, others a second item beside the one in their own shard.
KEPT_SHARD: Final = -1
# A relay pings every 20 s: one that died without a word is missed after this long.
RELAY_TTL_S: Final = 70
EMPTY_LOOKS: Final = 2

_RECENT_BYTES: Final = 12
_VARIATION: Final = "\ufe0f"
_BARE_REACTIONS: Final = {emoji.replace(_VARIATION, ""): emoji for emoji in REACTIONS}


# --- records -----------------------------------------------------------------------------------------------------


class Limits(Struct, frozen=True):
    """What the template sets for every room (times in ms unless the name says otherwise)."""

    slot_ms: int = 200
    skew_guard_ms: int = 30
    posts_budget: int = 8_000
    react_interval_ms: int = 1_000
    reconnect_spread_ms: int = 3_000
    ping_s: int = 300
    shard_size: int = 400
    # What people can follow of comments that fly by; who hosts or moderates is sent all.
    display_lines_s: int = 20
    # Reactions that a room takes in: beyond so many viewers only a sample of them sends.
    reacts_budget: int = 64
    # More than a room's 300 events a second leave in a tick; what is beyond waits for the next read.
    inbox_read_max: int = 500
    # Someone who was counted into a shard may register there seconds later, when it is the newest no more: an empty one
    # is left alone only when two of the schedule's rings found it so.
    empty_shard_ms: int = 150_000
    # From here on frames travel in the media, for those who do not ask for the socket.
    stadium_viewers: int = 5_000
    # Joins between reading a room and posting its frame: 500 a second (the account's quota) for a slot.
    joins_a_slot: int = 100

    @property
    def connection_ttl_s(self) -> int:
        """A connection that missed two pings is gone."""
        return 2 * self.ping_s + 60

    @property
    def stadium_back_viewers(self) -> int:
        """A stadium with so few viewers, or fewer, is none any more: a fifth below, so that a crowd that comes and goes
        around the threshold does not change the way of its frames each time."""
        return self.stadium_viewers * 4 // 5


class Room(Struct, frozen=True, kw_only=True):
    """A stream's audience channel. ``joins`` counts connections that ever came in, ``uniques`` people; ``version``
    rises with each change by those who moderate."""

    stream_id: str
    epoch: str
    host: Sender
    title: str
    live: bool
    settings: RoomSettings = RoomSettings()
    media: Media = "waiting"
    joins: int = 0
    uniques: int = 0
    keywords: tuple[str, ...] = ()
    pinned: ChatEvent | None = None
    showing: Question | None = None
    poll: Poll | None = None
    version: int = 0

    def shard(self, shard_size: int, further_joins: int = 0) -> int:
        """The newest shard of connections, or the one that will be after ``further_joins``."""
        return (self.joins + further_joins) // shard_size


class RoomView(Struct, frozen=True):
    """What another capability needs to know of a room."""

    stream_id: str
    host_id: str
    live: bool
    gifts_on: bool = True
    host_badges: tuple[str, ...] = ()


class Member(Struct, frozen=True, kw_only=True):
    """An account in a room. ``version`` rises by one with each write and guards against two at once.

    ``arrival_ms`` is the rate bucket as a theoretical arrival time (GCRA, ITU-T I.371 Annex A); ``recent`` holds the
    last 64 acts as 8 bytes of the client id's digest and 4 of the content's.
    """

    account: str
    version: int = 0
    arrival_ms: int = 0
    commented_ms: int = 0
    recent: bytes = b""
    muted_until_ms: int = 0
    banned: bool = False
    moderator: bool = False

    def role(self, ticket: Role) -> MemberRole:
        """The role now: a ticket tells hosts and visitors; who is a moderator changes while sockets are open."""
        if ticket in ("host", "visitor"):
            return ticket
        return "moderator" if self.moderator else "viewer"


class Connection(Struct, frozen=True):
    """One open socket. ``closing`` is the code of the `bye` that it is to be sent, when it is to go; ``sent_all`` tells
    that no comment is left out of its frames (hosts and moderators), ``by_socket`` that it asked for the socket."""

    id: str
    account: str
    shard: int
    expires_s: int
    joined_ms: int = 0
    closing: str | None = None
    sent_all: bool = False
    by_socket: bool = False

    @property
    def relay(self) -> bool:
        """Whether this is the relay's."""
        return self.shard == KEPT_SHARD

    @property
    def kept(self) -> bool:
        """Whether it is sent frames by the socket in a stadium too."""
        return self.sent_all or self.by_socket or self.relay


class InboxEntry(Struct, frozen=True):
    """An event that is in no frame yet. ``body`` is its JSON, or None where storage held something else."""

    event_id: str
    body: str | None
    diamonds_milli: int = 0


class Totals(Struct, frozen=True, omit_defaults=True):
    """A room's running sums; each frame carries them on, so that they are right exactly when the frames are."""

    comments: int = 0
    gifts: int = 0
    gift_coins: int = 0
    gift_diamonds_milli: int = 0
    viewers_peak: int = 0


class StoredFrame(Struct, frozen=True, kw_only=True):
    """A frame as it is kept: ``body`` is what clients get, ``event_ids`` the inbox items that it holds.

    ``read_ms`` is when its inbox read began: a ring whose slot ended before that has nothing left to do.
    """

    seq: int
    epoch: str
    at_ms: int
    read_ms: int
    tick_ms: int
    viewers: int
    media: Media
    reactions: dict[str, int]
    totals: Totals
    event_ids: tuple[str, ...]
    body: str
    ended: bool = False
    told: Told = Told()
    lines_ms: float = 0
    stadium: bool = False
    transport: Transport = "socket"
    # The first frame of its transport: it goes both ways, so that everyone hears of the change.
    switched: bool = False


class ShardCount(Struct, frozen=True):
    """Viewers in a shard, and since when that is so; ``looks`` is how often a stadium found it empty, a while apart."""

    viewers: int
    at_ms: int
    looks: int = 0

    def empty(self, since_ms: int, stadium: bool) -> bool:
        """Whether nobody will be found here any more: it was empty by then, and looked at since.

        A room that posts to its shards looks at each once a minute; a stadium does when their turn comes.
        """
        return self.viewers == 0 and (self.looks >= EMPTY_LOOKS if stadium else self.at_ms < since_ms)


class RoomState(Struct, frozen=True):
    """A room with its newest counts. ``shards`` are the counts last told of shards, ``viewers`` the sum last told,
    ``votes`` the tallies of polls and questions (voting.py)."""

    room: Room
    reactions: dict[str, int] = field(default_factory=dict[str, int])
    viewers: int | None = None
    shards: dict[int, ShardCount] = field(default_factory=dict[int, ShardCount])
    votes: dict[str, int] = field(default_factory=dict[str, int])
    stage: Stage = Stage()


class RoomSummary(Struct, frozen=True):
    """A room in numbers, at its end or so far."""

    viewers_peak: int = 0
    viewers_unique: int = 0
    comments: int = 0
    reactions: int = 0
    gifts: int = 0
    gift_coins: int = 0
    gift_diamonds_milli: int = 0


class GiftAnswer(Struct, frozen=True):
    """What sending a gift came to; ``coins`` are those left."""

    event_id: str
    coins: int


# --- rules -------------------------------------------------------------------------------------------------------


def check_present(room: Room | None, member: Member | None, *, joined: bool) -> Room:
    """The room, where this member is in it now.

    Raises
    ------
    OnairError
        ``not_found``, ``not_live``, ``banned`` or ``conflict`` (this connection has not joined).
    """
    if room is None:
        raise OnairError("not_found")
    if not room.live:
        raise OnairError("not_live")
    if member is not None and member.banned:
        raise OnairError("banned")
    if not joined:
        raise OnairError("conflict", "Join this room first.")
    return room


def check_room(given: Room | None, role: Role, *, joined: bool) -> Room:
    """The room, where this role may comment in it now: as `check_present`, and ``forbidden`` where comments are off."""
    room = check_present(given, None, joined=joined)
    if not room.settings.comments_on and role not in ("host", "moderator"):
        raise OnairError("forbidden", "Comments are off in this room.")
    return room


def remembered(member: Member, client_id: str, content: str) -> bool:
    """True when this member did the same under this id before; refuses other content under it (``id_reused``)."""
    mark = _mark(client_id, content)
    for start in range(0, len(member.recent), _RECENT_BYTES):
        if member.recent[start : start + 8] == mark[:8]:
            if member.recent[start + 8 : start + _RECENT_BYTES] != mark[8:]:
                raise OnairError("id_reused", field="id")
            return True
    return False


def admit(member: Member, settings: RoomSettings, role: Role, *, client_id: str, content: str, now_ms: int) -> Member:
    """The member after one more comment.

    Raises
    ------
    OnairError
        ``banned``, ``muted``, ``slow_mode`` or ``rate_limited``; the last two say after how many ms to try again.
    """
    if member.banned:
        raise OnairError("banned")
    if now_ms < member.muted_until_ms:
        raise OnairError("muted", retry_after_ms=member.muted_until_ms - now_ms)
    if role not in ("host", "moderator"):
        wait_ms = member.commented_ms + settings.slow_mode_s * 1000 - now_ms
        if settings.slow_mode_s and wait_ms > 0:
            raise OnairError("slow_mode", retry_after_ms=wait_ms)
        wait_ms = member.commented_ms + REPEAT_REST_MS - now_ms
        if not settings.repeats_on and wait_ms > 0 and member.recent[-4:] == _mark("", content)[8:]:
            raise OnairError("rate_limited", "You just said this. Say something new.", retry_after_ms=wait_ms)
    wait_ms = member.arrival_ms - (CHAT_BURST - 1) * CHAT_INTERVAL_MS - now_ms
    if wait_ms > 0:
        raise OnairError("rate_limited", retry_after_ms=wait_ms)
    recent = (member.recent + _mark(client_id, content))[-RECENT_MAX * _RECENT_BYTES :]
    return replace(
        member,
        version=member.version + 1,
        arrival_ms=max(member.arrival_ms, now_ms) + CHAT_INTERVAL_MS,
        commented_ms=now_ms,
        recent=recent,
    )


def _mark(client_id: str, content: str) -> bytes:
    return hashlib.sha256(client_id.encode()).digest()[:8] + hashlib.sha256(content.encode()).digest()[:4]


def count_reactions(counts: Mapping[str, int]) -> dict[str, int]:
    """Taps by kind, checked: known emoji, each ≥1, together ≤50.

    An emoji counts with and without its variation selector (U+FE0F), since keyboards differ.

    Raises
    ------
    OnairError
        ``invalid_request`` naming the field ``counts``.
    """
    if not counts or len(counts) > len(REACTIONS):
        raise OnairError("invalid_request", f"Send 1 to {len(REACTIONS)} kinds of reaction.", field="counts")
    taps: dict[str, int] = {}
    for typed, count in counts.items():
        emoji = _BARE_REACTIONS.get(typed.replace(_VARIATION, ""))
        if emoji is None:
            raise OnairError("invalid_request", "This reaction is not one of this room's.", field="counts")
        if not 1 <= count <= REACTIONS_A_MESSAGE_MAX:
            raise OnairError("invalid_request", f"A count is 1 to {REACTIONS_A_MESSAGE_MAX}.", field="counts")
        taps[emoji] = taps.get(emoji, 0) + count
    if sum(taps.values()) > REACTIONS_A_MESSAGE_MAX:
        raise OnairError("invalid_request", f"At most {REACTIONS_A_MESSAGE_MAX} a message.", field="counts")
    return taps


def reaction_shard(account: str) -> int:
    """Which counter shard an account's taps go to."""
    return zlib.crc32(account.encode()) % REACTION_SHARDS


def tick_ms(viewers: int, limits: Limits) -> int:
    """Time between two frames: one slot up to 200 viewers, growing to 1 s at 1,000, then as `posts_budget` allows."""
    grown = round((viewers - 200) / 800 * (1000 - limits.slot_ms))
    eased = limits.slot_ms + max(0, min(grown, 1000 - limits.slot_ms))
    return min(max(eased, viewers * 1000 // limits.posts_budget), TICK_MS_MAX)


def is_stadium(viewers: int, before: bool, limits: Limits) -> bool:
    """Whether a room is a stadium now, with hysteresis: it becomes one at one number and stops being one at a lower."""
    return viewers >= limits.stadium_viewers or (before and viewers > limits.stadium_back_viewers)


def media_serves(kept: list[Connection], viewers: int, now_s: int) -> bool:
    """Whether frames can travel in the media: a relay is there, and at most half of the room asked for the socket.

    Who cannot play the picture asks; where most do, the picture is what is broken, and posting to all in shards is
    cheaper than to each one that asked.
    """
    live = [one for one in kept if one.expires_s > now_s and one.closing is None]
    return any(one.relay for one in live) and 2 * sum(one.by_socket for one in live) <= viewers


def react_sample(viewers: int, limits: Limits) -> float:
    """The probability with which each client sends its reactions, so that a room takes in `reacts_budget` a second.

    A power of a half: it changes rarely as people come and go, and one over it is a whole number of taps.
    """
    sample = 1.0
    while viewers * sample * 1_000 / limits.react_interval_ms > limits.reacts_budget:
        sample /= 2
    return sample


def react_weight(claimed: float | None, now: float) -> int:
    """How many taps one stands for (Horvitz and Thompson 1952: one over the probability that it was sent).

    What a client followed counts where it is one step from what is told now, since frames take a while to arrive;
    anything else is not one of ours.
    """
    sample = claimed if claimed in (now / 2, now * 2) and claimed <= 1 else now
    return round(1 / sample)


def slot_of(at_ms: int, limits: Limits) -> int:
    """The slot that a moment lies in."""
    return at_ms // limits.slot_ms


def slot_over_ms(slot: int, limits: Limits) -> int:
    """When every event committed in ``slot`` is there to be read, whatever clock its writer had (within the guard)."""
    return (slot + 1) * limits.slot_ms + limits.skew_guard_ms


def evicted(open_connections: list[Connection], now_s: int) -> list[Connection]:
    """Which of an account's connections make way for one more: the oldest beyond the limit, expired ones first.

    Evicting rather than refusing: a phone that lost its network leaves connections behind that live on for minutes, and
    the person at the door is always the one on the newest.
    """
    by_age = sorted(open_connections, key=lambda one: (one.expires_s > now_s, one.joined_ms, one.id))
    return by_age[: max(0, len(by_age) + 1 - CONNECTIONS_AN_ACCOUNT_MAX)]
