// <onair-replay>: a broadcast that is over, watched again: the picture with a timeline, and the room as it was then.
import { LitElement, css, html } from "lit";
import { api } from "./api.js";
import { giftsById } from "./catalogue.js";
import { icon } from "./icons.js";
import { needAccount } from "./need_account.js";
import { ReplayFrames } from "./replay_frames.js";
import { replayMatch, replayMatchStyle } from "./replay_match.js";
import { router } from "./router.js";
import { SessionController, session } from "./session.js";
import { pictureAt, picturesOf } from "./storyboard.js";
import { avatar, sheet } from "./style.js";
import { clock, short, t } from "./strings.js";
import { failedScreen, overStyle } from "./watch_over.js";
import { watchStyle } from "./watch_style.js";
import "./comments.js";
import "./gift_stage.js";
import "./host_card.js";
import "./replay_files.js";
import "./sheet.js";

const TICK_MS = 200;
/** A step this long forward is the picture going on; anything else is a jump, after which the room is shown anew. */
const STEP_MS_MAX = 3_000;
const SKIP_S = 10;
/** A replay that is being put together is asked for again after this long. */
const PREPARING_MS = 3_000;
const HEART = "❤️";

const ownPlayer = () =>
  /^Apple/.test(navigator.vendor) && document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "";

export class OnairReplay extends LitElement {
  static properties = {
    streamId: {},
    replay: { state: true },
    failure: { state: true },
    preparing: { state: true },
    playing: { state: true },
    waiting: { state: true },
    muted: { state: true },
    at: { state: true },
    pictures: { state: true },
    pointed: { state: true },
    newest: { state: true },
    sheet: { state: true },
    roomFailed: { state: true },
  };

  static styles = [
    sheet,
    watchStyle,
    overStyle,
    replayMatchStyle,
    css`
      video {
        position: absolute;
        inset: 0;
        width: 100%;
        height: 100%;
        object-fit: contain;
        background: #08050d;
      }
      .ring {
        box-shadow: none;
      }
      .badge {
        flex: none;
        padding: 0 8px;
        border-radius: 8px;
        background: #ffffff2e;
        font-size: 0.72rem;
        font-weight: 750;
        line-height: 24px;
      }
      .side {
        justify-items: end;
      }
      .side .badge {
        display: inline-flex;
        align-items: center;
        gap: 5px;
      }
      .side .icon {
        width: 16px;
        height: 16px;
      }
      .bar {
        /* Below the comments, so that the thumb reaches it and its pictures have room above. */
        grid-row: 4;
        display: grid;
        grid-template-columns: auto minmax(0, 1fr) auto auto;
        align-items: center;
        gap: 6px;
        padding: 2px 6px 2px 2px;
        border-radius: 28px;
      }
      .bar button {
        display: grid;
        place-items: center;
        width: 48px;
        height: 48px;
        padding: 0;
        border: 0;
        border-radius: 50%;
        background: none;
        color: #fff;
      }
      .bar output {
        font-size: 0.8rem;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      input[type="range"] {
        width: 100%;
        height: 48px;
        margin: 0;
        background: none;
        cursor: pointer;
        accent-color: #ff6f6a;
      }
      .timeline {
        position: relative;
      }
      .glimpse {
        position: absolute;
        bottom: calc(100% + 8px);
        z-index: 2;
        width: 148px;
        margin: 0;
        overflow: hidden;
        border: 2px solid #fffd;
        border-radius: 12px;
        background: #08050d;
        box-shadow: 0 8px 28px #0009;
        pointer-events: none;
        transform: translateX(-50%);
      }
      .glimpse img {
        display: block;
        width: 100%;
        max-height: 180px;
        object-fit: contain;
      }
      .glimpse figcaption {
        padding: 3px 0;
        background: #08050dcc;
        color: #fff;
        font-size: 0.75rem;
        font-variant-numeric: tabular-nums;
        text-align: center;
      }
      .state {
        position: absolute;
        inset: 0;
        display: grid;
        place-content: center;
        justify-items: center;
        gap: 12px;
        padding: 32px;
        pointer-events: none;
        text-align: center;
      }
    `,
  ];

  constructor() {
    super();
    new SessionController(this);
    this.gifts = new Map();
    this.muted = true;
    this.at = 0;
    this.pictures = [];
  }

