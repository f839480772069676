"""HTTPS routes of notices: the inbox, how far it is read, what one wants to hear of, and the devices of pushes."""

from __future__ import annotations

import re
from typing import Final

from chalice.app import Blueprint
from msgspec import UNSET

from functions import clock, messages, parse
from functions.accounts import device_push, devices, notice_choice, notices, web_push
from functions.accounts.devices import Device
from functions.accounts.notice_choice import Preferences
from functions.parse import Page
from functions.security import cognito

routes = Blueprint(__name__)

_DEVICE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@routes.route("/me/notifications", methods=["GET"], authorizer=cognito)
def list_notices() -> notices.Notices:
    """Who named, answered or follows one and who is live, newest first."""
    request = routes.current_request
    me = parse.identity(request)
    page = parse.query(request, Page)
    place = parse.cursor(page.cursor, parts=1)
    language = messages.language(request.headers.get("accept-language"))
    items, after = notices.listed(me.account, place[0] if place else None, page.limit, language)
    return notices.Notices(items, parse.make_cursor(after) if after is not None else UNSET)


@routes.route("/me/notifications", methods=["PUT"], authorizer=cognito)
def read_notices() -> None:
    """Mark notices as read, up to one of them."""
    request = routes.current_request
    notices.mark_read(parse.identity(request).account, parse.body(request, notices.NoticesRead).until)


@routes.route("/me/notifications/preferences", methods=["GET"], authorizer=cognito)
def read_preferences() -> Preferences:
    """What one wants to hear of, kind by kind, and when no push may come."""
    me = parse.identity(routes.current_request)
    return notice_choice.whole(notice_choice.read(me.account), notices.KINDS)


@routes.route("/me/notifications/preferences", methods=["PUT"], authorizer=cognito)
def write_preferences() -> Preferences:
    """Say it anew, all of it; kinds that are not named are told both ways."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, Preferences)
    problem = notice_choice.zone_problem(given.time_zone) if given.time_zone is not None else None
    if problem:
        raise parse.refused("time_zone", problem)
    notice_choice.write(me.account, given)
    return notice_choice.whole(given, notices.KINDS)


@routes.route("/me/devices", methods=["GET"], authorizer=cognito)
def list_devices() -> devices.DevicesView:
    """One's devices that take pushes, and the key that a browser subscribes with."""
    me = parse.identity(routes.current_request)
    return devices.DevicesView(devices.views(devices.read(me.account)), web_push.public_key(), device_push.offered())


@routes.route("/me/devices/{device_id}", methods=["PUT"], authorizer=cognito)
def put_device(device_id: str) -> None:
    """Have pushes sent to a browser or a phone; again renews it. Beyond ten the oldest makes way."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, devices.NewDevice)
    if not _DEVICE_ID.fullmatch(device_id):
        raise parse.refused("device_id", "A device's id has 1 to 64 letters, digits, `-` and `_`.")
    device = _browser(device_id, given) if given.kind == "web" else _phone(device_id, given.kind, given.token)
    for one in devices.put(me.account, device):
        device_push.discard(one)


def _browser(device_id: str, given: devices.NewDevice) -> Device:
    if given.endpoint is None or not devices.allowed(given.endpoint):
        raise parse.refused("endpoint", "This is not the address of a push service that we send to.")
    if given.p256dh is None or not web_push.is_point(given.p256dh):
        raise parse.refused("p256dh", "This is not the key of a browser's subscription.")
    if given.auth is None:
        raise parse.refused("auth", "This is not the key of a browser's subscription.")
    return Device(device_id, given.endpoint, given.p256dh, given.auth, clock.now_ms())


def _phone(device_id: str, kind: devices.Phone, token: str | None) -> Device:
    if kind not in device_push.offered():
        raise parse.refused("kind", "This deployment sends nothing to phones of this kind yet.")
    endpoint = device_push.register(kind, token) if token is not None else None
    if endpoint is None:
        raise parse.refused("token", "This is not the token of a phone's push service.")
    return Device(device_id, endpoint, "", "", clock.now_ms(), kind)


@routes.route("/me/devices/{device_id}", methods=["DELETE"], authorizer=cognito)
def drop_device(device_id: str) -> None:
    """Have none sent there any more; again changes nothing."""
    for one in devices.remove(parse.identity(routes.current_request).account, device_id):
        device_push.discard(one)
