"""What clients and rooms say to each other: a type for every message, event and frame of the socket protocol.

Only shapes live here; the rules about them are in model.py. docs/asyncapi.json is generated from these types, and the
same types parse what clients send, so that the document cannot promise what the code does not hold.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Raw, Struct, field

MESSAGE_BYTES_MAX: Final = 32 * 1024
CLIENT_ID_MAX: Final = 64
TEXT_MAX: Final = 200
# What may be typed before it is normalized and cleaned: room for decomposed letters, but never for a flood.
TEXT_TYPED_MAX: Final = 4 * TEXT_MAX
POLL_OPTIONS_MAX: Final = 5
POLL_S_MAX: Final = 600

ClientId = Annotated[str, Meta(min_length=1, max_length=CLIENT_ID_MAX, pattern=r"^[\x21-\x7e]+$")]
OpaqueId = Annotated[str, Meta(min_length=1, max_length=CLIENT_ID_MAX, pattern=r"^[\x21-\x7e]+$")]
TypedText = Annotated[str, Meta(max_length=TEXT_TYPED_MAX)]
MemberRole = Literal["host", "moderator", "viewer", "visitor"]
# The relay is nobody: it reads a stadium's frames to write them into the media, and may do nothing else.
Role = MemberRole | Literal["relay"]
Transport = Literal["socket", "media"]
Media = Literal["waiting", "flowing", "lost"]
QuestionState = Literal["open", "showing", "answered", "dismissed"]
# What becomes of a viewer's comment of a kind: shown, held until a moderator decides, or refused.
Rule = Literal["allowed", "held", "refused"]
MilestoneKind = Literal["viewers", "likes", "gifts"]
PollState = Literal["open", "closed"]
SeatState = Literal["asked", "invited", "accepted", "declined"]
SeatEventState = Literal["asked", "invited", "accepted", "declined", "left", "removed", "muted", "unmuted", "layout"]
Layout = Literal["grid", "spotlight", "side_by_side"]
MatchState = Literal["asked", "accepted", "declined", "expired", "ended"]


# --- what clients send -------------------------------------------------------------------------------------------


class JoinMessage(Struct, frozen=True):
    """Enter the room, or ask for what was missed: ``after`` is the last frame seen in ``epoch``.

    ``frames`` keeps them on the socket where others read them out of the media; without it, the last choice ends.
    """

    epoch: Annotated[str, Meta(max_length=64)] | None = None
    after: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    frames: Literal["socket"] | None = None


class ChatMessage(Struct, frozen=True):
    """A comment. ``id`` makes it safe to send again."""

    id: ClientId
    text: TypedText
    reply_to: OpaqueId | None = None


class ReactMessage(Struct, frozen=True):
    """Taps since the last message, by emoji; at most 50 together.

    Where frames say ``react_sample`` below 1, a client sends each message with that probability only, and drops the
    taps otherwise; ``sample`` tells which one it followed, since it may just be changing.
    """

    counts: dict[str, int]
    sample: Annotated[float, Meta(gt=0, le=1)] | None = None


class GiftMessage(Struct, frozen=True):
    """A gift of the catalogue, ``count`` times. ``combo`` names the run of sends that it belongs to, and ``combo_end``
    ends it."""

    id: ClientId
    gift_id: OpaqueId
    count: Annotated[int, Meta(ge=1, le=999)]
    combo: OpaqueId | None = None
    combo_end: bool = False


class AskMessage(Struct, frozen=True):
    """A question to the host."""

    id: ClientId
    text: TypedText


class UpvoteMessage(Struct, frozen=True):
    """I would like to know this too: counted once a member."""

    question_id: OpaqueId
    id: ClientId | None = None


class AnswerMessage(Struct, frozen=True):
    """What becomes of a question, or of any comment that is to be shown like one (hosts and moderators)."""

    question_id: OpaqueId
    state: Literal["showing", "answered", "dismissed"]
    id: ClientId | None = None


class PollMessage(Struct, frozen=True):
    """A poll of ``seconds`` (hosts and moderators); the next one begins when this one is over."""

    id: ClientId
    question: TypedText
    options: Annotated[list[TypedText], Meta(min_length=2, max_length=POLL_OPTIONS_MAX)]
    seconds: Annotated[int, Meta(ge=1, le=POLL_S_MAX)]


class VoteMessage(Struct, frozen=True):
    """One's vote, once and for all; ``option`` counts from 0."""

    poll_id: OpaqueId
    option: Annotated[int, Meta(ge=0, lt=POLL_OPTIONS_MAX)]
    id: ClientId | None = None


class PingMessage(Struct, frozen=True):
    """I am still here."""


class AnyMessage(Struct, frozen=True):
    """What no route knows."""

    action: str | None = None


