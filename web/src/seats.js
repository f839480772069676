// <onair-seats>: people on screen: the pictures of host and guests as they come, and the sheet where one asks and decides.
import { LitElement, css, html } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { icon } from "./icons.js";
import { LAYOUTS, RIVAL, Stage } from "./stage.js";
import { session } from "./session.js";
import { avatar, sheet } from "./style.js";
import { t } from "./strings.js";
import "./sheet.js";

/** The button at the side of the picture; `seats` gives the element at the time of the tap. */
export function seatsButton(stage, seats) {
  const waiting = stage?.host ? stage.asked.length : 0;
  return html`<button class="round glass" data-sheet="seats" aria-label=${t("seats.title")} @click=${() => seats().show()}>
    ${icon("guests")}${waiting > 0 ? html`<small class="count" aria-label=${t("seats.waiting", { n: waiting })}>${waiting}</small>` : ""}
  </button>`;
}

/** @fires change - who is on screen changed (`stage`); @fires on-screen - detail: whether one is on screen oneself */
export class OnairSeats extends LitElement {
  static properties = {
    room: { attribute: false },
    /** For the host: `{ key }`, the stream key as it is now. */
    host: { attribute: false },
    open: { state: true },
    handle: { state: true },
    /** Whether one has silenced the other host of a match for oneself. */
    deaf: { state: true },
  };

  static styles = [
    sheet,
    css`
      .tiles {
        position: absolute;
        /* Comments lie below, on a phone. */
        inset: 0 0 calc(var(--stage-bottom, 40%) - 4%);
        display: grid;
        gap: 2px;
        background: #120c1c;
      }
      .tiles.many {
        grid-template-columns: 1fr 1fr;
      }
      .tiles.strip {
        inset: auto auto calc(var(--stage-bottom, 40%) + 8px) 10px;
        grid-auto-flow: column;
        gap: 8px;
        background: none;
      }
      .tiles.strip figure {
        width: 96px;
        height: 128px;
        border-radius: 14px;
        box-shadow: 0 4px 18px #0008;
      }
      .tiles.strip.crowd {
        grid-template-columns: repeat(4, auto);
        grid-auto-flow: row;
      }
      .tiles.strip.crowd figure {
        width: 66px;
        height: 88px;
      }
      .acts {
        display: grid;
        gap: 10px;
      }
      figure {
        position: relative;
        margin: 0;
        min-width: 0;
        min-height: 0;
        overflow: hidden;
        background: #241a33;
      }
      figure video {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
      figure.own video {
        transform: scaleX(-1);
      }
      figcaption {
        position: absolute;
        inset: auto auto 6px 6px;
        display: flex;
        align-items: center;
        gap: 4px;
        max-width: calc(100% - 12px);
        box-sizing: border-box;
        padding: 2px 8px;
        border-radius: 10px;
        background: #120b1fb3;
        color: #fff;
        font-size: 0.75rem;
        font-weight: 650;
        overflow: hidden;
        white-space: nowrap;
        text-overflow: ellipsis;
      }
      figcaption .icon {
        width: 14px;
        height: 14px;
        flex: none;
      }
      figure.rival {
        border: 2px solid #ffc46b;
        box-sizing: border-box;
      }
      .tiles.strip figure.rival {
        width: 96px;
        height: 128px;
      }
      .hear {
        position: absolute;
        inset: 0 0 auto auto;
        width: var(--touch);
        height: var(--touch);
        padding: 10px;
        border: 0;
        background: none;
        color: #fff;
        border-radius: 14px;
        filter: drop-shadow(0 1px 3px #000);
      }
      .hear .icon {
        width: 24px;
        height: 24px;
      }
      .soundless {
        align-self: end;
        max-width: 150px;
        margin: 0;
        padding: 6px 10px;
        border-radius: 12px;
        background: #120b1fcc;
        color: #fff;
        font-size: 0.75rem;
        line-height: 1.3;
      }
      /* Clear of the buttons that lie over a guest's pictures. */
      .tiles.many .soundless {
        align-self: start;
        max-width: 110px;
        margin: 8px;
      }
      .away {
        position: absolute;
        inset: 0;
        display: grid;
        place-content: center;
        color: #ffffffc4;
        font-size: 0.85rem;
        text-align: center;
      }
      .bar {
        position: absolute;
        z-index: 3;
        inset: auto 0 calc(var(--stage-bottom, 40%) + 12px);
        display: flex;
        justify-content: center;
        gap: 10px;
      }
      .bar button[aria-pressed="true"] {
        background: #f7f3fb;
        color: #b3123f;
      }
      .leave {
        min-height: var(--touch);
        padding: 0 18px;
        border: 0;
        border-radius: 22px;
        background: var(--live);
        color: #fff;
        font-weight: 700;
      }
      ul {
        display: grid;
        gap: 4px;
        margin: 6px 0 14px;
        padding: 0;
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: 56px;
      }
      li span.who {
        flex: 1;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
        font-weight: 650;
      }
      h3 {
        margin: 10px 0 0;
        font-size: 0.86rem;
        color: var(--muted);
      }
      .hint {
        color: var(--muted);
        margin: 8px 0 14px;
      }
      .layouts {
        display: grid;
        grid-template-columns: repeat(3, 1fr);
        gap: 8px;
        margin: 8px 0 14px;
      }
      .layouts button {
        min-height: 48px;
        border: 1px solid var(--line);
        border-radius: 14px;
        background: none;
        color: inherit;
        font: inherit;
        font-size: 0.86rem;
        font-weight: 650;
      }
      .layouts button[aria-pressed="true"] {
        border-color: var(--accent, #d6336c);
        background: color-mix(in srgb, var(--accent, #d6336c) 18%, transparent);
      }
      form {
        display: flex;
        gap: 8px;
        align-items: end;
      }
      form .field {
        flex: 1;
      }
      .small {
        min-height: var(--touch);
        padding: 0 14px;
      }
    `,
  ];

