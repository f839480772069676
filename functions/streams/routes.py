"""HTTPS routes of streams: make, change, start, take over, end, ticket, feed."""

from __future__ import annotations

from datetime import datetime

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET

from functions import clock, ids, messages, parse
from functions.accounts import blocks, eligibility, reminders
from functions.accounts import table as accounts
from functions.errors import OnairError
from functions.parse import Identity, Page
from functions.rooms import table as rooms
from functions.security import cognito
from functions.streams import feed, forgetting, life, model, shares, table, tickets, views
from functions.streams.model import ENDED_BY_HOST, Stream, Summary, feed_key

routes = Blueprint(__name__)


def _language() -> str:
    return messages.language(routes.current_request.headers.get("accept-language"))


def _title(value: str) -> str:
    return parse.text("title", value, minimum=1, maximum=model.TITLE_LENGTH_MAX)


def _topics(values: list[str]) -> tuple[str, ...]:
    topics = [
        parse.text(f"topics[{at}]", value, minimum=1, maximum=model.TOPIC_LENGTH_MAX) for at, value in enumerate(values)
    ]
    return tuple(dict.fromkeys(topics))


def _partner(value: str | None) -> str | None:
    if value is None:
        return None
    return parse.text("paid_partnership", value, minimum=1, maximum=model.PAID_PARTNERSHIP_LENGTH_MAX)


def _audience(value: model.Audience) -> model.Audience:
    if value == "members":
        raise parse.refused("audience", "There are no memberships yet: choose `everyone` or `followers`.")
    return value


def _scheduled_ms(value: datetime | None) -> int | None:
    if value is None:
        return None
    at_ms, now_ms = table.schedule_ms(value), clock.now_ms()
    if not now_ms < at_ms <= now_ms + model.SCHEDULE_AHEAD_MS_MAX:
        raise parse.refused("scheduled_for", "`scheduled_for` lies in the future, at most 90 days ahead.")
    return at_ms


def _own(stream_id: str, me: Identity) -> Stream:
    stream = table.required(stream_id)
    if stream.host.id != me.account:
        # What nobody else knows of yet is not there for them.
        raise OnairError("not_found" if stream.state == "ready" else "forbidden")
    return stream


@routes.route("/streams", methods=["POST"], authorizer=cognito)
def create_stream() -> Response:
    """Make a stream, ready to start or scheduled."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, views.NewStream)
    key = parse.idempotency_key(request)
    stream_id = ids.derived("stream", me.account, key) if key is not None else ids.new()
    content = parse.fingerprint(given)
    if key is not None:
        before = table.read(stream_id)
        if before is not None:
            # Made already: the rules of the day it was made stand, and a date that was ahead then may be past now.
            if before.request != content:
                raise OnairError("id_reused", field="Idempotency-Key")
            return Response(views.view(before), status_code=201)
    title, topics = _title(given.title), _topics(given.topics)
    audience, partner = _audience(given.audience), _partner(given.paid_partnership)
    scheduled_ms = _scheduled_ms(given.scheduled_for)
    account = accounts.required(me.account)
    eligibility.guard(account, given.devices, _language())
    state: model.State = "ready" if scheduled_ms is None else "scheduled"
    stream = Stream(
        id=stream_id,
        host=life.host_of(account),
        title=title,
        topics=topics,
        state=state,
        audience=audience,
        created_ms=clock.now_ms(),
        request=content,
        min_age=given.min_age,
        replay=given.replay,
        paid_partnership=partner,
        scheduled_ms=scheduled_ms,
        feed_key=feed_key(state, "waiting", False, audience),
    )
    return Response(views.view(table.create(stream)), status_code=201)


@routes.route("/streams/{stream_id}", methods=["GET"], authorizer=cognito)
def read_stream(stream_id: str) -> views.StreamView:
    """One stream; what is not announced yet only its host sees."""
    me = parse.identity(routes.current_request)
    stream = table.required(stream_id)
    if stream.state == "ready" and stream.host.id != me.account:
        raise OnairError("not_found")
    if blocks.between(me.account, stream.host.id):
        raise OnairError("blocked")
    viewers = rooms.read_viewers([stream.id]).get(stream.id, 0) if stream.state == "live" else 0
    shown = views.view(stream, viewers)
    if stream.host.id == me.account:
        shown = views.for_host(shown, stream)
    if stream.state != "scheduled":
        return shown
    return msgspec.structs.replace(shown, reminder=bool(reminders.has_among(me.account, [stream.id])))


@routes.route("/streams/{stream_id}", methods=["PATCH"], authorizer=cognito)
def change_stream(stream_id: str) -> views.StreamView:
    """Change a stream that has not started; of a recording, to whom it is shown."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, views.StreamChange)
    stream = _own(stream_id, me)
    if stream.state == "ended" and stream.replay_s and given == views.StreamChange(replay=given.replay):
        return views.view(stream if given.replay is UNSET else table.show_replay(stream.id, given.replay))
    if stream.state not in ("ready", "scheduled"):
        raise OnairError("conflict", "A broadcast can be changed only before it starts.")
    if given.title is not UNSET:
        stream = msgspec.structs.replace(stream, title=_title(given.title))
    if given.topics is not UNSET:
        stream = msgspec.structs.replace(stream, topics=_topics(given.topics))
    if given.audience is not UNSET:
        stream = msgspec.structs.replace(stream, audience=_audience(given.audience))
    if given.min_age is not UNSET:
        stream = msgspec.structs.replace(stream, min_age=given.min_age)
    if given.replay is not UNSET:
        stream = msgspec.structs.replace(stream, replay=given.replay)
    if given.paid_partnership is not UNSET:
        stream = msgspec.structs.replace(stream, paid_partnership=_partner(given.paid_partnership))
    if given.scheduled_for is not UNSET:
        at_ms = _scheduled_ms(given.scheduled_for)
        stream = msgspec.structs.replace(stream, scheduled_ms=at_ms, state="ready" if at_ms is None else "scheduled")
    changed = msgspec.structs.replace(stream, feed_key=feed_key(stream.state, "waiting", False, stream.audience))
    return views.view(table.change(changed))


