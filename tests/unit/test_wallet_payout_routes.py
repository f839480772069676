"""Routes and worker of payouts on moto's tables, key and queue: what creators and operators say, what comes back."""

from __future__ import annotations

import io
import json
import os
from typing import Any

import pytest

from functions import aws, clock
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.errors import OnairError
from functions.wallet import pay_out, payout_provider, payout_rules, ring_unsettled, tax_report
from functions.wallet.audit import audit
from functions.wallet.ledger import Posting
from functions.wallet.payout_rules import NEW_CREATOR_HOLD_MS, RETRY_MS
from functions.wallet.table import StoredLedger
from tests.contract import tables
from tests.contract.test_wallet_payouts_stored import earn
from tests.unit import https
from tests.unit.test_wallet_handlers import batch

NUMBER = "123-45-6789"
W9 = {"country": "US", "form": "W-9", "certified": True, "identifier": NUMBER}


@pytest.fixture
def host(client: https.Client, monkeypatch: pytest.MonkeyPatch) -> https.Person:
    """A creator with 30,000 diamonds, on a deployment whose payouts are a sandbox."""
    payout_provider.forget()
    tables.create_ledger(aws.client("dynamodb"), "ledger")
    for name in ("Settle", "Payouts"):
        made = aws.client("sqs").create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})
        monkeypatch.setenv(f"{name.upper()}_QUEUE_URL", made["QueueUrl"])
    monkeypatch.setenv("LEDGER_TABLE", "ledger")
    monkeypatch.setenv("SANDBOX_PURCHASES", "true")
    monkeypatch.setenv("WEB_URL", "https://page.example")
    monkeypatch.setenv("TAX_KEY_ARN", aws.client("kms").create_key()["KeyMetadata"]["Arn"])
    monkeypatch.delenv("PAYOUTS_SECRET_ARN", raising=False)
    monkeypatch.delenv("TAX", raising=False)
    person = client.host("paid_host")
    earn(StoredLedger(), 60_000, person.id)
    return person


def payee(client: https.Client, host: https.Person, **changes: Any) -> https.Answer:
    return client.call("PUT", "/payouts/account", {**W9, **changes}, who=host)


def ask(client: https.Client, host: https.Person, diamonds: Any = 2_000, key: str | None = "k") -> https.Answer:
    return client.call("POST", "/payouts", {"diamonds": diamonds}, who=host, key=key)


def seasoned(client: https.Client, host: https.Person) -> None:
    """A payee whose first payout was paid long ago."""
    assert payee(client, host).status == 200
    assert ask(client, host, key="first").body["step"] == "held"
    client.clock.offset_ms += NEW_CREATOR_HOLD_MS
    minute(client)
    assert steps(client, host) == ["paid"]


def minute(client: https.Client) -> None:
    """The minute's schedule rings, and the worker takes what was rung."""
    client.clock.offset_ms += RETRY_MS
    ring_unsettled.handle({}, None)
    work()


def work() -> None:
    url = os.environ["PAYOUTS_QUEUE_URL"]
    while messages := aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        answer = pay_out.handle(batch(*(each["Body"] for each in messages)), None)
        assert answer == {"batchItemFailures": []}
        for each in messages:
            aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])


def steps(client: https.Client, host: https.Person) -> list[str]:
    return [each["step"] for each in client.call("GET", "/payouts", who=host).body["items"]]


def diamonds(client: https.Client, host: https.Person) -> int:
    return int(client.call("GET", "/wallet", who=host).body["diamonds"])


def proved() -> None:
    wrong = {each.name for each in audit(StoredLedger(), clock.now_ms() + 1, segments=1).differences}
    assert wrong <= {"receipt_missing"}  # the coins of `earn` come from a purchase without one


# --- payee ----------------------------------------------------------------------------------------------------------


