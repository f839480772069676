"""The Ledger table: wallets, transfers and receipts as PynamoDB items, and `StoredLedger`, the ledger in DynamoDB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError, PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection, LocalSecondaryIndex
from pynamodb.transactions import TransactWrite

from functions import storage
from functions.rooms import table as rooms_table
from functions.wallet import ledger, payout_table, tables
from functions.wallet.ledger import Claim, Posting, Receipt, TakenError
from functions.wallet.model import Details, GiftDetails, PastTransfer, Transfer, Wallet
from functions.wallet.payout_rules import Payout
from functions.wallet.tables import error_code, read_failed, write_failed

WALLET_KEY: Final = "wallet"
RECEIPT_KEY: Final = "receipt"


class WalletItem(storage.StoredItem):
    """``wallet#{account}`` / ``wallet``.

    The chain's length is ``head_version``: an attribute named ``version`` would put the wallet into the index of its
    own transfers.
    """

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default=WALLET_KEY)
    coins = NumberAttribute()
    diamonds = NumberAttribute()
    carried_milli = NumberAttribute()
    head_version = NumberAttribute()
    head_hash = UnicodeAttribute()
    head_at = NumberAttribute()
    frozen = BooleanAttribute(default=False)
    combo = UnicodeAttribute(null=True)
    combo_count = NumberAttribute(null=True)
    spent_day = NumberAttribute(null=True)
    spent = NumberAttribute(null=True)
    limit = NumberAttribute(null=True)
    limit_next = NumberAttribute(null=True)
    limit_from = NumberAttribute(null=True)

    def to_wallet(self) -> Wallet:
        return Wallet(
            account=_account(self.pk),
            coins=int(self.coins),
            diamonds=int(self.diamonds),
            carried_milli=int(self.carried_milli),
            version=int(self.head_version),
            hash=self.head_hash,
            at=int(self.head_at),
            frozen=bool(self.frozen),
            combo=self.combo or "",
            combo_count=int(self.combo_count or 0),
            spent_day=int(self.spent_day or 0),
            spent=int(self.spent or 0),
            limit=_optional(self.limit),
            limit_next=_optional(self.limit_next),
            limit_from=int(self.limit_from or 0),
        )


class ByVersion(LocalSecondaryIndex["TransferItem"]):
    """A wallet's transfers in their order, without what settlement changes: it would write each entry again."""

    class Meta:
        index_name = "by_version"
        projection = IncludeProjection(list(tables.STATEMENT_ATTRIBUTES))

    pk = UnicodeAttribute(hash_key=True)
    version = NumberAttribute(range_key=True)


class Unsettled(GlobalSecondaryIndex["TransferItem"]):
    """Gifts that wait for settlement; an item leaves it when ``unsettled_key`` is removed."""

    class Meta:
        index_name = "unsettled"
        projection = AllProjection()

    unsettled_key = UnicodeAttribute(hash_key=True)
    at = NumberAttribute(range_key=True)


class TransferItem(storage.StoredItem):
    """``wallet#{account}`` / the transfer's id. Only ``unsettled_key`` and ``settlement`` ever change, once."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    version = NumberAttribute()
    at = NumberAttribute()
    debit = UnicodeAttribute()
    credit = UnicodeAttribute()
    unit = UnicodeAttribute()
    amount = NumberAttribute()
    reason = UnicodeAttribute()
    reference = UnicodeAttribute()
    balance_after = NumberAttribute()
    previous_hash = UnicodeAttribute()
    details = UnicodeAttribute()
    hash = UnicodeAttribute()
    unsettled_key = UnicodeAttribute(null=True)
    settlement = UnicodeAttribute(null=True)
    by_version = ByVersion()
    unsettled = Unsettled()

    def to_transfer(self) -> Transfer:
        unit: Any = self.unit
        reason: Any = self.reason
        return Transfer(
            id=self.sk,
            account=_account(self.pk),
            version=int(self.version),
            at=int(self.at),
            debit=self.debit,
            credit=self.credit,
            unit=unit,
            amount=int(self.amount),
            reason=reason,
            reference=self.reference,
            balance_after=int(self.balance_after),
            previous_hash=self.previous_hash,
            details=_details.decode(self.details),
            hash=self.hash,
        )

    def to_past_transfer(self) -> PastTransfer:
        return PastTransfer(self.to_transfer(), self.settlement)


class ReceiptItem(storage.StoredItem):
    """``receipt#{provider}#{id}`` / ``receipt``: exists once, whoever brings the receipt."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting = tables.SETTING
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True, default=RECEIPT_KEY)
    account = UnicodeAttribute()
    pack = UnicodeAttribute()
    transfer = UnicodeAttribute()
    claims = UnicodeAttribute(null=True)
    clawed = NumberAttribute(default=0)
    revision = NumberAttribute(default=0)
    fingerprint = UnicodeAttribute(null=True)

    def to_receipt(self) -> Receipt:
        _, provider, receipt_id = self.pk.split("#", 2)
        return Receipt(
            provider,
            receipt_id,
            self.account,
            self.pack,
            self.transfer,
            claims=_claims.decode(self.claims) if self.claims else (),
            clawed=int(self.clawed or 0),
            revision=int(self.revision or 0),
            fingerprint=self.fingerprint or "",
        )


