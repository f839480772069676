"""Which task this is and where the others reach it: from ECS's task metadata, or by settings on one machine.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
"""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from msgspec import structs

from media.relay.public_address import METADATA, TIMEOUT_S
from media.relay.settings import Settings

_ARN_LABEL: Final = "com.amazonaws.ecs.task-arn"
_LOOPBACK: Final = "127.0.0.1"


class IdentityError(RuntimeError):
    """This task runs on ECS and does not learn who it is: others could not pull from it."""


def identified(told: Settings, environment: Mapping[str, str]) -> Settings:
    """Settings with ``task`` and ``address``.

    On ECS the task's id and private address; elsewhere a new name for each process, on loopback.

    Raises
    ------
    IdentityError
        On ECS, when the metadata does not answer as documented.
    """
    task, address = told.task, told.address
    metadata_url = environment.get(METADATA)
    if metadata_url and not (task and address):
        try:
            with urllib.request.urlopen(metadata_url, timeout=TIMEOUT_S) as answer:
                container: dict[str, Any] = json.load(answer)
            # arn:aws:ecs:REGION:ACCOUNT:task/CLUSTER/ID
            task = task or str(container["Labels"][_ARN_LABEL]).rpartition("/")[2]
            address = address or f"http://{container['Networks'][0]['IPv4Addresses'][0]}:{told.port}"
        except (urllib.error.URLError, TimeoutError, ValueError, KeyError, IndexError) as error:
            raise IdentityError(f"this task does not learn who it is: {error!r}") from error
    # A process that was started again is another task: what the one before owned is not its own.
    return structs.replace(
        told, task=task or secrets.token_hex(8), address=address or f"http://{_LOOPBACK}:{told.port}"
    )
