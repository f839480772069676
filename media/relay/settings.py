"""Every knob of the relay, read once from the environment: what it does, its default and what turning it costs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import msgspec

# Lower renditions that can be made, by short side, with the most that x264 may take of the line for each (VBV). It
# takes less where the picture needs less.
_LADDER_BIT_RATES: Final = {720: 2_000_000, 480: 900_000, 240: 300_000}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the task is told. Names in the environment are given in `read`."""

    # Where the HTTP server listens. The container listens on all interfaces, the local stack on loopback.
    host: str = "127.0.0.1"
    port: int = 8081
    # Where encoders publish by RTMP (1935 is its registered port); 0 takes none.
    rtmp_port: int = 0
    # The address that clients use (scheme, host, perhaps a path). `Location` of a WHIP resource starts with it.
    public_url: str = ""
    # Host candidates in SDP answers carry this address instead of the task's own (Fargate: private one, 1:1 NAT).
    ice_public_address: str = ""
    # STUN/TURN addresses told to publishers in `Link` headers, comma-separated; empty tells none. A TURN server's user
    # name and password follow it behind semicolons: `turn:turn.example.org?transport=udp;user;password`.
    ice_servers: tuple[str, ...] = ()

    # Which task this is, and where other tasks reach its HTTP port. On ECS both come from the task's metadata.
    task: str = ""
    address: str = ""
    # From SIGTERM on, how long publishers may take to move to other tasks while their viewers are served; Fargate kills
    # after 120 s. With 0 there are no other tasks: playlists end at once.
    drain_s: float = 0.0
    # The stack's name, under which the load is told to CloudWatch; empty tells nothing.
    deployment: str = ""

    streams_table: str = ""
    media_queue_url: str = ""
    # Where recordings go; empty records nothing.
    media_bucket: str = ""
    # The rooms' socket: of a stadium, frames are read here and written into the media. Empty: no stadium.
    socket_url: str = ""
    signing_secret: str = ""
    playback_secret: str = ""
    # CloudFront adds this in `X-Onair-Origin`; empty means that only playback tokens open playlists.
    origin_secret: str = ""
    # For `Access-Control-Allow-Origin`. `*` is right for media that a token guards.
    allowed_origin: str = "*"

    # Part target in ms. Latency is about 3 parts and a bit; requests a viewer a second are about 2000 ÷ part_ms.
    part_ms: int = 333
    # Segments are cut at the first key frame after about this long; the relay asks the publisher for one.
    segment_s: int = 2
    # Segments in a playlist: how far back a viewer may seek. 0.6 MB each at 2.5 Mb/s, kept twice (RFC 8216bis 6.2.2).
    window_segments: int = 12
    # Publishers at once; one 720p30 stream takes about 5 % of a core, so 12 fill half a core with room for viewers.
    publishers_max: int = 12
    # Guests at once; one that publishes 360p costs about 3 % of a core before anything is composed.
    guests_max: int = 16
    # WHEP sessions at once: eight guests and a host who all watch each other are 72. Each takes about 1 % of a core.
    watchers_max: int = 72
    # Streams whose guests are composed into the picture at once, each by a worker process that takes about a core.
    # With 0 nobody is let on screen: a task of one processor needs it for viewers.
    compose_max: int = 1
    # Short side of a composed picture, and its bit rate: x264's time grows with the number of pixels.
    compose_px: int = 720
    compose_bit_rate: int = 2_500_000
    # Short sides of the lower renditions that are made of each stream, as far as there are processors: a worker a
    # stream, which decodes once and encodes each. Empty makes none; what is sent is always there.
    ladder: tuple[int, ...] = ()
    # Streams that have a ladder at once; together with compositions they leave a processor to the relay itself.
    ladder_max: int = 1
    # Processors of the task. ECS does not let a container see its share, so that it is told.
    processors: int = 1
    # No media for this long and the stream is `lost`; a publisher is alive only within it.
    lost_after_s: float = 2.0
    # A publisher that is silent for this long is disconnected (browsers reconnect their network within ~10 s).
    silent_publisher_s: float = 30.0
    # An HTTP connection on which nothing was asked for this long is closed: longer than CloudFront and load balancers
    # keep theirs (60 s), so that it is they who close first.
    idle_connection_s: float = 75.0
    # Who takes nothing of what was sent for this long is hung up on: what waits for them is held in memory.
    unread_s: float = 30.0
    # After its end a stream's playlist stays for viewers that are seconds behind.
    ended_kept_s: float = 60.0
    # A preview picture at most this often; decoding one key frame of 720p takes ~10 ms in a worker thread.
    thumbnail_s: float = 10.0
    thumbnail_width_px: int = 640
    # Width of the pictures of a recording's timeline, one each ten seconds: ~10 kB and ~10 ms of a thread each.
    storyboard_width_px: int = 320
    # What S3 has not taken yet: so much in memory, then so much on disk, and what comes then is lost to the recording.
    # 12 streams of 2.5 Mb/s are 225 MB a minute.
    archive_memory_bytes: int = 32 * 1024 * 1024
    archive_disk_bytes: int = 4 * 1024 * 1024 * 1024
    # AAC for HLS: what dense sound may take. Speech takes two thirds of it. Opus from browsers is 48 kHz stereo.
    audio_bit_rate: int = 128_000
    # How often the items of live streams are read: the longest that a revoked key or an ended stream goes on.
    poll_s: float = 1.0

    @property
    def ladder_bit_rates(self) -> Mapping[int, int]:
        """Most bits a second of each rung, without sound."""
        return _LADDER_BIT_RATES

    @property
    def part_target_s(self) -> float:
        """PART-TARGET: part_ms and 1 ms, so that ten frames at 30 a second (333.3 ms) are one part."""
        return (self.part_ms + 1) / 1000

    @property
    def target_duration_s(self) -> int:
        """EXT-X-TARGETDURATION: one second above `segment_s`, room for a key frame that comes late."""
        return self.segment_s + 1


