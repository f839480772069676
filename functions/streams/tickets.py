"""Tickets: who may open a room and play its media, decided once here and signed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from functions import clock, ids, settings, storage, tokens
from functions.accounts import blocks, markets, showing, shut_out
from functions.accounts import model as accounts_model
from functions.accounts import table as accounts
from functions.accounts.blocks import BlockItem, block_key
from functions.accounts.follows import FollowItem
from functions.accounts.model import Account
from functions.accounts.table import PROFILE, ProfileItem, account_key
from functions.errors import OnairError
from functions.parse import Identity
from functions.rooms.items import MEMBER_PREFIX, MemberItem, room_key
from functions.rooms.model import Member
from functions.storage import StoredItem
from functions.streams import download, table
from functions.streams.model import Role, Stream, is_hidden, may_have_recording, replay_expires_ms
from functions.streams.recording import PLAYLIST, STORYBOARD
from functions.streams.views import DownloadRight, FileView, ReplayRight, Ticket, view

NO_REPLAY: Final = "There is no replay of this broadcast."


def issue(stream_id: str, identity: Identity | None) -> Ticket:
    """A ticket to a live stream for ``identity``, or for a visitor where the audience is everyone.

    Raises
    ------
    OnairError
        ``not_found``, ``not_live``, ``unauthenticated`` (sign in to watch this one), ``suspended``, ``banned`` (of
        Onair, or of this room), ``blocked``, ``age_restricted``, ``followers_only``.
    """
    stream = table.required(stream_id)
    if stream.state != "live":
        ended = stream.state == "ended"
        raise OnairError("not_live", "This broadcast has ended." if ended else "This broadcast has not started yet.")
    found = _admitted(stream, identity)
    account = found.account
    role = found.role if found.member is None else found.member.role(found.role)
    return _signed(stream, account.id if account else f"visitor-{ids.nonce()}", role, account)


def admit(stream: Stream, identity: Identity | None) -> tuple[Role, Account | None]:
    """As what ``identity`` may see this stream, live or not, and its account; raises as `issue` for who may not.

    What was said in a broadcast that has ended is for those who may watch it again.
    """
    found = _admitted_again(stream, identity) if stream.state == "ended" else _admitted(stream, identity)
    if is_hidden(stream) and found.role != "host":
        raise OnairError("not_found", NO_REPLAY)
    return found.role, found.account


def _as_replayed(stream: Stream) -> Stream:
    """The stream with the audience of its replay, which may be smaller than the one it was live for."""
    return replace(stream, audience="followers") if stream.replay == "followers" else stream


def issue_replay(stream_id: str, identity: Identity | None) -> ReplayRight:
    """The right to play the recording of a broadcast: who might watch it live, and for followers where it says so.

    Raises
    ------
    OnairError
        As `issue`; ``forbidden`` for a private account that one does not follow; ``conflict`` before its end,
        ``unavailable`` while it is put together, ``not_found`` without one, or whose host is shut out of Onair.
    """
    stream = table.required(stream_id)
    found = _admitted_again(stream, identity)
    if found.member is not None and found.member.banned:
        raise OnairError("banned")
    if is_hidden(stream) and found.role != "host":
        raise OnairError("not_found", NO_REPLAY)
    duration_s = _recorded_s(stream)
    place, until_ms = _place(stream)
    account = found.account
    return ReplayRight(
        stream=view(stream),
        playback_url=f"{place}/{PLAYLIST}",
        playback_expires_at=clock.rfc3339(until_ms),
        duration_s=duration_s,
        storyboard_url=f"{place}/{STORYBOARD}",
        hidden=_hidden(account),
    )


def issue_download(stream: Stream) -> DownloadRight:
    """The right of the host to keep the recording; its files are ordered where they were not made of all of it yet.

    Raises
    ------
    OnairError
        ``conflict`` before its end, ``unavailable`` while the replay is put together, ``not_found`` without one.
    """
    duration_s = _recorded_s(stream)
    place, until_ms = _place(stream)
    until = clock.rfc3339(until_ms)
    if stream.download is None or stream.download.of_ms != round(duration_s * 1000):
        download.order(stream)
        return DownloadRight("preparing", until)
    files = [FileView(f"{place}/{file.name}", file.bytes, file.duration_s) for file in stream.download.files]
    return DownloadRight("ready", until, tuple(files))


def _recorded_s(stream: Stream) -> float:
    """How long the replay plays that there is now."""
    if stream.state != "ended":
        raise OnairError("conflict", "This broadcast has not ended yet.")
    if stream.replay_s is None and may_have_recording(stream):
        raise OnairError("unavailable", "The replay is being prepared. Try again in a minute.", retry_after_ms=5_000)
    if not stream.replay_s or clock.now_ms() >= expires_ms(stream):
        raise OnairError("not_found", NO_REPLAY)
    return stream.replay_s


def expires_ms(stream: Stream) -> int:
    """Until when the recording of a stream is kept whole, in ms since the epoch."""
    return replay_expires_ms(stream, int(settings.required("REPLAY_DAYS")))


def playable(streams: Sequence[Stream], account: Account, *, follows: bool) -> list[Stream]:
    """Those recordings of one host that ``account``, behind no block, may play (one read; at most 100)."""
    shown = [stream for stream in streams if not is_hidden(stream) and _admits(stream, account, follows)]
    if not shown:
        return []
    wanted = [(MemberItem, room_key(stream.id), f"{MEMBER_PREFIX}{account.id}") for stream in shown]
    members = storage.read_across(wanted)
    return [
        stream for stream, member in zip(shown, members, strict=True) if member is None or not member.to_member().banned
    ]


def _admits(stream: Stream, account: Account, follows: bool) -> bool:
    try:
        _check(_as_replayed(stream), account, "viewer", follows=follows, blocked=False)
    except OnairError:
        return False
    return True


def picture_url(stream: Stream) -> str | None:
    """The first picture of a recording, for whoever may play it."""
    return None if stream.replay_picture is None else f"{_place(stream)[0]}/{stream.replay_picture}"


def _place(stream: Stream) -> tuple[str, int]:
    """The address below which a recording is, with the right to it, and until when that holds in ms."""
    token, until_ms = tokens.replay_token(stream.id)
    return f"{settings.required('WEB_URL')}/replay/{token}/{stream.id}", until_ms


def _hidden(account: Account | None) -> tuple[str, ...]:
    return tuple(sorted(blocks.hidden_from(account.id))) if account is not None and account.has_blocks else ()


class _Admitted(Struct, frozen=True):
    role: Role
    account: Account | None = None
    member: Member | None = None
    follows: bool = False
    # The host's account; nothing where it was not asked for, or is gone.
    host: Account | None = None


def _admitted_again(stream: Stream, identity: Identity | None) -> _Admitted:
    """The same for a broadcast that is over: it is shown as its host's account is now, which may have changed since.

    While one is live that is not asked: whoever is shut out is ended (accounts/enforce.py).
    """
    found = _admitted(_as_replayed(stream), identity, with_host=True)
    if found.role == "host":
        return found
    host = found.host
    if host is None or host.standing in ("suspended", "banned"):
        raise OnairError("not_found", NO_REPLAY)
    if not found.follows and accounts_model.is_private(host, clock.today_utc(clock.now_ms())):
        if identity is None:
            raise OnairError("unauthenticated", "This account is private. Sign in to see this if you follow it.")
        raise OnairError("forbidden", showing.PRIVATE)
    return found


def _admitted(stream: Stream, identity: Identity | None, *, with_host: bool = False) -> _Admitted:
    """Who comes, and what they are in the room: account, block, follow and member in one read, whatever is asked.

    ``with_host``: the host's account as well, in the same read; for a visitor that is the only one.
    """
    hosts: list[tuple[type[StoredItem], str, str]] = []
    if with_host:
        hosts.append((ProfileItem, account_key(stream.host.id), PROFILE))
    if identity is None:
        if stream.audience != "everyone" or stream.min_age > 0:
            raise OnairError("unauthenticated", "Sign in to watch this broadcast.")
        return _Admitted("visitor", host=_account(storage.read_across(hosts)[0]) if hosts else None)
    me = account_key(identity.account)
    wanted: list[tuple[type[StoredItem], str, str]] = [
        (ProfileItem, me, PROFILE),
        (BlockItem, me, block_key(stream.host.id)),
        (FollowItem, me, f"follows#{stream.host.id}"),
        (MemberItem, room_key(stream.id), f"{MEMBER_PREFIX}{identity.account}"),
    ]
    own = identity.account == stream.host.id
    profile, block, follow, member, *host = storage.read_across(wanted if own else wanted + hosts)
    account = _account(profile)
    if account is None:
        raise OnairError("unauthenticated")
    role: Role = "host" if account.id == stream.host.id else "viewer"
    _check(stream, account, role, follows=follow is not None, blocked=block is not None)
    found = member.to_member() if isinstance(member, MemberItem) else None
    if found is not None and found.banned:
        # At every door: whoever may not enter the room reads neither its frames nor its questions.
        raise OnairError("banned")
    return _Admitted(role, account, found, follow is not None, _account(host[0]) if host else None)


def _account(profile: StoredItem | None) -> Account | None:
    return accounts.counted([profile]) if isinstance(profile, ProfileItem) else None


def _check(stream: Stream, account: Account, role: Role, *, follows: bool, blocked: bool) -> None:
    if account.standing == "banned":
        raise OnairError("banned", shut_out.BANNED)
    if account.standing == "suspended":
        raise OnairError("suspended")
    if role == "host":
        return
    if blocked:
        raise OnairError("blocked")
    if _age(account) < stream.min_age:
        raise OnairError("age_restricted", details={"needed": stream.min_age})
    if stream.audience == "followers" and not follows:
        raise OnairError("followers_only", "Only followers can watch this broadcast. Follow the host to join in.")


def _age(account: Account) -> int:
    return accounts_model.age_years(account.birth_date, markets.today(account.market))


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
            "age": _age(account) if account else 0,
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
        hidden=_hidden(account),
    )
