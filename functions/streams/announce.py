"""Lambda `Announce`: tells everyone who wants to know of a stream, in pages and batches of the Notices queue.

A page message reads up to `PAGE` followers (or accounts with a reminder), orders a batch for each `BATCH` of them, then
the page after it. A batch tells those who may and want to know. What concerns a few accounts comes as `Tell`, with its
notice whole. Each message may come twice or crash midway: the same notice has the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from functions import aws, clock, observe, settings
from functions.accounts import follows, reminders, telling
from functions.accounts.notices import Notice
from functions.accounts.telling import Tell
from functions.streams import table
from functions.streams.model import REMIND_AHEAD_MS, Stream

# A page's entries are about 130 bytes each: within the 1 MB that one Query reads.
PAGE: Final = 1_000
BATCH: Final = 100
# SendMessageBatch takes ten.
ORDERED_AT_ONCE: Final = 10
# Nobody is told of a stream that has run for so long already: a queue that stood still must not wake people later.
LATE_MS: Final = 3_600_000

News = Literal["go_live", "reminder"]
Whom = Literal["followers", "reminders"]


class Page(Struct, frozen=True, tag="page"):
    """Followers of the stream's host, or accounts that asked to be reminded of it, after this one."""

    stream: str
    after: str | None = None
    news: News = "go_live"
    whom: Whom = "followers"


class Batch(Struct, frozen=True, tag="batch"):
    """These accounts."""

    stream: str
    accounts: list[str]
    news: News = "go_live"


Message = Page | Batch | Tell


def order(stream: Stream) -> None:
    """Have everyone told that a stream is live, once media flows; ordering it again tells nobody twice."""
    _send([Page(stream.id), Page(stream.id, whom="reminders")])


def order_reminder(stream: Stream) -> None:
    """Have those who asked for it told that a stream is about to start; ordering it again tells nobody twice."""
    _send([Page(stream.id, news="reminder", whom="reminders")])


def _send(messages: Sequence[Message]) -> None:
    url = settings.required("NOTICES_QUEUE_URL")
    for start in range(0, len(messages), ORDERED_AT_ONCE):
        entries = [
            {"Id": str(place), "MessageBody": msgspec.json.encode(one).decode()}
            for place, one in enumerate(messages[start : start + ORDERED_AT_ONCE])
        ]
        answer = aws.client("sqs").send_message_batch(QueueUrl=url, Entries=entries)
        if answer.get("Failed"):
            raise NotOrderedError(f"{len(answer['Failed'])} of {len(entries)}")


class NotOrderedError(Exception):
    """The queue did not take every message: whoever ordered comes again."""


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Do each; what fails is given back to the queue alone."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            _do(msgspec.json.decode(record["body"], type=Message))
        except Exception as error:  # noqa: BLE001 - logged with its trace, tried again, and put aside in the end
            observe.logger.exception("notices not told", exc_info=error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _do(message: Message) -> None:
    if isinstance(message, Tell):
        telling.tell(message.notice, telling.receivers(message.notice, message.accounts))
        return
    stream = table.read(message.stream)
    if stream is None or not is_news(stream, message.news, clock.now_ms()):
        observe.logger.info("no news any more", stream=message.stream)
        return
    if isinstance(message, Page):
        _page(stream, message)
        return
    notice = go_live_notice(stream) if message.news == "go_live" else reminder_notice(stream)
    # A reminder outlives a follow; whom the broadcast is for is decided now.
    followers = stream.audience == "followers"
    found = telling.receivers(notice, message.accounts, min_age=stream.min_age, followers=followers)
    telling.tell(notice, found)


def _page(stream: Stream, page: Page) -> None:
    if page.whom == "followers":
        found, more = follows.listed(stream.host.id, "follower", page.after, PAGE)
    else:
        found, more = reminders.listed(stream.id, page.after, PAGE)
    batches = [Batch(stream.id, found[start : start + BATCH], page.news) for start in range(0, len(found), BATCH)]
    # The next page last: a crash before it does this page again, and loses none.
    if batches:
        _send(batches)
    if more is not None:
        _send([Page(stream.id, more, page.news, page.whom)])


def is_news(stream: Stream, news: News, now_ms: int) -> bool:
    """Whether people are to be told of it now."""
    if stream.audience == "members":
        return False
    if news == "reminder":
        at_ms = stream.scheduled_ms
        return stream.state == "scheduled" and at_ms is not None and at_ms - REMIND_AHEAD_MS <= now_ms < at_ms
    if stream.state != "live" or not stream.flowed or stream.started_ms is None:
        return False
    return now_ms - stream.started_ms < LATE_MS


def go_live_notice(stream: Stream) -> Notice:
    """The one notice of a stream that is live: of the same time and name however often it is made."""
    return _of_host(stream, "go_live", stream.started_ms or 0, f"go_live.{stream.id}")


def reminder_notice(stream: Stream) -> Notice:
    """The one notice of a stream that starts soon; another once it is put off."""
    at_ms = (stream.scheduled_ms or 0) - REMIND_AHEAD_MS
    return _of_host(stream, "reminder", at_ms, f"reminder.{stream.id}")


def _of_host(stream: Stream, news: News, at_ms: int, event: str) -> Notice:
    host = stream.host
    return Notice(news, at_ms, stream.id, event, host.id, host.handle, host.display_name, stream.title)
