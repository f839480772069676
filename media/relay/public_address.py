"""Where publishers reach this task: inside Fargate only the private address is known, EC2 knows the public one.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

METADATA = "ECS_CONTAINER_METADATA_URI_V4"
TIMEOUT_S = 3.0


class PublicAddressError(RuntimeError):
    """This task runs on ECS and its public address cannot be found: publishers could not reach it by UDP."""


def of_this_task(environment: Mapping[str, str], ec2: Any = None) -> str:
    """The public IPv4 address of this task's network interface; empty where this is no ECS task.

    Parameters
    ----------
    environment : Mapping[str, str]
        ECS gives ``ECS_CONTAINER_METADATA_URI_V4`` to each of its containers.
    ec2 : Any
        An EC2 client; one of this region by default.

    Raises
    ------
    PublicAddressError
        On ECS, when metadata or EC2 do not answer, or the interface has no public address.
    """
    metadata_url = environment.get(METADATA)
    if not metadata_url:
        return ""
    try:
        with urllib.request.urlopen(metadata_url, timeout=TIMEOUT_S) as answer:
            network: dict[str, Any] = json.load(answer)["Networks"][0]
        # Both, because another network of the account may use the same private address.
        filters = [
            {"Name": "mac-address", "Values": [network["MACAddress"]]},
            {"Name": "addresses.private-ip-address", "Values": list(network["IPv4Addresses"])},
        ]
        found: dict[str, Any] = (ec2 or boto3.client("ec2")).describe_network_interfaces(Filters=filters)
        interfaces: list[dict[str, Any]] = found["NetworkInterfaces"]
        return str(interfaces[0]["Association"]["PublicIp"])
    except (urllib.error.URLError, TimeoutError, ValueError, BotoCoreError, ClientError) as error:
        raise PublicAddressError(f"this task's public address cannot be asked for: {error}") from error
    except (KeyError, IndexError) as error:
        raise PublicAddressError(f"this task's network interface has no public address ({error})") from error
