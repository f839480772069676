"""The box writer, with FFmpeg (through PyAV) as oracle: what it reads back is what was written, to the tick."""

from __future__ import annotations

import io

import av
import pytest

from media.relay import cmaf
from media.relay.aac import AacTranscoder
from media.relay.h264 import NAL_AUD, NAL_PPS, NAL_SPS, nal_units
from tests.relay.encoded import opus, pictures, video_format


def _video_samples(packets: list[av.Packet]) -> list[cmaf.VideoSample]:
    samples: list[cmaf.VideoSample] = []
    for packet in packets:
        assert packet.pts is not None and packet.dts is not None
        kept = [nal for nal in nal_units(bytes(packet)) if nal[0] & 31 not in (NAL_SPS, NAL_PPS, NAL_AUD)]
        data = cmaf.length_prefixed(kept)
        samples.append(cmaf.VideoSample(packet.dts + 90_000, packet.pts - packet.dts, 3_000, packet.is_keyframe, data))
    return samples


@pytest.mark.parametrize(("profile", "b_frames"), [("Baseline", 0), ("High", 2)])
def test_ffmpeg_reads_back_every_sample_with_its_times(profile: str, b_frames: int) -> None:
    packets = pictures(60, profile=profile, b_frames=b_frames)
    video = _video_samples(packets)
    transcoder = AacTranscoder(128_000)
    audio = [sample for number, packet in enumerate(opus(100)) for sample in transcoder.feed(packet, number * 960)]
    audio = [sample for sample in audio if sample.pts >= 0]

    parts = [
        cmaf.fragment(number + 1, video[number * 10 : number * 10 + 10], audio[number * 15 : number * 15 + 15], 0)
        for number in range(6)
    ]
    whole = cmaf.init_segment(video_format(packets[0]), transcoder.format) + b"".join(parts)

    with av.open(io.BytesIO(whole)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec_context.name) == (320, 240, "h264")
        sound = container.streams.audio[0]
        assert (sound.rate, sound.channels, sound.codec_context.name) == (48_000, 2, "aac")
        seen_video, seen_audio = [], []
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.stream is stream:
                seen_video.append((packet.dts, packet.pts, packet.is_keyframe, bytes(packet)))
            else:
                seen_audio.append((packet.pts, bytes(packet)))
    assert seen_video == [(s.dts, s.dts + s.composition, s.key, s.data) for s in video]
    assert seen_audio == [(s.pts, s.data) for s in audio[:90]]


def test_ffmpeg_decodes_every_picture_from_the_init_segment_alone() -> None:
    packets = pictures(30, profile="High", b_frames=2)
    whole = cmaf.init_segment(video_format(packets[0]), None) + cmaf.fragment(1, _video_samples(packets), [], 0)
    with av.open(io.BytesIO(whole)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 30
    assert [frame.pts for frame in frames] == sorted(frame.pts or 0 for frame in frames)


def test_a_part_in_which_nothing_came_is_read_as_nothing() -> None:
    packets = pictures(20)
    video = _video_samples(packets)
    late = [cmaf.VideoSample(s.dts + 90_000, s.composition, s.duration, s.key, s.data) for s in video[10:]]
    parts = [cmaf.fragment(1, video[:10], [], 0), cmaf.fragment(2, [], [], 120_000), cmaf.fragment(3, late, [], 0)]
    whole = cmaf.init_segment(video_format(packets[0]), None) + b"".join(parts)
    with av.open(io.BytesIO(whole)) as container:
        seen = [packet.dts for packet in container.demux() if packet.dts is not None]
    assert seen == [sample.dts for sample in [*video[:10], *late]]


def test_an_init_segment_needs_a_track() -> None:
    with pytest.raises(ValueError, match="needs a track"):
        cmaf.init_segment(None, None)
