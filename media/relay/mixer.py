"""Sound of a composition: each track's AAC decoded onto one timeline, blocks of all tracks added up by libav's `amix`.

Positions are samples of 48 kHz since the composition began.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph
from av.filter.context import FilterContext

from media.relay.cmaf import AAC_FRAME_SAMPLES, AUDIO_TIMESCALE, AudioFormat, AudioSample

_FRAME_BYTES: Final = 4  # 16-bit stereo
_BLOCK_BYTES: Final = AAC_FRAME_SAMPLES * _FRAME_BYTES
_TIME_BASE: Final = Fraction(1, AUDIO_TIMESCALE)
# Times that jitter by less than this are taken as consecutive; a larger step is a gap or another timeline.
_STEP_SAMPLES: Final = AUDIO_TIMESCALE * 60 // 1000
_AHEAD_SAMPLES_MAX: Final = 3 * AUDIO_TIMESCALE


class Voice:
    """One track's samples, from where the mix stands now on."""

    def __init__(self) -> None:
        self._decoder: Any = None
        self._resampler = _resampler()
        self._held = bytearray()
        self._start = 0  # position of the first sample held
        self.broken = 0

    def configure(self, audio: AudioFormat | None) -> None:
        """The format of what follows; None: silence."""
        self._decoder = None
        if audio is not None:
            self._decoder = av.CodecContext.create("aac", "r")
            self._decoder.extradata = audio.config
            self._decoder.sample_rate = audio.sample_rate
            self._resampler = _resampler()

    def feed(self, sample: AudioSample, position: int) -> None:
        """An AAC frame that begins at ``position``."""
        if self._decoder is None:
            return
        try:
            frames = self._decoder.decode(av.Packet(sample.data))
            for frame in frames:
                frame.pts = None
                for part in self._resampled(frame):
                    self._place(bytes(part.planes[0])[: part.samples * _FRAME_BYTES], position)
                    position += part.samples
        except (av.error.FFmpegError, ValueError):
            self.broken += 1

    def block(self, position: int) -> bytes:
        """The block at ``position``, silent where nothing came; what is older is forgotten."""
        before = (position - self._start) * _FRAME_BYTES
        if before > 0:
            del self._held[:before]
            self._start = position
        elif before < 0:
            return bytes(_BLOCK_BYTES)
        found = bytes(self._held[:_BLOCK_BYTES])
        return found + bytes(_BLOCK_BYTES - len(found))

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        try:
            return self._resampler.resample(frame)
        except ValueError:
            # It is bound to the first frame's rate and channels, and this one has others.
            self._resampler = _resampler()
            return self._resampler.resample(frame)

    def _place(self, samples: bytes, position: int) -> None:
        end = self._start + len(self._held) // _FRAME_BYTES
        if not self._held:
            self._start = end = max(end, position)
        if position > end + _STEP_SAMPLES:
            gap = min(position - end, _AHEAD_SAMPLES_MAX)
            self._held += bytes(gap * _FRAME_BYTES)
        elif position < end - _STEP_SAMPLES:
            # Its place has passed, or is taken.
            return
        if len(self._held) < _AHEAD_SAMPLES_MAX * _FRAME_BYTES:
            self._held += samples


def _resampler() -> AudioResampler:
    return AudioResampler(format="s16", layout="stereo", rate=AUDIO_TIMESCALE)


class Mixer:
    """Adds up the blocks of all voices and encodes the sum."""

    def __init__(self, bit_rate: int) -> None:
        encoder = av.CodecContext.create("aac", "w")
        encoder.sample_rate = AUDIO_TIMESCALE
        encoder.layout = "stereo"
        encoder.format = "fltp"
        encoder.bit_rate = bit_rate
        encoder.time_base = _TIME_BASE
        encoder.options = {"aac_coder": "fast"}
        encoder.open()
        self._encoder = encoder
        self.format = AudioFormat(
            config=bytes(encoder.extradata or b""), sample_rate=AUDIO_TIMESCALE, channels=2, bit_rate=bit_rate
        )
        self._graph: Graph | None = None
        self._inputs: list[FilterContext] = []
        self._encoded = 0
        self._blocks = 0

    def mix(self, blocks: list[bytes]) -> list[AudioSample]:
        """One block of each voice; returns the AAC frames that come out."""
        blocks = blocks or [bytes(_BLOCK_BYTES)]
        if self._graph is None or len(blocks) != len(self._inputs):
            self._build(len(blocks))
        assert self._graph is not None
        for source, block in zip(self._inputs, blocks, strict=True):
            frame = AudioFrame(format="s16", layout="stereo", samples=AAC_FRAME_SAMPLES)
            frame.planes[0].update(block)
            frame.sample_rate = AUDIO_TIMESCALE
            frame.pts = self._blocks * AAC_FRAME_SAMPLES
            frame.time_base = _TIME_BASE
            source.push(frame)
        self._blocks += 1
        made: list[AudioSample] = []
        while True:
            try:
                mixed: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return made
            made += [self._sample(bytes(packet)) for packet in self._encoder.encode(mixed)]

    def _sample(self, data: bytes) -> AudioSample:
        # The first frame is the encoder's priming (aac.py).
        pts = (self._encoded - 1) * AAC_FRAME_SAMPLES
        self._encoded += 1
        return AudioSample(pts=pts, duration=AAC_FRAME_SAMPLES, data=data)

    def _build(self, count: int) -> None:
        graph = Graph()
        self._inputs = [
            graph.add_abuffer(sample_rate=AUDIO_TIMESCALE, format="s16", layout="stereo", time_base=_TIME_BASE)
            for _ in range(count)
        ]
        # Voices keep their loudness; the limiter holds what is too loud together.
        shape = graph.add("aformat", f"sample_fmts=fltp:sample_rates={AUDIO_TIMESCALE}:channel_layouts=stereo")
        blocks = graph.add("asetnsamples", f"n={AAC_FRAME_SAMPLES}:p=0")
        if count == 1:
            self._inputs[0].link_to(shape)
        else:
            mix = graph.add("amix", f"inputs={count}:normalize=0:duration=longest")
            for at, source in enumerate(self._inputs):
                source.link_to(mix, 0, at)
            mix.link_to(shape)
        shape.link_to(blocks)
        blocks.link_to(graph.add("abuffersink"))
        graph.configure()
        self._graph = graph
