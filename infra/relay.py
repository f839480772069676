"""The relay: a Fargate service that takes video in (WHIP, RTMP) and gives it out through CloudFront."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as balancing
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from functions.errors import CODES
from infra import rules
from infra.handler import House
from infra.interfaces import interface
from infra.rooms import Rooms
from infra.settings import ROOT
from infra.streams import RECORDINGS, Streams, acknowledge_recordings
from infra.web import Web

HTTP_PORT: Final = 8081
RTMP_PORT: Final = 1935
ORIGIN_HEADER: Final = "X-Onair-Origin"
# A blocked playlist reload waits up to three segments (RFC 8216bis §6.2.5.2), 18 s at the longest segment we allow.
BALANCER_IDLE_S: Final = 60
ORIGIN_READ_S: Final = 30
DRAIN_S: Final = 120  # Fargate's longest time between SIGTERM and SIGKILL
DRAIN_MARGIN_S: Final = 10  # of it, for ending in order what nobody took over
# What media/relay/lease_table.py writes: with these alone a task cannot touch a stream's own item.
LEASE_ATTRIBUTES: Final = (
    "pk", "sk", "fence", "task", "address", "generation", "media_ms", "last_msn", "breaks", "expires_at", "beats",
)  # fmt: skip
# As media/relay/load.py tells it.
LOAD_NAMESPACE: Final = "Onair/Relay"
LOW_LATENCY_QUERY: Final = ("_HLS_msn", "_HLS_part", "_HLS_skip")
KEY_PLACE: Final = "__PLAYBACK_KEY__"


class Relay(Construct):
    """Network, service, load balancers, media bucket, and the distribution's behaviours for video and signalling."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        house: House,
        streams: Streams,
        rooms: Rooms,
        web: Web,
        signing: secretsmanager.Secret,
        playback: secretsmanager.Secret,
        origin: secretsmanager.Secret,
    ) -> None:
        super().__init__(scope, name)
        self._house = house
        self._settings = house.settings
        self.bucket = s3.Bucket(
            self,
            "Media",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            removal_policy=house.removal,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="forget",
                    expiration=cdk.Duration.days(self._settings.media_days),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )
        rules.acknowledge(
            self.bucket,
            "S1",
            "Only the relay and two functions write here, and CloudFront alone reads, whose metrics count.",
        )
        self.vpc = ec2.Vpc(
            self,
            "Network",
            max_azs=2,
            ip_protocol=ec2.IpProtocol.DUAL_STACK if self._settings.ipv6 else ec2.IpProtocol.IPV4_ONLY,
            nat_gateways=0,  # the relay must be reachable by UDP anyway, so it has a public address and needs no NAT
            subnet_configuration=[ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)],
            restrict_default_security_group=False,
        )
        rules.acknowledge(
            self.vpc,
            "VPC7",
            "Flow logs of media would cost more than they tell: each publisher and each pull is a flow.",
        )
        self._open_ports()
        self._run(streams, rooms, web, signing, playback, origin)
        self._balance_http(origin)
        self._balance_rtmp()
        self._deliver(web, playback, origin)

    @property
    def rtmp_url(self) -> str:
        """Where encoders publish; the stream key follows after a slash."""
        return f"rtmp://{self.rtmp_balancer.load_balancer_dns_name}/live"

    def _open_ports(self) -> None:
        udp = ec2.Port.udp_range(self._settings.udp_port_first, self._settings.udp_port_last)
        self.task_group = ec2.SecurityGroup(self, "TaskGroup", vpc=self.vpc, description="Relay tasks")
        self.task_group.add_ingress_rule(ec2.Peer.any_ipv4(), udp, "WebRTC media from publishers and guests")
        if self._settings.ipv6:
            self.task_group.add_ingress_rule(ec2.Peer.any_ipv6(), udp, "WebRTC media by IPv6")
        self.http_group = ec2.SecurityGroup(
            self, "HttpGroup", vpc=self.vpc, description="HTTP balancer: CloudFront only", allow_all_outbound=False
        )
        prefix_list = self._settings.cloudfront_prefix_list
        self.http_group.add_ingress_rule(
            ec2.Peer.prefix_list(prefix_list) if prefix_list else ec2.Peer.any_ipv4(),
            ec2.Port.tcp(80),
            "CloudFront; others lack the origin header and get 403",
        )
        self.rtmp_group = ec2.SecurityGroup(
            self, "RtmpGroup", vpc=self.vpc, description="RTMP balancer", allow_all_outbound=False
        )
        self.rtmp_group.add_ingress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(RTMP_PORT), "RTMP from encoders")
        if self._settings.ipv6:
            self.rtmp_group.add_ingress_rule(ec2.Peer.any_ipv6(), ec2.Port.tcp(RTMP_PORT), "RTMP by IPv6")
        for group, port, why in (
            (self.http_group, HTTP_PORT, "HTTP from its balancer"),
            (self.rtmp_group, RTMP_PORT, "RTMP from its balancer"),
            (self.rtmp_group, HTTP_PORT, "Health checks of the RTMP balancer"),
            (self.task_group, HTTP_PORT, "Relay to relay: a task pulls from the one that owns a stream"),
        ):
            self.task_group.connections.allow_from(group, ec2.Port.tcp(port), why)
        for group in (self.task_group, self.http_group, self.rtmp_group):
            rules.acknowledge(
                group,
                "EC23",
                "Publishers come from any address: stream keys and the origin header decide.",
            )

    def _run(
        self,
        streams: Streams,
        rooms: Rooms,
        web: Web,
        signing: secretsmanager.Secret,
        playback: secretsmanager.Secret,
        origin: secretsmanager.Secret,
    ) -> None:
        settings = self._settings
        self.cluster = ecs.Cluster(self, "Cluster", vpc=self.vpc, container_insights_v2=ecs.ContainerInsights.ENABLED)
        self.task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=settings.relay_cpu,
            memory_limit_mib=settings.relay_memory_mib,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64
                if settings.relay_architecture == "arm64"
                else ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        self.task.add_volume(name="scratch")
        container = self.task.add_container(
            "relay",
            image=self._image(),
            logging=ecs.LogDrivers.aws_logs(stream_prefix="relay", log_group=self._house.log_group(self, "Logs")),
            environment={
                "RELAY_HOST": "::" if settings.ipv6 else "0.0.0.0",
                "RELAY_PORT": str(HTTP_PORT),
                "RTMP_PORT": str(RTMP_PORT),
                "RELAY_PUBLIC_URL": web.url,
                "ALLOWED_ORIGIN": web.url,
                "STREAMS_TABLE": streams.table.table_name,
                "MEDIA_QUEUE_URL": streams.media.queue.queue_url,
                # A stadium's room, which the relay enters with a ticket of its own.
                "SOCKET_URL": rooms.stage.url,
                "MEDIA_BUCKET": self.bucket.bucket_name,
                "PART_MS": str(settings.relay_part_ms),
                "SEGMENT_S": str(settings.relay_segment_s),
                "COMPOSE_MAX": str(settings.relay_compose_max),
                "COMPOSE_PX": str(settings.relay_compose_px),
                "LADDER": settings.relay_ladder,
                "LADDER_MAX": str(settings.relay_ladder_max),
                "PROCESSORS": str(max(1, settings.relay_cpu // 1024)),
                "DRAIN_S": str(DRAIN_S - DRAIN_MARGIN_S),
                "DEPLOYMENT": cdk.Stack.of(self).stack_name,
                "AWS_DEFAULT_REGION": cdk.Stack.of(self).region,
                # A new number makes a new task definition, and so tasks that read the secrets anew.
                "SECRETS_GENERATION": str(settings.secrets_generation),
            },
            secrets={
                "SIGNING_SECRET": ecs.Secret.from_secrets_manager(interface(signing)),
                "PLAYBACK_SECRET": ecs.Secret.from_secrets_manager(interface(playback)),
                "ORIGIN_SECRET": ecs.Secret.from_secrets_manager(interface(origin)),
            },
            # aiortc binds UDP ports that the kernel picks; this keeps the kernel to the ports the security group opens.
            system_controls=[
                ecs.SystemControl(
                    namespace="net.ipv4.ip_local_port_range",
                    value=f"{settings.udp_port_first} {settings.udp_port_last}",
                )
            ],
            port_mappings=[ecs.PortMapping(container_port=HTTP_PORT), ecs.PortMapping(container_port=RTMP_PORT)],
            readonly_root_filesystem=True,
            stop_timeout=cdk.Duration.seconds(DRAIN_S),
            health_check=ecs.HealthCheck(
                command=["CMD", "python3", "-m", "media.healthcheck"],
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                retries=3,
                start_period=cdk.Duration.seconds(20),
            ),
        )
        container.add_mount_points(ecs.MountPoint(container_path="/tmp", source_volume="scratch", read_only=False))
        self._let_relay(streams)
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.task,
            desired_count=settings.relay_tasks,
            min_healthy_percent=100,
            max_healthy_percent=200,
            assign_public_ip=True,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            security_groups=[self.task_group],
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            health_check_grace_period=cdk.Duration.seconds(60),
        )
        self._scale()
        rules.acknowledge(
            self.task,
            "ECS2",
            "What stands here in the open is addresses and sizes; secrets come from Secrets Manager.",
        )

    def _scale(self) -> None:
        """As many tasks as publishers and viewers take; a task that is live is protected, so only idle ones go."""
        settings = self._settings
        tasks = self.service.auto_scale_task_count(
            min_capacity=settings.relay_tasks, max_capacity=max(settings.relay_tasks, settings.relay_tasks_max)
        )
        for name, metric, target in (
            ("Streams", "Publishers", settings.relay_streams_per_task),
            ("Egress", "EgressMbps", settings.relay_egress_mbps),
        ):
            tasks.scale_to_track_custom_metric(
                name,
                metric=self._told(metric, "avg"),
                target_value=target,
                scale_out_cooldown=cdk.Duration.seconds(60),
                # Slow to go: a task that leaves moves its viewers.
                scale_in_cooldown=cdk.Duration.minutes(10),
            )

    @property
    def recording_losses(self) -> cloudwatch.Metric:
        """Objects that recordings lack, over all tasks, a minute."""
        return self._told("RecordingLosses", "sum")

    def _told(self, name: str, statistic: str) -> cloudwatch.Metric:
        """What tasks tell in their logs (media/relay/load.py)."""
        return cloudwatch.Metric(
            namespace=LOAD_NAMESPACE,
            metric_name=name,
            dimensions_map={"Deployment": cdk.Stack.of(self).stack_name},
            statistic=statistic,
            period=cdk.Duration.minutes(1),
        )

    def _image(self) -> ecs.ContainerImage:
        if self._settings.relay_image:
            return ecs.ContainerImage.from_registry(self._settings.relay_image)
        return ecs.ContainerImage.from_asset(
            str(ROOT / "media"),
            exclude=["**/__pycache__", "**/*.pyc"],
            build_args={"BASE": self._settings.relay_base} if self._settings.relay_base else None,
            platform=cdk.aws_ecr_assets.Platform.LINUX_ARM64
            if self._settings.relay_architecture == "arm64"
            else cdk.aws_ecr_assets.Platform.LINUX_AMD64,
        )

    def _let_relay(self, streams: Streams) -> None:
        role = self.task.task_role
        for actions, resources in (
            (("dynamodb:GetItem", "dynamodb:BatchGetItem"), [streams.table.table_arn]),
            (("sqs:SendMessage",), [streams.media.queue.queue_arn]),
            # In parts too; those of an upload that failed are taken back.
            (("s3:PutObject", "s3:AbortMultipartUpload"), [self.bucket.arn_for_objects(RECORDINGS)]),
            # Only the address of its own network interface; EC2 knows no resource for this action.
            (("ec2:DescribeNetworkInterfaces",), ["*"]),
        ):
            role.add_to_principal_policy(iam.PolicyStatement(actions=list(actions), resources=resources))
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["dynamodb:UpdateItem"],
                resources=[streams.table.table_arn],
                conditions={"ForAllValues:StringEquals": {"dynamodb:Attributes": list(LEASE_ATTRIBUTES)}},
            )
        )
        tasks = cdk.Stack.of(self).format_arn(
            service="ecs", resource="task", resource_name=f"{self.cluster.cluster_name}/*"
        )
        role.add_to_principal_policy(iam.PolicyStatement(actions=["ecs:UpdateTaskProtection"], resources=[tasks]))
        acknowledge_recordings(role, self.bucket)
        rules.acknowledge(
            role,
            "IAM5[Resource::*]",
            "ec2:DescribeNetworkInterfaces takes no resource: the relay asks for its own public address.",
        )
        cluster = cdk.Stack.of(self).get_logical_id(cast(cdk.CfnElement, self.cluster.node.default_child))
        rules.acknowledge(
            role,
            f"IAM5[Resource::arn:<AWS::Partition>:ecs:<AWS::Region>:<AWS::AccountId>:task/<{cluster}>/*]",
            "A task protects itself, and learns its id only when it runs: the right is for tasks of this cluster.",
        )
        rules.acknowledge(
            self.task,
            "IAM5[Resource::*]",
            "ecr:GetAuthorizationToken takes no resource: ECS pulls the relay's image with it.",
        )

    def _balance_http(self, origin: secretsmanager.Secret) -> None:
        self.http_balancer = balancing.ApplicationLoadBalancer(
            self,
            "HttpBalancer",
            vpc=self.vpc,
            internet_facing=True,
            security_group=self.http_group,
            idle_timeout=cdk.Duration.seconds(BALANCER_IDLE_S),
            drop_invalid_header_fields=True,
            deletion_protection=False,
        )
        status, message = CODES["forbidden"]
        listener = self.http_balancer.add_listener(
            "Http",
            port=80,
            open=False,  # who may come is decided by the security group above
            default_action=balancing.ListenerAction.fixed_response(
                status,
                content_type="application/json",
                message_body=cdk.Stack.of(self).to_json_string({"error": {"code": "forbidden", "message": message}}),
            ),
        )
        self.http_targets = balancing.ApplicationTargetGroup(
            self,
            "HttpTargets",
            vpc=self.vpc,
            port=HTTP_PORT,
            protocol=balancing.ApplicationProtocol.HTTP,
            target_type=balancing.TargetType.IP,
            targets=[self.service.load_balancer_target(container_name="relay", container_port=HTTP_PORT)],
            deregistration_delay=cdk.Duration.seconds(30),
            # As quick as the balancer allows: until a dead task is found out, a share of all requests goes there.
            health_check=balancing.HealthCheck(
                path="/healthz",
                interval=cdk.Duration.seconds(5),
                timeout=cdk.Duration.seconds(2),
                unhealthy_threshold_count=2,
                healthy_threshold_count=2,
            ),
        )
        listener.add_action(
            "FromCloudFront",
            priority=1,
            conditions=[balancing.ListenerCondition.http_header(ORIGIN_HEADER, [origin.secret_value.unsafe_unwrap()])],
            action=balancing.ListenerAction.forward([self.http_targets]),
        )
        rules.acknowledge(
            self.http_balancer,
            "ELB2",
            "Its access logs need a bucket policy that depends on the region, which is open here.",
        )

    def _balance_rtmp(self) -> None:
        self.rtmp_balancer = balancing.NetworkLoadBalancer(
            self,
            "RtmpBalancer",
            vpc=self.vpc,
            internet_facing=True,
            security_groups=[self.rtmp_group],
            ip_address_type=balancing.IpAddressType.DUAL_STACK if self._settings.ipv6 else None,
            cross_zone_enabled=True,  # one task by default: both addresses must reach it
        )
        self.rtmp_targets = balancing.NetworkTargetGroup(
            self,
            "RtmpTargets",
            vpc=self.vpc,
            port=RTMP_PORT,
            protocol=balancing.Protocol.TCP,
            target_type=balancing.TargetType.IP,
            targets=[self.service.load_balancer_target(container_name="relay", container_port=RTMP_PORT)],
            # The relay's own health, not the RTMP port's: one answer tells whether a task is fit.
            health_check=balancing.HealthCheck(
                protocol=balancing.Protocol.HTTP,
                port=str(HTTP_PORT),
                path="/healthz",
                interval=cdk.Duration.seconds(10),
            ),
        )
        self.rtmp_balancer.add_listener(
            "Rtmp", port=RTMP_PORT, protocol=balancing.Protocol.TCP, default_target_groups=[self.rtmp_targets]
        )
        rules.acknowledge(
            self.rtmp_balancer,
            "ELB2",
            "A network balancer logs TLS listeners only, and RTMP has none; the relay logs each publisher itself.",
        )

    def _deliver(self, web: Web, playback: secretsmanager.Secret, origin: secretsmanager.Secret) -> None:
        from_relay = origins.LoadBalancerV2Origin(
            self.http_balancer,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTP_ONLY,
            read_timeout=cdk.Duration.seconds(ORIGIN_READ_S),
            keepalive_timeout=cdk.Duration.seconds(30),
            custom_headers={ORIGIN_HEADER: origin.secret_value.unsafe_unwrap()},
        )
        source = (Path(__file__).parent / "playback.js").read_text()
        # A template names no secret's value: CloudFormation fills it in, and again when the generation changes.
        code = f"// secrets generation {self._settings.secrets_generation}\n" + source.replace(
            KEY_PLACE, playback.secret_value.unsafe_unwrap()
        )
        check = cloudfront.Function(
            self,
            "Playback",
            comment="Onair: checks the playback token in the path and takes it out",
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            code=cloudfront.FunctionCode.from_inline(code),
        )
        live = cloudfront.CachePolicy(
            self,
            "LiveCache",
            comment="Low-latency HLS: the relay says how long; one entry for all viewers",
            query_string_behavior=cloudfront.CacheQueryStringBehavior.allow_list(*LOW_LATENCY_QUERY),
            min_ttl=cdk.Duration.seconds(0),
            default_ttl=cdk.Duration.seconds(1),
            max_ttl=cdk.Duration.days(1),
            enable_accept_encoding_gzip=True,
        )
        checked = [
            cloudfront.FunctionAssociation(function=check, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST)
        ]
        web.distribution.add_behavior(
            "/live/*",
            from_relay,
            cache_policy=live,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            function_associations=checked,
        )
        # Recordings come from the bucket itself: without the token, the path is the object's key.
        web.distribution.add_behavior(
            f"/{RECORDINGS}",
            origins.S3BucketOrigin.with_origin_access_control(self.bucket),
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            response_headers_policy=cloudfront.ResponseHeadersPolicy.CORS_ALLOW_ALL_ORIGINS,
            function_associations=checked,
        )
        web.distribution.add_behavior(
            "/preview/*",
            from_relay,
            cache_policy=live,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        )
        for pattern in ("/whip/*", "/whep/*"):
            web.distribution.add_behavior(
                pattern,
                from_relay,
                cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
                # Brings Authorization (the stream key) and the SDP's content type on to the relay.
                origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            )
