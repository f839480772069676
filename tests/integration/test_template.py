"""What the local stack makes of the template: each type decided on, nothing local in it, everything read from it."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from local import resource_types, template
from local.deployment import prepare
from local.stack import Stack
from local.testing import Onair

# What has no effect on this machine, by type; a change here is a change of what `make run` can show.
INERT_OR_LEFT_OUT = {
    "AWS::ApiGateway::Account",
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudFront::CachePolicy",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::Function",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::OriginRequestPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::EC2::InternetGateway",
    "AWS::EC2::Route",
    "AWS::EC2::RouteTable",
    "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::EC2::VPC",
    "AWS::EC2::VPCGatewayAttachment",
    "AWS::ECS::Cluster",
    "AWS::ElasticLoadBalancingV2::Listener",
    "AWS::ElasticLoadBalancingV2::ListenerRule",
    "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "AWS::ElasticLoadBalancingV2::TargetGroup",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "Custom::CDKBucketDeployment",
}


def test_every_type_of_the_template_is_decided_on(onair_stack: Stack) -> None:
    assert resource_types.unlisted(onair_stack.resources) == []


def test_what_has_no_effect_here_is_exactly_what_is_known(onair_stack: Stack) -> None:
    without_effect = {line.type for line in onair_stack.resources if line.fate in ("inert", "left out")}
    assert without_effect <= INERT_OR_LEFT_OUT, without_effect - INERT_OR_LEFT_OUT


def test_nothing_refers_to_what_is_left_out(onair_stack: Stack) -> None:
    prepared = prepare(onair_stack.options.template)
    left = set(onair_stack.options.template["Resources"]) - set(prepared["Resources"])
    text = json.dumps(prepared)
    assert [name for name in left if f'"{name}"' in text] == []


def test_the_template_has_none_of_the_local_routes(onair_stack: Stack) -> None:
    assert "/_local" not in json.dumps(onair_stack.options.template)
    assert not [method for method in onair_stack.declared.rest.methods if "_local" in method.path]


def test_tables_have_the_ttl_and_the_recovery_that_the_template_declares(onair: Onair) -> None:
    from functions import aws

    client = aws.client("dynamodb")
    for table in onair.stack.declared.tables:
        backups = client.describe_continuous_backups(TableName=table.name)["ContinuousBackupsDescription"]
        assert table.point_in_time_recovery
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        if table.ttl_attribute:
            ttl = client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
            assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", table.ttl_attribute)


def test_no_variable_of_a_function_points_at_aws(onair_stack: Stack) -> None:
    for function in onair_stack.declared.functions.values():
        for name, value in function.environment.items():
            remote = ".amazonaws.com" in value or ".cloudfront.net" in value or value.endswith(".local")
            # The issuer is a name inside tokens, and a queue's URL is what its clients call it by.
            named = name == "TOKEN_ISSUER" or name.endswith("QUEUE_URL")
            assert not remote or named, (function.logical, name, value)
            if name.endswith("_URL") and not named:
                assert urlsplit(value).hostname == "127.0.0.1", (function.logical, name, value)


def test_the_same_inputs_are_not_synthesized_twice() -> None:
    first = template.load(template.LOCAL_CONTEXT)
    again = template.load(template.LOCAL_CONTEXT)
    assert (again.cached, again.key) == (True, first.key)
    assert template.input_hash({"sandbox_purchases": "false"}) != first.key
