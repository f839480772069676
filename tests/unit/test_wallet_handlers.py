"""The wallet's routes and Lambda handlers, on moto's tables and queue: what is said to them, and what comes back."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from functions import aws, clock, observe
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.errors import OnairError
from functions.rooms.items import InboxItem, room_key
from functions.rooms.messages import GiftMessage, Sender
from functions.rooms.model import RoomView
from functions.wallet import ring_unsettled, settle
from functions.wallet.audit import audit
from functions.wallet.gift_transfer import send_gift
from functions.wallet.giving import Giver
from functions.wallet.settle import GUARD_MS, SLOT_MS
from functions.wallet.table import StoredLedger
from tests.contract import tables
from tests.unit import https

VIEWER = https.Person("viewer-id", "viewer", "token")
GIVER = Giver("US", 30)
ROOM = RoomView("s1", "host-id", True)


@pytest.fixture
def ledger(client: https.Client, monkeypatch: pytest.MonkeyPatch) -> https.Client:
    """The API's client with a ledger table, a Settle queue and the sandbox switched on."""
    tables.create_ledger(aws.client("dynamodb"), "ledger")
    queue = aws.client("sqs").create_queue(QueueName="Settle.fifo", Attributes={"FifoQueue": "true"})
    monkeypatch.setattr(settle, "_rung", {})  # another test's queue, at the same time of its clock
    monkeypatch.setenv("LEDGER_TABLE", "ledger")
    monkeypatch.setenv("SETTLE_QUEUE_URL", queue["QueueUrl"])
    monkeypatch.setenv("SANDBOX_PURCHASES", "true")
    # Nobody buys without an account: the one guard in front of changing routes reads it.
    ProfileItem(
        account_key(VIEWER.id),
        PROFILE,
        handle=VIEWER.handle,
        display_name="Viewer",
        birth_date="1990-01-01",
        market="US",
        created_ms=client.clock.now_ms(),
    ).save()
    return client


def buy(client: https.Client, proof: str = "p", **changes: Any) -> https.Answer:
    body = {"provider": "sandbox", "pack": "coins_350", "proof": proof, **changes}
    return client.call("POST", "/purchases", body, who=VIEWER)


def give(client_id: str, count: int = 1) -> int:
    return send_gift(Sender(VIEWER.id, "viewer", "Viewer"), ROOM, GiftMessage(client_id, "rose", count), GIVER).coins


def rings() -> list[dict[str, str]]:
    url = os.environ["SETTLE_QUEUE_URL"]
    answer = aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    for each in answer.get("Messages", []):
        aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
    return [json.loads(each["Body"]) for each in answer.get("Messages", [])]


def batch(*bodies: str) -> dict[str, Any]:
    records = [
        {
            "messageId": f"m{n}",
            "body": body,
            "eventSource": "aws:sqs",
            "attributes": {"MessageGroupId": f"g{n}"},
        }
        for n, body in enumerate(bodies)
    ]
    return {"Records": records}


# --- routes ------------------------------------------------------------------------------------------------------


def test_catalogue_and_packs_are_open(ledger: https.Client) -> None:
    gifts = ledger.call("GET", "/gifts").body["items"]
    packs = ledger.call("GET", "/coin-packs").body["items"]
    assert gifts[0].keys() == {"id", "name", "coins", "emoji", "tier", "animation"}
    assert packs[0].keys() == {"id", "coins", "usd_cents"}
    assert [each["coins"] for each in gifts] == sorted(each["coins"] for each in gifts)


def test_a_wallet_is_empty_before_the_first_coin_and_is_made_by_it(ledger: https.Client) -> None:
    assert ledger.call("GET", "/wallet", who=VIEWER).body == {"coins": 0, "diamonds": 0, "version": 0}
    bought = buy(ledger)
    assert (bought.status, bought.body) == (201, {"coins": 350, "diamonds": 0, "version": 1})
    assert ledger.call("GET", "/wallet", who=VIEWER).body == bought.body
    assert buy(ledger).body == bought.body


