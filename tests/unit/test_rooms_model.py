"""Rules of rooms: text, reactions, rate, ticks, and how an inbox is folded into frames."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.errors import OnairError
from functions.rooms.fold import FRAME_BYTES_MAX, fold
from functions.rooms.messages import ChatEvent, EndedEvent, Frame, GiftEvent, RemovedEvent, RoomSettings, Sender
from functions.rooms.model import (
    CHAT_BURST,
    RECENT_MAX,
    Connection,
    InboxEntry,
    Limits,
    Member,
    Room,
    RoomState,
    StoredFrame,
    admit,
    count_reactions,
    evicted,
    remembered,
    slot_of,
    slot_over_ms,
    tick_ms,
)
from functions.rooms.text import clean_text

NOW = 1_800_000_000_000
LIMITS = Limits()
ROOM = Room(stream_id="s", epoch="e1", host=Sender("h", "h", "H"), title="T", live=True)


# --- text


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  hello \n\t world ", "hello world"),
        ("e\u0301", "é"),
        ("abc\u202egnp.exe\u202c", "abcgnp.exe"),
        ("a\u2066b\u2069", "ab"),
        ("a" + "\u200b" * 50 + "b", "ab"),
        ("a" + "\u200d" * 50 + "b", "a\u200db"),
        ("\u200dhi\u200c", "hi"),
        ("bell\x07null\x00", "bellnull"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
        ("hidden\U000e0067", "hidden"),
        ("z" + "\u0335" * 40, "z" + "\u0335" * 4),
        ("\ufeffbom", "bom"),
    ],
)
def test_text_is_cleaned_of_what_hides_reverses_or_stacks(typed: str, shown: str) -> None:
    assert clean_text(typed) == shown


@pytest.mark.parametrize("typed", ["", "   ", "\u200b\u200d", "\u202e", "\x00\x07", "\u0301\u0301", "a" * 201])
def test_text_with_nothing_to_show_or_too_much_is_refused(typed: str) -> None:
    with pytest.raises(OnairError) as refusal:
        clean_text(typed)
    assert refusal.value.code == "invalid_request"
    assert refusal.value.details["field"] == "text"


def test_length_counts_composed_code_points() -> None:
    assert len(clean_text("e\u0301" * 200)) == 200


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_cleaning_twice_changes_nothing(typed: str) -> None:
    try:
        once = clean_text(typed)
    except OnairError:
        return
    assert clean_text(once) == once
    assert 1 <= len(once) <= 200


# --- reactions


def test_reactions_count_with_and_without_variation_selector() -> None:
    assert count_reactions({"❤": 2, "❤️": 3, "🔥": 1}) == {"❤️": 5, "🔥": 1}


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"💩": 1},
        {"🔥": 0},
        {"🔥": -3},
        {"🔥": 51},
        {"🔥": 10**30},
        {"🔥": 30, "👍": 21},
        {f"x{n}": 1 for n in range(9)},
    ],
)
def test_reactions_that_nobody_could_tap_are_refused(counts: dict[str, int]) -> None:
    with pytest.raises(OnairError) as refusal:
        count_reactions(counts)
    assert (refusal.value.code, refusal.value.details["field"]) == ("invalid_request", "counts")


# --- the member rule


def send(member: Member, number: int, now_ms: int, room: RoomSettings | None = None, role: str = "viewer") -> Member:
    settings = room or RoomSettings()
    return admit(member, settings, role, client_id=str(number), content="x", now_ms=now_ms)  # type: ignore[arg-type]


def test_a_burst_passes_and_the_next_is_told_when() -> None:
    member = Member(account="a")
    for number in range(CHAT_BURST):
        member = send(member, number, NOW)
    with pytest.raises(OnairError) as refusal:
        send(member, 9, NOW)
    assert (refusal.value.code, refusal.value.retry_after_ms) == ("rate_limited", 1_000)
    assert send(member, 9, NOW + 1_000).version == CHAT_BURST + 1


def test_an_hour_of_silence_earns_no_more_than_one_burst() -> None:
    member = send(Member(account="a"), 0, NOW)
    later = NOW + 3_600_000
    for number in range(1, CHAT_BURST + 1):
        member = send(member, number, later)
    with pytest.raises(OnairError, match="rate_limited"):
        send(member, 99, later)


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_pattern_of_sending_gets_past_one_a_second_and_a_burst(pauses: list[int]) -> None:
    member, now, passed = Member(account="a"), NOW, list[int]()
    for number, pause in enumerate(pauses):
        now += pause
        try:
            member = send(member, number, now)
        except OnairError as refusal:
            assert refusal.retry_after_ms is not None
            assert send(member, number, now + refusal.retry_after_ms)
        else:
            passed.append(now)
    for start in passed:
        for seconds in (1, 3, 10):
            within = [at for at in passed if start <= at < start + seconds * 1000]
            assert len(within) <= CHAT_BURST + seconds


def test_slow_mode_holds_viewers_and_not_the_host() -> None:
    slow = RoomSettings(slow_mode_s=10)
    member = send(Member(account="a"), 1, NOW, slow)
    with pytest.raises(OnairError) as refusal:
        send(member, 2, NOW + 4_000, slow)
    assert (refusal.value.code, refusal.value.retry_after_ms) == ("slow_mode", 6_000)
    assert send(member, 2, NOW + 4_000, slow, role="host").version == 2
    assert send(member, 2, NOW + 10_000, slow).version == 2


def test_a_muted_or_banned_member_says_nothing() -> None:
    with pytest.raises(OnairError) as refusal:
        send(Member(account="a", muted_until_ms=NOW + 500), 1, NOW)
    assert (refusal.value.code, refusal.value.retry_after_ms) == ("muted", 500)
    with pytest.raises(OnairError, match="banned"):
        send(Member(account="a", banned=True), 1, NOW)
    assert send(Member(account="a", muted_until_ms=NOW), 1, NOW).version == 1


def test_the_last_64_acts_are_remembered_by_id_and_content() -> None:
    member = Member(account="a")
    for number in range(RECENT_MAX + 1):
        member = send(member, number, NOW + number * 1_000)
    assert remembered(member, "1", "x") and remembered(member, str(RECENT_MAX), "x")
    assert not remembered(member, "0", "x")
    assert len(member.recent) < 1024
    with pytest.raises(OnairError, match="id_reused"):
        remembered(member, "5", "y")


# --- connections, slots, ticks


def test_the_oldest_connection_makes_way_and_an_expired_one_first() -> None:
    def open_one(name: str, joined: int, expires: int = 2_000) -> Connection:
        return Connection(name, "a", 0, expires, joined)

    three = [open_one("b", 2), open_one("a", 1), open_one("c", 3)]
    assert [one.id for one in evicted(three, 1_000)] == ["a"]
    assert evicted(three[:2], 1_000) == []
    assert [one.id for one in evicted([*three[:2], open_one("late", 9, 500)], 1_000)] == ["late"]
    assert [one.id for one in evicted([*three, open_one("d", 4)], 1_000)] == ["a", "b"]


def test_a_slot_is_over_only_after_every_clock_has_left_it() -> None:
    slot = slot_of(NOW + 199, LIMITS)
    assert slot_over_ms(slot, LIMITS) == NOW + 200 + LIMITS.skew_guard_ms


@pytest.mark.parametrize(("viewers", "tick"), [(0, 200), (200, 200), (600, 600), (1_000, 1_000), (9_000, 1_125)])
def test_the_tick_grows_with_the_room_and_keeps_the_budget(viewers: int, tick: int) -> None:
    assert tick_ms(viewers, LIMITS) == tick


# --- folding


def chat(number: int, text: str = "hi", at: str = "2027-01-01T00:00:00.000Z") -> ChatEvent:
    return ChatEvent(id=f"e{number:03d}", at=at, sender=Sender("a", "a", "A"), text=text, client_id=str(number))


def entry(event: ChatEvent | GiftEvent | EndedEvent, milli: int = 0) -> InboxEntry:
    return InboxEntry(event.id, msgspec.json.encode(event).decode(), milli)


def folded(
    inbox: list[InboxEntry], head: StoredFrame | None = None, state: RoomState | None = None, viewers: int = 0
) -> tuple[StoredFrame, int] | None:
    made = fold(head, state or RoomState(ROOM), inbox, viewers=viewers, read_ms=NOW, now_ms=NOW, limits=LIMITS)
    return None if made is None else (made.frame, made.waiting)


def required(made: tuple[StoredFrame, int] | None) -> StoredFrame:
    assert made is not None
    return made[0]


def events_of(frame: StoredFrame) -> list[object]:
    return list(msgspec.json.decode(frame.body, type=Frame).events)


def test_no_change_makes_no_frame_and_each_kind_of_change_makes_one() -> None:
    assert folded([]) is None
    head = required(folded([], viewers=2))
    assert (head.seq, head.viewers) == (1, 2)
    assert folded([], head, viewers=2) is None
    assert required(folded([], head, viewers=1)).seq == 2
    assert required(folded([], head, RoomState(ROOM, {"🔥": 1}), 2)).reactions == {"🔥": 1}
    flowing = RoomState(msgspec.structs.replace(ROOM, media="flowing"))
    assert msgspec.json.decode(required(folded([], head, flowing, 2)).body, type=Frame).media == "flowing"


def test_events_stand_in_the_order_of_their_time() -> None:
    late, early = chat(1, at="2027-01-01T00:00:02.000Z"), chat(2, at="2027-01-01T00:00:01.000Z")
    assert required(folded([entry(late), entry(early)])).event_ids == ("e002", "e001")


def test_what_does_not_fit_waits_for_the_next_frame_and_none_is_over_24_kb() -> None:
    inbox = [entry(chat(number, "ä" * 200)) for number in range(120)]
    head, seen = None, list[str]()
    while inbox:
        made = folded(inbox, head)
        assert made is not None
        head, waiting = made
        assert len(head.body.encode()) <= FRAME_BYTES_MAX
        seen += head.event_ids
        inbox = [one for one in inbox if one.event_id not in head.event_ids]
        assert waiting == len(inbox)
    assert head is not None and head.seq > 1
    assert head.totals.comments == 120
    assert seen == [f"e{number:03d}" for number in range(120)]


@pytest.mark.parametrize(
    "body", [None, "", "not json", "[]", '{"type":"chat"}', '{"type":"nothing","id":"e1","at":""}']
)
def test_what_cannot_be_read_becomes_a_tombstone_among_the_others(body: str | None) -> None:
    frame = required(folded([InboxEntry("bad", body), entry(chat(1))]))
    assert sorted(frame.event_ids) == ["bad", "e001"]
    tombstones = [event for event in events_of(frame) if isinstance(event, RemovedEvent)]
    assert [(one.event_id, one.reason) for one in tombstones] == [("bad", "unreadable")]


def test_an_event_under_anothers_key_is_a_tombstone_too() -> None:
    frame = required(folded([InboxEntry("other", entry(chat(1)).body)]))
    assert frame.event_ids == ("other",)


def test_totals_are_carried_from_frame_to_frame() -> None:
    gift = GiftEvent(id="g", at="", sender=Sender("a", "a", "A"), gift_id="rose", count=3, coins=3)
    first = required(folded([entry(chat(1)), entry(gift, 1_500)], viewers=7))
    second = required(folded([entry(chat(2))], first, viewers=4))
    totals = second.totals
    assert (totals.comments, totals.gifts, totals.gift_coins, totals.gift_diamonds_milli, totals.viewers_peak) == (
        2,
        3,
        3,
        1_500,
        7,
    )


def test_a_frame_is_never_older_than_the_one_before_it() -> None:
    head = msgspec.structs.replace(required(folded([entry(chat(1))])), at_ms=NOW + 500)
    assert required(folded([entry(chat(2))], head)).at_ms == NOW + 500


def test_the_end_marks_its_frame() -> None:
    assert required(folded([entry(EndedEvent(id="z", at="", reason="host"))])).ended
