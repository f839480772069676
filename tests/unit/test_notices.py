"""Notices: what one wants to hear of, and everyone who may being told of a stream once, whatever comes twice."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from functions import aws, clock, settings
from functions.accounts import blocks, follower_count, follows, notice_choice, notices, telling
from functions.accounts.notice_choice import Preferences, Quiet, Way
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.streams import announce, media, table
from functions.streams.model import MediaReport
from tests.unit.https import Client, Person


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-01-10T20:59", False),  # 21:59 in Berlin, where winter is an hour ahead
        ("2026-01-10T21:00", True),
        ("2026-01-11T05:59", True),
        ("2026-01-11T06:00", False),
        ("2026-07-10T20:00", True),  # and summer two
        ("2026-07-10T19:59", False),
    ],
)
def test_quiet_hours_follow_the_accounts_own_clock_over_midnight(moment: str, quiet: bool) -> None:
    chosen = Preferences(quiet=Quiet("22:00", "07:00"), time_zone="Europe/Berlin")
    assert notice_choice.is_quiet(chosen, at(moment), minor=False, market_zone="UTC") is quiet


def test_a_minors_night_is_quiet_whatever_was_chosen() -> None:
    chosen = Preferences(quiet=Quiet("12:00", "13:00"), time_zone="Asia/Tokyo")
    assert notice_choice.is_quiet(chosen, at("2026-01-10T13:30"), minor=True, market_zone="UTC")
    assert not notice_choice.is_quiet(chosen, at("2026-01-10T13:30"), minor=False, market_zone="UTC")
    assert not notice_choice.is_quiet(chosen, at("2026-01-10T23:30"), minor=True, market_zone="UTC")


def test_without_a_zone_of_its_own_an_account_has_its_markets_night() -> None:
    assert notice_choice.is_quiet(Preferences(), at("2026-01-10T13:30"), minor=True, market_zone="Asia/Tokyo")
    assert not notice_choice.is_quiet(Preferences(), at("2026-01-10T13:30"), minor=True, market_zone="UTC")


@pytest.mark.parametrize("name", ["Nowhere/Atall", "../../etc/passwd", "Europe", "/etc/localtime"])
def test_what_is_no_time_zone_is_refused_by_name(client: Client, name: str) -> None:
    answer = client.call("PUT", "/me/notifications/preferences", {"time_zone": name}, who=client.sign_up("zoe"))
    assert (answer.code, answer.field) == ("invalid_request", "time_zone")


def test_preferences_are_kept_and_every_kind_has_a_line(client: Client) -> None:
    zoe = client.sign_up("zoe")
    first = client.call("GET", "/me/notifications/preferences", who=zoe).body
    assert set(first["kinds"]) == set(notices.KINDS)
    chosen = {
        "kinds": {"follow": {"inbox": False, "push": False}},
        "quiet": {"from": "23:00", "until": "06:30"},
        "time_zone": "America/New_York",
        "language": "ko",
    }
    assert client.call("PUT", "/me/notifications/preferences", chosen, who=zoe).status == 200
    kept = client.call("GET", "/me/notifications/preferences", who=zoe).body
    assert kept["kinds"]["follow"] == {"inbox": False, "push": False}
    assert kept["kinds"]["go_live"] == {"inbox": True, "push": True}
    assert {name: kept[name] for name in ("quiet", "time_zone", "language")} == {
        name: chosen[name] for name in ("quiet", "time_zone", "language")
    }


def test_a_follow_is_told_once_a_day_and_not_to_who_does_not_want_it(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    for _ in range(3):
        followed(client, fan, host)
        assert client.call("DELETE", f"/accounts/{host.handle}/follow", who=fan).status == 204
    (told,) = inbox(client, host)
    assert (told["kind"], told["title"], told["from"]["handle"]) == ("follow", "Fan follows you", "fan")
    notice_choice.write(host.id, Preferences(kinds={"follow": Way(inbox=False)}))
    followed(client, client.sign_up("second"), host)
    assert len(inbox(client, host)) == 1


def followed(client: Client, fan: Person, host: Person) -> None:
    """Follow, and the table's stream tells of it."""
    follow_as(client, fan, host)
    keys = {"pk": {"S": account_key(host.id)}, "sk": {"S": f"follower#{fan.id}"}}
    follower_count.handle({"Records": [{"eventName": "INSERT", "dynamodb": {"Keys": keys}}]}, None)
    announce_all(twice=True)


def inbox(client: Client, who: Person, language: str = "en") -> list[dict[str, Any]]:
    answer = client.call("GET", "/me/notifications", who=who, headers={"Accept-Language": language})
    assert answer.status == 200
    return list(answer.body["items"])


def follow_as(client: Client, fan: Person, host: Person) -> None:
    assert client.call("PUT", f"/accounts/{host.handle}/follow", who=fan).status == 204


def flow(stream_id: str, state: Any = "flowing") -> None:
    stream = table.required(stream_id)
    assert media.take(MediaReport(stream_id, stream.generation, state, clock.now_ms()))


