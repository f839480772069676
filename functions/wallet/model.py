"""The wallet's rules, pure: wallet state, the immutable transfer and its hash chain, gift, purchase and settlement.

Integers only. A transfer belongs to the chain of one wallet (``account``); its ``hash`` covers every field and the hash
before it, so that nothing in a statement can be changed, dropped or put in without the chain showing it. Diamonds are
earned in thousandths (``milli``): a settlement credits whole diamonds, and what is left over is carried to the next.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from functions.errors import OnairError
from functions.wallet import limits

GENESIS: Final = "0" * 64
COUNT_MAX: Final = 999
CREATOR_SHARE_PERMILLE: Final = 500
MILLI: Final = 1000
# JSON numbers are exact up to 2^53 in every client; no balance, however reached, may leave that range.
BALANCE_MAX: Final = 2**53 - 1
# DynamoDB takes 100 items in a transaction; two of them are the creator's wallet and the settlement's own transfer.
SETTLED_AT_ONCE_MAX: Final = 98
_DIGEST_MODULUS: Final = 2**256

Animation = Literal["pop", "float", "swell", "fly", "gallop", "drive", "sail", "rain", "burst", "sky", "stage"]
Unit = Literal["coins", "diamonds"]
Reason = Literal["gift", "purchase", "settlement", "limit", "payout", "payout_reversal", "refund", "refund_reversed"]


class Wallet(Struct, frozen=True):
    """What an account holds, and the head of its chain: ``version`` entries, the last with ``hash``, at ``at`` (ms).

    ``combo`` and ``combo_count`` tell how often the current run of one gift was sent. Every gift of a sender moves this
    wallet, so the count is right under any concurrency; it is a convenience, not money, and stands outside the chain.
    ``spent`` counts the coins given on ``spent_day`` (days since the Unix epoch, UTC). ``limit`` is what its owner lets
    it give a day; from ``limit_from`` (ms, 0: never) on it is ``limit_next`` instead. None is no limit.
    """

    account: str
    coins: int = 0
    diamonds: int = 0
    carried_milli: int = 0
    version: int = 0
    hash: str = GENESIS
    at: int = 0
    frozen: bool = False
    combo: str = ""
    combo_count: int = 0
    spent_day: int = 0
    spent: int = 0
    limit: int | None = None
    limit_next: int | None = None
    limit_from: int = 0


class Gift(Struct, frozen=True, omit_defaults=True):
    """One gift of the catalogue; ``coins`` is its price.

    It is on offer from the day ``from`` to the day ``to`` (UTC, both included), in ``markets`` (none named: in all), to
    those who are ``min_age`` and old enough for gifts in their market.
    """

    id: str
    name: str
    coins: int
    emoji: str
    tier: Literal["small", "medium", "large", "epic"]
    animation: Animation
    first_day: date | None = field(default=None, name="from")
    last_day: date | None = field(default=None, name="to")
    markets: tuple[str, ...] = ()
    min_age: int = 0


class CoinPack(Struct, frozen=True):
    """Coins that are sold together."""

    id: str
    coins: int
    usd_cents: int


class GiftDetails(Struct, frozen=True, tag_field="kind", tag="gift", omit_defaults=True):
    """What was given; ``share_milli`` is what the creator is owed for it, in thousandths of a diamond."""

    stream: str
    gift_id: str
    count: int
    event_id: str
    share_milli: int
    combo: str | None = None


class PurchaseDetails(Struct, frozen=True, tag_field="kind", tag="purchase", omit_defaults=True):
    """What was bought; ``diamonds`` is the balance beside it, so that a repeated request gets the same answer."""

    provider: str
    receipt: str
    pack: str
    usd_cents: int
    diamonds: int


class Given(Struct, frozen=True, array_like=True, gc=False):
    """What one account gave of one gift in one stream, within a settlement: what leaderboards are added up from."""

    stream: str
    account: str
    gift_id: str
    count: int
    coins: int


class RefundDetails(Struct, frozen=True, tag_field="kind", tag="refund", omit_defaults=True):
    """Which purchase's coins went back with the money, or came back; ``step`` numbers the changes of one receipt."""

    provider: str
    receipt: str
    step: int


class SettlementDetails(Struct, frozen=True, tag_field="kind", tag="settlement", omit_defaults=True):
    """What a settlement took in: how many gifts, their coins and shares, their digest, and the remainder it left."""

    gifts: int
    coins: int
    share_milli: int
    carried_milli: int
    digest: str
    given: tuple[Given, ...] = ()


class LimitDetails(Struct, frozen=True, tag_field="kind", tag="limit", omit_defaults=True):
    """What its owner lets a wallet give a day (None: anything), and since when (ms)."""

    coins_a_day: int | None
    since: int


class PayoutDetails(Struct, frozen=True, tag_field="kind", tag="payout", omit_defaults=True):
    """Diamonds put aside for a payout: in US cents what they are worth, and what of it is withheld as tax, at what rate
    (thousandths)."""

    payout: str
    cents: int
    withheld_cents: int
    withheld_permille: int = 0


