"""App Store: signed transactions (JWS) as proof, App Store Server Notifications V2, and answers about consumption.

https://developer.apple.com/documentation/appstoreserverapi and …/appstoreservernotifications; Apple's own library
verifies chain, app and environment against the root certificates of the configuration.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeVar

import requests
from appstoreserverlibrary.api_client import APIError, APIException, AppStoreServerAPIClient
from appstoreserverlibrary.models.ConsumptionRequest import ConsumptionRequest
from appstoreserverlibrary.models.DeliveryStatus import DeliveryStatus
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.InAppOwnershipType import InAppOwnershipType
from appstoreserverlibrary.models.JWSTransactionDecodedPayload import JWSTransactionDecodedPayload as Transaction
from appstoreserverlibrary.models.NotificationTypeV2 import NotificationTypeV2 as Kind
from appstoreserverlibrary.models.Type import Type
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier, VerificationException, VerificationStatus
from msgspec import Meta, Struct, ValidationError, json

from functions import observe
from functions.wallet import catalogue, refunds
from functions.wallet.ledger import Claim
from functions.wallet.model import CoinPack
from functions.wallet.provider import (
    Claimed,
    ConsumptionAsked,
    Delivery,
    Notice,
    Payment,
    Provider,
    Reason,
    failed,
    malformed,
    not_signed,
    refused,
)

TIMEOUT_S: Final = 8.0
MILLIUNITS_PER_CENT: Final = 10
# Apple gives percentages in milliunits: 100,000 is the whole.
MILLIONTHS_PER_MILLIPERCENT: Final = 10
# What Apple answers for a number that is no transaction of this app.
UNKNOWN: Final = (APIError.TRANSACTION_ID_NOT_FOUND, APIError.INVALID_TRANSACTION_ID)
T = TypeVar("T")


class AppStoreSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The secret's JSON.

    Parameters
    ----------
    root_certificates : list[str]
        Base64 of DER: those of Apple's that sign the App Store's chains (https://www.apple.com/certificateauthority/).
    app_apple_id : int | None
        The app's number in App Store Connect; Production needs it.
    online_checks : bool
        Also ask Apple whether a certificate was revoked; costs a request to Apple every 15 minutes a container.
    products : dict[str, str]
        Product id → pack id, where they differ.
    issuer_id, key_id, private_key : str
        The In-App Purchase key (PEM), for answers about consumption; empty: none are given.
    consumption_consent : bool
        Buyers agreed that Apple is told how much of a purchase they used.
    """

    bundle_id: Annotated[str, Meta(min_length=1)]
    environment: Literal["Production", "Sandbox"]
    root_certificates: Annotated[list[str], Meta(min_length=1)]
    app_apple_id: int | None = None
    online_checks: bool = True
    products: dict[str, str] = {}
    issuer_id: str = ""
    key_id: str = ""
    private_key: str = ""
    consumption_consent: bool = False
    api_url: str = ""


class _Envelope(Struct, frozen=True):
    signedPayload: str


class _Client(AppStoreServerAPIClient):
    """Apple's client with a time limit that fits a function, and with an address that the configuration may replace."""

    def __init__(self, settings: AppStoreSettings) -> None:
        super().__init__(
            settings.private_key.encode(),
            settings.key_id,
            settings.issuer_id,
            settings.bundle_id,
            Environment(settings.environment),
        )
        if settings.api_url:
            self._base_url = settings.api_url

    def _execute_request(
        self, method: str, url: str, params: Any, headers: dict[str, str], json: Any, data: bytes | None
    ) -> requests.Response:
        return requests.request(method, url, params=params, headers=headers, json=json, data=data, timeout=TIMEOUT_S)


