"""The Accounts table: profiles, handles, follows. Every write is conditional, and counts move with what they count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar, Final, Literal, cast

from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from functions import clock, storage, transaction
from functions.accounts.model import FOLLOWING_MAX, Account, Standing
from functions.errors import OnairError

PROFILE: Final = "profile"
HANDLE: Final = "handle"
SIGN_UP: Final = "sign_up"
# Idempotency keys of sign-ups are kept this long (protocol: 24 hours).
SIGN_UP_KEPT_S: Final = 24 * 3600

Side = Literal["follows", "follower"]


class AccountsItem(storage.StoredItem):
    """Anything in the Accounts table, by its key."""

    class Meta(storage.StoredItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class ProfileItem(AccountsItem):
    """``account#{id}`` / ``profile``."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    handle = UnicodeAttribute()
    display_name = UnicodeAttribute()
    birth_date = UnicodeAttribute()
    market = UnicodeAttribute()
    standing = UnicodeAttribute()
    created_ms = NumberAttribute()
    followers = NumberAttribute(default=0)
    following = NumberAttribute(default=0)
    badges = JSONAttribute(null=True)
    avatar_url = UnicodeAttribute(null=True)
    live_stream = UnicodeAttribute(null=True)
    contact = UnicodeAttribute(null=True)
    contact_verified = BooleanAttribute(default=False)


class HandleItem(AccountsItem):
    """``handle#{handle}`` / ``handle``: whose it is."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    account = UnicodeAttribute()


class FollowItem(AccountsItem):
    """``account#{id}`` / ``follows#{other}`` and ``follower#{other}``: one follow, seen from both sides."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    at_ms = NumberAttribute()


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
        standing=account.standing,
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
    """One account, as of now."""
    try:
        return _account(ProfileItem.get(account_key(account_id), PROFILE, consistent_read=True))
    except DoesNotExist:
        return None


def required(account_id: str) -> Account:
    """The account of a verified token; ``unauthenticated`` when it is gone."""
    found = read(account_id)
    if found is None:
        raise OnairError("unauthenticated")
    return found


def read_many(account_ids: Sequence[str]) -> dict[str, Account]:
    """Accounts by id (at most 100); those that are gone are absent."""
    keys = [(account_key(account_id), PROFILE) for account_id in account_ids]
    found = [_account(item) for item in ProfileItem.batch_get(keys)]
    return {account.id: account for account in found}


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


def rename(account_id: str, display_name: str) -> Account:
    """Give an account another display name."""
    item = ProfileItem(account_key(account_id), PROFILE)
    try:
        item.update([ProfileItem.display_name.set(display_name)], condition=ProfileItem.pk.exists())
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            raise OnairError("unauthenticated") from None
        raise
    return _account(item)


def follow(follower_id: str, followed_id: str) -> bool:
    """Follow; True when that is new. Both entries and both counts move in one transaction.

    Raises
    ------
    OnairError
        ``not_found`` when the other account is gone, ``conflict`` beyond `FOLLOWING_MAX`.
    """
    at_ms = clock.now_ms()

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for entry in _entries(follower_id, followed_id, at_ms):
                batch.save(entry, condition=FollowItem.pk.does_not_exist())
            _count(batch, follower_id, [ProfileItem.following.add(1)], ProfileItem.following < FOLLOWING_MAX)
            _count(batch, followed_id, [ProfileItem.followers.add(1)], ProfileItem.pk.exists())

    try:
        transaction.commit(write)
    except transaction.ConditionError as error:
        # Order of the request: two entries, then the two counts.
        if 0 in error.failed or 1 in error.failed:
            return False
        if 3 in error.failed:
            raise OnairError("not_found") from None
        raise OnairError("conflict", f"An account follows at most {FOLLOWING_MAX} others.") from None
    return True


def unfollow(follower_id: str, followed_id: str) -> bool:
    """Follow no more; True when there was something to undo."""

    def write() -> None:
        with TransactWrite(connection=storage.connection()) as batch:
            for entry in _entries(follower_id, followed_id, 0):
                batch.delete(entry, condition=FollowItem.pk.exists())
            _count(batch, follower_id, [ProfileItem.following.add(-1)], ProfileItem.pk.exists())
            _count(batch, followed_id, [ProfileItem.followers.add(-1)], ProfileItem.pk.exists())

    try:
        transaction.commit(write)
    except transaction.ConditionError:
        return False
    return True


def follows(follower_id: str, followed_id: str) -> bool:
    """Does the first follow the second?"""
    try:
        FollowItem.get(account_key(follower_id), f"follows#{followed_id}", consistent_read=True)
    except DoesNotExist:
        return False
    return True


def list_follows(account_id: str, side: Side, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Ids of those whom the account ``follows`` (or its ``follower`` side), and the id to go on after, if any."""
    prefix = f"{side}#"
    last = {"pk": {"S": account_key(account_id)}, "sk": {"S": prefix + after}} if after is not None else None
    found = FollowItem.query(
        account_key(account_id),
        FollowItem.sk.startswith(prefix),
        limit=limit,
        page_size=limit,
        last_evaluated_key=cast(Any, last),
    )
    ids = [item.sk.removeprefix(prefix) for item in found]
    return ids, ids[-1] if found.last_evaluated_key and ids else None


def _entries(follower_id: str, followed_id: str, at_ms: int) -> tuple[FollowItem, FollowItem]:
    return (
        FollowItem(account_key(follower_id), f"follows#{followed_id}", at_ms=at_ms),
        FollowItem(account_key(followed_id), f"follower#{follower_id}", at_ms=at_ms),
    )


def _count(batch: TransactWrite, account_id: str, actions: list[Action], condition: Any) -> None:
    batch.update(ProfileItem(account_key(account_id), PROFILE), actions=actions, condition=condition)


def _account(item: ProfileItem) -> Account:
    return Account(
        id=item.pk.removeprefix("account#"),
        handle=item.handle,
        display_name=item.display_name,
        birth_date=date.fromisoformat(item.birth_date),
        market=item.market,
        standing=cast(Standing, item.standing),
        created_ms=int(item.created_ms),
        followers=int(item.followers),
        following=int(item.following),
        badges=tuple(item.badges or ()),
        avatar_url=item.avatar_url,
        live_stream=item.live_stream,
        contact=item.contact,
        contact_verified=bool(item.contact_verified),
    )
