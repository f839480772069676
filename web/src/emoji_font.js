// Colour emoji for systems that have none (many Linux desktops): half a megabyte that phones never load.
import twemoji from "twemoji-colr-font/twemoji.woff2";

/** Pictographs only: digits and letters of the font are never wanted. */
const RANGE = "U+200D, U+20E3, U+2600-27BF, U+2B00-2BFF, U+FE0F, U+1F000-1FAFF, U+E0020-E007F";
const SIZE = 24;

/** Is a red heart drawn in red? Without a colour font it takes the text's colour. */
function hasColour() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIZE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.font = `${SIZE - 4}px "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", sans-serif`;
  context.textBaseline = "top";
  context.fillStyle = "#000";
  context.fillText("\u{1F534}", 0, 0);
  const { data } = context.getImageData(0, 0, SIZE, SIZE);
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 100 && data[i] > data[i + 1] + 60) return true;
  return false;
}

export function provideEmoji() {
  if (hasColour()) return;
  const url = new URL(twemoji, import.meta.url).href;
  document.fonts.add(new FontFace("Onair Emoji", `url(${url}) format("woff2")`, { unicodeRange: RANGE, display: "swap" }));
}
