"""The end of a task that others outlive: its publishers move to other tasks, its viewers go on watching meanwhile."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from media.relay.lease import Leases
from media.relay.streams import Streams

logger = logging.getLogger(__name__)

# Publishers are let go one after the other, so that they do not all come to the next task at once.
_SPREAD_S: Final = 0.2
_STEP_S: Final = 0.25
# Of the deadline, for publishers that are slow to go.
_LETTING_GO_SHARE: Final = 0.5
# Requests of viewers who are being sent on get this long to be answered.
_LAST_ANSWERS_S: Final = 0.5


async def hand_over(streams: Streams, leases: Leases, deadline_s: float) -> bool:
    """Give every stream up and wait until other tasks own those that go on.

    From now on nobody may publish here and ``/healthz`` answers 503. Each stream's lease is given up before its
    publisher is disconnected, so that the task which that one reaches next need not wait. Playlists are not ended:
    what is in memory is served, also to other tasks, until the next owner's is there.

    Parameters
    ----------
    deadline_s : float
        Returns within this time.

    Returns
    -------
    bool
        Whether everything was handed over; what was not is over here, and the next publisher continues it elsewhere.
    """
    until_s = time.monotonic() + deadline_s
    streams.draining = True
    going = {stream_id for stream_id, program in streams.programs.items() if not program.ended}
    logger.info("draining: %d streams, %d publishers", len(going), len(streams.publishers))
    letting_go = asyncio.create_task(_let_go(streams, leases))
    await asyncio.wait([letting_go], timeout=deadline_s * _LETTING_GO_SHARE)
    while going and (left_s := until_s - time.monotonic()) > _LAST_ANSWERS_S:
        await asyncio.sleep(min(_STEP_S, left_s))
        for stream_id in list(going):
            program = streams.programs.get(stream_id)
            owner = None if program is None else await leases.owner(stream_id, _STEP_S)
            if program is None or program.ended:
                going.discard(stream_id)
            elif owner is not None and owner.task != leases.task and owner.beat.media_ms:
                streams.dispossess(stream_id)
                going.discard(stream_id)
    for stream_id in going:
        logger.warning("nobody took %s over in time", stream_id)
        streams.dispossess(stream_id)
    letting_go.cancel()
    await asyncio.sleep(max(0.0, min(_LAST_ANSWERS_S, until_s - time.monotonic())))
    return not going


async def _let_go(streams: Streams, leases: Leases) -> None:
    for stream_id in list(leases.held):
        await leases.release(stream_id)
        publisher = streams.publishers.get(stream_id)
        if publisher is not None:
            await streams.left(publisher)
            await asyncio.sleep(_SPREAD_S)
