"""One encoder's media (OBS, ffmpeg) made plain: H.264 with composition offsets and AAC, both passed through.

In come RTMP's audio and video messages, whose times are milliseconds on one clock; out go the same `AccessUnit` and
`AudioSample` that source.py makes of RTP. Knows nothing of connections, parts or playlists.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from media.relay import aac, flv
from media.relay.cmaf import AAC_FRAME_SAMPLES, VIDEO_TIMESCALE, AudioFormat, AudioSample, VideoFormat, length_prefixed
from media.relay.h264 import NAL_IDR, START_CODE
from media.relay.parameters import Parameters, of_sample
from media.relay.source import AccessUnit, Program
from media.relay.timeline import TrackClock

_TICKS_A_MS: Final = VIDEO_TIMESCALE // 1000
# A step of the clock beyond this is a new timeline: the encoder was restarted, or its clock was.
_FORWARD_MS_MAX: Final = 10_000
_BACKWARD_MS_MAX: Final = 2_000
_STEP_MS: Final = 33
# All steps together may run this far ahead of the time that passes, which no clock that is up to 1 % fast ever does.
# What a connection held back while it stood still, up to a minute of it, comes at once and is not ahead.
_AHEAD_MAX_S: Final = 30.0
_HELD_BACK_MAX_S: Final = 60.0
_FASTEST: Final = 1.01
# AAC frames are counted, not timed (times are rounded to 1 ms). Off by more than this, a frame of silence is put in or
# a frame is left out.
_AUDIO_OFF_S: Final = 0.04
# As in source.py: missing sound becomes silence, a missing picture the last key frame, missing video sound alone.
_AUDIO_LATE_S: Final = 0.5
_AUDIO_FILLED_TO_S: Final = 0.25
_PICTURE_LATE_S: Final = 1.0
_STILL_INTERVAL_S: Final = 0.5
_PICTURE_AWAITED_S: Final = 3.0
# What a program has whose encoder sends no sound.
_SILENT_RATE: Final = 48_000
_SILENT_CHANNELS: Final = 2


class EncoderSource:
    """Feeds one program from one encoder.

    Parameters
    ----------
    program : Program
        Receives formats, access units and audio samples.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._parameters = Parameters()
        self._length_bytes = 4
        self._sound: AudioFormat | None = None
        self._told_sound: AudioFormat | None = None
        self._clock = TrackClock(1000)
        self._shift_ms = 0
        self._last_ms: int | None = None
        self._last_arrival_s = 0.0
        self._ahead_s = 0.0
        self._origin_ms: int | None = None
        self._wall_minus_monotonic_s = time.time() - time.monotonic()
        self._first_sound_s: float | None = None
        self._sound_alone = False
        self._configured = False
        self._heard = False
        self._gate_open = False
        self._last_dts = -1
        self._last_key: AccessUnit | None = None
        self._audio_end = 0
        self.media_at_s = time.monotonic()
        self.frames_dropped = 0
        self.sound_frames_dropped = 0
        self.on_key_frame: Callable[[VideoFormat, bytes], None] | None = None

    def video(self, body: bytes, timestamp: int, arrival_s: float) -> None:
        """One video message; raises `flv.UnsupportedError` or `h264.BitstreamError`."""
        tag = flv.video_tag(body)
        if tag is None:
            return
        if tag.configuration:
            configuration = flv.decoder_configuration(tag.data)
            self._length_bytes = configuration.length_bytes
            self._parameters.take(configuration.parameter_sets)
            return
        self.media_at_s = arrival_s
        ms = self._ms(timestamp, arrival_s)
        if self._length_bytes == 4 and flv.is_sample(tag.data):
            if self._gate_open:
                self._emit(tag.data, False, ms, tag.composition_ms, arrival_s)
            else:
                self.frames_dropped += 1
            return
        nals = flv.nal_units(tag.data, self._length_bytes)
        if self._parameters.take(nals):
            self._gate_open = self._accept(ms)
        if not self._gate_open:
            self.frames_dropped += 1
            return
        slices = of_sample(nals)
        if not slices:
            return
        key = any(nal[0] & 0x1F == NAL_IDR for nal in slices)
        self._emit(length_prefixed(slices), key, ms, tag.composition_ms, arrival_s)
        if key and self.on_key_frame is not None and self._parameters.format is not None:
            self.on_key_frame(self._parameters.format, b"".join([START_CODE + nal for nal in slices]))

    def audio(self, body: bytes, timestamp: int, arrival_s: float) -> None:
        """One audio message; raises `flv.UnsupportedError` or `h264.BitstreamError`."""
        tag = flv.audio_tag(body)
        if tag is None:
            return
        if tag.configuration:
            self._hear(flv.audio_format(tag.data))
            return
        if self._sound is None:
            return
        self.media_at_s = arrival_s
        ms = self._ms(timestamp, arrival_s)
        if self._first_sound_s is None:
            self._first_sound_s = arrival_s
        if self._origin_ms is None:
            if arrival_s - self._first_sound_s < _PICTURE_AWAITED_S:
                return
            self._sound_alone = True
            self._origin_ms = ms
        if self._sound_alone and not self._configured:
            self._configure(None, self._sound, ms)
        if self._told_sound == self._sound:
            self._place_sound(tag.data, ms, arrival_s)

    def lost(self) -> None:
        """Media stopped: what comes next must begin with a key frame."""
        self._gate_open = self._sound_alone

    def _hear(self, sound: AudioFormat) -> None:
        """The encoder says what its sound is, before media or anew."""
        told = self._told_sound
        if told is not None and (told.sample_rate, told.channels) == (sound.sample_rate, sound.channels):
            # All of it is AAC-LC, so the init segment fits whatever else the two configurations say.
            self._sound = told
        elif sound != self._sound:
            self._sound = sound
            # Another format needs another init segment, which begins with a key frame.
            self._configured = self._gate_open = False

    def _ms(self, timestamp: int, arrival_s: float) -> int:
        """Time on our timeline, continued across jumps of the encoder's clock.

        Raises
        ------
        flv.UnsupportedError
            When times run ahead of time: a message of a few bytes would ask for seconds of silence and thirty parts.
        """
        ms = self._clock.ticks(timestamp) + self._shift_ms
        last = self._last_ms
        if last is not None and not last - _BACKWARD_MS_MAX <= ms <= last + _FORWARD_MS_MAX:
            self._clock = TrackClock(1000)
            self._clock.ticks(timestamp)
            self._shift_ms = ms = last + _STEP_MS
            self._configured = self._gate_open = False
        self._clock.arrived(ms, arrival_s)
        self._last_ms = ms if last is None else max(last, ms)
        if last is not None:
            step_s, passed_s = (self._last_ms - last) / 1000, max(0.0, arrival_s - self._last_arrival_s)
            self._ahead_s = max(-_HELD_BACK_MAX_S, self._ahead_s + step_s - _FASTEST * passed_s)
            if self._ahead_s > _AHEAD_MAX_S:
                raise flv.UnsupportedError("The encoder sends faster than time passes. Have it send in real time.")
        self._last_arrival_s = arrival_s
        return ms

    def _accept(self, ms: int) -> bool:
        changed = self._parameters.changed()
        if changed is None:
            return False
        if changed or not self._configured:
            if self._origin_ms is None:
                self._origin_ms = ms
            self._sound_alone = False
            silent = aac.silence(_SILENT_RATE, _SILENT_CHANNELS)[0]
            self._configure(self._parameters.format, self._sound or silent, ms)
        return True

    def _configure(self, video: VideoFormat | None, sound: AudioFormat, ms: int) -> None:
        assert self._origin_ms is not None
        before = self._told_sound
        self._program.configure(video, sound)
        self._told_sound = sound
        self._configured, self._heard = True, False
        kept = 0 if before is None else self._audio_end * sound.sample_rate // before.sample_rate
        self._audio_end = max(kept, (ms - self._origin_ms) * sound.sample_rate // 1000)

    def _emit(self, data: bytes, key: bool, ms: int, composition_ms: int, arrival_s: float) -> None:
        assert self._origin_ms is not None and self._told_sound is not None
        dts = max((ms - self._origin_ms) * _TICKS_A_MS, self._last_dts + 1)
        pts = (ms - self._origin_ms + composition_ms) * _TICKS_A_MS
        self._last_dts = dts
        wall_s = self._wall_s(ms, arrival_s)
        unit = AccessUnit(dts=dts, pts=pts, key=key, data=data, wall_s=wall_s)
        rate = self._told_sound.sample_rate
        # Silence first: the program then has sound for the stretch before this picture.
        if dts * rate // VIDEO_TIMESCALE - self._audio_end > _AUDIO_LATE_S * rate:
            self._fill(dts * rate // VIDEO_TIMESCALE - int(_AUDIO_FILLED_TO_S * rate), wall_s)
        self._program.video(unit)
        if key:
            self._last_key = unit

    def _place_sound(self, data: bytes, ms: int, arrival_s: float) -> None:
        assert self._origin_ms is not None and self._told_sound is not None
        rate = self._told_sound.sample_rate
        wall_s = self._wall_s(ms, arrival_s)
        at = (ms - self._origin_ms) * rate // 1000
        if not self._heard:
            # The track has nothing yet: what precedes it may begin anywhere, so that it lies exactly.
            self._audio_end += max(0, at - self._audio_end) % AAC_FRAME_SAMPLES
        if at - self._audio_end > _AUDIO_OFF_S * rate:
            self._fill(at, wall_s)
        if self._audio_end - at > _AUDIO_OFF_S * rate:
            self.sound_frames_dropped += 1
            return
        self._send(data, wall_s)
        if not self._sound_alone and (ms - self._origin_ms) * _TICKS_A_MS - self._last_dts > _PICTURE_LATE_S * 90_000:
            self._stand_in(ms)

    def _fill(self, until: int, wall_s: float) -> None:
        assert self._told_sound is not None
        frame = aac.silence(self._told_sound.sample_rate, self._told_sound.channels)[1]
        while self._audio_end + AAC_FRAME_SAMPLES <= until:
            self._send(frame, wall_s)

    def _send(self, data: bytes, wall_s: float) -> None:
        self._program.audio(AudioSample(pts=self._audio_end, duration=AAC_FRAME_SAMPLES, data=data), wall_s)
        self._audio_end += AAC_FRAME_SAMPLES
        self._heard = True

    def _stand_in(self, ms: int) -> None:
        assert self._origin_ms is not None
        still = self._last_key
        dts = (ms - self._origin_ms) * _TICKS_A_MS - int(_AUDIO_FILLED_TO_S * VIDEO_TIMESCALE)
        if still is None or not self._configured or dts - self._last_dts < _STILL_INTERVAL_S * VIDEO_TIMESCALE:
            return
        self._last_dts = dts
        # What follows from the encoder refers to pictures before the still: wait for its next key frame.
        self._gate_open = False
        wall_s = still.wall_s + (dts - still.dts) / VIDEO_TIMESCALE
        self._program.video(AccessUnit(dts=dts, pts=dts, key=True, data=still.data, wall_s=wall_s))

    def _wall_s(self, ms: int, arrival_s: float) -> float:
        floor = self._clock.to_arrival_s
        return (arrival_s if floor is None else floor + ms / 1000) + self._wall_minus_monotonic_s
