"""A follower of another task's playlist, against an owner that the test plays."""

from __future__ import annotations

import asyncio
import time
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from media.relay.errors import RelayError
from media.relay.lease import Beat, Lease, Leases
from media.relay.metrics import Metrics
from media.relay.peers import Peers
from media.relay.pull import _FOLLOWERS_MAX, Pull
from media.relay.settings import Settings

_SETTINGS = Settings(task="edge", signing_secret="s" * 64)
_PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:10\n#EXTINF:1,\nx.m4s\n"


class _Leases:
    """An owner, who can be unknown in a way that nobody foresaw."""

    def __init__(self, address: str) -> None:
        self.lease = Lease("show", 1, "owner", address, 1, Beat(1))
        self.broken = False

    async def owner(self, _stream_id: str, _kept_s: float = 1.0) -> Lease:
        if self.broken:
            raise ZeroDivisionError
        return self.lease


class Scene:
    """A pull from an owner that answers each request with the next of `bodies`; a context manager."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = list(bodies)
        self.asked = 0

    async def __aenter__(self) -> Scene:
        app = web.Application()
        app.add_routes([web.get("/live/show/{name}", self._answer)])
        self._server = TestServer(app)
        await self._server.start_server()
        self.leases = _Leases(str(self._server.make_url("")).rstrip("/"))
        leases = cast(Leases, self.leases)
        self._peers = Peers(_SETTINGS, leases, lambda _: False, Metrics())
        self.pull = Pull(_SETTINGS, leases, self._peers, lambda _: False, Metrics())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.pull.close()
        await self._peers.close()
        await self._server.close()

    async def playlist(self) -> bytes:
        response = await self.pull.playlist("show", "media.m3u8", (None, None, False), zipped=False)
        assert isinstance(response.body, bytes)
        return response.body

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if request.match_info["name"] != "media.m3u8":
            return web.Response(status=404)
        return web.Response(body=self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0])


@pytest.mark.parametrize(
    "nonsense", [b"\xff\xfe\xfd", b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:ten\n", b"#EXT-X-SKIP:nothing\n"]
)
async def test_what_is_no_playlist_is_shown_to_nobody_and_asked_for_again(nonsense: bytes) -> None:
    async with Scene(nonsense, nonsense, _PLAYLIST) as scene:
        assert await asyncio.wait_for(scene.playlist(), 3) == _PLAYLIST
        assert scene.asked == 3


async def test_a_playlist_outlives_what_its_owner_says_wrongly_later() -> None:
    async with Scene(_PLAYLIST, b"\xff", b"\xff", _PLAYLIST) as scene:
        assert await scene.playlist() == _PLAYLIST
        end = time.monotonic() + 10
        while scene.asked < 4:
            assert time.monotonic() < end, "the owner is asked again"
            assert await scene.playlist() == _PLAYLIST
            await asyncio.sleep(0.02)


async def test_a_follower_that_nothing_can_save_is_followed_by_another_one() -> None:
    async with Scene(_PLAYLIST) as scene:
        followed = scene.pull._follow("show", "media.m3u8", skip=False)
        scene.leases.broken = True
        assert followed.task is not None
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(followed.task, 5)
        assert scene.pull.streams == 0 and isinstance(followed.refusal, RelayError)
        scene.leases.broken = False
        assert await asyncio.wait_for(scene.playlist(), 3) == _PLAYLIST


async def test_names_that_nobody_knows_take_no_place_from_those_who_watch() -> None:
    async with Scene(_PLAYLIST) as scene:
        # given a viewer who asks for one playlist after the other that there is not
        for number in range(_FOLLOWERS_MAX + 1):
            with pytest.raises(RelayError) as refused:
                await scene.pull.playlist("show", f"{number}p.m3u8", (None, None, False), zipped=False)
            # then each of them is told that it is not there
            assert refused.value.code == "not_found", number
        # and the next viewer is given what there is
        assert await asyncio.wait_for(scene.playlist(), 3) == _PLAYLIST
