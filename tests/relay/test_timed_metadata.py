"""A room's frames in the media: their boxes read by a reader of their own, and what parts carry of them."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass

import av

from media.relay import cmaf, timed_metadata
from media.relay.program import Program
from media.relay.segmenter import CutPart
from media.relay.settings import Settings
from media.relay.timed_metadata import TimedMetadata
from tests.relay.encoded import pictures, video_format
from tests.relay.test_cmaf import _video_samples

SECOND = 90_000


@dataclass
class Message:
    """An event message as a player reads it."""

    scheme: str
    value: str
    at_s: float
    description: str
    text: str


def boxes(data: bytes) -> list[tuple[str, bytes]]:
    """Top-level boxes (ISO/IEC 14496-12 4.2)."""
    found: list[tuple[str, bytes]] = []
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert 8 <= size <= len(data) - at, "a box ends within its file"
        found.append((kind.decode(), data[at + 8 : at + size]))
        at += size
    return found


def messages(data: bytes) -> list[Message]:
    """The `emsg` boxes of a part, each before the `moof` (CMAF 7.4.5)."""
    kinds = [kind for kind, _ in boxes(data)]
    assert kinds == sorted(kinds, key=["emsg", "moof", "mdat"].index), f"a part is emsg, moof, mdat: {kinds}"
    return [_message(body) for kind, body in boxes(data) if kind == "emsg"]


def _message(body: bytes) -> Message:
    # ISO/IEC 23009-1 5.10.3.3: version 1 has its times first, then two texts that end with zero.
    assert body[0] == 1 and body[1:4] == bytes(3)
    timescale, at, duration, _ = struct.unpack_from(">IQII", body, 4)
    assert duration == 0xFFFFFFFF, "unknown"
    scheme, value, tag = body[24:].split(b"\0", 2)
    # ID3v2.4 3.1: ten bytes of header, a size of four times seven bits.
    assert tag[:5] == b"ID3\x04\x00" and tag[5] == 0
    assert _seven_bits(tag[6:10]) == len(tag) - 10, "one tag and nothing behind it"
    assert tag[10:14] == b"TXXX" and _seven_bits(tag[14:18]) == len(tag) - 20
    assert tag[20] == 3, "UTF-8"
    description, text = tag[21:].split(b"\0")
    return Message(scheme.decode(), value.decode(), at / timescale, description.decode(), text.decode())


def _seven_bits(size: bytes) -> int:
    assert max(size) < 128
    return size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]


def frame(seq: int, text: str = "hello 👋") -> bytes:
    return json.dumps({"type": "frame", "seq": seq, "text": text}, ensure_ascii=False).encode()


def test_a_frame_is_read_as_it_was_written_at_the_time_it_came() -> None:
    waiting = TimedMetadata()
    waiting.offer(frame(7), 10 * SECOND + 30_000)
    (read,) = messages(waiting.take(10 * SECOND, SECOND))
    assert (read.scheme, read.value) == ("https://aomedia.org/emsg/ID3", "")
    assert (read.description, json.loads(read.text)) == ("onair.frame", json.loads(frame(7)))
    assert read.at_s == 10 + 1 / 3


def test_a_late_frame_is_shown_with_the_first_picture_of_the_part_that_carries_it() -> None:
    waiting = TimedMetadata()
    waiting.offer(frame(1), 3 * SECOND)
    (read,) = messages(waiting.take(10 * SECOND, 30_000))
    assert read.at_s == 10.0


def test_a_frame_that_came_with_the_next_parts_picture_waits_for_that_part() -> None:
    waiting = TimedMetadata()
    waiting.offer(frame(1), 10 * SECOND + 30_000)
    assert waiting.take(10 * SECOND, 30_000) == b""
    assert len(messages(waiting.take(10 * SECOND + 30_000, 30_000))) == 1


def test_frames_keep_their_order_and_a_part_its_bound_whatever_the_room_sends() -> None:
    waiting = TimedMetadata()
    for seq in range(30):
        waiting.offer(frame(seq, "x" * 24_000), 0)
    seen: list[int] = []
    parts = 0
    while carried := waiting.take(parts * 30_000, 30_000):
        assert len(carried) <= timed_metadata.PART_BYTES_MAX
        seen += [json.loads(one.text)["seq"] for one in messages(carried)]
        parts += 1
    assert seen == list(range(30)) and parts == 15


def test_a_room_without_a_picture_holds_no_more_than_its_bound_and_the_newest() -> None:
    waiting = TimedMetadata()
    for seq in range(1_000):
        waiting.offer(frame(seq), 0)
    carried = b"".join(waiting.take(0, 30_000) for _ in range(3))
    left = [json.loads(one.text)["seq"] for one in messages(carried)]
    assert left[-1] == 999 and len(left) == timed_metadata.PENDING_MAX
    assert waiting.dropped == 1_000 - timed_metadata.PENDING_MAX
    waiting.offer(frame(1, "x" * 30_000), 0)
    assert waiting.take(0, 30_000) == b"", "what the room never sends is not carried"


def test_ffmpeg_plays_parts_with_frames_as_it_plays_those_without() -> None:
    packets = pictures(30)
    samples = _video_samples(packets)
    waiting = TimedMetadata()
    plain = told = cmaf.init_segment(video_format(packets[0]), None)
    for number in range(3):
        part = cmaf.fragment(number + 1, samples[number * 10 : number * 10 + 10], [], 0)
        waiting.offer(frame(number), SECOND)
        plain += part
        told += waiting.take(SECOND + number * 30_000, 30_000) + part
    assert len(told) > len(plain)
    assert _pictures(told) == _pictures(plain) and len(_pictures(told)) == 30


def _pictures(whole: bytes) -> list[tuple[int | None, bytes]]:
    with av.open(io.BytesIO(whole)) as container:
        return [(picture.pts, b"".join(map(bytes, picture.planes))) for picture in container.decode(video=0)]


async def test_viewers_get_frames_in_parts_and_segments_and_what_is_kept_is_the_media_alone() -> None:
    program = Program("show", Settings(), lambda _: None)
    program.configure(video_format(pictures(1)[0]), None)
    program.begin_segment(0, 0.0)
    bodies = [cmaf.box(b"moof") + cmaf.box(b"mdat", bytes([number])) for number in range(3)]
    for number, body in enumerate(bodies):
        program.room_frame(frame(number))
        program.add_part(
            CutPart(start=number * 30_000, duration=30_000, independent=number == 0, pictures=10, body=body)
        )
    program.end_segment()
    names = [part.uri for part in program._segments[-1].parts]
    for number, name in enumerate(names):
        found = await program.media(name, 1.0)
        assert found is not None and found[0].endswith(bodies[number])
        assert [json.loads(one.text)["seq"] for one in messages(found[0])] == [number]
    segment = await program.media(names[0].rsplit("_", 1)[0] + ".m4s", 1.0)
    assert segment is not None
    assert [kind for kind, _ in boxes(segment[0])] == ["emsg", "moof", "mdat"] * 3
    assert program._segments[-1].body == b"".join(bodies)
