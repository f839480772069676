"""Payouts step by step over the ledger: asked for, held or looked at, paid through a provider, confirmed or reversed.

A provider may pay and not answer. So before the first call the payout is marked as being paid, each call carries its id
as idempotency key, a repeated one asks first what the provider knows, and once such keys may be forgotten only a
person decides. Diamonds come back only when the provider refused and knows of no payment.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Protocol

from functions import clock, ids, observe
from functions.accounts.trail import Entry
from functions.errors import OnairError
from functions.wallet import ledger, payout_rules, tax
from functions.wallet.ledger import Ledger, LedgerError, MovedError, Posting, TakenError
from functions.wallet.model import Wallet
from functions.wallet.payout_rules import KEY_VALID_MS, RETRY_MS, Payout, State, TaxProfile

# What one look at the index of open payouts brings: the rest waits for the next minute.
DUE_MAX: Final = 100


class PayoutBook(Ledger, Protocol):
    """The ledger with its payouts; reads of one account are strongly consistent."""

    def payout(self, account: str, payout_id: str) -> Payout | None: ...

    def payouts(self, account: str) -> list[Payout]:
        """All of an account's, newest first."""
        ...

    def waiting_payouts(self, state: State, until_ms: int, limit: int, after: Payout | None = None) -> list[Payout]:
        """Payouts in a state since ``until_ms`` or earlier, oldest first, beyond ``after``; may lag behind."""
        ...

    def move(self, after: Payout, note: Entry | None = None) -> None:
        """Write a payout's next version, and an operator's note with it; `TakenError` unless it follows what is."""
        ...

    def profile(self, account: str) -> TaxProfile | None: ...

    def keep_profile(self, profile: TaxProfile) -> None: ...


class PayoutRefusedError(Exception):
    """The provider did not pay and will not under this id."""


class PayoutUnknownError(Exception):
    """No answer, or one that leaves open whether the provider paid or still may."""


class PayoutProvider(Protocol):
    """Somebody who pays creators. Both raise `PayoutUnknownError` where nothing sure was said."""

    name: str

    def pay(self, payout: Payout) -> str:
        """Pay ``net_cents`` to ``destination``, once for this id however often it is asked; the payment's reference.

        Raises `PayoutRefusedError` for what will never be paid.
        """
        ...

    def find(self, payout: Payout) -> str | None:
        """The reference of the payment under this id, or None where the provider knows of none."""
        ...


def ask(
    book: PayoutBook, account: str, diamonds: int, key: str, *, provider: str, rng: random.Random | None = None
) -> Payout:
    """Reserve diamonds for a payout; the same ``key`` gets the same payout for ever.

    Raises
    ------
    OnairError
        ``not_eligible`` (no tax profile), ``id_reused``, ``unavailable``, and as `payout_rules.ask`.
    """
    wanted = payout_id(account, key)
    for _ in ledger.attempts(rng or random.Random()):
        try:
            earlier = book.payout(account, wanted)
            if earlier is not None:
                if earlier.diamonds != diamonds:
                    raise OnairError("id_reused", field="Idempotency-Key")
                return earlier
            profile = book.profile(account)
            if profile is None:
                raise no_profile()
            # First the wallet: a payout that comes after this read has moved it on, and refuses the posting below.
            before = book.wallet(account)
            after, transfer, payout = payout_rules.ask(
                before or Wallet(account),
                book.payouts(account),
                profile,
                diamonds,
                id=wanted,
                provider=provider,
                permille=tax.permille(profile),
                at=clock.now_ms(),
            )
            book.write(Posting(before=before, after=after, transfer=transfer, payout=payout))
            return payout
        except LedgerError:
            continue
    raise OnairError("unavailable")


def payout_id(account: str, key: str) -> str:
    """The id of the payout that an account asked for under a key; the same for ever."""
    return ids.derived(account, "payout", key)


def no_profile() -> OnairError:
    """The refusal of whoever did not say yet where to pay."""
    return OnairError("not_eligible", "Say where to pay and how you are taxed first.", field="tax_profile")


def due(book: PayoutBook) -> list[Payout]:
    """Payouts that should go a step further now, as the index shows them: held ones first, for they wait longest."""
    now = clock.now_ms()
    found = [
        *book.waiting_payouts("held", now, DUE_MAX),
        *book.waiting_payouts("paying", now - RETRY_MS, DUE_MAX),
        *book.waiting_payouts("ready", now, DUE_MAX),
    ]
    return found[:DUE_MAX]


Doubts = Callable[[PayoutBook, Payout], str]


def frozen(book: PayoutBook, payout: Payout) -> str:
    """Why a person should look at this payout first; empty where nothing speaks against it."""
    wallet = book.wallet(payout.account)
    # Coins behind these diamonds may have been taken back.
    return "frozen" if wallet is not None and wallet.frozen else ""


def advance(
    book: PayoutBook,
    provider: PayoutProvider,
    account: str,
    payout_id: str,
    doubts: Doubts = frozen,
    rng: random.Random | None = None,
) -> None:
    """Take one payout a step further, if it is due. Its state as of now decides, not what a lagging index showed.

    Raises
    ------
    LedgerError, OnairError
        Nothing is lost: whoever comes next goes on from where it stands.
    """
    now = clock.now_ms()
    payout = book.payout(account, payout_id)
    if payout is None or not payout_rules.is_due(payout, now):
        return
    if payout.state == "held":
        payout = payout_rules.release(payout, now)
        book.move(payout)
        if payout.state != "ready":
            return
    if payout.state == "ready" and not payout.approved:
        why = doubts(book, payout)
        if why:
            book.move(payout_rules.step(payout, "review", now, why=why))
            observe.logger.warning("payout doubted", payout=payout.id, why=why)
            return
    first = not payout.tried
    # This write is the fence: whoever lost it never calls the provider for this version.
    payout = payout_rules.step(payout, "paying", now)
    book.move(payout)
    _pay(book, provider, payout, first, rng or random.Random())


