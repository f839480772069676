// <onair-on-air>: the host's own glass while live: their picture, the room, what it earns, how the connection holds.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { giftsById } from "./catalogue.js";
import { icon } from "./icons.js";
import { matchButton } from "./match.js";
import { onAirStyle } from "./on_air_style.js";
import { pinnedBar, replyChip } from "./room_bars.js";
import { Room } from "./room.js";
import { ScreenShare } from "./screen_share.js";
import { roomButtons } from "./room_sheets.js";
import { seatsButton } from "./seats.js";
import { pulseGauge, pulseStyle } from "./pulse_gauge.js";
import { router } from "./router.js";
import { session } from "./session.js";
import { sheet } from "./style.js";
import { clock, exact, short, t } from "./strings.js";
import { readShown } from "./read_aloud.js";
import { refused } from "./toast.js";
import { watchStyle } from "./watch_style.js";
import "./comments.js";
import "./gift_stage.js";
import "./publish_health.js";
import "./reactions.js";
import "./room_cards.js";
import "./sheet.js";
import "./stage_refused.js";

/** Gifts are credited by settlement, a moment after they are seen. */
const WALLET_EVERY_MS = 1_500;
const WALLET_TRIES = 6;

/** @fires ended - detail: the summary; @fires switch-camera */
export class OnairOnAir extends LitElement {
  static properties = {
    stream: { attribute: false },
    media: { attribute: false },
    publisher: { attribute: false },
    facing: {},
    cameras: { type: Number },
    micOn: { state: true },
    cameraOn: { state: true },
    asking: { state: true },
    healthShown: { state: true },
    ending: { state: true },
    diamonds: { state: true },
    now: { state: true },
    text: { state: true },
    replyTo: { state: true },
    pulse: { state: true },
  };

  static styles = [sheet, watchStyle, pulseStyle, onAirStyle];

  constructor() {
    super();
    this.micOn = this.cameraOn = true;
    this.diamonds = 0;
    this.gifts = new Map();
    this.hostKey = { key: () => this.publisher.publish.stream_key };
    this.text = "";
    this.now = Date.now();
  }