def waiting() -> list[dict[str, Any]]:
    sqs, url = aws.client("sqs"), settings.required("NOTICES_QUEUE_URL")
    found: list[dict[str, Any]] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append({"messageId": message["MessageId"], "body": message["Body"]})
    return found


def announce_all(twice: bool = False) -> int:
    """Do everything that waits; returns how many messages there were."""
    done = 0
    while records := waiting():
        for _ in range(2 if twice else 1):
            assert announce.handle({"Records": records}, None) == {"batchItemFailures": []}
        done += len(records)
        assert done < 500, "it never ends"
    return done


def test_followers_are_told_once_media_flows_and_only_once(client: Client) -> None:
    host, fan, other = client.host(), client.sign_up("fan"), client.sign_up("other")
    follow_as(client, fan, host)
    stream_id = client.live(host)
    assert waiting() == [], "nobody is told before there is something to see"
    flow(stream_id)
    assert announce_all(twice=True) > 0
    (told,) = inbox(client, fan, "de")
    assert (told["kind"], told["stream_id"], told["title"]) == ("go_live", stream_id, "Host_One ist live")
    assert (told["body"], told["url"], told["read"]) == ("Morning", f"/watch/{stream_id}", False)
    assert inbox(client, other) == []
    # When: media is lost and comes back
    flow(stream_id, "lost")
    flow(stream_id)
    # Then: nothing is ordered again
    assert waiting() == []


def test_a_crash_before_the_mark_orders_again_and_tells_nobody_twice(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, fan = client.host(), client.sign_up("fan")
    follow_as(client, fan, host)
    stream_id = client.live(host)

    def crash(_: str) -> None:
        raise RuntimeError("the function ended here")

    with monkeypatch.context() as patch:
        patch.setattr(table, "set_announced", crash)
        with pytest.raises(RuntimeError):
            flow(stream_id)
    flow(stream_id)
    assert announce_all() > 0
    assert [one["kind"] for one in inbox(client, fan)] == ["go_live"]
    assert table.required(stream_id).announced


def test_who_may_not_watch_or_does_not_want_to_is_not_told(client: Client) -> None:
    host = client.host()
    names = ("glad", "behind_block", "banned_one", "young", "silent")
    people = {name: client.sign_up(name, **({"birth_date": "2011-01-01"} if name == "young" else {})) for name in names}
    for one in people.values():
        follow_as(client, one, host)
    stream_id = client.live(host, min_age=18)
    # A block that came while the pages were under way: it ends the follow, but the batch knows the account already.
    blocks.block(people["behind_block"].id, host.id)
    ProfileItem(account_key(people["banned_one"].id), PROFILE).update([ProfileItem.standing.set("banned")])
    notice_choice.write(people["silent"].id, Preferences(kinds={"go_live": Way(inbox=False)}))
    flow(stream_id)
    announce_all()
    told = {name for name, one in people.items() if notices.listed(one.id, None, 10)[0]}
    assert told == {"glad"}


def test_pages_and_batches_reach_every_follower_and_a_lost_page_is_done_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = client.host()
    fans = [client.sign_up(f"fan_{number}") for number in range(7)]
    for fan in fans:
        follows.follow(fan.id, host.id)
    stream_id = client.live(host)
    for module, name, value in ((announce, "PAGE", 3), (announce, "BATCH", 2), (telling, "READ_AT_ONCE", 1)):
        monkeypatch.setattr(module, name, value)
    flow(stream_id)
    first = waiting()
    real = announce._send
    sent: list[int] = []

    def lose_the_next_page(messages: Any) -> None:
        sent.append(len(messages))
        if isinstance(messages[0], announce.Page):
            raise announce.NotOrderedError
        real(messages)

    with monkeypatch.context() as patch:
        patch.setattr(announce, "_send", lose_the_next_page)
        failed = announce.handle({"Records": first}, None)["batchItemFailures"]
    assert failed == [{"itemIdentifier": first[0]["messageId"]}]
    # When: the queue brings it again
    assert announce.handle({"Records": first}, None) == {"batchItemFailures": []}
    announce_all()
    # Then: each was told, once
    assert sent == [2, 1]
    assert [len(notices.listed(fan.id, None, 10)[0]) for fan in fans] == [1] * 7


def test_nobody_is_told_of_a_stream_that_is_over_or_for_members_or_long_on(client: Client) -> None:
    host = client.host()
    stream_id = client.live(host)
    flow(stream_id)
    stream = table.required(stream_id)
    now_ms = clock.now_ms()
    assert announce.is_news(stream, "go_live", now_ms)
    for change in ({"state": "ended"}, {"audience": "members"}, {"flowed": False}):
        assert not announce.is_news(msgspec.structs.replace(stream, **change), "go_live", now_ms)
    assert not announce.is_news(stream, "go_live", now_ms + announce.LATE_MS)