def test_a_payee_is_kept_with_an_encrypted_number_of_which_four_digits_are_told(
    client: https.Client, host: https.Person, capsys: pytest.CaptureFixture[str]
) -> None:
    before = client.call("GET", "/payouts/account", who=host).body
    assert (before["offered"], before["ready"], before["provider"], "payee" in before) == (
        True,
        False,
        "sandbox",
        False,
    )
    assert before["forms"] == {"*": ["W-8BEN", "W-8BEN-E"], "US": ["W-9"]}
    assert before["terms"]["diamonds_min"] == 2_000
    kept = payee(client, host)
    assert kept.body == client.call("GET", "/payouts/account", who=host).body
    told = kept.body["payee"]
    assert (told["identifier_ending"], told["withheld_permille"], kept.body["ready"]) == ("6789", 0, True)
    profile = StoredLedger().profile(host.id)
    assert profile is not None
    # Opened with the key, and for this account alone.
    kms = aws.client("kms")
    context = {"account": host.id, "purpose": "tax_identifier"}
    opened = kms.decrypt(CiphertextBlob=profile.identifier, EncryptionContext=context)
    assert opened["Plaintext"] == b"123456789"
    with pytest.raises(kms.exceptions.InvalidCiphertextException):
        kms.decrypt(CiphertextBlob=profile.identifier, EncryptionContext={**context, "account": "other"})
    # Neither whole nor bare, in no answer, no item and no log.
    stored = json.dumps(aws.client("dynamodb").scan(TableName="ledger")["Items"], default=str)
    for text in (json.dumps(kept.body), stored, "".join(capsys.readouterr())):
        assert "123456789" not in text
        assert NUMBER not in text


def test_a_payee_may_change_everything_but_the_number_without_giving_it_again(
    client: https.Client, host: https.Person
) -> None:
    payee(client, host)
    sealed = StoredLedger().profile(host.id)
    changed = client.call("PUT", "/payouts/account", {**W9, "certified": False, "identifier": ""}, who=host)
    assert changed.body["payee"]["withheld_permille"] == 240
    after = StoredLedger().profile(host.id)
    assert sealed is not None
    assert after is not None
    assert (after.identifier, after.ending, after.at) == (sealed.identifier, "6789", sealed.at)
    moved = payee(client, host, country="DE", form="W-8BEN", identifier="12 345 678 901")
    assert (moved.body["payee"]["identifier_ending"], moved.body["payee"]["withheld_permille"]) == ("8901", 300)
    away = StoredLedger().profile(host.id)
    assert away is not None
    assert away.destination != after.destination


# Lists rather than parameters: making the tables takes a hundred times as long as a refusal.
WRONG_PAYEES: list[tuple[dict[str, Any], str]] = [
    ({"country": "us"}, "country"),
    ({"country": 1}, "country"),
    ({"country": "BR", "form": "W-8BEN"}, "country"),
    ({"country": "KP", "form": "W-8BEN"}, "country"),
    ({"form": "W-8BEN"}, "form"),
    ({"country": "DE"}, "form"),
    ({"form": ""}, "form"),
    ({"certified": "yes"}, "certified"),
    ({"identifier": "12345678"}, "identifier"),
    (
        {"identifier": "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669"},
        "identifier",
    ),  # digits, and none of a W-9
    ({"identifier": "x" * 61}, "identifier"),
    ({"identifier": ""}, "identifier"),
    ({"identifier": 123456789}, "identifier"),
]


def test_a_wrong_payee_names_its_field_and_never_repeats_the_number(client: https.Client, host: https.Person) -> None:
    for changes, field in WRONG_PAYEES:
        refused = payee(client, host, **changes)
        assert (refused.status, refused.code, refused.field) == (400, "invalid_request", field), changes
        assert "12345678" not in json.dumps(refused.body)
    assert StoredLedger().profile(host.id) is None


