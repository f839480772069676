"""The audit's Lambda over DynamoDB Local and moto: what somebody does to the table itself is found and named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto import mock_aws

from functions import aws, clock
from functions.wallet import model, payouts, prove
from functions.wallet.ledger import Posting, Receipt
from functions.wallet.model import CoinPack
from functions.wallet.payout_rules import TaxProfile
from functions.wallet.table import StoredLedger
from tests.contract.conftest import Service
from tests.contract.test_wallet_payouts_stored import earn
from tests.unit.https import MovableClock

PACK = CoinPack("coins_70", 70, 99)
Item = dict[str, Any]


class Bucket:
    """S3 as the function calls it; what it puts is kept."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[str, bytes]] = {}

    def put_object(self, **call: Any) -> None:
        assert call["Bucket"] == "reports"
        self.objects[call["Key"]] = (call["ContentType"], call["Body"])


@pytest.fixture
def bucket(real: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A small honest ledger on DynamoDB Local: purchases with receipts, a settled gift, a payout that waits."""
    moving = MovableClock()
    monkeypatch.setattr(clock, "clock", moving)
    monkeypatch.setenv("AUDIT_BUCKET", "reports")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Onair")
    book = StoredLedger()
    earn(book, 8_000, receipt=True)
    book.keep_profile(TaxProfile("host", "US", "W-9", True, "acct_1", b"x", "6789", 1))
    payouts.ask(book, "host", 2_000, "k", provider="bank")
    for n in (1, 2):
        before = book.wallet("other")
        after, bought = model.purchase(
            before or model.Wallet("other"), provider="sandbox", receipt=f"o{n}", pack=PACK, at=clock.now_ms()
        )
        book.write(Posting(before, after, bought, receipt=Receipt("sandbox", f"o{n}", "other", PACK.id, bought.id)))
    moving.offset_ms += 2 * 60_000  # the audit leaves out what is younger than a minute
    made, client = Bucket(), aws.client
    monkeypatch.setattr(aws, "client", lambda service: made if service == "s3" else client(service))
    yield made


def audited(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the function returns, and the metrics it told."""
    capsys.readouterr()
    answer = prove.handle({}, None)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return answer, [line for line in told if "_aws" in line]


def item(pk: str, sk: str) -> Item:
    key = {"pk": {"S": pk}, "sk": {"S": sk}}
    found: Item = aws.client("dynamodb").get_item(TableName=os.environ["LEDGER_TABLE"], Key=key)["Item"]
    return found


def put(changed: Item) -> None:
    aws.client("dynamodb").put_item(TableName=os.environ["LEDGER_TABLE"], Item=changed)


def delete(pk: str, sk: str) -> None:
    aws.client("dynamodb").delete_item(TableName=os.environ["LEDGER_TABLE"], Key={"pk": {"S": pk}, "sk": {"S": sk}})


def flip_a_bit() -> None:
    entry = item("wallet#viewer", "gift#1")
    put({**entry, "hash": {"S": f"{int(entry['hash']['S'], 16) ^ 1:064x}"}})


def delete_an_entry() -> None:
    delete("wallet#other", "purchase#sandbox#o1")


def change_an_amount() -> None:
    put({**item("wallet#viewer", "gift#1"), "amount": {"N": "7000"}})


def double_a_credit() -> None:
    """A second settlement of the same gift, well-formed, with head and balance moved along."""
    book = StoredLedger()
    before, gift = book.wallet("host"), book.transfer("viewer", "gift#1")
    assert before is not None
    assert gift is not None
    after, settled = model.settle(before, [gift.transfer], at=before.at)
    book.write(Posting(before, after, settled))


def raise_a_balance() -> None:
    put({**item("wallet#other", "wallet"), "coins": {"N": "141"}})


def pay_more_than_was_put_aside() -> None:
    (found,) = StoredLedger().payouts("host")
    kept = item("payouts#host", f"payout#{found.id}")
    content = {**json.loads(kept["content"]["S"]), "cents": 900_000}
    put({**kept, "content": {"S": json.dumps(content)}})


def lose_a_receipt() -> None:
    delete("receipt#sandbox#o2", "receipt")


@pytest.mark.dynamodb_local
@pytest.mark.parametrize(
    ("harm", "names"),
    [
        (flip_a_bit, {"entry_changed", "head_differs", "settlement_mismatch"}),
        (delete_an_entry, {"entry_missing", "purchase_missing"}),
        (change_an_amount, {"entry_changed", "balance_differs"}),
        (double_a_credit, {"settlement_mismatch"}),
        (raise_a_balance, {"head_differs"}),
        (pay_more_than_was_put_aside, {"payout_changed"}),
        (lose_a_receipt, {"receipt_missing"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_harm_to_the_table_is_found_named_counted_and_kept(
    bucket: Bucket, harm: Callable[[], None], names: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    honest, metrics = audited(capsys)
    assert honest["differences"] == 0
    assert [each["LedgerDifferences"] for each in metrics] == [[0.0]]
    harm()
    harmed, metrics = audited(capsys)
    assert [each["LedgerDifferences"] for each in metrics] == [[float(harmed["differences"])]]
    kind, content = bucket.objects["audits/newest.json"]
    report = json.loads(content)["report"]
    found = {each["name"] for each in report["differences"]}
    assert kind == "application/json"
    assert names <= found, found
    html = bucket.objects["audits/newest.html"][1].decode()
    for each in report["differences"]:
        assert each["name"] in html
        assert each["transfer"] in html


@pytest.mark.dynamodb_local
def test_an_honest_ledger_is_proved_and_its_report_kept_by_its_time(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    answer, _ = audited(capsys)
    assert answer["differences"] == 0
    # Two entries of the viewer, two of the host (credited, put aside), two purchases.
    assert answer["transfers"] == 6
    assert "Every coin is proved." in bucket.objects["audits/newest.html"][1].decode()
    dated = [name for name in bucket.objects if not name.startswith("audits/newest")]
    assert len(dated) == 2
    assert all(name.count("/") == 4 for name in dated)


def test_whatever_a_name_holds_stays_text_on_the_page() -> None:
    from functions.wallet.audit import Proof, Report
    from functions.wallet.audit_page import page
    from functions.wallet.chain import Difference

    wrong = Difference("entry_changed", "<script>", 'gift#"><img>', "a & b")
    html = page(Report("2026", 1, 1, 1, 1, Proof(), 0, (wrong,)), 0.1, 3)
    assert "<script>" not in html
    assert "<img>" not in html
    assert "4 differences found." in html
    assert "3 more are not shown." in html


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket in moto."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AUDIT_BUCKET", "reports")
    with mock_aws():
        aws.forget_clients()
        client = aws.client("s3")
        client.create_bucket(Bucket="reports")
        yield client
    aws.forget_clients()


def test_reports_are_put_as_what_they_are(store: Any) -> None:
    from functions.wallet.audit import Proof, Report

    prove.keep(prove.Kept(Report("2026", 1, 1, 1, 1, Proof(), 0, ()), 0, 0.1, 4))
    kept = store.get_object(Bucket="reports", Key="audits/newest.html")
    assert kept["ContentType"] == "text/html; charset=utf-8"
    assert json.loads(store.get_object(Bucket="reports", Key="audits/newest.json")["Body"].read())["segments"] == 4
