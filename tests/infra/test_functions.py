"""Functions of the template: what each is told, what starts it, and what it may do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.infra.reading import Cloud, listed, text

EVERY = {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}
LIMITS = {
    "SLOT_MS",
    "SKEW_GUARD_MS",
    "POSTS_BUDGET",
    "STADIUM_VIEWERS",
    "REACT_INTERVAL_MS",
    "RECONNECT_SPREAD_MS",
    "PING_S",
    "SHARD_SIZE",
    "DISPLAY_LINES_S",
    "REACTS_BUDGET",
}
ROOM = {"ROOMS_TABLE", *LIMITS}
RINGS = {*ROOM, "RING_QUEUE_URL"}
SETTLES = {"LEDGER_TABLE", "SETTLE_QUEUE_URL"}
TOLD: dict[str, set[str]] = {
    "api.app": {
        *RINGS, "ACCOUNTS_TABLE", "STREAMS_TABLE", "LEDGER_TABLE", "SOCKET_URL", "SOCKET_CALLBACK_URL", "USER_POOL_ID",
        "USER_POOL_CLIENT_ID", "JWKS_URL", "TOKEN_ISSUER", "SIGNING_SECRET_ARN", "PLAYBACK_SECRET_ARN", "RELAY_URL",
        "PLAYBACK_URL", "RTMP_URL", "WEB_URL", "SANDBOX_PURCHASES", "PAYOUTS_QUEUE_URL", "TAX_KEY_ARN", "AUDIT_BUCKET",
        "WORK_QUEUE_URL", "PICTURES_BUCKET", "UPLOAD_URL", "MEDIA_QUEUE_URL", "SIGN_UPS_MAX", "SIGN_IN_FAILURES_MAX",
        "PUSH_SECRET_ARN", "PUSH_HOSTS", "NOTICES_QUEUE_URL",
        "DOWNLOAD_QUEUE_URL", "REPLAY_DAYS",
    },
    "accounts.follower_count": {"ACCOUNTS_TABLE", "NOTICES_QUEUE_URL"},
    "accounts.keep": {*RINGS, "ACCOUNTS_TABLE", "STREAMS_TABLE", "USER_POOL_ID"},
    "rooms.authorize": {"SIGNING_SECRET_ARN"},
    "rooms.join": {*RINGS, "SOCKET_CALLBACK_URL"},
    "rooms.chat": {*RINGS, "ACCOUNTS_TABLE", "SOCKET_CALLBACK_URL"},
    "rooms.ask": {*RINGS, "ACCOUNTS_TABLE", "SOCKET_CALLBACK_URL"},
    "rooms.upvote": {*RINGS, "SOCKET_CALLBACK_URL"},
    "rooms.answer_question": {*RINGS, "SOCKET_CALLBACK_URL"},
    "rooms.poll": {*RINGS, "LATER_QUEUE_URL", "SOCKET_CALLBACK_URL"},
    "rooms.vote": {*RINGS, "SOCKET_CALLBACK_URL"},
    "rooms.react": {*RINGS, "SOCKET_CALLBACK_URL"},
    "rooms.gift": {*RINGS, *SETTLES, "CREATOR_SHARE_PERMILLE", "SOCKET_CALLBACK_URL"},
    "rooms.ping": {*ROOM, "SOCKET_CALLBACK_URL"},
    "rooms.disconnect": RINGS,
    "rooms.unknown": {"ROOMS_TABLE", "SOCKET_CALLBACK_URL"},
    "rooms.sequence": {*RINGS, "SOCKET_CALLBACK_URL", "DELIVER_FUNCTION", "STREAMS_TABLE"},
    "rooms.deliver": {*ROOM, "SOCKET_CALLBACK_URL"},
    "rooms.insights": {*ROOM, "ACCOUNTS_TABLE", "SOCKET_CALLBACK_URL", "NOTICES_QUEUE_URL"},
    "rooms.ring_live": {*RINGS, "STREAMS_TABLE"},
    "rooms.ring_later": {*LIMITS, "RING_QUEUE_URL"},
    "wallet.settle": SETTLES,
    "wallet.ring_unsettled": {*SETTLES, "PAYOUTS_QUEUE_URL"},
    "wallet.prove": {"LEDGER_TABLE", "AUDIT_BUCKET"},
    "wallet.pay_out": {"LEDGER_TABLE", "ACCOUNTS_TABLE", "SANDBOX_PURCHASES", "NOTICES_QUEUE_URL"},
    "streams.media": {*RINGS, "STREAMS_TABLE", "NOTICES_QUEUE_URL", "MEDIA_BUCKET", "MEDIA_QUEUE_URL"},
    "streams.download": {"STREAMS_TABLE", "MEDIA_BUCKET", "DOWNLOAD_QUEUE_URL"},
    "streams.announce": {"ACCOUNTS_TABLE", "STREAMS_TABLE", "NOTICES_QUEUE_URL", "PUSH_QUEUE_URL"},
    "accounts.push": {"ACCOUNTS_TABLE", "WEB_URL", "PUSH_SECRET_ARN"},
    "accounts.reconcile": {"ACCOUNTS_TABLE", "WORK_QUEUE_URL"},
    "accounts.work": {
        *RINGS, "ACCOUNTS_TABLE", "STREAMS_TABLE", "USER_POOL_ID", "WORK_QUEUE_URL", "MEDIA_QUEUE_URL",
        "PICTURES_BUCKET",
    },
    "accounts.picture": {"ACCOUNTS_TABLE", "STREAMS_TABLE", "PICTURES_BUCKET", "WEB_URL"},
    "streams.sweep": {*RINGS, "STREAMS_TABLE", "ACCOUNTS_TABLE", "MEDIA_QUEUE_URL", "NOTICES_QUEUE_URL"},
}  # fmt: skip
TABLES = {
    "ACCOUNTS_TABLE": "Accounts",
    "STREAMS_TABLE": "Streams",
    "ROOMS_TABLE": "Rooms",
    "LEDGER_TABLE": "WalletLedger",
}


def test_every_function_is_in_this_list(cloud: Cloud) -> None:
    assert set(cloud.functions) == set(TOLD)


@pytest.mark.parametrize("name", sorted(TOLD))
def test_function_is_told_what_it_needs_and_nothing_else(cloud: Cloud, name: str) -> None:
    variables: dict[str, Any] = cloud.functions[name][1]["Environment"]["Variables"]
    assert set(variables) == TOLD[name] | EVERY
    for variable, table in TABLES.items():
        if variable in variables:
            assert variables[variable]["Ref"][:-8] == table


@pytest.mark.parametrize("name", sorted(TOLD))
def test_function_runs_the_shared_bundle_on_arm_with_tracing_and_its_capabilitys_log(cloud: Cloud, name: str) -> None:
    _, properties = cloud.functions[name]
    assert properties["Runtime"] == "python3.13"
    assert properties["Architectures"] == ["arm64"]
    assert properties["TracingConfig"] == {"Mode": "Active"}
    log = properties["LoggingConfig"]["LogGroup"]["Ref"]
    assert cloud.resources[log]["Properties"]["RetentionInDays"] == 30
    assert properties["Code"] == cloud.functions["api.app"][1]["Code"]


def test_sequencer_and_delivery_have_a_whole_core(cloud: Cloud) -> None:
    assert cloud.functions["rooms.deliver"][1]["MemorySize"] == 1792


@pytest.mark.parametrize("name", sorted(TOLD))
def test_function_may_do_no_action_by_pattern_and_nothing_to_everything(cloud: Cloud, name: str) -> None:
    for statement in cloud.statements(name):
        actions = listed(statement["Action"])
        assert not [action for action in actions if "*" in action]
        if "*" in listed(statement["Resource"]):
            # A text message goes to a number, traces to nothing: neither has an ARN.
            assert set(actions) <= {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "sns:Publish"}


@pytest.mark.parametrize("name", sorted(TOLD))
def test_function_may_touch_only_tables_and_queues_that_it_is_told_of(cloud: Cloud, name: str) -> None:
    variables: dict[str, Any] = cloud.functions[name][1]["Environment"]["Variables"]
    told = text(variables)
    for action, where in cloud.rights(name):
        if action.startswith("dynamodb:"):
            table = where.split("/")[0]
            assert any(variables.get(variable, {}).get("Ref", "")[:-8] == table for variable in TABLES), where
        elif action == "sqs:SendMessage":
            assert f'"{where}' in told, where


@pytest.mark.parametrize(
    ("name", "queue", "batch"),
    [
        ("rooms.sequence", "RoomsRingQueue", 1),
        ("rooms.ring_later", "RoomsLaterQueue", 10),
        ("wallet.settle", "WalletSettleQueue", 10),
        ("streams.media", "StreamsMediaQueue", 10),
        ("streams.download", "StreamsDownloadQueue", 1),
        ("wallet.pay_out", "PayoutsPayoutsQueue", 2),
        ("streams.announce", "NoticesNoticesQueue", 1),
        ("accounts.push", "NoticesPushQueue", 1),
    ],
)
def test_queue_starts_its_function_and_takes_back_what_failed(cloud: Cloud, name: str, queue: str, batch: int) -> None:
    logical, _ = cloud.functions[name]
    found = [
        each["Properties"]
        for each in cloud.of("AWS::Lambda::EventSourceMapping").values()
        if each["Properties"]["FunctionName"] == {"Ref": logical}
    ]
    assert len(found) == 1
    assert found[0]["EventSourceArn"]["Fn::GetAtt"][0][:-8] == queue
    assert found[0]["BatchSize"] == batch
    assert found[0]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_four_functions_start_each_minute(cloud: Cloud) -> None:
    started = {
        target["Arn"]["Fn::GetAtt"][0]
        for rule in cloud.of("AWS::Events::Rule").values()
        if rule["Properties"].get("ScheduleExpression") == "rate(1 minute)"
        for target in rule["Properties"]["Targets"]
    }
    each_minute = ("rooms.ring_live", "wallet.ring_unsettled", "streams.sweep", "accounts.keep")
    assert started == {cloud.functions[name][0] for name in each_minute}


def test_the_operators_trail_is_neither_changed_nor_shortened_by_the_api(cloud: Cloud) -> None:
    (denied,) = [each for each in cloud.statements("api.app") if each["Effect"] == "Deny"]
    assert set(denied["Action"]) == {"dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    assert denied["Resource"]["Fn::GetAtt"][0][:-8] == "Accounts"
    assert denied["Condition"] == {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": ["trail"]}}


def test_follows_that_come_and_go_are_counted_and_nothing_else_of_the_accounts_table(cloud: Cloud) -> None:
    logical, _ = cloud.functions["accounts.follower_count"]
    (source,) = [
        each["Properties"]
        for each in cloud.of("AWS::Lambda::EventSourceMapping").values()
        if each["Properties"]["FunctionName"] == {"Ref": logical}
    ]
    (pattern,) = [json.loads(one["Pattern"]) for one in source["FilterCriteria"]["Filters"]]
    assert pattern == {
        "eventName": ["INSERT", "REMOVE"],
        "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "follower#"}]}}},
    }
    assert source["BisectBatchOnFunctionError"] is True


def test_delivery_is_never_repeated(cloud: Cloud) -> None:
    _, config = cloud.one("AWS::Lambda::EventInvokeConfig")
    assert config["FunctionName"] == {"Ref": cloud.functions["rooms.deliver"][0]}
    assert config["MaximumRetryAttempts"] == 0


def test_frames_pulses_and_changed_rights_are_posted_to_sockets_and_routes_close_those_that_flood_them(
    cloud: Cloud,
) -> None:
    posting = {
        name
        for name in cloud.functions
        if any(action == "execute-api:ManageConnections" for action, _ in cloud.rights(name))
    }
    actions = ("join", "chat", "react", "gift", "ask", "upvote", "answer_question", "poll", "vote", "ping", "unknown")
    posters = {"rooms.sequence", "rooms.deliver", "rooms.insights", "api.app"}
    assert posting == posters | {f"rooms.{action}" for action in actions}


def test_each_dead_letter_queue_and_each_function_has_an_alarm_that_tells_someone(cloud: Cloud) -> None:
    alarms = cloud.of("AWS::CloudWatch::Alarm")
    topic, _ = cloud.one("AWS::SNS::Topic")
    assert all(each["Properties"]["AlarmActions"] == [{"Ref": topic}] for each in alarms.values())
    watched = text([each["Properties"] for each in alarms.values()])
    for name in cloud.of("AWS::SQS::Queue"):
        if "DeadLetters" in name:
            assert f'"{name}"' in watched
    for logical, _ in cloud.functions.values():
        assert f'"{logical}"' in watched
    for metric in ("ApproximateAgeOfOldestMessage", "5XXError", "HealthyHostCount", "ThrottledRequests", "Throttles"):
        assert metric in watched
