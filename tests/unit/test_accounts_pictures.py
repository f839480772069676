"""Avatars and covers: what comes out holds pixels alone, what is none or too large is refused, the newest counts."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from functions import aws
from functions.accounts import picture
from tests.unit.accounts_work import do_work
from tests.unit.https import Client, Person


@pytest.fixture
def ada(client: Client) -> Iterator[Person]:
    aws.client("s3").create_bucket(Bucket="pictures")
    yield client.sign_up("ada")


def photo(size: tuple[int, int] = (800, 600), kind: str = "JPEG", **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 90)).save(out, kind, **more)
    return out.getvalue()


def upload(client: Client, who: Person, content: bytes, path: str = "/me/avatar") -> dict[str, str]:
    form = client.call("POST", path, who=who)
    assert form.status == 201, form.body
    assert form.body["bytes_max"] == 5 * 1024 * 1024
    key = form.body["fields"]["key"]
    aws.client("s3").put_object(Bucket="pictures", Key=key, Body=content)
    return event(key, len(content))


def event(key: str, size: int) -> dict[str, Any]:
    return {"detail": {"bucket": {"name": "pictures"}, "object": {"key": key, "size": size}}}


def keys() -> list[str]:
    found = aws.client("s3").list_objects_v2(Bucket="pictures").get("Contents", [])
    return [one["Key"] for one in found]


def test_an_avatar_is_made_anew_and_the_upload_forgotten(client: Client, ada: Person) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera Maker"
    exif[0x0112] = 6  # to be turned
    content = photo((800, 600), exif=exif)
    assert b"Secret Camera" in content
    assert client.call("GET", "/me/avatar", who=ada).body == {"state": "none"}
    made = upload(client, ada, content)
    assert client.call("GET", "/me/avatar", who=ada).body == {"state": "waiting"}
    assert picture.handle(made, None) == {"state": "ready"}
    (key,) = keys()
    assert client.call("GET", "/me", who=ada).body["avatar_url"] == f"https://onair.example/{key}"
    body = aws.client("s3").get_object(Bucket="pictures", Key=key)
    raw = body["Body"].read()
    assert body["ContentType"] == "image/webp" and "immutable" in body["CacheControl"]
    shown = Image.open(io.BytesIO(raw))
    assert (shown.format, shown.size) == ("WEBP", (512, 512))
    assert b"Secret" not in raw and not shown.getexif() and "icc_profile" not in shown.info
    # The event may come again.
    assert picture.handle(made, None) == {"state": "gone"}


def test_a_picture_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    half = Image.new("RGB", (600, 600), (255, 0, 0))
    half.paste((0, 0, 255), (0, 300, 600, 600))
    out = io.BytesIO()
    half.save(out, "JPEG", exif=exif, quality=95)
    turned = Image.open(io.BytesIO(picture.made(out.getvalue(), "avatar"))).convert("RGB")
    top: Any = turned.getpixel((256, 50))
    assert top[2] > 200 and top[0] < 60


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_each_format_of_phones_and_browsers_is_taken(kind: str) -> None:
    made = Image.open(io.BytesIO(picture.made(photo(kind=kind), "cover")))
    assert (made.format, made.size) == ("WEBP", (1280, 720))


def bomb() -> bytes:
    """A PNG of a few kilobytes whose header promises 40,000 × 40,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (bomb(), "too_large"),
        (photo((5_100, 5_000)), "too_large"),
        (b"\0" * (5 * 1024 * 1024 + 1), "too_large"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_picture"),
        (photo()[:2000], "not_a_picture"),
        (photo(kind="GIF"), "not_a_picture"),
        (photo(kind="TIFF"), "not_a_picture"),
        (b"", "not_a_picture"),
    ],
    ids=["bomb", "pixels", "bytes", "svg", "cut off", "gif", "tiff", "empty"],
)
def test_what_is_not_taken_is_refused_with_why(client: Client, ada: Person, content: bytes, problem: str) -> None:
    assert picture.handle(upload(client, ada, content), None) == {"state": "refused", "problem": problem}
    assert client.call("GET", "/me/avatar", who=ada).body == {"state": "refused", "problem": problem}
    assert client.call("GET", "/me", who=ada).body["avatar_url"] is None
    assert keys() == []


def test_the_newest_upload_counts_in_whichever_order_they_are_done(client: Client, ada: Person) -> None:
    first = upload(client, ada, photo())
    second = upload(client, ada, photo())
    assert picture.handle(second, None) == {"state": "ready"}
    shown = client.call("GET", "/me", who=ada).body["avatar_url"]
    assert picture.handle(first, None) == {"state": "replaced"}
    assert client.call("GET", "/me", who=ada).body["avatar_url"] == shown
    assert len(keys()) == 1


def test_an_avatar_can_be_taken_away(client: Client, ada: Person) -> None:
    picture.handle(upload(client, ada, photo()), None)
    for _ in range(2):
        assert client.call("DELETE", "/me/avatar", who=ada).status == 204
    assert client.call("GET", "/me", who=ada).body["avatar_url"] is None


def test_a_cover_shows_until_there_is_a_picture_of_now(client: Client, ada: Person) -> None:
    host = client.host()
    stream_id = client.ready(host)
    assert client.call("POST", f"/streams/{stream_id}/cover", who=ada).code == "not_found"
    assert picture.handle(upload(client, host, photo(), f"/streams/{stream_id}/cover"), None) == {"state": "ready"}
    shown = client.call("GET", f"/streams/{stream_id}", who=host).body["preview_url"]
    assert shown.startswith("https://onair.example/images/cover/")
    assert client.call("GET", f"/streams/{stream_id}/cover", who=host).body == {"state": "ready", "url": shown}


def test_a_key_that_is_not_ours_is_left_alone(client: Client, ada: Person) -> None:
    assert picture.handle(event("uploads/other/x", 3), None) == {"state": "ignored"}


def test_erasing_an_account_takes_every_picture_along_and_nobody_elses(client: Client, ada: Person) -> None:
    bob, host = client.sign_up("bob"), client.host()
    for who in (ada, ada, bob):
        assert picture.handle(upload(client, who, photo()), None) == {"state": "ready"}
    cover = upload(client, host, photo(), f"/streams/{client.ready(host)}/cover")
    assert picture.handle(cover, None) == {"state": "ready"}
    # A newer upload that was never done must not hide what stands.
    client.call("POST", "/me/avatar", who=ada)
    client.call("DELETE", "/me/avatar", who=ada)
    assert len(keys()) == 4
    for who in (ada, host):
        client.call("DELETE", "/me", who=who)
    do_work()
    (left,) = keys()
    assert left.startswith(f"images/avatar/{bob.id}/")