def read(environment: Mapping[str, str]) -> Settings:
    """Settings from environment variables; raises ``ValueError`` naming what is missing or out of range."""

    def text(name: str, default: str = "") -> str:
        return environment.get(name) or default

    def number(name: str, default: int, low: int, high: int) -> int:
        raw = text(name, str(default))
        if not raw.lstrip("-").isdigit() or not low <= int(raw) <= high:
            raise ValueError(f"{name}={raw!r}: expected a whole number from {low} to {high}")
        return int(raw)

    def rungs(raw: str) -> tuple[int, ...]:
        words = [word.strip() for word in raw.split(",") if word.strip()]
        if not all(word.isdigit() and int(word) in _LADDER_BIT_RATES for word in words):
            raise ValueError(f"LADDER={raw!r}: expected some of {', '.join(map(str, _LADDER_BIT_RATES))}")
        return tuple(sorted({int(word) for word in words}, reverse=True))

    missing = [name for name in ("STREAMS_TABLE", "SIGNING_SECRET", "PLAYBACK_SECRET") if not environment.get(name)]
    if missing:
        raise ValueError(f"the relay needs {', '.join(missing)} in its environment")
    return Settings(
        host=text("RELAY_HOST", "127.0.0.1"),
        port=number("RELAY_PORT", 8081, 0, 65535),
        rtmp_port=number("RTMP_PORT", 0, 0, 65535),
        public_url=text("RELAY_PUBLIC_URL").rstrip("/"),
        ice_public_address=text("RELAY_ICE_ADDRESS"),
        task=text("RELAY_TASK"),
        address=text("RELAY_ADDRESS").rstrip("/"),
        drain_s=float(number("DRAIN_S", 0, 0, 118)),
        ice_servers=tuple(part.strip() for part in text("ICE_SERVERS").split(",") if part.strip()),
        deployment=text("DEPLOYMENT"),
        streams_table=text("STREAMS_TABLE"),
        media_queue_url=text("MEDIA_QUEUE_URL"),
        media_bucket=text("MEDIA_BUCKET"),
        archive_memory_bytes=number("ARCHIVE_MEMORY_MB", 32, 1, 4096) * 1024 * 1024,
        archive_disk_bytes=number("ARCHIVE_DISK_MB", 4096, 0, 200_000) * 1024 * 1024,
        socket_url=text("SOCKET_URL"),
        signing_secret=text("SIGNING_SECRET"),
        playback_secret=text("PLAYBACK_SECRET"),
        origin_secret=text("ORIGIN_SECRET"),
        allowed_origin=text("ALLOWED_ORIGIN", "*"),
        idle_connection_s=float(number("IDLE_CONNECTION_S", 75, 1, 3600)),
        unread_s=float(number("UNREAD_S", 30, 1, 600)),
        part_ms=number("PART_MS", 333, 100, 2000),
        segment_s=number("SEGMENT_S", 2, 1, 10),
        window_segments=number("WINDOW_SEGMENTS", 12, 6, 600),
        publishers_max=number("PUBLISHERS_MAX", 12, 1, 1000),
        compose_max=number("COMPOSE_MAX", 1, 0, 64),
        compose_px=number("COMPOSE_PX", 720, 180, 1080) // 2 * 2,
        compose_bit_rate=1000 * number("COMPOSE_KBPS", 2500, 100, 20_000),
        ladder=rungs(text("LADDER")),
        ladder_max=number("LADDER_MAX", 1, 0, 64),
        processors=number("PROCESSORS", os.cpu_count() or 1, 1, 1024),
    )
