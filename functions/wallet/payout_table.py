"""Payouts and tax profiles in the Ledger table, as PynamoDB items: `StoredPayouts`."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.transactions import TransactWrite

from functions import storage
from functions.accounts import trail
from functions.accounts.trail import Entry
from functions.wallet import tables
from functions.wallet.payout_rules import OPEN, Payout, State, TaxProfile

PAYOUT_PREFIX: Final = "payout#"
PROFILE_KEY: Final = "tax_profile"


class Waiting(GlobalSecondaryIndex["PayoutItem"]):
    """Payouts that wait for something, by their state: the table's index of open work, which gifts use as well."""

    class Meta:
        index_name = "unsettled"
        projection = AllProjection()

    unsettled_key = UnicodeAttribute(hash_key=True)
    at = NumberAttribute(range_key=True)


class PayoutItem(storage.StoredItem):
    """``payouts#{account}`` / ``payout#{id}``; ``at`` is when its state began."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    content = UnicodeAttribute()
    step = NumberAttribute()
    at = NumberAttribute()
    unsettled_key = UnicodeAttribute(null=True)
    waiting = Waiting()

    def to_payout(self) -> Payout:
        return _payout.decode(self.content)


class ProfileItem(storage.StoredItem):
    """``payouts#{account}`` / ``tax_profile``."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default=PROFILE_KEY)
    content = UnicodeAttribute()


_payout = msgspec.json.Decoder(Payout)
_profile = msgspec.json.Decoder(TaxProfile)


class StoredPayouts:
    """Payouts in the table that the setting ``LEDGER_TABLE`` names; reads of one account are strongly consistent."""

    def payout(self, account: str, payout_id: str) -> Payout | None:
        try:
            return PayoutItem.get(partition(account), PAYOUT_PREFIX + payout_id, consistent_read=True).to_payout()
        except DoesNotExist:
            return None
        except PynamoDBException as error:
            raise tables.read_failed(error) from error

    def payouts(self, account: str) -> list[Payout]:
        try:
            found = PayoutItem.query(
                partition(account),
                PayoutItem.sk.startswith(PAYOUT_PREFIX),
                consistent_read=True,
            )
            return sorted((each.to_payout() for each in found), key=lambda each: (-each.at, each.id))
        except PynamoDBException as error:
            raise tables.read_failed(error) from error

    def waiting_payouts(self, state: State, until_ms: int, limit: int, after: Payout | None = None) -> list[Payout]:
        try:
            found = PayoutItem.waiting.query(
                _queue(state), PayoutItem.at <= until_ms, limit=limit, last_evaluated_key=_place(after)
            )
            return [each.to_payout() for each in found]
        except PynamoDBException as error:
            raise tables.read_failed(error) from error

    def move(self, after: Payout, note: Entry | None = None) -> None:
        try:
            if note is None:
                payout_item(after).save(follows(after))
                return
            with TransactWrite(connection=storage.connection()) as transaction:
                put(transaction, after, note)
        except PynamoDBException as error:
            raise tables.write_failed(error) from error

    def profile(self, account: str) -> TaxProfile | None:
        try:
            return _profile.decode(ProfileItem.get(partition(account), PROFILE_KEY, consistent_read=True).content)
        except DoesNotExist:
            return None
        except PynamoDBException as error:
            raise tables.read_failed(error) from error

    def keep_profile(self, profile: TaxProfile) -> None:
        try:
            ProfileItem(partition(profile.account), PROFILE_KEY, content=msgspec.json.encode(profile).decode()).save()
        except PynamoDBException as error:
            raise tables.write_failed(error) from error


def payout_item(payout: Payout) -> PayoutItem:
    """The item of a payout."""
    return PayoutItem(
        partition(payout.account),
        PAYOUT_PREFIX + payout.id,
        content=msgspec.json.encode(payout).decode(),
        step=payout.version,
        at=payout.since,
        unsettled_key=_queue(payout.state) if payout.state in OPEN else None,
    )


def put(transaction: TransactWrite, payout: Payout, note: Entry | None) -> None:
    """Put a payout's next version in a transaction, with what the operators' trail says of it."""
    transaction.save(payout_item(payout), condition=follows(payout))
    if note is not None:
        transaction.save(trail.item(note), condition=trail.IS_NEW)


def follows(payout: Payout) -> Any:
    """The condition that what is there is the version before."""
    return PayoutItem.pk.does_not_exist() if payout.version == 1 else PayoutItem.step == payout.version - 1


def from_raw(raw: dict[str, Any]) -> Payout:
    """The payout of an item as a scan gives it."""
    return PayoutItem.from_raw_data(raw).to_payout()


def _place(payout: Payout | None) -> dict[str, Any] | None:
    if payout is None:
        return None
    return {
        "pk": {"S": partition(payout.account)},
        "sk": {"S": PAYOUT_PREFIX + payout.id},
        "unsettled_key": {"S": _queue(payout.state)},
        "at": {"N": str(payout.since)},
    }


def partition(account: str) -> str:
    """The partition of a creator's payouts and tax profile."""
    return f"payouts#{account}"


def _queue(state: State) -> str:
    return f"payouts#{state}"
