"""The Accounts table: profiles and handles. Follows, blocks and what else an account has lie beside (follows.py, …)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Final, cast

import msgspec
from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts import standing
from functions.accounts.model import Account, Standing
from functions.errors import OnairError

PROFILE: Final = "profile"
# Counts of follows (follows.py). Their keys begin as the profile's, so that one Query reads an account with its counts.
FOLLOWERS_COUNT: Final = "profile#followers#"
FOLLOWING_COUNT: Final = "profile#following"
HANDLE: Final = "handle"
SIGN_UP: Final = "sign_up"
# Idempotency keys of sign-ups are kept this long (protocol: 24 hours).
SIGN_UP_KEPT_S: Final = 24 * 3600


class AccountsItem(storage.StoredItem):
    """Anything in the Accounts table, by its key."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class ProfileItem(AccountsItem):
    """``account#{id}`` / ``profile``, and the counts beside it, which have ``followers`` or ``following`` alone.

    ``followers`` and ``following`` of the profile itself are what an account brought along; follows never change them.
    """

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    handle = UnicodeAttribute()
    display_name = UnicodeAttribute()
    birth_date = UnicodeAttribute()
    market = UnicodeAttribute()
    created_ms = NumberAttribute()
    followers = NumberAttribute(default=0)
    following = NumberAttribute(default=0)
    badges = JSONAttribute(null=True)
    avatar_url = UnicodeAttribute(null=True)
    live_stream = UnicodeAttribute(null=True)
    contact = UnicodeAttribute(null=True)
    contact_verified = BooleanAttribute(default=False)
    # Absent while the account never chose: then its age decides (model.is_private).
    private = BooleanAttribute(null=True)
    # Someone blocked someone: only then is it worth a read to ask whom.
    has_blocks = BooleanAttribute(default=False)
    totp = BooleanAttribute(default=False)
    # Since when this account is being erased; for everyone it is gone.
    erased_ms = NumberAttribute(null=True)
    # Of a count: how often it changed.
    changes = NumberAttribute(null=True)
    followers_counted = NumberAttribute(default=0)
    live_access_until = NumberAttribute(null=True)
    standing = UnicodeAttribute(default="good")
    # The standing from now on, as [from when, what] one after another: it changes in time without a write.
    standing_steps = JSONAttribute(null=True)
    # Entries of the record so far: a new one names the number that it follows.
    record_version = NumberAttribute(default=0)


# That an account is there, and is not being erased.
PRESENT: Final = ProfileItem.handle.exists() & ProfileItem.erased_ms.does_not_exist()


class HandleItem(AccountsItem):
    """``handle#{handle}`` / ``handle``: whose it is."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    account = UnicodeAttribute()


class SignUpItem(AccountsItem):
    """``sign_up#{key}`` / ``sign_up``: what was signed up under an Idempotency-Key."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    fingerprint = UnicodeAttribute()
    expires_at = NumberAttribute()


def account_key(account_id: str) -> str:
    """Partition of one account."""
    return f"account#{account_id}"


def create(account: Account, sign_up_key: str | None, fingerprint: str) -> None:
    """Store a new account with its handle (and its Idempotency-Key) at once; raises ``conflict`` when one exists."""
    profile = ProfileItem(
        account_key(account.id),
        PROFILE,
        handle=account.handle,
        display_name=account.display_name,
        birth_date=account.birth_date.isoformat(),
        market=account.market,
        created_ms=account.created_ms,
        contact=account.contact,
    )

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            batch.save(profile, condition=ProfileItem.pk.does_not_exist())
            batch.save(
                HandleItem(f"handle#{account.handle}", HANDLE, account=account.id),
                condition=HandleItem.pk.does_not_exist() | (HandleItem.account == account.id),
            )
            if sign_up_key is not None:
                expires_at = clock.now_ms() // 1000 + SIGN_UP_KEPT_S
                batch.save(
                    SignUpItem(f"sign_up#{sign_up_key}", SIGN_UP, fingerprint=fingerprint, expires_at=expires_at)
                )

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        raise OnairError("conflict", "This handle is taken. Choose another.", field="handle") from None


def sign_up_fingerprint(sign_up_key: str) -> str | None:
    """What was signed up under this key in the last 24 hours, or None."""
    try:
        item = SignUpItem.get(f"sign_up#{sign_up_key}", SIGN_UP, consistent_read=True)
    except DoesNotExist:
        return None
    # DynamoDB deletes expired items within days, not at once.
    return item.fingerprint if item.expires_at > clock.now_ms() // 1000 else None


