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

from functions import clock, ids, settings
from functions.accounts.table import AccountsItem, account_key
from functions.errors import OnairError

DEVICES: Final = "devices"
ENDPOINT: Final = "endpoint"
DEVICES_MAX: Final = 10
ATTEMPTS_MAX: Final = 4
ENDPOINT_LENGTH_MAX: Final = 1_000

# ASCII that is seen, without a backslash.
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
# Base64url of an uncompressed P-256 point (65 bytes) and of 16 bytes, as a browser gives them.
Point = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{87}=?$")]
Secret = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}(==)?$")]


Phone = Literal["ios", "android"]


class Device(Struct, frozen=True):
    """What is told, under a name that the app chose: a browser's push subscription (RFC 8030, RFC 8291), or a phone.

    Of a phone ``endpoint`` is its SNS endpoint (device_push.py), and there are no keys.
    """

    id: str
    endpoint: str
    p256dh: str
    auth: str
    since_ms: int
    kind: Literal["web", "ios", "android"] = "web"


class NewDevice(Struct, frozen=True):
    """What a browser gives of its subscription, or (``token``) what a phone's system gave the app."""

    kind: Literal["web", "ios", "android"]
    endpoint: Annotated[str, Meta(min_length=1, max_length=ENDPOINT_LENGTH_MAX)] | None = None
    p256dh: Point | None = None
    auth: Secret | None = None
    token: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{16,2000}$")] | None = None


class DeviceView(Struct, frozen=True):
    """A device of one's own."""

    id: str
    kind: Literal["web", "ios", "android"]
    since: str


class DevicesView(Struct, frozen=True):
    """One's devices, the key that a browser subscribes with (VAPID, RFC 8292), and which kinds can be told."""

    items: list[DeviceView]
    web_push_key: str
    kinds: list[Literal["web", "ios", "android"]]


class DevicesItem(AccountsItem):
    """``account#{id}`` / ``devices``; ``version`` keeps two that are added at once from losing one."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    devices = UnicodeAttribute()
    version = NumberAttribute()


class EndpointItem(AccountsItem):
    """``endpoint#{digest}`` / ``endpoint``: whose device this is; it tells one account at a time."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    account = UnicodeAttribute()


def decoded(item: DevicesItem | None) -> list[Device]:
    """What an item lists."""
    return [] if item is None else msgspec.json.decode(item.devices, type=list[Device])


def read(account_id: str) -> list[Device]:
    """An account's devices (one read)."""
    return decoded(_item(account_id))


def put(account_id: str, device: Device) -> list[Device]:
    """Add a device, or renew it; beyond `DEVICES_MAX` the one that is longest here makes way. Returns who made way.

    A phone or browser where somebody else signs in tells that account from now on, and no longer the one before.
    """
    before = _owner(device.endpoint)
    if before is not None and before != account_id:
        _change(before, lambda found: [one for one in found if one.endpoint != device.endpoint])
    if before != account_id:
        EndpointItem(_endpoint_key(device.endpoint), ENDPOINT, account=account_id).save()
    # The same subscription under another name would be told twice.
    dropped = _change(
        account_id,
        lambda found: [
            *[one for one in found if one.id != device.id and one.endpoint != device.endpoint][1 - DEVICES_MAX :],
            device,
        ],
    )
    return _forgotten(account_id, [one for one in dropped if one.endpoint != device.endpoint])


def remove(account_id: str, device_id: str) -> list[Device]:
    """Forget a device; again changes nothing. Returns it, if it was there."""
    return _forgotten(account_id, _change(account_id, lambda found: [one for one in found if one.id != device_id]))


def _forgotten(account_id: str, dropped: list[Device]) -> list[Device]:
    for one in dropped:
        if _owner(one.endpoint) == account_id:
            EndpointItem(_endpoint_key(one.endpoint), ENDPOINT).delete()
    return dropped


def _owner(endpoint: str) -> str | None:
    try:
        return EndpointItem.get(_endpoint_key(endpoint), ENDPOINT, consistent_read=True).account
    except DoesNotExist:
        return None


def _endpoint_key(endpoint: str) -> str:
    # An address is longer than a key should be, and nobody needs to read it there.
    return f"endpoint#{ids.derived('endpoint', endpoint)}"


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


def _change(account_id: str, changed: Callable[[list[Device]], Sequence[Device]]) -> list[Device]:
    for _ in range(ATTEMPTS_MAX):
        item = _item(account_id)
        before = decoded(item)
        after = list(changed(before))
        if after == before:
            return []
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
        return [one for one in before if one.id not in {kept.id for kept in after}]
    raise OnairError("conflict")


def views(found: Sequence[Device]) -> list[DeviceView]:
    """Devices as their account sees them."""
    return [DeviceView(one.id, one.kind, clock.rfc3339(one.since_ms)) for one in found]
