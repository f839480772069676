"""Google Play: purchase tokens asked of the Play Developer API, consumed once, and real-time developer notifications.

https://developers.google.com/android-publisher/api-ref/rest/v3/purchases.products and
https://developer.android.com/google/play/billing/rtdn-reference (Pub/Sub push with an OpenID Connect token).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec
import requests
from google.auth import exceptions
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2 import id_token, service_account
from jwt.exceptions import PyJWTError
from msgspec import Meta, Struct, field

from functions import observe
from functions.wallet import catalogue, refunds
from functions.wallet.ledger import Claim
from functions.wallet.model import CoinPack
from functions.wallet.provider import (
    Claimed,
    Delivery,
    Notice,
    Payment,
    Provider,
    failed,
    malformed,
    not_signed,
    refused,
)

SCOPE: Final = "https://www.googleapis.com/auth/androidpublisher"
TIMEOUT_S: Final = 8.0
TOKEN_LENGTH_MAX: Final = 2048
ISSUERS: Final = ("accounts.google.com", "https://accounts.google.com")
T = TypeVar("T")

# Numbers of the API: purchaseState, consumptionState, purchaseType; notificationType; productType.
PURCHASED: Final = 0
PENDING: Final = 2
CONSUMED: Final = 1
TEST_PURCHASE: Final = 0
ONE_TIME_PRODUCT_PURCHASED: Final = 1
ONE_TIME: Final = 2


class GooglePlaySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The secret's JSON.

    Parameters
    ----------
    service_account : dict[str, Any]
        The key file of a service account that may see orders and manage purchases of the app.
    push_audience, push_email : str
        Audience and service account of the Pub/Sub push subscription that delivers the notifications.
    environment : str
        ``test`` takes purchases of licence testers, and only those.
    products : dict[str, str]
        Product id → pack id, where they differ.
    """

    package_name: Annotated[str, Meta(min_length=1)]
    service_account: dict[str, Any]
    push_audience: Annotated[str, Meta(min_length=1)]
    push_email: Annotated[str, Meta(min_length=1)]
    environment: Literal["production", "test"] = "production"
    products: dict[str, str] = {}
    api_url: str = "https://androidpublisher.googleapis.com"
    certificates_url: str = "https://www.googleapis.com/oauth2/v1/certs"


class ProductPurchase(Struct, frozen=True, rename="camel"):
    """What the API tells of a purchase; a field left out has the API's default."""

    purchase_state: int = PURCHASED
    consumption_state: int = 0
    purchase_type: int | None = None
    quantity: int = 1
    obfuscated_external_account_id: str = ""
    product_id: str = ""


class _Message(Struct, frozen=True):
    data: str


class _Push(Struct, frozen=True):
    message: _Message


class _OneTime(Struct, frozen=True, rename="camel"):
    notification_type: int
    purchase_token: str
    sku: str


class _Voided(Struct, frozen=True, rename="camel"):
    purchase_token: str
    product_type: int = ONE_TIME


class _Void(Struct, frozen=True, rename="camel"):
    purchase_token: str
    voided_time_millis: Annotated[str, Meta(pattern="^[0-9]{1,15}$")]


class _Following(Struct, frozen=True, rename="camel"):
    next_page_token: str = ""


class _VoidedPage(Struct, frozen=True, rename="camel"):
    voided: list[_Void] = field(default_factory=list[_Void], name="voidedPurchases")
    token_pagination: _Following = _Following()


class _Notification(Struct, frozen=True, rename="camel"):
    package_name: str
    event_time_millis: Annotated[str, Meta(pattern="^[0-9]{1,15}$")]
    one_time_product_notification: _OneTime | None = None
    voided_purchase_notification: _Voided | None = None


