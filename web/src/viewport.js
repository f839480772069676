// Keeps --keyboard, the height that the on-screen keyboard covers, so that inputs stay above it.

/** Smaller differences are browser bars that slide, not a keyboard. */
const KEYBOARD_MIN_PX = 120;

export function watchKeyboard() {
  const viewport = window.visualViewport;
  if (!viewport) return;
  const keep = () => {
    const covered = viewport.scale > 1.01 ? 0 : window.innerHeight - viewport.height - viewport.offsetTop;
    document.documentElement.style.setProperty("--keyboard", `${covered > KEYBOARD_MIN_PX ? Math.round(covered) : 0}px`);
    // Safari scrolls the page to show the field; everything here is fixed and has moved by itself.
    if (covered > KEYBOARD_MIN_PX) window.scrollTo(0, 0);
  };
  viewport.addEventListener("resize", keep);
  viewport.addEventListener("scroll", keep);
  keep();
}
