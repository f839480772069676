"""What each CloudFormation type of the template becomes here: made in moto, run by a part of the local stack, or inert.

Nothing may hide: a type that no table below names is still created (as an inert stand-in), but `unlisted` reports it,
the start prints it, and tests/integration/test_template.py fails until someone has decided. moto's own CloudFormation
skips such types in silence, and a ``Ref`` to one becomes the text "None".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Made by moto's own CloudFormation, or by local/moto_types.py in moto's backends where moto has only the API.
MADE: Final[Mapping[str, str]] = {
    "AWS::Cognito::UserPool": "moto's user pools",
    "AWS::Cognito::UserPoolClient": "moto's user pools",
    "AWS::Cognito::UserPoolGroup": "moto's user pools",
    "AWS::DynamoDB::Table": "moto's DynamoDB, with one request at a time (local/tables.py)",
    "AWS::Events::Rule": "moto's EventBridge; schedules are run by local/schedules.py",
    "AWS::IAM::ManagedPolicy": "moto's IAM; permissions are compared by a test, not enforced",
    "AWS::IAM::Policy": "moto's IAM; permissions are compared by a test, not enforced",
    "AWS::IAM::Role": "moto's IAM; permissions are compared by a test, not enforced",
    "AWS::KMS::Key": "moto's KMS",
    "AWS::Lambda::Function": "moto's Lambda for its name and ARN; the handler runs in-process (local/runtime.py)",
    "AWS::Logs::LogGroup": "moto's CloudWatch Logs; functions write to the terminal",
    "AWS::S3::Bucket": "moto's S3",
    "AWS::SES::EmailIdentity": "moto's SES, verified at once; GET /_local/mail shows what was sent",
    "AWS::SNS::Topic": "moto's SNS",
    "AWS::SQS::Queue": "moto's SQS, with the service's deduplication and group order (local/queues.py)",
    "AWS::SecretsManager::Secret": "moto's Secrets Manager",
}

# Read from the template and run by a part of the local stack.
RUN: Final[Mapping[str, str]] = {
    "AWS::ApiGateway::Deployment": "the gateway serves the routes as they stand",
    "AWS::ApiGateway::RestApi": "local/rest.py serves the routes, guards and refusals of its OpenAPI body",
    "AWS::ApiGateway::Stage": "local/rest.py",
    "AWS::ApiGatewayV2::Api": "local/sockets.py",
    "AWS::ApiGatewayV2::Authorizer": "local/sockets.py calls it on $connect",
    "AWS::ApiGatewayV2::Deployment": "the gateway serves the routes as they stand",
    "AWS::ApiGatewayV2::Integration": "local/sockets.py",
    "AWS::ApiGatewayV2::IntegrationResponse": "local/sockets.py",
    "AWS::ApiGatewayV2::Route": "local/sockets.py",
    "AWS::ApiGatewayV2::RouteResponse": "local/sockets.py",
    "AWS::ApiGatewayV2::Stage": "local/sockets.py",
    "AWS::ECS::Service": "local/relay.py runs the relay as a process",
    "AWS::ECS::TaskDefinition": "local/relay.py gives the process its variables and secrets",
    "AWS::Lambda::Alias": "local/runtime.py runs the one version there is",
    "AWS::Lambda::EventInvokeConfig": "local/runtime.py repeats asynchronous calls as it says",
    "AWS::Lambda::EventSourceMapping": "local/triggers.py",
    "AWS::Lambda::Version": "local/runtime.py runs the one version there is",
    "AWS::Scheduler::Schedule": "local/schedules.py",
}

_NETWORK = "the relay listens on loopback; there is no network to build"
_EDGE = "the gateway serves the page, and the relay serves its playlists itself"
_BALANCER = "one relay process, reached directly"
_NOBODY = "permissions are compared by a test, not enforced"

# A name and attributes, and nothing behind them.
INERT: Final[Mapping[str, str]] = {
    "AWS::ApiGateway::Account": "logs go to the terminal",
    "AWS::ApplicationAutoScaling::ScalableTarget": "one relay process",
    "AWS::ApplicationAutoScaling::ScalingPolicy": "one relay process",
    "AWS::CloudFront::CachePolicy": _EDGE,
    "AWS::CloudFront::Distribution": _EDGE,
    "AWS::CloudFront::Function": _EDGE,
    "AWS::CloudFront::OriginAccessControl": _EDGE,
    "AWS::CloudFront::OriginRequestPolicy": _EDGE,
    "AWS::CloudFront::ResponseHeadersPolicy": _EDGE,
    "AWS::CloudWatch::Alarm": "metrics are off here, so no alarm could tell anything",
    "AWS::CloudWatch::CompositeAlarm": "metrics are off here, so no alarm could tell anything",
    "AWS::CloudWatch::Dashboard": "metrics are off here",
    "AWS::EC2::EIP": _NETWORK,
    "AWS::EC2::FlowLog": _NETWORK,
    "AWS::EC2::InternetGateway": _NETWORK,
    "AWS::EC2::Route": _NETWORK,
    "AWS::EC2::RouteTable": _NETWORK,
    "AWS::EC2::SecurityGroup": _NETWORK,
    "AWS::EC2::SecurityGroupEgress": _NETWORK,
    "AWS::EC2::SecurityGroupIngress": _NETWORK,
    "AWS::EC2::Subnet": _NETWORK,
    "AWS::EC2::SubnetRouteTableAssociation": _NETWORK,
    "AWS::EC2::VPC": _NETWORK,
    "AWS::EC2::VPCEndpoint": _NETWORK,
    "AWS::EC2::VPCGatewayAttachment": _NETWORK,
    "AWS::ECS::Cluster": "one relay process",
    "AWS::ElasticLoadBalancingV2::Listener": _BALANCER,
    "AWS::ElasticLoadBalancingV2::ListenerRule": _BALANCER,
    "AWS::ElasticLoadBalancingV2::LoadBalancer": _BALANCER,
    "AWS::ElasticLoadBalancingV2::TargetGroup": _BALANCER,
    "AWS::Lambda::LayerVersion": "what a layer holds is installed in this environment",
    "AWS::Lambda::Permission": _NOBODY,
    "AWS::S3::BucketPolicy": _NOBODY,
    "AWS::SNS::Subscription": "alarms tell nothing here",
    "AWS::SNS::TopicPolicy": _NOBODY,
    "AWS::SQS::QueuePolicy": _NOBODY,
}

# Not created at all: nothing refers to them, or what they do happens another way.
LEFT_OUT: Final[Mapping[str, str]] = {
    "AWS::CDK::Metadata": "tells AWS which constructs were used",
    "Custom::AWS": "sets up what only a deployment has",
    "Custom::CDKBucketDeployment": "the gateway serves web/dist itself",
    "Custom::S3AutoDeleteObjects": "state is memory and ends with the process",
    "Custom::VpcRestrictDefaultSG": "there is no network to build",
}


@dataclass(frozen=True)
class Line:
    """One type of the template and what became of it: ``fate`` is made, run, inert, left out or unlisted."""

    type: str
    count: int
    fate: str
    reason: str


def fate(kind: str) -> tuple[str, str]:
    """What becomes of a type, and why."""
    for name, table in (("made", MADE), ("run", RUN), ("inert", INERT), ("left out", LEFT_OUT)):
        if kind in table:
            return name, table[kind]
    return "unlisted", "no table of local/resource_types.py names it: created as a stand-in without effect"


def account_for(template: Mapping[str, Any]) -> list[Line]:
    """Every type of the template with its count and fate, in the order of types."""
    counts = Counter(str(resource["Type"]) for resource in template["Resources"].values())
    return [Line(kind, counts[kind], *fate(kind)) for kind in sorted(counts)]


def unlisted(lines: Iterable[Line]) -> list[str]:
    """The types that nobody has decided on."""
    return [line.type for line in lines if line.fate == "unlisted"]


def summary(lines: Iterable[Line]) -> str:
    """Counts by fate in one sentence, for the terminal."""
    totals: Counter[str] = Counter()
    for line in lines:
        totals[line.fate] += line.count
    return " · ".join(
        f"{totals[name]} {name}" for name in ("made", "run", "inert", "left out", "unlisted") if totals[name]
    )