_details = msgspec.json.Decoder(Details)
_claims = msgspec.json.Decoder(tuple[Claim, ...])


class StoredLedger(payout_table.StoredPayouts):
    """The ledger, with its payouts, in the table that the setting ``LEDGER_TABLE`` names."""

    def wallet(self, account: str) -> Wallet | None:
        try:
            return WalletItem.get(wallet_key(account), WALLET_KEY, consistent_read=True).to_wallet()
        except DoesNotExist:
            return None
        except PynamoDBException as error:
            raise read_failed(error) from error

    def transfer(self, account: str, transfer_id: str) -> PastTransfer | None:
        try:
            return TransferItem.get(wallet_key(account), transfer_id, consistent_read=True).to_past_transfer()
        except DoesNotExist:
            return None
        except PynamoDBException as error:
            raise read_failed(error) from error

    def receipt(self, provider: str, receipt_id: str) -> Receipt | None:
        try:
            return ReceiptItem.get(receipt_key(provider, receipt_id), RECEIPT_KEY, consistent_read=True).to_receipt()
        except DoesNotExist:
            return None
        except PynamoDBException as error:
            raise read_failed(error) from error

    def statement(self, account: str, newest: int | None, limit: int) -> list[Transfer]:
        condition = None if newest is None else TransferItem.version <= newest
        try:
            found = TransferItem.by_version.query(
                wallet_key(account), condition, consistent_read=True, scan_index_forward=False, limit=limit
            )
            return [each.to_transfer() for each in found]
        except PynamoDBException as error:
            raise read_failed(error) from error

    def unsettled(self, creator: str, limit: int) -> list[Transfer]:
        found: list[Transfer] = []
        try:
            for key in ledger.unsettled_keys(creator):
                if len(found) < limit:
                    found += [
                        each.to_transfer() for each in TransferItem.unsettled.query(key, limit=limit - len(found))
                    ]
        except PynamoDBException as error:
            raise read_failed(error) from error
        return found

    def unsettled_creators(self, before_ms: int, gifts_max: int) -> set[str]:
        """Creators with a gift from before ``before_ms`` that waits, among the first ``gifts_max`` of the index."""
        try:
            found = TransferItem.unsettled.scan(limit=gifts_max, attributes_to_get=["unsettled_key", "at"])
            old = [
                each.unsettled_key
                for each in found
                if each.unsettled_key.startswith(ledger.UNSETTLED_PREFIX) and each.at < before_ms
            ]
            return {ledger.creator_of(key) for key in old}
        except PynamoDBException as error:
            raise read_failed(error) from error

    def keep(self, receipt: Receipt) -> None:
        try:
            receipt_item(receipt).save(condition=_next_revision(receipt))
        except PutError as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise TakenError(str(error)) from error
            raise read_failed(error) from error

    def write(self, posting: Posting) -> None:
        try:
            with TransactWrite(connection=storage.connection()) as transaction:
                transaction.save(transfer_item(posting), condition=TransferItem.pk.does_not_exist())
                if posting.event is not None and posting.stream is not None:
                    given = posting.transfer.details
                    owed = given.share_milli if isinstance(given, GiftDetails) else None
                    transaction.save(rooms_table.inbox_put(posting.stream, posting.event, owed))
                for receipt in (posting.receipt, posting.request):
                    if receipt is not None:
                        transaction.save(receipt_item(receipt), condition=_next_revision(receipt))
                if posting.payout is not None:
                    payout_table.put(transaction, posting.payout, posting.note)
                settled: Action = TransferItem.unsettled_key.remove()
                for gift in posting.settles:
                    transaction.update(
                        TransferItem(wallet_key(gift.account), gift.id),
                        actions=[settled, TransferItem.settlement.set(posting.transfer.id)],
                        condition=TransferItem.unsettled_key.exists(),
                    )
                _put_wallet(transaction, posting.before, posting.after)
        except TransactWriteError as error:
            raise write_failed(error) from error

    def records(self, segment: int, segments: int) -> Iterator[Record]:
        """Every item of one scan segment, for the audit; each is strongly consistent, all together are no snapshot."""
        page: dict[str, Any] | None = None
        table = TransferItem._get_connection()
        while True:
            answer = table.scan(
                segment=segment, total_segments=segments, exclusive_start_key=page, consistent_read=True
            )
            for raw in answer["Items"]:
                record = _record(raw)
                if record is not None:
                    yield record
            page = answer.get("LastEvaluatedKey")
            if page is None:
                return


