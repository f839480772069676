"""Codes on their way to people: an e-mail through SES, or a text message through SNS."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from functions import aws, messages, observe, settings

SUBJECT = "Your Onair code"
TEXT = "Your Onair code is {code}. It works for ten minutes. If you did not ask for it, you need not do anything."


def can_send(contact: str) -> bool:
    """Whether this deployment reaches such a contact: e-mail takes a sender (``mail_from`` in cdk.json)."""
    return "@" not in contact or bool(settings.optional("MAIL_FROM", ""))


def send_code(contact: str, code: str, language: str) -> None:
    """Send a code; a contact that the services refuse is logged without it, since trying again would not help."""
    text = messages.sentence(TEXT, language).format(code=code)
    try:
        if "@" in contact:
            aws.client("ses").send_email(
                Source=settings.required("MAIL_FROM"),
                Destination={"ToAddresses": [contact]},
                Message={
                    "Subject": {"Data": messages.sentence(SUBJECT, language), "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
                },
            )
        else:
            aws.client("sns").publish(PhoneNumber=contact, Message=text)
    except ClientError as error:
        code_of = str(error.response.get("Error", {}).get("Code", ""))
        if code_of not in ("MessageRejected", "InvalidParameter", "InvalidParameterValue", "OptedOut"):
            raise
        observe.logger.warning("code not sent", extra={"why": code_of})
    except BotoCoreError:
        # Worth another try: the queue gives the letter back.
        observe.logger.warning("code not sent for now")
        raise
