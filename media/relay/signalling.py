"""What WHIP and WHEP requests have in common: SDP offers and their limits, trickled candidates, the answer to a POST.

Sections cited are those of RFC 9725; draft-ietf-wish-whep asks the same of its side.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from aiohttp import web
from aiortc.sdp import SessionDescription

from media.relay.errors import RelayError
from media.relay.settings import Settings

SDP_BYTES_MAX: Final = 64 * 1024
OFFER_TYPE: Final = "application/sdp"
FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"
# What aiortc raises on text that is no SDP, for want of an exception of its own.
NOT_SDP: Final = (ValueError, IndexError, KeyError, AttributeError, AssertionError, TypeError, StopIteration)
_CODECS_OFFERED_MAX: Final = 200
_CANDIDATES_MAX: Final = 100
_USER: Final = re.compile(r"^a=ice-ufrag:(\S+)\s*$", re.MULTILINE)
_PASSWORD: Final = re.compile(r"^a=ice-pwd:(\S+)\s*$", re.MULTILINE)
# Of IPv4 alone: an IPv6 address of the task is its public one already.
_HOST_CANDIDATE: Final = re.compile(r"^(a=candidate:\S+ \d+ \S+ \d+ )([\d.]+)( \d+ typ host.*)$", re.MULTILINE)


class Session(Protocol):
    """A connection whose candidates may come one by one."""

    etag: str
    ice_user: str
    candidates: int

    async def add_candidate(self, line: str, mid: str) -> None:
        """One candidate, or the end of them (empty)."""
        ...

    async def restart_ice(self, user: str, password: str, candidates: Sequence[str]) -> str:
        """Begin an ICE restart with the client's new credentials; returns the fragment that answers it."""
        ...


def parse_offer(offer: str, directions: tuple[str, str], codecs_needed: str) -> SessionDescription:
    """The offer parsed, with its limits checked.

    Raises
    ------
    RelayError
        400 for what is no SDP or has another direction, 406 with ``codecs_needed`` for media that the relay does not
        take, 413 for too much of it.
    """
    try:
        description = SessionDescription.parse(offer)
    except NOT_SDP:
        raise RelayError("invalid_request", "The body is not an SDP offer.") from None
    kinds = [media.kind for media in description.media]
    if not kinds:
        raise RelayError("invalid_request", "The offer has no media.")
    if not set(kinds) <= {"audio", "video"} or len(kinds) != len(set(kinds)):
        raise RelayError("invalid_request", codecs_needed, 406)
    for media in description.media:
        if len(media.rtp.codecs) > _CODECS_OFFERED_MAX or len(media.ice_candidates) > _CANDIDATES_MAX:
            raise RelayError("too_large", "The offer lists too many codecs or candidates.")
        wanted = "video/h264" if media.kind == "video" else "audio/opus"
        if not any(codec.mimeType.lower() == wanted for codec in media.rtp.codecs):
            raise RelayError("invalid_request", codecs_needed, 406)
        if media.direction not in directions:
            raise RelayError("invalid_request", f"The media of this offer must be {directions[0]}.")
    return description


def ice_user(description: SessionDescription) -> str:
    """The user fragment of the offer's ICE session."""
    ice = description.media[0].ice
    return (ice.usernameFragment if ice else None) or ""


def reachable(answer: str, public_address: str) -> str:
    """An SDP answer whose IPv4 host candidates carry the address that the world knows; as it is without one."""
    return _HOST_CANDIDATE.sub(rf"\g<1>{public_address}\g<3>", answer) if public_address else answer


def options() -> web.Response:
    """CORS preflight, and what may be posted here (4.2)."""
    headers = {
        "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
        "Access-Control-Max-Age": "86400",
        "Accept-Post": OFFER_TYPE,
        "Accept-Patch": FRAGMENT_TYPE,
    }
    return web.Response(status=204, headers=headers)


async def read_offer(request: web.Request) -> str:
    """The body of a POST; 415 for another type, 413 beyond 64 KB."""
    if request.content_type != OFFER_TYPE:
        raise RelayError("invalid_request", f"Send the offer as {OFFER_TYPE}.", 415)
    return await _body(request)


