// <onair-publish-health>: how a broadcast reaches the relay: bits, loss and round trip as they are measured.
import { LitElement, css, html, svg } from "lit";
import { api } from "./api.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";

/** How often it is looked which qualities viewers get, while somebody reads it. */
const LADDER_MS = 5_000;

const [WIDE, HIGH] = [320, 64];

export class OnairPublishHealth extends LitElement {
  static properties = { publisher: { attribute: false }, stream: {}, ladder: { state: true } };

  static styles = [
    sheet,
    css`
      :host {
        display: grid;
        gap: 16px;
      }
      p {
        color: var(--muted);
      }
      dl {
        display: grid;
        grid-template-columns: repeat(3, minmax(0, 1fr));
        gap: 10px;
        margin: 0;
      }
      dl div {
        display: grid;
        gap: 2px;
        align-content: center;
        min-height: 78px;
        padding: 8px 6px;
        border-radius: 18px;
        background: var(--surface);
        text-align: center;
      }
      dd {
        order: -1;
        margin: 0;
        font-size: 1.22rem;
        font-weight: 800;
        letter-spacing: -0.02em;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      dt {
        color: var(--muted);
        font-size: 0.82rem;
      }
      figure {
        margin: 0;
        padding: 14px 14px 10px;
        border-radius: 18px;
        background: var(--surface);
      }
      svg {
        display: block;
        width: 100%;
        height: 64px;
        overflow: visible;
      }
      figcaption {
        margin-top: 6px;
        color: var(--muted);
        font-size: 0.82rem;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    for (const name of ["health", "state"]) this.publisher?.addEventListener(name, this.#redraw);
    this.looking = setInterval(this.#look, LADDER_MS);
    this.#look();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    for (const name of ["health", "state"]) this.publisher?.removeEventListener(name, this.#redraw);
    clearInterval(this.looking);
  }

  #redraw = () => this.requestUpdate();

  #look = async () => {
    if (!this.stream) return;
    const shown = await api.get(`/streams/${this.stream}`).catch(() => undefined); // what was known stays
    if (shown) this.ladder = shown.ladder;
  };

  /** Which qualities viewers get besides, or why there are none. */
  #renditions() {
    if (!this.ladder) return "";
    const { renditions, refused } = this.ladder;
    const list = renditions.map((lines) => t("playback.lines", { lines })).join(", ");
    const words = refused ? t(`health.refused.${refused}`, {}, "") : list && t("health.ladder", { list });
    return words ? html`<p data-ladder=${refused ?? renditions.join()}>${words}</p>` : "";
  }

  #line() {
    const { history } = this.publisher;
    if (history.length < 2) return "";
    const most = Math.max(...history, 1);
    const points = history.map((each, index) => {
      const x = (index * WIDE) / (history.length - 1);
      return `${x.toFixed(1)},${(HIGH - (each / most) * (HIGH - 4)).toFixed(1)}`;
    });
    return html`<figure>
      ${svg`<svg viewBox="0 0 ${WIDE} ${HIGH}" preserveAspectRatio="none" aria-hidden="true">
        <polyline points=${points.join(" ")} fill="none" stroke="#ff7a5c" stroke-width="2.5"
          stroke-linejoin="round" vector-effect="non-scaling-stroke"/></svg>`}
      <figcaption>${t("health.history", { mbps: (most / 1e6).toFixed(1) })}</figcaption>
    </figure>`;
  }

  render() {
    const health = this.publisher?.state === "live" ? this.publisher.health : undefined;
    if (!health) return html`<p role="status">${t("health.none")}</p>`;
    const { level, bitrate, loss, rtt_ms, width, height, frame_rate } = health;
    const figure = (name, value, raw) => html`<div><dt>${t(`health.${name}`)}</dt><dd data-figure=${name} data-value=${raw}>${value}</dd></div>`;
    return html`
      <p role="status">${t(`health.hint.${level}`)}</p>
      <dl>
        ${figure("bitrate", t("playback.rate", { mbps: (bitrate / 1e6).toFixed(1) }), Math.round(bitrate))}
        ${figure("loss", `${(loss * 100).toFixed(1)} %`, loss)}
        ${figure("rtt", `${Math.round(rtt_ms)} ms`, Math.round(rtt_ms))}
      </dl>
      ${this.#line()}
      ${this.#renditions()}
      ${width ? html`<p>${t("health.picture", { size: `${width} × ${height}`, fps: String(Math.round(frame_rate)) })}</p>` : ""}
    `;
  }
}

customElements.define("onair-publish-health", OnairPublishHealth);
