"""A picture worth looking at for screenshots: a sunset as the fake camera's film, drawn by the browser itself."""

from __future__ import annotations

import base64
from pathlib import Path

from playwright.sync_api import Browser

FRAMES = 60
SIZE = (720, 1280)

# Motion JPEG is nothing but JPEG pictures one after the other: what a canvas gives is the film.
_DRAW = """
async ([frames, width, height]) => {
  const canvas = new OffscreenCanvas(width, height);
  const g = canvas.getContext("2d");
  const horizon = height * 0.56;
  const film = [];
  for (let n = 0; n < frames; n += 1) {
    const phase = (2 * Math.PI * n) / frames;
    const sky = g.createLinearGradient(0, 0, 0, horizon);
    const colours = [[0, "#2b1a4f"], [0.35, "#7a2f6b"], [0.65, "#e0566b"], [0.88, "#ff9b5c"], [1, "#ffd08a"]];
    for (const [at, colour] of colours)
      sky.addColorStop(at, colour);
    g.fillStyle = sky;
    g.fillRect(0, 0, width, horizon);
    const sun = { x: width * 0.5, y: horizon - 130, r: 118 };
    const glow = g.createRadialGradient(sun.x, sun.y, sun.r * 0.6, sun.x, sun.y, sun.r * 4);
    glow.addColorStop(0, "#fff0c8aa");
    glow.addColorStop(1, "#ff9b5c00");
    g.fillStyle = glow;
    g.fillRect(0, 0, width, horizon);
    g.fillStyle = "#fff3d4";
    g.beginPath();
    g.arc(sun.x, sun.y, sun.r, 0, 7);
    g.fill();
    g.fillStyle = "#4a1f4f66";
    for (let bank = 0; bank < 5; bank += 1) {
      const y = horizon - 330 + bank * 66;
      const x = ((bank * 271 + (n * width) / frames) % (width * 2)) - width * 0.6;
      g.beginPath();
      g.ellipse(x, y, 230 + bank * 30, 15, 0, 0, 7);
      g.ellipse(x + 120, y + 12, 170, 10, 0, 0, 7);
      g.fill();
    }
    const sea = g.createLinearGradient(0, horizon, 0, height);
    for (const [at, colour] of [[0, "#d9656b"], [0.25, "#7c3a70"], [1, "#170d2e"]]) sea.addColorStop(at, colour);
    g.fillStyle = sea;
    g.fillRect(0, horizon, width, height - horizon);
    for (let row = 0; row < 46; row += 1) {
      const depth = row / 46;
      const y = horizon + depth * depth * (height - horizon);
      const sway = Math.sin(phase * 2 + row * 1.7) * (12 + 40 * depth);
      g.fillStyle = `rgba(255, 214, 150, ${0.55 * (1 - depth)})`;
      const wide = 120 + 180 * depth * Math.abs(Math.sin(row * 2.3 + phase));
      g.fillRect(sun.x - 60 - 90 * depth + sway, y, wide, 2 + 7 * depth);
    }
    g.fillStyle = "#0d0718";
    g.beginPath();
    g.moveTo(0, horizon + 6);
    g.lineTo(0, horizon - 90);
    g.quadraticCurveTo(width * 0.16, horizon - 120, width * 0.34, horizon + 6);
    g.fill();
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.86 });
    film.push(await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.split(",")[1]);
      reader.readAsDataURL(blob);
    }));
  }
  return film;
}
"""


def film(browser: Browser, path: Path) -> Path:
    """Write the film to ``path`` (``.mjpeg``) for ``--use-file-for-fake-video-capture``."""
    page = browser.new_page()
    pictures: list[str] = page.evaluate(_DRAW, [FRAMES, *SIZE])
    page.close()
    path.write_bytes(b"".join(base64.b64decode(picture) for picture in pictures))
    return path