def test_a_country_that_was_closed_is_neither_quoted_nor_paid(
    client: https.Client, host: https.Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "US" in payee(client, host).body["countries"]
    monkeypatch.setenv("MARKETS", json.dumps({"US": {"payout": False}}))
    told = client.call("GET", "/payouts/account", who=host).body
    assert "US" not in told["countries"]
    assert "DE" in told["countries"]
    for refused in (ask(client, host), client.call("GET", "/payouts/quote?diamonds=5000", who=host)):
        assert (refused.status, refused.code, refused.field) == (403, "not_eligible", "country")
        assert refused.body["error"]["details"]["countries"] == told["countries"]
    assert diamonds(client, host) == 30_000


def test_where_nobody_pays_it_is_said(
    client: https.Client, host: https.Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_PURCHASES", "false")
    told = client.call("GET", "/payouts/account", who=host).body
    assert (told["offered"], told["ready"], told["why"]) == (False, False, "not_configured")
    for answer in (payee(client, host), ask(client, host), client.call("POST", "/payouts/account/link", who=host)):
        assert (answer.status, answer.code) == (403, "not_eligible")
        assert answer.body["error"]["details"] == {"why": "not_configured"}
    assert diamonds(client, host) == 30_000


def test_the_providers_page_leads_back_to_ours(client: https.Client, host: https.Person) -> None:
    assert client.call("POST", "/payouts/account/link", who=host).code == "not_eligible"
    payee(client, host)
    link = client.call("POST", "/payouts/account/link", who=host)
    assert (link.status, link.body) == (201, {"url": "https://page.example/earnings?payee=back"})


# --- payouts --------------------------------------------------------------------------------------------------------


def test_a_payout_is_quoted_asked_for_held_paid_and_listed(client: https.Client, host: https.Person) -> None:
    payee(client, host, certified=False)
    quote = client.call("GET", "/payouts/quote?diamonds=5000", who=host).body
    assert {
        name: quote[name] for name in ("usd_cents", "withheld_usd_cents", "withheld_permille", "net_usd_cents")
    } == {
        "usd_cents": 2_500,
        "withheld_usd_cents": 600,
        "withheld_permille": 240,
        "net_usd_cents": 1_900,
    }
    asked = ask(client, host, 5_000)
    assert asked.status == 201
    assert (asked.body["state"], asked.body["step"], asked.body["net_usd_cents"]) == ("reserved", "held", 1_900)
    assert asked.body["held_until"][:10] == quote["held_until"][:10]
    assert (diamonds(client, host), steps(client, host)) == (25_000, ["held"])
    minute(client)
    assert steps(client, host) == ["held"]
    client.clock.offset_ms += NEW_CREATOR_HOLD_MS
    minute(client)
    (paid,) = client.call("GET", "/payouts", who=host).body["items"]
    assert (paid["state"], paid["step"], paid["reference"]) == ("paid", "paid", f"sandbox_{paid['id']}")
    assert "held_until" not in paid
    proved()


def test_a_later_payout_is_paid_as_soon_as_the_worker_is_rung(client: https.Client, host: https.Person) -> None:
    seasoned(client, host)
    assert ask(client, host).body["step"] == "ready"
    work()
    assert steps(client, host) == ["paid", "paid"]


def test_the_same_key_is_the_same_payout_for_ever_and_for_nothing_else(
    client: https.Client, host: https.Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    payee(client, host)
    first = ask(client, host)
    client.clock.offset_ms += 400 * 24 * 3600 * 1000
    assert ask(client, host).body == first.body
    assert ask(client, host, 4_000).code == "id_reused"
    monkeypatch.setenv("SANDBOX_PURCHASES", "false")
    assert ask(client, host).body == first.body
    assert diamonds(client, host) == 28_000


WRONG_AMOUNTS: list[tuple[Any, str]] = [
    (0, "invalid_request"),
    (-2_000, "invalid_request"),
    (1_998, "invalid_request"),
    (2_001, "invalid_request"),
    (2_000.5, "invalid_request"),
    ("2000", "invalid_request"),
    (None, "invalid_request"),
    (True, "invalid_request"),
    (2**53, "invalid_request"),
    (10**30, "invalid_request"),
    (30_002, "insufficient_diamonds"),
    (200_002, "limit_reached"),
]


def test_a_payout_out_of_bounds_is_refused_by_quote_and_route_and_changes_nothing(
    client: https.Client, host: https.Person
) -> None:
    payee(client, host)
    for asked, code in WRONG_AMOUNTS:
        refused = ask(client, host, asked)
        assert refused.code == code, asked
        if code == "invalid_request":
            assert refused.field == "diamonds", asked
        if asked != "2000":  # in a query every number is text
            assert client.call("GET", f"/payouts/quote?diamonds={asked}", who=host).code == code, asked
    assert (diamonds(client, host), steps(client, host)) == (30_000, [])
    proved()


def test_a_payout_takes_a_token_a_payee_and_good_standing(client: https.Client, host: https.Person) -> None:
    for method, path in [("GET", "/payouts"), ("POST", "/payouts"), ("PUT", "/payouts/account")]:
        assert client.call(method, path, None if method == "GET" else {}).code == "unauthenticated"
    assert ask(client, host).code == "not_eligible"
    payee(client, host)
    ProfileItem(account_key(host.id), PROFILE).update([ProfileItem.standing.set("suspended")])
    assert ask(client, host).code == "suspended"
    assert payee(client, host).code == "suspended"
    ProfileItem(account_key(host.id), PROFILE).update([ProfileItem.standing.set("banned")])
    assert ask(client, host).code == payee(client, host).code == "banned"


def test_nobody_is_paid_who_is_gone_or_may_not_earn(client: https.Client, host: https.Person) -> None:
    payee(client, host)
    profile = ProfileItem(account_key(host.id), PROFILE)
    profile.update([ProfileItem.badges.set(["politician"])])
    assert ask(client, host).code == payee(client, host).code == "forbidden"
    profile.update([ProfileItem.badges.set([])])
    # The token lives on for a while.
    assert client.call("DELETE", "/me", who=host).status == 202
    assert ask(client, host).code == payee(client, host).code == "unauthenticated"
    assert client.call("POST", "/payouts/account/link", who=host).code == "unauthenticated"
    assert (diamonds(client, host), steps(client, host)) == (30_000, [])


def test_a_quote_refuses_a_frozen_wallet_as_the_payout_would(client: https.Client, host: https.Person) -> None:
    payee(client, host)
    frozen = {"pk": {"S": f"wallet#{host.id}"}, "sk": {"S": "wallet"}}
    aws.client("dynamodb").update_item(
        TableName="ledger",
        Key=frozen,
        UpdateExpression="SET frozen = :yes",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )
    assert ask(client, host).code == "forbidden"
    assert client.call("GET", "/payouts/quote?diamonds=2000", who=host).code == "forbidden"


def test_lists_are_paged_and_a_foreign_cursor_is_refused(client: https.Client, host: https.Person) -> None:
    payee(client, host)
    for n in range(3):
        assert ask(client, host, 2_000 + 10 * n, f"{n}").status == 201
        client.clock.offset_ms += 1
    first = client.call("GET", "/payouts?limit=2", who=host).body
    rest = client.call("GET", f"/payouts?limit=2&cursor={first['cursor']}", who=host).body
    assert [each["diamonds"] for each in [*first["items"], *rest["items"]]] == [2_020, 2_010, 2_000]
    assert "cursor" not in rest
    for query in ("cursor=AAAA", "limit=0", "limit=x"):
        assert client.call("GET", f"/payouts?{query}", who=host).code == "invalid_request"


def test_a_refused_payout_tells_why_and_returns_its_diamonds(client: https.Client, host: https.Person) -> None:
    seasoned(client, host)
    before = diamonds(client, host)
    ask(client, host, 2_002)
    assert diamonds(client, host) == before - 2_002
    work()
    newest = client.call("GET", "/payouts", who=host).body["items"][0]
    assert (newest["state"], newest["why"], diamonds(client, host)) == ("reversed", "account_closed", before)
    proved()


def test_an_unanswered_payout_is_found_by_the_next_minute(client: https.Client, host: https.Person) -> None:
    seasoned(client, host)
    ask(client, host, 2_004)
    work()
    assert steps(client, host)[0] == "paying"
    minute(client)
    assert steps(client, host)[0] == "paid"


def test_a_year_adds_up_what_was_paid_in_it(client: https.Client, host: https.Person) -> None:
    seasoned(client, host)
    client.call("PUT", "/payouts/account", {**W9, "certified": False, "identifier": ""}, who=host)
    ask(client, host, 4_000)
    ask(client, host, 2_002, "refused")
    work()
    year = int(clock.rfc3339(clock.now_ms())[:4])
    told = client.call("GET", f"/payouts/years/{year}", who=host).body
    assert (told["payouts"], told["usd_cents"], told["withheld_usd_cents"], told["net_usd_cents"]) == (
        2,
        3_000,
        480,
        2_520,
    )
    assert [(each["form"], each["withheld_permille"], each["usd_cents"]) for each in told["parts"]] == [
        ("W-9", 0, 1_000),
        ("W-9", 240, 2_000),
    ]
    assert client.call("GET", f"/payouts/years/{year - 1}", who=host).body["payouts"] == 0
    for wrong in ("26", "20266", "abcd", "２０２６"):
        assert client.call("GET", f"/payouts/years/{wrong}", who=host).code == "invalid_request"


def test_whoever_files_taxes_gets_each_payee_with_the_number_opened(client: https.Client, host: https.Person) -> None:
    seasoned(client, host)
    year, out = int(clock.rfc3339(clock.now_ms())[:4]), io.StringIO()
    tax_report.write(tax_report.report(StoredLedger(), year), out)
    header, row = out.getvalue().splitlines()
    assert header.startswith("account,country,form,identifier,")
    assert row == f"{host.id},US,W-9,123456789,0,1,1000,0,1000"
    assert tax_report.report(StoredLedger(), year - 1) == []


# --- operators ------------------------------------------------------------------------------------------------------


def doubtful(client: https.Client, host: https.Person) -> dict[str, Any]:
    """A payout that waits for a person: its creator is limited."""
    seasoned(client, host)
    ProfileItem(account_key(host.id), PROFILE).update([ProfileItem.standing.set("limited")])
    asked = ask(client, host, 6_000).body
    work()
    assert steps(client, host)[0] == "review"
    return dict(asked)


def test_operators_see_why_a_payout_waits_and_creators_do_not(client: https.Client, host: https.Person) -> None:
    asked = doubtful(client, host)
    assert "why" not in client.call("GET", "/payouts", who=host).body["items"][0]
    (waiting,) = client.call("GET", "/operator/payouts", who=client.operator()).body["items"]
    assert (waiting["account"], waiting["handle"], waiting["why"]) == (host.id, "paid_host", "standing")
    assert (waiting["payout"]["id"], waiting["earlier_paid"], waiting["tried"]) == (asked["id"], 1, False)


@pytest.mark.parametrize(("decision", "step"), [("approve", "paid"), ("refuse", "reversed")])
def test_an_operator_decides_once_and_the_trail_tells(
    client: https.Client, host: https.Person, decision: str, step: str
) -> None:
    asked, olga = doubtful(client, host), client.operator()
    before = diamonds(client, host)
    place, body = f"/operator/payouts/{host.id}/{asked['id']}", {"decision": decision, "reason": "Looked at it."}
    assert client.call("PUT", place, body, who=olga).status == 200
    work()
    assert steps(client, host)[0] == step
    assert diamonds(client, host) == before + (6_000 if decision == "refuse" else 0)
    assert client.call("PUT", place, body, who=olga).code == "conflict"
    (entry,) = client.call("GET", "/operator/audit", who=olga).body["items"]
    assert (entry["operator"], entry["action"], entry["target"]) == ("olga", f"payout.{decision}", asked["id"])
    assert (entry["reason"], entry["details"]) == ("Looked at it.", {"account": host.id})
    assert client.call("GET", "/operator/payouts", who=olga).body["items"] == []
    proved()


def test_deciding_is_for_operators_about_others_with_a_reason(client: https.Client, host: https.Person) -> None:
    asked, olga = doubtful(client, host), client.operator()
    place, body = f"/operator/payouts/{host.id}/{asked['id']}", {"decision": "approve", "reason": "Fine."}
    assert client.call("PUT", place, body, who=host).code == "forbidden"
    assert client.call("GET", "/operator/payouts", who=host).code == "forbidden"
    themselves = https.Person(host.id, host.handle, host.token, ("operators",))
    assert client.call("PUT", place, body, who=themselves).code == "forbidden"
    assert client.call("PUT", place, {"decision": "approve", "reason": " "}, who=olga).field == "reason"
    assert client.call("PUT", place, {"decision": "pay", "reason": "x"}, who=olga).field == "decision"
    assert client.call("PUT", f"/operator/payouts/{host.id}/nothing", body, who=olga).code == "not_found"
    assert client.call("GET", "/operator/payouts?step=paid", who=olga).field == "step"
    assert steps(client, host)[0] == "review"
    assert client.call("GET", "/operator/audit", who=olga).body["items"] == []


def test_the_queue_is_paged(client: https.Client, host: https.Person) -> None:
    payee(client, host)
    for n in range(3):
        ask(client, host, 2_000 + 10 * n, f"{n}")
        client.clock.offset_ms += 1
    olga = client.operator()
    first = client.call("GET", "/operator/payouts?step=held&limit=2", who=olga).body
    rest = client.call("GET", f"/operator/payouts?step=held&limit=2&cursor={first['cursor']}", who=olga).body
    found = [each["payout"] for each in [*first["items"], *rest["items"]]]
    # All are held until the first one's time is over.
    assert {each["diamonds"] for each in found} == {2_000, 2_010, 2_020}
    assert len({each["held_until"] for each in found}) == 1
    assert "cursor" not in rest


# --- worker ---------------------------------------------------------------------------------------------------------


def test_a_worker_without_a_provider_leaves_a_payout_as_it_is(
    client: https.Client, host: https.Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    seasoned(client, host)
    ask(client, host)
    monkeypatch.setenv("SANDBOX_PURCHASES", "false")
    work()
    assert steps(client, host)[0] == "ready"
    monkeypatch.setenv("SANDBOX_PURCHASES", "true")
    minute(client)
    assert steps(client, host)[0] == "paid"


def test_a_giver_who_owes_coins_after_a_refund_sends_the_payout_to_a_person(
    client: https.Client, host: https.Person
) -> None:
    seasoned(client, host)
    book = StoredLedger()
    viewer = book.wallet("viewer")
    assert viewer is not None
    from functions.wallet import refunds

    after, transfer = refunds.refund(viewer, provider="sandbox", receipt="r", step=1, coins=60_000, at=clock.now_ms())
    book.write(Posting(viewer, after, transfer))
    ask(client, host)
    work()
    assert steps(client, host)[0] == "review"
    (waiting,) = client.call("GET", "/operator/payouts", who=client.operator()).body["items"]
    assert waiting["why"] == "clawback"


def test_a_ring_for_what_is_gone_or_done_changes_nothing(client: https.Client, host: https.Person) -> None:
    seasoned(client, host)
    paid = client.call("GET", "/payouts", who=host).body["items"][0]
    rings = [json.dumps({"account": host.id, "payout": each}) for each in (paid["id"], "nothing")]
    assert pay_out.handle(batch(*rings), None) == {"batchItemFailures": []}
    assert client.call("GET", "/payouts", who=host).body["items"] == [paid]


def test_a_failing_table_sends_the_ring_back(
    client: https.Client, host: https.Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise OnairError("unavailable")

    monkeypatch.setattr(StoredLedger, "payout", broken)
    answer = pay_out.handle(batch(json.dumps({"account": host.id, "payout": "p"})), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}


def test_rules_are_told_as_they_are(client: https.Client, host: https.Person) -> None:
    terms = client.call("GET", "/payouts/account", who=host).body["terms"]
    assert terms["first_hold_days"] * payout_rules.DAY_MS == NEW_CREATOR_HOLD_MS
