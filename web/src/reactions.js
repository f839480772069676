// <onair-reactions>: emoji that float up. Own taps fly at once from where the finger was; those of others come as
// increases of totals, are spread over the time between frames, and never more than the eye can take.
import { LitElement, css } from "lit";
import { reducedMotion, sheet } from "./style.js";

const FLYING_MAX = 36;
const A_SECOND_MAX = 14;
const SPREAD_MS = 900;
const FLIGHT_MS = 2_400;

export class OnairReactions extends LitElement {
  static styles = [
    sheet,
    css`
      :host {
        position: absolute;
        inset: 0;
        overflow: hidden;
        pointer-events: none;
        contain: strict;
      }
      span {
        position: absolute;
        font-family: var(--emoji);
        font-size: 30px;
        line-height: 1;
        will-change: transform, opacity;
        filter: drop-shadow(0 2px 6px #0006);
      }
      span.tapped {
        font-size: 92px;
      }
    `,
  ];

  #recent = [];

  /** @param {Record<string, number>} increases - reactions of others since the last frame */
  burst(increases) {
    for (const [kind, count] of Object.entries(increases)) {
      // A thousand hearts look like a dozen: beyond a few, the logarithm tells more from less.
      const shown = Math.min(count, Math.round(3 + 3 * Math.log2(Math.max(1, count / 3))));
      for (let n = 0; n < shown; n += 1) setTimeout(() => this.float(kind), Math.random() * SPREAD_MS);
    }
  }

  /** One emoji up the right side. */
  float(kind) {
    if (!this.#allowed()) return;
    const left = this.clientWidth - 62 - Math.random() * 34;
    const bottom = this.clientHeight - 84;
    const sway = () => (Math.random() - 0.5) * 62;
    const rise = this.clientHeight * (0.38 + Math.random() * 0.2);
    this.#fly(kind, "", { left, top: bottom }, [
      { transform: "translate(0,0) scale(.2)", opacity: 0 },
      { transform: `translate(${sway() * 0.3}px,${-rise * 0.1}px) scale(1.15)`, opacity: 1, offset: 0.12 },
      { transform: `translate(${sway()}px,${-rise * 0.5}px) scale(1) rotate(${sway() * 0.3}deg)`, opacity: 1, offset: 0.6 },
      { transform: `translate(${sway()}px,${-rise}px) scale(.9) rotate(${sway() * 0.4}deg)`, opacity: 0 },
    ]);
  }

  /** The big one where the person tapped; coordinates of this element. */
  tapped(kind, x, y) {
    if (!this.#allowed()) return;
    const tilt = (Math.random() - 0.5) * 44;
    this.#fly(kind, "tapped", { left: x - 46, top: y - 60 }, [
      { transform: `scale(.3) rotate(${tilt}deg)`, opacity: 0 },
      { transform: `scale(1.2) rotate(${tilt}deg)`, opacity: 1, offset: 0.12 },
      { transform: `scale(1) rotate(${tilt}deg)`, opacity: 1, offset: 0.3 },
      { transform: `translateY(-130px) scale(1.5) rotate(${tilt}deg)`, opacity: 0 },
    ], 1_000);
  }

  #allowed() {
    if (document.hidden || this.clientWidth === 0) return false;
    const now = performance.now();
    this.#recent = this.#recent.filter((at) => now - at < 1_000);
    if (this.#recent.length >= (reducedMotion() ? 2 : A_SECOND_MAX)) return false;
    if (this.renderRoot.childElementCount > FLYING_MAX) return false;
    this.#recent.push(now);
    return true;
  }

  #fly(kind, className, { left, top }, frames, duration = FLIGHT_MS) {
    const flying = document.createElement("span");
    flying.textContent = kind;
    flying.className = className;
    Object.assign(flying.style, { left: `${left}px`, top: `${top}px` });
    this.renderRoot.append(flying);
    // Reduced motion: it appears and fades where it is.
    const steps = reducedMotion() ? [{ opacity: 0 }, { opacity: 1, offset: 0.2 }, { opacity: 0 }] : frames;
    flying.animate(steps, { duration, easing: "cubic-bezier(.2,.6,.4,1)" }).finished.finally(() => flying.remove());
  }
}

customElements.define("onair-reactions", OnairReactions);