class ReversalDetails(Struct, frozen=True, tag_field="kind", tag="payout_reversal", omit_defaults=True):
    """Diamonds that came back, because their payout was refused."""

    payout: str
    why: str


Details = (
    GiftDetails | PurchaseDetails | SettlementDetails | LimitDetails | PayoutDetails | ReversalDetails | RefundDetails
)


class Transfer(Struct, frozen=True, omit_defaults=True):
    """One immutable entry of a wallet's chain. ``amount`` is never negative: debit and credit give its direction."""

    id: str
    account: str
    version: int
    at: int
    debit: str
    credit: str
    unit: Unit
    amount: int
    reason: Reason
    reference: str
    balance_after: int
    previous_hash: str
    details: Details
    hash: str = ""

    def signed_amount(self) -> int:
        """The amount as its wallet sees it: positive when credited."""
        return self.amount if self.credit == wallet_account(self.account) else -self.amount


class PastTransfer(Struct, frozen=True):
    """A transfer as the ledger keeps it: ``settlement`` (outside the hash) is the id of the one that settled it."""

    transfer: Transfer
    settlement: str | None = None


def wallet_account(account: str) -> str:
    """The ledger account of what somebody holds."""
    return f"wallet/{account}"


def creator_account(account: str) -> str:
    """The ledger account of what viewers gave to somebody and is not, or not yet, converted."""
    return f"creator/{account}"


def house_account(provider: str) -> str:
    """The ledger account that mints coins against receipts of one provider; derived, never an item of its own."""
    return f"house/{provider}"


def gift_transfer_id(client_id: str) -> str:
    """The id of the transfer that the sender's client named ``client_id``."""
    return f"gift#{client_id}"


_canonical = msgspec.json.Encoder(order="sorted")


def seal(transfer: Transfer) -> str:
    """SHA-256 (hex) over the canonical JSON of a transfer without its own hash; the previous hash is one of its fields.

    Fields added later have defaults and are left out while they hold them, so that old seals stay true.
    """
    return hashlib.sha256(_canonical.encode(msgspec.structs.replace(transfer, hash=""))).hexdigest()


def digest(hashes: list[str]) -> str:
    """One number (hex) for a set of transfers, whatever their order: the sum of their hashes modulo 2^256."""
    return f"{sum(int(each, 16) for each in hashes) % _DIGEST_MODULUS:064x}"


def share_milli(coins: int, permille: int) -> int:
    """What ``coins`` spent on gifts are worth to the creator, in thousandths of a diamond; nothing is rounded."""
    assert coins >= 0
    assert 0 <= permille <= 1000
    return coins * permille


def give(
    wallet: Wallet,
    *,
    host: str,
    gift: Gift,
    count: int,
    stream: str,
    client_id: str,
    event_id: str,
    at: int,
    combo: str | None = None,
    combo_end: bool = False,
    permille: int = CREATOR_SHARE_PERMILLE,
    created_ms: int | None = None,
) -> tuple[Wallet, Transfer]:
    """Spend coins on a gift.

    Parameters
    ----------
    count : int
        1 to `COUNT_MAX`.
    at : int
        Milliseconds since the Unix epoch; the entry never lies before the one it follows.
    combo_end : bool
        The run ends with this send: the next one under the same name counts from its own.
    created_ms : int | None
        When the sender's account was made, for the limit of new accounts; None for an account that is not new.

    Raises
    ------
    OnairError
        ``invalid_request`` (count), ``forbidden`` (to oneself, frozen wallet), ``insufficient_coins``,
        ``limit_reached``.
    """
    check_count(count)
    if host == wallet.account:
        raise OnairError("forbidden", "You cannot send a gift to yourself.")
    if wallet.frozen:
        raise OnairError("forbidden", "This wallet is frozen after a refund. Contact support to use it again.")
    price = gift.coins * count
    if wallet.coins < price:
        raise OnairError("insufficient_coins", details={"needed": price, "coins": wallet.coins})
    spent_day, spent = limits.spend(wallet, price, max(at, wallet.at), created_ms)
    run = f"{stream}/{gift.id}/{combo}" if combo is not None else ""
    so_far = wallet.combo_count if run and run == wallet.combo else 0
    after, transfer = post(
        wallet,
        id=gift_transfer_id(client_id),
        debit=wallet_account(wallet.account),
        credit=creator_account(host),
        unit="coins",
        amount=price,
        reason="gift",
        reference=stream,
        at=at,
        details=GiftDetails(
            stream=stream,
            gift_id=gift.id,
            count=count,
            combo=combo,
            event_id=event_id,
            share_milli=share_milli(price, permille),
        ),
    )
    assert after.coins >= 0
    return msgspec.structs.replace(
        after,
        combo="" if combo_end else run,
        combo_count=so_far + count,
        spent_day=spent_day,
        spent=spent,
    ), transfer


