"""Broken bytes at every door of the relay but RTMP's (test_rtmp_fuzz.py): nothing but a refusal ever comes of it.

Each door has good inputs, and each fuzzed input is one of them with something wrong, or noise. FUZZ_INPUTS sets how
many a door gets and SEED which; `make fuzz` gives each 100,000.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any, cast

import jwt
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtcpPacket, RtpPacket
from yarl import URL

from media.relay import delivery, flv, passthrough, signalling
from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat
from media.relay.errors import RelayError
from media.relay.h264 import BitstreamError, nal_units, parse_sps
from media.relay.jitter import FrameBuffer, Packet
from media.relay.program import Program
from media.relay.rights import Rights
from media.relay.settings import Settings
from media.relay.source import AccessUnit, Source
from tests.relay import encoder
from tests.relay.encoded import opus, pictures
from tests.relay.stack import PLAYBACK_SECRET, SIGNING_SECRET, playback_token, seat_key, stream_key

_INPUTS = int(os.environ.get("FUZZ_INPUTS", "4000"))
_SEED = int(os.environ.get("SEED", "1"))
# Processor time that one input may take: a bomb would take seconds.
_INPUT_S_MAX = 1.0
_GROWTH_BYTES_MAX = 300_000

Door = Callable[[bytes], Awaitable[None]]


def _broken(good: list[bytes], dice: random.Random) -> bytes:
    if dice.random() < 0.05:
        return dice.randbytes(dice.randrange(2_000))
    data = bytearray(dice.choice(good))
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(7):
            case 0 if at < len(data):
                data[at] = dice.randrange(256)
            case 1 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 2:
                del data[at : at + dice.randrange(1, 40)]
            case 3:
                data[at:at] = data[at : at + dice.randrange(1, 200)]
            case 4:
                data[at : at + 4] = dice.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"9999999999", b"-1"))
            case 5:
                other = dice.choice(good)
                data[at:] = other[dice.randrange(len(other)) :]
            case _:
                data[at:at] = dice.randbytes(dice.randrange(1, 16))
    return bytes(data[:65_536])


class _Program:
    """Counts what a source makes, which must stay within what time allows."""

    def __init__(self) -> None:
        self.samples = 0
        self.pictures = 0

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None: ...

    def video(self, unit: AccessUnit) -> None:
        assert len(unit.data) <= 4 << 20 and unit.dts >= 0
        self.pictures += 1

    def audio(self, sample: AudioSample, wall_s: float) -> None:
        self.samples += 1


class _RtpDoor:
    """RTP as it comes out of SRTP: parsed, put in order, made into a program; one publisher after another."""

    def __init__(self) -> None:
        self._now_s = 100.0
        self._inputs = 0
        self.shown = 0
        self.good = self._packets()
        self._begin()

    def _begin(self) -> None:
        self._program = _Program()
        self._source = Source(self._program, has_video=True, request_key_frame=lambda: None, audio_bit_rate=64_000)
        self._video = FrameBuffer(0.2, 0.5, repair=True)
        self._audio = FrameBuffer(0.06, 0.06, repair=False)
        self._begun_s = self._now_s

    @staticmethod
    def _packets() -> list[bytes]:
        made: list[bytes] = []
        for number, picture in enumerate(pictures(30)):
            packet = RtpPacket(payload_type=102, sequence_number=number, timestamp=number * 3_000, marker=1)
            packet.ssrc, packet.payload = 1, bytes(picture)
            made.append(packet.serialize())
        for number, data in enumerate(opus(30)):
            packet = RtpPacket(payload_type=111, sequence_number=number, timestamp=number * 960)
            packet.ssrc, packet.payload = 2, data
            made.append(packet.serialize())
        return made

    async def __call__(self, data: bytes) -> None:
        self._now_s += 0.01
        self._inputs += 1
        if self._inputs % 500 == 0:
            self.shown += self._program.pictures
            self._begin()
            # Each begins as it should, so that what is broken comes to a publisher who is on air.
            for good in self.good[:3]:
                await self(good)
        try:
            packet = RtpPacket.parse(data)
        except ValueError:
            return
        audio = packet.payload_type == 111
        buffer = self._audio if audio else self._video
        taken = Packet(packet.sequence_number, packet.timestamp, bool(packet.marker), packet.payload, self._now_s)
        for frame in [*buffer.add(taken), *buffer.expire(self._now_s)]:
            (self._source.audio_frame if audio else self._source.video_frame)(frame)
        assert len(buffer.requests(self._now_s)) <= 64
        assert buffer.held <= 4_096, "a buffer holds what it may and no more"
        assert self._program.samples <= (self._now_s - self._begun_s + 40) * 50, "no more sound than time has passed"


async def _rtcp(data: bytes) -> None:
    try:
        RtcpPacket.parse(data)
    except ValueError:
        return


async def _flv(data: bytes) -> None:
    for read in (flv.video_tag, flv.audio_tag, flv.decoder_configuration, flv.audio_format):
        try:
            read(data)
        except (flv.UnsupportedError, BitstreamError):
            continue
    for nal in nal_units(data):
        try:
            parse_sps(b"\x67" + nal[1:])
        except BitstreamError:
            continue


async def _sdp(data: bytes) -> None:
    try:
        signalling.parse_offer(data.decode(errors="replace"), ("sendonly", "sendrecv"), "other codecs")
    except RelayError as error:
        assert error.status in (400, 406, 413)


async def _query(data: bytes) -> None:
    query = URL("/media.m3u8?" + data.decode(errors="replace")).query
    try:
        msn, part, _ = delivery._directives(query)
    except RelayError as error:
        assert error.status == 400
    else:
        assert (msn is None or 0 <= msn < 10**12) and (part is None or msn is not None)


def _name_door() -> tuple[Door, list[bytes]]:
    program = Program("fuzz", Settings(), lambda _: None)
    run = program._run.encode()

    async def door(data: bytes) -> None:
        assert await program.media(data.decode(errors="replace"), 0.0) is None

    return door, [run + b"_1_0.m4s", run + b"_init0.mp4", run + b"_7.m4s", run + b"_7_2w.m4s"]


def _token_door() -> tuple[Door, list[bytes]]:
    rights = Rights(SIGNING_SECRET, PLAYBACK_SECRET, "")
    unsigned = jwt.encode({"sub": "fuzz", "aud": "play", "exp": 2**40}, "", "none")
    good = [stream_key("fuzz"), seat_key("fuzz", "a"), playback_token("fuzz"), unsigned]

    async def door(data: bytes) -> None:
        text = data.decode("latin-1")
        for check in (lambda: rights.stream_key("Bearer " + text, "fuzz"), lambda: rights.check_playback(text, "fuzz")):
            try:
                check()
            except RelayError as error:
                assert error.status in (401, 403)
            else:
                # JWT's base64 takes some other spellings of the same bytes; what was signed is what counts.
                assert jwt.decode(text, options={"verify_signature": False})["sub"] == "fuzz"

    return door, [token.encode() for token in good]


async def _offers() -> list[bytes]:
    passthrough.install()
    made: list[bytes] = []
    for kinds in (("video", "audio"), ("audio",), ("video",)):
        peer = RTCPeerConnection()
        for kind in kinds:
            peer.addTransceiver(kind, direction="sendonly")
        await peer.setLocalDescription(await peer.createOffer())
        made.append(peer.localDescription.sdp.encode())
        await peer.close()
    return made


async def _doors(name: str) -> tuple[Door, list[bytes]]:
    match name:
        case "rtp":
            rtp = _RtpDoor()
            return rtp, rtp.good
        case "rtcp":
            report = b"\x80\xc8\x00\x06" + bytes(24)
            feedback = b"\x81\xce\x00\x02" + bytes(8)
            return _rtcp, [report, report + b"\x81\xca\x00\x04\0\0\0\1\1\5abcde\0\0\0\0", feedback]
        case "flv":
            return _flv, [message.body for message in [*encoder.video()[:4], *encoder.sound()[:3]]]
        case "sdp":
            return _sdp, await _offers()
        case "query":
            return _query, [b"_HLS_msn=17&_HLS_part=3", b"_HLS_msn=17&_HLS_part=3&_HLS_skip=YES", b"_HLS_skip=v2"]
        case "name":
            return _name_door()
        case _:
            return _token_door()


def _held() -> int:
    gc.collect()
    filters = [tracemalloc.Filter(True, "*/media/relay/*"), tracemalloc.Filter(True, "*/aiortc/*")]
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(filters).traces)


@pytest.mark.parametrize("name", ["rtp", "rtcp", "flv", "sdp", "query", "name", "token"])
async def test_broken_input_is_refused_in_time_and_leaves_nothing_behind(name: str) -> None:
    door, good = await _doors(name)
    for data in good:
        await door(data)
    held: list[int] = []
    slowest_s, slowest = 0.0, 0
    tracemalloc.start()
    try:
        for number in range(_INPUTS):
            data = _broken(good, random.Random(f"{_SEED}:{name}:{number}"))
            began = time.process_time()
            try:
                await door(data)
            except Exception as error:
                raise AssertionError(f"SEED={_SEED}, {name}, input {number}: {data[:200]!r}") from error
            spent_s = time.process_time() - began
            slowest_s, slowest = max((slowest_s, slowest), (spent_s, number))
            if number % max(1, _INPUTS // 4) == max(1, _INPUTS // 4) - 1:
                held.append(_held())
    finally:
        tracemalloc.stop()
    assert slowest_s < _INPUT_S_MAX, f"SEED={_SEED}, {name}, input {slowest}"
    assert not isinstance(door, _RtpDoor) or door.shown > _INPUTS // 500, "most publishers come on air"
    assert held[-1] - held[0] < _GROWTH_BYTES_MAX, held


@pytest.mark.parametrize(
    "bomb",
    [
        b"v=0\r\n" + b"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 1_900,
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF " + b" ".join(b"%d" % n for n in range(9_000)) + b"\r\n",
        b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" + b"a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * 1_400,
        b"v=0\r\n" + b"a=group:BUNDLE " + b"0 " * 30_000 + b"\r\n",
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n" + b"a=ssrc:1 cname:a\r\na=ssrc-group:FID 1 2\r\n" * 1_500,
        b"a" * 65_000,
        b"\0" * 65_000,
        b"v=0\r\n" * 9_000,
    ],
    ids=["media", "codecs", "candidates", "group", "sources", "one line", "zeros", "versions"],
)
async def test_an_sdp_bomb_is_refused_at_once(bomb: bytes) -> None:
    assert len(bomb) <= signalling.SDP_BYTES_MAX
    began = time.monotonic()
    with pytest.raises(RelayError) as refused:
        await asyncio.to_thread(
            signalling.parse_offer, bomb.decode(), cast(Any, ("sendonly", "sendrecv")), "other codecs"
        )
    assert refused.value.status in (400, 406, 413)
    assert time.monotonic() - began < 1.0
