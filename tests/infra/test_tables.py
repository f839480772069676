"""Tables, queues and secrets of the template."""

from __future__ import annotations

import pytest

from functions.wallet.tables import STATEMENT_ATTRIBUTES
from tests.infra.reading import Cloud

TABLES = {"Accounts", "Streams", "Rooms", "WalletLedger"}
QUEUES = {
    "RoomsRing": "5",
    "WalletSettle": "60",
    "StreamsMedia": "60",
    "StreamsDownload": "720",
    "PayoutsPayouts": "90",
}


def test_four_tables_with_recovery_ttl_and_text_keys(cloud: Cloud) -> None:
    tables = cloud.of("AWS::DynamoDB::Table")
    assert {name[:-8] for name in tables} == TABLES
    for name, table in tables.items():
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST", name
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name
        assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}, name
        assert properties["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ], name
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain", name
        assert properties["DeletionProtectionEnabled"] is True, name


def test_rooms_streams_its_new_images_and_accounts_only_keys(cloud: Cloud) -> None:
    streaming = {
        name[:-8]: table["Properties"]["StreamSpecification"]["StreamViewType"]
        for name, table in cloud.of("AWS::DynamoDB::Table").items()
        if "StreamSpecification" in table["Properties"]
    }
    assert streaming == {"Rooms": "NEW_IMAGE", "Accounts": "KEYS_ONLY"}


def test_indices_are_those_that_the_models_name(cloud: Cloud) -> None:
    found: dict[str, tuple[str, ...]] = {}
    for name, table in cloud.of("AWS::DynamoDB::Table").items():
        for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
            for index in table["Properties"].get(kind, []):
                keys = tuple(key["AttributeName"] for key in index["KeySchema"])
                found[f"{name[:-8]}.{index['IndexName']}"] = (*keys, index["Projection"]["ProjectionType"])
    by_version = cloud.one("AWS::DynamoDB::Table", "WalletLedger")[1]["LocalSecondaryIndexes"][0]
    assert by_version["Projection"]["NonKeyAttributes"] == [*STATEMENT_ATTRIBUTES]
    assert found == {
        "Streams.feed": ("feed_key", "started_at", "KEYS_ONLY"),
        "Streams.host": ("host_id", "created_at", "KEYS_ONLY"),
        "Streams.replays": ("replay_of", "started_at", "KEYS_ONLY"),
        "WalletLedger.by_version": ("pk", "version", "INCLUDE"),
        "WalletLedger.unsettled": ("unsettled_key", "at", "ALL"),
    }


@pytest.mark.parametrize("name", QUEUES)
def test_queue_is_fifo_in_high_throughput_mode_and_puts_failures_aside(cloud: Cloud, name: str) -> None:
    _, queue = cloud.one("AWS::SQS::Queue", f"{name}Queue")
    dead, dead_letters = cloud.one("AWS::SQS::Queue", f"{name}DeadLetters")
    assert queue["FifoQueue"] is True
    assert queue["DeduplicationScope"] == "messageGroup"
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"
    assert queue["ContentBasedDeduplication"] is False
    assert str(queue["VisibilityTimeout"]) == QUEUES[name]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}, "maxReceiveCount": 5}
    assert dead_letters["FifoQueue"] is True
    assert dead_letters["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_what_waits_for_its_time_has_a_queue_whose_messages_each_bring_theirs(cloud: Cloud) -> None:
    _, queue = cloud.one("AWS::SQS::Queue", "RoomsLaterQueue")
    dead, _ = cloud.one("AWS::SQS::Queue", "RoomsLaterDeadLetters")
    assert "FifoQueue" not in queue and "DelaySeconds" not in queue
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}, "maxReceiveCount": 5}
    assert cloud.functions["rooms.ring_later"][1]["Timeout"] < queue["VisibilityTimeout"]


def test_sequencer_stops_before_its_ring_becomes_visible_again(cloud: Cloud) -> None:
    _, queue = cloud.one("AWS::SQS::Queue", "RoomsRingQueue")
    assert cloud.functions["rooms.sequence"][1]["Timeout"] < queue["VisibilityTimeout"]


def test_secrets_are_made_by_cloudformation(cloud: Cloud) -> None:
    secrets = cloud.of("AWS::SecretsManager::Secret")
    assert {name[:-8] for name in secrets} == {"Signing", "Playback", "Origin", "NoticesPushSecret"}
    for secret in secrets.values():
        assert secret["Properties"]["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 64}
        assert "SecretString" not in secret["Properties"]


def test_pool_takes_names_in_any_case_and_long_passwords(cloud: Cloud) -> None:
    _, pool = cloud.one("AWS::Cognito::UserPool")
    assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
    assert "UsernameAttributes" not in pool
    assert pool["Policies"]["PasswordPolicy"] == {
        "MinimumLength": 10,
        "RequireLowercase": True,
        "RequireNumbers": True,
        "RequireSymbols": False,
        "RequireUppercase": True,
    }
    assert pool["DeletionProtection"] == "ACTIVE"
    _, client = cloud.one("AWS::Cognito::UserPoolClient")
    assert client["GenerateSecret"] is False
    assert set(client["ExplicitAuthFlows"]) == {"ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True
    assert client["AccessTokenValidity"] == 60
    assert client["TokenValidityUnits"]["AccessToken"] == "minutes"
