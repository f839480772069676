"""What of a frame is shown, to whom; how combos merge; which milestones are told; how a sample of reactions adds up."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from functions.rooms import deliver
from functions.rooms.display import mentions, merged, shown
from functions.rooms.items import MemberItem, ViewersItem, room_key
from functions.rooms.messages import ChatEvent, GiftEvent, JoinEvent, RoomEvent, Sender
from functions.rooms.milestones import reached
from functions.rooms.model import REACTIONS, Limits, react_sample, react_weight
from functions.rooms.stored import StoredRooms
from functions.rooms.table import put_event
from tests.unit import socket_room
from tests.unit.socket_room import HOST, STREAM, SocketRoom

AT = "2027-01-01T00:00:00.000Z"
NOW = 1_800_000_000_000
LIMITS = Limits(display_lines_s=10)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketRoom]:
    monkeypatch.setenv("DISPLAY_LINES_S", "2")
    with socket_room.made(monkeypatch) as made:
        yield made


def chat(number: int, account: str = "ana", text: str = "hi", badges: tuple[str, ...] = ()) -> ChatEvent:
    return ChatEvent(id=f"e{number}", at=AT, sender=Sender(account, account, account, badges), text=text)


def gift(number: int, combo: str | None = "c", **changes: Any) -> GiftEvent:
    given: dict[str, Any] = {"gift_id": "rose", "count": 1, "coins": 1, "client_id": f"g{number}", **changes}
    sender = given.pop("sender", Sender("ana", "ana", "Ana"))
    return GiftEvent(id=f"gift{number}", at=AT, sender=sender, combo=combo, **given)


# --- display budget


def test_below_the_budget_all_is_shown() -> None:
    events = [chat(number) for number in range(20)]
    found = shown(events, HOST, 0, NOW, LIMITS)
    assert (found.events, found.skipped) == (tuple(events), 0)


def test_beyond_it_a_fixed_sample_is_shown_and_the_rest_counted() -> None:
    events: list[RoomEvent] = [chat(number) for number in range(100)]
    found = shown(events, HOST, 0, NOW, LIMITS)
    assert (len(found.events), found.skipped) == (20, 80)
    again = shown(list(reversed(events)), HOST, 0, NOW, LIMITS)
    assert set(again.events) == set(found.events)


def test_the_budget_refills_with_time_and_never_beyond_its_burst() -> None:
    events = [chat(number) for number in range(100)]
    lines_ms = shown(events, HOST, 0, NOW, LIMITS).lines_ms
    assert len(shown(events, HOST, lines_ms, NOW, LIMITS).events) == 0
    assert len(shown(events, HOST, lines_ms, NOW + 500, LIMITS).events) == 5
    assert len(shown(events, HOST, lines_ms, NOW + 3_600_000, LIMITS).events) == 20


def test_a_long_flood_shows_its_lines_a_second() -> None:
    lines_ms, count = 0.0, 0
    for frame in range(300):  # a minute of frames at 200 ms, ten comments each
        found = shown([chat(frame * 10 + n) for n in range(10)], HOST, lines_ms, NOW + frame * 200, LIMITS)
        lines_ms, count = found.lines_ms, count + len(found.events)
    assert 600 <= count <= 620


def test_host_moderators_and_who_names_the_host_come_first_and_nothing_else_is_left_out() -> None:
    flood: list[RoomEvent] = [chat(number) for number in range(100)]
    first = [chat(200, HOST.id), chat(201, "mo", badges=("moderator",)), chat(202, text=f"hey @{HOST.handle}!")]
    others = [gift(1), JoinEvent(id="j", at=AT)]
    found = shown([*flood, *first, *others], HOST, 0, NOW, LIMITS)
    assert {event.id for event in (*first, *others)} <= {event.id for event in found.events}
    empty = shown([*flood, *first, *others], HOST, NOW + 10_000, NOW, LIMITS)
    assert {event.id for event in empty.events} == {"e200", "e201", "gift1", "j"}


def test_every_member_has_the_same_chance() -> None:
    seen = {"ana": 0, "bob": 0}
    for frame in range(400):
        events = [chat(frame * 1000 + n, "ana" if n % 2 else "bob") for n in range(60)]
        for event in shown(events, HOST, 0, NOW, LIMITS).events:
            assert isinstance(event, ChatEvent) and event.sender is not None
            seen[event.sender.id] += 1
    assert abs(seen["ana"] - seen["bob"]) < 0.05 * sum(seen.values())


@pytest.mark.parametrize(
    ("text", "named"),
    [("@ana", True), ("hi @ANA!", True), ("@anastasia", False), ("@ana.b", False), ("ana", False), ("x@ana", True)],
)
def test_a_name_is_matched_whole(text: str, named: bool) -> None:
    assert mentions(text, "ana") is named


def test_viewers_are_shown_some_and_host_moderators_and_storage_hold_all(room: SocketRoom) -> None:
    host, ana, mo = room.joined(HOST.id, "host"), room.joined("ana"), room.joined("mo")
    MemberItem(room_key(STREAM), "member#mo").update([MemberItem.moderator.set(True)])
    mo2 = room.joined("mo")
    for number in range(12):
        talker = room.joined(f"talker-{number}")
        talker.chat("1", f"line {number}")
    room.sequence()
    (mine,) = [frame for frame in ana.frames if any(event["type"] == "chat" for event in frame["events"])]
    lines = [event for event in mine["events"] if event["type"] == "chat"]
    assert (len(lines), mine["skipped"]) == (4, 8)
    for socket in (host, mo2):
        (whole,) = [frame for frame in socket.frames if frame["seq"] == mine["seq"]]
        assert len([event for event in whole["events"] if event["type"] == "chat"]) == 12
        assert whole["skipped"] == 0
    assert mo.frames[-1]["skipped"] == 8  # joined before being made a moderator, by the table alone
    stored = ana.join(epoch=mine["epoch"], after=mine["seq"] - 1)["frames"][0]
    assert len([event for event in stored["events"] if event["type"] == "chat"]) == 12


def test_deliver_sends_all_to_those_who_are_sent_all(room: SocketRoom) -> None:
    host, ana = room.joined(HOST.id, "host"), room.joined("ana")
    body, whole = '{"type":"frame","skipped":1}', '{"type":"frame","skipped":0}'
    deliver.handle({"room": STREAM, "shard": 0, "bodies": [body], "whole": whole}, None)
    assert host.frames[-1]["skipped"] == 0 and ana.frames[-1]["skipped"] == 1


# --- combos


def test_a_combo_in_one_frame_is_one_event_with_all_its_ids() -> None:
    events = [gift(1, repeat_count=1), chat(1), gift(2, count=2, coins=2, repeat_count=3), gift(3, combo_end=True)]
    first, other = merged(events)
    assert isinstance(first, GiftEvent) and other == events[1]
    assert (first.id, first.count, first.coins, first.repeat_count) == ("gift1", 4, 4, 3)
    assert (first.client_ids, first.combo_end) == (("g1", "g2", "g3"), True)


@pytest.mark.parametrize(
    "second",
    [gift(2, combo="d"), gift(2, combo=None), gift(2, gift_id="star"), gift(2, sender=Sender("b", "b", "B"))],
)
def test_what_is_no_same_combo_stays_apart(second: GiftEvent) -> None:
    assert merged([gift(1), second]) == [gift(1), second]


def test_a_merged_combo_leaves_the_inbox_and_counts_whole(room: SocketRoom) -> None:
    ana = room.joined("ana")
    for number in range(3):
        put_event(STREAM, gift(number, repeat_count=number + 1))
    room.sequence()
    (event,) = [event for event in ana.events if event["type"] == "gift"]
    assert (event["count"], event["repeat_count"], event["client_ids"]) == (3, 3, ["g0", "g1", "g2"])
    assert room.items("inbox#") == []
    head = StoredRooms().head(STREAM)
    assert head is not None and head.totals.gifts == 3


# --- milestones


def test_each_milestone_is_told_once_and_only_the_highest() -> None:
    events, told = reached({"viewers": 120, "likes": 99, "gifts": 0}, {}, "s", "e", NOW)
    assert [(event.kind, event.value) for event in events] == [("viewers", 100)]
    assert reached({"viewers": 60, "likes": 99, "gifts": 0}, told, "s", "e", NOW) == ((), told)
    events, told = reached({"viewers": 60, "likes": 10_000, "gifts": 10}, told, "s", "e", NOW)
    assert [(event.kind, event.value) for event in events] == [("likes", 10_000), ("gifts", 10)]


def test_a_room_hears_of_its_milestone(room: SocketRoom) -> None:
    ana = room.joined("ana")
    StoredRooms().add_reactions(STREAM, 0, {"🔥": 120})
    for _ in range(2):
        ana.chat("1")
        room.clock.sleep_ms(1_000)
        room.sequence()
    assert [(one["kind"], one["value"]) for one in ana.events if one["type"] == "milestone"] == [("likes", 100)]


# --- reactions by sample


def test_a_room_takes_in_no_more_reactions_than_its_budget() -> None:
    limits = Limits()
    assert react_sample(0, limits) == react_sample(64, limits) == 1.0
    for viewers in (65, 1_000, 5_000, 100_000):
        sample = react_sample(viewers, limits)
        assert limits.reacts_budget / 2 < viewers * sample <= limits.reacts_budget


def test_totals_of_a_sample_are_unbiased() -> None:
    rng, viewers, taps = random.Random(5), 2_000, 3
    sample = react_sample(viewers, Limits())
    found = [
        sum(taps * react_weight(sample, sample) for _ in range(viewers) if rng.random() < sample) for _ in range(200)
    ]
    assert sample < 1
    assert abs(sum(found) / len(found) - viewers * taps) < 0.02 * viewers * taps


@pytest.mark.parametrize(
    ("claimed", "now", "weight"),
    [
        (None, 0.25, 4), (0.25, 0.25, 4), (0.5, 0.25, 2), (0.125, 0.25, 8),
        (1.0, 0.25, 4), (0.001, 0.25, 4), (0.001, 1.0, 1), (2.0, 1.0, 1), (0.5, 1.0, 2),
    ],
)  # fmt: skip
def test_a_claimed_sample_counts_only_next_to_the_one_told(claimed: float | None, now: float, weight: int) -> None:
    assert react_weight(claimed, now) == weight


def test_frames_tell_the_sample_and_reactions_are_weighted(room: SocketRoom) -> None:
    ana = room.joined("ana")
    ViewersItem(room_key(STREAM), "viewers", viewers=256).save()
    room.clock.sleep_ms(5_000)
    emoji = next(iter(REACTIONS))
    assert ana.send("react", counts={emoji: 3}, sample=0.25) is None
    state = StoredRooms().state(STREAM)
    assert state is not None and state.reactions == {emoji: 12}
    for wrong in (0, -1, 1.5, "half"):
        assert ana.send("react", counts={emoji: 3}, sample=wrong)["details"]["field"] == "sample"
