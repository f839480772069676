"""The other host of a match, for this task's hosts: a follower for each, as long as both are in it.

Its media goes into the host's composition, and as it is to the host and the guests, who watch it by WHEP.

Where the other stream is, its lease says (lease.py): on this task its feed is read as it is, else over HTTP (feed.py).
A feed that breaks, whose owner dies or gives the stream up, is opened again; the composition meanwhile shows the last
picture for five seconds, and then the rest without it (composition.py).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

from media.relay import wire
from media.relay.arrival import Arrival
from media.relay.cmaf import AudioFormat, VideoFormat
from media.relay.composition import MATCH, Track
from media.relay.errors import RelayError
from media.relay.feed import ACCEPT
from media.relay.lease import Lease, Leases
from media.relay.metrics import Metrics
from media.relay.peers import Peers
from media.relay.rival_outlet import RivalOutlet
from media.relay.settings import Settings
from media.relay.stages import Stage, Stages
from media.relay.wire import Configure, Gone, Message, Opus, Picture, Sound

logger = logging.getLogger(__name__)

_AGAIN_FIRST_S: Final = 0.25
_AGAIN_MAX_S: Final = 2.0
# Who says what no relay says is not asked again soon.
_NONSENSE_S: Final = 10.0
_CONNECT_S: Final = 1.0
_ANSWER_S: Final = 3.0
# An owner that is silent for this long is looked up again.
_SILENT_S: Final = 1.5
_LOOKUP_S: Final = 0.25
# A message takes no longer, also when nothing comes before it: a way that is dead is tried anew.
_MESSAGE_S: Final = 10.0


class Rivals:
    """Followers by stream of this task.

    Parameters
    ----------
    stages : Stages
        Who is in a match with whom, and the compositions that are fed.
    leases, peers, settings, metrics
        The task's own.
    """

    def __init__(self, stages: Stages, leases: Leases, peers: Peers, settings: Settings, metrics: Metrics) -> None:
        self._stages = stages
        self._leases = leases
        self._peers = peers
        self._settings = settings
        self._metrics = metrics
        self._followers: dict[str, tuple[Rival, asyncio.Task[None]]] = {}

    def watch(self) -> None:
        """Begin and end followers by what the stages say; called a few times a second."""
        wanted = {stage.stream_id: stage for stage in self._stages if stage.rival and stage.composition is not None}
        for stream_id, (rival, task) in list(self._followers.items()):
            goes_on = wanted.get(stream_id) is rival.stage and rival.stage.rival == rival.stream_id
            if not goes_on or task.done():
                task.cancel()
                del self._followers[stream_id]
        for stream_id, stage in wanted.items():
            if stream_id not in self._followers:
                rival = Rival(stage, self._stages, self._leases, self._peers, self._settings, self._metrics)
                self._followers[stream_id] = (rival, asyncio.create_task(rival.run(random.Random())))

    async def close(self) -> None:
        """End every follower."""
        tasks = [task for _, task in self._followers.values()]
        self._followers.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Rival:
    """One follower: the other host's media into a stage's composition, and to its watchers."""

    def __init__(
        self, stage: Stage, stages: Stages, leases: Leases, peers: Peers, settings: Settings, metrics: Metrics
    ) -> None:
        self.stage = stage
        self.stream_id = stage.rival
        self._stages = stages
        self._leases = leases
        self._peers = peers
        self._settings = settings
        self._metrics = metrics
        self._formats: tuple[VideoFormat | None, AudioFormat | None] | None = None
        self._media_s = 0.0
        self._key_frame_came = False
        # Asks the host directly, or has the feed begin anew.
        self._key_frame_wanted = asyncio.Event()
        self._live = RivalOutlet(stage.outlet(MATCH), lambda: self._ask_now())
        # Asks the host for a key frame while the feed goes on.
        self._ask_now: Callable[[], None] = _nobody
        self._asking: asyncio.Task[None] | None = None

    async def run(self, chance: random.Random) -> None:
        """Follow for ever; whatever fails is tried again."""
        try:
            await self._follow_on(chance)
        finally:
            self._live.end()

    async def _follow_on(self, chance: random.Random) -> None:
        pause_s = _AGAIN_FIRST_S
        while True:
            began_s = time.monotonic()
            try:
                await self._follow()
            except (RelayError, aiohttp.ClientError, TimeoutError, OSError, EOFError) as error:
                logger.info("no feed of %s now: %r", self.stream_id, error)
            except (ValueError, msgspec.DecodeError) as error:
                self._metrics.feed_losses.inc()
                logger.warning("the feed of %s is no relay's: %s", self.stream_id, error)
                pause_s = _NONSENSE_S
            except Exception:
                logger.exception("the feed of %s cannot be taken", self.stream_id)
                pause_s = _NONSENSE_S
            else:
                # It ended by itself, or is to begin anew.
                pause_s = _AGAIN_FIRST_S
            if pause_s < _NONSENSE_S and self._media_s >= began_s:
                pause_s = _AGAIN_FIRST_S
            await asyncio.sleep(pause_s * chance.uniform(0.5, 1.0))
            pause_s = min(_AGAIN_MAX_S, pause_s * 2)

    async def _follow(self) -> None:
        owner = await self._leases.owner(self.stream_id, _LOOKUP_S)
        if owner is None:
            raise RelayError("not_found", "This broadcast is not on air here.")
        self._key_frame_came = False
        self._key_frame_wanted.clear()
        self._live.begin()
        if owner.task == self._settings.task:
            await self._read_here()
        else:
            await self._read_there(owner)

    # ---- on this task ----

    async def _read_here(self) -> None:
        feed = self._stages.feed(self.stream_id, self.stage.stream_id)
        feed.takes_opus = True
        self._ask_now = feed.request_key_frame
        try:
            while not feed.ended:
                for message in await feed.take(_SILENT_S):
                    self._take(message)
                if self._key_frame_wanted.is_set():
                    self._key_frame_wanted.clear()
                    feed.request_key_frame()
        finally:
            self._ask_now = _nobody
            feed.end()

    # ---- on another task ----

    async def _read_there(self, owner: Lease) -> None:
        """Read until the feed ends, a key frame is wanted, or another task owns the stream."""
        headers = {**self._peers.headers(owner), "Accept-Encoding": "identity", "Accept": ACCEPT}
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        async with asyncio.timeout(_ANSWER_S):
            answer = await self._peers.http.get(
                f"{owner.address}/feed/{self.stream_id}",
                params={"for": self.stage.stream_id},
                headers=headers,
                timeout=limits,
                allow_redirects=False,
            )
        reading: asyncio.Task[None] | None = None
        wanted: asyncio.Task[bool] | None = None
        try:
            if answer.status != 200 or "Content-Encoding" in answer.headers:
                raise RelayError("unavailable", f"Its owner answers {answer.status}.")
            self._ask_now = lambda: self._ask_there(owner)
            reading = asyncio.create_task(self._read(answer.content))
            wanted = asyncio.create_task(self._key_frame_wanted.wait())
            first: Final = asyncio.FIRST_COMPLETED
            while not (await asyncio.wait((reading, wanted), timeout=_SILENT_S, return_when=first))[0]:
                if time.monotonic() - self._media_s > _SILENT_S:
                    found = await self._leases.owner(self.stream_id, _LOOKUP_S)
                    if found is not None and found.fence != owner.fence:
                        return
            if reading.done():
                await reading
        except EOFError:
            self._metrics.feed_losses.inc()
            raise
        finally:
            self._ask_now = _nobody
            for task in (reading, wanted, self._asking):
                if task is not None:
                    task.cancel()
            answer.close()

    def _ask_there(self, owner: Lease) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_owner(owner))

    async def _ask_owner(self, owner: Lease) -> None:
        address = f"{owner.address}/feed/{self.stream_id}/key-frame"
        try:
            async with asyncio.timeout(_ANSWER_S):
                async with self._peers.http.post(
                    address,
                    params={"for": self.stage.stream_id},
                    headers=self._peers.headers(owner),
                    allow_redirects=False,
                ) as answer:
                    if answer.status != 204:
                        logger.info("the owner of %s answers %d for a key frame", self.stream_id, answer.status)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # A watcher that still needs one asks again.
            logger.info("the owner of %s is not asked for a key frame: %r", self.stream_id, error)

    async def _read(self, content: aiohttp.StreamReader) -> None:
        arrival = Arrival()
        while True:
            async with asyncio.timeout(_MESSAGE_S):
                size = wire.length(await content.readexactly(wire.LENGTH.size))
                body = await content.readexactly(size)
            now = time.monotonic()
            message = wire.decoded(body)
            self._take(arrival.taken(message, size + wire.LENGTH.size, now, time.time() - now))

    # ---- to the watchers, and into the composition ----

    def _take(self, message: Message) -> None:
        self._live.take(message)
        if isinstance(message, Opus):
            self._media_s = time.monotonic()
            return
        if isinstance(message, Gone):
            # Another publisher comes, with formats of its own; the last picture stands until then.
            self._formats = None
            return
        track = self._track()
        if track is None:
            return
        match message:
            case Configure():
                self._formats = (message.video, message.audio)
                track.configure(message.video, message.audio)
            case Picture():
                self._media_s = time.monotonic()
                self._key_frame_came = self._key_frame_came or message.unit.key
                track.video(message.unit)
            case Sound():
                self._media_s = time.monotonic()
                track.audio(message.sample, message.wall_s)
            case _:
                raise ValueError(f"a {type(message).__name__} in a feed")

    def _track(self) -> Track | None:
        """The track in the composition of now: another publisher of ours may have begun another run."""
        composition = self.stage.composition
        if composition is None:
            return None
        found = composition.tracks.get(MATCH)
        if found is None or found.request_key_frame != self._request_key_frame:
            found = composition.track(MATCH)
            found.request_key_frame = self._request_key_frame
            if self._formats is not None:
                found.configure(*self._formats)
        return found

    def _request_key_frame(self) -> None:
        # A feed that has just begun has one on its way.
        if self._key_frame_came:
            self._key_frame_wanted.set()


def _nobody() -> None:
    """Asks nobody for a key frame: no feed is open."""
