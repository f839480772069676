"""One's data: everything held comes out page by page, and erasing takes it away in steps that may each be repeated."""

from __future__ import annotations

from typing import Any

import pytest

from functions import aws
from functions.accounts import erasing, reconcile
from functions.accounts.table import AccountsItem, account_key
from functions.wallet import payout_rules
from functions.wallet.payout_rules import Payout, TaxProfile
from functions.wallet.table import StoredLedger
from tests.unit.accounts_work import do_work, waiting
from tests.unit.https import PASSWORD, Client, Person


@pytest.fixture
def ledger(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty ledger: wallets are not what is tested here."""
    monkeypatch.setenv("LEDGER_TABLE", "ledger")
    aws.client("dynamodb").create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )


def exported(client: Client, who: Person, limit: int = 100) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(100):
        page = client.call("GET", f"/me/export?limit={limit}{cursor}", who=who)
        assert page.status == 200, page.body
        found += page.body["items"]
        if "cursor" not in page.body:
            return found
        cursor = f"&cursor={page.body['cursor']}"
    raise AssertionError("the export never ends")


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_an_export_holds_everything_once_on_pages_of_any_size(client: Client, ledger: None, limit: int) -> None:
    ada, bob = client.host("ada"), client.sign_up("bob")
    client.call("PUT", "/accounts/bob/follow", who=ada)
    client.call("PUT", "/accounts/ada/follow", who=bob)
    streams = {client.ready(ada), client.ready(ada)}
    aws.client("dynamodb").put_item(
        TableName="ledger",
        Item={"pk": {"S": f"wallet#{ada.id}"}, "sk": {"S": "wallet"}, "coins": {"N": "7"}},
    )
    items = exported(client, ada, limit)
    keys = [(item["part"], item["key"]) for item in items]
    assert len(keys) == len(set(keys))
    assert {("account", "profile"), ("account", f"follows#{bob.id}"), ("account", f"follower#{bob.id}")} <= set(keys)
    assert {key for part, key in keys if part == "streams"} == streams
    profile = next(item["content"] for item in items if item["key"] == "profile")
    assert profile["birth_date"] == "1990-05-17"
    assert next(item["content"] for item in items if item["part"] == "wallet") == {"coins": 7}
    assert not any(bob.handle == item["content"].get("handle") for item in items)


def test_what_proves_who_one_is_stays_out_of_an_export(client: Client, ledger: None) -> None:
    from functions.accounts import codes

    ada = client.sign_up("ada")
    codes.issue(ada.id, "contact", "ada@example.org")
    codes.issue_recovery(ada.id)
    assert not [item for item in exported(client, ada) if "digest" in str(item["content"])]


def test_an_export_names_neither_who_blocks_one_nor_which_operator_decided(client: Client, ledger: None) -> None:
    ada, bob, olga = client.sign_up("ada"), client.sign_up("bob"), client.operator("olga")
    client.call("PUT", "/accounts/ada/block", who=bob)
    strike = {"rule": "spam", "reason": "The same link again."}
    entry = client.call("POST", "/operator/accounts/ada/strikes", strike, who=olga).body["id"]
    client.call("POST", "/me/standing/appeals", {"entry_id": entry, "text": "It was not me."}, who=ada)
    (appeal,) = client.call("GET", "/operator/appeals", who=olga).body["items"]
    review = {"decision": "upheld", "reason": "It was."}
    assert client.call("PUT", f"/operator/appeals/{appeal['id']}", review, who=olga).status == 200
    items = exported(client, ada)
    assert "olga" not in str(items) and olga.id not in str(items) and bob.id not in str(items)
    (told,) = [item["content"] for item in items if item["key"].startswith("record#")]
    assert (told["rule"], told["reason"], told["appeal"]["state"]) == ("spam", "The same link again.", "upheld")
    client.call("PUT", "/accounts/bob/block", who=ada)
    (blocked,) = [item for item in exported(client, ada) if item["key"] == f"block#{bob.id}"]
    assert blocked["content"].keys() == {"mine_ms"}


def test_an_export_holds_payouts_without_what_is_sealed_or_why_one_waits(client: Client, ledger: None) -> None:
    ada, book = client.sign_up("ada"), StoredLedger()
    book.keep_profile(TaxProfile(ada.id, "US", "W-9", True, "acct_1", b"sealed", "6789", 1))
    held = Payout(ada.id, "p1", 1, 2_000, 1_000, 0, "US", "W-9", "acct_1", "stripe", "held", 1)
    book.move(held)
    book.move(payout_rules.step(held, "review", 2, why="clawback"))
    found = {item["key"]: item["content"] for item in exported(client, ada) if item["part"] == "payouts"}
    assert (found["payout#p1"]["usd_cents"], found["payout#p1"]["step"]) == (1_000, "review")
    assert (found["tax_profile"]["country"], found["tax_profile"]["ending"]) == ("US", "6789")
    assert "clawback" not in str(found) and "identifier" not in str(found)


def test_an_erased_account_is_gone_at_once(client: Client) -> None:
    ada, bob = client.sign_up("ada"), client.sign_up("bob")
    for _ in range(2):
        assert client.call("DELETE", "/me", who=ada).status == 202
    assert client.call("GET", "/me", who=ada).code == "unauthenticated"
    assert client.call("GET", "/accounts/ada", who=bob).code == "not_found"
    # Not even a step of the worker is needed for another to take the name.
    do_work()
    assert client.sign_up("ada").id != ada.id


def test_erasing_takes_away_every_trace_beside_the_ledger(client: Client) -> None:
    ada, bob, eve = client.host("ada"), client.sign_up("bob"), client.sign_up("eve")
    client.call("PUT", "/accounts/bob/follow", who=ada)
    client.call("PUT", "/accounts/ada/follow", who=bob)
    client.call("PUT", "/accounts/eve/block", who=ada)
    live, ready = client.live(ada), client.ready(ada)
    client.call("DELETE", "/me", who=ada)
    do_work()
    assert list(AccountsItem.query(account_key(ada.id))) == []
    assert erasing.unfinished() == []
    for other in (bob, eve):
        assert not [item.sk for item in AccountsItem.query(account_key(other.id)) if ada.id in item.sk]
        assert reconcile.check(other.id) == []
    profile = client.call("GET", "/accounts/bob", who=bob).body
    assert (profile["followers"], profile["following"]) == (0, 0)
    for stream_id in (live, ready):
        assert client.call("GET", f"/streams/{stream_id}", who=bob).code == "not_found"
    assert client.call("POST", "/sessions", {"handle": "ada", "password": PASSWORD}).code == "unauthenticated"


def test_erasing_that_runs_out_of_time_goes_on_with_its_next_message(client: Client) -> None:
    ada = client.sign_up("ada")
    for n in range(5):
        client.call("PUT", "/accounts/ada/follow", who=client.sign_up(f"fan_{n}"))
    client.call("DELETE", "/me", who=ada)
    steps = 0

    def left_ms() -> int:
        nonlocal steps
        steps += 1
        # Each run has time for three steps.
        return 0 if steps % 4 == 0 else 300_000

    runs = 1
    while not erasing.erase(ada.id, left_ms):
        runs += 1
        assert runs < 20
    assert runs > 2
    assert list(AccountsItem.query(account_key(ada.id))) == []


def test_a_message_that_was_lost_is_ordered_again_at_night(client: Client) -> None:
    ada = client.sign_up("ada")
    client.call("DELETE", "/me", who=ada)
    assert len(waiting()) == 1  # lost
    from tests.unit.accounts_work import Context

    reconcile.handle({}, Context())
    do_work()
    assert erasing.unfinished() == []


def test_an_erasure_leaves_a_name_alone_that_another_has_by_now(client: Client) -> None:
    ada = client.sign_up("ada")
    client.call("DELETE", "/me", who=ada)
    do_work()
    newer = client.sign_up("ada")
    client.call("DELETE", "/me", who=ada)
    do_work()
    assert client.call("GET", "/me", who=newer).status == 200
