"""Tax identifiers, encrypted with the deployment's own key.

Functions may `seal` and no more. Who files taxes calls `unseal` with rights of their own (tax_report.py).
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from functions import aws, observe, settings
from functions.errors import OnairError


def context(account: str) -> dict[str, str]:
    """What a sealed identifier belongs to: KMS opens it for the same account alone, and logs who asked."""
    return {"account": account, "purpose": "tax_identifier"}


def seal(account: str, identifier: str) -> bytes:
    """``identifier`` encrypted for ``account``; raises ``unavailable`` where the key cannot be used now."""
    try:
        made = aws.client("kms").encrypt(
            KeyId=settings.required("TAX_KEY_ARN"), Plaintext=identifier.encode(), EncryptionContext=context(account)
        )
    except (ClientError, BotoCoreError) as error:
        observe.logger.error("sealing failed", kind=type(error).__name__)
        raise OnairError("unavailable") from error
    return bytes(made["CiphertextBlob"])


def unseal(account: str, sealed: bytes) -> str:
    """What was sealed for ``account``; raises botocore's errors: whoever calls this is a person at a terminal."""
    opened = aws.client("kms").decrypt(CiphertextBlob=sealed, EncryptionContext=context(account))
    return bytes(opened["Plaintext"]).decode()
