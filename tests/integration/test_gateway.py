"""What the gateway does as the service does: connections by API, limits, faults, and the routes for testers."""

from __future__ import annotations

import urllib3
from botocore.exceptions import ClientError

from functions import aws
from local.faults import Faults, FunctionFault
from local.sockets import Limits
from local.testing import Onair

HTTP = urllib3.PoolManager(retries=False, timeout=5.0)


def _management(onair: Onair):
    import botocore.session

    return botocore.session.Session().create_client(
        "apigatewaymanagementapi", endpoint_url=onair.addresses.callback_url, region_name="us-east-1"
    )


def _room(onair: Onair):
    stream = onair.broadcast(onair.account(followers=1_200))
    opened = onair.socket(onair.account(), stream["id"])
    opened.join()
    (connection_id,) = onair.stack.sockets._connections
    return opened, connection_id


def test_a_post_reaches_its_connection_and_a_closed_one_is_gone(onair: Onair) -> None:
    opened, connection_id = _room(onair)
    client = _management(onair)
    client.post_to_connection(ConnectionId=connection_id, Data=b'{"type":"hello"}')
    opened.wait_for(lambda message: message.get("type") == "hello", "the posted message")
    assert client.get_connection(ConnectionId=connection_id)["Identity"]["SourceIp"] == "127.0.0.1"
    client.delete_connection(ConnectionId=connection_id)
    opened.wait_closed()
    try:
        client.post_to_connection(ConnectionId=connection_id, Data=b"{}")
        raise AssertionError("a post to a closed connection was taken")
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "GoneException"


def test_a_post_that_is_not_signed_is_forbidden(onair: Onair) -> None:
    _, connection_id = _room(onair)
    url = f"{onair.addresses.callback_url}/@connections/{connection_id}"
    assert HTTP.request("POST", url, body=b"{}").status == 403


def test_a_post_over_128_kb_is_too_large(onair: Onair) -> None:
    _, connection_id = _room(onair)
    try:
        _management(onair).post_to_connection(ConnectionId=connection_id, Data=b"x" * (128 * 1024 + 1))
        raise AssertionError("an oversized post was taken")
    except ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_silent_connection_is_closed_and_its_viewer_leaves_the_count(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    usual = onair.stack.sockets._limits
    onair.stack.sockets._limits = Limits(idle_s=0.5)
    try:
        opened = onair.socket(onair.account(), stream["id"])
        opened.join()
        assert opened.wait_closed() == 1001
    finally:
        onair.stack.sockets._limits = usual
    assert onair.stack.sockets.open_count == 0


def test_ordered_throttling_is_met_and_every_event_still_arrives(onair: Onair) -> None:
    opened, _ = _room(onair)
    order = f"{onair.addresses.web_url}/_local/faults"
    assert HTTP.request("POST", order, body=b'{"posts": {"status": 429, "times": 2}}').status == 204
    assert opened.chat("through the storm")["type"] == "ack"
    # Repeated within the tick, or by the next frame's gap: either way it is on the stored record, and comes.
    opened.chat("and after")
    opened.wait_for_event("chat", text="and after")


def test_a_batch_that_fails_is_delivered_again_after_its_visibility_timeout(onair: Onair) -> None:
    sequence = next(
        function for function in onair.stack.declared.functions.values() if function.handler.endswith("sequence.handle")
    )
    # Before anything rings: a sequencer that is under way already would take the comment with it.
    onair.stack.faults.order(Faults({sequence.logical: FunctionFault(errors=1)}))
    opened, _ = _room(onair)
    assert opened.chat("said once")["type"] == "ack"
    opened.wait_for_event("chat", text="said once", within_s=20)
    assert onair.stack.faults.for_function(sequence.logical) == FunctionFault(errors=0)


def test_the_routes_for_testers_are_closed_to_any_other_host_name(onair: Onair) -> None:
    url = f"{onair.addresses.web_url}/_local/health"
    assert HTTP.request("GET", url).status == 200
    assert HTTP.request("GET", url, headers={"Host": "onair.example"}).status == 404
    assert (
        HTTP.request("POST", f"{onair.addresses.web_url}/_local/reset", headers={"Host": "evil.test:80"}).status == 404
    )


def test_functions_meet_only_the_variables_of_the_template(onair: Onair) -> None:
    declared = onair.stack.declared.functions
    chat = next(function for function in declared.values() if function.handler == "functions.rooms.chat.handle")
    assert "LEDGER_TABLE" not in chat.environment
    assert "PATH" not in chat.environment


def test_moto_serves_the_same_state_to_any_client(onair: Onair) -> None:
    onair.account("seen_by_moto")
    import botocore.session

    client = botocore.session.Session().create_client(
        "dynamodb", endpoint_url=onair.addresses.aws_url, region_name="us-east-1"
    )
    table = onair.stack.declared.outputs["AccountsTable"]
    found = client.get_item(TableName=table, Key={"pk": {"S": "handle#seen_by_moto"}, "sk": {"S": "handle"}})
    assert found["Item"]["account"]["S"]
    assert aws.client("dynamodb").meta.endpoint_url != client.meta.endpoint_url


def test_a_post_without_a_body_is_taken_under_the_media_type_that_its_client_names(onair: Onair) -> None:
    stream = onair.broadcast(onair.account(followers=1_200))
    answer = HTTP.request(
        "POST",
        f"{onair.addresses.api_url}/streams/{stream['id']}/ticket",
        headers={"Content-Type": "application/octet-stream"},
    )
    assert (answer.status, answer.json()["role"]) == (200, "visitor")
