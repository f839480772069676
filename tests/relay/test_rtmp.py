"""Publishers over RTMP against a relay process: ffmpeg as it is, refusals in words, takeover, and impolite encoders."""

from __future__ import annotations

import hashlib
import io
import socket
import subprocess
import time
from pathlib import Path

import av
import pytest

from media.relay.chunks import AUDIO, VIDEO, Message
from tests.relay import checker, encoder
from tests.relay.stack import Stack, fetch, stream_key, until

_PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30"]
_TONE = ["-f", "lavfi", "-i", "sine=frequency=1000:sample_rate=44100"]
_H264 = ["-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-pix_fmt", "yuv420p", "-g", "60", "-bf", "2"]


def _ffmpeg(*arguments: str) -> subprocess.Popen[str]:
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _recording(path: Path, seconds: int) -> Path:
    made = _ffmpeg(*_PICTURE, *_TONE, *_H264, "-c:a", "aac", "-t", str(seconds), "-f", "flv", str(path))
    assert made.wait(timeout=60) == 0
    return path


def _publish(stack: Stack, recording: Path, key: str) -> subprocess.Popen[str]:
    return _ffmpeg("-re", "-i", str(recording), "-c", "copy", "-f", "flv", stack.rtmp_url(key))


def _hashes(packets: list[bytes]) -> list[str]:
    return [hashlib.sha256(packet).hexdigest()[:16] for packet in packets]


def _packets(content: io.BytesIO | str, kind: str) -> list[av.Packet]:
    with av.open(content) as opened:
        stream = opened.streams.get({kind: 0})[0]
        return [packet for packet in opened.demux(stream) if packet.size]


def test_ffmpeg_is_played_back_picture_by_picture_and_byte_by_byte(stack: Stack, tmp_path: Path) -> None:
    stack.put_stream("obs")
    recording = _recording(tmp_path / "published.flv", 7)
    publishing = _publish(stack, recording, stream_key("obs"))
    until(lambda: fetch(stack.live_url("obs")).status == 200, 20, "ffmpeg is on air")
    multivariant = fetch(stack.live_url("obs")).text
    assert 'CODECS="avc1.6400' in multivariant and ",mp4a.40.2" in multivariant
    rate = multivariant.split("RESOLUTION=320x240,FRAME-RATE=")[1].split()[0]
    assert abs(float(rate) - 30) < 0.2, "times in ms make 334 ms of ten pictures"

    # A player that blocks for each next part until the encoder is done.
    playlist = checker.read(fetch(stack.live_url("obs", "media.m3u8")).text)
    while publishing.poll() is None:
        newest = playlist.segments[-1]
        ask = f"?_HLS_msn={newest.msn}&_HLS_part={len(newest.parts)}"
        answer = fetch(stack.live_url("obs", "media.m3u8") + ask)
        if answer.status != 200:
            break
        now = checker.read(answer.text)
        checker.check_succession(playlist, now)
        playlist = now
    assert publishing.wait(timeout=10) == 0
    stack.put_stream("obs", state="ended")
    until(lambda: "ENDLIST" in fetch(stack.live_url("obs", "media.m3u8")).text, 5, "the playlist has its end")

    playlist = checker.read(fetch(stack.live_url("obs", "media.m3u8")).text)
    names = [playlist.segments[0].init, *[segment.uri for segment in playlist.segments]]
    played = b"".join([fetch(stack.live_url("obs", name)).body for name in names])
    (tmp_path / "played.mp4").write_bytes(played)
    sent, shown = _packets(str(recording), "video"), _packets(str(tmp_path / "played.mp4"), "video")
    assert len(shown) == len(sent) == 210
    offsets = [[round((p.pts - p.dts) * 1000 * p.time_base) for p in packets] for packets in (sent, shown)]
    assert max(abs(a - b) for a, b in zip(*offsets, strict=True)) <= 1 and max(offsets[0]) > 60
    with av.open(str(tmp_path / "played.mp4")) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 210
    heard = _hashes([bytes(packet) for packet in _packets(str(tmp_path / "played.mp4"), "audio")])
    said = _hashes([bytes(packet) for packet in _packets(str(recording), "audio")])
    # What came before the first picture is left out, and what was under way when the encoder left.
    first = said.index(heard[0])
    assert first < 3 and heard == said[first : first + len(heard)]
    assert len(heard) > len(said) - 20


