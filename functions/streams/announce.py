"""Lambda `Announce`: tells everyone who wants to know of a stream, in pages and batches of the Notices queue.

A page message reads up to `PAGE` followers, orders a batch for each `BATCH` of them, then the page after it. A batch
tells those who may and want to know. Each message may come twice or crash midway: the same notice has the same key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from functions import aws, clock, observe, settings, storage
from functions.accounts import devices, follows, model, notice_choice, notices, push
from functions.accounts.blocks import BlockItem, block_key
from functions.accounts.devices import DevicesItem
from functions.accounts.model import Account
from functions.accounts.notice_choice import ChoiceItem, Preferences
from functions.accounts.notices import Notice
from functions.accounts.table import PROFILE, ProfileItem, account_key, counted
from functions.streams import table
from functions.streams.model import Stream

# A page's entries are about 130 bytes each: within the 1 MB that one Query reads.
PAGE: Final = 1_000
# Four items an account are read, a hundred at a time.
BATCH: Final = 100
READ_AT_ONCE: Final = 25
# SendMessageBatch takes ten.
ORDERED_AT_ONCE: Final = 10
# Nobody is told of a stream that has run for so long already: a queue that stood still must not wake people later.
LATE_MS: Final = 3_600_000


class Page(Struct, frozen=True, tag="page"):
    """Followers of the stream's host after this one."""

    stream: str
    after: str | None = None


class Batch(Struct, frozen=True, tag="batch"):
    """These accounts."""

    stream: str
    accounts: list[str]


Message = Page | Batch


def order(stream: Stream) -> None:
    """Have everyone told that a stream is live, once media flows; ordering it again tells nobody twice."""
    _send([Page(stream.id)])


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
    stream = table.read(message.stream)
    if stream is None or not is_news(stream, clock.now_ms()):
        observe.logger.info("no news any more", stream=message.stream)
        return
    if isinstance(message, Page):
        _page(stream, message.after)
    else:
        notice = go_live_notice(stream)
        told = [one for one in _receivers(stream, message.accounts) if one.choice.way(notice.kind).inbox]
        notices.put_many([one.account.id for one in told], notice)
        push.order(notice, [one.account.id for one in told if one.devices and one.choice.way(notice.kind).push])


def _page(stream: Stream, after: str | None) -> None:
    found, more = follows.listed(stream.host.id, "follower", after, PAGE)
    batches = [Batch(stream.id, found[start : start + BATCH]) for start in range(0, len(found), BATCH)]
    # The next page last: a crash before it does this page again, and loses none.
    _send(batches)
    if more is not None:
        _send([Page(stream.id, more)])


def is_news(stream: Stream, now_ms: int) -> bool:
    """Whether followers are to be told of it now."""
    if stream.state != "live" or not stream.flowed or stream.started_ms is None or stream.audience == "members":
        return False
    return now_ms - stream.started_ms < LATE_MS


def go_live_notice(stream: Stream) -> Notice:
    """The one notice of a stream that is live: of the same time and name however often it is made."""
    host = stream.host
    return Notice(
        kind="go_live",
        at_ms=stream.started_ms or 0,
        stream_id=stream.id,
        event_id=f"go_live.{stream.id}",
        account=host.id,
        handle=host.handle,
        name=host.display_name,
        title=stream.title,
    )


class Receiver(Struct, frozen=True):
    """Someone who may know of the stream."""

    account: Account
    choice: Preferences
    devices: bool


def _receivers(stream: Stream, account_ids: Sequence[str]) -> list[Receiver]:
    """Those who may watch: here, not shut out of Onair, old enough, and no block between them and the host."""
    found: list[Receiver] = []
    today = clock.today_utc(clock.now_ms())
    for start in range(0, len(account_ids), READ_AT_ONCE):
        some = account_ids[start : start + READ_AT_ONCE]
        keys: list[tuple[type[storage.StoredItem], str, str]] = []
        for one in some:
            pk = account_key(one)
            keys += [
                (ProfileItem, pk, PROFILE),
                (ChoiceItem, pk, notice_choice.CHOICE),
                (BlockItem, pk, block_key(stream.host.id)),
                (DevicesItem, pk, devices.DEVICES),
            ]
        rows = storage.read_across(keys)
        for place in range(0, len(rows), 4):
            profile, choice, block, listed = rows[place : place + 4]
            account = counted([profile]) if isinstance(profile, ProfileItem) else None
            if account is None or block is not None or account.standing in ("suspended", "banned"):
                continue
            if model.age_years(account.birth_date, today) < stream.min_age:
                continue
            chosen = notice_choice.decoded(choice if isinstance(choice, ChoiceItem) else None)
            found.append(Receiver(account, chosen, listed is not None))
    return found
