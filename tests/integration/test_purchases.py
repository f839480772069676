"""Every provider from configuration alone: `make run` with three secrets, and coins bought over HTTPS from each.

The stack is a process of its own, started as the README says; the providers' side is the fakes that the contract tests
hold their errors to, on loopback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from functions.wallet import catalogue
from local import ports, providers, template
from local.client import Client, RefusedError
from local.template import ROOT
from local.testing import PASSWORD, wait_until
from tests.contract.app_store import AppStore
from tests.contract.google_play import GooglePlay
from tests.contract.stripe_api import Stripe

HTTP = urllib3.PoolManager(retries=False, timeout=5.0)
START_S = 120
PACK = catalogue.coin_pack("coins_70")
OTHER = catalogue.coin_pack("coins_350")


@dataclass(frozen=True)
class Town:
    """A running stack and the three providers that it sells for."""

    api_url: str
    apple: AppStore
    google: GooglePlay
    stripe: Stripe
    log: Path

    def account(self, handle: str) -> Client:
        client = Client(self.api_url)
        client.sign_up(handle, PASSWORD)
        return client

    def hear(self, provider: str, body: bytes, headers: dict[str, str]) -> Any:
        return Client(self.api_url).request("POST", f"/webhooks/{provider}", raw=body, headers=headers)

    def stripe_tells(self, kind: str, content: dict[str, Any], at: int | None = None, **signed: Any) -> Any:
        body = self.stripe.event(kind, content, at)
        return self.hear("stripe", body, {"Stripe-Signature": self.stripe.signature(body, **signed)})

    def apple_tells(self, kind: str, transaction: str, at_ms: int | None = None) -> Any:
        signed = self.apple.notification(kind, transaction, at_ms)
        return self.hear("apple", json.dumps({"signedPayload": signed}).encode(), {})

    def google_tells(self, content: dict[str, Any]) -> Any:
        return self.hear("google", self.google.push(content), {"Authorization": self.google.authorization()})


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    apple, google, stripe = AppStore(), GooglePlay(), Stripe()
    folder, base = tmp_path_factory.mktemp("providers"), ports.free().base
    log = folder / "run.log"
    with ExitStack() as until_the_end:
        for fake in (apple, google, stripe):
            until_the_end.enter_context(fake.running())
            name = {AppStore: "apple", GooglePlay: "google", Stripe: "stripe"}[type(fake)]
            (folder / f"{name}.json").write_text(json.dumps(fake.secret()))
        sink = until_the_end.enter_context(log.open("wb"))
        environment = {**os.environ, "ONAIR_PORT": str(base), "PROVIDERS": str(folder)}
        environment["POWERTOOLS_LOG_LEVEL"] = "INFO"
        command = [sys.executable, "-m", "local.run"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: _ready(base, process, log), f"ready; {log}", START_S)
            config: Any = HTTP.request("GET", f"http://127.0.0.1:{base}/config.json").json()
            yield Town(config["api_url"], apple, google, stripe, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _ready(base: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3000:]
    try:
        return HTTP.request("GET", f"http://127.0.0.1:{base}/_local/health").status == 200
    except urllib3.exceptions.HTTPError:
        return False


def refused(client: Client, path: str, body: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(RefusedError) as caught:
        client.call("POST", path, body)
    return caught.value.code, (caught.value.details or {}).get("reason", "")


def coins(client: Client) -> int:
    return int(client.call("GET", "/wallet")["coins"])


def chain_is_whole(client: Client) -> None:
    """The statement that a client reads adds up, entry by entry, to what it holds."""
    items = client.call("GET", "/wallet/statement?limit=100")["items"]
    wallet = client.call("GET", "/wallet")
    held = {"coins": wallet["coins"], "diamonds": wallet["diamonds"]}
    for at, each in enumerate(items):
        assert each["version"] == wallet["version"] - at
        assert each["balance_after"] == held[each["unit"]]
        held[each["unit"]] -= each["amount"]
        if at + 1 < len(items):
            assert each["previous_hash"] == items[at + 1]["hash"]
    assert held == {"coins": 0, "diamonds": 0}


def test_the_template_gives_api_and_audit_each_secret_and_the_right_to_read_it() -> None:
    named = providers.context({"apple": "", "stripe": ""})
    made = template.load({**template.LOCAL_CONTEXT, **named}).template["Resources"]
    for handler in ("functions.api.app", "functions.wallet.prove.handle"):
        (one,) = [each for each in made.values() if each.get("Properties", {}).get("Handler") == handler]
        variables = one["Properties"]["Environment"]["Variables"]
        assert variables["APPLE_SECRET_ARN"] == named["apple_secret_arn"]
        assert variables["STRIPE_SECRET_ARN"] == named["stripe_secret_arn"]
        assert "GOOGLE_SECRET_ARN" not in variables
    readers = [name for name, each in made.items() if named["apple_secret_arn"] in json.dumps(each)]
    assert sorted(made[name]["Type"] for name in readers) == ["AWS::IAM::Policy"] * 2 + ["AWS::Lambda::Function"] * 2


def test_every_provider_is_offered(town: Town) -> None:
    told = Client(town.api_url).call("GET", "/coin-packs")
    assert {each["id"]: each["offered"] for each in told["providers"]} == dict.fromkeys(
        ("apple", "google", "stripe", "sandbox"), True
    )


def test_apple_a_signed_transaction_buys_once_and_a_refund_takes_it_back(town: Town) -> None:
    buyer, thief = town.account("apple_buyer"), town.account("apple_thief")
    proof = town.apple.transaction(str(buyer.account_id), PACK.id, "apple-1")
    asked = {"provider": "apple", "pack": PACK.id, "proof": proof}
    assert buyer.call("POST", "/purchases", asked) == buyer.call("POST", "/purchases", asked)
    assert coins(buyer) == PACK.coins
    assert refused(thief, "/purchases", asked) == ("purchase_refused", "wrong_account")
    elsewhere = AppStore().transaction(str(buyer.account_id), PACK.id, "apple-2")
    assert refused(buyer, "/purchases", {**asked, "proof": elsewhere}) == ("purchase_refused", "forged")
    assert town.apple_tells("REFUND", proof).status == 204
    assert coins(buyer) == 0
    assert town.apple_tells("REFUND_REVERSED", proof, int(time.time() * 1000) + 60_000).status == 204
    assert coins(buyer) == PACK.coins
    assert town.apple_tells("CONSUMPTION_REQUEST", proof).status == 204
    assert town.apple.consumption["apple-1"]["deliveryStatus"] is not None
    chain_is_whole(buyer)


def test_google_a_token_buys_once_is_consumed_and_a_voided_purchase_takes_it_back(town: Town) -> None:
    buyer = town.account("google_buyer")
    town.google.sell(str(buyer.account_id), "play-1", PACK.id)
    asked = {"provider": "google", "pack": PACK.id, "proof": "play-1"}
    assert buyer.call("POST", "/purchases", asked) == buyer.call("POST", "/purchases", asked)
    assert town.google.purchases[PACK.id, "play-1"]["consumptionState"] == 1
    assert coins(buyer) == PACK.coins
    voided = {"voidedPurchaseNotification": {"purchaseToken": "play-1", "orderId": "GPA.1", "productType": 2}}
    assert [town.google_tells(voided).status for _ in range(2)] == [204, 204]
    assert coins(buyer) == 0
    chain_is_whole(buyer)


def test_stripe_a_checkout_is_opened_paid_heard_late_disputed_and_won(town: Town) -> None:
    buyer = town.account("stripe_buyer")
    asked = {"provider": "stripe", "pack": PACK.id}
    key = {"Idempotency-Key": "the-first"}
    page = buyer.call("POST", "/checkouts", asked, headers=key)
    assert page == buyer.call("POST", "/checkouts", asked, headers=key)
    brought = {**asked, "proof": page["id"]}
    assert refused(buyer, "/purchases", brought) == ("purchase_refused", "not_paid")
    session = town.stripe.pay(page["id"], "pi_town")
    buyer.call("POST", "/purchases", brought)
    assert coins(buyer) == PACK.coins
    for _ in range(2):  # the webhook comes late, and twice
        assert town.stripe_tells("checkout.session.completed", session).status == 204
    assert coins(buyer) == PACK.coins
    dispute = {"id": "dp_1", "amount": PACK.usd_cents, "status": "needs_response", "charge": "ch_town"}
    now_s = int(time.time())
    assert town.stripe_tells("charge.dispute.created", dispute, now_s).status == 204
    assert coins(buyer) == 0
    won = {**dispute, "status": "won"}
    assert town.stripe_tells("charge.dispute.closed", won, now_s + 60).status == 204
    assert town.stripe_tells("charge.dispute.created", dispute, now_s).status == 204  # overtaken
    assert coins(buyer) == PACK.coins
    chain_is_whole(buyer)


def test_a_forged_webhook_and_an_unknown_provider_change_nothing(town: Town) -> None:
    buyer = town.account("webhook_buyer")
    session = town.stripe.pay(town.stripe.session(str(buyer.account_id), OTHER.id, OTHER.usd_cents, "9")["id"], "pi_9")
    answer = town.stripe_tells("checkout.session.completed", session, secret="whsec_somebody")
    assert (answer.status, answer.error_code) == (401, "unauthenticated")
    answer = town.hear("paypal", b"{}", {})
    assert (answer.status, answer.error_code) == (404, "not_found")
    assert coins(buyer) == 0


def test_what_is_refused_is_logged_with_its_reason_and_without_the_proof(town: Town) -> None:
    buyer = town.account("logged_buyer")
    proof = AppStore().transaction(str(buyer.account_id), PACK.id, "logged-1")
    assert refused(buyer, "/purchases", {"provider": "apple", "pack": PACK.id, "proof": proof})[1] == "forged"
    wait_until(lambda: '"purchase refused"' in town.log.read_text(), "the refusal in the log")
    lines = [json.loads(line) for line in town.log.read_text().splitlines() if line.startswith('{"level"')]
    assert [each["reason"] for each in lines if each.get("message") == "purchase refused"][-1] == "forged"
    assert proof not in town.log.read_text()
