"""Pushes to phones: SNS platform endpoints in front of Apple's and Google's push services, if the operator has them.

An operator makes a platform application each, with the app's own credentials (docs/operate.md), and names its ARN;
without one, phones of that kind are not offered. The token that a phone brings becomes an endpoint; SNS disables it
when the service says that the app is gone, and then it is removed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from functions import aws, settings
from functions.accounts.devices import Device, Phone
from functions.accounts.web_push import KEPT_S, Answer

SETTINGS: Final[Mapping[Phone, str]] = {"ios": "PUSH_APNS_ARN", "android": "PUSH_FCM_ARN"}
# As the developer guide tells to read it: the one answer that names the endpoint which a token has already.
_TAKEN: Final = re.compile(r"Endpoint (arn:\S+) already exists")
_LATER: Final = frozenset({"Throttled", "Throttling", "KMSThrottling", "InternalError", "InternalFailure"})
_GONE: Final = frozenset({"EndpointDisabled", "NotFound"})


def offered() -> list[Literal["web", "ios", "android"]]:
    """Which kinds of devices can be told; browsers always."""
    return ["web", *(kind for kind in SETTINGS if settings.optional(SETTINGS[kind], ""))]


def register(kind: Phone, token: str) -> str | None:
    """The endpoint of a phone's token, enabled (two calls); None where SNS says that this is no token.

    The same token has the same endpoint, also after an app was away and came back.
    """
    sns = aws.client("sns")
    try:
        found = sns.create_platform_endpoint(PlatformApplicationArn=settings.required(SETTINGS[kind]), Token=token)
        arn = str(found["EndpointArn"])
    except ClientError as error:
        taken = _TAKEN.search(str(error))
        if taken is None:
            if _code(error) == "InvalidParameter":
                return None
            raise
        arn = taken[1]
    sns.set_endpoint_attributes(EndpointArn=arn, Attributes={"Token": token, "Enabled": "true"})
    return arn


def discard(device: Device) -> None:
    """Have SNS forget a phone; again changes nothing. A browser's subscription is not SNS's."""
    if device.kind != "web":
        aws.client("sns").delete_endpoint(EndpointArn=device.endpoint)


def send(device: Device, text: bytes) -> Answer:
    """Send one message; what SNS said of it. ``text`` is JSON of a `push.Payload`."""
    try:
        aws.client("sns").publish(
            TargetArn=device.endpoint,
            MessageStructure="json",
            Message=message(device.kind, msgspec.json.decode(text, type=dict[str, str])),
            MessageAttributes={
                f"AWS.SNS.MOBILE.{service}.TTL": {"DataType": "String", "StringValue": str(KEPT_S)}
                for service in _services(device)
            },
        )
    except ClientError as error:
        code = _code(error)
        if code in _GONE:
            return "gone"
        return "later" if code in _LATER or _status(error) >= 500 else "refused"
    except (EndpointConnectionError, ReadTimeoutError):
        return "later"
    return "sent"


def message(kind: str, given: Mapping[str, str]) -> str:
    """What SNS hands on, in the words of each service; what the app needs to open the right screen rides along."""
    about = {name: given[name] for name in ("kind", "stream_id", "url")}
    if kind == "android":
        # FCM's HTTP v1 API, as SNS takes it: values of `data` are text.
        shown = {"title": given["title"], "body": given["body"]}
        google: dict[str, Any] = {"fcmV1Message": {"message": {"notification": shown, "data": about}}}
        services = {"GCM": _json(google)}
    else:
        apple = {"aps": {"alert": {"title": given["title"], "body": given["body"]}, "sound": "default"}, **about}
        # Of the two, SNS takes the one of the endpoint's application.
        services = {"APNS": _json(apple), "APNS_SANDBOX": _json(apple)}
    return _json({"default": given["title"], **services})


def _services(device: Device) -> tuple[str, ...]:
    return ("FCM",) if device.kind == "android" else ("APNS", "APNS_SANDBOX")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "")).removesuffix("Exception")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
