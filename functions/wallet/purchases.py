"""Buying coins: a payment that its provider vouches for is turned into coins against a receipt, once."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from functions import clock, ids, observe, parse
from functions.errors import OnairError
from functions.wallet import catalogue, ledger, model, offers, provider, refunds
from functions.wallet.ledger import REQUEST, Ledger, LedgerError, Posting, Receipt
from functions.wallet.model import CoinPack, PurchaseDetails, Wallet
from functions.wallet.offers import SandboxProvider as SandboxProvider
from functions.wallet.provider import Checkout, Provider

# An App Store transaction with its three certificates takes about 5 KB, a Play purchase token less than 1.
PROOF_LENGTH_MAX: Final = 8192


class PurchaseRequest(Struct, frozen=True):
    """``POST /purchases``: what was bought where, and the provider's proof of it.

    ``proof`` is a signed transaction (``apple``), a purchase token (``google``), the id of a Checkout session
    (``stripe``), or any fresh text (``sandbox``).
    """

    provider: Annotated[str, Meta(min_length=1, max_length=32)]
    pack: Annotated[str, Meta(min_length=1, max_length=64)]
    proof: Annotated[str, Meta(min_length=1, max_length=PROOF_LENGTH_MAX)]


class CheckoutRequest(Struct, frozen=True):
    """``POST /checkouts``: a page where a pack can be paid."""

    provider: Annotated[str, Meta(min_length=1, max_length=32)]
    pack: Annotated[str, Meta(min_length=1, max_length=64)]


class WalletAnswer(Struct, frozen=True):
    """A wallet as clients see it."""

    coins: int
    diamonds: int
    version: int


def purchase(
    book: Ledger,
    account: str,
    request: PurchaseRequest,
    offered: Mapping[str, Provider] | None = None,
    rng: random.Random | None = None,
    key: str | None = None,
) -> WalletAnswer:
    """Mint a pack's coins against a proof; the same proof gets the same answer for ever.

    Parameters
    ----------
    offered : Mapping[str, Provider] | None
        Providers by name; None asks the deployment's configuration.
    key : str | None
        The client's ``Idempotency-Key``: under it the first answer is given for ever, without asking the provider.

    Raises
    ------
    OnairError
        ``invalid_request`` (provider not offered, unknown pack, no proof), ``purchase_refused`` (the provider does not
        vouch for this purchase, or the money went back), ``conflict`` (the receipt was used by another account or for
        another pack), ``id_reused`` (another request under the same key), ``unavailable``.
    """
    rng = rng or random.Random()
    kept = None if key is None else _request(account, key, request)
    if kept is not None:
        known = _known(book, kept, rng)
        if known is not None:
            return known
    seller = _seller(request.provider, offered)
    pack = catalogue.coin_pack(request.pack)
    receipt_id = seller.verify(account, pack, request.proof)
    answer = mint(book, seller.name, receipt_id, account, pack, rng, kept)
    try:
        seller.finish(pack.id, request.proof)
    except OnairError as error:
        # The coins are there; the client shows the purchase again at its next start, and the webhook insists.
        observe.logger.error("purchase not finished", provider=seller.name, receipt=receipt_id, code=error.code)
    return answer


def checkout(
    account: str, request: CheckoutRequest, key: str | None, offered: Mapping[str, Provider] | None = None
) -> Checkout:
    """A page of the provider to pay a pack on; the same ``Idempotency-Key`` gives the same page."""
    seller = _seller(request.provider, offered)
    pack = catalogue.coin_pack(request.pack)
    return seller.checkout(account, pack, ids.derived("checkout", account, key or ids.new()))


def mint(
    book: Ledger,
    seller: str,
    receipt_id: str,
    account: str,
    pack: CoinPack,
    rng: random.Random | None = None,
    request: Receipt | None = None,
) -> WalletAnswer:
    """Turn a verified payment into coins, once, whoever tells of it first: the buyer or the provider.

    Parameters
    ----------
    request : Receipt | None
        Kept beside the receipt, so that the request finds its answer again by its key.
    """
    for _ in ledger.attempts(rng or random.Random()):
        try:
            used = book.receipt(seller, receipt_id)
            if used is not None and used.transfer:
                _check_buyer(used, account, pack)
                if request is not None:
                    _keep(book, replace(request, transfer=used.transfer))
                refunds.claim(book, seller, receipt_id, None, rng)
                return _answer_again(book, used.account, used.transfer)
            if used is not None and refunds.claimed_millionths(used.claims) == refunds.WHOLE:
                raise provider.refused(seller, "refunded", receipt=receipt_id, account=account)
            before = book.wallet(account)
            after, transfer = model.purchase(
                before or Wallet(account), provider=seller, receipt=receipt_id, pack=pack, at=clock.now_ms()
            )
            receipt = Receipt(
                seller,
                receipt_id,
                account,
                pack.id,
                transfer.id,
                claims=() if used is None else used.claims,
                revision=0 if used is None else used.revision + 1,
            )
            kept = None if request is None else replace(request, transfer=transfer.id)
            book.write(Posting(before=before, after=after, transfer=transfer, receipt=receipt, request=kept))
            if receipt.claims:
                refunds.claim(book, seller, receipt_id, None, rng)
            return wallet_answer(after)
        except LedgerError:
            continue  # moved, taken or uncertain alike: the receipt, read first, tells what became of it
    raise OnairError("unavailable")


def wallet_answer(wallet: Wallet) -> WalletAnswer:
    """What a client is told of a wallet."""
    return WalletAnswer(wallet.coins, wallet.diamonds, wallet.version)


def _seller(name: str, offered: Mapping[str, Provider] | None) -> Provider:
    found = offers.provider(name) if offered is None else offered.get(name)
    if found is None:
        raise OnairError("invalid_request", "Coins cannot be bought this way here.", field="provider")
    return found


def _check_buyer(used: Receipt, account: str, pack: CoinPack) -> None:
    if used.account != account or used.pack != pack.id:
        observe.logger.warning("receipt used before", provider=used.provider, receipt=used.id, account=account)
        raise OnairError("conflict", "This receipt was used before.", field="proof")


def _request(account: str, key: str, request: PurchaseRequest) -> Receipt:
    return Receipt(
        REQUEST, ids.derived(account, key), account, request.pack, "", fingerprint=parse.fingerprint(request)
    )


def _known(book: Ledger, request: Receipt, rng: random.Random) -> WalletAnswer | None:
    for _ in ledger.attempts(rng):
        try:
            found = book.receipt(REQUEST, request.id)
            if found is None:
                return None
            _check_same(found, request)
            return _answer_again(book, request.account, found.transfer)
        except LedgerError:
            continue
    raise OnairError("unavailable")


def _keep(book: Ledger, request: Receipt) -> None:
    found = book.receipt(REQUEST, request.id)
    if found is None:
        book.keep(request)
    else:
        _check_same(found, request)


def _check_same(found: Receipt, request: Receipt) -> None:
    if found.fingerprint != request.fingerprint:
        raise OnairError("id_reused", field="Idempotency-Key")


def _answer_again(book: Ledger, account: str, transfer_id: str) -> WalletAnswer:
    found = book.transfer(account, transfer_id)
    assert found is not None, "receipt and transfer are written together"
    assert isinstance(found.transfer.details, PurchaseDetails)
    return WalletAnswer(found.transfer.balance_after, found.transfer.details.diamonds, found.transfer.version)
