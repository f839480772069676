"""A creator on the local stack: earns by a gift, says where to pay, asks for payouts; an operator decides on one."""

from __future__ import annotations

import json
from typing import Any

from functions import aws
from functions.security import OPERATORS
from local.testing import PASSWORD, Onair, wait_until

PAYEE = {"country": "US", "form": "W-9", "certified": True, "identifier": "123-45-6789"}


def earn(onair: Onair, viewer: Any, host: Any, stream_id: str) -> None:
    """Diamonds enough for a payout or two, by one large gift, settled."""
    opened = onair.socket(viewer, stream_id)
    opened.join()
    assert opened.gift("private_jet", 2)["type"] == "ack"
    opened.close()
    wait_until(lambda: host.call("GET", "/wallet")["diamonds"] >= 4_888, "the gift to be settled", 20)


def end_holds(onair: Onair) -> None:
    """What time would do to held payouts: moving the clock a week would end every session as well."""
    table, dynamodb = onair.stack.declared.outputs["LedgerTable"], aws.client("dynamodb")
    for item in dynamodb.scan(TableName=table)["Items"]:
        if item.get("unsettled_key", {}).get("S") == "payouts#held":
            content = {**json.loads(item["content"]["S"]), "since": 0}
            dynamodb.put_item(TableName=table, Item={**item, "at": {"N": "0"}, "content": {"S": json.dumps(content)}})


def operator(onair: Onair, handle: str) -> Any:
    """Somebody in the group of operators."""
    client = onair.account(handle)
    pool = onair.stack.declared.user_pool
    aws.client("cognito-idp").admin_add_user_to_group(UserPoolId=pool, Username=handle, GroupName=OPERATORS)
    client.sign_in(handle, PASSWORD)
    return client


def minute(onair: Onair) -> None:
    """The minute's schedule comes round (called here: after a test that moved the clock it would be late)."""
    onair.advance(61)
    _call(onair, "ring_unsettled")


def step(host: Any, payout_id: str) -> str:
    """Where a payout stands."""
    (found,) = [each for each in host.call("GET", "/payouts")["items"] if each["id"] == payout_id]
    return str(found["step"])


def exercise_payouts(onair: Onair, host: Any) -> None:
    """Each call that payouts make: asked for, refused by the provider, looked at, approved, paid."""
    host.call("PUT", "/payouts/account", PAYEE)
    host.call("POST", "/payouts/account/link")
    host.call("GET", "/payouts/quote?diamonds=2002")
    refused = host.call("POST", "/payouts", {"diamonds": 2_002})
    assert refused["step"] == "held"
    end_holds(onair)
    minute(onair)
    wait_until(lambda: step(host, refused["id"]) == "reversed", "the sandbox to refuse", 20)
    asked = host.call("POST", "/payouts", {"diamonds": 2_000})
    end_holds(onair)
    _doubt(onair, host, "limited")
    minute(onair)
    wait_until(lambda: step(host, asked["id"]) == "review", "the payout to wait for a person", 20)
    by = operator(onair, "right_operator")
    (waiting,) = by.call("GET", "/operator/payouts")["items"]
    assert waiting["why"] == "standing"
    assert by.call("GET", "/operator/ledger")["report"]["differences"] == []
    assert "Every coin is proved." in by.call("GET", "/operator/ledger/page")
    place = f"/operator/payouts/{waiting['account']}/{asked['id']}"
    by.call("PUT", place, {"decision": "approve", "reason": "Looked at."})
    wait_until(lambda: step(host, asked["id"]) == "paid", "the approved payout to be paid", 20)
    _doubt(onair, host, "good")


def prove(onair: Onair) -> Any:
    """The daily audit, now; what the function answers."""
    return _call(onair, "prove")


def _call(onair: Onair, handler: str) -> Any:
    functions = onair.stack.declared.functions.items()
    (name,) = [name for name, function in functions if function.handler.endswith(f".{handler}.handle")]
    outcome = onair.stack.runtime.call_and_wait(name, {})
    assert not outcome.failed, outcome.message
    return outcome.payload


def exercise_audit(onair: Onair, viewer: Any) -> None:
    """The ledger is proved, then harmed, found harmed, and mended again."""
    table, key = onair.stack.declared.outputs["LedgerTable"], {"pk": f"wallet#{viewer.account_id}", "sk": "wallet"}
    dynamodb = aws.client("dynamodb")
    names = {name: {"S": value} for name, value in key.items()}
    onair.advance(61)  # the audit leaves out what is younger than a minute
    assert prove(onair)["differences"] == 0
    item = dynamodb.get_item(TableName=table, Key=names)["Item"]
    dynamodb.put_item(TableName=table, Item={**item, "coins": {"N": str(int(item["coins"]["N"]) + 1)}})
    assert prove(onair)["differences"] == 1
    dynamodb.put_item(TableName=table, Item=item)
    assert prove(onair)["differences"] == 0


def _doubt(onair: Onair, host: Any, standing: str) -> None:
    aws.client("dynamodb").update_item(
        TableName=onair.stack.declared.outputs["AccountsTable"],
        Key={"pk": {"S": f"account#{host.account_id}"}, "sk": {"S": "profile"}},
        UpdateExpression="SET standing = :standing",
        ExpressionAttributeValues={":standing": {"S": standing}},
    )
