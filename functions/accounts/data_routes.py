"""HTTPS routes of one's data: everything that is held of an account, page by page, and its erasure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from chalice.app import Blueprint, Response
from msgspec import UNSET, UnsetType

from functions import aws, clock, parse, settings
from functions.accounts import blocks, codes, erasing, pool, record, standing, standing_views, table
from functions.accounts.table import account_key
from functions.accounts.work import Work, order
from functions.parse import Page
from functions.security import cognito
from functions.streams import table as streams
from functions.wallet import payout_routes, payout_table
from functions.wallet.payout_rules import Payout, TaxProfile

routes = Blueprint(__name__)

# What proves who one is says nothing about one: digests of codes stay out.
SECRET: Final = (codes.CODE_PREFIX, codes.RECOVERY)

Section = Callable[[str, str | None, int], tuple[list["Held"], str | None]]
# A row as its account may see it, None for what is not its to see.
Shown = Callable[[str, dict[str, Any]], "dict[str, Any] | None"]


class Held(msgspec.Struct, frozen=True):
    """One thing that is held: ``part`` says where, ``key`` what, ``content`` is as it is stored.

    What is not the account's own stays out: who blocks it, which operator decided, why a payout is looked at.
    """

    part: str
    key: str
    content: dict[str, Any]


class AccountExport(msgspec.Struct, frozen=True):
    """A page of everything held of an account, as of ``at``; without ``cursor`` it is the last."""

    at: str
    items: list[Held]
    cursor: str | UnsetType = UNSET


def _as_stored(_sk: str, row: dict[str, Any]) -> dict[str, Any] | None:
    return row


def _of_account(sk: str, row: dict[str, Any]) -> dict[str, Any] | None:
    if sk.startswith(SECRET):
        return None
    if sk.startswith(blocks.BLOCK_PREFIX):
        return {"mine_ms": row["mine_ms"]} if row.get("mine_ms") else None
    if sk.startswith(record.ENTRY_PREFIX):
        entry = msgspec.json.decode(row["entry"], type=standing.Entry)
        return _builtins(standing_views.entry(entry, clock.now_ms(), to_operators=False))
    return row


def _of_payouts(sk: str, row: dict[str, Any]) -> dict[str, Any] | None:
    if sk.startswith(payout_table.PAYOUT_PREFIX):
        return _builtins(payout_routes.answer(msgspec.json.decode(row["content"], type=Payout)))
    # The number itself is sealed, and no function opens it.
    payee = _builtins(msgspec.json.decode(row["content"], type=TaxProfile))
    return {name: value for name, value in payee.items() if name != "identifier"}


def _builtins(view: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(view)
    return found


def _partition(part: str, setting: str, key: Callable[[str], str], shown: Shown = _as_stored) -> Section:
    """Everything in one partition of a table."""

    def section(account_id: str, after: str | None, limit: int) -> tuple[list[Held], str | None]:
        pk = key(account_id)
        request: dict[str, Any] = {
            "TableName": settings.required(setting),
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "Limit": limit,
        }
        if after is not None:
            request["ExclusiveStartKey"] = {"pk": {"S": pk}, "sk": {"S": after}}
        answer: dict[str, Any] = aws.client("dynamodb").query(**request)
        rows = [_plain(row) for row in answer["Items"]]
        items: list[Held] = []
        for row in rows:
            sk = str(row["sk"])
            content = shown(sk, {name: value for name, value in row.items() if name not in ("pk", "sk")})
            if content is not None:
                items.append(Held(part, sk, content))
        last: Any = answer.get("LastEvaluatedKey")
        return items, str(last["sk"]["S"]) if last is not None else None

    return section


def _streams(account_id: str, after: str | None, limit: int) -> tuple[list[Held], str | None]:
    ids = sorted(streams.list_of_host(account_id))
    waiting = [one for one in ids if after is None or one > after][:limit]
    found = streams.read_many(waiting) if waiting else {}
    items = [Held("streams", one, msgspec.to_builtins(found[one])) for one in waiting if one in found]
    return items, waiting[-1] if waiting and waiting[-1] != ids[-1] else None


SECTIONS: Final[Mapping[str, Section]] = {
    "account": _partition("account", "ACCOUNTS_TABLE", account_key, _of_account),
    "streams": _streams,
    "wallet": _partition("wallet", "LEDGER_TABLE", lambda account_id: f"wallet#{account_id}"),
    "payouts": _partition("payouts", "LEDGER_TABLE", payout_table.partition, _of_payouts),
    "rooms": _partition("rooms", "ROOMS_TABLE", account_key),
}


@routes.route("/me/export", methods=["GET"], authorizer=cognito)
def export() -> AccountExport:
    """Everything held of one's account: itself and whom it follows, its streams, wallet, payouts and open rooms."""
    request = routes.current_request
    me = parse.identity(request)
    page = parse.query(request, Page)
    table.required(me.account)
    place = parse.cursor(page.cursor, parts=2)
    names = list(SECTIONS)
    if place and place[0] not in names:
        raise parse.refused("cursor", "This cursor is not one of ours. Start the list from the beginning.")
    name, after = (place[0], place[1].removeprefix(">") or None) if place else (names[0], None)
    items, more = SECTIONS[name](me.account, after, page.limit)
    following = names[names.index(name) + 1 :]
    cursor: str | UnsetType = UNSET
    if more is not None:
        cursor = parse.make_cursor(name, f">{more}")
    elif following:
        cursor = parse.make_cursor(following[0], ">")
    return AccountExport(clock.rfc3339(clock.now_ms()), items, cursor)


@routes.route("/me", methods=["DELETE"], authorizer=cognito)
def erase() -> Response:
    """Erase one's account: gone for everyone at once, its traces within a day. Again changes nothing."""
    me = parse.identity(routes.current_request)
    erasing.begin(me.account, me.handle)
    pool.sign_out_everywhere(me.handle)
    order(Work("erase", account=me.account))
    return Response({}, status_code=202)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(typed: dict[str, Any]) -> Any:
    ((kind, value),) = typed.items()
    if kind == "N":
        number = float(value)
        return int(number) if number.is_integer() else number
    if kind == "M":
        return _plain(value)
    if kind == "L":
        return [_value(one) for one in value]
    if kind in ("SS", "NS"):
        return sorted(value)
    if kind == "NULL":
        return None
    return value if kind in ("S", "BOOL") else str(value)