  connectedCallback() {
    super.connectedCallback();
    this.ticking = setInterval(() => this.#tick(), TICK_MS);
    addEventListener("keydown", this.#key);
    session.addEventListener("change", this.#accountChanged);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.ticking);
    removeEventListener("keydown", this.#key);
    session.removeEventListener("change", this.#accountChanged);
    this.#close();
  }

  willUpdate(changed) {
    if (changed.has("streamId") && this.streamId) this.#open();
  }

  get video() {
    return this.renderRoot.querySelector("video");
  }

  get comments() {
    return this.renderRoot.querySelector("onair-comments");
  }

  // --- coming and going -----------------------------------------------------------------------------------------

  async #open() {
    this.#close();
    const id = this.streamId;
    this.replay = this.failure = this.preparing = this.newest = this.roomFailed = this.pointed = undefined;
    this.pictures = [];
    this.account = session.me?.id;
    this.frames = new ReplayFrames();
    this.shownUntil = undefined;
    giftsById().then((gifts) => (this.gifts = gifts));
    try {
      const replay = await api.get(`/streams/${id}/replay`);
      if (id !== this.streamId || !this.isConnected) return;
      this.preparing = false;
      this.replay = replay;
      await this.updateComplete;
      this.#load(0);
      this.#readPictures(id);
      this.#readRoom(id, this.frames);
    } catch (error) {
      if (id !== this.streamId || !this.isConnected) return;
      if (error.code === "unavailable") {
        this.preparing = true;
        this.asking = setTimeout(() => this.#open(), PREPARING_MS);
      } else {
        const { code, message } = error;
        this.failure = { code, message, heading: t("replay.failed"), account: code === "unauthenticated" };
      }
    }
  }

  #close() {
    clearTimeout(this.asking);
    this.hls?.destroy();
    this.hls = undefined;
  }

  #accountChanged = () => session.me?.id !== this.account && this.#open();

  async #load(at) {
    const { video } = this;
    this.hls?.destroy();
    this.hls = undefined;
    const source = this.replay.playback_url;
    if (ownPlayer()) {
      video.src = source;
      video.addEventListener("loadedmetadata", () => (video.currentTime = at), { once: true });
      video.onerror = () => this.#broken();
    } else {
      const { default: Hls } = await import("hls.js");
      if (!this.isConnected || source !== this.replay?.playback_url) return;
      const hls = new Hls({ startPosition: at, enableWorker: true, maxBufferLength: 30, enableEmsgMetadataCues: false });
      this.hls = hls;
      hls.on(Hls.Events.ERROR, (_, { fatal, response, type }) => {
        if (hls !== this.hls) return;
        // The right to play ends after hours: ask for another one and go on from here.
        if (response?.code === 401) this.#renew();
        else if (fatal && type === Hls.ErrorTypes.MEDIA_ERROR && !this.recovered) {
          this.recovered = true;
          hls.recoverMediaError();
        } else if (fatal) this.#broken();
      });
      hls.loadSource(source);
      hls.attachMedia(video);
    }
    this.#play();
  }

  async #renew() {
    const at = this.video.currentTime;
    try {
      this.replay = await api.get(`/streams/${this.streamId}/replay`);
      await this.#load(at);
    } catch (error) {
      this.failure = { code: error.code, message: error.message, heading: t("replay.failed") };
    }
  }

  #broken() {
    const at = this.video?.currentTime ?? 0;
    clearTimeout(this.asking);
    this.waiting = true;
    this.asking = setTimeout(() => this.replay && this.#load(at), PREPARING_MS);
  }

  /** The timeline's pictures; where there are none, it goes without. */
  async #readPictures(id) {
    try {
      const answer = await fetch(this.replay.storyboard_url);
      const pictures = answer.ok ? picturesOf(await answer.text(), answer.url) : [];
      if (id === this.streamId && this.isConnected) this.pictures = pictures;
    } catch (error) {
      console.warn("The replay's storyboard could not be read.", error);
    }
  }

  /** All frames of the room, page by page while the picture plays. */
  async #readRoom(id, frames) {
    try {
      let page = await api.get(`/streams/${id}/frames`);
      frames.add(page.frames);
      while (page.more && page.frames.length > 0 && frames === this.frames && this.isConnected) {
        const after = page.frames.at(-1).seq;
        page = await api.get(`/streams/${id}/frames?epoch=${encodeURIComponent(page.epoch)}&after=${after}`);
        frames.add(page.frames);
      }
    } catch {
      if (frames === this.frames) this.roomFailed = true;
    }
    if (frames === this.frames) this.shownUntil = undefined; // what came late is shown as well
  }

