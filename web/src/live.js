// <onair-live>: from "+" to on air: what it is about → what is missing → how it looks → on air → summary.
import { LitElement, html } from "lit";
import { api } from "./api.js";
import { LevelMeter, REASONS, cameraCount, openDevices, otherCamera } from "./camera.js";
import { icon } from "./icons.js";
import { liveStyle } from "./live_style.js";
import { needAccount } from "./need_account.js";
import { Publisher } from "./publisher.js";
import { follow, router } from "./router.js";
import { SessionController, session } from "./session.js";
import { sheet } from "./style.js";
import { clock, exact, t } from "./strings.js";
import { toast } from "./toast.js";
import "./on_air.js";

const TITLE_MAX = 80;
const TOPICS = ["talk", "music", "gaming", "cooking", "fitness", "art", "travel", "study", "beauty", "sports"];
const TOPICS_MAX = 3;
const COUNTDOWN_FROM = 3;
const METER_BARS = 14;
/** Requirements that one gets nearer to: a bar shows how far it is. */
const GROWING = new Set(["followers", "account_age"]);
const SUMMARY = ["viewers_unique", "viewers_peak", "comments", "reactions", "gifts", "diamonds", "new_followers", "shares"];

export class OnairLive extends LitElement {
  static properties = {
    /** "about" | "checks" | "preview" | "on_air" | "summary" | "already" */
    step: { state: true },
    topics: { state: true },
    eligibility: { state: true },
    refusals: { state: true },
    failure: { state: true },
    busy: { state: true },
    countdown: { state: true },
    level: { state: true },
    facing: { state: true },
    cameras: { state: true },
    summary: { state: true },
  };

  static styles = [sheet, liveStyle];

  constructor() {
    super();
    new SessionController(this);
    this.step = "about";
    this.title = "";
    this.topics = [];
    this.facing = "user";
    this.cameras = 1;
    this.level = 0;
    this.refusals = {};
  }

  connectedCallback() {
    super.connectedCallback();
    session.addEventListener("change", this.#sessionChanged);
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    session.removeEventListener("change", this.#sessionChanged);
    this.#closeDevices();
  }

  firstUpdated() {
    needAccount(this, "live", () => this.#lookForOwnLive());
  }

  /** Signed in as somebody else: what was checked was checked for another account. */
  #sessionChanged = () => {
    if (this.step === "checks" && session.me && this.checkedFor !== session.me.id) this.#check();
  };

  #closeDevices() {
    clearInterval(this.meterTimer);
    this.meter?.close();
    this.meter = undefined;
    this.media?.getTracks().forEach((track) => track.stop());
    this.media = undefined;
  }

  // --- steps ----------------------------------------------------------------------------------------------------

  /** A broadcast of ours may still be on: this page was closed, or another phone has it. */
  async #lookForOwnLive() {
    const me = await api.get("/me").catch(() => undefined);
    if (me?.live_stream && this.step === "about") {
      this.stream = await api.get(`/streams/${me.live_stream}`).catch(() => undefined);
      if (this.stream?.state === "live") this.step = "already";
    }
  }

  #about = (event) => {
    event.preventDefault();
    this.title = new FormData(event.target).get("title").trim();
    needAccount(this, "live", () => this.#check());
  };

