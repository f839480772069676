"""One-time codes of six digits that prove who reads a contact's mail, and the recovery codes of a second step.

A code lives ten minutes and five tries; only its digest is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final, Literal

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import UpdateError

from functions import clock
from functions.accounts.table import AccountsItem, account_key

Purpose = Literal["contact", "reset"]

CODE_PREFIX: Final = "code#"
RECOVERY: Final = "recovery_codes"
LIFETIME_S: Final = 600
TRIES_MAX: Final = 5
RECOVERY_CODES: Final = 8


class CodeItem(AccountsItem):
    """``account#{id}`` / ``code#{purpose}``: the digest of the newest code, what it was sent to, tries so far."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    digest = UnicodeAttribute()
    contact = UnicodeAttribute()
    tries = NumberAttribute(default=0)
    expires_at = NumberAttribute()


class RecoveryItem(AccountsItem):
    """``account#{id}`` / ``recovery_codes``: digests of those that were not used yet."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    digests = UnicodeSetAttribute(null=True)


def issue(account_id: str, purpose: Purpose, contact: str) -> str:
    """A new code; the one before is worth nothing from now on."""
    code = f"{secrets.randbelow(1_000_000):06d}"
    CodeItem(
        account_key(account_id),
        f"{CODE_PREFIX}{purpose}",
        digest=_digest(account_id, purpose, code),
        contact=contact,
        expires_at=clock.now_ms() // 1000 + LIFETIME_S,
    ).save()
    return code


def redeem(account_id: str, purpose: Purpose, code: str) -> str | None:
    """The contact that a right code was sent to, once; None for a wrong, old or used one. Each try counts."""
    item = CodeItem(account_key(account_id), f"{CODE_PREFIX}{purpose}")
    good = (CodeItem.expires_at > clock.now_ms() // 1000) & (
        CodeItem.tries.does_not_exist() | (CodeItem.tries < TRIES_MAX)
    )
    try:
        item.update([CodeItem.tries.add(1)], condition=good)
        if not hmac.compare_digest(item.digest, _digest(account_id, purpose, code)):
            return None
        contact = item.contact
        # Of two who show the same code at once, one finds it unused.
        unused = (CodeItem.expires_at > 0) & (CodeItem.digest == item.digest)
        item.update([CodeItem.expires_at.set(0)], condition=unused)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return None
    return contact


def issue_recovery(account_id: str) -> list[str]:
    """New recovery codes, shown once; those before are worth nothing from now on."""
    made = ["-".join(secrets.token_hex(2) for _ in range(3)) for _ in range(RECOVERY_CODES)]
    digests = {_digest(account_id, RECOVERY, code) for code in made}
    RecoveryItem(account_key(account_id), RECOVERY, digests=digests).save()
    return made


def redeem_recovery(account_id: str, code: str) -> bool:
    """Use a recovery code up; False for a wrong or used one."""
    digest: Any = _digest(account_id, RECOVERY, code.strip().lower())
    try:
        RecoveryItem(account_key(account_id), RECOVERY).update(
            [RecoveryItem.digests.delete({digest})], condition=RecoveryItem.digests.contains(digest)
        )
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _digest(account_id: str, purpose: str, code: str) -> str:
    return hashlib.sha256(f"{account_id}\x1f{purpose}\x1f{code}".encode()).hexdigest()