def approve(book: PayoutBook, account: str, payout_id: str, note: Entry | None = None) -> Payout:
    """An operator lets a payout be paid; ``note`` goes into the audit trail with it.

    Raises
    ------
    OnairError
        ``not_found``, ``conflict`` (it is not waiting for anybody), ``unavailable``.
    """
    payout = payout_rules.approve(_in_review(book, account, payout_id), clock.now_ms())
    try:
        book.move(payout, note)
    except TakenError as error:
        raise OnairError("conflict") from error
    except LedgerError as error:
        raise OnairError("unavailable") from error
    return payout


def reject(
    book: PayoutBook,
    provider: PayoutProvider,
    account: str,
    payout_id: str,
    why: str,
    note: Entry | None = None,
    rng: random.Random | None = None,
) -> Payout:
    """An operator refuses a payout: its diamonds go back, unless the provider turns out to have paid.

    Raises
    ------
    OnairError
        ``not_found``, ``conflict`` (it is not waiting for anybody, or was paid), ``unavailable``.
    """
    payout = _in_review(book, account, payout_id)
    try:
        if payout.tried and provider.find(payout) is not None:
            raise OnairError("conflict", "The provider has paid this already: approve it.")
    except PayoutUnknownError as error:
        raise OnairError("unavailable") from error
    return _reverse(book, payout, why, rng or random.Random(), note)


def confirmed(book: PayoutBook, account: str, payout_id: str, reference: str) -> bool:
    """The provider tells by itself that it paid; True where that was news.

    May raise a `LedgerError`: the provider tells again.
    """
    payout = book.payout(account, payout_id)
    if payout is not None and payout.state == "reversed" and payout.why != "taken_back":
        # Money and diamonds are both with the creator: nothing here can put that right.
        observe.logger.error("paid after its diamonds went back", payout=payout.id, reference=reference)
    if payout is None or payout.state not in ("paying", "review"):
        return False
    book.move(payout_rules.step(payout, "paid", clock.now_ms(), reference=reference))
    return True


def taken_back(
    book: PayoutBook, account: str, payout_id: str, reference: str, rng: random.Random | None = None
) -> bool:
    """The provider took a payment back as a whole, so its diamonds return; True where that was news.

    It may tell so before we heard that it paid: then both are taken in, or nobody would hear of the second again.

    Raises
    ------
    LedgerError
        Somebody else moves the payout, or it is about to be paid: the provider tells again.
    """
    payout = book.payout(account, payout_id)
    if payout is not None and payout.tried and payout.state == "ready":
        raise MovedError("it is asked for again, and then is found to be paid")
    if payout is not None and payout.tried and payout.state in ("paying", "review"):
        payout = payout_rules.step(payout, "paid", clock.now_ms(), reference=reference)
        book.move(payout)
    if payout is None or payout.state != "paid" or payout.reference != reference:
        return False
    _reverse(book, payout, "taken_back", rng or random.Random())
    return True


def _pay(book: PayoutBook, provider: PayoutProvider, payout: Payout, first: bool, rng: random.Random) -> None:
    now = clock.now_ms()
    try:
        reference = None if first else provider.find(payout)
        if reference is None and now - payout.tried_at >= KEY_VALID_MS:
            book.move(payout_rules.step(payout, "review", now, why="unanswered"))
            return
        reference = reference or provider.pay(payout)
    except PayoutUnknownError as error:
        observe.logger.warning("payout unanswered", extra={"payout": payout.id, "error": str(error)})
        return
    except PayoutRefusedError as refusal:
        try:
            reference = provider.find(payout)
        except PayoutUnknownError:
            return
        if reference is None:
            _reverse(book, payout, str(refusal), rng)
            return
    book.move(payout_rules.step(payout, "paid", clock.now_ms(), reference=reference))


def _reverse(book: PayoutBook, payout: Payout, why: str, rng: random.Random, note: Entry | None = None) -> Payout:
    for _ in ledger.attempts(rng):
        try:
            now = book.payout(payout.account, payout.id)
            if now is None or now.version != payout.version:
                if now is not None and now.state == "reversed":
                    return now
                raise OnairError("conflict")
            before = book.wallet(payout.account)
            assert before is not None, "what was reserved came from a wallet"
            after, transfer, reversed_payout = payout_rules.reverse(before, payout, why=why, at=clock.now_ms())
            book.write(Posting(before=before, after=after, transfer=transfer, payout=reversed_payout, note=note))
            return reversed_payout
        except LedgerError:
            continue
    raise OnairError("unavailable")


def _in_review(book: PayoutBook, account: str, payout_id: str) -> Payout:
    try:
        payout = book.payout(account, payout_id)
    except LedgerError as error:
        raise OnairError("unavailable") from error
    if payout is None:
        raise OnairError("not_found")
    if payout.state != "review":
        raise OnairError("conflict", details={"state": payout.state})
    return payout
