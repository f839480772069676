"""Uploads of avatars and covers: a signed form that takes one picture of at most 5 MB, and what has become of it."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType
from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from functions import aws, clock, ids, settings
from functions.accounts.table import AccountsItem, account_key

Kind = Literal["avatar", "cover"]
State = Literal["none", "waiting", "ready", "refused"]

BYTES_MAX: Final = 5 * 1024 * 1024
UPLOAD_S: Final = 600
PREFIX: Final = "picture#"


class PictureItem(AccountsItem):
    """``account#{id}`` / ``picture#{kind}#{stream, or -}``: the newest upload and what became of it."""

    class Meta(AccountsItem.Meta):
        table_name = "named-by-setting"

    table_setting: ClassVar[str] = "ACCOUNTS_TABLE"
    upload = UnicodeAttribute()
    state = UnicodeAttribute()
    problem = UnicodeAttribute(null=True)
    url = UnicodeAttribute(null=True)
    at_ms = NumberAttribute()


class ForgettingError(Exception):
    """S3 did not delete some pictures."""


class Upload(msgspec.Struct, frozen=True):
    """A form to POST as ``multipart/form-data``: ``fields``, then the picture as ``file``; until ``expires_at``."""

    url: str
    fields: dict[str, str]
    bytes_max: int
    expires_at: str


class Picture(msgspec.Struct, frozen=True):
    """What became of the newest upload: ``problem`` says why it was refused."""

    state: State
    url: str | UnsetType = UNSET
    problem: str | UnsetType = UNSET


def begin(account_id: str, kind: Kind, target: str = "-") -> Upload:
    """Sign an upload of one's avatar, or of the cover of the stream ``target``; the newest one counts."""
    upload = ids.new()
    now_ms = clock.now_ms()
    PictureItem(account_key(account_id), key(kind, target), upload=upload, state="waiting", at_ms=now_ms).save()
    form: dict[str, Any] = aws.client("s3").generate_presigned_post(
        Bucket=settings.required("PICTURES_BUCKET"),
        Key=f"uploads/{kind}/{account_id}/{target}/{upload}",
        Conditions=[["content-length-range", 1, BYTES_MAX]],
        ExpiresIn=UPLOAD_S,
    )
    expires_at = clock.rfc3339(now_ms + UPLOAD_S * 1000)
    return Upload(settings.required("UPLOAD_URL"), form["fields"], BYTES_MAX, expires_at)


def read(account_id: str, kind: Kind, target: str = "-") -> Picture:
    """What became of the newest upload."""
    try:
        item = PictureItem.get(account_key(account_id), key(kind, target), consistent_read=True)
    except DoesNotExist:
        return Picture("none")
    state: Any = item.state
    return Picture(state, item.url or UNSET, item.problem or UNSET)


def images(account_id: str, kind: Kind) -> str:
    """Below which every picture lies that was made of an account's uploads, those that were replaced since as well."""
    return f"images/{kind}/{account_id}/"


def forget(account_id: str) -> bool:
    """Delete what was made of an account's uploads, at most a thousand; True when nothing is left.

    Raises
    ------
    ForgettingError
        S3 did not delete some: to be called again.
    """
    rows = PictureItem.query(account_key(account_id), PictureItem.sk.startswith(PREFIX), consistent_read=True)
    # Who never uploaded anything costs no look at the bucket.
    kinds = {row.sk.split("#")[1] for row in rows}
    return all(_emptied(images(account_id, kind)) for kind in ("avatar", "cover") if kind in kinds)


def _emptied(prefix: str) -> bool:
    bucket, store = settings.required("PICTURES_BUCKET"), aws.client("s3")
    page: dict[str, Any] = store.list_objects_v2(Bucket=bucket, Prefix=prefix)
    found = [{"Key": each["Key"]} for each in page.get("Contents", [])]
    if found:
        answer: dict[str, Any] = store.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
        if answer.get("Errors"):
            raise ForgettingError(str(answer["Errors"][:3]))
    return not page.get("IsTruncated")


def key(kind: Kind, target: str) -> str:
    """Sort key of a picture's upload."""
    return f"{PREFIX}{kind}#{target}"
