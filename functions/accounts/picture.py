"""Lambda `Picture`: makes the avatar or cover of an upload: decoded within bounds, turned, cut, and written anew.

What is written holds pixels and nothing else: no place, no camera, no thumbnail of what was cut away, and no bytes of
the upload. A picture is refused by its header, before a pixel is decoded, where it has more than `PIXELS_MAX`.
"""

from __future__ import annotations

import io
from typing import Any, Final

from botocore.exceptions import ClientError
from msgspec import Struct
from pynamodb.exceptions import UpdateError

from functions import aws, clock, observe, settings
from functions.accounts.pictures import BYTES_MAX, Kind, PictureItem, images, key
from functions.accounts.table import PRESENT, PROFILE, ProfileItem, account_key
from functions.streams.table import STREAM, StreamItem

PIXELS_MAX: Final = 25_000_000
# Formats that phones and browsers make; others (PSD, EPS, TIFF, …) have decoders that nobody here needs.
FORMATS: Final = ("JPEG", "PNG", "WEBP")
SIZES: Final[dict[str, tuple[int, int]]] = {"avatar": (512, 512), "cover": (1280, 720)}
QUALITY: Final = 82
KEPT_FOR: Final = "public, max-age=31536000, immutable"
CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class BadPictureError(Exception):
    """Not a picture that is taken; the text says why."""


class Uploaded(Struct, frozen=True):
    """An upload, by its key: ``uploads/{kind}/{account}/{target}/{upload}``."""

    kind: Kind
    account: str
    target: str
    upload: str


def made(raw: bytes, kind: Kind) -> bytes:
    """A WebP of the kind's size made from an upload.

    Raises
    ------
    BadPictureError
        ``too_large`` (bytes or pixels), ``not_a_picture`` (another format, or broken).
    """
    # Imported with the first picture: no other function has it.
    from PIL import Image, ImageOps

    if len(raw) > BYTES_MAX:
        raise BadPictureError("too_large")
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as opened:
            if opened.width * opened.height > PIXELS_MAX:
                raise BadPictureError("too_large")
            # A JPEG can be decoded smaller at once; draft does nothing for the others.
            opened.draft("RGB", SIZES[kind])
            upright = ImageOps.exif_transpose(opened)
            fitted = ImageOps.fit(upright.convert("RGB"), SIZES[kind])
    except Image.DecompressionBombError:
        # Pillow's own bound, which is above ours, and told by the header as well.
        raise BadPictureError("too_large") from None
    except (OSError, SyntaxError, ValueError):
        # Pillow answers broken files with any of these.
        raise BadPictureError("not_a_picture") from None
    clean = Image.new("RGB", fitted.size)
    clean.paste(fitted)
    out = io.BytesIO()
    clean.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, str]:
    """Make one picture; the event is EventBridge's of an object that was created. Again makes the same again."""
    name = str(event["detail"]["object"]["key"])
    uploaded = _parse(name)
    if uploaded is None:
        observe.logger.warning("not an upload of ours")
        return {"state": "ignored"}
    store, bucket = aws.client("s3"), settings.required("PICTURES_BUCKET")
    if int(event["detail"]["object"].get("size", 0)) > BYTES_MAX:
        return _refuse(uploaded, name, "too_large")
    try:
        raw: bytes = store.get_object(Bucket=bucket, Key=name)["Body"].read(BYTES_MAX + 1)
    except ClientError as error:
        # Done before: the event came twice. Without the right to list a bucket, what is not there is denied.
        if error.response.get("Error", {}).get("Code") not in ("NoSuchKey", "AccessDenied"):
            raise
        return {"state": "gone"}
    try:
        picture = made(raw, uploaded.kind)
    except BadPictureError as error:
        return _refuse(uploaded, name, str(error))
    image = f"{images(uploaded.account, uploaded.kind)}{uploaded.upload}.webp"
    store.put_object(Bucket=bucket, Key=image, Body=picture, ContentType="image/webp", CacheControl=KEPT_FOR)
    url = f"{settings.required('WEB_URL')}/{image}"
    # The newest upload counts, in whichever order they come to be done.
    if _tell(uploaded, "ready", url=url) and _show(uploaded, url):
        state = "ready"
    else:
        store.delete_object(Bucket=bucket, Key=image)
        state = "replaced"
    store.delete_object(Bucket=bucket, Key=name)
    return {"state": state}


def _parse(name: str) -> Uploaded | None:
    parts = name.split("/")
    if len(parts) != 5 or parts[0] != "uploads" or parts[1] not in ("avatar", "cover"):
        return None
    kind: Kind = "avatar" if parts[1] == "avatar" else "cover"
    return Uploaded(kind, parts[2], parts[3], parts[4])


def _refuse(uploaded: Uploaded, name: str, problem: str) -> dict[str, str]:
    _tell(uploaded, "refused", problem=problem)
    aws.client("s3").delete_object(Bucket=settings.required("PICTURES_BUCKET"), Key=name)
    return {"state": "refused", "problem": problem}


def _tell(uploaded: Uploaded, state: str, *, url: str | None = None, problem: str | None = None) -> bool:
    item = PictureItem(account_key(uploaded.account), key(uploaded.kind, uploaded.target))
    actions: list[Any] = [PictureItem.state.set(state), PictureItem.at_ms.set(clock.now_ms())]
    actions.append(PictureItem.url.remove() if url is None else PictureItem.url.set(url))
    actions.append(PictureItem.problem.remove() if problem is None else PictureItem.problem.set(problem))
    return _updated(item, actions, PictureItem.upload == uploaded.upload)


def _show(uploaded: Uploaded, url: str) -> bool:
    if uploaded.kind == "avatar":
        profile = ProfileItem(account_key(uploaded.account), PROFILE)
        return _updated(profile, [ProfileItem.avatar_url.set(url)], PRESENT)
    stream = StreamItem(f"stream#{uploaded.target}", STREAM)
    return _updated(stream, [StreamItem.cover_url.set(url)], StreamItem.host_id == uploaded.account)


def _updated(item: Any, actions: list[Any], condition: Any) -> bool:
    try:
        item.update(actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code != CONDITION_FAILED:
            raise
        return False
    return True
