"""ICE restarts under running media: what is touched of aiortc and aioice, and RFC 9725 4.3.3 on a relay."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import aiohttp
import pytest
from aioice import Connection
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from media.relay.errors import RelayError
from media.relay.ice_restart import IceRestarts
from media.relay.jitter import Frame
from media.relay.passthrough import Inlet
from media.test_source import Publisher, ToneTrack
from tests.relay import checker
from tests.relay.ice_client import restart, transport_of
from tests.relay.stack import Stack, fetch, stream_key

_WAIT_S = 10
_PASSWORD = "p" * 22


def test_aioice_is_the_version_that_ice_restart_was_held_against() -> None:
    assert version("aioice") == "0.13.0", "read what media/relay/ice_restart.py touches again, then change this"


class Pair:
    """A publisher of sound and the relay's end of it, connected."""

    def __init__(self) -> None:
        self.client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.server = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.restarts = IceRestarts(self.server)
        self.frames: list[Frame] = []
        self.states: list[str] = []

    async def connect(self) -> None:
        self.client.addTransceiver(ToneTrack(), direction="sendonly")
        await self.client.setLocalDescription(await self.client.createOffer())
        self.server.on("connectionstatechange", lambda: self.states.append(self.server.connectionState))
        self.server.on("track", self._track)
        await self.server.setRemoteDescription(RTCSessionDescription(self.client.localDescription.sdp, "offer"))
        await self.server.setLocalDescription(await self.server.createAnswer())
        await self.client.setRemoteDescription(RTCSessionDescription(self.server.localDescription.sdp, "answer"))
        await self.flows()

    async def flows(self) -> None:
        """Sound comes, from now on."""
        before = len(self.frames)
        async with asyncio.timeout(_WAIT_S):
            while len(self.frames) < before + 10:
                await asyncio.sleep(0.01)

    async def ask(self, fragment: str) -> str:
        (user,) = re.findall(r"^a=ice-ufrag:(\S+)", fragment, re.MULTILINE)
        (password,) = re.findall(r"^a=ice-pwd:(\S+)", fragment, re.MULTILINE)
        return await self.restarts.begin(user, password, re.findall(r"^a=candidate:(.+?)\r?$", fragment, re.MULTILINE))

    async def close(self) -> None:
        await self.restarts.close()
        await self.server.close()
        await self.client.close()

    def _track(self, _track: Any) -> None:
        receiver = self.server.getTransceivers()[0].receiver
        self.inlet = Inlet(receiver, "audio", self.frames.append, lambda _: None)


async def _lost(_data: bytes, _address: tuple[str, int]) -> None:
    """What is sent to a network that is gone."""


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    await made.connect()
    yield made
    await made.close()


async def test_media_goes_on_over_the_new_pair_and_the_old_one_is_closed(pair: Pair) -> None:
    old = transport_of(pair.server)._connection
    await restart(pair.client, pair.ask)
    async with asyncio.timeout(_WAIT_S):
        while not pair.restarts.done or old._protocols:
            await asyncio.sleep(0.01)
    new = transport_of(pair.server)._connection
    assert new is not old and new.local_username != old.local_username
    assert old._queue is not new._queue
    await pair.flows()
    assert not any(frame.after_loss for frame in pair.frames), "not a packet was lost"
    assert pair.states == ["connecting", "connected"]


async def test_a_client_whose_old_address_is_dead_goes_on_from_another(pair: Pair) -> None:
    transport_of(pair.client)._connection._nominated[1].protocol.send_data = _lost
    await asyncio.wait_for(restart(pair.client, pair.ask), _WAIT_S)
    await pair.flows()
    assert pair.server.connectionState == "connected"


async def test_the_new_connection_is_the_one_that_ends_the_session(pair: Pair) -> None:
    await restart(pair.client, pair.ask)
    async with asyncio.timeout(_WAIT_S):
        while not pair.restarts.done:
            await asyncio.sleep(0.01)
        # As when consent to send expires.
        await transport_of(pair.server)._connection.close()
        while pair.server.connectionState not in ("failed", "closed"):
            await asyncio.sleep(0.01)


async def test_a_restart_whose_checks_never_come_leaves_the_old_pair_alone(pair: Pair) -> None:
    old = transport_of(pair.server)._connection
    await pair.restarts.begin("nobody", _PASSWORD, [])
    failed = pair.restarts._checking
    assert failed is not None
    await pair.flows()
    await pair.restarts.close()
    assert not failed._protocols, "its sockets are closed"
    await pair.flows()
    assert transport_of(pair.server)._connection is old and pair.server.connectionState == "connected"


