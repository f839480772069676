"""A stream that another task owns, for viewers who came to this one: pulled once, however many they are.

Media never changes under its name, so that it is fetched once and kept for a while. Of each playlist one follower
reads ahead by blocking reload while anybody watches, and wakes all who wait for what came. When the owner goes away
they keep waiting: whoever owns the stream next is followed instead. Knows nothing of what playlists describe beyond
where they end, so that renditions and metadata pass through as the owner made them.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp
import msgspec
from aiohttp import web

from media.relay.errors import RelayError
from media.relay.lease import Lease, Leases
from media.relay.metrics import Metrics
from media.relay.peers import Peers
from media.relay.settings import Settings

logger = logging.getLogger(__name__)

OPEN_HEADER: Final = "X-Onair-Preview-Open"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MEDIA_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9.+-]+")
# A follower ends when nobody asked for this long.
_UNWATCHED_S: Final = 10.0
# A part comes each third of a second: an owner that is silent for this long is looked up again.
_SILENT_S: Final = 1.5
# In trouble: how often the owner is looked up and asked again.
_TROUBLE_S: Final = 0.25
_ENDED_S: Final = 1.0
_FETCH_S: Final = 10.0
_OBJECTS_BYTES_MAX: Final = 256 << 20
_FOLLOWERS_MAX: Final = 512
_PREVIEW_KEPT_S: Final = 5.0
_PREVIEWS_MAX: Final = 1_000
_GZIP_LEVEL: Final = 5


class MovedError(Exception):
    """The stream is on this task now: ask its program."""


class Fetched(msgspec.Struct, frozen=True):
    """Media as its owner gave it."""

    body: bytes
    content_type: str
    cache: str


class Preview(msgspec.Struct, frozen=True):
    """A preview picture, and whether it is for everyone."""

    body: bytes
    is_open: bool


def newest(playlist: str) -> tuple[int, int, bool]:
    """Media sequence number and part index of a playlist's newest part, and whether its segment is complete.

    The index is -1 where the playlist ends in a segment whose parts are told no longer.
    """
    msn = 0
    parts = -1
    complete = True
    for line in playlist.splitlines():
        if line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
            msn = int(line.partition(":")[2]) - 1
        elif line.startswith("#EXT-X-SKIP:"):
            msn += int(line.partition("SKIPPED-SEGMENTS=")[2].partition(",")[0])
        elif line.startswith("#EXT-X-PART:"):
            if complete:
                complete, parts = False, -1
            parts += 1
        elif line and not line.startswith("#"):
            if complete:
                parts = -1
            msn, complete = msn + 1, True
    return (msn, parts, True) if complete else (msn + 1, parts, False)


class _Playlist:
    """One playlist of one stream, as the follower read it last."""

    def __init__(self) -> None:
        self.text = b""
        self.compressed = b""
        self.read_s = 0.0
        self.ended = False
        # Whether its owner said what cannot be read, and the log has it.
        self.puzzled = False
        self.asked_s = time.monotonic()
        self.msn, self.part, self.complete = -1, -1, False
        # Why there is nothing yet; what was read once is shown while its owner is away.
        self.refusal: RelayError | None = None
        self.changed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def holds(self, msn: int, part: int | None) -> bool:
        """As `Program.holds`."""
        if not self.text or msn > self.msn:
            return False
        return msn < self.msn or self.complete or (part is not None and part <= self.part)

    def take(self, text: bytes) -> None:
        """A newer text; raises ``ValueError`` for what is no playlist, and stays what it was."""
        if text != self.text:
            self.msn, self.part, self.complete = newest(text.decode())
            self.text, self.compressed = text, b""
            self.ended = b"#EXT-X-ENDLIST" in text
        self.read_s = time.monotonic()
        self.refusal = None
        self.wake()

    def wake(self) -> None:
        """Wake all who wait; they look again."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def gzipped(self) -> bytes:
        """Compressed once a change."""
        if not self.compressed:
            self.compressed = gzip.compress(self.text, _GZIP_LEVEL, mtime=0)
        return self.compressed