# --- people and settings -----------------------------------------------------------------------------------------


class Sender(Struct, frozen=True):
    """Who did something: ``id`` is the account; ``badges`` are shown beside the name."""

    id: str
    handle: str
    name: str
    badges: tuple[str, ...] = ()


class RivalHost(Struct, frozen=True, omit_defaults=True):
    """The other host of a match."""

    id: str
    handle: str
    name: str
    avatar_url: str | None = None


class Rival(Struct, frozen=True):
    """The other side of a match: its broadcast and who hosts it."""

    stream_id: str
    host: RivalHost


class RoomSettings(Struct, frozen=True):
    """What the host has set: ``slow_mode_s`` is the least time between two comments of one member."""

    slow_mode_s: Annotated[int, Meta(ge=0, le=3600)] = 0
    followers_only: bool = False
    comments_on: bool = True
    gifts_on: bool = True
    # Off: a viewer who says the same words again within half a minute is asked for new ones.
    repeats_on: bool = True
    # Comments of viewers that hold a phone number, an e-mail or street address; a link; a word of the profanity lists.
    personal_data: Rule = "held"
    links: Rule = "allowed"
    profanity: Rule = "allowed"


# --- events ------------------------------------------------------------------------------------------------------


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """One thing that happened in a room. ``client_id`` is the sender's own id for it, so that it is not shown twice."""

    id: str
    at: str
    sender: Sender | None = field(default=None, name="from")
    client_id: str | None = None


class ChatEvent(Event, frozen=True, tag="chat"):
    """A comment."""

    text: str
    reply_to: str | None = None


class GiftEvent(Event, frozen=True, tag="gift"):
    """A gift: ``coins`` is what this send cost in all, ``repeat_count`` the combo so far, ``combo_end`` its end.

    Sends of one combo that meet in a frame are one event: ``count`` and ``coins`` of all, ``client_ids`` of each.
    """

    gift_id: str
    count: int
    coins: int
    repeat_count: int | None = None
    combo: str | None = None
    combo_end: bool = False
    client_ids: tuple[str, ...] | None = None


class JoinEvent(Event, frozen=True, tag="join"):
    """A member came in (small rooms only)."""


class FollowEvent(Event, frozen=True, tag="follow"):
    """A member followed the host."""


class ShareEvent(Event, frozen=True, tag="share"):
    """A member shared the broadcast."""


class PinnedEvent(Event, frozen=True, tag="pinned"):
    """The host pinned a comment, or took the pin away (no ``pinned``)."""

    pinned: ChatEvent | None = None


class MutedEvent(Event, frozen=True, tag="muted"):
    """A member may not comment until then (no ``muted_until``: may again), or not be here at all (``banned``)."""

    account: str
    handle: str = ""
    muted_until: str | None = None
    banned: bool = False


class QuestionEvent(Event, frozen=True, tag="question"):
    """A question as it stands now: new, with more upvotes, or in another state; the newest one replaces the others.

    A comment that is shown like a question comes as one too: ``question_id`` is its event id.
    """

    question_id: str
    text: str
    upvotes: int
    state: QuestionState


class PollEvent(Event, frozen=True, tag="poll"):
    """A poll as it stands now; the newest one replaces the others. ``tallies`` are votes by option."""

    poll_id: str
    question: str
    options: tuple[str, ...]
    tallies: tuple[int, ...]
    state: PollState
    ends_at: str


class RemovedEvent(Event, frozen=True, tag="removed"):
    """An event that is to be shown no longer. ``reason`` is ``unreadable`` where storage held something broken."""

    event_id: str
    reason: str | None = None


class SettingsEvent(Event, frozen=True, tag="settings"):
    """The host changed the room's settings; or, with ``goals``, the stream's gift goals, which stand elsewhere
    (``GET /streams/{stream_id}/goals``): whoever shows them reads them anew."""

    settings: RoomSettings
    goals: bool = False


class MilestoneEvent(Event, frozen=True, tag="milestone"):
    """The room reached a number: viewers at once, likes (taps of all kinds) or gifts so far."""

    kind: MilestoneKind
    value: int


class SeatEvent(Event, frozen=True, tag="seat"):
    """Someone (``from``) asked to come on screen, was invited, came, went, or was muted by the host; or the host chose
    another layout (no ``seat``). Never left out."""

    state: SeatEventState
    seat: str | None = None
    muted: bool = False
    layout: Layout = "grid"


class MatchEvent(Event, frozen=True, tag="match"):
    """Two live hosts appear side by side; or one (account ``asked_by``) asked the other, who may answer ``until`` then;
    or that is over. Both rooms are told, each with the other as ``rival``. Never left out."""

    match: str
    state: MatchState
    rival: Rival
    asked_by: str
    until: str | None = None