Record = Wallet | PastTransfer | Receipt | Payout


def _record(raw: dict[str, Any]) -> Record | None:
    """What an item of the table is; None for what is derived and proves nothing (boards, profiles, requests)."""
    pk, sk = raw["pk"]["S"], raw["sk"]["S"]
    if pk.startswith("wallet#"):
        if sk == WALLET_KEY:
            return WalletItem.from_raw_data(raw).to_wallet()
        return TransferItem.from_raw_data(raw).to_past_transfer()
    if pk.startswith("receipt#") and sk == RECEIPT_KEY:
        return ReceiptItem.from_raw_data(raw).to_receipt()
    if pk.startswith("payouts#") and sk.startswith(payout_table.PAYOUT_PREFIX):
        return payout_table.from_raw(raw)
    return None


def wallet_key(account: str) -> str:
    """The partition of a wallet and its transfers."""
    return f"wallet#{account}"


def receipt_key(provider: str, receipt_id: str) -> str:
    """The partition of a receipt."""
    return f"receipt#{provider}#{receipt_id}"


def transfer_item(posting: Posting) -> TransferItem:
    """The item of a posting's transfer."""
    each = posting.transfer
    return TransferItem(
        wallet_key(each.account),
        each.id,
        version=each.version,
        at=each.at,
        debit=each.debit,
        credit=each.credit,
        unit=each.unit,
        amount=each.amount,
        reason=each.reason,
        reference=each.reference,
        balance_after=each.balance_after,
        previous_hash=each.previous_hash,
        details=msgspec.json.encode(each.details).decode(),
        hash=each.hash,
        unsettled_key=posting.unsettled_key,
    )


def receipt_item(receipt: Receipt) -> ReceiptItem:
    """The item of a receipt."""
    return ReceiptItem(
        receipt_key(receipt.provider, receipt.id),
        RECEIPT_KEY,
        account=receipt.account,
        pack=receipt.pack,
        transfer=receipt.transfer,
        claims=msgspec.json.encode(receipt.claims).decode() if receipt.claims else None,
        clawed=receipt.clawed,
        revision=receipt.revision,
        fingerprint=receipt.fingerprint or None,
    )


def _next_revision(receipt: Receipt) -> Condition:
    if receipt.revision == 0:
        return ReceiptItem.pk.does_not_exist()
    known = ReceiptItem.revision == receipt.revision - 1
    if receipt.revision == 1:  # receipts from before there were revisions have none
        known = known | (ReceiptItem.pk.exists() & ReceiptItem.revision.does_not_exist())
    return known


def _put_wallet(transaction: TransactWrite, before: Wallet | None, after: Wallet) -> None:
    # An update of what a posting moves, not a put of the whole item: attributes that a newer deployment added survive.
    item = WalletItem(wallet_key(after.account), WALLET_KEY)
    actions: list[Action] = [
        WalletItem.coins.set(after.coins),
        WalletItem.diamonds.set(after.diamonds),
        WalletItem.carried_milli.set(after.carried_milli),
        WalletItem.head_version.set(after.version),
        WalletItem.head_hash.set(after.hash),
        WalletItem.head_at.set(after.at),
    ]
    if before is None or before.frozen != after.frozen:
        actions.append(WalletItem.frozen.set(after.frozen))
    if before is None or (before.combo, before.combo_count) != (after.combo, after.combo_count):
        actions += [WalletItem.combo.set(after.combo), WalletItem.combo_count.set(after.combo_count)]
    if before is None or (before.spent_day, before.spent) != (after.spent_day, after.spent):
        actions += [WalletItem.spent_day.set(after.spent_day), WalletItem.spent.set(after.spent)]
    if _limit(before) != _limit(after):
        for attribute, value in zip((WalletItem.limit, WalletItem.limit_next), _limit(after)[:2], strict=True):
            actions.append(attribute.remove() if value is None else attribute.set(value))
        actions.append(WalletItem.limit_from.set(after.limit_from))
    if before is None:
        condition = WalletItem.pk.does_not_exist()
    else:
        # The hash says that it is the same chain, whatever table this is after a restore; the version says how long.
        same_chain = (WalletItem.head_version == before.version) & (WalletItem.head_hash == before.hash)
        condition = same_chain & (WalletItem.frozen == before.frozen)
    transaction.update(item, actions=actions, condition=condition)


def _limit(wallet: Wallet | None) -> tuple[int | None, int | None, int]:
    return (None, None, 0) if wallet is None else (wallet.limit, wallet.limit_next, wallet.limit_from)


def _optional(number: float | None) -> int | None:
    return None if number is None else int(number)


def _account(pk: str) -> str:
    return pk.removeprefix("wallet#")