def check_count(count: int) -> None:
    """Raise ``invalid_request`` naming ``count`` unless it is an integer from 1 to `COUNT_MAX`."""
    if type(count) is not int or not 1 <= count <= COUNT_MAX:
        raise OnairError("invalid_request", f"count must be a whole number from 1 to {COUNT_MAX}.", field="count")


def purchase(wallet: Wallet, *, provider: str, receipt: str, pack: CoinPack, at: int) -> tuple[Wallet, Transfer]:
    """Mint a pack's coins against a receipt that the provider has verified."""
    assert pack.coins > 0
    after, transfer = post(
        wallet,
        id=f"purchase#{provider}#{receipt}",
        debit=house_account(provider),
        credit=wallet_account(wallet.account),
        unit="coins",
        amount=pack.coins,
        reason="purchase",
        reference=receipt,
        at=at,
        details=PurchaseDetails(
            provider=provider, receipt=receipt, pack=pack.id, usd_cents=pack.usd_cents, diamonds=wallet.diamonds
        ),
    )
    # Whoever owed coins after a refund may spend again once they are paid back.
    return msgspec.structs.replace(after, frozen=after.coins < 0), transfer


def given_by(gifts: list[Transfer]) -> tuple[Given, ...]:
    """What each account gave of each gift in each stream, added up, in a fixed order."""
    rows: dict[tuple[str, str, str], tuple[int, int]] = {}
    for each in gifts:
        gift = each.details
        assert isinstance(gift, GiftDetails)
        count, coins = rows.get((gift.stream, each.account, gift.gift_id), (0, 0))
        rows[gift.stream, each.account, gift.gift_id] = (count + gift.count, coins + each.amount)
    return tuple(Given(*key, *sums) for key, sums in sorted(rows.items()))


def settle(wallet: Wallet, gifts: list[Transfer], *, at: int) -> tuple[Wallet, Transfer]:
    """Turn the creator's shares of up to `SETTLED_AT_ONCE_MAX` gifts into whole diamonds and a carried remainder.

    The entry's time lies at or after that of every gift in it: a cut of all chains at one time holds both or neither.
    """
    assert 0 < len(gifts) <= SETTLED_AT_ONCE_MAX
    owed_milli = 0
    coins = 0
    for each in gifts:
        assert isinstance(each.details, GiftDetails)
        assert each.credit == creator_account(wallet.account)
        owed_milli += each.details.share_milli
        coins += each.amount
    whole, carried = divmod(wallet.carried_milli + owed_milli, MILLI)
    after, transfer = post(
        wallet,
        id=f"settlement#{wallet.version + 1:010d}",
        debit=creator_account(wallet.account),
        credit=wallet_account(wallet.account),
        unit="diamonds",
        amount=whole,
        reason="settlement",
        reference=f"{len(gifts)} gifts",
        at=max(at, *(each.at for each in gifts)),
        details=SettlementDetails(
            gifts=len(gifts),
            coins=coins,
            share_milli=owed_milli,
            carried_milli=carried,
            digest=digest([each.hash for each in gifts]),
            given=given_by(gifts),
        ),
        carried_milli=carried,
    )
    assert after.diamonds * MILLI + after.carried_milli == wallet.diamonds * MILLI + wallet.carried_milli + owed_milli
    return after, transfer


def post(
    wallet: Wallet,
    *,
    id: str,
    debit: str,
    credit: str,
    unit: Unit,
    amount: int,
    reason: Reason,
    reference: str,
    at: int,
    details: Details,
    carried_milli: int | None = None,
) -> tuple[Wallet, Transfer]:
    own = wallet_account(wallet.account)
    assert amount >= 0
    assert (debit == own) != (credit == own), "an entry moves something into or out of its wallet, not both"
    signed = amount if credit == own else -amount
    coins = wallet.coins + (signed if unit == "coins" else 0)
    diamonds = wallet.diamonds + (signed if unit == "diamonds" else 0)
    carried = wallet.carried_milli if carried_milli is None else carried_milli
    assert abs(coins) <= BALANCE_MAX
    assert abs(diamonds) <= BALANCE_MAX
    assert 0 <= carried < MILLI
    transfer = Transfer(
        id=id,
        account=wallet.account,
        version=wallet.version + 1,
        at=max(at, wallet.at),
        debit=debit,
        credit=credit,
        unit=unit,
        amount=amount,
        reason=reason,
        reference=reference,
        balance_after=coins if unit == "coins" else diamonds,
        previous_hash=wallet.hash,
        details=details,
    )
    transfer = msgspec.structs.replace(transfer, hash=seal(transfer))
    after = msgspec.structs.replace(
        wallet,
        coins=coins,
        diamonds=diamonds,
        carried_milli=carried,
        version=transfer.version,
        hash=transfer.hash,
        at=transfer.at,
    )
    assert (after.coins - wallet.coins) + (after.diamonds - wallet.diamonds) == transfer.signed_amount()
    return after, transfer