def read(account_id: str) -> Account | None:
    """One account with its counts, as of now (one call)."""
    rows = ProfileItem.query(account_key(account_id), ProfileItem.sk.startswith(PROFILE), consistent_read=True)
    return counted(list(rows))


def read_profile(account_id: str) -> Account | None:
    """One account without its counts of follows, as of now (one read)."""
    try:
        return counted([ProfileItem.get(account_key(account_id), PROFILE, consistent_read=True)])
    except DoesNotExist:
        return None


def counted(rows: Sequence[ProfileItem]) -> Account | None:
    """The account of a profile and its counts; None without a profile, and for one that is being erased."""
    profile = next((row for row in rows if row.sk == PROFILE), None)
    if profile is None or profile.erased_ms:
        return None
    return msgspec.structs.replace(
        account_of(profile),
        followers=max(0, sum(int(row.followers) for row in rows)),
        following=max(0, sum(int(row.following) for row in rows)),
    )


def required(account_id: str) -> Account:
    """The account of a verified token; ``unauthenticated`` when it is gone."""
    found = read(account_id)
    if found is None:
        raise OnairError("unauthenticated")
    return found


def read_many(account_ids: Sequence[str]) -> dict[str, Account]:
    """Accounts by id (at most 100), without their counts of follows; those that are gone are absent."""
    keys = [(account_key(account_id), PROFILE) for account_id in account_ids]
    found = [account_of(item) for item in ProfileItem.batch_get(keys) if not item.erased_ms]
    return {account.id: account for account in found}


def read_counted(account_ids: Sequence[str], counts: Sequence[str]) -> dict[str, Account]:
    """Accounts by id with the ``counts`` of each (their sort keys); a call for each hundred items."""
    rows: dict[str, list[ProfileItem]] = {}
    for item in ProfileItem.batch_get(
        [(account_key(account_id), key) for account_id in account_ids for key in (PROFILE, *counts)]
    ):
        rows.setdefault(item.pk, []).append(item)
    found = [counted(those) for those in rows.values()]
    return {account.id: account for account in found if account is not None}


def id_of(handle: str) -> str | None:
    """Whose handle this is."""
    try:
        return HandleItem.get(f"handle#{handle}", HANDLE, consistent_read=True).account
    except DoesNotExist:
        return None


def by_handle(handle: str) -> Account:
    """The account of a handle; ``not_found`` when nobody has it."""
    account_id = id_of(handle)
    found = read(account_id) if account_id is not None else None
    if found is None:
        raise OnairError("not_found")
    return found


def change(account_id: str, actions: Sequence[Action]) -> Account:
    """Change an account that is there, and read it again; ``unauthenticated`` where it is gone."""
    try:
        ProfileItem(account_key(account_id), PROFILE).update(list(actions), condition=PRESENT)
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            raise OnairError("unauthenticated") from None
        raise
    return required(account_id)


def same_record(account: Account) -> Condition:
    """The condition that an account is there and that its record has not changed since it was read."""
    unchanged: Condition = ProfileItem.record_version == account.record_version
    if account.record_version == 0:
        unchanged = ProfileItem.record_version.does_not_exist() | unchanged
    return PRESENT & unchanged


def account_of(item: ProfileItem) -> Account:
    """The account in a profile, its standing as of now."""
    stored = cast("list[tuple[int, Standing]]", item.standing_steps or [(0, item.standing)])
    steps: list[tuple[int, Standing]] = [(int(from_ms), what) for from_ms, what in stored]
    now, until_ms = standing.at(steps, clock.now_ms())
    return Account(
        id=item.pk.removeprefix("account#"),
        handle=item.handle,
        display_name=item.display_name,
        birth_date=date.fromisoformat(item.birth_date),
        market=item.market,
        standing=now,
        created_ms=int(item.created_ms),
        followers=int(item.followers),
        following=int(item.following),
        badges=tuple(item.badges or ()),
        avatar_url=item.avatar_url,
        live_stream=item.live_stream,
        contact=item.contact,
        contact_verified=bool(item.contact_verified),
        private=item.private,
        totp=bool(item.totp),
        has_blocks=bool(item.has_blocks),
        followers_counted=int(item.followers_counted),
        live_access_until_ms=int(item.live_access_until or 0),
        standing_until_ms=until_ms,
        record_version=int(item.record_version),
    )
