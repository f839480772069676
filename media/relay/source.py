"""One publisher's media made plain: access units with decode times and formats, AAC on the same timeline.

In come frames of RTP tracks (passthrough.py); out go `AccessUnit` and `AudioSample` to a program, both counted from the
first picture. Knows nothing of parts, playlists or HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from media.relay import h264
from media.relay.aac import AacTranscoder
from media.relay.access_unit import AccessUnit
from media.relay.cmaf import AUDIO_TIMESCALE, VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, length_prefixed
from media.relay.jitter import Frame
from media.relay.parameters import Parameters, of_sample
from media.relay.passthrough import SenderReport
from media.relay.timeline import Alignment, TrackClock

# Audio may trail the picture by this much (transcoding and reordering take ~0.1 s) before silence takes its place.
_AUDIO_LATE_S: Final = 0.5
_AUDIO_FILLED_TO_S: Final = 0.25
# A camera switched off sends nothing while the microphone goes on: the last key frame stands in, twice a second.
_PICTURE_LATE_S: Final = 1.0
_STILL_INTERVAL_S: Final = 0.5
# Offered video that never comes: after this long the broadcast starts with sound alone.
_PICTURE_AWAITED_S: Final = 3.0
_ACCESS_UNIT_BYTES_MAX: Final = 4 << 20


class Program(Protocol):
    """What a source feeds (program.py)."""

    def configure(self, video: VideoFormat | None, audio: AudioFormat | None) -> None:
        """Formats of what follows; called before the first unit and whenever they change."""
        ...

    def video(self, unit: AccessUnit) -> None: ...

    def audio(self, sample: AudioSample, wall_s: float) -> None: ...


class Source:
    """Feeds one program from one publisher.

    Parameters
    ----------
    program : Program
        Receives formats, access units and audio samples.
    has_video : bool
        Whether the publisher offered video; without it the program is sound alone.
    request_key_frame : Callable[[], None]
        Asks the publisher for a key frame; may be called often.
    audio_bit_rate : int
        Of the AAC made from Opus, in bits a second.
    """

    def __init__(
        self, program: Program, *, has_video: bool, request_key_frame: Callable[[], None], audio_bit_rate: int
    ) -> None:
        self._program = program
        self._has_video = has_video
        self._request_key_frame = request_key_frame
        self._transcoder = AacTranscoder(audio_bit_rate)
        self._video_clock = TrackClock(VIDEO_TIMESCALE)
        self._audio_clock = TrackClock(AUDIO_TIMESCALE)
        self._alignment = Alignment(self._video_clock, self._audio_clock)
        self._wall_minus_monotonic_s = time.time() - time.monotonic()
        self._started_s = time.monotonic()
        self._parameters = Parameters()
        self._gate_open = False
        self._origin_ticks: int | None = None
        self._last_dts = -1
        self._last_key: AccessUnit | None = None
        self._last_picture_s = 0.0
        self._sound_alone = not has_video
        self.media_at_s = 0.0
        self.frames_dropped = 0
        self.on_key_frame: Callable[[VideoFormat, bytes], None] | None = None

    def video_frame(self, frame: Frame) -> None:
        """One complete access unit (Annex B) from the publisher."""
        ticks = self._video_clock.continued(frame.timestamp, frame.arrival_s)
        self._video_clock.arrived(ticks, frame.arrival_s)
        self.media_at_s = frame.arrival_s
        if len(frame.data) > _ACCESS_UNIT_BYTES_MAX:
            self._gate_open = False
            return
        nals = h264.nal_units(frame.data)
        key = self._parameters.take(nals)
        if frame.after_loss:
            self._gate_open = False
        if key:
            self._gate_open = self._accept_format()
        if not self._gate_open:
            # Pictures that refer to something lost would show as smears; the picture stands until the next key frame.
            self.frames_dropped += 1
            self._request_key_frame()
            return
        slices = of_sample(nals)
        if not slices:
            return
        self._emit_video(ticks, key, length_prefixed(slices), frame.arrival_s)
        if key and self.on_key_frame is not None and self._parameters.format is not None:
            self.on_key_frame(self._parameters.format, frame.data)

    def audio_frame(self, frame: Frame) -> None:
        """One Opus packet from the publisher."""
        ticks = self._audio_clock.continued(frame.timestamp, frame.arrival_s)
        self._audio_clock.arrived(ticks, frame.arrival_s)
        self.media_at_s = frame.arrival_s
        if self._origin_ticks is None and not self._sound_alone:
            if frame.arrival_s - self._started_s < _PICTURE_AWAITED_S:
                self._request_key_frame()
                return
            self._sound_alone = True
        pts = self._audio_pts(ticks, frame.arrival_s)
        if pts is None or pts < 0:
            return
        if self._sound_alone and not self._transcoder.started:
            self._program.configure(None, self._transcoder.format)
        self._send_audio(self._transcoder.feed(frame.data, pts), frame.arrival_s)
        if not self._sound_alone and frame.arrival_s - self._last_picture_s > _PICTURE_LATE_S:
            self._stand_in(pts)

    def lost(self) -> None:
        """Media stopped: what comes next must begin with a key frame."""
        self._gate_open = False
        self._request_key_frame()

    def video_report(self, report: SenderReport) -> None:
        """RTCP sender report of the video track."""
        self._video_clock.reported(report)

    def audio_report(self, report: SenderReport) -> None:
        """RTCP sender report of the audio track."""
        self._audio_clock.reported(report)

    def _accept_format(self) -> bool:
        changed = self._parameters.changed()
        if changed:
            self._sound_alone = False
            self._program.configure(self._parameters.format, self._transcoder.format)
        return changed is not None

    def _emit_video(self, ticks: int, key: bool, data: bytes, arrival_s: float) -> None:
        if self._origin_ticks is None:
            self._origin_ticks = ticks
            # Sound that began alone keeps its timeline; the picture joins where the sound is.
            if self._transcoder.started:
                self._origin_ticks -= self._transcoder.end * VIDEO_TIMESCALE // AUDIO_TIMESCALE
            else:
                self._transcoder.begin(0)
        pts = ticks - self._origin_ticks
        # RTP carries no decode times. They are the presentation times, and only where pictures are reordered (pts goes
        # back) does one follow its predecessor by a tick, with a negative composition offset.
        dts = max(pts, self._last_dts + 1)
        self._last_dts = dts
        unit = AccessUnit(dts=dts, pts=pts, key=key, data=data, wall_s=self._wall_s(ticks, arrival_s))
        if key:
            self._last_key = unit
        self._last_picture_s = arrival_s
        # Silence first: the program then has sound for the stretch before this picture.
        behind = dts * AUDIO_TIMESCALE // VIDEO_TIMESCALE - self._transcoder.end
        if behind > _AUDIO_LATE_S * AUDIO_TIMESCALE:
            until = self._transcoder.end + behind - int(_AUDIO_FILLED_TO_S * AUDIO_TIMESCALE)
            self._send_audio(self._transcoder.fill(until), arrival_s)
        self._program.video(unit)

    def _stand_in(self, audio_pts: int) -> None:
        still = self._last_key
        dts = (audio_pts - int(_AUDIO_FILLED_TO_S * AUDIO_TIMESCALE)) * VIDEO_TIMESCALE // AUDIO_TIMESCALE
        if still is None or dts - self._last_dts < _STILL_INTERVAL_S * VIDEO_TIMESCALE:
            return
        self._last_dts = dts
        # What follows from the camera refers to pictures before the still: wait for its next key frame.
        self._gate_open = False
        wall_s = still.wall_s + (dts - still.dts) / VIDEO_TIMESCALE
        self._program.video(AccessUnit(dts=dts, pts=dts, key=True, data=still.data, wall_s=wall_s))
        self._request_key_frame()

    def _audio_pts(self, ticks: int, now: float) -> int | None:
        if self._origin_ticks is None:
            return ticks
        offset_s = self._alignment.offset_s(now)
        if offset_s is None:
            return None
        origin = self._origin_ticks * AUDIO_TIMESCALE // VIDEO_TIMESCALE
        return ticks + round(offset_s * AUDIO_TIMESCALE) - origin

    def _send_audio(self, samples: list[AudioSample], arrival_s: float) -> None:
        for sample in samples:
            if sample.pts >= 0:
                self._program.audio(sample, arrival_s + self._wall_minus_monotonic_s)

    def _wall_s(self, ticks: int, arrival_s: float) -> float:
        floor = self._video_clock.to_arrival_s
        monotonic = arrival_s if floor is None else floor + ticks / VIDEO_TIMESCALE
        return monotonic + self._wall_minus_monotonic_s
