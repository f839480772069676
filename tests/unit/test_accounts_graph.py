"""Routes between accounts: follows with their counts, requests, blocks at every door, lists; and the reconciler."""

from __future__ import annotations

from typing import Any

import pytest
from pynamodb.transactions import TransactWrite

from functions import observe
from functions.accounts import blocks, follows, reconcile
from functions.accounts.table import FOLLOWING_COUNT, PROFILE, ProfileItem, account_key
from functions.rooms import table as rooms
from functions.streams.table import StreamItem
from tests.unit.https import Client, Person


def counts(client: Client, handle: str) -> tuple[int, int]:
    who = next(iter(client.people.values()))
    profile = client.call("GET", f"/accounts/{handle}", who=who).body
    return profile["followers"], profile["following"]


def test_following_twice_counts_once_and_unfollowing_undoes_it(client: Client) -> None:
    client.sign_up("ada")
    bob = client.sign_up("bob")
    for _ in range(2):
        assert client.call("PUT", "/accounts/ada/follow", who=bob).status == 204
        assert (counts(client, "ada"), counts(client, "bob")) == ((1, 0), (0, 1))
    for _ in range(2):
        assert client.call("DELETE", "/accounts/ada/follow", who=bob).status == 204
        assert (counts(client, "ada"), counts(client, "bob")) == ((0, 0), (0, 0))


def test_one_follows_neither_oneself_nor_nobody(client: Client) -> None:
    ada = client.sign_up("ada")
    assert client.call("PUT", "/accounts/ada/follow", who=ada).code == "invalid_request"
    assert client.call("PUT", "/accounts/nobody/follow", who=ada).code == "not_found"
    assert client.call("DELETE", "/accounts/nobody/follow", who=ada).code == "not_found"
    assert counts(client, "ada") == (0, 0)


