"""Lambda `Push`: brings a notice to the devices of those who want pushes, in their language, not in their quiet hours.

Each device gets a notice once: a mark stands before it is sent, and is taken back where the push service asks to wait,
so that the queue's next try sends it. A crash between mark and sending loses that push; the inbox has the notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from functions import aws, clock, observe, settings, storage
from functions.accounts import device_push, devices, markets, model, notice_choice, notices, web_push
from functions.accounts.devices import Device, DevicesItem
from functions.accounts.notice_choice import ChoiceItem
from functions.accounts.notices import Notice
from functions.accounts.table import PROFILE, ProfileItem, account_key, counted

# Three items each are read in one call, and as many posts as fit a run go out.
ACCOUNTS_MAX: Final = 25
POSTS_AT_ONCE: Final = 10
MARK_KEPT_S: Final = 24 * 3600
TITLE_LENGTH_MAX: Final = 200


class Order(Struct, frozen=True):
    """Bring this notice to these accounts' devices."""

    notice: Notice
    accounts: list[str]


class Payload(Struct, frozen=True):
    """What a device gets: the page shows it, and opens ``url`` on a click."""

    kind: str
    stream_id: str
    title: str
    body: str
    url: str


class Target(Struct, frozen=True):
    """A device, and what it gets."""

    account: str
    device: Device
    text: bytes


class LaterError(Exception):
    """Push services asked to wait: the queue brings the order again."""


def order(notice: Notice, account_ids: Sequence[str]) -> None:
    """Have it brought; again brings nothing twice."""
    for start in range(0, len(account_ids), ACCOUNTS_MAX):
        body = msgspec.json.encode(Order(notice, list(account_ids[start : start + ACCOUNTS_MAX]))).decode()
        aws.client("sqs").send_message(QueueUrl=settings.required("PUSH_QUEUE_URL"), MessageBody=body)


@observe.tracer.capture_lambda_handler(capture_response=False)
def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Do each; what fails is given back to the queue alone."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            bring(msgspec.json.decode(record["body"], type=Order))
        except LaterError as error:
            observe.logger.warning("pushes wait", why=str(error))
            failed.append({"itemIdentifier": record["messageId"]})
        except Exception as error:  # noqa: BLE001 - logged with its trace, tried again, and put aside in the end
            observe.logger.exception("pushes failed", exc_info=error)
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def bring(given: Order) -> int:
    """Send to every device that is to have it; returns how many were sent. Raises `LaterError` where some must wait."""
    targets = _targets(given)
    with ThreadPoolExecutor(POSTS_AT_ONCE) as threads:
        # Each thread in the caller's context: the settings are a context variable.
        runs = [threads.submit(copy_context().run, _one, given.notice, target) for target in targets]
        answers = [run.result() for run in runs]
    waiting = answers.count("later")
    if waiting:
        raise LaterError(f"{waiting} of {len(answers)}")
    return answers.count("sent")


def _one(notice: Notice, target: Target) -> web_push.Answer | Literal["known"]:
    mark = f"push#{notice.id}#{target.device.id}"
    if not notices.claim(target.account, mark, MARK_KEPT_S):
        return "known"
    answer = (web_push if target.device.kind == "web" else device_push).send(target.device, target.text)
    if answer == "later":
        notices.unclaim(target.account, mark)
    elif answer == "gone":
        for one in devices.remove(target.account, target.device.id):
            device_push.discard(one)
    elif answer == "refused":
        observe.logger.warning("push refused", device=target.device.id)
    return answer


def _targets(given: Order) -> list[Target]:
    keys: list[tuple[type[storage.StoredItem], str, str]] = []
    for one in given.accounts:
        pk = account_key(one)
        keys += [(ProfileItem, pk, PROFILE), (ChoiceItem, pk, notice_choice.CHOICE), (DevicesItem, pk, devices.DEVICES)]
    rows, found = storage.read_across(keys), list[Target]()
    for place in range(0, len(rows), 3):
        profile, choice, listed = rows[place : place + 3]
        account = counted([profile]) if isinstance(profile, ProfileItem) else None
        if account is None or not isinstance(listed, DevicesItem):
            continue
        chosen = notice_choice.decoded(choice if isinstance(choice, ChoiceItem) else None)
        market = markets.served().get(account.market)
        zone = market.time_zone if market is not None else "UTC"
        minor = model.is_minor(account, markets.today(account.market))
        way = chosen.way(given.notice.kind)
        if way.inbox and way.push and not notice_choice.is_quiet(chosen, clock.now_ms(), minor=minor, market_zone=zone):
            text = _text(given.notice, chosen.language)
            found += [Target(account.id, device, text) for device in devices.decoded(listed)]
    return found


def _text(notice: Notice, language: str) -> bytes:
    title = notices.title_of(notice, language)[:TITLE_LENGTH_MAX]
    return msgspec.json.encode(
        Payload(notice.kind, notice.stream_id, title, notice.title[:TITLE_LENGTH_MAX], notices.path_of(notice))
    )