def test_refusals_tell_the_person_what_to_do(stack: Stack, tmp_path: Path) -> None:
    stack.put_stream("held")
    stack.put_stream("over", state="ended")
    recording = _recording(tmp_path / "short.flv", 8)
    first = _publish(stack, recording, stream_key("held"))
    until(lambda: fetch(stack.live_url("held")).status == 200, 20, "the first encoder is on air")
    for key, words in [
        ("wrong", "This stream key is not valid"),
        (stream_key("over"), "This broadcast is not live"),
        (stream_key("none"), "There is no such broadcast"),
        (stream_key("held", 0), "was replaced by a newer one"),
        (stream_key("held"), "Take over with a new stream key"),
    ]:
        refused = _publish(stack, recording, key)
        assert refused.wait(timeout=10) != 0
        assert refused.stderr and words in refused.stderr.read()

    stack.put_stream("held", generation=2)
    second = _publish(stack, recording, stream_key("held", 2))
    assert first.wait(timeout=10) != 0, "the encoder with the old key is disconnected"

    def taken_over() -> bool:
        playlist = checker.read(fetch(stack.live_url("held", "media.m3u8")).text)
        return any(segment.discontinuity and segment.parts for segment in playlist.segments)

    until(taken_over, 10, "the second encoder's picture follows a discontinuity")
    second.terminate()
    second.wait(timeout=10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-c:v", "flv1"], "Set the encoder to H.264"),
        ([*_H264, "-c:a", "libmp3lame"], "Set the encoder to AAC"),
    ],
)
def test_other_codecs_are_refused_by_name(stack: Stack, options: list[str], words: str) -> None:
    stack.put_stream("codec")
    where = stack.rtmp_url(stream_key("codec"))
    encoding = _ffmpeg("-re", *_PICTURE, *_TONE, *options, "-t", "20", "-f", "flv", where)
    assert encoding.wait(timeout=15) != 0
    assert encoding.stderr and encoding.stderr.read()
    until(lambda: _publishers(stack, "codec"), 5, "its place is free again")
    # What ffmpeg does not print is read by an encoder of ours.
    tag = b"\x12\0\0\0\0\0" if "flv1" in options else b"\x2f\0\0"
    kind = VIDEO if "flv1" in options else AUDIO
    said = _talk(stack, encoder.HANDSHAKE + encoder.wire([*encoder.publish_commands(stream_key("codec"))]), b"On air")
    assert b"On air" in said.read
    said.socket.sendall(encoder.wire([Message(kind, 0, 1, tag)]))
    assert words.encode() in said.rest()


def _publishers(stack: Stack, stream_id: str) -> bool:
    """Whether a connection with this key is let in (and leaves again)."""
    # Who is refused is told so and disconnected, which ends the wait as well.
    said = _talk(stack, encoder.HANDSHAKE + encoder.wire(encoder.publish_commands(stream_key(stream_id))), b"On air")
    said.socket.close()
    return b"On air" in said.read


class _Said:
    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.read = b""

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while piece := self._piece():
            self.read += piece
        return self.read

    def up_to(self, words: bytes) -> None:
        while words not in self.read and (piece := self._piece()):
            self.read += piece

    def _piece(self) -> bytes:
        try:
            # What separates the chunks of a long answer would stand between its words.
            return self.socket.recv(65_536).replace(b"\xc5", b"")
        except ConnectionResetError:
            return b""


def _talk(stack: Stack, data: bytes, words: bytes) -> _Said:
    connection = socket.create_connection(("127.0.0.1", stack.rtmp_port), timeout=15)
    connection.sendall(data)
    said = _Said(connection)
    said.up_to(words)
    return said


def test_who_publishes_nothing_is_disconnected_within_ten_seconds(stack: Stack) -> None:
    begun = time.monotonic()
    silent = [socket.create_connection(("127.0.0.1", stack.rtmp_port), timeout=15) for _ in range(20)]
    silent[0].sendall(encoder.HANDSHAKE[:100])
    silent[1].sendall(encoder.HANDSHAKE + encoder.wire(encoder.publish_commands("key")[:5]))
    for connection in silent:
        assert _Said(connection).rest() is not None
        connection.close()
    assert 8 < time.monotonic() - begun < 14


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x06" + bytes(3_072),  # the encrypted handshake
        encoder.HANDSHAKE + b"\x04\0\0\0\x02\0\0\x14\0\0\0\0",  # 128 KB before publish
        encoder.HANDSHAKE + encoder.wire(encoder.publish_commands("key", "other")),
        encoder.HANDSHAKE + encoder.wire([Message(VIDEO, 0, 1, b"\x17\1\0\0\0")]),
        encoder.HANDSHAKE + encoder.wire(encoder.publish_commands("key")[:1] * 2 + [encoder.command("publish", 1.0)]),
        encoder.HANDSHAKE + encoder.wire([Message(20, 0, 0, b"\xff" * 100)]),
    ],
)
def test_what_is_no_publisher_is_hung_up_on_at_once(stack: Stack, data: bytes) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", stack.rtmp_port), timeout=15) as connection:
        connection.sendall(data)
        _Said(connection).rest()
    assert time.monotonic() - begun < 5
    assert fetch(f"{stack.relay_url}/healthz").status == 200
