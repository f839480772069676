"""Who may publish and who may watch: stream keys and playback tokens (JWT, HS256), and CloudFront's origin header."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from typing import Any, Final

import jwt
import msgspec

from media.relay.errors import RelayError

_ALGORITHM: Final = "HS256"
_TOKENS_KEPT_MAX: Final = 10_000
_TOKEN_BYTES_MAX: Final = 2_048


class StreamKey(msgspec.Struct, frozen=True):
    """A verified stream key: the right to publish one stream while its item has this key generation.

    With ``seat`` it is a guest's: the right to publish into that seat while the stream's item lists it (stages.py).
    """

    stream_id: str
    generation: int
    seat: str = ""


class Rights:
    """Verifies keys and tokens; remembers verified playback tokens, since each viewer sends theirs 6 times a second."""

    def __init__(self, signing_secret: str, playback_secret: str, origin_secret: str) -> None:
        self._signing_secret = signing_secret
        self._playback_secret = playback_secret
        self._origin_secret = origin_secret
        self._verified: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def stream_key(self, authorization: str | None, stream_id: str) -> StreamKey:
        """The host's or a guest's key in an ``Authorization`` header (RFC 9725); raises ``unauthenticated`` or
        ``forbidden``."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RelayError("unauthenticated", "Send the stream key as a bearer token in the Authorization header.")
        key = self._read_seat_key(token.strip()) or self.read_stream_key(token.strip())
        if key.stream_id != stream_id:
            raise RelayError("forbidden", "This stream key belongs to another broadcast.")
        return key

    def read_stream_key(self, token: str) -> StreamKey:
        """The stream key in ``token``; raises ``unauthenticated`` for anything that was not signed as one."""
        claims = _claims(token, "publish", self._signing_secret, ["sub", "gen"])
        generation: Any = claims.get("gen") if claims else None
        if claims is None or not isinstance(generation, int) or isinstance(generation, bool):
            raise RelayError("unauthenticated", "This stream key is not valid. Start the broadcast again to get one.")
        return StreamKey(stream_id=str(claims["sub"]), generation=generation)

    def _read_seat_key(self, token: str) -> StreamKey | None:
        """A guest's key, if ``token`` was signed as one; its audience is another, so that none passes for a host's."""
        claims = _claims(token, "seat", self._signing_secret, ["sub", "seat"])
        seat: Any = claims.get("seat") if claims else None
        if claims is None or not isinstance(seat, str) or not seat:
            return None
        return StreamKey(stream_id=str(claims["sub"]), generation=0, seat=seat)

    def check_playback(self, token: str, stream_id: str) -> None:
        """Raises ``unauthenticated`` for a bad or expired playback token, ``forbidden`` for another stream's."""
        known = self._verified.get(token)
        if known is None:
            claims = _claims(token, "play", self._playback_secret, ["sub", "exp"])
            if claims is None:
                raise RelayError("unauthenticated", "This playback address is not valid. Open the broadcast again.")
            known = (str(claims["sub"]), int(claims["exp"]))
            self._verified[token] = known
            if len(self._verified) > _TOKENS_KEPT_MAX:
                self._verified.popitem(last=False)
        subject, expires_s = known
        if time.time() >= expires_s:
            raise RelayError("unauthenticated", "This playback address has expired. Open the broadcast again.")
        if subject != stream_id:
            raise RelayError("forbidden", "This playback address belongs to another broadcast.")

    def check_origin(self, header: str | None) -> None:
        """Without a token only CloudFront may ask: its secret header; raises ``unauthenticated`` or ``forbidden``."""
        if not header:
            raise RelayError("unauthenticated", "A playback token is needed to watch. Open the broadcast in the app.")
        if not self._origin_secret or not hmac.compare_digest(header.encode(), self._origin_secret.encode()):
            raise RelayError("forbidden", "This origin has no right to read here.")


def _claims(token: str, audience: str, secret: str, required: list[str]) -> dict[str, Any] | None:
    """Claims of a token with a valid signature and audience; the caller checks expiry."""
    if len(token) > _TOKEN_BYTES_MAX:
        return None
    try:
        options: Any = {"require": required, "verify_exp": False}
        claims: dict[str, Any] = jwt.decode(token, secret, algorithms=[_ALGORITHM], audience=audience, options=options)
        int(claims.get("exp", 0))
    except (jwt.InvalidTokenError, ValueError, TypeError):
        return None
    return claims
