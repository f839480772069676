"""What operators decide about accounts: strikes, standings, appeals, live access, and what follows at once."""

from __future__ import annotations

from typing import Any

import pytest

from functions import clock, observe
from functions.accounts import due, keep, table
from functions.accounts.follower_count import Pair, count
from functions.accounts.model import DAY_MS, FOLLOWER_AGE_DAYS_MIN
from functions.rooms.items import ConnectionItem
from functions.rooms.model import Connection
from functions.rooms.stored import StoredRooms
from functions.rooms.table import read_room
from functions.streams.table import required as stream
from tests.unit.https import BOTH, Client, Person


def strike(client: Client, by: Person, handle: str, rule: str = "spam", **more: Any) -> Any:
    answer = client.call(
        "POST", f"/operator/accounts/{handle}/strikes", {"rule": rule, "reason": "Seen by two people", **more}, who=by
    )
    assert answer.status == 201, answer.body
    return answer.body


def set_standing(client: Client, by: Person, handle: str, what: str, until: str | None = None) -> Any:
    body = {"standing": what, "reason": "Decided", "until": until}
    answer = client.call("PUT", f"/operator/accounts/{handle}/standing", body, who=by)
    assert answer.status == 200, answer.body
    return answer.body


def ahead(days: float) -> str:
    return clock.rfc3339(clock.now_ms() + int(days * DAY_MS))


def eligibility(client: Client, who: Person) -> dict[str, Any]:
    answer = client.call("GET", "/me/eligibility?devices=encoder", who=who).body
    return {row["code"]: row for row in answer["requirements"]}


def record(client: Client, who: Person) -> Any:
    return client.call("GET", "/me/standing", who=who).body


