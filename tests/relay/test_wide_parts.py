"""Wide parts over HTTP, as a player that came into a stadium asks for them; the server runs in the test."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from media.relay.delivery import Delivery
from media.relay.metrics import Metrics
from media.relay.program import WIDE_STEP
from media.relay.rights import Rights
from media.relay.settings import Settings
from tests.relay import checker
from tests.relay.stack import PLAYBACK_SECRET, SIGNING_SECRET, playback_token
from tests.relay.test_segmenter import _feed, _program

# Alone on its task: nothing is pulled or passed on.
NOBODY = cast(Any, None)


async def test_who_comes_before_the_first_wide_part_waits_for_it() -> None:
    # given parts, and no three of them yet
    program, _ = _program()
    program.stadium = True
    _feed(program, 0, 25)
    assert program.last_of(1)[0] >= 0 and program.last_of(WIDE_STEP) == (-1, -1)
    rights = Rights(SIGNING_SECRET, PLAYBACK_SECRET, "")
    delivery = Delivery({"abc": program}, NOBODY, NOBODY, rights, Settings(), Metrics())
    app = web.Application()
    app.add_routes(delivery.routes())
    async with TestClient(TestServer(app)) as client:
        path = f"/live/{playback_token('abc')}/abc/wide.m3u8"
        asked = [asyncio.create_task(client.get(path + query)) for query in ("", "?_HLS_msn=0&_HLS_part=0")]
        done, _ = await asyncio.wait(asked, timeout=0.1)
        assert not done, "there is nothing to play yet"
        # when the first one is whole
        _feed(program, 25, 60)
        for answer in [await asyncio.wait_for(one, 5) for one in asked]:
            assert answer.status == 200
            playlist = checker.read(await answer.text())
            assert playlist.segments[-1].parts and playlist.msn == program.last_of(WIDE_STEP)[0]


async def test_a_player_in_a_stadium_follows_wide_parts_one_by_one() -> None:
    program, _ = _program()
    program.stadium = True
    _feed(program, 0, 300)
    rights = Rights(SIGNING_SECRET, PLAYBACK_SECRET, "")
    delivery = Delivery({"abc": program}, NOBODY, NOBODY, rights, Settings(), Metrics())
    app = web.Application()
    app.add_routes(delivery.routes())
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    base = f"http://{host}:{port}/live/{playback_token('abc')}/abc"
    try:
        async with ClientSession() as session:

            async def get(name: str) -> bytes:
                async with session.get(f"{base}/{name}") as answer:
                    assert answer.status == 200, name
                    return await answer.read()

            assert b"wide.m3u8" in await get("index.m3u8")
            before = checker.read((await get("wide.m3u8")).decode())
            for step in range(8):
                msn, part = program.last_of(WIDE_STEP)
                asked = asyncio.create_task(get(f"wide.m3u8?_HLS_msn={msn}&_HLS_part={part + 1}"))
                done, _ = await asyncio.wait([asked], timeout=0.05)
                assert not done, "a reload waits for what it asks for"
                _feed(program, 300 + step * 60, 60)
                now = checker.read((await asyncio.wait_for(asked, 5)).decode())
                checker.check_succession(before, now)
                before = now
            for uri, _, _ in before.segments[-1].parts:
                assert b"moof" in await get(uri)
    finally:
        await runner.cleanup()
