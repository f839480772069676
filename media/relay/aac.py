"""Opus in, AAC out, on the stream's timeline: gaps become silence, drift is stretched away, nothing ever overlaps.

HLS players outside browsers know AAC, not Opus. libopus decodes (a third of the native decoder's time), libswresample's
`async` mode holds the samples to the timestamps, FFmpeg's own AAC encoder runs with its fast coder at constant quality.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, Final

import av
import av.error
from av.audio.frame import AudioFrame
from av.filter import Graph

from media.relay.cmaf import AAC_FRAME_SAMPLES, AUDIO_TIMESCALE, AudioFormat, AudioSample

_TIME_BASE: Final = Fraction(1, AUDIO_TIMESCALE)
_SILENCE_CHUNK_SAMPLES: Final = 960
_SILENT_FRAMES: Final = 4
# What is told of a passed-through track, whose rate nobody says.
_SILENT_BIT_RATE: Final = 128_000
# Held to a bit rate, the encoder does a frame up to five times to spend bits that a tone or a pause has no use for.
# Asked for a quality (FFmpeg's lambda) it does each once, and dense music takes about this many bits a second for each
# step of it (docs/decisions/0374).
_BIT_RATE_OF_QUALITY: Final = 800
# Up to 10 ms off is drift and is stretched by at most 2 % (inaudible); more is a gap (a lost packet is 20 ms) and is
# filled with silence or cut. Below 1 ms nothing is done: alignment itself is no better than that.
_ASYNC: Final = "async=960:min_comp=0.001:min_hard_comp=0.010"


class AacTranscoder:
    """Makes consecutive AAC frames from Opus packets; one a publisher. Times are samples of 48 kHz on one timeline.

    Parameters
    ----------
    bit_rate : int
        What dense sound may take, in bits a second; speech takes two thirds of it and silence next to nothing.
    """

    def __init__(self, bit_rate: int) -> None:
        decoder = av.CodecContext.create("libopus", "r")
        decoder.sample_rate = AUDIO_TIMESCALE
        decoder.layout = "stereo"
        decoder.format = "s16"
        self._decoder = decoder
        encoder = av.CodecContext.create("aac", "w")
        encoder.sample_rate = AUDIO_TIMESCALE
        encoder.layout = "stereo"
        encoder.format = "fltp"
        encoder.bit_rate = bit_rate
        encoder.time_base = _TIME_BASE
        quality = str(bit_rate // _BIT_RATE_OF_QUALITY)
        encoder.options = {"aac_coder": "fast", "flags": "+qscale", "global_quality": quality}
        encoder.open()
        self._encoder = encoder
        self.format = AudioFormat(
            config=bytes(encoder.extradata or b""), sample_rate=AUDIO_TIMESCALE, channels=2, bit_rate=bit_rate
        )
        self._graph = _timeline_graph()
        self._start: int | None = None
        self._frames_encoded = 0
        self._input_end = 0
        self._empty = True
        self.packets_broken = 0

    @property
    def started(self) -> bool:
        """Whether the timeline has begun."""
        return self._start is not None

    @property
    def end(self) -> int:
        """Where the input so far ends on the timeline, in samples."""
        return self._input_end

    def begin(self, at: int) -> None:
        """Start the timeline at ``at``: what lies between this and the first packet becomes silence."""
        self._start = at
        self._input_end = at

    def feed(self, opus: bytes, pts: int) -> list[AudioSample]:
        """One Opus packet that plays at ``pts``; returns the AAC frames that it completes."""
        if self._start is None:
            self.begin(pts)
        made = self.fill(pts) if self._empty else []
        try:
            frames = self._decoder.decode(av.Packet(opus))
        except av.error.FFmpegError:
            # A packet that is not Opus: its place becomes silence when the next good one shows the gap.
            self.packets_broken += 1
            return made
        for frame in frames:
            made += self._push(frame, pts)
            pts += frame.samples
        return made

    def fill(self, until: int) -> list[AudioSample]:
        """Silence up to ``until``, for a track that sends nothing; returns the AAC frames that it completes."""
        if self._start is None:
            self.begin(until)
        made: list[AudioSample] = []
        while self._input_end < until:
            samples = min(_SILENCE_CHUNK_SAMPLES, until - self._input_end)
            frame = AudioFrame(format="s16", layout="stereo", samples=samples)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate = AUDIO_TIMESCALE
            made += self._push(frame, self._input_end)
        return made

    def _push(self, frame: AudioFrame, pts: int) -> list[AudioSample]:
        frame.pts = pts
        frame.time_base = _TIME_BASE
        self._input_end = max(self._input_end, pts + frame.samples)
        self._empty = False
        self._graph.push(frame)
        made: list[AudioSample] = []
        while True:
            try:
                block: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return made
            made.extend(self._sample(bytes(packet)) for packet in self._encoder.encode(block))

    def _sample(self, data: bytes) -> AudioSample:
        assert self._start is not None
        # The encoder's first frame is priming: what it is fed comes out one frame later. Counting frames rather than
        # copying timestamps keeps the track free of gaps; the graph has already put samples where they belong.
        pts = self._start + (self._frames_encoded - 1) * AAC_FRAME_SAMPLES
        self._frames_encoded += 1
        return AudioSample(pts=pts, duration=AAC_FRAME_SAMPLES, data=data)


def _timeline_graph() -> Graph:
    graph = Graph()
    source = graph.add_abuffer(sample_rate=AUDIO_TIMESCALE, format="s16", layout="stereo", time_base=_TIME_BASE)
    hold = graph.add("aresample", _ASYNC)
    shape = graph.add("aformat", f"sample_fmts=fltp:sample_rates={AUDIO_TIMESCALE}:channel_layouts=stereo")
    blocks = graph.add("asetnsamples", f"n={AAC_FRAME_SAMPLES}:p=0")
    sink = graph.add("abuffersink")
    source.link_to(hold)
    hold.link_to(shape)
    shape.link_to(blocks)
    blocks.link_to(sink)
    graph.configure()
    return graph


@cache
def silence(sample_rate: int, channels: int) -> tuple[AudioFormat, bytes]:
    """A silent frame of AAC-LC and the format it has: for stretches in which an encoder of its own sends no sound."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate = sample_rate
    encoder.layout = "mono" if channels == 1 else "stereo"
    encoder.format = "fltp"
    encoder.time_base = Fraction(1, sample_rate)
    encoder.open()
    made: list[bytes] = []
    for number in range(_SILENT_FRAMES):
        frame = AudioFrame(format="fltp", layout=encoder.layout.name, samples=AAC_FRAME_SAMPLES)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate = sample_rate
        frame.pts = number * AAC_FRAME_SAMPLES
        frame.time_base = encoder.time_base
        made += [bytes(packet) for packet in encoder.encode(frame)]
    config = bytes(encoder.extradata or b"")
    # The last one has no trace of the encoder's start.
    return AudioFormat(config=config, sample_rate=sample_rate, channels=channels, bit_rate=_SILENT_BIT_RATE), made[-1]
