"""Who pays creators on this deployment: made from its secret alone, or the reason why nobody does; and the port to it.

`PayoutProvider` (payouts.py) is what a worker asks; `PayoutDesk` adds what a creator meets on the way to being paid.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from functions import aws, observe, settings
from functions.errors import OnairError
from functions.wallet.payouts import PayoutProvider

SECRET: Final = "PAYOUTS_SECRET_ARN"

Why = Literal["not_configured", "misconfigured", "unavailable"]


class PayeeStatus(Struct, frozen=True):
    """Whether money can be sent to a destination, and what its owner has yet to give (the provider's words)."""

    ready: bool
    needs: tuple[str, ...] = ()


class PayoutDesk(PayoutProvider, Protocol):
    """A provider with its front: accounts for payees. Each may raise ``unavailable`` when the provider fails."""

    def open_account(self, account: str, country: str) -> str:
        """The destination of an account in a country, made on first use and the same ever after.

        Raises ``invalid_request`` naming ``country`` where the provider does not pay there.
        """
        ...

    def onboarding(self, destination: str, back_url: str) -> str:
        """A page of the provider, good once and for minutes, where the payee gives what is needed."""
        ...

    def status(self, destination: str) -> PayeeStatus:
        """As of now."""
        ...


class NobodyPaysError(Exception):
    """Payouts cannot be made here, and why."""

    def __init__(self, why: Why) -> None:
        self.why: Why = why
        super().__init__(why)


_made: dict[str, PayoutDesk] = {}


def forget() -> None:
    """Drop the provider that was made (tests, and a local stack that is replaced)."""
    _made.clear()


def desk() -> PayoutDesk:
    """The provider of this deployment; raises `NobodyPaysError` where there is none."""
    secret = settings.optional(SECRET, "")
    if not secret:
        if not settings.flag("SANDBOX_PURCHASES"):
            raise NobodyPaysError("not_configured")
        from functions.wallet.payout_sandbox import SandboxPayouts

        return SandboxPayouts()
    if secret not in _made:
        _made[secret] = _make(_read(secret))
    return _made[secret]


def required() -> PayoutDesk:
    """As `desk`, for a person: ``not_eligible`` (with the reason) or ``unavailable`` where there is none."""
    try:
        return desk()
    except NobodyPaysError as error:
        if error.why == "unavailable":
            raise OnairError("unavailable") from error
        raise OnairError("not_eligible", "Payouts are not set up here yet.", details={"why": error.why}) from error


def _read(secret: str) -> str:
    try:
        return str(aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        observe.logger.error("secret unreadable", provider="payouts", code=code)
        # A secret that is not there, or not ours to read, stays so until somebody changes the deployment.
        lasting = code in ("ResourceNotFoundException", "AccessDeniedException", "InvalidRequestException")
        raise NobodyPaysError("misconfigured" if lasting else "unavailable") from error
    except BotoCoreError as error:
        observe.logger.error("secret unreadable", provider="payouts", code=type(error).__name__)
        raise NobodyPaysError("unavailable") from error


def _make(secret: str) -> PayoutDesk:
    # Its library takes as long to import as all else together: only where it is used.
    from functions.wallet.stripe_transfers import StripePayouts, StripePayoutSettings

    try:
        return StripePayouts(msgspec.json.decode(secret, type=StripePayoutSettings))
    except ValueError as error:
        # msgspec names the field and its type, never a value.
        why = str(error) if isinstance(error, msgspec.ValidationError) else type(error).__name__
        observe.logger.error("secret misconfigured", provider="payouts", why=why)
        raise NobodyPaysError("misconfigured") from None
