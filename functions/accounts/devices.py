"""Where an account's pushes go: the browsers and phones that asked for them. One item an account, read with others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist, PutError

from functions import clock, settings
from functions.accounts.table import AccountsItem, account_key
from functions.errors import OnairError

DEVICES: Final = "devices"
DEVICES_MAX: Final = 10
ATTEMPTS_MAX: Final = 4
ENDPOINT_LENGTH_MAX: Final = 1_000

# ASCII that is seen, without a backslash.
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# Base64url of an uncompressed P-256 point (65 bytes) and of 16 bytes, as a browser gives them.
Point = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}=?$")]
Secret = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}(==)?$")]


class Device(Struct, frozen=True):
    """A browser's push subscription (RFC 8030, RFC 8291), under a name that the page chose."""

    id: str
    endpoint: str
    p256dh: str
    auth: str
    since_ms: int


class NewDevice(Struct, frozen=True):
    """What a browser gives of its subscription."""

    kind: Literal["web"]
    endpoint: Annotated[str, Meta(min_length=1, max_length=ENDPOINT_LENGTH_MAX)]
    p256dh: Point
    auth: Secret


class DeviceView(Struct, frozen=True):
    """A device of one's own."""

    id: str
    kind: Literal["web"]
    since: str


class DevicesView(Struct, frozen=True):
    """One's devices, and the key that a browser subscribes with (VAPID, RFC 8292)."""

    items: list[DeviceView]
    web_push_key: str


class DevicesItem(AccountsItem):
    """``account#{id}`` / ``devices``; ``version`` keeps two that are added at once from losing one."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    devices = UnicodeAttribute()
    version = NumberAttribute()


def decoded(item: DevicesItem | None) -> list[Device]:
    """What an item lists."""
    return [] if item is None else msgspec.json.decode(item.devices, type=list[Device])


def read(account_id: str) -> list[Device]:
    """An account's devices (one read)."""
    return decoded(_item(account_id))


def put(account_id: str, device: Device) -> None:
    """Add a device, or renew it; beyond `DEVICES_MAX` the one that is longest here makes way."""
    # The same subscription under another name would be told twice.
    _change(
        account_id,
        lambda found: [
            *[one for one in found if one.id != device.id and one.endpoint != device.endpoint][1 - DEVICES_MAX :],
            device,
        ],
    )


def remove(account_id: str, device_id: str) -> None:
    """Forget a device; again changes nothing."""
    _change(account_id, lambda found: [one for one in found if one.id != device_id])


def allowed(endpoint: str) -> bool:
    """Whether this is the address of a push service that the deployment sends to.

    We post to it from inside: any other address would let a stranger have us call whom he likes.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    # What posts reads addresses by its own rules: to it a host ends at a backslash, to `urlsplit` it does not.
    if not _PLAIN.fullmatch(endpoint) or parts.username is not None or parts.password is not None:
        return False
    for entry in settings.required("PUSH_HOSTS").split(","):
        if "://" in entry:
            # A scheme and a host, at any port: push services of tests on this machine.
            if f"{parts.scheme}://{host}" == entry:
                return True
        elif parts.scheme == "https" and port in (None, 443) and (host == entry or host.endswith(f".{entry}")):
            return True
    return False


def _item(account_id: str) -> DevicesItem | None:
    try:
        return DevicesItem.get(account_key(account_id), DEVICES, consistent_read=True)
    except DoesNotExist:
        return None


def _change(account_id: str, changed: Callable[[list[Device]], Sequence[Device]]) -> None:
    for _ in range(ATTEMPTS_MAX):
        item = _item(account_id)
        before = decoded(item)
        after = list(changed(before))
        if after == before:
            return
        version = int(item.version) if item is not None else 0
        condition = DevicesItem.pk.does_not_exist() if item is None else DevicesItem.version == version
        made = DevicesItem(
            account_key(account_id), DEVICES, devices=msgspec.json.encode(after).decode(), version=version + 1
        )
        try:
            made.save(condition=condition)
        except PutError as error:
            if error.cause_response_code != "ConditionalCheckFailedException":
                raise
            continue
        return
    raise OnairError("conflict")


def views(found: Sequence[Device]) -> list[DeviceView]:
    """Devices as their account sees them."""
    return [DeviceView(one.id, "web", clock.rfc3339(one.since_ms)) for one in found]