  connectedCallback() {
    super.connectedCallback();
    this.ticker = setInterval(() => (this.now = Date.now()), 1000);
    addEventListener("beforeunload", this.#unloading);
    document.addEventListener("visibilitychange", this.#shown);
    router.guard = () => this.#ask();
    this.#stayAwake();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.ticker);
    clearTimeout(this.walletTimer);
    removeEventListener("beforeunload", this.#unloading);
    document.removeEventListener("visibilitychange", this.#shown);
    router.guard = undefined;
    this.screen?.close();
    this.wakeLock?.release();
    this.room?.stop();
    this.publisher?.stop();
  }

  firstUpdated() {
    this.startedAt = this.stream.started_at ? new Date(this.stream.started_at).getTime() : Date.now();
    for (const name of ["state", "health"]) this.publisher.addEventListener(name, this.#redraw);
    // Whom one could not watch while off air is looked for again.
    this.publisher.addEventListener("state", () => this.publisher.state === "live" && this.seats?.stage?.read());
    this.screen = new ScreenShare(this.media, this.publisher);
    this.screen.addEventListener("change", this.#redraw);
    const room = new Room({ api, streamId: this.stream.id });
    this.room = room;
    room.addEventListener("state", () => this.#roomChanged());
    room.addEventListener("snapshot", ({ detail }) => detail.reset && this.comments?.clear());
    room.addEventListener("line", ({ detail }) => this.#line(detail.event));
    room.addEventListener("counts", this.#redraw);
    room.addEventListener("me", this.#redraw);
    for (const kind of ["held", "held-count"]) room.addEventListener(kind, this.#redraw);
    room.addEventListener("skipped", ({ detail }) => this.comments?.skipped(detail));
    room.addEventListener("pulse", ({ detail }) => (this.pulse = detail));
    room.addEventListener("taps", ({ detail }) => this.reactions.burst(detail));
    room.addEventListener("ended", () => this.#end());
    room.start();
    giftsById().then((gifts) => {
      this.gifts = gifts;
      this.requestUpdate();
    });
    session.refreshWallet().then((wallet) => (this.diamondsBefore = wallet.diamonds), () => undefined);
  }

  #redraw = () => this.requestUpdate();

  get comments() {
    return this.renderRoot.querySelector("onair-comments");
  }

  get seats() {
    return this.renderRoot.querySelector("onair-seats");
  }

  get match() {
    return this.renderRoot.querySelector("onair-match");
  }

  get alone() {
    return this.renderRoot.querySelector("onair-stage-refused");
  }

  get reactions() {
    return this.renderRoot.querySelector("onair-reactions");
  }

  #unloading = (event) => {
    event.preventDefault();
    event.returnValue = t("live.leave_warning"); // browsers show their own words, but want some
  };

  #shown = () => {
    if (document.hidden) return;
    this.#stayAwake(); // the lock ends whenever the page is hidden
    this.room?.check();
  };

  async #stayAwake() {
    this.wakeLock = await navigator.wakeLock?.request("screen").catch(() => undefined);
  }

  #roomChanged() {
    this.requestUpdate();
    // Swept or ended elsewhere while the socket was away: the summary tells.
    if (this.room.state === "stopped" && this.room.reason?.code === "not_live") this.#end();
  }

  #line(event) {
    if (event.type === "join" && event.from?.id === session.me?.id) return; // one's own arrival is no news
    this.comments?.add(event);
    readShown(event);
    this.requestUpdate(); // pin, poll, question and settings stand outside the lines
    if (event.type !== "gift") return;
    this.renderRoot.querySelector("onair-gift-stage").show(event);
    this.#readDiamonds(WALLET_TRIES);
  }

  /** Reads the wallet until the gift just seen is credited. */
  #readDiamonds(tries) {
    clearTimeout(this.walletTimer);
    this.walletTimer = setTimeout(async () => {
      const wallet = await session.refreshWallet().catch(() => undefined);
      if (wallet && this.diamondsBefore === undefined) this.diamondsBefore = wallet.diamonds;
      const earned = wallet ? wallet.diamonds - this.diamondsBefore : this.diamonds;
      const rose = earned > this.diamonds;
      this.diamonds = Math.max(this.diamonds, earned);
      // Once more after a rise: gifts of one run settle in several sums.
      if (tries > 1) this.#readDiamonds(rose ? 2 : tries - 1);
    }, WALLET_EVERY_MS);
  }

  // --- acting ---------------------------------------------------------------------------------------------------

  #toggle(kind) {
    const on = kind === "audio" ? (this.micOn = !this.micOn) : (this.cameraOn = !this.cameraOn);
    for (const track of this.media.getTracks()) if (track.kind === kind) track.enabled = on;
  }

  #shareScreen = async () => {
    try {
      await (this.screen.on ? this.screen.stop() : this.screen.start());
      this.cameraOn = this.media.getVideoTracks()[0]?.enabled ?? true;
    } catch (error) {
      if (error.name !== "NotAllowedError") refused({ message: t("live.screen_failed") }); // a person who said no knows it
    }
  };

  #ask() {
    this.asking = true;
    return Promise.resolve(false); // leaving goes through ending
  }

  #end = async () => {
    if (this.ending) return;
    this.ending = true;
    try {
      const summary = await api.post(`/streams/${this.stream.id}/end`);
      router.guard = undefined;
      this.dispatchEvent(new CustomEvent("ended", { detail: summary.summary ?? summary }));
    } catch (error) {
      this.ending = false;
      refused(error);
    }
  };

  #comment = async (event) => {
    event.preventDefault();
    const text = this.text.trim();
    if (!text) return;
    const replyTo = this.replyTo;
    this.text = "";
    this.replyTo = undefined;
    try {
      const ack = await this.room.chat(text, replyTo?.id);
      const { id, handle, display_name } = session.me;
      const from = { id, handle, name: display_name, badges: ["host"] };
      if (!ack.shown) this.comments.add({ id: ack.event_id ?? ack.id, type: "chat", text, from, reply_to: replyTo?.id });
    } catch (error) {
      if (!this.text) [this.text, this.replyTo] = [text, replyTo];
      refused(error);
    }
  };

  #reply = ({ detail }) => {
    this.replyTo = detail;
    this.updateComplete.then(() => this.renderRoot.querySelector("form input")?.focus());
  };

