"""`python -m media.relay`: read the environment, listen, end on SIGTERM or SIGINT within five seconds."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys

import uvloop
from aiohttp import web
from msgspec import structs

from media.relay import app, drain, identity, public_address, settings
from media.relay.listen import listening

_SHUTDOWN_S = 1.0
_END_S = 4.0
# Threads that talk to AWS keep the interpreter for 5 ms by default, and each read of a socket lets them have it.
_SWITCH_S = 0.001
_GC_THRESHOLDS = (10_000, 20, 20)


async def serve(told: settings.Settings) -> None:
    """Run until a signal comes."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    made = app.make(told)
    # aiohttp would keep a connection that asks for nothing for an hour.
    runner = web.AppRunner(
        made,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_S,
        handle_signals=False,
        keepalive_timeout=told.idle_connection_s,
    )
    await runner.setup()
    await web.SockSite(runner, listening(told.host, told.port, told.unread_s)).start()
    # What was imported and made so far lives as long as the process: the collector need not look at it ever again. And
    # media makes thousands of objects a second, nearly none of them in cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    sys.setswitchinterval(_SWITCH_S)
    logging.getLogger(__name__).info("relay listens on %s:%d", told.host, told.port)
    await stopped.wait()
    if told.drain_s:
        stopped.clear()
        handing_over = asyncio.ensure_future(drain.hand_over(made[app.STREAMS], made[app.LEASES], told.drain_s))
        # A second signal ends it at once.
        await asyncio.wait([handing_over, asyncio.ensure_future(stopped.wait())], return_when=asyncio.FIRST_COMPLETED)
    try:
        await asyncio.wait_for(runner.cleanup(), _END_S)
    except TimeoutError:
        logging.getLogger(__name__).warning("not everything ended within %s s", _END_S)


def main() -> None:
    """Entry point; exits with 2 and one sentence when the environment is wrong."""
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # aioice and aiortc tell every check and packet at INFO.
    for noisy in ("aioice", "aiortc"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        told = identity.identified(settings.read(os.environ), os.environ)
        if not told.ice_public_address:
            told = structs.replace(told, ice_public_address=public_address.of_this_task(os.environ))
    except (ValueError, public_address.PublicAddressError, identity.IdentityError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
    uvloop.new_event_loop().run_until_complete(serve(told))
    # Playlists are ended and publishers told. A thread that still waits for AWS must not hold the process beyond the
    # five seconds that it is given, and joining threads is what an ordinary exit would do.
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