def test_a_strike_names_rule_evidence_and_time_and_its_account_sees_it(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    frame = ahead(-1)
    made = strike(client, olga, "ada", stream_id="s1", event_id="e1", frame_at=frame)
    own = record(client, ada)
    assert own["standing"] == "limited"
    (entry,) = own["entries"]
    assert (entry["rule"], entry["points"], entry["active"]) == ("spam", 1, True)
    assert entry["evidence"] == {"stream_id": "s1", "event_id": "e1", "frame_at": frame}
    # the operator's name is for operators
    assert (entry["decided_by"], made["decided_by"]) == ("operator", "olga")
    seen = client.call("GET", "/operator/accounts/ada", who=olga).body["record"]
    assert seen["entries"][0]["decided_by"] == "olga"
    (told,) = client.call("GET", "/operator/audit", who=olga).body["items"]
    assert (told["operator"], told["action"], told["target"]) == ("olga", "standing.strike", "ada")
    assert told["details"]["evidence"]["event_id"] == "e1"


def test_the_same_strike_under_its_key_counts_once(client: Client) -> None:
    olga = client.operator()
    client.sign_up("ada")
    body = {"rule": "spam", "reason": "Once"}
    one = client.call("POST", "/operator/accounts/ada/strikes", body, who=olga, key="k1")
    two = client.call("POST", "/operator/accounts/ada/strikes", body, who=olga, key="k1")
    assert one.body == two.body
    other = client.call("POST", "/operator/accounts/ada/strikes", {**body, "rule": "hate"}, who=olga, key="k1")
    assert other.code == "id_reused"
    assert client.call("GET", "/operator/accounts/ada", who=olga).body["record"]["points"] == 1


def test_standing_goes_down_the_ladder_and_comes_back_by_itself_without_a_write(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    strike(client, olga, "ada")
    strike(client, olga, "ada")
    assert record(client, ada)["standing"] == "suspended"
    assert eligibility(client, ada)["standing"]["met"] is False
    client.clock.offset_ms += 7 * DAY_MS + 1000
    assert (record(client, ada)["standing"], record(client, ada)["points"]) == ("good", 2)
    client.clock.offset_ms += 83 * DAY_MS
    assert record(client, ada)["points"] == 0
    assert len(record(client, ada)["entries"]) == 2, "history is kept"


@pytest.mark.parametrize("what", ["limited", "suspended", "banned"])
def test_a_broadcast_ends_with_a_reason_when_its_hosts_standing_changes(client: Client, what: str) -> None:
    olga, host = client.operator(), client.host()
    stream_id = client.live(host)
    set_standing(client, olga, "host_one", what)
    assert (stream(stream_id).state, stream(stream_id).end_reason) == ("ended", "standing")
    room = read_room(stream_id)
    assert room is not None and not room.live
    (ended,) = [entry.body for entry in StoredRooms().inbox(stream_id, 10) if '"ended"' in (entry.body or "")]
    assert '"reason":"standing"' in ended
    again = client.call("POST", "/streams", {"title": "Again", "devices": BOTH}, who=host)
    assert again.code == "not_eligible"


def test_a_suspended_account_gets_no_ticket_and_its_open_sockets_are_marked(client: Client) -> None:
    olga, host, fan = client.operator(), client.host(), client.sign_up("fan")
    stream_id = client.live(host)
    rooms = StoredRooms()
    one = Connection(id="c1", account=fan.id, shard=0, expires_s=clock.now_ms() // 1000 + 600)
    ConnectionItem.of_shard(stream_id, one).save()
    ConnectionItem.of_account(stream_id, one).save()
    set_standing(client, olga, "fan", "suspended", ahead(0.01))
    assert client.call("POST", f"/streams/{stream_id}/ticket", who=fan).code == "suspended"
    assert [each.closing for each in rooms.connections(stream_id, 0)] == ["suspended"]
    # who holds a ticket of before is not let in by it
    presence = rooms.presence(fan.id)
    assert (presence.connections, presence.barred) == ([], "suspended")
    client.clock.offset_ms += DAY_MS // 100 + 1000
    assert rooms.presence(fan.id).barred is None
    assert client.call("POST", f"/streams/{stream_id}/ticket", who=fan).status == 200


def test_a_suspension_ends_sessions_and_the_record_stays_readable_after_signing_in_anew(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    session = client.call("POST", "/sessions", {"handle": "ada", "password": "Onair-demo-1"}).body
    set_standing(client, olga, "ada", "suspended")
    refused = client.call("POST", "/sessions", {"refresh_token": session["refresh_token"]})
    assert refused.code == "unauthenticated"
    assert client.call("POST", "/sessions", {"handle": "ada", "password": "Onair-demo-1"}).status == 200
    assert record(client, ada)["standing"] == "suspended"


def test_an_appeal_is_made_once_reviewed_once_and_what_it_overturns_never_was(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    entry = strike(client, olga, "ada", "minor_safety")
    assert record(client, ada)["standing"] == "banned"
    made = client.call("POST", "/me/standing/appeals", {"entry_id": entry["id"], "text": "It was not me"}, who=ada)
    assert (made.status, made.body["appeal"]["state"]) == (201, "open")
    again = client.call("POST", "/me/standing/appeals", {"entry_id": entry["id"], "text": "Really"}, who=ada)
    assert again.code == "conflict"
    (waiting,) = client.call("GET", "/operator/appeals", who=olga).body["items"]
    assert (waiting["handle"], waiting["entry"]["appeal"]["text"]) == ("ada", "It was not me")
    path = f"/operator/appeals/{waiting['id']}"
    decided = client.call("PUT", path, {"decision": "overturned", "reason": "It was not"}, who=olga)
    assert decided.body["appeal"]["state"] == "overturned"
    assert client.call("PUT", path, {"decision": "upheld", "reason": "No"}, who=olga).code == "not_found"
    own = record(client, ada)
    assert (own["standing"], own["points"]) == ("good", 0)
    assert own["entries"][0]["appeal"]["reason"] == "It was not"
    assert client.call("GET", "/operator/appeals", who=olga).body["items"] == []
    actions = [one["action"] for one in client.call("GET", "/operator/audit", who=olga).body["items"]]
    assert actions == ["appeal.review", "standing.strike"]


def test_an_appeal_against_what_is_not_in_ones_record_is_not_found(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    client.sign_up("eve")
    entry = strike(client, olga, "eve")
    answer = client.call("POST", "/me/standing/appeals", {"entry_id": entry["id"], "text": "Mine?"}, who=ada)
    assert answer.code == "not_found"


def test_live_access_lets_someone_without_followers_go_live_until_it_ends(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    assert eligibility(client, ada)["followers"]["met"] is False
    body = {"until": ahead(1), "reason": "The first to broadcast here"}
    answer = client.call("PUT", "/operator/accounts/ada/live-access", body, who=olga)
    assert answer.body["live_access_until"] == body["until"]
    row = eligibility(client, ada)["followers"]
    assert (row["met"], row["waived"], row["actual"]) == (True, True, 0)
    assert client.call("POST", "/streams", {"title": "First", "devices": BOTH}, who=ada).status == 201
    client.clock.offset_ms += DAY_MS + 1000
    assert eligibility(client, ada)["followers"]["met"] is False
    (told,) = client.call("GET", "/operator/audit", who=olga).body["items"]
    assert (told["action"], told["details"]["until"]) == ("live_access.set", body["until"])


def test_live_access_waives_neither_age_nor_standing(client: Client) -> None:
    olga = client.operator()
    young = client.sign_up("young", birth_date=f"{clock.today_utc(clock.now_ms()).year - 15}-01-01")
    body = {"until": ahead(1), "reason": "Tries"}
    client.call("PUT", "/operator/accounts/young/live-access", body, who=olga)
    strike(client, olga, "young")
    rows = eligibility(client, young)
    assert (rows["age"]["met"], rows["standing"]["met"]) == (False, False)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "live-access", {"until": "2020-01-01T00:00:00Z", "reason": "x"}, "until"),
        ("PUT", "live-access", {"until": "2999-01-01T00:00:00Z", "reason": "x"}, "until"),
        ("PUT", "live-access", {"until": None, "reason": " "}, "reason"),
        ("PUT", "live-access", {"reason": "x"}, "until"),
        ("PUT", "standing", {"standing": "great", "reason": "x"}, "standing"),
        ("PUT", "standing", {"standing": "banned", "until": "2999-01-01T00:00:00Z", "reason": "x"}, "until"),
        ("PUT", "standing", {"standing": "limited", "until": "2020-01-01T00:00:00Z", "reason": "x"}, "until"),
        ("POST", "strikes", {"rule": "being_odd", "reason": "x"}, "rule"),
        ("POST", "strikes", {"rule": "spam", "reason": "x" * 501}, "reason"),
        ("POST", "strikes", {"rule": "spam", "reason": "x", "frame_at": "noon"}, "frame_at"),
    ],
)
def test_bad_input_of_operators_is_named(
    client: Client, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    olga = client.operator()
    client.sign_up("ada")
    answer = client.call(method, f"/operator/accounts/ada/{path}", body, who=olga)
    assert (answer.code, answer.field) == ("invalid_request", field)
    assert client.call("GET", "/operator/audit", who=olga).body["items"] == []


def test_who_is_no_operator_does_none_of_this_and_an_unknown_handle_is_not_found(client: Client) -> None:
    olga, ada = client.operator(), client.sign_up("ada")
    calls = [
        ("GET", "/operator/accounts/{}", None),
        ("POST", "/operator/accounts/{}/strikes", {"rule": "spam", "reason": "x"}),
        ("PUT", "/operator/accounts/{}/standing", {"standing": "banned", "reason": "x"}),
        ("PUT", "/operator/accounts/{}/live-access", {"until": ahead(1), "reason": "x"}),
    ]
    for method, path, body in calls:
        assert client.call(method, path.format("olga"), body, who=ada).code == "forbidden"
        assert client.call(method, path.format("nobody"), body, who=olga).code == "not_found"
    assert client.call("GET", "/operator/appeals", who=ada).code == "forbidden"
    assert client.call("PUT", "/operator/appeals/x", {"decision": "upheld", "reason": "x"}, who=ada).code == "forbidden"


# --- followers that count


def counted(handle: str) -> int:
    return table.by_handle(handle).followers_counted


def test_days_old_followers_count_once_they_have_come_of_age(client: Client) -> None:
    ada, fan = client.sign_up("ada"), client.sign_up("fan")
    client.call("PUT", "/accounts/ada/follow", who=fan)
    pair = Pair(ada.id, fan.id)
    assert (count([pair]), counted("ada")) == (0, 0)
    client.clock.offset_ms += FOLLOWER_AGE_DAYS_MIN * DAY_MS + 1000
    assert keep.keep() == [fan.id]
    assert counted("ada") == 1
    assert (count([pair, pair]), counted("ada")) == (0, 1), "again changes nothing"
    client.call("DELETE", "/accounts/ada/follow", who=fan)
    assert (count([pair]), counted("ada")) == (1, 0)
    assert list(due.until(clock.now_ms(), 10)) == []


def test_followers_leave_the_count_with_their_standing_and_come_back_with_it(client: Client) -> None:
    olga, ada, fan = client.operator(), client.sign_up("ada"), client.sign_up("fan")
    client.call("PUT", "/accounts/ada/follow", who=fan)
    client.clock.offset_ms += FOLLOWER_AGE_DAYS_MIN * DAY_MS + 1000
    count([Pair(ada.id, fan.id)])
    assert counted("ada") == 1
    set_standing(client, olga, "fan", "suspended", ahead(1))
    keep.keep()
    assert counted("ada") == 0
    client.clock.offset_ms += DAY_MS + 1000
    keep.keep()
    assert counted("ada") == 1
    assert eligibility(client, ada)["followers"]["actual"] == 1


def test_many_follows_of_one_account_are_counted_in_pages_and_a_crash_between_loses_none(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.accounts import enforce

    monkeypatch.setattr(enforce, "FOLLOWS_AT_ONCE", 2)
    olga, fan = client.operator(), client.sign_up("fan")
    hosts = [client.sign_up(f"host_{name}") for name in "abcde"]
    for host in hosts:
        client.call("PUT", f"/accounts/{host.handle}/follow", who=fan)
    client.clock.offset_ms += FOLLOWER_AGE_DAYS_MIN * DAY_MS + 1000
    count(Pair(host.id, fan.id) for host in hosts)
    assert [counted(host.handle) for host in hosts] == [1] * 5
    set_standing(client, olga, "fan", "banned")
    real, calls = enforce.recount, list[str]()

    def dying(account_id: str, after: str | None) -> str | None:
        calls.append(account_id)
        if len(calls) == 2:
            raise RuntimeError("the function died")
        return real(account_id, after)

    monkeypatch.setattr(enforce, "recount", dying)
    with pytest.raises(keep.KeepError):
        keep.keep()
    monkeypatch.setattr(enforce, "recount", real)
    keep.keep()
    assert [counted(host.handle) for host in hosts] == [0] * 5


# --- what it costs


def test_eligibility_takes_one_read_and_a_ticket_two(client: Client) -> None:
    host, fan = client.host(), client.sign_up("fan")
    stream_id = client.live(host)
    client.call("POST", f"/streams/{stream_id}/ticket", who=fan)
    for method, path, reads in (("GET", "/me/eligibility", 1), ("POST", f"/streams/{stream_id}/ticket", 2)):
        with observe.counting() as calls:
            assert client.call(method, path, who=fan).status == 200
        assert len(calls) == reads, calls


def test_nobody_decides_on_themselves(client: Client) -> None:
    olga, otto, ada = client.operator("olga"), client.operator("otto"), client.sign_up("ada")
    strike(client, otto, "olga")
    (entry,) = client.call("GET", "/me/standing", who=olga).body["entries"]
    client.call("POST", "/me/standing/appeals", {"entry_id": entry["id"], "text": "It was not me."}, who=olga)
    (waiting,) = client.call("GET", "/operator/appeals", who=olga).body["items"]
    client.call("POST", "/accounts/olga/report", {"reason": "spam"}, who=ada)
    (case,) = client.call("GET", "/operator/reports", who=olga).body["items"]
    for method, path, body in (
        ("PUT", f"/operator/appeals/{waiting['id']}", {"decision": "overturned"}),
        ("PUT", f"/operator/reports/{case['id']}", {"state": "dismissed"}),
        ("PUT", "/operator/accounts/olga/standing", {"standing": "good"}),
        ("POST", "/operator/accounts/olga/strikes", {"rule": "spam"}),
    ):
        assert client.call(method, path, {**body, "reason": "I say so."}, who=olga).code == "forbidden", path
        assert client.call(method, path, {**body, "reason": "Another says so."}, who=otto).status in (200, 201), path
    # What a new deployment's first operator needs to go live is theirs to give.
    ahead_of_me = {"until": ahead(1), "reason": "The first broadcast of all."}
    assert client.call("PUT", "/operator/accounts/olga/live-access", ahead_of_me, who=olga).status == 200