def created(answer: str, resource: str, session: Session, settings: Settings) -> web.Response:
    """201 with the SDP answer, the session's resource and the ICE servers (4.2, 4.4)."""
    headers = {
        "Location": f"{settings.public_url}{resource}",
        "ETag": session.etag,
        "Accept-Patch": FRAGMENT_TYPE,
    }
    response = web.Response(status=201, text=answer, content_type=OFFER_TYPE, headers=headers)
    for server in settings.ice_servers:
        response.headers.add("Link", _ice_link(server))
    return response


def _ice_link(server: str) -> str:
    """The `Link` of a STUN or TURN server (4.6), with the credentials that stand behind its address."""
    address, *credentials = server.split(";")
    link = f'<{address}>; rel="ice-server"'
    if len(credentials) == 2:
        user, password = (text.replace("\\", "\\\\").replace('"', '\\"') for text in credentials)
        link += f'; username="{user}"; credential="{password}"; credential-type="password"'
    return link


async def take_fragment(request: web.Request, session: Session) -> web.Response:
    """A PATCH with candidates (4.3.2): 204. With other credentials than before, an ICE restart (4.3.3): 200.

    Raises
    ------
    RelayError
        415 and 428 by 4.3.1, 412 for the entity tag of an earlier ICE session, 400 for what cannot be read, and what
        `IceRestarts.begin` raises. The session goes on as it was.
    """
    if request.content_type != FRAGMENT_TYPE:
        raise RelayError("invalid_request", f"Send candidates as {FRAGMENT_TYPE}.", 415)
    tag = request.headers.get("If-Match")
    if tag is None:
        raise RelayError("invalid_request", "Send If-Match with the session's entity tag.", 428)
    fragment = await _body(request)
    users = _USER.findall(fragment)
    restart = any(user != session.ice_user for user in users)
    # A restart says "*", because it begins an ICE session rather than going on with one.
    if tag != session.etag and not (restart and tag == "*"):
        raise RelayError("invalid_request", "This entity tag is of another ICE session.", 412)
    try:
        if restart:
            return await _restart(fragment, users[0], session)
        await _trickle(fragment, session)
    except (ValueError, IndexError, AssertionError):
        raise RelayError("invalid_request", "A candidate in this fragment cannot be read.") from None
    return web.Response(status=204)


async def _restart(fragment: str, user: str, session: Session) -> web.Response:
    passwords = _PASSWORD.findall(fragment)
    candidates = [value for name, value, _ in _attributes(fragment) if name == "candidate"]
    if len(candidates) > _CANDIDATES_MAX:
        raise RelayError("invalid_request", "Too many candidates.")
    answer = await session.restart_ice(user, passwords[0] if passwords else "", candidates)
    session.ice_user, session.candidates = user, len(candidates)
    session.etag = f'"{secrets.token_hex(8)}"'
    return web.Response(status=200, text=answer, content_type=FRAGMENT_TYPE, headers={"ETag": session.etag})


async def _trickle(fragment: str, session: Session) -> None:
    for name, value, mid in _attributes(fragment):
        if name == "candidate":
            session.candidates += 1
            if session.candidates > _CANDIDATES_MAX:
                raise RelayError("invalid_request", "Too many candidates.")
            await session.add_candidate(value, mid)
        elif name == "end-of-candidates":
            await session.add_candidate("", mid)


def _attributes(fragment: str) -> Iterator[tuple[str, str, str]]:
    """Each line's attribute and value, and the media that it belongs to."""
    mid = ""
    for line in fragment.splitlines():
        name, _, value = line.strip().removeprefix("a=").partition(":")
        if name == "mid":
            mid = value
        yield name, value, mid


async def _body(request: web.Request) -> str:
    if (request.content_length or 0) > SDP_BYTES_MAX:
        raise RelayError("too_large", "The body is over 64 KB.")
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError:
        raise RelayError("invalid_request", "The body is not UTF-8.") from None