class EndedEvent(Event, frozen=True, tag="ended"):
    """The broadcast is over; ``reason`` as the stream's ``end_reason``."""

    reason: str | None = None


RoomEvent = (
    ChatEvent
    | GiftEvent
    | JoinEvent
    | FollowEvent
    | ShareEvent
    | PinnedEvent
    | MutedEvent
    | QuestionEvent
    | PollEvent
    | RemovedEvent
    | SettingsEvent
    | MilestoneEvent
    | SeatEvent
    | MatchEvent
    | EndedEvent
)


# --- what the server sends ---------------------------------------------------------------------------------------


class Frame(Struct, frozen=True, kw_only=True, tag_field="type", tag="frame"):
    """A numbered batch of events with the newest counts; ``reactions`` are totals since the start.

    ``transport`` tells where the next one comes: by the socket, or in the media (ID3 at its time in the picture).
    """

    epoch: str
    seq: int
    at: str
    viewers: int
    tick_ms: int
    react_sample: float = 1.0
    reactions: dict[str, int] = field(default_factory=dict[str, int])
    skipped: int = 0
    transport: Transport = "socket"
    media: Media = "waiting"
    events: tuple[RoomEvent, ...] = ()


class SeatView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A seat as everyone sees it."""

    seat: str
    state: SeatState
    guest: Sender = field(name="from")
    muted: bool = False


class MatchView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A match as one of its rooms has it; ``until`` is when one that is only asked for is asked for no longer."""

    match: str
    state: MatchState
    rival: Rival
    asked_by: str
    until: str | None = None


class RoomSnapshot(Struct, frozen=True, omit_defaults=True):
    """The room as it stands for someone who comes in."""

    title: str
    host: Sender
    settings: RoomSettings
    viewers: int
    reactions: dict[str, int]
    pinned: ChatEvent | None
    seats: tuple[SeatView, ...]
    media: Media
    poll: PollEvent | None = None
    showing: QuestionEvent | None = None
    layout: Layout = "grid"
    match: MatchView | None = None


class Me(Struct, frozen=True, omit_defaults=True):
    """The one who joined."""

    role: MemberRole
    muted_until: str | None = None


class MeChanged(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="me"):
    """One's rights changed while the socket was open."""

    role: MemberRole
    muted_until: str | None = None


class Joined(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="joined"):
    """The answer to ``join``. ``resumed`` tells whether ``frames`` follow the ``after`` that was asked for; where not,
    they are the newest ones and what came before them is at ``GET /streams/{id}/frames``."""

    epoch: str
    seq: int
    server_time: str
    ping_s: int
    react_interval_ms: int
    reconnect_spread_ms: int
    reaction_kinds: tuple[str, ...]
    room: RoomSnapshot
    me: Me
    frames: list[Raw]
    resumed: bool = False
    more: bool = False


class Ack(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="ack"):
    """Recorded and rung: this will be in a frame. ``coins`` are those left, after a gift; ``held``: a comment that
    waits for a moderator, and will be in a frame once it is released."""

    id: str
    event_id: str | None = None
    coins: int | None = None
    held: bool = False


class Refusal(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """Refused: ``code`` is one of functions/errors.py."""

    code: str
    message: str
    id: str | None = None
    retry_after_ms: int | None = None
    details: dict[str, str] | None = None


class Pong(Struct, frozen=True, tag_field="type", tag="pong"):
    """``seq`` is the newest frame's: a client that is behind it joins again."""

    server_time: str
    seq: int


class Pulse(Struct, frozen=True, tag_field="type", tag="pulse"):
    """How the last minute felt, for the host: ``sentiment`` from -1 to 1, shares of comments that are ``positive``,
    ``negative`` and ``neutral``, the words that most people used, and how many viewers came (or left, below 0)."""

    sentiment: float
    positive: float
    negative: float
    neutral: float
    comments_per_min: int
    top_words: tuple[str, ...]
    viewers_trend: int


class HeldTold(Struct, frozen=True, omit_defaults=True, tag_field="type", tag="held"):
    """To the host: so many comments wait for a decision. To the author of one: what was decided."""

    waiting: int | None = None
    event_id: str | None = None
    client_id: str | None = None
    state: Literal["released", "rejected"] | None = None


class Bye(Struct, frozen=True, tag_field="type", tag="bye"):
    """Said before the server closes; ``reconnect`` tells whether coming back makes sense."""

    code: str
    message: str
    reconnect: bool


class FramesPage(Struct, frozen=True, omit_defaults=True):
    """What ``GET /streams/{id}/frames`` answers: frames after ``after``, and ``more`` where there are further ones."""

    epoch: str
    seq: int
    frames: list[Raw]
    more: bool = False