@routes.route("/streams/{stream_id}", methods=["DELETE"], authorizer=cognito)
def delete_stream(stream_id: str) -> None:
    """Delete a stream that is not live, and with it its recording and its room."""
    stream = _own(stream_id, parse.identity(routes.current_request))
    if not model.deletable(stream):
        raise OnairError("conflict", "End this broadcast before you delete it.")
    if stream.started_ms is not None:
        forgetting.order(stream.id)
    table.delete(stream.id)


@routes.route("/streams/{stream_id}/start", methods=["POST"], authorizer=cognito)
def start_stream(stream_id: str) -> views.StreamView:
    """Go live; again by the host while live: the same answer."""
    request = routes.current_request
    me = parse.identity(request)
    given = parse.body(request, views.StartStream)
    stream = _own(stream_id, me)
    account = accounts.required(me.account)
    eligibility.guard(account, given.devices, _language())
    live = life.start(stream, account)
    return msgspec.structs.replace(views.view(live), publish=views.publish(live))


@routes.route("/streams/{stream_id}/publish", methods=["POST"], authorizer=cognito)
def publish_stream(stream_id: str) -> views.Publish:
    """A new stream key for the host; the old one is revoked and its publisher replaced."""
    request = routes.current_request
    me = parse.identity(request)
    key = parse.idempotency_key(request)
    stream = _own(stream_id, me)
    return views.publish(life.take_over(stream, ids.derived("publish", key) if key is not None else None))


@routes.route("/streams/{stream_id}/end", methods=["POST"], authorizer=cognito)
def end_stream(stream_id: str) -> Summary:
    """End the broadcast; the same summary again when repeated."""
    stream = _own(stream_id, parse.identity(routes.current_request))
    return life.stored_summary(life.end(stream, ENDED_BY_HOST))


@routes.route("/streams/{stream_id}/ticket", methods=["POST"])
def create_ticket(stream_id: str) -> views.Ticket:
    """The right to open the room's socket and to play its media; ``via`` is the shared link that led here."""
    request = routes.current_request
    asked, identity = parse.query(request, views.TicketQuery), parse.optional_identity(request)
    ticket = tickets.issue(stream_id, identity)
    if asked.via is not None and identity is not None:
        shares.arrive(asked.via, stream_id, identity.account)
    return ticket


@routes.route("/streams/{stream_id}/replay", methods=["GET"])
def read_replay(stream_id: str) -> views.ReplayRight:
    """The right to play the recording; open where the broadcast was for everyone and its replay is public."""
    return tickets.issue_replay(stream_id, parse.optional_identity(routes.current_request))


@routes.route("/streams/{stream_id}/replay/download", methods=["POST"], authorizer=cognito)
def download_replay(stream_id: str) -> views.DownloadRight:
    """The recording as files for its host: made on the first call, and told once they are there."""
    return tickets.issue_download(_own(stream_id, parse.identity(routes.current_request)))


@routes.route("/feed/for-you", methods=["GET"], authorizer=cognito)
def read_for_you() -> views.Streams:
    """What is live."""
    request = routes.current_request
    me = parse.identity(request)
    return feed.for_you(me.account, parse.query(request, Page))


@routes.route("/feed/following", methods=["GET"], authorizer=cognito)
def read_following() -> views.Streams:
    """What is live of those one follows."""
    request = routes.current_request
    me = parse.identity(request)
    return feed.following(me.account, parse.query(request, Page))


@routes.route("/feed/upcoming", methods=["GET"], authorizer=cognito)
def read_upcoming() -> views.Streams:
    """What is announced."""
    request = routes.current_request
    me = parse.identity(request)
    return feed.upcoming(me.account, parse.query(request, Page))
