"""The relay's service, network and delivery in the template."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.settings import ROOT
from infra.stack import synthesize
from media.healthcheck import is_well
from media.relay import load
from media.relay.settings import read
from tests.infra.reading import Cloud, text


def _container(cloud: Cloud) -> dict[str, Any]:
    _, task = cloud.one("AWS::ECS::TaskDefinition")
    (container,) = task["ContainerDefinitions"]
    return container


def test_relay_is_told_addresses_in_the_open_and_secrets_as_secrets(cloud: Cloud) -> None:
    container = _container(cloud)
    assert {variable["Name"] for variable in container["Environment"]} == {
        "RELAY_HOST", "RELAY_PORT", "RTMP_PORT", "RELAY_PUBLIC_URL", "ALLOWED_ORIGIN", "STREAMS_TABLE",
        "MEDIA_QUEUE_URL", "SOCKET_URL", "MEDIA_BUCKET", "PART_MS", "SEGMENT_S", "DRAIN_S", "DEPLOYMENT",
        "COMPOSE_MAX", "COMPOSE_PX", "LADDER", "LADDER_MAX", "PROCESSORS", "AWS_DEFAULT_REGION",
        "SECRETS_GENERATION",
    }  # fmt: skip
    secrets = {secret["Name"]: secret["ValueFrom"]["Ref"][:-8] for secret in container["Secrets"]}
    assert secrets == {"SIGNING_SECRET": "Signing", "PLAYBACK_SECRET": "Playback", "ORIGIN_SECRET": "Origin"}


def test_relay_is_told_how_many_processors_it_has_and_which_renditions_to_make(cloud: Cloud) -> None:
    _, task = cloud.one("AWS::ECS::TaskDefinition")
    told = {variable["Name"]: variable["Value"] for variable in _container(cloud)["Environment"]}
    assert int(told["PROCESSORS"]) * 1024 == int(task["Cpu"])
    needed = dict.fromkeys(("STREAMS_TABLE", "SIGNING_SECRET", "PLAYBACK_SECRET"), "x")
    settings = read(needed | {name: told[name] for name in ("LADDER", "LADDER_MAX", "PROCESSORS")})
    assert settings.ladder == (720, 480, 240) and settings.ladder_max < settings.processors


def test_kernel_and_security_group_agree_on_udp_ports(cloud: Cloud) -> None:
    (control,) = _container(cloud)["SystemControls"]
    assert control["Namespace"] == "net.ipv4.ip_local_port_range"
    first, last = control["Value"].split()
    _, group = cloud.one("AWS::EC2::SecurityGroup", "RelayTaskGroup")
    (rule,) = group["SecurityGroupIngress"]
    assert (rule["IpProtocol"], str(rule["FromPort"]), str(rule["ToPort"])) == ("udp", first, last)
    assert int(last) - int(first) >= 1000


def test_tasks_take_tcp_only_from_the_balancers_and_from_each_other(cloud: Cloud) -> None:
    group, _ = cloud.one("AWS::EC2::SecurityGroup", "RelayTaskGroup")
    found = {
        (each["Properties"]["FromPort"], each["Properties"]["SourceSecurityGroupId"]["Fn::GetAtt"][0][:-8])
        for each in cloud.of("AWS::EC2::SecurityGroupIngress").values()
        if each["Properties"]["GroupId"] == {"Fn::GetAtt": [group, "GroupId"]}
    }
    assert found == {
        (8081, "RelayHttpGroup"),
        (1935, "RelayRtmpGroup"),
        (8081, "RelayRtmpGroup"),
        (8081, "RelayTaskGroup"),
    }


def test_relay_writes_leases_and_nothing_else_of_a_stream(cloud: Cloud) -> None:
    statements = [
        statement
        for policy in cloud.of("AWS::IAM::Policy").values()
        if "RelayTaskTaskRole" in text(policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    (write,) = [one for one in statements if "dynamodb:UpdateItem" in text(one["Action"])]
    allowed = write["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]
    written = set(re.findall(r"(\w+) = :", (ROOT / "media/relay/lease_table.py").read_text()))
    assert {"fence", "task", "media_ms", "beats"} < written
    assert set(allowed) == written | {"pk", "sk"}
    assert not {"state", "key_generation", "audience"} & set(allowed)


def test_what_recordings_lack_raises_an_alarm(cloud: Cloud) -> None:
    alarms = [each["Properties"] for each in cloud.of("AWS::CloudWatch::Alarm").values()]
    (found,) = [each for each in alarms if each.get("MetricName") == load.RECORDING_LOSSES]
    assert (found["Namespace"], found["Statistic"], found["Threshold"]) == (load.NAMESPACE, "Sum", 0)
    assert found["ComparisonOperator"] == "GreaterThanThreshold"
    variables = {each["Name"]: each["Value"] for each in _container(cloud)["Environment"]}
    assert found["Dimensions"] == [{"Name": load.DIMENSION, "Value": variables["DEPLOYMENT"]}]


def test_tasks_come_and_go_with_publishers_and_with_what_they_send(cloud: Cloud) -> None:
    # given the names that the relay tells CloudWatch
    (told,) = json.loads(load.line("Onair", 0, 3, 4.5))["_aws"]["CloudWatchMetrics"]
    # All but the losses of recordings, which wake a person and scale nothing.
    names = {metric["Name"] for metric in told["Metrics"]} - {load.RECORDING_LOSSES}
    # when
    policies = [each["Properties"] for each in cloud.of("AWS::ApplicationAutoScaling::ScalingPolicy").values()]
    # then
    tracked = [each["TargetTrackingScalingPolicyConfiguration"] for each in policies]
    metrics = [each["CustomizedMetricSpecification"] for each in tracked]
    assert {metric["MetricName"] for metric in metrics} == names
    assert {metric["Namespace"] for metric in metrics} == {told["Namespace"]}
    assert {metric["Dimensions"][0]["Name"] for metric in metrics} == {told["Dimensions"][0][0]}
    variables = {each["Name"]: each["Value"] for each in _container(cloud)["Environment"]}
    assert {metric["Dimensions"][0]["Value"] for metric in metrics} == {variables["DEPLOYMENT"]}
    # A task is full at 12 publishers: others must come before.
    assert all(each["TargetValue"] < 12 for each in tracked if "Publishers" in text(each))
    _, scaled = cloud.one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (scaled["MinCapacity"], scaled["MaxCapacity"]) == (1, 10)


def test_relay_runs_read_only_with_time_to_drain_and_its_own_health_check(cloud: Cloud) -> None:
    container = _container(cloud)
    assert container["ReadonlyRootFilesystem"] is True
    assert container["StopTimeout"] == 120
    variables = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert 60 <= int(variables["DRAIN_S"]) < 120
    assert container["HealthCheck"]["Command"] == ["CMD", "python3", "-m", "media.healthcheck"]
    _, service = cloud.one("AWS::ECS::Service")
    assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "ENABLED"
    assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_balancer_answers_403_to_whoever_is_not_cloudfront(cloud: Cloud) -> None:
    _, listener = cloud.one("AWS::ElasticLoadBalancingV2::Listener", "RelayHttpBalancer")
    (default,) = listener["DefaultActions"]
    assert default["Type"] == "fixed-response"
    assert default["FixedResponseConfig"]["StatusCode"] == "403"
    _, rule = cloud.one("AWS::ElasticLoadBalancingV2::ListenerRule")
    (condition,) = rule["Conditions"]
    assert condition["HttpHeaderConfig"]["HttpHeaderName"] == "X-Onair-Origin"
    secret, _ = cloud.one("AWS::SecretsManager::Secret", "Origin")
    shown = [
        header
        for origin in cloud.one("AWS::CloudFront::Distribution")[1]["DistributionConfig"]["Origins"]
        for header in origin.get("OriginCustomHeaders", [])
    ]
    assert [header["HeaderName"] for header in shown] == ["X-Onair-Origin"]
    for value in (shown[0]["HeaderValue"], *condition["HttpHeaderConfig"]["Values"]):
        assert "{{resolve:secretsmanager:" in text(value)
        assert f'"{secret}"' in text(value)


def test_rtmp_comes_by_tcp_and_both_balancers_ask_the_relay_how_it_is(cloud: Cloud) -> None:
    _, listener = cloud.one("AWS::ElasticLoadBalancingV2::Listener", "RelayRtmpBalancer")
    assert (listener["Port"], listener["Protocol"]) == (1935, "TCP")
    for group in cloud.of("AWS::ElasticLoadBalancingV2::TargetGroup").values():
        assert group["Properties"]["HealthCheckPath"] == "/healthz"


def test_every_part_of_the_relay_goes_through_cloudfront_with_its_own_rules(cloud: Cloud) -> None:
    _, distribution = cloud.one("AWS::CloudFront::Distribution")
    config = distribution["DistributionConfig"]
    behaviours = {each["PathPattern"]: each for each in config["CacheBehaviors"]}
    ours = {"/live/*", "/replay/*", "/preview/*", "/whip/*", "/whep/*"}
    # Beside them the pictures of accounts and the pages behind shared links (infra/account_work.py, infra/web.py).
    assert set(behaviours) == ours | {"/images/*", "/s/*"}
    function, _ = cloud.one("AWS::CloudFront::Function", "RelayPlayback")
    for pattern, behaviour in behaviours.items():
        checked = text(behaviour.get("FunctionAssociations", []))
        assert (f'"{function}"' in checked) == (pattern in ("/live/*", "/replay/*")), pattern
    for pattern in ("/whip/*", "/whep/*"):
        # AWS's managed policies: caching disabled; all viewer headers but Host.
        assert behaviours[pattern]["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        assert behaviours[pattern]["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
        assert {"POST", "PATCH", "DELETE"} <= set(behaviours[pattern]["AllowedMethods"])
    _, policy = cloud.one("AWS::CloudFront::CachePolicy")
    key = policy["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]
    assert key["QueryStringsConfig"] == {
        "QueryStringBehavior": "whitelist",
        "QueryStrings": ["_HLS_msn", "_HLS_part", "_HLS_skip"],
    }
    assert policy["CachePolicyConfig"]["MinTTL"] == 0
    assert all(each["ErrorCachingMinTTL"] == 0 for each in config["CustomErrorResponses"])
    assert {404, 503} <= {each["ErrorCode"] for each in config["CustomErrorResponses"]}


def test_media_is_private_and_forgotten_after_ninety_days(cloud: Cloud) -> None:
    _, bucket = cloud.one("AWS::S3::Bucket", "RelayMedia")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == 90


def test_prebuilt_image_and_prefix_list_need_no_image_asset(page: Path, tmp_path: Path) -> None:
    # given an image by name, and settings as the command line hands them over: as text
    context = {
        "web_dist": str(page),
        "relay_image": "registry.example/onair-relay:1",
        "cloudfront_prefix_list": "pl-0123456789",
        "relay_cpu": "1024",
        "relay_memory_mib": "2048",
        "ipv6": "true",
        "removal": "destroy",
        "deletion_protection": "false",
        "snap_start": "true",
        "aws:cdk:bundling-stacks": [],
    }
    # when
    path = synthesize(tmp_path, context)
    # then
    cloud = Cloud(path, json.loads(path.read_text()))
    assert _container(cloud)["Image"] == "registry.example/onair-relay:1"
    assert json.loads((tmp_path / "Onair.assets.json").read_text())["dockerImages"] == {}
    _, group = cloud.one("AWS::EC2::SecurityGroup", "RelayHttpGroup")
    assert "SecurityGroupIngress" not in group
    _, ingress = cloud.one("AWS::EC2::SecurityGroupIngress", "RelayHttpGroup")
    assert ingress["SourcePrefixListId"] == "pl-0123456789"
    assert cloud.one("AWS::ECS::TaskDefinition")[1]["Cpu"] == "1024"
    # and both families of addresses, from the sockets to the balancer
    variables = {each["Name"]: each["Value"] for each in _container(cloud)["Environment"]}
    assert variables["RELAY_HOST"] == "::"
    assert cloud.of("AWS::EC2::VPCCidrBlock")
    _, tasks = cloud.one("AWS::EC2::SecurityGroup", "RelayTaskGroup")
    by_family = {rule.get("CidrIp") or rule["CidrIpv6"]: rule for rule in tasks["SecurityGroupIngress"]}
    assert set(by_family) == {"0.0.0.0/0", "::/0"}
    assert len({(rule["FromPort"], rule["ToPort"]) for rule in by_family.values()}) == 1
    kinds = {
        each["Properties"].get("IpAddressType")
        for each in cloud.of("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
        if each["Properties"]["Type"] == "network"
    }
    assert kinds == {"dualstack"}
    assert all(table["DeletionPolicy"] == "Delete" for table in cloud.of("AWS::DynamoDB::Table").values())
    assert len(cloud.of("AWS::Lambda::Alias")) == 14  # Api, Authorize and the twelve routes


class _Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_health_check_believes_only_200(status: int, well: bool) -> None:
    handler = type("Handler", (_Answering,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert is_well(server.server_port) is well
        thread.join(5)


def test_health_check_fails_where_nobody_listens() -> None:
    with HTTPServer(("127.0.0.1", 0), _Answering) as server:
        port = server.server_port
    assert is_well(port) is False