  // --- the room by the picture ----------------------------------------------------------------------------------

  /** The moment, in ms since 1970, at which the picture on screen was taken. */
  get #moment() {
    const { video } = this;
    if (this.hls) return this.hls.playingDate?.getTime();
    const start = video?.getStartDate?.().getTime();
    return Number.isFinite(start) ? start + video.currentTime * 1000 : undefined;
  }

  #tick() {
    if (!this.replay || !this.video) return;
    this.at = this.video.currentTime;
    const moment = this.#moment;
    if (moment === undefined || this.frames.length === 0) return;
    const step = moment - (this.shownUntil ?? -Infinity);
    if (step >= 0 && step <= STEP_MS_MAX) {
      for (const frame of this.frames.between(this.shownUntil, moment)) this.#show(frame);
    } else {
      const { events, newest } = this.frames.until(moment);
      this.comments?.clear();
      for (const event of events) this.#line(event);
      this.newest = newest;
    }
    this.shownUntil = moment;
    this.match = this.frames.match(moment);
  }

  #show(frame) {
    this.newest = frame;
    for (const event of frame.events ?? []) {
      this.#line(event);
      if (event.type === "gift") this.renderRoot.querySelector("onair-gift-stage")?.show(event);
    }
  }

  #line(event) {
    if (!this.replay.hidden?.includes(event.from?.id)) this.comments?.add(event);
  }

  // --- acting ---------------------------------------------------------------------------------------------------

  #play = async () => {
    const { video } = this;
    video.muted = this.muted;
    // A browser that wants a tap first leaves it paused, with the button to play on screen.
    await video.play().catch(() => undefined);
  };

  #toggle = () => (this.video?.paused ? this.#play() : this.video?.pause());

  #mute = () => {
    this.muted = !this.muted;
    this.video.muted = this.muted;
  };

  #seek(to) {
    const { video } = this;
    if (!video) return;
    video.currentTime = Math.min(Math.max(0, to), Math.max(0, this.duration - 0.1));
    this.at = video.currentTime;
  }

  #key = (event) => {
    const target = event.composedPath()[0];
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || !this.replay) return;
    if (target.matches?.("input, textarea, button, a")) return;
    if (event.key === " ") this.#toggle();
    else if (event.key === "ArrowLeft") this.#seek(this.at - SKIP_S);
    else if (event.key === "ArrowRight") this.#seek(this.at + SKIP_S);
    else return;
    event.preventDefault();
  };

  get duration() {
    const known = this.video?.duration;
    return Number.isFinite(known) ? known : (this.replay?.duration_s ?? 0);
  }

  /** The moment of the timeline under the pointer. */
  #point = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    this.pointed = Math.min(1, Math.max(0, (event.clientX - left) / width)) * this.duration;
  };

  #unpoint = () => (this.pointed = undefined);

  // --- showing --------------------------------------------------------------------------------------------------

  #head() {
    const { host, title } = this.replay.stream;
    return html`<header>
      <div class="host glass">
        <button class="who" aria-label=${host.display_name} @click=${() => (this.sheet = "host")}>
          <span class="ring">${avatar(host, 36)}</span>
          <span class="names"><b>${host.display_name}</b><small>${title}</small></span>
        </button>
      </div>
      <span class="badge">${t("replay.badge")}</span>
      <span class="spacer"></span>
      ${session.me?.id === host.id
        ? html`<button class="round glass" aria-label=${t("replay.own")} @click=${() => (this.sheet = "files")}>${icon("down")}</button>`
        : ""}
      <button class="round glass" aria-label=${t("watch.leave")} @click=${() => router.back()}>${icon("close")}</button>
    </header>`;
  }

  #glimpse(total) {
    const url = this.pointed === undefined ? undefined : pictureAt(this.pictures, this.pointed);
    if (!url) return "";
    // Whole within the bar, whatever its width.
    const share = `${((this.pointed / total) * 100).toFixed(2)}%`;
    return html`<figure class="glimpse" aria-hidden="true" style=${`left: clamp(40px, ${share}, calc(100% - 40px))`}>
      <img src=${url} alt="" />
      <figcaption>${clock(this.pointed)}</figcaption>
    </figure>`;
  }

  #bar() {
    const total = Math.max(this.duration, 0.1);
    return html`<div class="bar glass" role="group" aria-label=${t("replay.controls")}>
      <button aria-label=${t(this.playing ? "replay.pause" : "replay.play")} @click=${this.#toggle}>
        ${icon(this.playing ? "pause" : "play")}
      </button>
      <div class="timeline">
        ${this.#glimpse(total)}
        <input
          type="range"
          min="0"
          max=${total}
          step="0.1"
          .value=${String(this.at)}
          aria-label=${t("replay.timeline")}
          aria-valuetext=${t("replay.position", { at: clock(this.at), total: clock(total) })}
          @input=${(event) => this.#seek(Number(event.target.value))}
          @pointerdown=${this.#point}
          @pointermove=${this.#point}
          @pointerup=${(event) => event.pointerType !== "mouse" && this.#unpoint()}
          @pointerleave=${this.#unpoint}
          @pointercancel=${this.#unpoint}
        />
      </div>
      <output>${clock(this.at)} / ${clock(total)}</output>
      <button aria-label=${t(this.muted ? "watch.unmute" : "watch.mute")} @click=${this.#mute}>
        ${icon(this.muted ? "muted" : "sound")}
      </button>
    </div>`;
  }

  #state() {
    if (!this.waiting) return "";
    return html`<div class="state" role="status"><span class="spinner"></span><p>${t("watch.buffering")}</p></div>`;
  }

  #counts() {
    const hearts = this.newest?.reactions?.[HEART];
    return html`<div class="side">
      ${this.newest
        ? html`<span class="badge">${icon("eye")} ${short(this.newest.viewers ?? 0)}</span>
            ${hearts ? html`<span class="badge">${HEART} ${short(hearts)}</span>` : ""}`
        : ""}
    </div>`;
  }

  render() {
    if (this.failure) return failedScreen(this.failure, () => needAccount(this, undefined, () => this.#open()));
    if (!this.replay) {
      return html`<div class="state" role="status">
        <span class="spinner"></span>
        <p>${t(this.preparing ? "replay.preparing" : "replay.loading")}</p>
      </div>`;
    }
    return html`
      <div class="stage" @dblclick=${this.#toggle}>
        <video
          playsinline
          aria-label=${this.replay.stream.title}
          poster=${this.at > 0 ? "" : (pictureAt(this.pictures, 0) ?? "")}
          .muted=${this.muted}
          @play=${() => (this.playing = true)}
          @pause=${() => (this.playing = false)}
          @waiting=${() => (this.waiting = true)}
          @playing=${() => (this.waiting = false)}
          @seeked=${() => (this.waiting = false)}
        ></video>
        <div class="veil" aria-hidden="true"></div>
        ${this.#state()}
        <onair-gift-stage .gifts=${this.gifts}></onair-gift-stage>
        ${this.#head()} ${replayMatch(this.replay, this.match)} ${this.#counts()}
      </div>
      <aside aria-label=${t("watch.comments")}>
        <onair-comments
          .gifts=${this.gifts}
          .host=${this.replay.stream.host.id}
          .hint=${t(this.roomFailed ? "replay.room_failed" : "replay.hint")}
        ></onair-comments>
        ${this.#bar()}
      </aside>
      <onair-sheet .open=${this.sheet === "host"} @close=${() => (this.sheet = undefined)}>
        ${this.sheet === "host" ? html`<onair-host-card .account=${this.replay.stream.host}></onair-host-card>` : ""}
      </onair-sheet>
      <onair-sheet heading=${t("replay.own")} .open=${this.sheet === "files"} @close=${() => (this.sheet = undefined)}>
        ${this.sheet === "files" ? html`<onair-replay-files .streamId=${this.streamId}></onair-replay-files>` : ""}
      </onair-sheet>
    `;
  }
}

customElements.define("onair-replay", OnairReplay);
