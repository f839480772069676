"""HTTPS routes of the wallet: catalogue, balance, statement, purchases."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

from chalice.app import Blueprint, Response
from msgspec import UNSET, Meta, Struct, UnsetType

from functions import clock, parse, security
from functions.errors import OnairError
from functions.wallet import catalogue, ledger, offers, payout_webhooks, purchases, self_limit, webhooks
from functions.wallet.ledger import Ledger, LedgerError
from functions.wallet.model import CoinPack, Gift, Transfer, Unit, Wallet
from functions.wallet.offers import Offer
from functions.wallet.provider import Delivery
from functions.wallet.purchases import CheckoutRequest, PurchaseRequest, WalletAnswer
from functions.wallet.self_limit import LimitAnswer, LimitChange
from functions.wallet.table import StoredLedger

routes = Blueprint(__name__)

READ_ATTEMPTS_MAX: Final = 4
T = TypeVar("T")


class GiftsQuery(Struct, frozen=True):
    """Whose gifts: an ISO 3166-1 alpha-2 code; without one, those that every market has."""

    market: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | Literal[""] = ""


class Gifts(Struct, frozen=True):
    """``GET /gifts``, cheapest first."""

    items: list[Gift]


class CoinPacks(Struct, frozen=True):
    """``GET /coin-packs``, smallest first, and every way to buy them: ``why`` tells what a provider lacks."""

    items: list[CoinPack]
    providers: list[Offer]


class TransferAnswer(Struct, frozen=True):
    """A transfer as its wallet's owner sees it; ``amount`` is negative for what left the wallet."""

    id: str
    at: str
    unit: Unit
    amount: int
    reason: str
    reference: str
    version: int
    balance_after: int
    previous_hash: str
    hash: str


class Statement(Struct, frozen=True):
    """``GET /wallet/statement``, newest first; ``cursor`` is there while older entries are."""

    items: list[TransferAnswer]
    cursor: str | UnsetType = UNSET


@routes.route("/gifts", methods=["GET"])
def list_gifts() -> Gifts:
    """The gifts on offer today, in a market if one is named."""
    asked = parse.query(routes.current_request, GiftsQuery)
    return Gifts(catalogue.gifts_on_offer(asked.market, clock.today_utc(clock.now_ms())))


@routes.route("/coin-packs", methods=["GET"])
def list_coin_packs() -> CoinPacks:
    """What coins cost."""
    return CoinPacks(list(catalogue.coin_packs().values()), offers.offers())


@routes.route("/wallet", methods=["GET"], authorizer=security.cognito)
def read_wallet() -> WalletAnswer:
    """Balances; zeros before the first coin."""
    who = parse.identity(routes.current_request)
    wallet = tried(lambda: StoredLedger().wallet(who.account)) or Wallet(who.account)
    return purchases.wallet_answer(wallet)


@routes.route("/wallet/limit", methods=["GET"], authorizer=security.cognito)
def read_limit() -> LimitAnswer:
    """What may be given a day, and what was."""
    who = parse.identity(routes.current_request)
    wallet = tried(lambda: StoredLedger().wallet(who.account)) or Wallet(who.account)
    return self_limit.answer(wallet, clock.now_ms())


@routes.route("/wallet/limit", methods=["PUT"], authorizer=security.cognito)
def change_limit() -> LimitAnswer:
    """Set one's own limit: lower holds at once, higher after a day."""
    who = parse.identity(routes.current_request)
    asked = parse.body(routes.current_request, LimitChange)
    return self_limit.set_limit(StoredLedger(), who.account, asked.coins_a_day)


@routes.route("/wallet/statement", methods=["GET"], authorizer=security.cognito)
def read_statement() -> Statement:
    """The wallet's chain, newest first."""
    who = parse.identity(routes.current_request)
    page = parse.query(routes.current_request, parse.Page)
    return statement(StoredLedger(), who.account, page)


@routes.route("/purchases", methods=["POST"], authorizer=security.cognito)
def buy() -> Response:
    """Coins against a provider's proof. The proof itself makes this safe to send again, for ever."""
    who = parse.identity(routes.current_request)
    request = parse.body(routes.current_request, PurchaseRequest)
    key = parse.idempotency_key(routes.current_request)
    return Response(purchases.purchase(StoredLedger(), who.account, request, key=key), status_code=201)


@routes.route("/checkouts", methods=["POST"], authorizer=security.cognito)
def open_checkout() -> Response:
    """A page of the provider where a pack is paid."""
    who = parse.identity(routes.current_request)
    request = parse.body(routes.current_request, CheckoutRequest)
    key = parse.idempotency_key(routes.current_request)
    return Response(purchases.checkout(who.account, request, key), status_code=201)


@routes.route("/webhooks/{provider}", methods=["POST"])
def hear_webhook(provider: str) -> None:
    """What a provider tells by itself; open, and believed only as far as it is signed."""
    request = routes.current_request
    try:
        body: Any = request.raw_body or b""
    except ValueError:
        raise OnairError("invalid_request", "The body is not valid Base64.") from None
    book, delivery = StoredLedger(), Delivery({**request.headers}, body)
    if provider == payout_webhooks.PROVIDER and payout_webhooks.heard(book, delivery):
        return
    webhooks.hear(book, provider, delivery)


def statement(book: Ledger, account: str, page: parse.Page) -> Statement:
    """One page of a statement.

    A cursor names the last entry given by version and hash, and must fit the chain: one that was made up, or that
    belongs to another wallet, is ``invalid_request``. It costs one more item to read and needs no secret.
    """
    last_version, last_hash = _place(page.cursor)
    skip = 0 if last_version is None else 1
    found = tried(lambda: book.statement(account, last_version, page.limit + skip + 1))
    if last_version is not None:
        if not found or found[0].version != last_version or found[0].hash != last_hash:
            raise _not_our_cursor()
        found = found[1:]
    shown = found[: page.limit]
    more = len(found) > page.limit
    return Statement(
        items=[transfer_answer(each) for each in shown],
        cursor=parse.make_cursor(str(shown[-1].version), shown[-1].hash) if more else UNSET,
    )


def transfer_answer(each: Transfer) -> TransferAnswer:
    """What a wallet's owner is told of a transfer."""
    return TransferAnswer(
        id=each.id,
        at=clock.rfc3339(each.at),
        unit=each.unit,
        amount=each.signed_amount(),
        reason=each.reason,
        reference=each.reference,
        version=each.version,
        balance_after=each.balance_after,
        previous_hash=each.previous_hash,
        hash=each.hash,
    )


def _place(cursor: str | None) -> tuple[int | None, str]:
    if cursor is None:
        return None, ""
    parts = parse.cursor(cursor)
    if len(parts) != 2 or not parts[0].isascii() or not parts[0].isdigit() or len(parts[0]) > 15:
        raise _not_our_cursor()
    return int(parts[0]), parts[1]


def _not_our_cursor() -> OnairError:
    return parse.refused("cursor", "This cursor is not one of ours. Start the list from the beginning.")


def tried(read: Callable[[], T]) -> T:
    """What ``read`` gives, tried a few times while the service is busy; then ``unavailable``."""
    for _ in ledger.attempts(random.Random(), READ_ATTEMPTS_MAX):
        try:
            return read()
        except LedgerError:
            continue
    raise OnairError("unavailable")
