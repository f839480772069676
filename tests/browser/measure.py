"""What the eye and the ear of a test are: does the picture change, is there sound."""

from __future__ import annotations

from playwright.sync_api import Page

# Mean difference of a channel (0–255) between two pictures; noise of the codec on a still picture stays below 1.
MOVING_MIN = 2.0
# Root mean square of samples (−1…1). Silence is exactly 0; the fake microphone's beep reaches 0.1 and more.
SOUND_MIN = 0.005
WITHIN_MS = 15_000

_PICTURE = """
(video) => {
  const canvas = new OffscreenCanvas(48, 84);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const read = () => {
    context.drawImage(video, 0, 0, 48, 84);
    return context.getImageData(0, 0, 48, 84).data;
  };
  const first = read();
  return new Promise((resolve) => {
    let most = 0;
    const until = performance.now() + %d;
    const look = () => {
      const now = read();
      let sum = 0;
      for (let i = 0; i < now.length; i += 1) sum += Math.abs(now[i] - first[i]);
      most = Math.max(most, sum / now.length);
      if (most > %f || performance.now() > until) resolve(most);
      else setTimeout(look, 100);
    };
    look();
  });
}
"""

_SOUND = """
async (video, wanted) => {
  // One source an element: made once, and what it hears is what the speaker gets (nothing while muted).
  if (!video.ear) {
    const context = new AudioContext();
    video.ear = { context, analyser: context.createAnalyser() };
    context.createMediaElementSource(video).connect(video.ear.analyser).connect(context.destination);
  }
  const { context, analyser } = video.ear;
  await context.resume();
  const samples = new Float32Array(analyser.fftSize);
  let most = 0;
  const until = performance.now() + (wanted ? %d : 3000);
  while (performance.now() < until && !(wanted && most > %f)) {
    analyser.getFloatTimeDomainData(samples);
    most = Math.max(most, Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length));
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  return most;
}
"""


def picture_change(page: Page) -> float:
    """How far the viewer's picture moved from its first one, as a mean over pixels and channels."""
    script = _PICTURE % (WITHIN_MS, MOVING_MIN)
    return float(page.locator("onair-player video").evaluate(script))


def loudness(page: Page, *, expected: bool) -> float:
    """The loudest moment: the first above silence where sound is expected, else of three seconds."""
    script = _SOUND % (WITHIN_MS, SOUND_MIN)
    return float(page.locator("onair-player video").evaluate(script, expected))