  get #roomSheets() {
    return this.renderRoot.querySelector("onair-room-sheets");
  }

  // --- showing --------------------------------------------------------------------------------------------------

  get health() {
    const { state, health } = this.publisher;
    return state === "live" ? (health?.level ?? "good") : state === "connecting" ? "connecting" : "reconnecting";
  }

  #words() {
    const { state, reason } = this.publisher;
    if (state === "refused") {
      return html`<div class="words" role="alert">${icon("alert")}<p>${t("live.publish_refused", { reason: reason?.message ?? "" })}</p></div>`;
    }
    if (state === "live") return "";
    return html`<div class="words" role="status">
      <div class="spinner"></div>
      <p>${t(`live.health.${this.health}`)}</p>
      ${state === "reconnecting" ? html`<small>${t("live.reconnecting_hint")}</small>` : ""}
    </div>`;
  }

  #head() {
    const viewers = this.room?.viewers ?? 0;
    return html`<header>
      <span class="pill"><span class="live-badge">${t("live")}</span><span class="unseen">${t("live.elapsed")}</span
        ><time>${clock((this.now - (this.startedAt ?? this.now)) / 1000)}</time></span>
      <button class="pill viewers-now" aria-label=${t("viewers.open", { n: viewers })} @click=${() => this.#roomSheets.show("viewers")}
        >${icon("eye")}${short(viewers)}</button>
      <span class="spacer"></span>
      <button class="end" @click=${() => (this.asking = true)}>${t("live.end")}</button>
      <span class="row">
        <span class="pill earned" aria-label="${t("live.diamonds")}: ${this.diamonds}" data-diamonds=${this.diamonds}
          >${icon("diamond")}${exact(this.diamonds)}</span>
        <button class="pill health ${this.health}" @click=${() => (this.healthShown = true)}
          ><i></i><span role="status">${t(`live.health.${this.health}`)}</span></button>
        ${this.pulse ? pulseGauge(this.pulse) : ""}
        ${this.micOn ? "" : html`<span class="pill mic-off">${icon("mic_off")}${t("live.mic_is_off")}</span>`}
      </span>
    </header>`;
  }

  #controls() {
    return html`<div class="side">
      ${this.cameras > 1 && !this.screen?.on
        ? html`<button class="round glass" aria-label=${t("live.switch_camera")} @click=${() => this.dispatchEvent(new Event("switch-camera"))}>
            ${icon("flip")}
          </button>`
        : ""}
      <button class="round glass" aria-pressed=${this.micOn ? "false" : "true"} @click=${() => this.#toggle("audio")}
        aria-label=${t(this.micOn ? "live.mute_mic" : "live.unmute_mic")}>${icon(this.micOn ? "mic" : "mic_off")}</button>
      <button class="round glass" aria-pressed=${this.cameraOn ? "false" : "true"} @click=${() => this.#toggle("video")}
        aria-label=${t(this.cameraOn ? "live.camera_off" : "live.camera_on")}>${icon(this.cameraOn ? "camera" : "camera_off")}</button>
      ${ScreenShare.supported
        ? html`<button class="round glass" aria-pressed=${String(Boolean(this.screen?.on))} @click=${this.#shareScreen}
            aria-label=${t(this.screen?.on ? "live.screen_stop" : "live.screen_share")}>${icon("screen")}</button>`
        : ""}
      ${seatsButton(this.seats?.stage, () => this.seats)} ${matchButton(() => this.match)} ${roomButtons(this.room, () => this.#roomSheets)}
    </div>`;
  }

  #endSheet() {
    return html`<onair-sheet heading=${t("live.end_title")} .open=${this.asking === true} @close=${() => (this.asking = false)}>
      <p class="sheet-text">${t("live.end_hint")}</p>
      <div class="sheet-actions">
        <button class="button danger wide confirm-end" ?disabled=${this.ending} @click=${this.#end}>
          ${t(this.ending ? "live.ending" : "live.end_confirm")}
        </button>
        <button class="button wide" @click=${() => (this.asking = false)}>${t("live.end_keep")}</button>
      </div>
    </onair-sheet>`;
  }

  render() {
    return html`
      <div class="stage ${this.match?.on ? "matched" : ""} ${this.alone?.refused ? "alone" : ""}">
        <video class="own ${this.screen?.on ? "screen" : this.facing === "user" ? "mirror" : ""}" autoplay playsinline .muted=${true} .srcObject=${this.media}
          aria-label=${t("live.preview")}></video>
        ${this.cameraOn ? "" : html`<div class="off">${icon("camera_off")}${t("live.camera_is_off")}</div>`}
        <div class="veil" aria-hidden="true"></div>
        ${this.#words()}
        <onair-reactions></onair-reactions>
        <onair-gift-stage .gifts=${this.gifts}></onair-gift-stage>
        <onair-room-cards .room=${this.room} .standing=${this.room?.room} moderates></onair-room-cards>
        <onair-seats .room=${this.room} .host=${this.hostKey} @change=${this.#redraw}></onair-seats>
        ${this.#head()} ${this.#controls()}
        <onair-match .room=${this.room} .own=${this.stream} @change=${this.#redraw}></onair-match>
        <onair-stage-refused .stream=${this.stream.id} .wanted=${Boolean(this.match?.on || this.seats?.stage?.guests.length)} @change=${this.#redraw}></onair-stage-refused>
      </div>
      <aside aria-label=${t("watch.comments")}>
        ${pinnedBar(this.room)}
        <onair-comments .gifts=${this.gifts} .host=${this.room?.room?.host?.id} .hint=${t("watch.replay_soon")} @reply=${this.#reply}
          @menu=${({ detail }) => this.#roomSheets.show("menu", detail)}></onair-comments>
        ${this.replyTo ? replyChip(this.replyTo, () => (this.replyTo = undefined)) : ""}
        <form @submit=${this.#comment} autocomplete="off">
          <div class="field-box glass">
            <input aria-label=${t("live.comment")} placeholder=${t("live.comment")} maxlength="200" enterkeyhint="send"
              .value=${this.text} @input=${(event) => (this.text = event.target.value)} />
            ${this.text.trim() ? html`<button class="send" aria-label=${t("watch.send")}>${icon("send")}</button>` : ""}
          </div>
        </form>
      </aside>
      ${this.#endSheet()}
      <onair-sheet clear heading=${t("health.title")} .open=${this.healthShown === true} @close=${() => (this.healthShown = false)}>
        ${this.healthShown ? html`<onair-publish-health .publisher=${this.publisher} .stream=${this.stream.id}></onair-publish-health>` : ""}
      </onair-sheet>
      <onair-room-sheets .room=${this.room} @reply=${this.#reply}></onair-room-sheets>
    `;
  }
}

customElements.define("onair-on-air", OnairOnAir);