  constructor() {
    super();
    this.handle = "";
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.stage?.close();
    this.stage = undefined;
  }

  willUpdate(changed) {
    if (!changed.has("room") || !this.room || this.stage?.room === this.room) return;
    this.stage?.close();
    const stage = new Stage(this.room, this.host);
    this.stage = stage;
    stage.addEventListener("change", () => this.#changed());
    stage.addEventListener("invited", () => (this.open = true));
  }

  #changed() {
    const on = Boolean(this.stage?.onScreen);
    if (on !== Boolean(this.shown)) {
      this.shown = on;
      if (on) this.open = false;
      this.dispatchEvent(new CustomEvent("on-screen", { detail: on }));
    }
    this.dispatchEvent(new Event("change"));
    this.requestUpdate();
  }

  show() {
    this.open = true;
  }

  // --- pictures -------------------------------------------------------------------------------------------------

  #tile(seat, name, muted) {
    const watcher = this.stage.watchers.get(seat);
    const live = watcher?.state === "live";
    return html`<figure data-seat=${seat}>
      <video autoplay playsinline .srcObject=${watcher?.media ?? null} aria-label=${name}></video>
      ${live ? "" : html`<div class="away" role="status"><span class="spinner"></span></div>`}
      <figcaption>${muted ? icon("mic_off") : ""}${name}</figcaption>
    </figure>`;
  }

  /** The other host of a match: how they come, and a way to hear them or not. */
  #rival() {
    const { handle, name } = this.stage.rival;
    const watcher = this.stage.watchers.get(RIVAL);
    const comes = watcher?.state === "live" && watcher.flows?.video !== false;
    const words = watcher?.state === "connecting" ? "match.connecting" : "match.reconnecting";
    const silent = comes && watcher.flows?.video && !watcher.flows.audio;
    return html`<figure class="rival" data-seat=${RIVAL}>
        <video autoplay playsinline .muted=${Boolean(this.deaf)} .srcObject=${watcher?.media ?? null} aria-label=${t("match.live", { handle })}></video>
        ${comes ? "" : html`<div class="away" role="status">${t(words)}</div>`}
        <figcaption>${name}</figcaption>
        <button class="hear" aria-pressed=${String(Boolean(this.deaf))} @click=${() => (this.deaf = !this.deaf)}
          aria-label=${t(this.deaf ? "match.hear" : "match.mute", { handle })}>${icon(this.deaf ? "muted" : "sound")}</button>
      </figure>
      ${silent ? html`<p class="soundless" role="status">${t("match.soundless", { handle })}</p>` : ""}`;
  }

  #own() {
    const { stage } = this;
    const state = stage.publisher?.state;
    const words = stage.media && stage.media.getTracks().length === 0 ? t("seats.no_devices") : state === "refused" ? stage.publisher.reason?.message : "";
    return html`<figure class="own">
      <video autoplay playsinline .muted=${true} .srcObject=${stage.media ?? null} aria-label=${t("live.preview")}></video>
      ${words ? html`<div class="away" role="alert"><p>${words}</p></div>` : state === "live" ? "" : html`<div class="away" role="status"><span class="spinner"></span></div>`}
      <figcaption>${stage.mine.muted || !stage.micOn ? icon("mic_off") : ""}${t("seats.you")}</figcaption>
    </figure>`;
  }

  #guestView() {
    const { stage, room } = this;
    const others = stage.guests.filter(({ seat }) => seat !== stage.mine.seat);
    return html`<div class="tiles ${others.length > 0 || stage.rival ? "many" : ""}" role="group" aria-label=${t("seats.on_screen")}>
        ${this.#tile("host", room.room?.host?.name ?? "", false)} ${this.#own()} ${stage.rival ? this.#rival() : ""}
        ${repeat(others, ({ seat }) => seat, ({ seat, from, muted }) => this.#tile(seat, from.name, muted))}
      </div>
      <div class="bar">
        <button class="round glass" aria-pressed=${stage.micOn ? "false" : "true"} @click=${() => stage.toggle("audio")}
          aria-label=${t(stage.micOn ? "live.mute_mic" : "live.unmute_mic")}>${icon(stage.micOn ? "mic" : "mic_off")}</button>
        <button class="round glass" aria-pressed=${stage.cameraOn ? "false" : "true"} @click=${() => stage.toggle("video")}
          aria-label=${t(stage.cameraOn ? "live.camera_off" : "live.camera_on")}>${icon(stage.cameraOn ? "camera" : "camera_off")}</button>
        <button class="leave" ?disabled=${stage.busy} @click=${stage.leave}>${t("seats.leave")}</button>
      </div>
      ${stage.mine.muted ? html`<p class="unseen" role="status">${t("seats.host_muted")}</p>` : ""}`;
  }

  #hostView() {
    const { stage } = this;
    if (stage.guests.length === 0 && !stage.rival) return "";
    return html`<div class="tiles strip ${stage.guests.length > 3 ? "crowd" : ""}" role="group" aria-label=${t("seats.on_screen")}>
      ${stage.rival ? this.#rival() : ""}
      ${repeat(stage.guests, ({ seat }) => seat, ({ seat, from, muted }) => this.#tile(seat, from.name, muted))}
    </div>`;
  }

  // --- the sheet ------------------------------------------------------------------------------------------------

  #person({ from }, ...buttons) {
    return html`<li data-handle=${from.handle}>${avatar({ ...from, display_name: from.name }, 40)}<span class="who">${from.name}</span>${buttons}</li>`;
  }

  #button(key, act, kind = "") {
    return html`<button class="button small ${kind}" ?disabled=${this.stage.busy} @click=${act}>${t(key)}</button>`;
  }

  #invite = (event) => {
    event.preventDefault();
    const handle = this.handle.trim().replace(/^@/, "");
    if (!handle) return;
    this.handle = "";
    this.stage.invite(handle);
  };

  #hostSheet() {
    const { stage } = this;
    const invited = stage.items.filter(({ state }) => state === "invited");
    return html`
      <h3 id="layout">${t("seats.layout")}</h3>
      <div class="layouts" role="group" aria-labelledby="layout">
        ${LAYOUTS.map(
          (name) => html`<button aria-pressed=${name === stage.layout ? "true" : "false"} data-layout=${name} ?disabled=${stage.busy}
            @click=${() => stage.arrange(name)}>${t(`seats.layout.${name}`)}</button>`,
        )}
      </div>
      ${stage.asked.length > 0
        ? html`<h3>${t("seats.asked")}</h3>
            <ul class="asked">
              ${repeat(stage.asked, ({ seat }) => seat, (one) => this.#person(one,
                this.#button("seats.accept", () => stage.accept(one.seat), "act"),
                this.#button("seats.decline", () => stage.decline(one.seat))))}
            </ul>`
        : ""}
      ${stage.guests.length + invited.length > 0
        ? html`<h3>${t("seats.on_screen")}</h3>
            <ul class="guests">
              ${repeat(stage.guests, ({ seat }) => seat, (one) => this.#person(one,
                this.#button(one.muted ? "seats.unmute" : "seats.mute", () => stage.mute(one.seat, !one.muted)),
                this.#button("seats.remove", () => stage.remove(one.seat), "danger")))}
              ${repeat(invited, ({ seat }) => seat, (one) => this.#person(one, html`<small>${t("seats.invited")}</small>`,
                this.#button("seats.withdraw", () => stage.remove(one.seat))))}
            </ul>`
        : html`<p class="hint">${t("seats.nobody")}</p>`}
      <form @submit=${this.#invite} autocomplete="off">
        <label class="field">${t("seats.invite")}
          <input maxlength="25" autocapitalize="none" placeholder="@handle" .value=${this.handle}
            @input=${(event) => (this.handle = event.target.value)} /></label>
        <button class="button act small" ?disabled=${stage.busy || !this.handle.trim()}>${t("seats.invite_send")}</button>
      </form>`;
  }

  #viewerSheet() {
    const { stage } = this;
    const own = stage.mine ?? stage.items.find(({ from }) => from.id === session.me?.id);
    const here = stage.guests.length
      ? html`<h3>${t("seats.on_screen")}</h3><ul class="guests">${stage.guests.map((one) => this.#person(one))}</ul>`
      : "";
    if (own?.state === "invited") {
      return html`<p class="hint">${t("seats.invited_you", { name: this.room?.room?.host?.name ?? "" })}</p>
        <div class="acts">
          ${this.#button("seats.come", () => stage.accept(own.seat), "act wide")}
          ${this.#button("seats.decline", () => stage.decline(own.seat), "wide")}
        </div>
        ${here}`;
    }
    if (own?.state === "asked") {
      return html`<p class="hint" role="status">${t("seats.you_asked")}</p>
        ${this.#button("seats.withdraw", () => stage.remove(own.seat), "wide")}${here}`;
    }
    return html`<p class="hint">${t("seats.ask_hint")}</p>
      ${this.#button("seats.ask", this.#ask, "act wide")}${here}`;
  }

  #ask = () => {
    if (session.signedIn) return this.stage.ask();
    this.open = false;
    this.dispatchEvent(
      new CustomEvent("need-account", { detail: { act: "comment", then: () => this.show() }, bubbles: true, composed: true }),
    );
    return undefined;
  };

  render() {
    if (!this.stage) return "";
    return html`${this.host ? this.#hostView() : this.stage.onScreen ? this.#guestView() : ""}
      <onair-sheet clear heading=${t("seats.title")} .open=${Boolean(this.open)} @close=${() => (this.open = false)}>
        ${this.open ? (this.host ? this.#hostSheet() : this.#viewerSheet()) : ""}
      </onair-sheet>`;
  }
}

customElements.define("onair-seats", OnairSeats);