def test_the_wallet_is_for_who_is_signed_in(ledger: https.Client) -> None:
    for method, path in [("GET", "/wallet"), ("GET", "/wallet/statement"), ("POST", "/purchases")]:
        assert ledger.call(method, path, {} if method == "POST" else None).code == "unauthenticated"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"provider": "apple"}, "provider"),
        ({"provider": 7}, "provider"),
        ({"pack": "coins_1"}, "pack"),
        ({"proof": ""}, "proof"),
        ({"proof": ["p"]}, "proof"),
        ({"proof": "x" * 8193}, "proof"),
    ],
)
def test_a_purchase_names_the_field_that_is_wrong(ledger: https.Client, changes: dict[str, Any], field: str) -> None:
    answer = buy(ledger, **changes)
    assert (answer.status, answer.code, answer.field) == (400, "invalid_request", field)
    assert ledger.call("GET", "/wallet", who=VIEWER).body["version"] == 0


def test_without_the_setting_nothing_is_free(ledger: https.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_PURCHASES", "false")
    assert buy(ledger).field == "provider"


def test_a_statement_is_paged_by_its_cursor(ledger: https.Client) -> None:
    for n in range(3):
        buy(ledger, f"p{n}")
    first = ledger.call("GET", "/wallet/statement?limit=2", who=VIEWER).body
    assert [each["version"] for each in first["items"]] == [3, 2]
    rest = ledger.call("GET", f"/wallet/statement?limit=2&cursor={first['cursor']}", who=VIEWER).body
    assert [each["version"] for each in rest["items"]] == [1]
    assert "cursor" not in rest
    assert rest["items"][0]["at"].endswith("Z")
    assert rest["items"][0]["amount"] == 350


@pytest.mark.parametrize(
    ("query", "field"), [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("cursor=AAAA", "cursor")]
)
def test_a_statement_refuses_what_it_cannot_page(ledger: https.Client, query: str, field: str) -> None:
    answer = ledger.call("GET", f"/wallet/statement?{query}", who=VIEWER)
    assert (answer.code, answer.field) == ("invalid_request", field)


# --- gifts -------------------------------------------------------------------------------------------------------


def test_a_gift_puts_one_event_into_the_room_and_rings_the_settler(ledger: https.Client) -> None:
    buy(ledger)
    assert give("1", 2) == 348
    assert give("1", 2) == 348
    (event,) = InboxItem.query(room_key("s1"), InboxItem.sk.startswith("inbox#"))
    body = json.loads(event.body)
    assert (body["type"], body["gift_id"], body["count"], body["coins"]) == ("gift", "rose", 2, 2)
    assert (body["client_id"], body["from"]["handle"]) == ("1", "viewer")
    assert event.diamonds_milli == 1000
    assert {each["creator"] for each in rings()} == {"host-id"}


def test_a_gift_is_recorded_even_where_its_ring_is_lost(ledger: https.Client) -> None:
    buy(ledger)
    aws.client("sqs").delete_queue(QueueUrl=os.environ["SETTLE_QUEUE_URL"])
    assert give("1") == 349
    found = StoredLedger().transfer(VIEWER.id, "gift#1")
    assert found is not None


def test_the_share_is_the_templates(ledger: https.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREATOR_SHARE_PERMILLE", "700")
    buy(ledger)
    give("1", 10)
    assert settle.settle_all(StoredLedger(), "host-id")
    host = StoredLedger().wallet("host-id")
    assert host is not None
    assert host.diamonds == 7


def test_a_gift_is_three_writes_in_one_call_and_two_reads_at_most(ledger: https.Client) -> None:
    buy(ledger)
    with observe.counting() as calls:
        give("1")
    assert [each.operation for each in calls] == ["GetItem", "TransactWriteItems", "SendMessage"]
    (transaction,) = [each for each in calls if each.operation == "TransactWriteItems"]
    assert len(transaction.parameters["TransactItems"]) == 3


# --- settlement --------------------------------------------------------------------------------------------------


def test_a_ring_settles_its_creator_after_the_slots_end(ledger: https.Client) -> None:
    buy(ledger)
    give("1", 3)
    (ring,) = rings()
    slot = int(ring["slot"])
    assert settle.handle(batch(json.dumps(ring)), None) == {"batchItemFailures": []}
    assert clock.now_ms() >= (slot + 1) * SLOT_MS + GUARD_MS
    host = StoredLedger().wallet("host-id")
    assert host is not None
    assert (host.diamonds, host.carried_milli) == (1, 500)
    settle.handle(batch(json.dumps(ring), json.dumps(ring)), None)
    assert StoredLedger().wallet("host-id") == host


def test_a_run_rings_once_a_slot_and_again_in_the_next(ledger: https.Client) -> None:
    buy(ledger)
    ledger.clock.sleep_ms(SLOT_MS - clock.now_ms() % SLOT_MS)

    def sent_by(*client_ids: str) -> int:
        with observe.counting() as calls:
            for each in client_ids:
                give(each)
        return [each.operation for each in calls].count("SendMessage")

    assert sent_by("1", "2", "3") == 1
    ledger.clock.sleep_ms(SLOT_MS)
    assert sent_by("4", "5") == 1
    now = clock.now_ms() // SLOT_MS
    assert [int(each["slot"]) for each in rings()] == [now - 1, now]


def test_a_ring_that_was_not_taken_is_rung_by_the_next_gift(ledger: https.Client) -> None:
    buy(ledger)
    lost: list[str] = []

    def lose(**_: Any) -> None:
        if not lost:
            lost.append("ring")
            raise ReadTimeoutError(endpoint_url="sqs")

    aws.client("sqs").meta.events.register("before-call.sqs.SendMessage", lose)
    give("1")
    give("2")
    assert lost == ["ring"]
    assert len(rings()) == 1


def test_a_broken_ring_fails_alone(ledger: https.Client) -> None:
    buy(ledger)
    give("1", 2)
    (ring,) = rings()
    answer = settle.handle(batch("not json", json.dumps(ring)), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    host = StoredLedger().wallet("host-id")
    assert host is not None
    assert host.diamonds == 1


def test_what_one_ring_does_not_finish_rings_again(ledger: https.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    buy(ledger)
    give("1")
    rings()
    ledger.clock.sleep_ms(2 * SLOT_MS)
    asked: list[str] = []

    def never_done(book: Any, creator: str) -> bool:
        asked.append(creator)
        return False

    monkeypatch.setattr(settle, "settle_all", never_done)
    settle.handle(batch(json.dumps({"creator": "host-id", "slot": 1})), None)
    assert asked == ["host-id"]
    assert [each["creator"] for each in rings()] == ["host-id"]


def test_the_schedule_rings_for_gifts_that_wait_and_for_no_others(ledger: https.Client) -> None:
    buy(ledger)
    give("1")
    rings()
    ring_unsettled.handle({}, None)
    assert rings() == []
    ledger.clock.sleep_ms(ring_unsettled.WAIT_MS + 1)
    ring_unsettled.handle({}, None)
    (ring,) = rings()
    settle.handle(batch(json.dumps(ring)), None)
    ledger.clock.sleep_ms(SLOT_MS)
    ring_unsettled.handle({}, None)
    assert rings() == []
    assert audit(StoredLedger(), clock.now_ms()).differences == ()


# --- storage that does not answer ---------------------------------------------------------------------------------


def test_an_answer_lost_after_the_commit_is_found_again(ledger: https.Client) -> None:
    buy(ledger)
    client = aws.client("dynamodb")
    sent: list[str] = []

    def lose_the_answer(**_: Any) -> None:
        sent.append("TransactWriteItems")
        if len(sent) == 1:
            raise ReadTimeoutError(endpoint_url="dynamodb")

    client.meta.events.register("after-call.dynamodb.TransactWriteItems", lose_the_answer)
    assert give("1", 2) == 348
    assert sent == ["TransactWriteItems"]
    wallet = StoredLedger().wallet(VIEWER.id)
    assert wallet is not None
    assert (wallet.coins, wallet.version) == (348, 2)


def test_a_service_that_stays_away_is_unavailable_and_nothing_is_spent(ledger: https.Client) -> None:
    buy(ledger)
    client = aws.client("dynamodb")

    def away(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="dynamodb")

    client.meta.events.register("before-call.dynamodb.TransactWriteItems", away)
    with pytest.raises(OnairError) as caught:
        give("1")
    assert caught.value.code == "unavailable"
    client.meta.events.unregister("before-call.dynamodb.TransactWriteItems", away)
    assert give("1") == 349