class GooglePlayProvider(Provider):
    """Purchases of one app on Google Play."""

    name = "google"

    def __init__(self, settings: GooglePlaySettings) -> None:
        self._settings = settings
        make: Any = service_account.Credentials
        self._credentials: Any = make.from_service_account_info(settings.service_account, scopes=[SCOPE])

    def verify(self, account: str, pack: CoinPack, proof: str) -> str:
        _check_token(self.name, proof)
        receipt = receipt_id(proof)
        found = self._purchase(self._product_id(pack.id), proof)
        if found.product_id and self._pack_id(found.product_id) != pack.id:
            raise refused(self.name, "wrong_product", receipt=receipt, product=found.product_id)
        self._check(found, receipt)
        # The app sets obfuscatedAccountId to the buyer's account id: a token that was overheard is of no use.
        if found.obfuscated_external_account_id != account:
            raise refused(self.name, "wrong_account", receipt=receipt, account=account)
        return receipt

    def finish(self, pack_id: str, proof: str) -> None:
        # Consuming acknowledges as well; what is not acknowledged within three days, Google refunds by itself.
        product = self._product_id(pack_id)
        if self._purchase(product, proof).consumption_state != CONSUMED:
            self._call("POST", f"{self._path(product, proof)}:consume")

    def hear(self, delivery: Delivery) -> list[Notice]:
        self._check_push(delivery.headers.get("authorization", ""))
        try:
            data = msgspec.json.decode(delivery.body, type=_Push).message.data
            told = msgspec.json.decode(base64.b64decode(data, validate=True), type=_Notification)
        except (ValueError, binascii.Error):
            raise malformed(self.name, "no developer notification") from None
        if told.package_name != self._settings.package_name:
            raise refused(self.name, "wrong_app", package=told.package_name)
        voided = told.voided_purchase_notification
        if voided is not None and voided.product_type == ONE_TIME:
            # A quantity-based refund is one of the whole too: packs are bought one at a time.
            claim = Claim("refund", refunds.WHOLE, int(told.event_time_millis))
            return [Claimed(receipt_id(voided.purchase_token), claim)]
        bought = told.one_time_product_notification
        if bought is not None and bought.notification_type == ONE_TIME_PRODUCT_PURCHASED:
            return self._bought(bought)
        observe.logger.info("notification ignored", provider=self.name)
        return []

    def _bought(self, bought: _OneTime) -> list[Notice]:
        pack_id = self._pack_id(bought.sku)
        if pack_id is None:
            observe.logger.info("notification of no pack", provider=self.name, product=bought.sku)
            return []
        _check_token(self.name, bought.purchase_token)
        receipt = receipt_id(bought.purchase_token)
        found = self._purchase(bought.sku, bought.purchase_token)
        self._check(found, receipt)
        if not found.obfuscated_external_account_id:
            raise refused(self.name, "wrong_account", receipt=receipt)
        return [Payment(receipt, found.obfuscated_external_account_id, pack_id, bought.purchase_token)]

    def _check(self, found: ProductPurchase, receipt: str) -> None:
        if found.purchase_state == PENDING:
            raise refused(self.name, "not_paid", receipt=receipt)
        if found.purchase_state != PURCHASED:
            raise refused(self.name, "refunded", receipt=receipt)
        if (found.purchase_type == TEST_PURCHASE) != (self._settings.environment == "test"):
            raise refused(self.name, "wrong_environment", receipt=receipt, purchase_type=found.purchase_type)
        if found.quantity != 1:
            raise refused(self.name, "wrong_amount", receipt=receipt, quantity=found.quantity)

    def _check_push(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise not_signed(self.name, "no token")
        try:
            read: Any = id_token.verify_token
            claims: dict[str, Any] = read(
                token, _Transport(), self._settings.push_audience, self._settings.certificates_url
            )
        except exceptions.TransportError as error:
            raise failed(self.name, "fetch certificates", type(error).__name__) from None
        except (exceptions.GoogleAuthError, PyJWTError, ValueError) as error:
            raise not_signed(self.name, type(error).__name__) from None
        if (
            claims.get("iss") not in ISSUERS
            or claims.get("email") != self._settings.push_email
            or claims.get("email_verified") is not True
        ):
            raise not_signed(self.name, "another sender")

    def _purchase(self, product: str, token: str) -> ProductPurchase:
        content = self._call("GET", self._path(product, token))
        try:
            return msgspec.json.decode(content, type=ProductPurchase)
        except ValueError:
            raise failed(self.name, "read a purchase", "malformed answer") from None

    def voided(self, since_ms: int, pages_max: int) -> dict[str, int]:
        """Receipts whose money went back since ``since_ms`` (at most 30 days ago), and when (ms).

        https://developers.google.com/android-publisher/api-ref/rest/v3/purchases.voidedpurchases/list, at most
        ``pages_max`` pages of a thousand; raises ``unavailable`` when Google does not tell.
        """
        package = quote(self._settings.package_name, safe="")
        first = f"/androidpublisher/v3/applications/{package}/purchases/voidedpurchases"
        found: dict[str, int] = {}
        following = ""
        for _ in range(pages_max):
            told = {"startTime": str(since_ms), "maxResults": "1000", **({"token": following} if following else {})}
            answer = self._send("GET", f"{first}?{urlencode(told)}")
            if not answer.ok:
                raise failed(self.name, "list voided purchases", answer.status_code)
            try:
                page = msgspec.json.decode(answer.content, type=_VoidedPage)
            except ValueError:
                raise failed(self.name, "list voided purchases", "malformed answer") from None
            found.update((receipt_id(each.purchase_token), int(each.voided_time_millis)) for each in page.voided)
            following = page.token_pagination.next_page_token
            if not following:
                break
        return found

    def _call(self, method: str, path: str) -> bytes:
        answer = self._send(method, path)
        if answer.status_code in (400, 404, 410):
            # No such token, not of this product, or too long ago.
            raise refused(self.name, "forged", status=answer.status_code)
        if not answer.ok:
            raise failed(self.name, method, answer.status_code)
        return answer.content

    def _send(self, method: str, path: str) -> requests.Response:
        make: Any = AuthorizedSession
        try:
            with make(self._credentials, refresh_timeout=TIMEOUT_S, auth_request=_Transport()) as session:
                answer: requests.Response = session.request(
                    method, self._settings.api_url + path, timeout=TIMEOUT_S, max_allowed_time=2 * TIMEOUT_S
                )
                return answer
        except (exceptions.GoogleAuthError, requests.RequestException, TypeError) as error:
            # TypeError: what google-auth makes of a token endpoint that answers 200 with a page instead of JSON.
            raise failed(self.name, method, type(error).__name__) from None

    def _path(self, product: str, token: str) -> str:
        parts = (self._settings.package_name, product, token)
        package, product, token = (quote(each, safe="") for each in parts)
        return f"/androidpublisher/v3/applications/{package}/purchases/products/{product}/tokens/{token}"

    def _pack_id(self, product: str) -> str | None:
        pack_id = self._settings.products.get(product, product)
        return pack_id if pack_id in catalogue.coin_packs() else None

    def _product_id(self, pack_id: str) -> str:
        return next((product for product, pack in self._settings.products.items() if pack == pack_id), pack_id)


class _Transport(Request):
    """google-auth's requests with our time limit: its own is two minutes, longer than any function lives."""

    def __call__(  # the library's signature
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: Any = TIMEOUT_S,
        **rest: Any,
    ) -> Any:
        send: Any = super().__call__
        return send(url, method, body, headers, min(timeout or TIMEOUT_S, TIMEOUT_S), **rest)


def receipt_id(token: str) -> str:
    """A purchase token's place in the ledger; tokens are unique, and too long and too secret to be one themselves."""
    return hashlib.sha256(token.encode()).hexdigest()[:40]


def _check_token(provider: str, token: str) -> None:
    if len(token) > TOKEN_LENGTH_MAX or not token.isascii() or not token.isprintable():
        raise refused(provider, "forged", length=len(token))
