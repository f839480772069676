"""What the HTTPS routes of rooms take and answer."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from functions.rooms.messages import (
    CLIENT_ID_MAX,
    TEXT_TYPED_MAX,
    ChatEvent,
    Layout,
    MatchView,
    QuestionEvent,
    Role,
    RoomSettings,
    Rule,
    SeatState,
    SeatView,
    Sender,
)

# A week: longer is what banning is for.
MUTE_S_MAX = 7 * 24 * 3600


class FramesQuery(Struct, frozen=True):
    """Where to go on: after frame ``after`` of ``epoch``; without either, the newest frames."""

    epoch: Annotated[str, Meta(max_length=64)] | None = None
    after: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class RoomChange(Struct, frozen=True):
    """What the host or a moderator changes; what is not named stays. ``pinned`` is a comment's event id, or null."""

    slow_mode_s: Annotated[int, Meta(ge=0, le=3600)] | UnsetType = UNSET
    followers_only: bool | UnsetType = UNSET
    comments_on: bool | UnsetType = UNSET
    gifts_on: bool | UnsetType = UNSET
    repeats_on: bool | UnsetType = UNSET
    personal_data: Rule | UnsetType = UNSET
    links: Rule | UnsetType = UNSET
    profanity: Rule | UnsetType = UNSET
    keywords: Annotated[list[Annotated[str, Meta(max_length=TEXT_TYPED_MAX)]], Meta(max_length=200)] | UnsetType = UNSET
    pinned: Annotated[str, Meta(min_length=1, max_length=CLIENT_ID_MAX)] | UnsetType | None = UNSET


class RoomControls(Struct, frozen=True):
    """A room as those see it who moderate it."""

    settings: RoomSettings
    keywords: tuple[str, ...]
    pinned: ChatEvent | None


class MemberChange(Struct, frozen=True):
    """What becomes of a member: ``mute_s`` from now on (0: may comment again)."""

    mute_s: Annotated[int, Meta(ge=0, le=MUTE_S_MAX)] | UnsetType = UNSET
    banned: bool | UnsetType = UNSET
    moderator: bool | UnsetType = UNSET


class MemberView(Struct, frozen=True, omit_defaults=True):
    """A member as those see it who moderate."""

    handle: str
    banned: bool
    moderator: bool
    muted_until: str | None = None


class HeldComment(Struct, frozen=True):
    """A comment that waits: the event as it would be shown, and why it is held (``phone``, ``email``, ``address``,
    ``link``, ``profanity``)."""

    event: ChatEvent
    reasons: tuple[str, ...]


class HeldComments(Struct, frozen=True):
    """What waits for a decision, oldest first; ``more`` tells that there is more than one answer holds."""

    items: list[HeldComment]
    more: bool = False


class HeldDecision(Struct, frozen=True):
    """What becomes of a held comment."""

    state: Literal["released", "rejected"]


class EventQuery(Struct, frozen=True):
    """``seq`` of the frame that the event came in, where it is known: finding it is then one read."""

    seq: Annotated[int, Meta(ge=1, le=2**53)] | None = None


class Questions(Struct, frozen=True):
    """Questions that wait or are shown: most upvotes first, then the oldest."""

    items: list[QuestionEvent]


class SeatRequest(Struct, frozen=True):
    """Ask for a seat; as host, invite ``handle``."""

    handle: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class SeatChange(Struct, frozen=True):
    """What becomes of a seat; ``muted`` by host and moderators."""

    state: Literal["accepted", "declined"] | None = None
    muted: bool | UnsetType = UNSET


class StageChange(Struct, frozen=True):
    """How the pictures are arranged."""

    layout: Layout


class SeatPublish(Struct, frozen=True):
    """Where and with what a guest publishes; the same key opens what is watched."""

    whip_url: str
    stream_key: str


class SeatWatch(Struct, frozen=True):
    """Whom to watch by WHEP, with one's own stream key as bearer; ``host`` is the host's seat, ``match`` that of the
    other host while a match is on."""

    seat: str
    guest: Sender = field(name="from")
    whep_url: str


class SeatGrant(Struct, frozen=True, kw_only=True):
    """A seat; for who holds it also where to publish and whom to watch."""

    seat: str
    state: SeatState
    guest: Sender = field(name="from")
    muted: bool = False
    publish: SeatPublish | UnsetType = UNSET
    watch: tuple[SeatWatch, ...] | UnsetType = UNSET


class Seats(Struct, frozen=True, kw_only=True):
    """A room's stage: those on screen, invited and waiting; ``mine`` is one's own seat, ``watch`` is for the host."""

    layout: Layout
    items: tuple[SeatView, ...]
    mine: SeatGrant | UnsetType = UNSET
    watch: tuple[SeatWatch, ...] | UnsetType = UNSET


class MatchRequest(Struct, frozen=True):
    """Ask another live host, by handle, to appear side by side."""

    handle: Annotated[str, Meta(min_length=1, max_length=64)]


class MatchChange(Struct, frozen=True):
    """What the host says who was asked. ``match`` names the one that is meant, should another ask come meanwhile."""

    state: Literal["accepted", "declined"]
    match: Annotated[str, Meta(max_length=CLIENT_ID_MAX)] | None = None


class MatchQuery(Struct, frozen=True):
    """Only this match, and only in this state: whoever takes an ask back does not end what was accepted meanwhile."""

    match: Annotated[str, Meta(max_length=CLIENT_ID_MAX)] | None = None
    state: Literal["asked", "accepted"] | None = None


class MatchAnswer(Struct, frozen=True):
    """The host's match, on or asked for; absent without one. Once it is on, ``whep_url`` is where the host watches the
    other one at once, with their own stream key as bearer."""

    match: MatchView | UnsetType = UNSET
    whep_url: str | UnsetType = UNSET


class ViewersQuery(Struct, frozen=True):
    """How many at most."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 50


class ViewerView(Struct, frozen=True):
    """Someone who is in the room, as what, and whether whoever asks follows them."""

    id: str
    handle: str
    display_name: str
    avatar_url: str | None
    badges: tuple[str, ...]
    role: Role
    followed: bool


class Viewers(Struct, frozen=True):
    """Who is here and may be seen by whoever asks; ``viewers`` counts all, ``more`` tells that some are left out."""

    viewers: int
    items: list[ViewerView]
    more: bool