def test_following_an_account_that_goes_away_leaves_nothing_behind(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    ProfileItem(account_key(ada.id), PROFILE).delete()
    assert client.call("PUT", "/accounts/ada/follow", who=bob).code == "not_found"
    assert counts(client, "bob") == (0, 0)
    assert client.call("GET", "/accounts/bob/following", who=bob).body["items"] == []


def test_nobody_follows_more_than_the_most(client: Client) -> None:
    client.sign_up("ada")
    bob = client.sign_up("bob")
    ProfileItem(account_key(bob.id), FOLLOWING_COUNT).update([ProfileItem.following.set(10_000)])
    assert client.call("PUT", "/accounts/ada/follow", who=bob).code == "conflict"
    assert counts(client, "ada") == (0, 0)


def test_lists_page_through_everyone_once(client: Client) -> None:
    client.sign_up("ada")
    handles = {f"fan_{n}" for n in range(5)}
    for handle in handles:
        client.call("PUT", "/accounts/ada/follow", who=client.sign_up(handle))
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = client.call("GET", f"/accounts/ada/followers?limit=2{cursor}", who=client.people["ada"]).body
        seen += [item["handle"] for item in page["items"]]
        if "cursor" not in page:
            break
        cursor = f"&cursor={page['cursor']}"
    assert len(seen) == 5 and set(seen) == handles
    following = client.call("GET", "/accounts/fan_0/following", who=client.people["ada"]).body
    assert [item["handle"] for item in following["items"]] == ["ada"]


def test_transactions_of_two_followers_do_not_lose_a_count(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt of the second follower meets another transaction, as DynamoDB reports it."""
    from botocore.exceptions import ClientError
    from pynamodb.exceptions import CancellationReason, TransactWriteError, VerboseClientError

    client.sign_up("ada")
    bob = client.sign_up("bob")
    real, met = TransactWrite._commit, list[int]()

    def conflicting(self: TransactWrite) -> Any:
        met.append(1)
        if len(met) == 1:
            told = {"Error": {"Code": "TransactionCanceledException", "Message": "conflict"}}
            reasons = [None, None, None, None, CancellationReason("TransactionConflict", "again")]
            cause = VerboseClientError(told, "TransactWriteItems", cancellation_reasons=reasons)
            assert isinstance(cause, ClientError)
            raise TransactWriteError("conflict", cause)
        return real(self)

    monkeypatch.setattr(TransactWrite, "_commit", conflicting)
    assert client.call("PUT", "/accounts/ada/follow", who=bob).status == 204
    assert len(met) == 2
    assert counts(client, "ada") == (1, 0)


def test_a_follow_takes_four_calls_the_first_for_ones_standing(client: Client) -> None:
    client.sign_up("ada")
    bob = client.sign_up("bob")
    with observe.counting() as calls:
        client.call("PUT", "/accounts/ada/follow", who=bob)
    assert [call.operation for call in calls] == ["GetItem", "GetItem", "BatchGetItem", "TransactWriteItems"]
    assert len(calls[-1].parameters["TransactItems"]) == 5


def relation(client: Client, who: Person, handle: str) -> dict[str, bool]:
    found: dict[str, bool] = client.call("GET", f"/accounts/{handle}", who=who).body["relation"]
    return found


def test_a_profile_tells_how_one_stands_to_it(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    assert relation(client, bob, "ada") == dict.fromkeys(("following", "followed_by", "requested", "blocked"), False)
    client.call("PUT", "/accounts/ada/follow", who=bob)
    assert relation(client, bob, "ada")["following"] and relation(client, ada, "bob")["followed_by"]
    assert "relation" not in client.call("GET", "/accounts/ada", who=ada).body


# --- private accounts


def private(client: Client, handle: str) -> Person:
    made = client.sign_up(handle)
    assert client.call("PATCH", "/me", {"private": True}, who=made).body["private"] is True
    return made


def test_minors_are_private_until_they_choose_otherwise(client: Client) -> None:
    child = client.sign_up("child", birth_date="2012-01-01")
    assert client.call("GET", "/me", who=child).body["private"] is True
    assert client.call("PATCH", "/me", {"private": False}, who=child).body["private"] is False
    assert client.call("GET", "/me", who=client.sign_up("grown")).body["private"] is False


def test_a_private_account_is_followed_by_whom_it_lets(client: Client) -> None:
    ada, bob = private(client, "ada"), client.sign_up("bob")
    for _ in range(2):
        assert client.call("PUT", "/accounts/ada/follow", who=bob).status == 204
    assert relation(client, bob, "ada") == {
        "following": False,
        "followed_by": False,
        "requested": True,
        "blocked": False,
    }
    assert counts(client, "ada") == (0, 0)
    assert [one["handle"] for one in client.call("GET", "/me/follow-requests", who=ada).body["items"]] == ["bob"]
    for _ in range(2):
        assert client.call("PUT", "/me/follow-requests/bob", who=ada).status == 204
    assert counts(client, "ada") == (1, 0)
    assert client.call("GET", "/me/follow-requests", who=ada).body["items"] == []
    assert client.call("PUT", "/accounts/ada/follow", who=bob).status == 204
    assert client.call("GET", "/me/follow-requests", who=ada).body["items"] == []


def test_a_request_can_be_refused_and_taken_back(client: Client) -> None:
    ada, bob = private(client, "ada"), client.sign_up("bob")
    client.call("PUT", "/accounts/ada/follow", who=bob)
    assert client.call("DELETE", "/me/follow-requests/bob", who=ada).status == 204
    assert relation(client, bob, "ada")["requested"] is False
    assert client.call("PUT", "/me/follow-requests/bob", who=ada).code == "not_found"
    client.call("PUT", "/accounts/ada/follow", who=bob)
    assert client.call("DELETE", "/accounts/ada/follow", who=bob).status == 204
    assert client.call("GET", "/me/follow-requests", who=ada).body["items"] == []
    assert counts(client, "ada") == (0, 0)


def test_lists_of_a_private_account_are_for_its_followers(client: Client) -> None:
    ada, bob, eve = private(client, "ada"), client.sign_up("bob"), client.sign_up("eve")
    follows.follow(bob.id, ada.id)
    for side in ("followers", "following"):
        assert client.call("GET", f"/accounts/ada/{side}", who=eve).code == "forbidden"
        assert client.call("GET", f"/accounts/ada/{side}", who=bob).status == 200
        assert client.call("GET", f"/accounts/ada/{side}", who=ada).status == 200


def test_lists_tell_a_private_accounts_broadcast_to_its_followers_alone(client: Client) -> None:
    host, bob, eve = client.host(), client.sign_up("bob"), client.sign_up("eve")
    client.call("PUT", "/accounts/bob/follow", who=host)
    client.call("PUT", "/accounts/host_one/follow", who=eve)
    client.call("PUT", "/me/moderators/host_one", who=bob)
    live = client.live(host)

    def told(who: Person, path: str) -> Any:
        (item,) = [one for one in client.call("GET", path, who=who).body["items"] if one["handle"] == "host_one"]
        return item.get("live_stream")

    assert told(bob, "/accounts/bob/followers") == told(bob, "/me/moderators") == live
    client.call("PATCH", "/me", {"private": True}, who=host)
    assert told(bob, "/accounts/bob/followers") is told(bob, "/me/moderators") is None
    assert told(eve, "/accounts/bob/followers") == told(host, "/accounts/bob/followers") == live


def test_a_follower_can_be_removed(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    client.call("PUT", "/accounts/ada/follow", who=bob)
    for _ in range(2):
        assert client.call("DELETE", "/accounts/bob/follower", who=ada).status == 204
    assert (counts(client, "ada"), counts(client, "bob")) == ((0, 0), (0, 0))


# --- blocks


def test_a_block_ends_both_follows_and_hides_both_ways(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    client.call("PUT", "/accounts/ada/follow", who=bob)
    client.call("PUT", "/accounts/bob/follow", who=ada)
    for _ in range(2):
        assert client.call("PUT", "/accounts/bob/block", who=ada).status == 204
    assert counts(client, "ada") == (0, 0)
    # Who is blocked sees nothing; who blocks sees whom it can let in again.
    assert client.call("GET", "/accounts/ada", who=bob).code == "blocked"
    assert client.call("GET", "/accounts/ada/followers", who=bob).code == "blocked"
    assert client.call("PUT", "/accounts/ada/follow", who=bob).code == "blocked"
    assert client.call("PUT", "/accounts/bob/follow", who=ada).code == "blocked"
    assert relation(client, ada, "bob")["blocked"] is True
    assert [one["handle"] for one in client.call("GET", "/me/blocks", who=ada).body["items"]] == ["bob"]
    assert client.call("GET", "/me/blocks", who=bob).body["items"] == []


def test_a_block_taken_back_lets_them_meet_again(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    client.call("PUT", "/accounts/bob/block", who=ada)
    for _ in range(2):
        assert client.call("DELETE", "/accounts/bob/block", who=ada).status == 204
    assert client.call("GET", "/accounts/ada", who=bob).status == 200
    assert client.call("PUT", "/accounts/ada/follow", who=bob).status == 204


def test_of_two_blocks_each_takes_back_its_own(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    client.call("PUT", "/accounts/bob/block", who=ada)
    client.call("PUT", "/accounts/ada/block", who=bob)
    client.call("DELETE", "/accounts/bob/block", who=ada)
    assert blocks.between(ada.id, bob.id) and blocks.between(bob.id, ada.id)
    assert client.call("GET", "/accounts/bob", who=ada).code == "blocked"
    assert client.call("GET", "/me/blocks", who=ada).body["items"] == []
    client.call("DELETE", "/accounts/ada/block", who=bob)
    assert not blocks.between(ada.id, bob.id) and not blocks.between(bob.id, ada.id)


def test_nobody_behind_a_block_gets_a_ticket_a_stream_or_a_feed_of_it(client: Client) -> None:
    host, bob = client.host(), client.sign_up("bob")
    stream_id = client.live(host)
    flowing = StreamItem(f"stream#{stream_id}", "stream")
    flowing.update([StreamItem.media.set("flowing"), StreamItem.feed_key.set("live")])
    assert [one["id"] for one in client.call("GET", "/feed/for-you", who=bob).body["items"]] == [stream_id]
    for by, whom in ((host, "bob"), (bob, "host_one")):
        client.call("PUT", f"/accounts/{whom}/block", who=by)
        assert client.call("POST", f"/streams/{stream_id}/ticket", who=bob).code == "blocked"
        assert client.call("GET", f"/streams/{stream_id}", who=bob).code == "blocked"
        assert client.call("GET", f"/streams/{stream_id}/frames", who=bob).code == "blocked"
        assert client.call("GET", "/feed/for-you", who=bob).body["items"] == []
        client.call("DELETE", f"/accounts/{whom}/block", who=by)
        assert client.call("POST", f"/streams/{stream_id}/ticket", who=bob).status == 200


def test_a_ticket_tells_whom_to_hide_and_takes_two_reads(client: Client) -> None:
    host, bob, eve = client.host(), client.sign_up("bob"), client.sign_up("eve")
    stream_id = client.live(host)
    with observe.counting() as calls:
        plain = client.call("POST", f"/streams/{stream_id}/ticket", who=bob)
    assert plain.body["hidden"] == []
    assert [call.operation for call in calls if call.service == "dynamodb"] == ["GetItem", "BatchGetItem"]
    client.call("PUT", "/accounts/eve/block", who=bob)
    assert client.call("POST", f"/streams/{stream_id}/ticket", who=bob).body["hidden"] == [eve.id]
    assert client.call("POST", f"/streams/{stream_id}/ticket", who=eve).body["hidden"] == [bob.id]


def test_lists_leave_out_who_is_behind_a_block(client: Client) -> None:
    ada, bob, eve = client.sign_up("ada"), client.sign_up("bob"), client.sign_up("eve")
    for fan in (bob, eve):
        client.call("PUT", "/accounts/ada/follow", who=fan)
    client.call("PUT", "/accounts/eve/block", who=bob)
    seen = client.call("GET", "/accounts/ada/followers", who=bob).body["items"]
    assert [one["handle"] for one in seen] == ["bob"]
    assert len(client.call("GET", "/accounts/ada/followers", who=ada).body["items"]) == 2


def test_a_block_while_live_shuts_the_room_to_a_ticket_that_is_out(client: Client) -> None:
    host, bob = client.host(), client.sign_up("bob")
    stream_id = client.live(host)
    client.call("PUT", "/accounts/bob/block", who=host)
    member = rooms.read_member(stream_id, bob.id)
    assert member is not None and member.banned
    client.call("DELETE", "/accounts/bob/block", who=host)
    member = rooms.read_member(stream_id, bob.id)
    assert member is not None and not member.banned


def test_a_ban_of_the_host_is_not_undone_by_blocking_them_and_taking_that_back(client: Client) -> None:
    host, bob = client.host(), client.sign_up("bob")
    stream_id = client.live(host)
    client.call("PUT", f"/streams/{stream_id}/members/bob", {"banned": True}, who=host)
    for _ in range(2):
        assert client.call("PUT", "/accounts/host_one/block", who=bob).status == 204
    assert client.call("DELETE", "/accounts/host_one/block", who=bob).status == 204
    assert client.call("POST", f"/streams/{stream_id}/ticket", who=bob).code == "banned"


# --- the reconciler


def test_the_reconciler_repairs_what_is_wrong_and_nothing_else(client: Client) -> None:
    ada = client.sign_up("ada")
    fans = [client.sign_up(f"fan_{n}") for n in range(3)]
    for fan in fans:
        client.call("PUT", "/accounts/ada/follow", who=fan)
    assert reconcile.check(ada.id) == []
    shard = f"profile#followers#{follows.shard_of(fans[0].id)}"
    item = ProfileItem(account_key(ada.id), shard)
    item.update([ProfileItem.followers.add(5)])
    ProfileItem(account_key(fans[1].id), FOLLOWING_COUNT).delete()
    checked, findings = reconcile.run(lambda: 300_000)
    assert checked == 4
    assert {(each.account, each.count, each.repaired) for each in findings} == {
        (ada.id, shard, True),
        (fans[1].id, FOLLOWING_COUNT, True),
    }
    assert counts(client, "ada") == (3, 0) and counts(client, "fan_1") == (0, 1)
    assert reconcile.run(lambda: 300_000)[1] == []


def test_the_reconciler_leaves_a_count_that_moves(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = client.sign_up("ada")
    one, *others = (f"id-{n}" for n in range(100))
    other = next(each for each in others if follows.shard_of(each) == follows.shard_of(one))
    follows.follow(one, ada.id)
    real, meanwhile = reconcile._entries, [True]

    def counted_late(account_id: str) -> dict[str, int]:
        # One comes and one goes after the counts were read, so that only the number of changes tells.
        if meanwhile.pop() if meanwhile else False:
            follows.follow(other, ada.id)
            found = real(account_id)
            follows.unfollow(one, ada.id)
            return found
        return real(account_id)

    monkeypatch.setattr(reconcile, "_entries", counted_late)
    assert reconcile.check(ada.id) == []
    assert counts(client, "ada") == (1, 0)


def test_the_reconciler_goes_on_where_it_ended(client: Client) -> None:
    people = {client.sign_up(f"one_{n}").id for n in range(3)}
    first, _ = reconcile.run(lambda: 0)
    assert first == 1
    rest, _ = reconcile.run(lambda: 300_000)
    assert first + rest == len(people)
    assert reconcile.run(lambda: 300_000)[0] == len(people)
