"""What every provider keeps to, over HTTP against its fake: paid once, refused by reason, refunded in any order."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from functions import clock
from functions.errors import OnairError
from functions.wallet import catalogue, purchases, refunds, webhooks
from functions.wallet.app_store import AppStoreProvider, AppStoreSettings
from functions.wallet.audit import AuditedLedger, audit
from functions.wallet.google_play import GooglePlayProvider, GooglePlaySettings
from functions.wallet.model import Wallet
from functions.wallet.provider import Delivery, Provider
from functions.wallet.purchases import PurchaseRequest, WalletAnswer
from functions.wallet.stripe_checkout import StripeProvider, StripeSettings
from tests.contract.app_store import AppStore, Chain
from tests.contract.google_play import GooglePlay
from tests.contract.provider_server import ProviderServer
from tests.contract.stripe_api import Stripe
from tests.simulation.wallet.memory_ledger import MemoryLedger

BUYER = str(uuid.uuid4())
PACK = catalogue.coin_pack("coins_70")
OTHER = catalogue.coin_pack("coins_350")
NOW_S = int(time.time())


@dataclass
class Shop:
    """A provider with its fake, and what happens there: a purchase's proof, and webhooks about it."""

    fake: ProviderServer
    provider: Provider
    proof: Callable[..., str]
    paid: Callable[[], Delivery]
    refunded: Callable[[int], Delivery]
    forged: Callable[[], Delivery]
    elsewhere: Callable[[], Delivery]

    def buy(self, book: AuditedLedger, proof: str, **changes: Any) -> WalletAnswer:
        request = PurchaseRequest(self.provider.name, changes.pop("pack", PACK.id), proof)
        account = changes.pop("account", BUYER)
        return purchases.purchase(book, account, request, {self.provider.name: self.provider}, **changes)

    def hear(self, book: AuditedLedger, delivery: Delivery) -> None:
        webhooks.hear(book, self.provider.name, delivery, {self.provider.name: self.provider})


def apple_shop(fake: AppStore) -> Shop:
    def told(kind: str, at: int | None = None, chain: Chain | None = None, **changes: Any) -> Delivery:
        own, fake.chain = fake.chain, chain or fake.chain
        signed = fake.notification(kind, fake.transaction(BUYER), at, **changes)
        fake.chain = own
        return Delivery({}, json.dumps({"signedPayload": signed}).encode())

    return Shop(
        fake,
        AppStoreProvider(msgspec.convert(fake.secret(), AppStoreSettings)),
        lambda account=BUYER, pack=PACK: fake.transaction(account, pack.id),
        lambda: told("ONE_TIME_CHARGE"),
        lambda second: told("REFUND", (NOW_S + second) * 1000),
        lambda: told("REFUND", chain=Chain()),
        lambda: told("REFUND", environment="Production"),
    )


def google_shop(fake: GooglePlay) -> Shop:
    def proof(account: str = BUYER, pack: Any = PACK) -> str:
        fake.sell(account, "token-1", pack.id)
        return "token-1"

    def told(content: dict[str, Any], at: int | None = None, **claims: Any) -> Delivery:
        return Delivery({"authorization": fake.authorization(**claims)}, fake.push(content, at))

    def paid() -> Delivery:
        bought = {"notificationType": 1, "purchaseToken": proof(), "sku": PACK.id}
        return told({"oneTimeProductNotification": bought})

    voided = {"voidedPurchaseNotification": {"purchaseToken": "token-1", "orderId": "GPA.1", "productType": 2}}
    return Shop(
        fake,
        GooglePlayProvider(msgspec.convert(fake.secret(), GooglePlaySettings)),
        proof,
        paid,
        lambda second: told(voided, (NOW_S + second) * 1000),
        lambda: told(voided, email="someone@example.com"),
        lambda: told({**voided, "packageName": "com.example.other"}),
    )


def stripe_shop(fake: Stripe) -> Shop:
    def session(account: str = BUYER, pack: Any = PACK) -> dict[str, Any]:
        made = fake.session(account, pack.id, pack.usd_cents)
        return fake.pay(made["id"])

    def told(body: bytes, **signed: Any) -> Delivery:
        return Delivery({"stripe-signature": fake.signature(body, **signed)}, body)

    def charge() -> dict[str, Any]:
        session()
        return {**fake.charges["ch_1"], "amount_refunded": PACK.usd_cents}

    return Shop(
        fake,
        StripeProvider(msgspec.convert(fake.secret(), StripeSettings)),
        lambda account=BUYER, pack=PACK: session(account, pack)["id"],
        lambda: told(fake.event("checkout.session.completed", session())),
        lambda second: told(fake.event("charge.refunded", charge(), NOW_S + second)),
        lambda: told(fake.event("charge.refunded", charge()), secret="whsec_other"),
        lambda: told(fake.event("charge.refunded", charge(), livemode=True)),
    )


