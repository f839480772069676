"""HTTPS routes of operators about the ledger: the newest audit, as numbers and as a page."""

from __future__ import annotations

from typing import Any

import msgspec
from botocore.exceptions import ClientError
from chalice.app import Blueprint, Response

from functions import aws, security, settings
from functions.errors import OnairError
from functions.wallet import prove
from functions.wallet.prove import Kept

routes = Blueprint(__name__)


@routes.route("/operator/ledger", methods=["GET"], authorizer=security.cognito)
def read_audit() -> Kept:
    """The newest audit of the whole ledger; ``not_found`` before the first."""
    security.operator(routes.current_request)
    return msgspec.json.decode(_newest("json"), type=Kept)


@routes.route("/operator/ledger/page", methods=["GET"], authorizer=security.cognito)
def read_page() -> Response:
    """The same as a page of HTML, to read and to print."""
    security.operator(routes.current_request)
    return Response(_newest("html").decode(), {"Content-Type": prove.HTML})


def _newest(ending: str) -> bytes:
    try:
        found: Any = aws.client("s3").get_object(
            Bucket=settings.required("AUDIT_BUCKET"), Key=f"{prove.NEWEST}.{ending}"
        )
        return bytes(found["Body"].read())
    except ClientError as error:
        # Without the right to list a bucket, what is not there is AccessDenied.
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "AccessDenied"):
            raise OnairError("not_found", "The ledger was not audited yet.") from error
        raise OnairError("unavailable") from error