class Pull:
    """Followers by stream and playlist, and the media that they made known.

    Parameters
    ----------
    settings, leases, peers, metrics
        The task's own.
    is_here : Callable[[str], bool]
        Whether a stream's program is on this task: then nothing is pulled.
    """

    def __init__(
        self, settings: Settings, leases: Leases, peers: Peers, is_here: Callable[[str], bool], metrics: Metrics
    ) -> None:
        self._settings = settings
        self._leases = leases
        self._peers = peers
        self._is_here = is_here
        self._metrics = metrics
        self._playlists: dict[tuple[str, str, bool], _Playlist] = {}
        self._objects: OrderedDict[tuple[str, str], Fetched] = OrderedDict()
        self._objects_bytes = 0
        self._fetching: dict[tuple[str, str], asyncio.Task[Fetched]] = {}
        self._previews: dict[str, tuple[float, asyncio.Task[Preview | None]]] = {}

    @property
    def streams(self) -> int:
        """Streams that are followed now."""
        return len({stream_id for stream_id, _, _ in self._playlists})

    async def playlist(
        self, stream_id: str, name: str, directives: tuple[int | None, int | None, bool], *, zipped: bool
    ) -> web.Response:
        """A playlist; with ``_HLS_msn`` not before it holds what is asked for.

        Raises
        ------
        RelayError
            ``not_found`` (nobody owns the stream, or has a picture), ``invalid_request`` (too far ahead),
            ``unavailable`` (interrupted: its owner is gone or has no media).
        MovedError
            The stream came to this task meanwhile.
        """
        msn, part, skip = directives
        await self._check_owned(stream_id)
        # Parts are numbered in media playlists alone; the multivariant one is read again each second.
        followed = self._follow(stream_id, name, skip)
        deadline_s = time.monotonic() + self._settings.target_duration_s * 3
        if msn is None:
            deadline_s = time.monotonic() + self._settings.target_duration_s

        def satisfied() -> bool:
            if msn is not None:
                return followed.ended or followed.holds(msn, part)
            return bool(followed.text) and (followed.ended or time.monotonic() - followed.read_s < _SILENT_S)

        while not satisfied():
            if self._is_here(stream_id):
                raise MovedError
            if msn is not None and followed.text and not followed.ended and msn > followed.msn + 2:
                raise RelayError("invalid_request", "_HLS_msn is too far ahead of the playlist.")
            if followed.refusal is not None and not followed.text:
                raise followed.refusal
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                if followed.text and msn is None:
                    # The owner is away: what it said last is better than nothing.
                    break
                raise _interrupted()
            followed.asked_s = time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(followed.changed.wait(), left_s)
        followed.asked_s = time.monotonic()
        self._metrics.playlist_answers.inc()
        headers = {"Vary": "Accept-Encoding"}
        body = followed.text
        if zipped:
            headers["Content-Encoding"] = "gzip"
            body = followed.gzipped()
        return web.Response(body=body, content_type="application/vnd.apple.mpegurl", headers=headers)

    async def media(self, stream_id: str, name: str) -> web.Response:
        """A part, segment or init segment: from memory, or fetched once for all who want it."""
        if not _NAME.fullmatch(name):
            raise RelayError("not_found", "This part of the broadcast is gone, or never was.")
        key = (stream_id, name)
        found = self._objects.get(key)
        if found is None:
            await self._check_owned(stream_id)
            task = self._fetching.get(key)
            if task is None:
                task = self._fetching[key] = asyncio.create_task(self._fetch(stream_id, name))
                task.add_done_callback(lambda _: self._fetching.pop(key, None))
            # One viewer who leaves must not take the part from the others.
            found = await asyncio.shield(task)
        else:
            self._objects.move_to_end(key)
        self._metrics.media_answers.inc()
        self._metrics.media_bytes.inc(len(found.body))
        headers = {"Cache-Control": found.cache}
        return web.Response(body=found.body, content_type=found.content_type, headers=headers)

    async def preview(self, stream_id: str) -> Preview | None:
        """The preview picture, asked for every five seconds at most; None when there is none."""
        known = self._previews.get(stream_id)
        if known is None or time.monotonic() - known[0] > _PREVIEW_KEPT_S:
            if len(self._previews) >= _PREVIEWS_MAX:
                self._previews.clear()
            known = (time.monotonic(), asyncio.create_task(self._fetch_preview(stream_id)))
            self._previews[stream_id] = known
        return await asyncio.shield(known[1])

    def moved_here(self, stream_id: str) -> None:
        """The stream is on this task now: end its followers and send those who wait to the program."""
        for key in [key for key in self._playlists if key[0] == stream_id]:
            followed = self._playlists.pop(key)
            if followed.task is not None:
                followed.task.cancel()
            followed.wake()
        self._previews.pop(stream_id, None)

    async def close(self) -> None:
        """End every follower."""
        tasks = [followed.task for followed in self._playlists.values() if followed.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    # ---- following ----

    async def _check_owned(self, stream_id: str) -> Lease:
        owner = await self._leases.owner(stream_id)
        if self._is_here(stream_id):
            raise MovedError
        if owner is None:
            raise RelayError("not_found", "This broadcast is not on air here.")
        if owner.task == self._settings.task:
            # Its publisher has just come here and has no picture yet.
            raise _interrupted()
        return owner

    def _follow(self, stream_id: str, name: str, skip: bool) -> _Playlist:
        key = (stream_id, name, skip)
        followed = self._playlists.get(key)
        if followed is None:
            if len(self._playlists) >= _FOLLOWERS_MAX:
                raise RelayError("unavailable", "This relay follows too many broadcasts. Try again in a moment.")
            if not _NAME.fullmatch(name):
                raise RelayError("not_found", "This part of the broadcast is gone, or never was.")
            followed = self._playlists[key] = _Playlist()
            followed.task = asyncio.create_task(self._run(key, followed))
        followed.asked_s = time.monotonic()
        return followed

    async def _run(self, key: tuple[str, str, bool], followed: _Playlist) -> None:
        """Read one playlist ahead of its viewers, until nobody watches it, and be forgotten however that ends."""
        try:
            await self._read_on(key, followed)
        finally:
            if self._playlists.get(key) is followed:
                del self._playlists[key]
                # Who still waits asks again.
                followed.refusal = followed.refusal or _interrupted()
                followed.wake()
            if not any(other == key[0] for other, _, _ in self._playlists):
                self._drop_media(key[0])

    async def _read_on(self, key: tuple[str, str, bool], followed: _Playlist) -> None:
        stream_id = key[0]
        owner = await self._leases.owner(stream_id)
        fresh = True
        while time.monotonic() - followed.asked_s < _UNWATCHED_S and not self._is_here(stream_id):
            try:
                if owner is None or owner.task == self._settings.task:
                    raise _interrupted()
                fresh = not await self._read(owner, key, followed, fresh)
                if followed.ended:
                    await asyncio.sleep(_ENDED_S)
            except RelayError as error:
                followed.refusal = error
                followed.wake()
                if error.code == "not_found" and not followed.text:
                    # Whoever asks again has the owner asked again: a name that nobody knows takes no place meanwhile.
                    return
                fresh = True
                await asyncio.sleep(_TROUBLE_S)
            except (aiohttp.ClientError, TimeoutError) as error:
                if not fresh:
                    logger.info("the owner of %s does not answer: %r", stream_id, error)
                fresh = True
                await asyncio.sleep(_TROUBLE_S)
            except Exception:
                # Nothing that an owner says may end what all its viewers here wait for.
                if not fresh or not followed.puzzled:
                    logger.exception("the playlist of %s cannot be read", stream_id)
                followed.puzzled = fresh = True
                await asyncio.sleep(_TROUBLE_S)
            if fresh:
                # By now somebody else may own it; a dead owner's playlist stays, its viewers wait for the next one.
                owner = await self._leases.owner(stream_id, _TROUBLE_S) or owner

    async def _read(self, owner: Lease, key: tuple[str, str, bool], followed: _Playlist, fresh: bool) -> bool:
        """One request to the owner; False when the next one must ask for the playlist as it is."""
        stream_id, name, skip = key
        numbered = not fresh and followed.msn >= 0 and b"#EXT-X-PART-INF" in followed.text
        query = "?_HLS_skip=YES" if skip else ""
        if numbered:
            msn, part = (followed.msn + 1, 0) if followed.complete else (followed.msn, followed.part + 1)
            query = f"?_HLS_msn={msn}&_HLS_part={part}" + ("&_HLS_skip=YES" if skip else "")
        elif not fresh:
            # A playlist without numbers (the multivariant one, or one that has ended).
            await asyncio.sleep(1.0)
        self._metrics.pulls.inc()
        try:
            # A first answer may wait for the first part; after it one that does not come says that the owner is gone.
            async with asyncio.timeout(_SILENT_S if followed.text else _FETCH_S):
                async with self._peers.http.get(
                    f"{owner.address}/live/{stream_id}/{name}{query}", headers=self._peers.headers(owner)
                ) as answer:
                    body = await answer.read()
        except TimeoutError:
            if numbered:
                # No part for a while: the owner may be gone without a word, or its publisher is.
                return False
            raise
        if answer.status != 200:
            raise _refusal(answer.status)
        followed.take(body)
        return not followed.ended

    async def _fetch(self, stream_id: str, name: str) -> Fetched:
        owner = await self._check_owned(stream_id)
        asking = asyncio.create_task(self._ask(owner, name))
        try:
            async with asyncio.timeout(_FETCH_S):
                while not (await asyncio.wait([asking], timeout=_SILENT_S))[0]:
                    # A hinted part takes its time; that of an owner who is gone never comes.
                    now = await self._leases.owner(stream_id, _TROUBLE_S)
                    if self._is_here(stream_id) or (now is not None and now.fence != owner.fence):
                        raise _interrupted()
                found = await asking
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.info("the owner of %s does not give %s: %r", stream_id, name, error)
            raise _interrupted() from None
        finally:
            asking.cancel()
        self._metrics.pulled_bytes.inc(len(found.body))
        self._keep((stream_id, name), found)
        return found

    async def _ask(self, owner: Lease, name: str) -> Fetched:
        self._metrics.pulls.inc()
        async with self._peers.http.get(
            f"{owner.address}/live/{owner.stream_id}/{name}", headers=self._peers.headers(owner)
        ) as answer:
            body = await answer.read()
        if answer.status != 200:
            raise _refusal(answer.status)
        kind = answer.content_type if _MEDIA_TYPE.fullmatch(answer.content_type) else "application/octet-stream"
        return Fetched(body=body, content_type=kind, cache=answer.headers.get("Cache-Control", "no-store"))

    def _keep(self, key: tuple[str, str], found: Fetched) -> None:
        self._objects[key] = found
        self._objects_bytes += len(found.body)
        while self._objects_bytes > _OBJECTS_BYTES_MAX:
            _, gone = self._objects.popitem(last=False)
            self._objects_bytes -= len(gone.body)

    def _drop_media(self, stream_id: str) -> None:
        for key in [key for key in self._objects if key[0] == stream_id]:
            self._objects_bytes -= len(self._objects.pop(key).body)

    async def _fetch_preview(self, stream_id: str) -> Preview | None:
        owner = await self._leases.owner(stream_id)
        if owner is None or owner.task == self._settings.task:
            return None
        try:
            async with asyncio.timeout(_FETCH_S):
                async with self._peers.http.get(
                    f"{owner.address}/preview/{stream_id}.jpg", headers=self._peers.headers(owner)
                ) as answer:
                    body = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return None
        return Preview(body, answer.headers.get(OPEN_HEADER) == "1") if answer.status == 200 else None


def _refusal(status: int) -> RelayError:
    """What an owner's refusal is to a viewer here: only what is gone is gone, anything else may come back."""
    if status == 404:
        return RelayError("not_found", "This part of the broadcast is gone, or never was.")
    return _interrupted()


def _interrupted() -> RelayError:
    return RelayError("unavailable", "The broadcast is interrupted. Try again in a moment.")