@pytest.fixture(params=["apple", "google", "stripe"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    fakes: dict[str, Any] = {
        "apple": (AppStore, apple_shop),
        "google": (GooglePlay, google_shop),
        "stripe": (Stripe, stripe_shop),
    }
    make, open_shop = fakes[request.param]
    fake = make()
    with fake.running():
        yield open_shop(fake)


@pytest.fixture
def memory() -> MemoryLedger:
    return MemoryLedger()


def code(caught: pytest.ExceptionInfo[OnairError]) -> tuple[str, str]:
    return caught.value.code, (caught.value.details or {}).get("reason", "")


def coins(book: AuditedLedger, account: str = BUYER) -> int:
    return (book.wallet(account) or Wallet(account)).coins


def clean(book: AuditedLedger) -> None:
    assert audit(book, clock.now_ms() + 60_000).differences == ()


# --- purchases ---------------------------------------------------------------------------------------------------


def test_a_paid_pack_is_minted_once_whoever_tells_and_however_often(shop: Shop, memory: MemoryLedger) -> None:
    first = shop.buy(memory, shop.proof())
    assert first == WalletAnswer(PACK.coins, 0, 1)
    assert shop.buy(memory, shop.proof()) == first
    shop.hear(memory, shop.paid())
    assert coins(memory) == PACK.coins
    clean(memory)


def test_a_webhook_settles_what_nobody_brought_and_the_late_buyer_gets_its_answer(
    shop: Shop, memory: MemoryLedger
) -> None:
    shop.hear(memory, shop.paid())
    shop.hear(memory, shop.paid())
    assert coins(memory) == PACK.coins
    assert shop.buy(memory, shop.proof()) == WalletAnswer(PACK.coins, 0, 1)
    clean(memory)


def test_another_account_cannot_use_a_proof(shop: Shop, memory: MemoryLedger) -> None:
    with pytest.raises(OnairError) as caught:
        shop.buy(memory, shop.proof(), account=str(uuid.uuid4()))
    assert code(caught) == ("purchase_refused", "wrong_account")
    assert memory.wallets == {}


def test_a_cheaper_purchase_does_not_pay_a_dearer_pack(shop: Shop, memory: MemoryLedger) -> None:
    with pytest.raises(OnairError) as caught:
        shop.buy(memory, shop.proof(), pack=OTHER.id)
    # Google Play itself does not know a token under another product.
    wanted = "forged" if shop.provider.name == "google" else "wrong_product"
    assert code(caught) == ("purchase_refused", wanted)
    assert memory.wallets == {}


@pytest.mark.parametrize("proof", ["x", "cs_test_none", "../x", "a.b.c", "ü" * 20, "t" * 8000])
def test_a_made_up_proof_is_refused(shop: Shop, memory: MemoryLedger, proof: str) -> None:
    with pytest.raises(OnairError) as caught:
        shop.buy(memory, proof)
    assert code(caught) == ("purchase_refused", "forged")


def test_a_key_gives_its_first_answer_for_ever_and_nothing_to_another_request(shop: Shop, memory: MemoryLedger) -> None:
    proof = shop.proof()
    first = shop.buy(memory, proof, key="k")
    shop.fake.faults.extend([500] * 9)
    assert shop.buy(memory, proof, key="k") == first  # the provider is not asked again
    shop.fake.faults.clear()
    with pytest.raises(OnairError) as caught:
        shop.buy(memory, proof, pack=OTHER.id, key="k")
    assert caught.value.code == "id_reused"
    assert shop.buy(memory, proof, key="another") == first
    assert shop.buy(memory, proof, key="another") == first
    clean(memory)


# --- refunds -----------------------------------------------------------------------------------------------------


def test_a_refund_takes_the_coins_back_once_and_freezes_a_wallet_that_spent_them(
    shop: Shop, memory: MemoryLedger
) -> None:
    shop.buy(memory, shop.proof())
    spent = memory.wallets[BUYER]
    gift = catalogue.gift("rose")
    from functions.wallet import model
    from functions.wallet.ledger import Posting

    given = model.give(spent, host="h", gift=gift, count=20, stream="s", client_id="c", event_id="e", at=clock.now_ms())
    memory.write(Posting(before=spent, after=given[0], transfer=given[1], unsettled_key="creator#h#0"))
    for _ in range(3):
        shop.hear(memory, shop.refunded(10))
    assert memory.wallets[BUYER].coins == -20 * gift.coins
    assert memory.wallets[BUYER].frozen
    clean(memory)


def test_a_refund_that_comes_before_its_purchase_leaves_nothing_to_mint(shop: Shop, memory: MemoryLedger) -> None:
    shop.hear(memory, shop.refunded(10))
    with pytest.raises(OnairError) as caught:
        shop.buy(memory, shop.proof())
    assert code(caught) == ("purchase_refused", "refunded")
    assert coins(memory) == 0
    clean(memory)


def test_a_webhook_of_somebody_else_is_not_believed(shop: Shop, memory: MemoryLedger) -> None:
    shop.buy(memory, shop.proof())
    for delivery in (shop.forged(), Delivery({}, shop.refunded(1).body[:-9] + b'tampered"')):
        with pytest.raises(OnairError) as caught:
            shop.hear(memory, delivery)
        assert caught.value.code in ("unauthenticated", "invalid_request")
    with pytest.raises(OnairError) as caught:
        shop.hear(memory, shop.elsewhere())
    assert code(caught)[0] == "purchase_refused"
    assert code(caught)[1] in ("wrong_environment", "wrong_app")
    assert coins(memory) == PACK.coins


def test_a_body_that_is_too_large_is_refused_before_anything_is_read(shop: Shop, memory: MemoryLedger) -> None:
    with pytest.raises(OnairError) as caught:
        shop.hear(memory, Delivery({}, b"x" * (webhooks.BODY_BYTES_MAX + 1)))
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("fault", [429, 500, 503, "malformed", "silent"])
def test_a_provider_that_fails_is_unavailable_mints_nothing_and_the_same_request_works_later(
    shop: Shop, memory: MemoryLedger, fault: int | str
) -> None:
    if shop.provider.name == "apple":
        pytest.skip("a signed transaction is verified without asking Apple")
    proof = shop.proof()
    shop.fake.faults.extend([fault] * 6)
    with pytest.raises(OnairError) as caught:
        shop.buy(memory, proof)
    assert caught.value.code == "unavailable"
    assert memory.wallets == {}
    shop.fake.faults.clear()
    assert shop.buy(memory, proof).coins == PACK.coins


# --- races -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_doubled_webhooks_and_buyers_ends_as_if_each_came_once(
    shop: Shop, proved_book: AuditedLedger, seed: int
) -> None:
    """Sixteen at once: payment, refund and buyer four times each, in an order that the seed gives."""
    import random

    rng = random.Random(seed)
    proof, paid, refunded = shop.proof(), shop.paid(), shop.refunded(10)
    acts: list[Callable[[], Any]] = [
        *[lambda: shop.buy(proved_book, proof)] * 4,
        *[lambda: shop.hear(proved_book, paid)] * 4,
        *[lambda: shop.hear(proved_book, refunded)] * 4,
    ]
    rng.shuffle(acts)

    def run(act: Callable[[], Any]) -> str:
        try:
            act()
        except OnairError as error:
            return error.code
        return "done"

    # The memory ledger is no database: it takes one at a time, DynamoDB Local all of them.
    workers = 1 if isinstance(proved_book, MemoryLedger) else 12
    with ThreadPoolExecutor(workers) as pool:
        ends = set(pool.map(run, acts))
    assert ends <= {"done", "purchase_refused"}
    assert coins(proved_book) == 0
    receipts = [each for each in proved_book.records(0, 1) if hasattr(each, "claims")]
    assert len(receipts) == 1
    clean(proved_book)


def test_claims_in_any_order_end_alike() -> None:
    """Refund, its reversal and a dispute, each doubled, in every order of a seed: the newest word of each counts."""
    import random

    from functions.wallet.ledger import Claim

    claims = [
        Claim("refund", refunds.WHOLE, 10),
        Claim("refund", 0, 20),
        Claim("dispute#1", refunds.WHOLE // 2, 5),
        Claim("dispute#1", 0, 6),
        Claim("dispute#2", refunds.WHOLE // 7, 9),
    ]
    for seed in range(200):
        rng = random.Random(seed)
        book = MemoryLedger()
        acts: list[Any] = [*claims, *claims, None]
        rng.shuffle(acts)
        refused = 0
        for act in acts:
            if act is None:
                try:
                    purchases.mint(book, "p", "r", "a", PACK)
                except OnairError as error:
                    assert error.code == "purchase_refused"
                    refused += 1
            else:
                refunds.claim(book, "p", "r", act)
        if refused:  # the payer had everything back at that time; now the purchase may be brought again
            purchases.mint(book, "p", "r", "a", PACK)
        assert coins(book, "a") == PACK.coins - refunds.claimed_coins(PACK.coins, (claims[-1],)), seed
        clean(book)