class AppStoreProvider(Provider):
    """Purchases of one app in one environment of the App Store."""

    name = "apple"

    def __init__(self, settings: AppStoreSettings) -> None:
        self._settings = settings
        self._verifier = SignedDataVerifier(
            [base64.b64decode(each, validate=True) for each in settings.root_certificates],
            settings.online_checks,
            Environment(settings.environment),
            settings.bundle_id,
            settings.app_apple_id,
        )

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:
        found = self._verified(lambda: self._verifier.verify_and_decode_signed_transaction(proof), self._refuse)
        if found.revocationDate is not None:
            raise refused(self.name, "refunded", receipt=found.transactionId, account=account)
        payment = self._payment(found)
        # The app sets appAccountToken to the buyer's account id: a transaction that was overheard is of no use.
        if payment.account != account.lower():
            raise refused(self.name, "wrong_account", receipt=payment.receipt, account=account)
        if payment.pack != pack.id:
            raise refused(self.name, "wrong_product", receipt=payment.receipt, pack=pack.id, bought=payment.pack)
        return payment.receipt

    def hear(self, delivery: Delivery) -> list[Notice]:
        try:
            signed = json.decode(delivery.body, type=_Envelope).signedPayload
        except (ValidationError, ValueError):
            raise malformed(self.name, "no signedPayload") from None
        told = self._verified(lambda: self._verifier.verify_and_decode_notification(signed), self._refuse_delivery)
        kind = told.notificationType
        transaction = told.data.signedTransactionInfo if told.data is not None else None
        if transaction is None or kind not in (
            Kind.ONE_TIME_CHARGE,
            Kind.REFUND,
            Kind.REVOKE,
            Kind.REFUND_REVERSED,
            Kind.CONSUMPTION_REQUEST,
        ):
            observe.logger.info("notification ignored", provider=self.name, kind=told.rawNotificationType)
            return []
        found = self._verified(
            lambda: self._verifier.verify_and_decode_signed_transaction(transaction), self._refuse_delivery
        )
        if self._pack_id(found) is None or found.transactionId is None:
            observe.logger.info("notification of no pack", provider=self.name, product=found.productId)
            return []
        if kind == Kind.ONE_TIME_CHARGE:
            return [self._payment(found)]
        if kind == Kind.CONSUMPTION_REQUEST:
            return [ConsumptionAsked(found.transactionId)]
        if told.signedDate is None:
            raise malformed(self.name, "no signedDate")
        reversed_ = kind == Kind.REFUND_REVERSED
        claim = Claim("refund", 0 if reversed_ else _part(found), told.signedDate * 2 + reversed_)
        return [Claimed(found.transactionId, claim)]

    def tell_consumption(self, receipt: str, consumed_permille: int) -> None:
        settings = self._settings
        if not settings.consumption_consent or not settings.private_key:
            # Apple asks not to answer at all without the buyer's consent.
            observe.logger.info("consumption not told", provider=self.name, receipt=receipt)
            return
        try:
            _Client(settings).send_consumption_information(
                receipt,
                ConsumptionRequest(
                    customerConsented=True,
                    sampleContentProvided=False,
                    deliveryStatus=DeliveryStatus.DELIVERED,
                    consumptionPercentage=consumed_permille * 100,
                ),
            )
        except APIException as error:
            if error.http_status_code < 500 and error.http_status_code not in (401, 429):
                # Too late, or not asked any more: sending it again would not help.
                observe.logger.error(
                    "consumption refused", provider=self.name, receipt=receipt, code=error.raw_api_error
                )
                return
            raise failed(self.name, "tell consumption", error.http_status_code) from None
        except (requests.RequestException, ValueError) as error:
            raise failed(self.name, "tell consumption", type(error).__name__) from None

    def known(self, receipt: str) -> Transaction | None:
        """What Apple knows of a transaction now, verified like a purchase; None where it knows none.

        Raises
        ------
        OnairError
            ``unavailable`` without a key in the configuration, or when Apple gives no sure answer.
        """
        if not self._settings.private_key:
            raise failed(self.name, "look up", "no key configured")
        try:
            signed = _Client(self._settings).get_transaction_info(receipt).signedTransactionInfo
        except APIException as error:
            if error.api_error in UNKNOWN:
                return None
            raise failed(self.name, "look up", error.http_status_code) from None
        except (requests.RequestException, ValueError) as error:
            raise failed(self.name, "look up", type(error).__name__) from None
        if signed is None:
            raise failed(self.name, "look up", "no transaction in the answer")
        try:
            return self._verifier.verify_and_decode_signed_transaction(signed)
        except Exception as error:  # noqa: BLE001 -- not verified, or not to be taken in
            raise failed(self.name, "look up", type(error).__name__) from None

    def pack_of(self, found: Transaction) -> str:
        """The pack that was bought; empty for what is none of ours."""
        return self._pack_id(found) or ""

    def _payment(self, found: Transaction) -> Payment:
        about = {"receipt": found.transactionId, "product": found.productId}
        pack_id = self._pack_id(found)
        if pack_id is None or found.type != Type.CONSUMABLE:
            raise refused(self.name, "wrong_product", **about)
        # Who has it by family sharing did not pay for it.
        shared = found.inAppOwnershipType == InAppOwnershipType.FAMILY_SHARED
        if found.transactionId is None or found.appAccountToken is None or shared:
            raise refused(self.name, "wrong_account", **about)
        pack = catalogue.coin_pack(pack_id)
        # Prices differ by storefront; in dollars they are ours. A pack is bought one at a time.
        in_dollars = found.currency == "USD" and found.price is not None
        if found.quantity not in (None, 1) or (in_dollars and found.price != pack.usd_cents * MILLIUNITS_PER_CENT):
            raise refused(self.name, "wrong_amount", price=found.price, quantity=found.quantity, **about)
        return Payment(found.transactionId, str(found.appAccountToken).lower(), pack_id)

    def _pack_id(self, found: Transaction) -> str | None:
        product = found.productId or ""
        pack_id = self._settings.products.get(product, product)
        return pack_id if pack_id in catalogue.coin_packs() else None

    def _verified(self, read: Callable[[], T], refuse: Callable[[Reason, str], Exception]) -> T:
        try:
            return read()
        except VerificationException as error:
            if error.status == VerificationStatus.RETRYABLE_VERIFICATION_FAILURE:
                raise failed(self.name, "check certificates", "no answer") from error
            reasons: dict[VerificationStatus, Reason] = {
                VerificationStatus.INVALID_APP_IDENTIFIER: "wrong_app",
                VerificationStatus.INVALID_ENVIRONMENT: "wrong_environment",
            }
            raise refuse(reasons.get(error.status, "forged"), error.status.name) from None
        except Exception as error:  # noqa: BLE001 -- signed, but of a shape that Apple's library cannot take in
            raise refuse("forged", type(error).__name__) from None

    def _refuse(self, reason: Reason, why: str) -> Exception:
        return refused(self.name, reason, why=why)

    def _refuse_delivery(self, reason: Reason, why: str) -> Exception:
        return not_signed(self.name, why) if reason == "forged" else refused(self.name, reason, why=why)


def _part(found: Transaction) -> int:
    told = found.revocationPercentage
    part = refunds.WHOLE if told is None else told * MILLIONTHS_PER_MILLIPERCENT
    return part if 0 < part <= refunds.WHOLE else refunds.WHOLE