async def test_the_newest_restart_replaces_the_one_before_and_they_have_a_rate(pair: Pair) -> None:
    await pair.restarts.begin("first", _PASSWORD, [])
    first = pair.restarts._checking
    with pytest.raises(RelayError) as refused:
        await pair.restarts.begin("second", _PASSWORD, [])
    assert refused.value.status == 429
    pair.restarts._begun_s -= 1
    await restart(pair.client, pair.ask)
    assert first is not None and not first._protocols
    await pair.flows()


async def test_a_session_that_ends_while_a_restart_gathers_leaves_no_socket(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a restart that is about to open its sockets
    gathering, go_on, made = asyncio.Event(), asyncio.Event(), list[Connection]()
    gather = Connection.gather_candidates

    async def gather_late(connection: Connection) -> None:
        made.append(connection)
        gathering.set()
        await go_on.wait()
        await gather(connection)

    monkeypatch.setattr(Connection, "gather_candidates", gather_late)
    beginning = asyncio.create_task(pair.restarts.begin("user", _PASSWORD, []))
    await asyncio.wait_for(gathering.wait(), _WAIT_S)
    # when the session ends
    await pair.restarts.close()
    go_on.set()
    # then the restart is refused, and what it opened is closed again
    with pytest.raises(RelayError) as refused:
        await asyncio.wait_for(beginning, _WAIT_S)
    assert refused.value.status == 409
    assert not made[0]._protocols and not pair.restarts._tasks


@pytest.mark.parametrize(("user", "password"), [("abc", _PASSWORD), ("abcd", "short"), ("ab:d", _PASSWORD), ("", "")])
async def test_credentials_that_are_none_are_refused(pair: Pair, user: str, password: str) -> None:
    with pytest.raises(RelayError) as refused:
        await pair.restarts.begin(user, password, [])
    assert refused.value.status == 422
    assert pair.restarts._checking is None


async def test_before_there_is_a_connection_there_is_nothing_to_restart() -> None:
    peer = RTCPeerConnection()
    peer.addTransceiver("audio", direction="recvonly")
    with pytest.raises(RelayError) as refused:
        await IceRestarts(peer).begin("user", _PASSWORD, [])
    assert refused.value.status == 422
    await peer.close()


async def test_a_relay_restarts_ice_by_patch_and_the_programme_has_no_seam(stack: Stack) -> None:
    stack.put_stream("moves")
    publisher = Publisher(stack.whip_url("moves"), stream_key("moves"), [ToneTrack()])
    await publisher.start()
    resource, first_tag = publisher._location, publisher._etag
    headers = {**publisher._headers, "Content-Type": "application/trickle-ice-sdpfrag"}
    tags: list[str] = []
    async with aiohttp.ClientSession() as session:

        async def patch(fragment: str, tag: str) -> aiohttp.ClientResponse:
            return await session.patch(resource, data=fragment, headers={**headers, "If-Match": tag})

        async def ask(fragment: str) -> str:
            answer = await patch(fragment, "*")
            assert (answer.status, answer.content_type) == (200, "application/trickle-ice-sdpfrag")
            tags.append(answer.headers["ETag"])
            return await answer.text()

        async def newest() -> checker.ReadPlaylist | None:
            answer = await asyncio.to_thread(fetch, stack.live_url("moves", "media.m3u8"))
            return checker.read(answer.text) if answer.status == 200 else None

        async with asyncio.timeout(30):
            while (before := await newest()) is None:
                await asyncio.sleep(0.1)
            stale = await patch("a=ice-ufrag:othr\r\na=ice-pwd:" + _PASSWORD, '"stale"')
            assert stale.status == 412
            await restart(publisher.peer, ask)
            assert (await patch("a=ice-ufrag:othr\r\na=ice-pwd:" + _PASSWORD, "*")).status == 429
            assert tags[0] != first_tag
            assert (await patch("a=end-of-candidates\r\n", first_tag)).status == 412, "that ICE session is over"
            assert (await patch("a=end-of-candidates\r\n", tags[0])).status == 204
            last = before.segments[-1].msn
            while (after := await newest()) is None or after.segments[-1].msn < last + 3:
                await asyncio.sleep(0.2)
    checker.check_succession(before, after)
    assert not any(segment.discontinuity for segment in after.segments)
    await publisher.stop()
