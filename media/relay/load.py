"""How loaded this task is and what its recordings lack, as lines of its log: autoscaling and an alarm read them.

The line is in CloudWatch's embedded metric format, so that it takes no call and no right.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

NAMESPACE: Final = "Onair/Relay"
DIMENSION: Final = "Deployment"
PUBLISHERS: Final = "Publishers"
EGRESS: Final = "EgressMbps"
RECORDING_LOSSES: Final = "RecordingLosses"
_INTERVAL_S: Final = 20.0


def line(deployment: str, at_ms: int, publishers: int, egress_mbps: float, losses: int = 0) -> str:
    """One line in the embedded metric format; the average over tasks is what one task carries."""
    content: dict[str, Any] = {
        "_aws": {
            "Timestamp": at_ms,
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [[DIMENSION]],
                    "Metrics": [
                        {"Name": PUBLISHERS, "Unit": "Count"},
                        {"Name": EGRESS, "Unit": "Megabits/Second"},
                        {"Name": RECORDING_LOSSES, "Unit": "Count"},
                    ],
                }
            ],
        },
        DIMENSION: deployment,
        PUBLISHERS: publishers,
        EGRESS: round(egress_mbps, 3),
        RECORDING_LOSSES: losses,
    }
    return msgspec.json.encode(content).decode()


class Load:
    """Tells the load again and again.

    Parameters
    ----------
    deployment : str
        The stack's name; empty tells nothing, as on a laptop.
    publishers : Callable[[], int]
        Publishers now.
    bytes_sent : Callable[[], float]
        Bytes of media served since the start.
    losses : Callable[[], float]
        Objects that recordings lack since the start.
    tell : Callable[[str], None]
        Takes a line; by default standard output, which ECS hands to CloudWatch Logs.
    """

    def __init__(
        self,
        deployment: str,
        publishers: Callable[[], int],
        bytes_sent: Callable[[], float],
        losses: Callable[[], float],
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._deployment = deployment
        self._publishers = publishers
        self._bytes_sent = bytes_sent
        self._losses = losses
        self._tell = tell or _print
        self._at_s = time.monotonic()
        self._sent = 0.0
        self._lost = 0.0

    async def run(self) -> None:
        """Tell it for ever; returns at once where nobody reads it."""
        if not self._deployment:
            return
        while True:
            await asyncio.sleep(_INTERVAL_S)
            self.measure(time.monotonic(), time.time_ns() // 1_000_000)

    def measure(self, now: float, at_ms: int) -> None:
        """Tell the load since the last time."""
        sent, lost, seconds = self._bytes_sent(), self._losses(), max(0.001, now - self._at_s)
        megabits = (sent - self._sent) * 8 / 1e6 / seconds
        losses = int(lost - self._lost)
        self._at_s, self._sent, self._lost = now, sent, lost
        self._tell(line(self._deployment, at_ms, self._publishers(), megabits, losses))


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201
