"""How often something may be tried: counts by person and by network address, kept for one window and then forgotten.

Sign-in counts failures only, so that nobody is kept out by having signed in; sign-up and letters count each attempt.
Addresses are kept as digests, and of IPv6 the network alone (/64: what one household has).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from chalice.app import Request
from msgspec import Struct
from pynamodb.attributes import NumberAttribute

from functions import clock, ids, settings, storage
from functions.accounts.table import AccountsItem
from functions.errors import OnairError

ATTEMPTS: Final = "attempts"
QUARTER_S: Final = 15 * 60
HOUR_S: Final = 3600


class Limit(Struct, frozen=True):
    """At most ``most`` of a ``kind`` of attempt by one ``key`` in a window of ``window_s`` seconds."""

    kind: str
    key: str
    most: int
    window_s: int


class AttemptsItem(AccountsItem):
    """``attempts#{kind}#{digest}#{window}`` / ``attempts``: how many there were in this window."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    made = NumberAttribute(default=0)
    expires_at = NumberAttribute()


def address(request: Request) -> str:
    """The network address that a request came from, as the gateway saw it; empty where it tells none."""
    identity: dict[str, Any] = request.context.get("identity") or {}
    try:
        found = ipaddress.ip_address(str(identity.get("sourceIp")))
    except ValueError:
        return ""
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def sign_in_limits(handle: str, source: str) -> Sequence[Limit]:
    """Failures: 10 of an address at a handle, 50 at a handle from anywhere, and of an address at all, in 15 minutes.

    The second is far above the first, so that one address cannot keep the owner of a handle out.
    """
    return (
        Limit("sign_in", f"{handle}@{source}", 10, QUARTER_S),
        Limit("sign_in_handle", handle, 50, QUARTER_S),
        Limit("sign_in_address", source, settings.integer("SIGN_IN_FAILURES_MAX", 100), QUARTER_S),
    )


def sign_up_limits(source: str) -> Sequence[Limit]:
    """New accounts of one address in an hour."""
    return (Limit("sign_up", source, settings.integer("SIGN_UPS_MAX", 20), HOUR_S),)


def letter_limits(kind: str, person: str, source: str) -> Sequence[Limit]:
    """Codes sent: 3 an hour for a person (a handle, a contact), 20 an hour for an address."""
    return (
        Limit(kind, person, 3, HOUR_S),
        Limit("letters", source, settings.integer("SIGN_UPS_MAX", 20), HOUR_S),
    )


def take(limits: Sequence[Limit]) -> None:
    """Count an attempt against each limit; ``rate_limited`` beyond any."""
    now_s = clock.now_ms() // 1000
    for limit in limits:
        if _add(limit, now_s) > limit.most:
            raise _refused(limit, now_s)


def check(limits: Sequence[Limit]) -> None:
    """``rate_limited`` where a limit is reached, without counting (one read)."""
    now_s = clock.now_ms() // 1000
    found = storage.read_across([(AttemptsItem, _key(limit, now_s), ATTEMPTS) for limit in limits])
    for limit, item in zip(limits, found, strict=True):
        if isinstance(item, AttemptsItem) and item.made >= limit.most:
            raise _refused(limit, now_s)


def count(limits: Sequence[Limit]) -> None:
    """Count a failure against each limit."""
    now_s = clock.now_ms() // 1000
    for limit in limits:
        _add(limit, now_s)


def _add(limit: Limit, now_s: int) -> int:
    item = AttemptsItem(_key(limit, now_s), ATTEMPTS)
    item.update([AttemptsItem.made.add(1), AttemptsItem.expires_at.set(_end(limit, now_s) + HOUR_S)])
    return int(item.made)


def _key(limit: Limit, now_s: int) -> str:
    return f"{ATTEMPTS}#{limit.kind}#{ids.derived(limit.key)}#{now_s // limit.window_s}"


def _end(limit: Limit, now_s: int) -> int:
    return (now_s // limit.window_s + 1) * limit.window_s


def _refused(limit: Limit, now_s: int) -> OnairError:
    return OnairError("rate_limited", retry_after_ms=(_end(limit, now_s) - now_s) * 1000)
