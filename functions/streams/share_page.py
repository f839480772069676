"""The page behind a shared link: a preview card (https://ogp.me) for who fetches it, the broadcast for people. Pure.

A card is kept and shown by others for long and to anyone: a broadcast that is not for everyone is not named on it.
"""

from __future__ import annotations

from html import escape
from typing import Final

from functions.streams.model import Stream

# Nothing on the page runs or is fetched but the one picture.
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "public, max-age=60",
    "Content-Security-Policy": "default-src 'none'; img-src https: http://127.0.0.1:*; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE: Final = (
    "body{margin:0;min-height:100vh;display:grid;place-content:center;justify-items:center;gap:20px;padding:24px;"
    "box-sizing:border-box;background:#0d0b14;color:#f7f4ff;font:600 18px/1.4 system-ui,sans-serif;text-align:center}"
    "img{max-width:min(420px,86vw);max-height:52vh;border-radius:20px}"
    "a{color:#0d0b14;background:#ffb9d6;padding:14px 26px;border-radius:999px;text-decoration:none}"
    "p{margin:0;color:#b9b2cc;font-weight:400}h1{margin:0;font-size:24px}"
)


def page(stream: Stream, code: str, web_url: str, picture: str | None) -> str:
    """The page of one link; it leads on to the broadcast by itself, telling which link it was.

    Parameters
    ----------
    picture : str | None
        Address of the preview picture; None where the broadcast has none or is not for everyone.
    """
    public = stream.audience == "everyone" and stream.min_age == 0
    title = stream.title if public else "Onair"
    about = f"{stream.host.display_name} · Onair" if public else "Onair"
    target = f"{web_url}/watch/{stream.id}?via={code}"
    tags = [
        ("og:type", "video.other"),
        ("og:site_name", "Onair"),
        ("og:title", title),
        ("og:description", about),
        ("og:url", f"{web_url}/s/{code}"),
        *([("og:image", picture)] if picture and public else []),
    ]
    card = "summary_large_image" if picture and public else "summary"
    return _document(
        title,
        "".join(f'<meta property="{name}" content="{escape(text)}">' for name, text in tags)
        + f'<meta name="twitter:card" content="{card}">'
        + f'<meta name="description" content="{escape(about)}">'
        + f'<meta http-equiv="refresh" content="0; url={escape(target)}">',
        (f'<img src="{escape(picture)}" alt="">' if picture and public else "")
        + f'<h1>{escape(title)}</h1><p>{escape(about)}</p><a href="{escape(target)}">▶ Onair</a>',
    )


def missing(web_url: str) -> str:
    """The page of a link that leads nowhere."""
    return _document(
        "Onair",
        '<meta name="robots" content="noindex">',
        f'<h1>This link leads nowhere any more.</h1><a href="{escape(web_url)}/">Onair</a>',
    )


def _document(title: str, head: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title>{head}<style>{_STYLE}</style></head><body>{body}</body></html>"
    )
