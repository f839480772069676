"""One Lambda handler with what all have: the shared bundle, logs kept for a while, tracing, and no right at all.

Rights are added one action and one resource at a time (`Handler.may`): a test compares them with the calls seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import rules
from infra.interfaces import interface
from infra.settings import Settings

METRICS_NAMESPACE = "Onair"


@dataclass(frozen=True)
class House:
    """What all constructs share: the operator's settings and the one code asset of all functions."""

    settings: Settings
    code: lambda_.Code

    @property
    def removal(self) -> cdk.RemovalPolicy:
        """What becomes of data when its resource leaves the template."""
        return cdk.RemovalPolicy.RETAIN if self.settings.removal == "retain" else cdk.RemovalPolicy.DESTROY

    def log_group(self, scope: Construct, name: str) -> logs.LogGroup:
        """A log group that forgets after ``log_days`` and goes with its stack."""
        made = logs.LogGroup(scope, name, removal_policy=cdk.RemovalPolicy.DESTROY)
        # The construct wants an enumeration whose names cannot be computed from a number; the resource a number.
        resource = made.node.default_child
        assert isinstance(resource, logs.CfnLogGroup)
        resource.retention_in_days = self.settings.log_days
        return made


class Handler(lambda_.Function):
    """A function of the shared bundle.

    Parameters
    ----------
    scope, name
        Where it stands in the tree, and its construct id.
    house : House
        Settings and code.
    entry : str
        Dotted path below ``functions``, for example ``rooms.chat.handle``.
    environment : Mapping[str, str]
        Variables beyond those that every function has.
    timeout_s : float
        The function's own limit, in seconds (whole seconds: Lambda counts in these).
    memory_mib : int
        Memory, and with it a share of a core: 1769 MiB are one whole core.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        house: House,
        entry: str,
        environment: Mapping[str, str],
        timeout_s: int,
        memory_mib: int = 512,
    ) -> None:
        # One log group a capability: each line names its function (Powertools), and resources are few (400).
        log_group = scope.node.try_find_child("Logs") or house.log_group(scope, "Logs")
        assert isinstance(log_group, logs.LogGroup)
        role = iam.Role(scope, f"{name}Role", assumed_by=interface(iam.ServicePrincipal("lambda.amazonaws.com")))
        # The managed basic execution policy may write to every log group of the account; this may write to its own.
        log_group.grant_write(role)
        super().__init__(
            scope,
            name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"functions.{entry}",
            code=house.code,
            role=interface(role),
            log_group=log_group,
            timeout=cdk.Duration.seconds(timeout_s),
            memory_size=memory_mib,
            tracing=lambda_.Tracing.ACTIVE,
            # A secret is read once a container; a changed description starts new containers (docs/operate.md).
            description=f"functions.{entry}; secrets generation {house.settings.secrets_generation}",
            environment={
                "LOG_LEVEL": house.settings.log_level,
                "POWERTOOLS_SERVICE_NAME": entry.split(".")[0],
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                **environment,
            },
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if house.settings.snap_start else None,
        )
        self._with_snap_start = house.settings.snap_start
        self._alias: lambda_.Alias | None = None
        rules.acknowledge(
            role,
            "IAM5[Resource::*]",
            "X-Ray takes segments for no particular resource: PutTraceSegments has none to name.",
        )
        rules.acknowledge(
            self,
            "L1",
            "The pinned wheels are tested on 3.13 and installed for it (infra/bundling.py); the two move together.",
        )

    def may(self, actions: Sequence[str], on: Sequence[str]) -> None:
        """Allow exactly ``actions`` on exactly the resources whose ARNs are ``on``."""
        self.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=list(on)))

    def called_by_clients(self) -> lambda_.IFunction:
        """What a gateway should call: with SnapStart an alias of the newest version, else the function.

        SnapStart exists for published versions only, so each such function costs two more resources.
        """
        if not self._with_snap_start:
            return interface(self)
        if self._alias is None:
            self._alias = lambda_.Alias(self, "Live", alias_name="live", version=interface(self.current_version))
        return interface(self._alias)
