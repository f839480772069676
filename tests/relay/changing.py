"""A recording whose picture changes its size and profile on the way, as the relay stores it: maps and segments."""

from __future__ import annotations

from typing import Final

import av

from functions.streams import download, recording
from media.relay.cmaf import AudioFormat, AudioSample, VideoFormat, VideoSample, fragment, init_segment, length_prefixed
from media.relay.h264 import NAL_PPS, NAL_SPS, nal_units
from tests.relay.encoded import pictures, video_format

STREAM: Final = "changing"
# Width, height and profile of each stretch of three seconds; the third comes back to the first.
STRETCHES: Final = ((640, 360, "Baseline"), (240, 320, "High"), (640, 360, "Baseline"))
STRETCH_S: Final = 3
FRAMES: Final = 90
_RUN: Final = "0123abcd"
_SOUND: Final = AudioFormat(b"\x11\x90", 48_000, 2, 128_000)
# A raw data block of AAC that holds nothing but its end: silence of 1,024 samples for each of two channels.
_SILENCE: Final = bytes.fromhex("211004608c1c")
_PART: Final = 15


def objects() -> dict[str, bytes]:
    """Name and bytes of what is stored: a map for each format, a segment for each stretch, parts of half a second."""
    found: dict[str, bytes] = {}
    formats: list[VideoFormat] = []
    heard = 0
    for number, (width, height, profile) in enumerate(STRETCHES):
        packets = pictures(FRAMES, width, height, profile, gop=45)
        seen = video_format(packets[0])
        if seen not in formats:
            formats.append(seen)
            found[f"init-{_RUN}-{len(formats) - 1}.mp4"] = init_segment(seen, _SOUND)
        body = b""
        for first in range(0, FRAMES, _PART):
            shown = [_sample(each, number) for each in packets[first : first + _PART]]
            end = 48_000 * (shown[-1].dts + 3000) // 90_000
            sound = [AudioSample(at, 1024, _SILENCE) for at in range(heard, end, 1024)]
            heard += 1024 * len(sound)
            body += fragment(first + 1, shown, sound, shown[0].dts)
        date_ms = 1_800_000_000_000 + 1000 * STRETCH_S * number
        found[f"{number:012d}-{_RUN}-{formats.index(seen)}-{date_ms}-{90_000 * STRETCH_S}-{int(number > 0)}.m4s"] = body
    return found


def downloaded(found: dict[str, bytes]) -> list[bytes]:
    """The files that a host gets of it."""
    sizes = {name: len(body) for name, body in found.items()}
    files = download.plan(
        recording.segments_of(found), sizes, lambda segment: found[f"init-{segment.run}-{segment.map}.mp4"]
    )
    return [download.joined(file, 0, len(file.segments), lambda name: found[name]) for file in files]


def _sample(packet: av.Packet, stretch: int) -> VideoSample:
    assert packet.dts is not None and packet.pts is not None
    slices = [nal for nal in nal_units(bytes(packet)) if nal[0] & 31 not in (NAL_SPS, NAL_PPS)]
    at = packet.dts + 90_000 * STRETCH_S * stretch
    return VideoSample(at, packet.pts - packet.dts, 3000, packet.is_keyframe, length_prefixed(slices))