  #check = async () => {
    this.step = "checks";
    this.failure = this.eligibility = undefined;
    this.checkedFor = session.me?.id;
    this.#closeDevices();
    const { media, refusals } = await openDevices(this.facing);
    if (this.step !== "checks" || !this.isConnected) return media.getTracks().forEach((track) => track.stop());
    this.media = media;
    this.refusals = refusals;
    try {
      const devices = Object.keys(this.devices).filter((device) => this.devices[device]);
      this.eligibility = await api.get(`/me/eligibility?devices=${devices.join(",")}`);
    } catch (error) {
      this.failure = error;
    }
    return undefined;
  };

  get devices() {
    const has = (kind) => this.media?.getTracks().some((track) => track.kind === kind && track.readyState === "live") ?? false;
    return { camera: has("video"), microphone: has("audio") };
  }

  #preview = async () => {
    this.step = "preview";
    this.failure = undefined;
    this.cameras = await cameraCount().catch(() => 1);
    this.meter = new LevelMeter(this.media);
    this.meterTimer = setInterval(() => (this.level = this.meter.read()), 90);
  };

  #switch = async () => {
    if (this.switching) return; // a second tap would stop a camera that is being opened
    this.switching = true;
    const { media } = this;
    const old = media.getVideoTracks()[0];
    try {
      const { track, facing } = await otherCamera(old, this.facing);
      if (media !== this.media) return track.stop(); // one left, or it ended, while it was being opened
      if (old) media.removeTrack(old);
      track.enabled = old?.enabled ?? true;
      media.addTrack(track);
      this.facing = facing;
      await this.publisher?.replace(track);
    } catch ({ name }) {
      if (media === this.media) toast(t(`live.device_${REASONS[name] ?? "busy"}`)); // no camera opens any more
    } finally {
      this.switching = false;
      this.requestUpdate();
    }
    return undefined;
  };

  #go = async () => {
    if (this.busy) return;
    this.busy = true;
    this.failure = undefined;
    try {
      // Kept from a try that failed half-way: the same draft is started, not a second one made.
      this.stream ??= await api.post("/streams", { title: this.title, topics: this.topics, devices: this.devices });
      for (this.countdown = COUNTDOWN_FROM; this.countdown > 0; this.countdown -= 1) {
        await new Promise((resolve) => setTimeout(resolve, 800));
        if (!this.isConnected || this.step !== "preview") return;
      }
      const started = await api.post(`/streams/${this.stream.id}/start`, { devices: this.devices });
      this.#publish({ ...this.stream, ...started }, started.publish);
    } catch (error) {
      if (error.code === "already_live") await this.#lookAgain();
      else if (error.code === "not_eligible") await this.#check();
      else {
        if (error.status === 404 || error.status === 409) this.stream = undefined;
        this.failure = error;
      }
    } finally {
      this.busy = false;
      this.countdown = undefined;
    }
  };

  async #lookAgain() {
    this.stream = undefined;
    const me = await api.get("/me");
    this.stream = me.live_stream && (await api.get(`/streams/${me.live_stream}`));
    this.step = "already";
  }

  #publish(stream, publish) {
    clearInterval(this.meterTimer);
    this.meter?.close();
    this.meter = undefined;
    this.stream = stream;
    this.publisher = new Publisher(publish, this.media, () => api.post(`/streams/${stream.id}/publish`).then((answer) => answer.publish ?? answer));
    this.publisher.start();
    this.step = "on_air";
  }

  #takeOver = async () => {
    if (this.busy) return;
    this.busy = true;
    this.failure = undefined;
    try {
      if (!this.media) {
        const { media, refusals } = await openDevices(this.facing);
        this.media = media;
        if (Object.keys(refusals).length > 0) {
          this.refusals = refusals;
          throw new Error(t(`live.device_${refusals.camera ?? refusals.microphone}`));
        }
      }
      this.cameras = await cameraCount().catch(() => 1);
      const answer = await api.post(`/streams/${this.stream.id}/publish`);
      this.#publish(this.stream, answer.publish ?? answer);
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  #endOther = async () => {
    if (this.busy) return;
    this.busy = true;
    try {
      await api.post(`/streams/${this.stream.id}/end`);
      this.stream = undefined;
      this.failure = undefined;
      this.step = "about";
    } catch (error) {
      this.failure = error;
    } finally {
      this.busy = false;
    }
  };

  #ended = ({ detail }) => {
    this.publisher?.stop({ over: true });
    this.#closeDevices();
    this.summary = detail;
    this.step = "summary";
    session.refreshWallet().catch(() => undefined);
  };

  #back = () => {
    if (this.step === "checks" || this.step === "preview") {
      this.#closeDevices();
      this.step = "about";
    } else {
      router.back();
    }
  };

  // --- showing --------------------------------------------------------------------------------------------------

  #bar(title) {
    return html`<header class="bar">
      <button class="round" aria-label=${t("back")} @click=${this.#back}>${icon(this.step === "about" ? "close" : "back")}</button>
      <h1>${title}</h1>
    </header>`;
  }

  #refusal() {
    return this.failure
      ? html`<div class="refusal" role="alert">${icon("alert")}<span>${this.failure.message}</span></div>`
      : "";
  }

  #toggleTopic(topic) {
    const on = this.topics.includes(topic);
    if (!on && this.topics.length >= TOPICS_MAX) return;
    this.topics = on ? this.topics.filter((each) => each !== topic) : [...this.topics, topic];
  }

  #aboutStep() {
    return html`<div class="page">
      ${this.#bar(t("live.title"))}
      <form @submit=${this.#about}>
        <h2>${t("live.what")}</h2>
        ${Publisher.supported || !window.isSecureContext ? "" : html`<div class="refusal">${icon("alert")}${t("error.webrtc")}</div>`}
        <label class="field"
          >${t("live.title_label")}<input
            name="title"
            required
            maxlength=${TITLE_MAX}
            placeholder=${t("live.title_placeholder")}
            .value=${this.title}
            autocomplete="off"
            enterkeyhint="next"
        /></label>
        <fieldset>
          <legend>${t("live.topics")} <small>${t("live.topics_hint")}</small></legend>
          ${TOPICS.map((topic) => {
            const on = this.topics.includes(topic);
            return html`<button
              type="button"
              class="chip"
              aria-pressed=${on ? "true" : "false"}
              ?disabled=${!on && this.topics.length >= TOPICS_MAX}
              @click=${() => this.#toggleTopic(topic)}
            >
              ${t(`topic.${topic}`)}
            </button>`;
          })}
        </fieldset>
        <button class="button act wide">${t("next")}</button>
      </form>
    </div>`;
  }

  #requirement({ code, met, needed, actual, fix, waived }) {
    const device = this.refusals[code];
    const counted = typeof needed === "number";
    return html`<li class=${met ? "met" : "unmet"} data-code=${code}>
      <span class="mark">${icon(met ? "check" : "close")}</span>
      <div>
        <b>${t(`requirement.${code}`, {}, code)}<span class="unseen">, ${t(met ? "requirement.met" : "requirement.unmet")}</span></b>
        ${counted ? html`<small>${t("live.need", { needed })} · ${t("live.have", { actual })}${waived ? ` · ${t("requirement.waived")}` : ""}</small>` : ""}
        ${!met && code === "standing" ? html`<a href="/me/standing" @click=${follow}>${t("standing.see")}</a>` : ""}
        ${met ? "" : html`<p>${device ? t(`live.device_${device}`) : fix}</p>`}
        ${counted && !met && GROWING.has(code)
          ? html`<progress max=${needed} value=${Math.min(actual, needed)} aria-label=${t(`requirement.${code}`, {}, code)}></progress>`
          : ""}
      </div>
    </li>`;
  }

  #checksStep() {
    const { eligibility } = this;
    return html`<div class="page">
      ${this.#bar(t("live.checks"))}
      <div class="checks">
        ${this.failure
          ? html`<div class="refusal" role="alert">${icon("alert")}<span>${t("live.checks_failed")}. ${this.failure.message}</span></div>`
          : eligibility
            ? html`<p class="verdict ${eligibility.eligible ? "good" : ""}" role="status">
                  ${t(eligibility.eligible ? "live.checks_ready" : "live.checks_missing")}
                  ${t("live.checks_of", {
                    met: eligibility.requirements.filter((each) => each.met).length,
                    all: eligibility.requirements.length,
                  })}
                </p>
                <ul>
                  ${[...eligibility.requirements].sort((a, b) => Number(a.met) - Number(b.met)).map((each) => this.#requirement(each))}
                </ul>`
            : html`<p class="verdict" role="status">${t("live.checking")}</p>
                <ul aria-hidden="true">
                  ${[1, 2, 3, 4, 5].map(() => html`<li class="skeleton"></li>`)}
                </ul>`}
        ${eligibility?.eligible
          ? html`<button class="button act wide" @click=${this.#preview}>${t("live.continue")}</button>`
          : eligibility || this.failure
            ? html`<button class="button wide" @click=${this.#check}>${icon("refresh")}${t("live.check_again")}</button>`
            : ""}
      </div>
    </div>`;
  }

  #meterView() {
    const lit = Math.round(this.level * METER_BARS);
    return html`<div class="meter" role="meter" aria-label=${t("live.mic_level")} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${Math.round(this.level * 100)}>
      ${icon("mic")}
      ${Array.from({ length: METER_BARS }, (_, n) => html`<i class=${n < lit ? (n > METER_BARS - 3 ? "hot" : "on") : ""}></i>`)}
    </div>`;
  }

  #previewStep() {
    return html`<div class="glass-page">
      <video class="own ${this.facing === "user" ? "mirror" : ""}" autoplay playsinline muted .muted=${true}
        .srcObject=${this.media ?? null} aria-label=${t("live.preview")}></video>
      <div class="veil" aria-hidden="true"></div>
      <header class="bar over-video">
        <button class="round glass" aria-label=${t("back")} ?disabled=${this.busy} @click=${this.#back}>${icon("back")}</button>
        <h1>${t("live.preview")}</h1>
        ${this.cameras > 1
          ? html`<button class="round glass" aria-label=${t("live.switch_camera")} @click=${this.#switch}>${icon("flip")}</button>`
          : html`<span class="round"></span>`}
      </header>
      ${this.countdown > 0 ? html`<div class="countdown" role="timer">${[this.countdown].map((n) => html`<b data-n=${n}>${n}</b>`)}</div>` : ""}
      <footer>
        ${this.#refusal()}
        <p class="title">${this.title}</p>
        <p class="hint">${t("live.preview_hint")} ${this.level < 0.08 ? t("live.mic_quiet") : ""}</p>
        ${this.#meterView()}
        <button class="button act wide" ?disabled=${this.busy} @click=${this.#go}>
          ${this.busy ? t("live.starting") : t("live.go")}
        </button>
      </footer>
    </div>`;
  }

  #alreadyStep() {
    return html`<div class="page">
      ${this.#bar(t("live.title"))}
      <div class="notice">
        <span class="live-badge">${t("live")}</span>
        <h2>${t("live.already")}</h2>
        <p><b>${this.stream?.title ?? ""}</b></p>
        <p>${t("live.already_hint")}</p>
        ${this.#refusal()}
        ${this.stream
          ? html`<button class="button act wide" ?disabled=${this.busy} @click=${this.#takeOver}>${t("live.take_over")}</button>
              <button class="button wide" ?disabled=${this.busy} @click=${this.#endOther}>${t("live.end_other")}</button>`
          : ""}
      </div>
    </div>`;
  }

  #summaryStep() {
    const { summary } = this;
    return html`<div class="page summary">
      <div class="done">
        <p class="kicker">${this.stream?.title}</p>
        <h1>${t("live.summary")}</h1>
        <p class="time"><b>${clock(summary.duration_s ?? 0)}</b><span>${t("summary.duration")}</span></p>
        <dl>
          ${SUMMARY.map(
            (key) => html`<div class=${key}>
              <dd>${key === "diamonds" ? icon("diamond") : ""}${exact(summary[key] ?? 0)}</dd>
              <dt>${t(`summary.${key}`)}</dt>
            </div>`,
          )}
        </dl>
        <a class="button act wide" href="/" @click=${follow}>${t("done")}</a>
      </div>
    </div>`;
  }

  render() {
    switch (this.step) {
      case "about":
        return this.#aboutStep();
      case "checks":
        return this.#checksStep();
      case "preview":
        return this.#previewStep();
      case "already":
        return this.#alreadyStep();
      case "summary":
        return this.#summaryStep();
      default:
        return html`<onair-on-air
          .stream=${this.stream}
          .media=${this.media}
          .publisher=${this.publisher}
          .facing=${this.facing}
          .cameras=${this.cameras}
          @switch-camera=${this.#switch}
          @ended=${this.#ended}
        ></onair-on-air>`;
    }
  }
}

customElements.define("onair-live", OnairLive);
