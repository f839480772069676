// <onair-earnings-plot>: diamonds as bars, by day of a month or by month; a tap or the arrow keys read one bar.
import { LitElement, css, html, nothing } from "lit";
import { icon } from "./icons.js";
import { sheet } from "./style.js";
import { exact, short, t } from "./strings.js";

/** 0 → 1; else the next 1, 2 or 5 times a power of ten, so that the scale's lines are round numbers. */
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 5, 10].map((step) => step * power).find((bound) => bound >= most);
}

export class OnairEarningsPlot extends LitElement {
  static properties = {
    /** @type {{ name: string, label: string, diamonds: number, gifts: number }[]} oldest first */
    bars: { attribute: false },
    chosen: { state: true },
  };

  static styles = [
    sheet,
    css`
      :host {
        display: block;
      }
      output {
        display: flex;
        align-items: baseline;
        flex-wrap: wrap;
        gap: 4px 10px;
        min-height: 30px;
        font-variant-numeric: tabular-nums;
      }
      output b {
        display: inline-flex;
        align-items: center;
        gap: 6px;
        font-size: 1.3rem;
        font-weight: 800;
      }
      output b .icon {
        width: 20px;
        height: 20px;
      }
      output span {
        color: var(--muted);
        font-size: 0.9rem;
      }
      .plot {
        position: relative;
        height: 168px;
        margin-top: 10px;
        padding-inline-end: 38px;
        border-radius: 12px;
        touch-action: pan-y;
      }
      .line {
        position: absolute;
        inset-inline: 0;
        border-top: 1px dashed var(--line);
        color: var(--muted);
        font-size: 0.72rem;
        text-align: end;
        line-height: 1.2;
      }
      .line span {
        position: relative;
        top: 2px;
      }
      .bars {
        position: absolute;
        inset: 0 38px 0 0;
        display: flex;
        align-items: flex-end;
        gap: clamp(1px, 0.7vw, 5px);
      }
      .bars i {
        position: relative;
        flex: 1;
        height: 100%;
      }
      .bars i::before {
        content: "";
        position: absolute;
        inset: auto 0 0;
        height: max(calc(var(--part) * 100%), 2px);
        border-radius: 5px 5px 0 0;
        background: linear-gradient(to top, var(--sun-3), var(--sun-2) 60%, var(--sun-1));
        transform-origin: bottom;
        animation: grow 0.5s var(--ease) backwards;
        animation-delay: calc(var(--at) * 14ms);
      }
      .bars i.none::before {
        background: var(--line);
      }
      .bars.reading i:not(.chosen)::before {
        opacity: 0.42;
      }
      @keyframes grow {
        from {
          transform: scaleY(0);
        }
      }
      .ends {
        display: flex;
        justify-content: space-between;
        margin: 6px 38px 0 0;
        color: var(--muted);
        font-size: 0.76rem;
      }
    `,
  ];

  willUpdate(changed) {
    if (changed.has("bars")) this.chosen = undefined;
  }

  #choose(at) {
    this.chosen = Math.min(Math.max(at, 0), this.bars.length - 1);
  }

  #point = (event) => {
    if (event.type === "pointermove" && event.pointerType !== "mouse" && !event.buttons) return;
    const { left, width } = this.renderRoot.querySelector(".bars").getBoundingClientRect();
    this.#choose(Math.floor(((event.clientX - left) / width) * this.bars.length));
  };

  #key = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) this.#choose((this.chosen ?? (by > 0 ? -1 : this.bars.length)) + by);
    else if (event.key === "Home") this.#choose(0);
    else if (event.key === "End") this.#choose(this.bars.length - 1);
    else if (event.key === "Escape") this.chosen = undefined;
    else return;
    event.preventDefault();
  };

  render() {
    const bars = this.bars ?? [];
    if (!bars.length) return nothing;
    const top = ceiling(Math.max(...bars.map(({ diamonds }) => diamonds)));
    const sum = (name) => bars.reduce((total, each) => total + each[name], 0);
    const read = bars[this.chosen] ?? { label: t("earnings.together"), diamonds: sum("diamonds"), gifts: sum("gifts") };
    return html`<output aria-live="polite"
        ><b>${icon("diamond")}${exact(read.diamonds)}</b
        ><span>${read.label} · ${t("earnings.gifts", { n: read.gifts })}</span></output
      >
      <div
        class="plot"
        role="slider"
        tabindex="0"
        aria-label=${t("earnings.plot")}
        aria-valuemin="1"
        aria-valuemax=${bars.length}
        aria-valuenow=${(this.chosen ?? bars.length - 1) + 1}
        aria-valuetext="${read.label}: ${t("earnings.diamonds", { n: read.diamonds })}"
        @pointerdown=${this.#point}
        @pointermove=${this.#point}
        @pointerleave=${({ pointerType }) => pointerType === "mouse" && (this.chosen = undefined)}
        @keydown=${this.#key}
      >
        ${[1, 0.5].map((part) => html`<div class="line" style="top:${(1 - part) * 100}%"><span>${top * part >= 1 ? short(top * part) : ""}</span></div>`)}
        <div class="bars ${this.chosen === undefined ? "" : "reading"}">
          ${bars.map(
            ({ diamonds }, at) =>
              html`<i class="${diamonds ? "" : "none"} ${at === this.chosen ? "chosen" : ""}" style="--part:${diamonds / top};--at:${at}"></i>`,
          )}
        </div>
      </div>
      <div class="ends" aria-hidden="true"><span>${bars[0].label}</span><span>${bars.length > 1 ? bars.at(-1).label : ""}</span></div>`;
  }
}

customElements.define("onair-earnings-plot", OnairEarningsPlot);
