"""How a relay task learns its public address from ECS and EC2, both played here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from media.relay import public_address
from media.relay.public_address import METADATA, PublicAddressError
from tests.infra.reading import Cloud

NETWORK = {"NetworkMode": "awsvpc", "IPv4Addresses": ["10.0.1.7"], "MACAddress": "0e:10:60:f6:7a:6b"}
FILTERS = [
    {"Name": "mac-address", "Values": ["0e:10:60:f6:7a:6b"]},
    {"Name": "addresses.private-ip-address", "Values": ["10.0.1.7"]},
]


class _Metadata(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"Networks": [NETWORK]} if self.path == "/v4/task" else {}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def metadata() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Metadata) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v4"
        server.shutdown()
        thread.join(5)


@pytest.fixture
def ec2() -> Iterator[tuple[Any, Stubber]]:
    client = botocore.session.Session().create_client(
        "ec2", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        yield client, stubber


def test_address_is_that_of_the_interface_which_ecs_names(metadata: str, ec2: tuple[Any, Stubber]) -> None:
    client, stubber = ec2
    found = {"NetworkInterfaces": [{"Association": {"PublicIp": "203.0.113.9"}}]}
    stubber.add_response("describe_network_interfaces", found, {"Filters": FILTERS})
    assert public_address.of_this_task({METADATA: f"{metadata}/task"}, client) == "203.0.113.9"
    stubber.assert_no_pending_responses()


def test_outside_ecs_nobody_is_asked(ec2: tuple[Any, Stubber]) -> None:
    assert public_address.of_this_task({}, ec2[0]) == ""


@pytest.mark.parametrize("interfaces", [[], [{"NetworkInterfaceId": "eni-1"}]])
def test_interface_without_public_address_is_an_error(
    metadata: str, ec2: tuple[Any, Stubber], interfaces: list[dict[str, Any]]
) -> None:
    client, stubber = ec2
    stubber.add_response("describe_network_interfaces", {"NetworkInterfaces": interfaces}, {"Filters": FILTERS})
    with pytest.raises(PublicAddressError, match="no public address"):
        public_address.of_this_task({METADATA: f"{metadata}/task"}, client)


def test_missing_right_and_silent_metadata_are_errors(metadata: str, ec2: tuple[Any, Stubber]) -> None:
    client, stubber = ec2
    stubber.add_client_error("describe_network_interfaces", "UnauthorizedOperation")
    with pytest.raises(PublicAddressError, match="UnauthorizedOperation"):
        public_address.of_this_task({METADATA: f"{metadata}/task"}, client)
    with pytest.raises(PublicAddressError, match="no public address"):
        public_address.of_this_task({METADATA: f"{metadata}/empty"}, client)
    with pytest.raises(PublicAddressError, match="cannot be asked"):
        public_address.of_this_task({METADATA: "http://127.0.0.1:1/"}, client)


def test_task_may_ask_ec2_and_nothing_else_without_a_resource(cloud: Cloud) -> None:
    role = cloud.one("AWS::ECS::TaskDefinition")[1]["TaskRoleArn"]["Fn::GetAtt"][0]
    statements = [
        statement
        for policy in cloud.of("AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Properties"]["Roles"]
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert [each["Action"] for each in statements if each["Resource"] == "*"] == ["ec2:DescribeNetworkInterfaces"]
    allowed = {
        action
        for each in statements
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    assert allowed == {
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        # What it records.
        "s3:PutObject",
        "s3:AbortMultipartUpload",
        "dynamodb:UpdateItem",
        "ecs:UpdateTaskProtection",
        "sqs:SendMessage",
        "ec2:DescribeNetworkInterfaces",
    }
