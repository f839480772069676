"""Buying coins: the port to those who sell them, the sandbox behind it, and coins minted against a receipt, once."""

from __future__ import annotations

import hashlib
import random
from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct

from functions import clock, settings
from functions.errors import OnairError
from functions.wallet import catalogue, ledger, model
from functions.wallet.ledger import Ledger, LedgerError, Posting, Receipt
from functions.wallet.model import CoinPack, PurchaseDetails, Wallet

PROOF_LENGTH_MAX: Final = 8192


class PurchaseRequest(Struct, frozen=True):
    """``POST /purchases``: what was bought where, and the provider's proof of it."""

    provider: Annotated[str, Meta(min_length=1, max_length=32)]
    pack: Annotated[str, Meta(min_length=1, max_length=64)]
    proof: Annotated[str, Meta(min_length=1, max_length=PROOF_LENGTH_MAX)]


class WalletAnswer(Struct, frozen=True):
    """A wallet as clients see it."""

    coins: int
    diamonds: int
    version: int


class Provider(Protocol):
    """Somebody who takes money and tells us so."""

    name: str

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:
        """The receipt's id, the same for the same payment for ever; raises ``invalid_request`` for a bad proof."""
        ...


class SandboxProvider:
    """Takes any fresh text as proof: for the local stack and for stages where nobody pays."""

    name = "sandbox"

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:  # noqa: ARG002 -- the port's shape
        return hashlib.sha256(proof.encode()).hexdigest()[:40]


def providers() -> dict[str, Provider]:
    """The providers that this deployment offers, by name."""
    offered: list[Provider] = []
    if settings.flag("SANDBOX_PURCHASES"):
        offered.append(SandboxProvider())
    return {each.name: each for each in offered}


def purchase(
    book: Ledger,
    account: str,
    request: PurchaseRequest,
    offered: dict[str, Provider] | None = None,
    rng: random.Random | None = None,
) -> WalletAnswer:
    """Mint a pack's coins against a proof; the same proof gets the same answer for ever.

    Raises
    ------
    OnairError
        ``invalid_request`` (provider not offered, unknown pack, bad proof), ``conflict`` (the receipt was used by
        another account or for another pack), ``unavailable``.
    """
    provider = (providers() if offered is None else offered).get(request.provider)
    if provider is None:
        raise OnairError("invalid_request", "Coins cannot be bought this way here.", field="provider")
    pack = catalogue.coin_pack(request.pack)
    receipt_id = provider.verify(account, pack, request.proof)
    for _ in ledger.attempts(rng or random.Random()):
        try:
            used = book.receipt(provider.name, receipt_id)
            if used is not None:
                return _answer_again(book, used, account, pack)
            before = book.wallet(account)
            after, transfer = model.purchase(
                before or Wallet(account), provider=provider.name, receipt=receipt_id, pack=pack, at=clock.now_ms()
            )
            receipt = Receipt(provider.name, receipt_id, account, pack.id, transfer.id)
            book.write(Posting(before=before, after=after, transfer=transfer, receipt=receipt))
            return wallet_answer(after)
        except LedgerError:
            continue  # moved, taken or uncertain alike: the receipt, read first, tells what became of it
    raise OnairError("unavailable")


def wallet_answer(wallet: Wallet) -> WalletAnswer:
    """What a client is told of a wallet."""
    return WalletAnswer(wallet.coins, wallet.diamonds, wallet.version)


def _answer_again(book: Ledger, used: Receipt, account: str, pack: CoinPack) -> WalletAnswer:
    if used.account != account or used.pack != pack.id:
        raise OnairError("conflict", "This receipt was used before.", field="proof")
    found = book.transfer(account, used.transfer)
    assert found is not None, "receipt and transfer are written together"
    assert isinstance(found.transfer.details, PurchaseDetails)
    return WalletAnswer(found.transfer.balance_after, found.transfer.details.diamonds, found.transfer.version)
