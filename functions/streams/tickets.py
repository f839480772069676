"""Tickets: who may open a room and play its media, decided once here and signed."""

from __future__ import annotations

from functions import clock, ids, settings, tokens
from functions.accounts import model as accounts_model
from functions.accounts import table as accounts
from functions.accounts.model import Account
from functions.errors import OnairError
from functions.parse import Identity
from functions.rooms import table as rooms
from functions.streams import table
from functions.streams.model import Role, Stream
from functions.streams.views import Ticket


def issue(stream_id: str, identity: Identity | None) -> Ticket:
    """A ticket to a live stream for ``identity``, or for a visitor where the audience is everyone.

    Raises
    ------
    OnairError
        ``not_found``, ``not_live``, ``unauthenticated`` (sign in to watch this one), ``suspended``, ``banned`` (of
        Onair, or of this room), ``age_restricted``, ``followers_only``.
    """
    stream = table.required(stream_id)
    if stream.state != "live":
        ended = stream.state == "ended"
        raise OnairError("not_live", "This broadcast has ended." if ended else "This broadcast has not started yet.")
    role, account = admit(stream, identity)
    member = rooms.read_member(stream_id, account.id) if account is not None else None
    if member is not None:
        if member.banned:
            raise OnairError("banned")
        role = member.role(role)
    return _signed(stream, account.id if account else f"visitor-{ids.nonce()}", role, account)


def admit(stream: Stream, identity: Identity | None) -> tuple[Role, Account | None]:
    """As what ``identity`` may see this stream, live or not, and its account; raises as `issue` for who may not."""
    if identity is None:
        if stream.audience != "everyone" or stream.min_age > 0:
            raise OnairError("unauthenticated", "Sign in to watch this broadcast.")
        return "visitor", None
    account = accounts.required(identity.account)
    role: Role = "host" if account.id == stream.host.id else "viewer"
    _check(stream, account, role)
    return role, account


def _check(stream: Stream, account: Account, role: Role) -> None:
    if account.standing == "banned":
        raise OnairError("banned", "This account is banned.")
    if account.standing == "suspended":
        raise OnairError("suspended")
    if role == "host":
        return
    today = clock.today_utc(clock.now_ms())
    if accounts_model.age_years(account.birth_date, today) < stream.min_age:
        raise OnairError("age_restricted", details={"needed": stream.min_age})
    if stream.audience == "followers" and not accounts.follows(account.id, stream.host.id):
        raise OnairError("followers_only", "Only followers can watch this broadcast. Follow the host to join in.")


def _signed(stream: Stream, subject: str, role: Role, account: Account | None) -> Ticket:
    ticket, expires_ms = tokens.sign_ticket(
        {
            "sub": subject,
            "jti": ids.nonce(),
            "stream": stream.id,
            "host": stream.host.id,
            "role": role,
            "handle": account.handle if account else "",
            "name": account.display_name if account else "",
            "badges": list(account.badges) if account else [],
            # What a gift is allowed by, so that sending one reads no account.
            "market": account.market if account else "",
            "age": accounts_model.age_years(account.birth_date, clock.today_utc(clock.now_ms())) if account else 0,
            "created": account.created_ms if account else 0,
        }
    )
    playback, playback_expires_ms = tokens.playback_token(stream.id)
    return Ticket(
        socket_url=f"{settings.required('SOCKET_URL')}?ticket={ticket}",
        role=role,
        expires_at=clock.rfc3339(expires_ms),
        playback_url=f"{settings.required('PLAYBACK_URL')}/live/{playback}/{stream.id}/index.m3u8",
        playback_expires_at=clock.rfc3339(playback_expires_ms),
    )
