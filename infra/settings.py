"""What an operator may choose at deploy time: every context key of cdk.json, with its type and its bounds.

``docs/operate.md`` comments each key. Defaults live in cdk.json alone, so that what is not set there is an error here
rather than a second opinion. Values given with ``-c key=value`` arrive as text and are converted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from constructs import Construct

from functions.accounts import markets

ROOT: Final = Path(__file__).resolve().parent.parent

Positive = Annotated[int, msgspec.Meta(ge=1)]
Port = Annotated[int, msgspec.Meta(ge=1024, le=65535)]
# Whole, with the six characters that Secrets Manager adds to a name: a policy matches nothing less.
SecretArn = Annotated[str, msgspec.Meta(pattern=r"^(arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:.+-[A-Za-z0-9]{6})?$")]
# A platform application of SNS, which CloudFormation cannot make.
PlatformArn = Annotated[
    str, msgspec.Meta(pattern=r"^(arn:[^:]+:sns:[^:]+:\d{12}:app/(APNS|APNS_SANDBOX|GCM)/[A-Za-z0-9_.-]+)?$")
]
LogDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of a room; each becomes the environment variable of the same name in capitals."""

    slot_ms: Annotated[int, msgspec.Meta(ge=50, le=1000)]
    skew_guard_ms: Annotated[int, msgspec.Meta(ge=0, le=500)]
    posts_budget: Positive
    stadium_viewers: Positive
    react_interval_ms: Annotated[int, msgspec.Meta(ge=100)]
    reconnect_spread_ms: Annotated[int, msgspec.Meta(ge=0)]
    ping_s: Annotated[int, msgspec.Meta(ge=30, le=540)]  # API Gateway closes a socket that was silent for 600 s
    shard_size: Annotated[int, msgspec.Meta(ge=10, le=1000)]
    display_lines_s: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    reacts_budget: Positive

    def environment(self) -> dict[str, str]:
        """The limits as environment variables."""
        return {name.upper(): str(getattr(self, name)) for name in self.__struct_fields__}


class Settings(msgspec.Struct, frozen=True):
    """One deployment's choices."""

    removal: Literal["retain", "destroy"]
    deletion_protection: bool
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    log_days: LogDays
    alarm_email: str
    mail_from: str
    push_hosts: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.,:/-]+$")]
    push_apns_arn: PlatformArn
    push_fcm_arn: PlatformArn
    sign_ups_an_hour: Positive
    sign_in_failures: Positive
    secrets_generation: Positive
    snap_start: bool
    sandbox_purchases: bool
    apple_secret_arn: SecretArn
    google_secret_arn: SecretArn
    stripe_secret_arn: SecretArn
    creator_share_permille: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    payouts_secret_arn: SecretArn
    tax: dict[str, Any]
    audit_days: Positive
    markets: dict[str, Any]
    limits: Limits
    api_rate: Positive
    api_burst: Positive
    socket_rate: Positive
    socket_burst: Positive
    relay_image: str
    relay_base: str
    relay_architecture: Literal["x86_64", "arm64"]
    relay_cpu: Literal[256, 512, 1024, 2048, 4096, 8192, 16384]
    relay_memory_mib: Annotated[int, msgspec.Meta(ge=512)]
    relay_tasks: Annotated[int, msgspec.Meta(ge=1, le=100)]
    relay_tasks_max: Annotated[int, msgspec.Meta(ge=1, le=100)]
    relay_streams_per_task: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    relay_egress_mbps: Positive
    relay_part_ms: Annotated[int, msgspec.Meta(ge=100, le=1000)]
    relay_segment_s: Annotated[int, msgspec.Meta(ge=1, le=6)]
    relay_compose_max: Annotated[int, msgspec.Meta(ge=0, le=16)]
    relay_compose_px: Annotated[int, msgspec.Meta(ge=180, le=1080)]
    relay_ladder: Annotated[str, msgspec.Meta(pattern=r"^((720|480|240)(,(720|480|240))*)?$")]
    relay_ladder_max: Annotated[int, msgspec.Meta(ge=0, le=16)]
    udp_port_first: Port
    udp_port_last: Port
    ipv6: bool
    media_days: Positive
    cloudfront_prefix_list: str
    web_dist: str

    def __post_init__(self) -> None:
        # By the code that reads it: a column of a wrong type stops the synthesis rather than every sign-up.
        markets.merged(json.dumps(self.markets, sort_keys=True) if self.markets else "")
        if self.udp_port_last - self.udp_port_first < 99:
            raise ValueError("udp_port_last must be at least 99 above udp_port_first: each publisher takes ports")

    def push_environment(self) -> dict[str, str]:
        """The platform applications that there are, as environment variables."""
        given = {"PUSH_APNS_ARN": self.push_apns_arn, "PUSH_FCM_ARN": self.push_fcm_arn}
        return {name: arn for name, arn in given.items() if arn}

    def markets_environment(self) -> dict[str, str]:
        """The markets' changed rows as an environment variable; nothing where none is changed."""
        return {"MARKETS": json.dumps(self.markets, sort_keys=True)} if self.markets else {}


def context_of_cdk_json() -> dict[str, Any]:
    """The ``context`` of cdk.json: the CDK command line passes it on by itself, a plain ``python app.py`` does not."""
    content: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())
    return content["context"]


def read(scope: Construct) -> Settings:
    """Read and check all keys from the construct tree's context.

    Raises
    ------
    ValueError
        Naming the key that is missing, of a wrong type or out of bounds.
    """
    values: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        value: Any = scope.node.try_get_context(name)
        if value is None:
            raise ValueError(f"context key {name} is missing: cdk.json holds the defaults")
        values[name] = json.loads(value) if name in ("markets", "limits", "tax") and isinstance(value, str) else value
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"context (cdk.json or -c key=value): {error}") from error
