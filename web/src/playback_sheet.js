// <onair-playback>: how a broadcast plays: quality, how far behind the camera, full screen, small window.
import { LitElement, css, html } from "lit";
import { fullPossible, isFull, smallPossible, toggleFull, toggleSmall } from "./big_picture.js";
import { icon } from "./icons.js";
import { BEHIND_S } from "./live_edge.js";
import { sheet } from "./style.js";
import { t } from "./strings.js";
import { refused } from "./toast.js";

const REFRESH_MS = 500;

/** @fires done - when what was chosen leaves nothing more to do here */
export class OnairPlayback extends LitElement {
  static properties = { player: { attribute: false } };

  static styles = [
    sheet,
    css`
      :host {
        display: grid;
        gap: 18px;
      }
      .delay {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 56px;
        padding: 8px 8px 8px 16px;
        border-radius: 18px;
        background: var(--surface);
      }
      .delay div {
        flex: 1;
      }
      .delay b {
        display: block;
        font-size: 1.3rem;
        font-weight: 800;
        letter-spacing: -0.02em;
        font-variant-numeric: tabular-nums;
      }
      small {
        color: var(--muted);
        font-size: 0.86rem;
      }
      h3 {
        margin-bottom: 8px;
        color: var(--muted);
        font-size: 0.86rem;
        font-weight: 600;
      }
      .choices {
        display: grid;
        border-radius: 18px;
        background: var(--surface);
        overflow: hidden;
      }
      .choices button {
        display: flex;
        align-items: center;
        gap: 12px;
        min-height: 52px;
        padding: 6px 16px;
        border: 0;
        background: none;
        text-align: left;
      }
      .choices button + button {
        border-top: 1px solid var(--line);
      }
      .choices button:focus-visible {
        outline-offset: -3px;
      }
      .choices span {
        flex: 1;
        font-weight: 650;
      }
      .choices .icon {
        width: 20px;
        height: 20px;
        color: var(--sun-2);
        stroke-width: 2.6;
      }
      [aria-checked="false"] .icon {
        visibility: hidden;
      }
      .acts {
        display: grid;
        grid-auto-columns: minmax(0, 1fr);
        grid-auto-flow: column;
        gap: 10px;
      }
      .acts .button {
        display: flex;
        align-items: center;
        justify-content: center;
        gap: 8px;
        padding: 0 10px;
      }
    `,
  ];

  connectedCallback() {
    super.connectedCallback();
    this.refreshing = setInterval(() => this.requestUpdate(), REFRESH_MS);
    document.addEventListener("fullscreenchange", this.#redraw);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.refreshing);
    document.removeEventListener("fullscreenchange", this.#redraw);
  }

  #redraw = () => this.requestUpdate();

  #choose(index) {
    this.player.choose(index);
    this.requestUpdate();
  }

  /** Arrows move within the group, as in any group of radio buttons. */
  #key = (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...this.renderRoot.querySelectorAll("[role=radio]")];
    const next = all[(all.indexOf(event.target) + step + all.length) % all.length];
    next.focus();
    next.click();
  };

  #act = async (act) => {
    try {
      await act();
      this.dispatchEvent(new Event("done"));
    } catch (error) {
      refused({ message: t("playback.not_now"), code: error.name });
    }
  };

  #delay() {
    const { latency_s } = this.player;
    const behind = latency_s !== undefined && latency_s > BEHIND_S;
    return html`<div class="delay">
      <div>
        <b data-latency=${latency_s?.toFixed(1) ?? ""}>${latency_s === undefined ? "–" : t("playback.seconds", { s: latency_s.toFixed(1) })}</b>
        <small>${t("playback.behind")}${this.player.catchingUp ? ` · ${t("playback.catching_up")}` : ""}</small>
      </div>
      ${behind ? html`<button class="button act" @click=${() => this.#act(() => this.player.goLive())}>${t("playback.go_live")}</button>` : ""}
    </div>`;
  }

  #quality() {
    const { renditions, chosen, shown, video } = this.player;
    // A sender begins small and grows: what is on screen is as large as it is, whatever the playlist said at the start.
    const size = (each) => (each === shown && Math.min(video.videoWidth, video.videoHeight)) || each.lines;
    const name = (each) => (size(each) ? t("playback.lines", { lines: size(each) }) : t("playback.original"));
    // The best is the broadcast itself, as the host sends it.
    const as_sent = (each) => (each === renditions[0] ? `${t("playback.source")} · ` : "");
    const rate = (each) => as_sent(each) + t("playback.rate", { mbps: (each.bitrate / 1e6).toFixed(1) });
    const choice = (index, words, note) => html`<button
      role="radio"
      aria-checked=${String(chosen === index)}
      tabindex=${chosen === index ? 0 : -1}
      @click=${() => this.#choose(index)}
      ><span>${words}</span>${note ? html`<small>${note}</small>` : ""}${icon("check")}</button
    >`;
    return html`<section>
      <h3 id="quality">${t("playback.quality")}</h3>
      <div class="choices" role="radiogroup" aria-labelledby="quality" @keydown=${this.#key}>
        ${choice(undefined, t("playback.auto"), shown ? t("playback.now", { quality: name(shown) }) : "")}
        ${renditions.map((each) => choice(each.index, name(each), rate(each)))}
        ${this.player.mayListen ? choice(null, t("playback.original"), t("playback.alone_why")) : ""}
      </div>
    </section>`;
  }

  #acts() {
    const { video } = this.player;
    const full = fullPossible(video);
    const small = smallPossible(video);
    if (!full && !small) return "";
    return html`<div class="acts">
      ${small
        ? html`<button class="button" @click=${() => this.#act(() => toggleSmall(video))}>${icon("small_window")}${t("playback.small")}</button>`
        : ""}
      ${full
        ? html`<button class="button" @click=${() => this.#act(() => toggleFull(video, this.player.landscape))}>
            ${icon("fit")}${t(isFull() ? "playback.leave_full" : "playback.full")}
          </button>`
        : ""}
    </div>`;
  }

  render() {
    return this.player ? html`${this.#delay()} ${this.#quality()} ${this.#acts()}` : "";
  }
}

customElements.define("onair-playback", OnairPlayback);
