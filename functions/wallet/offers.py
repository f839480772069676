"""Who sells coins on this deployment: each provider made from its secret alone, or the reason why it is not offered."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final, Literal

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import UNSET, Struct, UnsetType

from functions import aws, observe, settings
from functions.errors import OnairError
from functions.wallet.model import CoinPack
from functions.wallet.provider import Provider

# Which variable names the secret of each provider; without it the provider is not configured.
SECRETS: Final = {"apple": "APPLE_SECRET_ARN", "google": "GOOGLE_SECRET_ARN", "stripe": "STRIPE_SECRET_ARN"}
SANDBOX: Final = "sandbox"

Why = Literal["not_configured", "misconfigured", "unavailable"]


class Offer(Struct, frozen=True):
    """A way to buy coins; ``why`` tells what is missing where it is not offered."""

    id: str
    offered: bool
    why: Why | UnsetType = UNSET


class SandboxProvider(Provider):
    """Takes any fresh text as proof: for the local stack and for stages where nobody pays."""

    name = SANDBOX

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:  # noqa: ARG002 -- the port's shape
        return hashlib.sha256(proof.encode()).hexdigest()[:40]


class NotOfferedError(Exception):
    """A provider cannot be used here, and why."""

    def __init__(self, why: Why) -> None:
        self.why: Why = why
        super().__init__(why)


def provider(name: str) -> Provider | None:
    """The provider of this name, or None where it is not offered; raises ``unavailable`` if that cannot be told."""
    try:
        return _provider(name)
    except NotOfferedError as error:
        if error.why == "unavailable":
            raise OnairError("unavailable") from error
        return None


def offers() -> list[Offer]:
    """Every provider there is, and whether it can be used."""
    found: list[Offer] = []
    for name in (*SECRETS, SANDBOX):
        try:
            _provider(name)
        except NotOfferedError as error:
            found.append(Offer(name, False, error.why))
        else:
            found.append(Offer(name, True))
    return found


def forget() -> None:
    """Drop the providers that were made (tests, and a local stack that is replaced)."""
    _made.cache_clear()


def _provider(name: str) -> Provider:
    if name == SANDBOX and settings.flag("SANDBOX_PURCHASES"):
        return SandboxProvider()
    secret = settings.optional(SECRETS[name], "") if name in SECRETS else ""
    if not secret:
        raise NotOfferedError("not_configured")
    return _made(name, secret)


@lru_cache(maxsize=8)  # what raises is not kept: it is tried again by the next request
def _made(name: str, secret: str) -> Provider:
    return _make(name, _read(name, secret))


def _read(name: str, secret: str) -> str:
    try:
        return str(aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        observe.logger.error("secret unreadable", provider=name, code=code)
        # A secret that is not there, or not ours to read, stays so until somebody changes the deployment.
        lasting = code in ("ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException")
        raise NotOfferedError("misconfigured" if lasting else "unavailable") from error
    except BotoCoreError as error:
        observe.logger.error("secret unreadable", provider=name, code=type(error).__name__)
        raise NotOfferedError("unavailable") from error


def _make(name: str, secret: str) -> Provider:
    # Each provider brings its library, which takes as long to import as all else together: only when it is used.
    try:
        if name == "apple":
            from functions.wallet.app_store import AppStoreProvider, AppStoreSettings

            return AppStoreProvider(msgspec.json.decode(secret, type=AppStoreSettings))
        if name == "google":
            from functions.wallet.google_play import GooglePlayProvider, GooglePlaySettings

            return GooglePlayProvider(msgspec.json.decode(secret, type=GooglePlaySettings))
        from functions.wallet.stripe_checkout import StripeProvider, StripeSettings

        return StripeProvider(msgspec.json.decode(secret, type=StripeSettings))
    except ValueError as error:
        # msgspec names the field and its type, never a value; other libraries may not be so careful.
        why = str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__
        observe.logger.error("secret misconfigured", provider=name, why=why)
        raise NotOfferedError("misconfigured") from None
